"""Least squares with linear inequalities: Levenberg-Marquardt whose steps obey the constraints.

Each step minimises |J d + r|^2 + mu |D d|^2 under G (x + d) >= h, where D holds the largest norm that each column of J
has had. Without an active constraint that is a product with the singular vectors of J D^-1, which keeps the digits that
normal equations lose; with one it is a problem of least distance, solved by non-negative least squares.

References: Moré, The Levenberg-Marquardt algorithm (1978), doi:10.1007/BFb0067700; Nielsen, Damping parameter in
Marquardt's method (1999); Lawson, Hanson, Solving Least Squares Problems (1995), chapter 23; Transtrum, Sethna,
Improvements to the Levenberg-Marquardt algorithm (2012), arXiv 1201.5885.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import nnls

FIRST_DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 1e-3, 1e-15, 1e20
SMALLEST_STEP = 1e-12
"""A step of this share of the parameters ends a fit. NIST's 54 runs have 10 to 11 certified digits with it."""
UNRESOLVED = 1e-13
"""Share of a sum of squares below which a fall is lost in its rounding. Parameters are known to the root of that only:
from there on steps are judged by their own size."""
MOST_CONTRACTIONS, ROUNDING = 50, 1e-13
"""How many steps there are at most, and the size of a step that is rounding: eleven digits need no smaller ones."""
CALM, PROBE, LARGEST_BEND = 1e-1, 0.1, 0.75
SLACK, CLOSE, FEASIBLE = 1e-12, 1e-6, 1e-6

Residuals = Callable[[Float[ndarray, " parameter"], bool], tuple[Float[ndarray, " row"], Any]]
"""(x, whether the Jacobian is wanted) -> (r, J or None)."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a minimisation ended.

    Attributes:
        x: (parameter,).
        residuals: (row,).
        jacobian: (row, parameter).
        steps: how many steps were made.
        message: why it ended.
    """

    x: Float[ndarray, " parameter"]
    residuals: Float[ndarray, " row"]
    jacobian: Float[ndarray, "row parameter"]
    steps: int
    message: str

    @property
    def cost(self) -> float:
        """The sum of squares."""
        with np.errstate(all="ignore"):
            return float(self.residuals @ self.residuals)

    @property
    def has_converged(self) -> bool:
        """Whether it ended at a minimum."""
        return self.message == "converged"


@dataclass(frozen=True, eq=False)
class Inequalities:
    """G x >= h."""

    G: Float[ndarray, "condition parameter"]
    h: Float[ndarray, " condition"]

    @classmethod
    def of_bounds(cls, low: Float[ndarray, " parameter"], high: Float[ndarray, " parameter"]) -> "Inequalities":
        """Returns low <= x <= high, without what is infinite."""
        eye = np.eye(len(low))
        has_low, has_high = np.isfinite(low), np.isfinite(high)
        return cls(np.r_[eye[has_low], -eye[has_high]], np.r_[low[has_low], -high[has_high]])

    def __len__(self) -> int:
        return len(self.h)

    def active(self, x: Float[ndarray, " parameter"], unit: Float[ndarray, " parameter"]) -> ndarray:
        """Returns which conditions hold with equality.

        Args:
            x: the point.
            unit: of each parameter, a change that data notice.
        """
        return self.G @ x - self.h <= CLOSE * (np.abs(self.G) @ unit) + 1e-12 * np.abs(self.h)


