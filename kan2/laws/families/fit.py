"""Fits of a family to rows: shape numbers by a global search and least squares, coefficients by linear algebra.

For given shape numbers the coefficients are those of linear least squares, so that only shape numbers are looked for
(*variable projection*): on a grid all at once, and from the lowest places of it by Levenberg-Marquardt steps. Further
parts are looked for in what is left, and then all shape numbers are fitted together.

Reference: Golub, Pereyra, Separable nonlinear least squares: the variable projection method and its applications,
Inverse Problems 19 (2003), R1.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import sympy
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import minimum_filter

from kan2.interrupts import check_time
from kan2.laws.budget import spend
from kan2.laws.families.family import COLUMN, SHAPES, Family, Range, compiled
from kan2.laws.numbers import number

Shapes = Sequence[Sequence[float]] | ndarray  # of each part
ROWS_OF_GRID, MOST_ROWS_OF_GRID = 240, 600  # that the grid is judged by; oscillations are seen by more
AT_ONCE = 2_000_000  # numbers of a grid that are in memory together
STARTS = 2  # lowest places of the grid from where a fit begins
STEPS, LESS = 40, 0.999  # of a fit, and what a step must leave at most: near its end a fit without noise goes fast
DIFFERENCE = 1e-7  # of shape numbers, for slopes
GAIN = 0.9  # of what is left must go for another part
NEEDLESS = 6.0  # over the rows: how much more may be left without a term, 2.4 standard errors of its coefficient
ROUNDING = 1e-11  # share of the spread that counts as nothing
ZERO = 1e-12  # shape number, as a share of the step of its grid, that is none
ROUNDS, AROUND = 9, 15  # of finer grids for steps, and their places
MOST_DIGITS, AWAY = 9, (0.0, 0.02, -0.02, 0.1, -0.1)  # of the places of steps, and where simple ones are looked for
SAME = 1e-6  # relative difference of what is left that is none
MOST_CANCELLED = 300.0  # times the largest value: so large may a term of a sum be
UNTOLD, MOVED = 1e-6, 1.01  # share of the range by which values must change with a shape number times that
ROOT = 2  # roots of numbers that are written as such
FINEST = 1e-10  # column, as a share of its size, that is left of one when others are taken out


@dataclass(frozen=True, eq=False)
class Curve:
    """A member of a family, fitted.

    Attributes:
        family: where it belongs.
        shapes: shape numbers of each part.
        base: the terms without shape numbers that take part.
        coefficients: of these, and then of the terms of each part.
        share: root mean square of what is left, in spreads; of the logarithm for a family of logarithms.
    """

    family: Family
    shapes: tuple[tuple[float, ...], ...]
    base: tuple[sympy.Expr, ...]
    coefficients: Float[ndarray, "term"]
    share: float

    @property
    def name(self) -> str:
        """What it is, in words."""
        is_power = self.family.is_of_logarithm and len(self.family.of_part) > 1 and not self.coefficients[-1]
        return "a power" if is_power else self.family.name

    def cancels(self, x: ndarray) -> bool:
        """Whether terms are so much larger than their sum that digits are lost."""
        terms = self._terms(x) * self.coefficients
        return bool(np.abs(terms).max() > MOST_CANCELLED * np.abs(terms.sum(-1)).max())

    def is_told_by(self, x: ndarray) -> bool:
        """Whether the values of the curve tell its shape numbers: those of a steep logistic curve, a step, do not."""
        if self.family.is_rough:
            return True
        with np.errstate(all="ignore"):
            found = self.at(x)
            least = UNTOLD * float(np.ptp(found))
            for part, shapes in enumerate(self.shapes):
                for i, value in enumerate(shapes):
                    moved = (*shapes[:i], MOVED * value, *shapes[i + 1 :])
                    other = replace(self, shapes=(*self.shapes[:part], moved, *self.shapes[part + 1 :]))
                    if value and np.abs(other.at(x) - found).max() <= least:
                        return False
        return True

    @property
    def n_numbers(self) -> int:
        """How many numbers were fitted."""
        return int(np.count_nonzero(self.coefficients) + np.count_nonzero(self.shapes))

    def at(self, x: ndarray, sign: int = 1) -> ndarray:
        """Returns the values of the curve; arguments as in `of`."""
        found = self._terms(x) @ self.coefficients
        return sign * np.exp(found) if self.family.is_of_logarithm else found

    def _terms(self, x: ndarray) -> Float[ndarray, "row term"]:
        terms = [np.broadcast_to(np.asarray(one, float), x.shape) for one in compiled(self.base)(x)]
        return np.stack([*terms, *(value for shapes in self.shapes for value in self.family.at(x, shapes))], -1)

    def of(self, column: sympy.Expr, sign: int = 1, close: float = 1e-9) -> sympy.Expr:
        """Returns the expression in a column.

        Args:
            column: in its place.
            sign: of the target, for families of logarithms.
            close: relative difference within which a number is a simple one.
        """
        family, known = self.family, lambda value: number(float(value), close)
        terms = list(self.base)
        for shapes in self.shapes:
            # Places of steps are between rows, and simple already.
            exact = [sympy.Rational(str(s)) if family.is_rough else known(s) for s in shapes]
            terms += [term.xreplace(dict(zip(SHAPES, exact))) for term in family.of_part]
        total: Any = sympy.Integer(1)
        if family.is_of_logarithm:
            for c, term in zip(self.coefficients, terms):
                total *= (
                    known(np.exp(c)) if term == 1
                    else term.args[0] ** known(c) if isinstance(term, sympy.log)
                    else sympy.exp(known(c) * term)
                )  # fmt: skip
            total *= sign
        else:
            total = sympy.Add(*_added([(float(c), term) for c, term in zip(self.coefficients, terms) if c], known))
        return cast(sympy.Expr, _without_roots(total).xreplace({COLUMN: column}))


def _added(terms: list[tuple[float, Any]], known: Callable[[float], sympy.Expr]) -> Iterator[sympy.Expr]:
    """Yields terms with their coefficients; a cosine and a sine of the same are one oscillation with a phase."""
    terms = list(terms)
    while terms:
        a, term = terms.pop(0)
        wave = next(iter(term.atoms(sympy.cos)), None)
        other = None if wave is None else term.xreplace({wave: sympy.sin(wave.args[0])})
        pair = next((entry for entry in terms if entry[1] == other), None)
        if wave is None or pair is None:
            yield known(a) * term
            continue
        terms.remove(pair)
        size, u = float(np.hypot(a, pair[0])), wave.args[0]
        ways = [(sympy.sin, known(np.arctan2(a, pair[0]))), (sympy.cos, known(-np.arctan2(pair[0], a)))]
        kind, phase = min(ways, key=lambda way: (way[1].is_Float, bool(abs(way[1]) > np.pi / 2)))
        yield known(size) * term.xreplace({wave: kind(u + phase)})


def _without_roots(expression: sympy.Expr) -> sympy.Expr:
    # (10/17)^(3/5) says less than 0.7273.
    known: Any = expression
    return known.replace(
        lambda e: e.is_Pow and e.base.is_Rational and e.exp.is_Rational and e.exp.q > ROOT,
        lambda e: sympy.Float(e.evalf(17), 17),
    )


def fits(family: Family, x: ndarray, y: ndarray, weight: ndarray) -> Iterator[Curve]:
    """Yields the best member of a family with one part, with two, and so on, as long as each gains.

    Args:
        family: the family.
        x: (row,) the column, in increasing order.
        y: (row,) the target.
        weight: (row,) of squares of errors of the target.

    Raises:
        Exhausted, OutOfTime: see `budget`.
    """
    range_ = Range(x)
    if (family.is_positive and not range_.is_positive) or not range_.width > 0:
        return
    if family.is_of_logarithm:
        if not ((y > 0).all() or (y < 0).all()):
            return
        y, weight = np.log(np.abs(y)), weight * y**2
    fit = _Fit(family, range_, y, np.sqrt(weight / weight.mean()))
    for n_base in range(min(1, len(family.of_base)), len(family.of_base) + 1):
        # A fit with a line beside a curve may end where one without it never goes.
        fit.base = tuple(range(n_base))
        yield from fit.parts(family.most if n_base <= 1 else 1)


class _Fit:
    def __init__(self, family: Family, range_: Range, y: ndarray, root: ndarray) -> None:
        self.family, self.root = family, root
        self.x, self.z = range_.x, root * y
        self.spread = float(np.mean((self.z - root * np.average(y, weights=root**2)) ** 2))
        self.base = tuple(range(len(family.of_base)))
        self.of_base = [root * column for column in family.base_at(self.x)]
        self.grids = family.grids(range_)

    def parts(self, most: int) -> Iterator[Curve]:
        """Yields the best curve with one part, and with more."""
        nothing = ROUNDING**2 * self.spread
        known: tuple[tuple[float, ...], ...] = ()
        least = np.inf
        for _ in range(most):
            check_time()
            trials = [self.refined((*known, start)) for start in self.starts(known)]
            found = min(trials, key=lambda one: one[0], default=None)
            if found is None or not found[0] < GAIN * least:
                return
            least, known = found
            yield self.without_needless(known)
            if least <= nothing:
                return

    def _columns(self, shapes: Shapes) -> ndarray:
        parts = [self.root * column for part in shapes for column in self.family.at(self.x, tuple(part))]
        columns = [*(self.of_base[i] for i in self.base), *parts]
        return np.stack(columns, 1) if columns else np.zeros((len(self.x), 0))

    def left_of(self, shapes: Shapes) -> tuple[float, ndarray, ndarray]:
        """Returns the mean square that is left for shape numbers, what is left, and the coefficients."""
        A = self._columns(shapes)
        spend(*A.shape)
        if not np.isfinite(A).all():
            return np.inf, self.z, np.zeros(A.shape[1])
        left, c = _solved(A, np.ones(A.shape[1], bool), self.z)
        return left, self.z - A @ c, c

    def starts(self, known: Shapes) -> list[tuple[float, ...]]:
        """Returns the shape numbers of another part at the lowest places of the grid."""
        shape = tuple(map(len, self.grids))
        if not shape:
            return [()]
        n = max(ROWS_OF_GRID, min(2 * max(shape), MOST_ROWS_OF_GRID))
        rows = np.unique(np.linspace(0, len(self.x) - 1, n).astype(int))
        places = np.stack(np.meshgrid(*self.grids, indexing="ij"), -1).reshape(-1, len(shape))
        left = self._scanned(places, known, rows).reshape(shape)
        lowest = (left == minimum_filter(left, 3, mode="nearest")) & np.isfinite(left)
        order = np.flatnonzero(lowest)[np.argsort(left[lowest], kind="stable")][:STARTS]
        return [tuple(places[i].tolist()) for i in order]

    def _scanned(self, places: ndarray, known: Shapes, rows: ndarray) -> Float[ndarray, "place"]:
        """Returns what is left of some rows with another part, for each of its shape numbers (place, shape)."""
        x, root = self.x[rows], self.root[rows]
        Q = np.linalg.qr(self._columns(known)[rows])[0]
        z = self.z[rows] - Q @ (Q.T @ self.z[rows])
        found, step = [], max(1, AT_ONCE // len(x))
        with np.errstate(all="ignore"):
            for some in (places[i : i + step] for i in range(0, len(places), step)):
                spend(len(some) * len(x), 2)
                terms = [root * term for term in self.family.at(x, tuple(some.T[:, :, None]))]
                found.append(_left(np.stack(np.broadcast_arrays(*terms), 1), Q, z))
        return np.concatenate(found)

    def refined(
        self, shapes: Shapes, free: Bool[ndarray, "shape"] | None = None
    ) -> tuple[float, tuple[tuple[float, ...], ...]]:
        """Fits the shape numbers of all parts, or some, from where they are; returns what is left, and these."""
        if self.family.is_rough:
            return self._finer(shapes)
        theta, n = np.array(shapes, float).ravel(), self.family.n_shapes

        def left_of(theta: ndarray) -> tuple[float, ndarray]:
            with np.errstate(all="ignore"):
                return self.left_of(theta.reshape(-1, n))[:2] if n else self.left_of(())[:2]

        if not n:
            return self.left_of(((),))[0], ((),)
        size = np.maximum(np.abs(theta), [np.ptp(grid) / len(grid) for grid in self.grids] * len(shapes))
        steps = np.eye(len(theta)) if free is None else np.eye(len(theta))[np.flatnonzero(free)]
        sizes = steps @ size
        least, left = left_of(theta)
        damping = 1e-3
        for _ in range(STEPS):
            check_time()
            slopes = [(left_of(theta + DIFFERENCE * s * e)[1] - left) / DIFFERENCE for s, e in zip(sizes, steps)]
            if not slopes or not np.isfinite(J := np.stack(slopes, 1)).all():
                break
            before = least
            for _ in range(6):
                H = J.T @ J
                H[np.diag_indices(len(H))] *= 1 + damping
                with np.errstate(all="ignore"):
                    trial = theta - (sizes * np.linalg.lstsq(H, J.T @ left, rcond=1e-14)[0]) @ steps
                new, its_left = left_of(trial)
                if new < least:
                    theta, least, left, damping = trial, new, its_left, damping * 0.05
                    break
                damping = max(damping * 10, 1e-9)
            if not least < before * LESS:
                break
        theta[np.abs(theta) < ZERO * size] = 0.0
        return least, tuple(map(tuple, theta.reshape(-1, n).tolist()))

    def _finer(self, shapes: Shapes) -> tuple[float, tuple[tuple[float, ...], ...]]:
        """Looks on finer and finer grids around the last part, whose terms have no slopes, and for simple numbers."""
        *known, last = map(tuple, shapes)
        best, place = self.left_of([*known, last])[0], np.array(last)
        rows, nothing = np.arange(len(self.x)), ROUNDING**2 * self.spread
        reach = np.array([np.ptp(grid) / len(grid) for grid in self.grids])
        for _ in range(ROUNDS if len(place) > 1 else 0):
            around = np.stack(np.meshgrid(*(p + r * np.linspace(-1, 1, AROUND) for p, r in zip(place, reach))), -1)
            places = around.reshape(-1, len(place))
            left = self._scanned(places, known, rows)
            if left.min() < best - nothing:
                best, place = float(left.min()), places[left.argmin()]
            reach /= 3
        most = best * (1 + SAME) + nothing
        for digits in range(1, MOST_DIGITS):
            # The first number as simple as it may be, then the second.
            first = float(f"{place[0]:.{digits}g}")
            trials = ((first, *other) for other in (_by_length(place[1]) if len(place) > 1 else [()]))
            good = next((trial for trial in trials if self.left_of([*known, trial])[0] <= most), None)
            if good is not None:
                place = np.array(good)
                break
        found = (*known, tuple(place.tolist()))
        return self.left_of(found)[0], found

    def without_needless(self, shapes: tuple[tuple[float, ...], ...]) -> Curve:
        """Returns the curve without terms that are of no use."""
        everything = self.base
        least, _, _ = self.left_of(shapes)
        nothing = ROUNDING**2 * self.spread
        for i in reversed(everything):
            before, self.base = self.base, tuple(j for j in self.base if j != i)
            left, its = self.refined(shapes)
            if left <= max(least * (1 + NEEDLESS / len(self.x)), nothing):
                shapes = its
            else:
                self.base = before
        shapes = self._with_zeros(shapes, nothing)
        base = tuple(self.family.of_base[i] for i in self.base)
        A = self._columns(shapes)
        self.base = everything
        kept = np.ones(A.shape[1], bool)
        left, coefficients = _solved(A, kept, self.z)
        for i in range(len(base), A.shape[1]) if len(self.family.of_part) > 1 else ():
            kept[i] = False
            new, its_coefficients = _solved(A, kept, self.z)
            kept[i] = new > max(left * (1 + NEEDLESS / len(self.x)), nothing)
            if not kept[i]:
                left, coefficients = new, its_coefficients
        return Curve(self.family, shapes, base, coefficients, float(np.sqrt(left / self.spread)))

    def _with_zeros(self, shapes: tuple[tuple[float, ...], ...], nothing: float) -> tuple[tuple[float, ...], ...]:
        """Returns shape numbers that are 0 where they may be."""
        n = self.family.n_shapes
        for i in range(0 if self.family.is_rough else n * len(shapes)):
            least, theta = self.left_of(shapes)[0], np.array(shapes).ravel()
            if theta[i]:
                theta[i] = 0.0
                left, its = self.refined(theta.reshape(-1, n), theta != 0)
                if left <= max(least * (1 + NEEDLESS / len(self.x)), nothing):
                    shapes = its
        return shapes


def _solved(A: ndarray, kept: ndarray, z: ndarray) -> tuple[float, ndarray]:
    """Returns the mean square that some columns leave, and the coefficients, 0 for the others."""
    size = np.sqrt((A**2).sum(0))
    size[size == 0] = 1.0
    c = np.zeros(A.shape[1])
    c[kept] = np.linalg.lstsq(A[:, kept] / size[kept], z, rcond=1e-13)[0] / size[kept]
    return float(np.mean((z - A @ c) ** 2)), c


def _by_length(value: float) -> list[tuple[float]]:
    """Returns numbers near one between 0 and 1, the simple ones first."""
    found = [0.0, 0.5, *(float(f"{value + by:.{digits}f}") for digits in (1, 2, 3) for by in AWAY)]
    return [(one,) for one in dict.fromkeys(found)]


def _left(A: ndarray, Q: ndarray, z: ndarray) -> ndarray:
    """Returns the mean square that each set of terms (place, term, row) leaves of a target, beside columns Q."""
    own = (A**2).sum(-1)
    flat = A.reshape(-1, A.shape[-1])
    A = (flat - (flat @ Q) @ Q.T).reshape(A.shape)
    G, b = A @ np.swapaxes(A, 1, 2), A @ z
    diagonal = np.diagonal(G, axis1=1, axis2=2)
    is_good = np.isfinite(G).all((1, 2)) & (diagonal > FINEST * own).any(1)
    G, b, scale = np.where(is_good[:, None, None], G, 0.0), np.where(is_good[:, None], b, 0.0), diagonal.max(1)
    G = G + np.where(is_good, 1e-12 * scale, 1.0)[:, None, None] * np.eye(G.shape[1])
    explained = (b * np.linalg.solve(G, b[..., None])[..., 0]).sum(-1)
    return np.where(is_good, (z @ z - explained) / len(z), np.inf)
