"""A function of the target that is a sum of functions of single columns: g(y) = f1(x1) + f2(x2) + ...

With smooth splines for the functions this is linear: where a sum of them gives rows kept aside, each is a curve of
known error. Curves are named from a short dictionary, or else from the families, and then all numbers of the sum are
fitted together. What comes out is believed only if it gives the target at all rows to rounding.

References: Hastie, Tibshirani, Generalized additive models, Statistical Science 1 (1986); Breiman, Friedman,
Estimating optimal transformations, J. Am. Stat. Assoc. 80 (1985), for functions of the target.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations, islice, product
from typing import Any, cast

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import BSpline

from kan2.laws.algebra.outer import Outer, outer_functions
from kan2.laws.algebra.relations import holds
from kan2.laws.budget import budget, spend
from kan2.laws.column import Column, Table
from kan2.laws.families.catalogue import CATALOGUE
from kan2.laws.families.fit import fits
from kan2.laws.found import Found
from kan2.laws.front.polish import Fit, Form, values
from kan2.laws.numbers import number
from kan2.laws.samples import samples_of

DEGREE, FEWEST_PIECES, MOST_PIECES = 5, 6, 60
ROWS_A_PIECE = 4
HELD = 5  # of so many rows one is kept aside, by lot: rows of a grid come in turns
MOST_ROWS = 2000  # that curves are told from
CLOSE = 1e-4  # spreads of the target that splines of a sum may leave
MANY_DECADES = 1.0  # from which on a spline is one of the logarithm
SLACK = 10.0  # times the error of the splines, for a curve with a name
FLAT = 3.0  # and for one that is none
CHOICES = 2  # names of a curve from the dictionary that are tried
MOST_TERMS = 3  # of the dictionary
DISTANCES, N_DISTANCES = (-7.0, 4.0), 45  # logarithms, in ranges of the target
ROWS_OF_FAMILIES = 200
ROWS = 400  # that numbers are fitted to first
WORK = 6.0  # see `budget`


@dataclass(frozen=True, eq=False)
class Sum:
    """Curves whose sum is a function of the target.

    Attributes:
        curves: (column, row) each with mean zero.
        error: root mean square of what they leave on rows kept aside.
        spread: standard deviation of the function of the target.
    """

    curves: Float[ndarray, "column row"]
    error: float
    spread: float


class Splines:
    """Sums of splines of the columns of a table, for any target.

    Args:
        table: the columns; its target plays no part.
        pieces: of each spline.
    """

    def __init__(self, table: Table, pieces: int) -> None:
        self.blocks = [_basis(column, pieces) for column in table.columns]
        n = len(table)
        self._all = np.column_stack([np.ones(n), *self.blocks])
        self._held = np.random.default_rng(0).permutation(n) < n // HELD
        spend(n, self._all.shape[1], 3)
        U, s, V = np.linalg.svd(self._all[~self._held], full_matrices=False)
        told = s > 1e-12 * s[0]
        self._U, self._of_held = U[:, told], self._all[self._held] @ (V[told].T / s[told])

    def error(self, z: Float[ndarray, "row"]) -> float:
        """Returns what is left of a target on rows kept aside, in its spreads; infinite where it is none."""
        spread = float(z.std())
        if not np.isfinite(spread) or not spread > 0:
            return np.inf
        left = self._of_held @ (self._U.T @ z[~self._held]) - z[self._held]
        return float(np.sqrt(np.mean(left**2))) / spread

    def sum(self, z: Float[ndarray, "row"]) -> Sum | None:
        """Returns the curves whose sum is a target, or None where there are none."""
        if not (error := self.error(z)) < CLOSE:
            return None
        spend(len(z), self._all.shape[1], 3)
        coefficients = np.linalg.lstsq(self._all, z, rcond=1e-12)[0]
        ends = np.cumsum([1, *(block.shape[1] for block in self.blocks)])
        parts = [block @ coefficients[a:b] for block, a, b in zip(self.blocks, ends, ends[1:])]
        spread = float(z.std())
        return Sum(np.array([part - part.mean() for part in parts]), error * spread, spread)


def additive_law(table: Table) -> Found | None:
    """Looks for a sum of functions of single columns behind a function of the target.

    Example:
        >>> x, z = np.random.default_rng(0).uniform(-1, 1, (2, 300))
        >>> columns = (Column(x, sympy.Symbol("x")), Column(z, sympy.Symbol("z")))
        >>> additive_law(Table(columns, np.exp(np.sin(np.pi * x) + z**2))).expression
        exp(z**2 + sin(pi*x))
    """
    some = table.at(np.linspace(0, len(table) - 1, min(len(table), MOST_ROWS)).astype(int))
    pieces = min(len(some) // (ROWS_A_PIECE * table.n_columns) - DEGREE, MOST_PIECES)
    if table.n_columns < 2 or pieces < FEWEST_PIECES or any(c.n_different < 3 for c in some.columns):
        return None
    with budget(WORK), np.errstate(all="ignore"):
        splines = Splines(some, pieces)
        # A function of one column is a sum whatever stands around it; the least complicated one is followed best.
        outers = sorted(_outers(some), key=lambda outer: splines.error(outer.values))
        for outer in chain(outers, _shifted(some, splines)):
            found = splines.sum(outer.values)
            expression = None if found is None else _named(some, outer, found, table)
            if found is not None and expression is not None:
                told = (
                    f"{outer.name} is a sum of functions of single columns: splines leave "
                    f"{found.error / found.spread:.0e} of its spread on rows kept aside; the functions are named one "
                    "by one, and all numbers fitted together"
                )
                return Found(expression, (told,))
    return None


def _outers(table: Table) -> Iterator[Outer]:
    yield from outer_functions(table.y)
    if table.sign:
        yield Outer("1/y", 1 / table.y, lambda e: iter([1 / e]))


def _shifted(table: Table, splines: Splines) -> Iterator[Outer]:
    """Yields the logarithm of the distance of the target from a number, where it is a sum for that number alone."""
    from scipy.optimize import minimize_scalar

    y, width = table.y, float(np.ptp(table.y))
    for end, sign in ((float(y.min()), 1), (float(y.max()), -1)):

        def error(log_distance: float, end: float = end, sign: int = sign) -> float:
            return splines.error(np.log(sign * (y - end) + width * np.exp(log_distance)))

        grid = np.linspace(*DISTANCES, N_DISTANCES)
        spend(len(y), splines.blocks[0].shape[1], N_DISTANCES // 10)
        errors = [error(one) for one in grid]
        best = int(np.argmin(errors))
        if not 0 < best < len(grid) - 1:
            continue
        step = grid[1] - grid[0]
        lowest: Any = minimize_scalar(error, bounds=(grid[best] - step, grid[best] + step), options={"xatol": 1e-9})
        if lowest.fun < CLOSE:
            shift = sympy.Float(end - sign * width * float(np.exp(lowest.x)), 17)
            values_of = np.log(sign * (y - float(shift)))
            yield Outer(f"log|y - {float(shift):.6g}|", values_of, partial(_exponential, shift, sign))


def _exponential(shift: sympy.Expr, sign: int, e: sympy.Expr) -> Iterator[sympy.Expr]:
    yield shift + sign * sympy.exp(e)


def _basis(column: Column, pieces: int) -> Float[ndarray, "row spline"]:
    """Returns the splines of a column less one, since together they are a constant, and a logarithm through zero."""
    t, further = column.values, []
    if not column.sign and t.all():
        further = [np.log(np.abs(t))]
    elif column.sign and np.log10(column.largest / float(np.abs(t).min())) > MANY_DECADES:
        t = np.log(np.abs(t))
    inside = np.unique(np.quantile(t, np.linspace(0, 1, pieces + 1)))
    knots = np.r_[[inside[0]] * DEGREE, inside, [inside[-1]] * DEGREE]
    return np.column_stack([BSpline.design_matrix(t, knots, DEGREE).toarray()[:, 1:], *further])


def _named(table: Table, outer: Outer, found: Sum, whole: Table) -> sympy.Expr | None:
    """Returns the expression whose curves have names and that gives the whole table."""
    symbols = tuple(sympy.Dummy(f"u{i}", real=True) for i in range(table.n_columns))
    names = []
    for symbol, column, curve in zip(symbols, table.columns, found.curves):
        if np.sqrt(np.mean(curve**2)) < FLAT * found.error:
            names.append([sympy.Integer(0)])
            continue
        some = list(_of_dictionary(symbol, column.values, curve, SLACK * found.error))
        some = some or list(islice(_of_families(symbol, column.values, curve, SLACK * found.error), 1))
        if not some:
            return None
        names.append(some)
    back = {symbol: column.expression for symbol, column in zip(symbols, table.columns)}
    for terms in product(*names):
        total = sympy.Add(*terms)
        total += sympy.Float(np.mean(outer.values - values(total, symbols, table.X)), 17)
        for inverse in outer.inverses(total):
            fitted = _fitted(inverse, symbols, whole)
            if fitted is not None:
                return cast(sympy.Expr, fitted.xreplace(back))
    return None


def _dictionary(u: sympy.Symbol, t: ndarray) -> Iterator[sympy.Expr]:
    yield u
    yield u**2
    yield sympy.Abs(u)
    if t.all():
        yield from (1 / u, u**-2, sympy.log(u if (t > 0).all() else sympy.Abs(u)))
    yield from (u**3, u**4)
    if (t > 0).all():
        yield from (sympy.sqrt(u), u * sympy.log(u), 1 / sympy.sqrt(u), u ** sympy.Rational(3, 2))
    yield from (sympy.exp(u), sympy.exp(-u), sympy.sin(u), sympy.cos(u), sympy.exp(-(u**2)), u**5, u**6)
    yield from (sympy.atan(u), sympy.tanh(u), sympy.sqrt(1 + u**2), sympy.log(1 + u**2), 1 / (1 + u**2))
    yield from (sympy.Heaviside(u), sympy.sin(2 * u), sympy.cos(2 * u))


def _of_dictionary(u: sympy.Symbol, t: ndarray, curve: ndarray, close: float) -> Iterator[sympy.Expr]:
    """Yields combinations of few terms that give a curve up to a constant, of those with as few as possible."""
    kept, columns = [], []
    for term in _dictionary(u, t):
        column = values(term, (cast(Any, u),), t[:, None])
        column = column - column.mean()
        size = float(np.sqrt(np.mean(column**2)))
        if np.isfinite(column).all() and size > 0:
            kept.append((term, size))
            columns.append(column / size)
    # Reduced to the rank of the dictionary once, so that subsets are small.
    M = np.column_stack([*columns, curve])
    spend(*M.shape)
    R: Any = np.linalg.qr(M, mode="r")
    for n in range(1, MOST_TERMS + 1):
        subsets = np.array(list(combinations(range(len(kept)), n)))
        spend(len(R), n, max(1, len(subsets) // 100))
        A = np.swapaxes(np.take(R, subsets, axis=1), 0, 1)
        c = np.linalg.pinv(A, rcond=1e-9) @ R[:, -1]
        left = np.sqrt((((A @ c[..., None])[..., 0] - R[:, -1]) ** 2).sum(1) / len(t))
        good = [i for i in np.argsort(left, kind="stable")[:CHOICES] if left[i] <= close]
        for i in good:
            yield sympy.Add(*(float(a) / kept[j][1] * kept[j][0] for a, j in zip(c[i], subsets[i])))
        if good:
            return


def _of_families(u: sympy.Symbol, t: ndarray, curve: ndarray, close: float) -> Iterator[sympy.Expr]:
    """Yields members of families that give a curve up to a constant, those with the fewest shape numbers first."""
    chosen = np.argsort(t, kind="stable")[np.linspace(0, len(t) - 1, min(len(t), ROWS_OF_FAMILIES)).astype(int)]
    x, y, weight = t[chosen], curve[chosen], np.ones(len(chosen))
    for family in sorted(CATALOGUE, key=lambda family: family.n_shapes):
        if family.is_of_logarithm:
            continue  # curves are known up to a constant
        with suppress(np.linalg.LinAlgError):  # some shape numbers overflow
            for found in fits(family, x, y, weight):
                if np.sqrt(np.mean((found.at(t) - curve) ** 2)) <= close:
                    yield found.of(u, close=1e-6)
                    break


def _fitted(expression: sympy.Expr, symbols: tuple[sympy.Symbol, ...], table: Table) -> sympy.Expr | None:
    """Returns an expression with all numbers fitted together, simple where they are, if it gives the target."""
    rows = np.linspace(0, len(table) - 1, min(len(table), ROWS)).astype(int)
    form = Form.of(expression)
    spend(len(rows), len(form.numbers), 10)
    found = Fit(form, samples_of(table.X[rows], table.y[rows], symbols)).expression

    def gives(one: sympy.Expr) -> bool:
        return holds(values(one, symbols, table.X), table.y)

    if not gives(found):
        return None
    simpler = cast(sympy.Expr, found.xreplace({f: number(float(f)) for f in found.atoms(sympy.Float)}))
    found = simpler if gives(simpler) else found
    for f in sorted(found.atoms(sympy.Float), key=lambda f: abs(float(f))):
        without = cast(sympy.Expr, found.xreplace({f: sympy.Integer(0)}))
        if without.free_symbols and gives(without):
            found = without
    return found