def minimise(
    residuals: Residuals,
    start: Float[ndarray, " parameter"],
    inequalities: Inequalities,
    *,
    steps: int = 1000,
    deadline: float = inf,
) -> Minimum:
    """Lowers a sum of squares from a start that satisfies the inequalities.

    Args:
        residuals: of the parameters.
        start: where to begin.
        inequalities: what every point must satisfy.
        steps: most steps.
        deadline: on the clock of `time.perf_counter`, after which no step begins.

    Example:
        >>> t = np.arange(5.0)
        >>> def line(x, with_jacobian):
        ...     return x[0] + x[1] * t - (2 + 3 * t), np.c_[np.ones(5), t]
        >>> found = minimise(line, np.zeros(2), Inequalities.of_bounds(np.zeros(2), np.array([np.inf, 1.0])))
        >>> found.x.round(6).tolist()
        [6.0, 1.0]
    """
    x = np.array(start, float)
    with np.errstate(all="ignore"):
        r, J = residuals(x, True)
        if not len(x):
            return Minimum(x, r, J, 0, "converged")
        if not np.isfinite(r).all() or not np.isfinite(J).all():
            return Minimum(x, r, J, 0, "not finite at the start")
        cost, damping, scale = float(r @ r), FIRST_DAMPING, np.zeros(len(x))
        for step in range(steps):
            if time.perf_counter() > deadline:
                return Minimum(x, r, J, step, "out of time")
            if cost == 0:
                return Minimum(x, r, J, step, "converged")
            norms = np.sqrt(np.einsum("ij,ij->j", J, J))
            scale = np.maximum(scale, norms)
            D = np.where(scale > 0, scale, 1.0)
            model = _Model(J / D, r, D, x, inequalities)
            growth = 2.0
            while True:
                d = model.step(damping)
                size = _relative_size(d, x, D)
                if size <= SMALLEST_STEP:
                    return _contracted(residuals, inequalities, D, Minimum(x, r, J, step, "converged"))
                d = d + _bend(residuals, model, x, d, r, J, damping)
                trial = x + d
                # With the Jacobian, since most steps are taken.
                new, new_J = residuals(trial, True)
                new_cost = float(new @ new)
                predicted = model.predicted(d)
                if isfinite(new_cost) and new_cost < cost and isfinite(float(np.sum(new_J))):
                    break
                if model.predicted(model.step(LEAST_DAMPING)) <= UNRESOLVED * cost:
                    return _contracted(residuals, inequalities, D, Minimum(x, r, J, step, "converged"))
                damping, growth = damping * growth, growth * 2
                if damping > LARGEST_DAMPING:
                    return Minimum(x, r, J, step, "no step lowers the sum of squares")
            ratio = min((cost - new_cost) / predicted, 1.0) if predicted > 0 else 0.0
            damping = max(damping * max(0.1, 1 - (2 * ratio - 1) ** 3), LEAST_DAMPING)
            x, r, J, cost = trial, new, new_J, new_cost
        return Minimum(x, r, J, steps, "reached the number of steps")


def _contracted(residuals: Residuals, inequalities: Inequalities, D: ndarray, found: Minimum) -> Minimum:
    """Makes Gauss-Newton steps as long as each is shorter than the one before: the fixed point is the minimum."""
    best, last = found, inf
    x, r, J = found.x, found.residuals, found.jacobian
    for step in range(MOST_CONTRACTIONS):
        d = _Model(J / D, r, D, x, inequalities).step(0.0 if len(r) >= len(x) else LEAST_DAMPING)
        size = _relative_size(d, x, D)
        if not size < last:
            break
        best = Minimum(x, r, J, found.steps + step, found.message)
        if size <= ROUNDING:
            break
        x, last = x + d, size
        r, J = residuals(x, True)
        # A flat direction may lead far away, where the sum of squares is another one.
        if not np.isfinite(J).all() or not float(r @ r) <= found.cost * (1 + 1e-9) + 1e-300:
            break
    return best


def _relative_size(d: ndarray, x: ndarray, D: ndarray) -> float:
    return float(np.linalg.norm(D * d) / max(np.linalg.norm(D * x), 1e-300))


