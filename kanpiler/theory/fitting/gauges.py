"""What data cannot determine: directions in which no prediction changes, what they are, and conventions that fix them.

In `f(x) + g(y)` a constant may move from one function to the other; in `h(x)*k(y)` a factor. Such a freedom is a vector
that the Jacobian maps to zero. Where one is the constant, the slope or the scale of an unknown function, a convention
fixes it: the function has mean 0, slope 0 or root mean square 1 over the rows. What remains is told of the parameters.

Reference: Rothenberg, Identification in parametric models (1971), doi:10.2307/1913267.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.errors import TrainingError
from kanpiler.theory.fitting.curves import Curve
from kanpiler.theory.form import Form

RANK = 1e-9
"""Singular values below this share of the largest, of a Jacobian with columns of unit length, are zero. The least of
NIST's problems, Bennett5's, is 2e-5."""
ALIKE = 1e-5
KINDS = ("constant", "slope", "scale")
_TOLD = {
    "constant": "its mean over the rows is 0",
    "slope": "its mean slope over the rows is 0",
    "scale": "its root mean square over the rows is 1",
}


@dataclass(frozen=True)
class Convention:
    """How a freedom of an unknown function is fixed.

    Attributes:
        name: of the function, or of a parameter that is held at a value.
        kind: "constant", "slope" or "scale" of a function, or "value" of a parameter.
        value: at which a parameter is held.
    """

    name: str
    kind: str
    value: float = 0.0

    def __str__(self) -> str:
        if self.kind == "value":
            return f"{self.name}: held at {self.value:.6g}, a convention: unknown functions take up any change of it"
        return f"{self.name}: {_TOLD[self.kind]}, a convention: the data do not determine its {self.kind}"

    def row(
        self, w: Float[ndarray, " number"], u: Float[ndarray, " batch"], B: Float[ndarray, "batch number"]
    ) -> tuple[float, ndarray]:
        """Returns what must vanish, and its derivative by the numbers of the curve.

        Args:
            w: the numbers of the curve.
            u: its arguments at the rows.
            B: the values there of the functions of which it is a sum.
        """
        if self.kind == "constant":
            row = B.mean(0)
        elif self.kind == "slope":
            centred = u - u.mean()
            row = centred @ B / max(float(centred @ centred), 1e-300)
        else:
            v = B @ w
            size = float(np.sqrt(np.mean(v**2)))
            return size - 1.0, (v @ B) / (len(u) * max(size, 1e-300))
        return float(row @ w), row


def null_space(J: Float[ndarray, "row number"]) -> Float[ndarray, "number direction"]:
    """Returns the directions, in numbers of equal influence, in which nothing changes."""
    if not J.shape[1]:
        return np.zeros((0, 0))
    # The triangle of a tall matrix has its singular vectors, and takes a hundredth of the time.
    R = np.linalg.qr(J, mode="r") if len(J) > J.shape[1] else J
    _, s, Vt = np.linalg.svd(R, full_matrices=True)
    rank = int((s > RANK * max(float(s.max(initial=0.0)), 1e-300)).sum())
    return Vt[rank:].T


def scaled(J: Float[ndarray, "row number"]) -> tuple[Float[ndarray, "row number"], Float[ndarray, " number"]]:
    """Returns the Jacobian with columns of unit length, and the lengths; 1 where a column is zero."""
    size = np.linalg.norm(J, axis=0)
    size = np.where(size > 0, size, 1.0)
    return J / size, size


def conventions(
    J: Float[ndarray, "row column"],
    moved: Mapping[str, slice],
    x: Float[ndarray, " number"],
    curves: Mapping[str, Curve],
    at: Mapping[str, slice],
    arguments: Mapping[str, ndarray],
    parameters: Mapping[str, int],
) -> tuple[Convention, ...]:
    """Returns conventions for all freedoms of unknown functions.

    Args:
        J: derivatives of all predictions by all numbers, and by the shifts and scales of what functions read.
        moved: where the columns of these are, by name of the function.
        x: the numbers.
        curves: of the unknown functions.
        at: where their numbers are.
        arguments: all arguments of each.
        parameters: where the numbers of the free parameters are, one a label.

    Raises:
        TrainingError: two unknown functions cannot be told apart.
    """
    found: list[Convention] = []
    A, size = scaled(J)
    for name in reversed(list(curves)):
        curve, part = curves[name], at[name]
        fixed: list[ndarray] = []
        # Its own shifts and scales are directions of its own, too.
        others = np.delete(np.arange(A.shape[1]), moved.get(name, slice(0)))
        for kind in KINDS:
            free = null_space(A[:, others])
            N = np.zeros((A.shape[1], free.shape[1]))
            N[others] = free
            direction = _direction(kind, curve, x[part])
            if direction is None or not N.shape[1]:
                continue
            # Is there a freedom whose part in this function is that direction, but for what is fixed already?
            inner = N[part] / size[part, None]
            scale = np.linalg.norm(inner, axis=0).max(initial=0.0)
            if not scale > 0:
                continue
            beside = list(fixed)
            if kind == "slope" and (constant := _direction("constant", curve, x[part])) is not None:
                beside.append(constant)  # f + u moves the constant as well
            allowed = np.column_stack([inner / scale, *beside])
            answer = np.linalg.lstsq(allowed, direction, rcond=1e-8)[0]
            if np.linalg.norm(allowed @ answer - direction) > ALIKE * np.linalg.norm(direction):
                continue
            freedom = inner / scale @ answer[: inner.shape[1]]
            if np.linalg.norm(freedom) <= ALIKE * np.linalg.norm(direction):
                continue
            fixed.append(freedom)
            convention = Convention(name, kind)
            _, own = convention.row(x[part], arguments[name], curve.values(arguments[name]))
            row = np.zeros(A.shape[1])
            row[part] = own / size[part]
            A = np.r_[A, row[None] / max(float(np.linalg.norm(row)), 1e-300)]
            found.append(convention)
    _refuse_twins(null_space(A), at)
    for name, i in parameters.items():
        N = null_space(A)
        involved = N[:, np.abs(N[i]) > ALIKE]
        if involved.shape[1] and np.linalg.norm(involved[len(parameters) :]) > ALIKE:
            found.append(Convention(name, "value", float(x[i])))
            row = np.zeros((1, A.shape[1]))
            row[0, i] = 1.0
            A = np.r_[A, row]
    return tuple(found)


def _refuse_twins(N: Float[ndarray, "column direction"], at: Mapping[str, slice]) -> None:
    # One freedom that two functions share may be a constant; several are functions.
    for first, second in combinations(at, 2):
        parts = [N[at[name]] for name in (first, second)]
        shared = [np.linalg.svd(part, compute_uv=False) if part.size else np.zeros(0) for part in parts]
        both = np.linalg.svd(np.concatenate(parts), compute_uv=False) if N.shape[1] else np.zeros(0)
        ranks = [int((s > 1e-6).sum()) for s in (*shared, both)]
        if ranks[0] + ranks[1] - ranks[2] > 1:
            raise TrainingError(
                f"fit: expected unknown functions that can be told apart, got {first} and {second}, of which only a "
                "combination is determined. Leave one of them out, or say more of it: zeros, a shape, a formula."
            )


def _direction(kind: str, curve: Curve, w: ndarray) -> ndarray | None:
    # In the numbers of a curve; None where the curve has no such freedom.
    if kind == "scale":
        return w if np.linalg.norm(w) > 0 and not curve.function.low and not curve.function.high else None
    n = curve.n_basis
    c = np.ones(n) if kind == "constant" else np.arange(n) - (n - 1) / 2
    inside = curve.Z @ (curve.Z.T @ c)
    return curve.Z.T @ c if np.linalg.norm(inside - c) <= ALIKE * np.linalg.norm(c) else None


def undetermined(
    J: Float[ndarray, "row number"], x: Float[ndarray, " parameter"], names: Sequence[str], others: Sequence[Any] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns which parameters the data do not determine, and sentences that say which combinations they do.

    Args:
        J: derivatives by all numbers, conventions included; those of the parameters first.
        x: the parameters.
        names: of the parameters.
        others: pairs (J, x) elsewhere: a combination is the same everywhere.
    """
    N = null_space(scaled(J)[0])
    n = len(names)
    reach = np.linalg.norm(N[:n], axis=1) if N.shape[1] else np.zeros(n)
    lost = [i for i in range(n) if reach[i] > 1e-4]
    if not lost:
        return (), ()
    said = []
    dead = [i for i in lost if not np.linalg.norm(J[:, i]) > 0]
    if dead:
        said.append(f"{_listed([names[i] for i in dead])}: no row depends on it here")
    rest, told = [i for i in lost if i not in dead], set()
    # Only two that are tied to each other alone have a combination of their own.
    P = N[:n] @ N[:n].T
    tied = {i: {j for j in rest if abs(P[i, j]) > 1e-6} for i in rest}
    for group in combinations(rest, 2):
        if tied[group[0]] == tied[group[1]] == set(group):
            texts = [_combinations_at(J_, x_, group, names) for J_, x_ in ((J, x), *others)]
            if common := [text for text in texts[0] if all(text in other for other in texts)]:
                said.append(f"{_listed([names[i] for i in group])}: only {common[0]} is determined")
                told |= set(group)
    if left := [i for i in rest if i not in told]:
        said.append(f"{_listed([names[i] for i in left])}: only combinations of them are determined")
    return tuple(names[i] for i in lost), tuple(said)


