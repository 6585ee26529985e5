"""Unknown functions as splines: their basis, and what is known of their shape as conditions on the coefficients.

A spline with coefficients that increase does so itself, and likewise for positive coefficients and positive second
differences; for equal knots these conditions are sufficient. Zeros, periods and parities are linear equations: the
coefficients are then c = Z w with fewer numbers w.

References: de Boor, A Practical Guide to Splines (2001), chapter XI; Ramsay, Monotone regression splines (1988).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from kan2.core.bases.bspline import BSplineBasis
from kan2.core.theory import Unknown

RANK = 1e-10
HELD = 4
"""Parts of each interval on which bounds of values are held."""
MARGIN = 1e-9
"""How far a grid reaches beyond the arguments, as a share of their range."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The spline of an unknown function on a grid.

    Attributes:
        function: what is known of it.
        low: left end of the grid.
        high: right end.
        grid: number of intervals.
        Z: (coefficient, number), from the free numbers to the coefficients.
    """

    function: Unknown
    low: float
    high: float
    grid: int
    Z: Float[ndarray, "coefficient number"]

    @classmethod
    def on(cls, function: Unknown, low: float, high: float, grid: int) -> "Curve":
        """Returns the spline on a range, widened where the function asks for that."""
        if function.period is not None:
            # Arguments are taken as they are: the grid has whole periods of equal intervals.
            first = np.floor(low / function.period + 1e-9)
            n = max(1, int(np.ceil(high / function.period - first - 1e-9)))
            low, high, grid = first * function.period, (first + n) * function.period, n * max(grid, function.k + 1)
        elif {"even", "odd"} & set(function.shape):
            high = max(abs(low), abs(high))
            low, grid = -high, 2 * grid
        for zero in function.zeros:
            low, high = min(low, zero), max(high, zero)
        if not high > low:
            low, high = low - max(1.0, abs(low)) * 0.5, low + max(1.0, abs(low)) * 0.5
        bare = cls(function, low, high, grid, np.eye(grid + function.k))
        return cls(function, low, high, grid, _null_space(bare._equations()))

    @property
    def n_basis(self) -> int:
        """How many coefficients the spline has."""
        return self.grid + self.function.k

    @property
    def size(self) -> int:
        """How many numbers are free."""
        return self.Z.shape[1]

    def values(self, u: Float[ndarray, " batch"], order: int = 0) -> Float[ndarray, "batch number"]:
        """Returns the functions of which the curve is a sum, or a derivative of them."""
        return self._coefficient_values(u, order) @ self.Z

    def _coefficient_values(self, u: Float[ndarray, " batch"], order: int = 0) -> Float[ndarray, "batch coefficient"]:
        # As `BSplineBasis` does, without torch, whose calls take longer than the work on a table of hundreds of rows.
        k, width = self.function.k, (self.high - self.low) / self.grid
        position = (np.asarray(u, float) - self.low) / width
        with np.errstate(invalid="ignore"):
            interval = np.clip(np.nan_to_num(np.floor(position)), 0, self.grid - 1).astype(int)
        t = position - interval
        inside = np.clip(t, 0.0, 1.0)
        values = _local(k, order, inside)
        if order == 0:
            values = values + (t - inside)[:, None] * _local(k, 1, inside)
        elif order > 1:
            values = values * ((t >= 0) & (t <= 1))[:, None]
        found = np.zeros((len(position), self.grid + k))
        np.put_along_axis(found, interval[:, None] + np.arange(k + 1), values / width**order, 1)
        return found

    def _equations(self) -> Float[ndarray, "equation coefficient"]:
        function, n = self.function, self.n_basis
        rows = [self._coefficient_values(np.array(function.zeros))] if function.zeros else []
        if function.period is not None:
            per = round(function.period / (self.high - self.low) * self.grid)
            tied = np.zeros((n - per, n))
            at = np.arange(n - per)
            tied[at, at], tied[at, at + per] = 1, -1
            rows.append(tied)
        for word, sign in (("even", -1), ("odd", 1)):
            if word in function.shape:
                eye = np.eye(n)
                rows.append((eye + sign * eye[::-1])[: (n + 1) // 2])
        return np.concatenate(rows) if rows else np.zeros((0, n))

    def inequalities(
        self, direction: int = 1
    ) -> tuple[Float[ndarray, "condition number"], Float[ndarray, " condition"]]:
        """Returns G and h of G w >= h.

        Args:
            direction: 1 where a monotone function is taken to increase, -1 where to decrease, 0 where that is open.
        """
        words, n = set(self.function.shape), self.n_basis
        eye = np.eye(n)
        first, second = np.diff(eye, axis=0), np.diff(eye, n=2, axis=0)
        # Coefficients of one sign are more than enough: a parabola that touches zero has negative ones. Those of
        # Bernstein polynomials on parts of an interval are enough as well, and nearly necessary.
        values = self._bernstein() if self._is_bounded() else np.zeros((0, n))
        conditions = {
            "monotone": (direction * first, 0.0) if direction else None,
            "increasing": (first, 0.0), "decreasing": (-first, 0.0), "convex": (second, 0.0), "concave": (-second, 0.0),
            "positive": (values, 0.0), "negative": (-values, 0.0),
        }  # fmt: skip
        held = [condition for word, condition in conditions.items() if word in words and condition is not None]
        if self.function.low is not None:
            held.append((values, self.function.low))
        if self.function.high is not None:
            held.append((-values, -self.function.high))
        G = [np.zeros((0, n)), *(rows for rows, _ in held)]
        h = [np.zeros(0), *(np.full(len(rows), least) for rows, least in held)]
        return np.concatenate(G) @ self.Z, np.concatenate(h)

    def _is_bounded(self) -> bool:
        has_sign = bool({"positive", "negative"} & set(self.function.shape))
        return has_sign or self.function.low is not None or self.function.high is not None

    def _bernstein(self) -> Float[ndarray, "condition coefficient"]:
        """Returns the Bernstein coefficients on `HELD` parts of each interval, by those of the spline."""
        k = self.function.k
        nodes = np.arange(k + 1) / k
        binomials = np.array([comb(k, i) for i in range(k + 1)], float)
        powers = np.arange(k + 1)
        values_of = binomials * nodes[:, None] ** powers * (1 - nodes[:, None]) ** (k - powers)
        ends = np.linspace(self.low, self.high, HELD * self.grid + 1)
        points = ends[:-1, None] + nodes * np.diff(ends)[:, None]
        values = self._coefficient_values(points.ravel()).reshape(len(points), k + 1, -1)
        return np.einsum("ij,pjc->pic", np.linalg.inv(values_of), values).reshape(-1, self.n_basis)

    def fitted(self, u: Float[ndarray, " batch"], v: Float[ndarray, " batch"]) -> Float[ndarray, " number"]:
        """Returns the numbers with which the curve is nearest to given points, without its inequalities."""
        B = self.values(u)
        size = max(float(np.linalg.norm(B)) / max(1, B.shape[1]) ** 0.5, 1e-300)
        # Those that no point reaches are held smooth.
        smooth = np.diff(self.Z, n=2, axis=0) * (1e-6 * size)
        return np.linalg.lstsq(np.r_[B, smooth], np.r_[v, np.zeros(len(smooth))], rcond=None)[0]

    def coefficients(self, numbers: Float[ndarray, " number"]) -> Float[ndarray, " coefficient"]:
        """Returns the coefficients of the spline."""
        return self.Z @ numbers


def _local(k: int, order: int, t: Float[ndarray, " batch"]) -> Float[ndarray, "batch local"]:
    """Returns the k + 1 splines of an interval, or a derivative, at 0 <= t <= 1."""
    return np.vander(t, k + 1 - order, increasing=True) @ _table(k, order) if order <= k else np.zeros((len(t), k + 1))


@lru_cache(maxsize=32)
def _table(k: int, order: int) -> Float[ndarray, "power local"]:
    pieces = BSplineBasis(torch.tensor([[0.0, 1.0]], dtype=torch.float64), k).pieces[0, 0].numpy()
    powers = np.arange(k + 1, dtype=float)
    for _ in range(order):
        pieces = (powers[:, None] * pieces)[1:]
        powers = powers[:-1]
    return np.ascontiguousarray(pieces)


def _null_space(equations: Float[ndarray, "equation coefficient"]) -> Float[ndarray, "coefficient number"]:
    n = equations.shape[1]
    if not len(equations):
        return np.eye(n)
    _, s, Vt = np.linalg.svd(equations)
    rank = int((s > RANK * max(s.max(initial=0.0), 1e-300)).sum())
    return Vt[rank:].T


def ranges(arguments: Sequence[Float[ndarray, " batch"]]) -> tuple[float, float]:
    """Returns the range of all arguments of a function, with a hair around it."""
    low = min(float(u.min()) for u in arguments)
    high = max(float(u.max()) for u in arguments)
    margin = MARGIN * (high - low)
    return low - margin, high + margin