class _Model:
    """|J d + r|^2 around a point, in parameters scaled by D."""

    def __init__(self, A: ndarray, r: ndarray, D: ndarray, x: ndarray, inequalities: Inequalities) -> None:
        self.D, self.r, self.A = D, r, A
        # By the triangle of a tall matrix, which takes a fraction of the time.
        Q, R = np.linalg.qr(A)
        U, self.s, self.Vt = np.linalg.svd(R, full_matrices=False)
        self.Ut = U.T @ Q.T
        self.g = self.Ut @ r
        self.G, self.h = inequalities.G / D, inequalities.h - inequalities.G @ x

    def step(self, damping: float) -> ndarray:
        """Returns the step that minimises the damped model under the inequalities."""
        z = -self.Vt.T @ (self.s * self.g / (self.s**2 + damping))
        if len(self.h) and (self.G @ z < self.h - SLACK * (np.abs(self.G) @ np.abs(z) + np.abs(self.h))).any():
            z = self._constrained(damping)
        return z / self.D

    def bent(self, force: ndarray, damping: float) -> ndarray:
        """Returns the least-squares answer to a second derivative of the residuals."""
        return -self.Vt.T @ (self.s * (self.Ut @ force) / (self.s**2 + damping)) / self.D

    def _constrained(self, damping: float) -> ndarray:
        # In coordinates in which the damped model is a distance: z = W (p + c).
        n = len(self.D)
        root = np.sqrt(self.s**2 + max(damping, LEAST_DAMPING))
        W = self.Vt.T / root
        if len(root) < n:  # fewer rows than parameters: the other directions are damped alone
            W = np.c_[W, _complement(self.Vt) / sqrt(max(damping, LEAST_DAMPING))]
        c = np.zeros(n)
        c[: len(root)] = -self.s * self.g / root
        p = least_distance(self.G @ W, self.h - self.G @ (W @ c))
        return np.zeros(n) if p is None else W @ (p + c)

    def predicted(self, d: ndarray) -> float:
        """Returns by how much the undamped model falls."""
        change = self.A @ (d * self.D)
        return float(-(2 * self.r + change) @ change)


def least_distance(
    G: Float[ndarray, "condition parameter"], h: Float[ndarray, " condition"]
) -> Float[ndarray, " parameter"] | None:
    """Returns the shortest p with G p >= h, or None where there is none.

    Example:
        >>> least_distance(np.array([[1.0, 1.0]]), np.array([2.0])).round(9).tolist()
        [1.0, 1.0]
    """
    size = np.linalg.norm(G, axis=1)
    keep = size > 0
    G, h = G[keep] / size[keep, None], h[keep] / size[keep]
    if not (h > 0).any():
        return np.zeros(G.shape[1])
    # In units of the largest distance, so that the answer does not depend on them.
    unit = float(h.max())
    f = np.zeros(G.shape[1] + 1)
    f[-1] = 1.0
    E = np.r_[G.T, h[None] / unit]
    try:
        u, _ = nnls(E, f)
    except RuntimeError:
        return None
    rest = E @ u - f
    if not rest[-1] < 0:
        return None
    p = -rest[:-1] / rest[-1] * unit
    # Where no point satisfies all, what comes out is rounding.
    return p if (G @ p - h >= -FEASIBLE * (unit + np.abs(p).max(initial=0.0))).all() else None


def nearest(x: Float[ndarray, " parameter"], inequalities: Inequalities) -> Float[ndarray, " parameter"]:
    """Returns the point nearest to x at which the inequalities hold."""
    if not len(inequalities) or (inequalities.G @ x >= inequalities.h).all():
        return x
    move = least_distance(inequalities.G, inequalities.h - inequalities.G @ x)
    return x if move is None else x + move


def _complement(Vt: ndarray) -> ndarray:
    """Returns an orthonormal basis of what is orthogonal to the rows."""
    q, _ = np.linalg.qr(Vt.T, mode="complete")
    return q[:, len(Vt) :]


def _bend(
    residuals: Residuals, model: _Model, x: ndarray, d: ndarray, r: ndarray, J: ndarray, damping: float
) -> ndarray | float:
    """Returns half the geodesic acceleration, which follows curved valleys; 0 where it cannot be trusted."""
    if damping > CALM or len(model.h):
        return 0.0
    moved, _ = residuals(x + PROBE * d, False)
    if not np.isfinite(moved).all():
        return 0.0
    force = 2 / PROBE * ((moved - r) / PROBE - J @ d)
    a = model.bent(force, damping)
    if not np.linalg.norm(a * model.D) <= LARGEST_BEND * np.linalg.norm(d * model.D):
        return 0.0
    return a / 2