def _combinations_at(J: ndarray, x: ndarray, group: tuple[int, int], names: Sequence[str]) -> list[str]:
    at = list(group)
    A, size = scaled(J[:, at])
    own = null_space(A)
    return _combinations(own[:, 0] / size, x[at], [names[i] for i in at]) if own.shape[1] == 1 else []


def _combinations(direction: ndarray, x: ndarray, names: Sequence[str]) -> list[str]:
    # In A*B and A/B relative changes balance, in A + B and A - B absolute ones.
    found = []
    weights = _whole(direction)
    if weights is not None and abs(weights[0]) == abs(weights[1]):
        found.append(f"{names[0]} {'+' if weights[0] * weights[1] < 0 else '-'} {names[1]}")
    if (x != 0).all() and (powers := _whole(direction / x)) is not None:
        # What does not change under A^p B^q has exponents orthogonal to the direction.
        p, q = -powers[1], powers[0]
        p, q = (p, q) if p > 0 else (-p, -q)
        left = names[0] if p == 1 else f"{names[0]}**{p}"
        right = names[1] if abs(q) == 1 else f"{names[1]}**{abs(q)}"
        found.append(f"{left}*{right}" if q > 0 else f"{left}/{right}")
    return found


def _whole(values: ndarray) -> list[int] | None:
    least = np.abs(values).min()
    if not least > 0:
        return None
    scaled_values = values / least
    rounded = np.round(scaled_values)
    if np.abs(rounded).max() > 4 or np.abs(scaled_values - rounded).max() > 1e-4:
        return None
    return [int(v) for v in rounded]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def refuse_twins(form: Form) -> None:
    """Refuses two unknown functions of the same argument where every row has one number for both.

    In f(x)*z + g(x) the rows with one x and several z tell them apart; in f(x)*x + g(x) nothing does.

    Raises:
        TrainingError: there are two.
    """
    if len(form.expressions) != 1:
        return
    calls: dict[str, list[Any]] = {}
    for call in form.calls:
        calls.setdefault(call.function, []).append(call)
    single = {name: own[0] for name, own in calls.items() if len(own) == 1 and own[0].order == 0}
    inside = {s for call in form.calls for s in call.argument.free_symbols}
    for (one, a), (other, b) in combinations(single.items(), 2):
        if a.argument != b.argument or {a.value, b.value} & inside:
            continue
        slopes = [sympy.diff(form.expressions[0], call.value) for call in (a, b)]
        ratio = sympy.cancel(slopes[0] / slopes[1])
        if ratio.free_symbols <= {*a.argument.free_symbols, a.value, b.value}:
            raise TrainingError(
                f"fit: expected unknown functions that can be told apart, got {one} and {other}, of which only a "
                "combination is determined. Leave one of them out, or say more of it: zeros, a shape, a formula."
            )
