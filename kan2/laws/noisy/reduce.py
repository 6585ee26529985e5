"""Smaller tables that describe a noisy target as well: columns that do not matter, that are factors, that act together.

Each is a *reduction* of `kan2.laws.reductions`: exact as algebra, so that a law of the smaller table is one of the
table. Whether it is true is judged by rows left out (`smooth`): the one that misses them by least is taken, and the
next ones are kept in case it was wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations

import numpy as np
import sympy
import torch
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.column import Column
from kan2.laws.front.noise import looks_like_noise
from kan2.laws.noisy.smooth import basis, coordinate, degree_for, missed

ONE = sympy.Integer(1)
POWERS = tuple(sympy.Rational(p) for p in ("1", "-1", "2", "-2", "1/2", "-1/2", "3", "-3"))
WAYS = ("y", "log(y)")  # what a smooth function is of
ROUNDING = 1e-6  # share of the spread below which nothing is noise
MOST_NOISE = 0.3  # and above which too much is left to tell noise from waves
UNLIKELY = 0.05  # see `kan2.laws.front.noise`: what is called noise here ends the search for an exact law
# Error of a polynomial as a share of that of a degree less, from which on terms do not help. Of 120 tables of textbook
# laws it was 0.07 to 0.84 for seven of eight without noise whose errors looked like noise, and 0.9 to 1.6 for 52 of 69
# with noise.
SMOOTHER = 0.9
MOST_SCALED = 3  # columns of a table that is asked for c^p f(a/c): there are many such steps
STACKED = 12  # steps that are tried together
WORSE = 1.03  # how much worse than its parent a smaller table may be
TURNED = 1e-3  # share of squares, and of the usual size, of rows whose sign tells nothing
DOUBT = 1.02
FARTHEST = 100.0  # difference of logarithms


@dataclass(frozen=True, eq=False)
class Noisy:
    """A table whose target has errors.

    Attributes:
        columns: their values.
        y: the target.
        weight: of squared errors of the target.
        factor: what the law of the table is to be multiplied by.
        evidence: how it came about.
    """

    columns: tuple[Column, ...]
    y: Float[ndarray, "row"]
    weight: Float[ndarray, "row"]
    factor: sympy.Expr = ONE
    evidence: tuple[str, ...] = ()

    def at(self, rows: ndarray) -> "Noisy":
        """Returns some rows."""
        columns = tuple(Column(c.values[rows], c.expression) for c in self.columns)
        return Noisy(columns, self.y[rows], self.weight[rows], self.factor, self.evidence)

    @property
    def sign(self) -> int:
        """The sign of the target where it has one, else 0."""
        return 1 if (self.y > 0).all() else -1 if (self.y < 0).all() else 0

    @cached_property
    def main_sign(self) -> int:
        """The sign of the target but for rows so small that errors may have turned them, else 0."""
        if self.sign:
            return self.sign
        squares = self.weight * self.y**2
        above = float(squares[self.y > 0].sum() / squares.sum()) if squares.any() else 0.5
        return 1 if above > 1 - TURNED else -1 if above < TURNED else 0

    @cached_property
    def sizes(self) -> Float[ndarray, "row"]:
        """Magnitudes of the target, none of them below a small share of what is usual where errors turned some."""
        if self.sign:
            return np.abs(self.y)
        least = TURNED * float(np.sqrt(np.average(self.y**2, weights=self.weight)))
        return np.maximum(self.main_sign * self.y, least)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells the table from others of the same target."""
        return self.factor, *sorted((c.expression for c in self.columns), key=str)


@dataclass(frozen=True, eq=False)
class Trial:
    """A table, and the mean square by which a smooth function of it misses rows left out."""

    table: Noisy
    error: float


def error_of(table: Noisy, degree: int | None = None, ways: Sequence[str] = WAYS) -> tuple[float, str]:
    """Returns the mean square by which a smooth function of all columns misses rows left out, and the better way.

    The function is of the target or, where that has a sign, of its logarithm: products are sums there, and an error of
    the target is one of its logarithm divided by it.
    """
    return min((float(np.mean(table.weight * off**2)), way) for way, off in _misses(table, degree, ways))


def leaves_noise(table: Noisy) -> bool:
    """Tells whether what a smooth function of the columns misses the rows by looks like noise.

    What it hardly follows may have many waves, and what it follows to rounding has no noise. Nor has what it follows
    the better the more terms it has.
    """
    # The logarithm of what errors turned is too small or too large where the law is small, which is no noise.
    ways = WAYS if table.sign else WAYS[:1]
    error, way = error_of(table, None, ways)
    fewer = max(1, _degree(table, way) - 1)
    if table.columns and error < SMOOTHER**2 * error_of(table, fewer, (way,))[0]:
        return False
    ((_, off),) = _misses(table, None, (way,))
    spread = table.y - np.average(table.y, weights=table.weight)
    share = np.sqrt(error / np.mean(table.weight * spread**2))
    if not ROUNDING < share < MOST_NOISE:
        return False
    if not table.columns:
        return True
    X = np.stack([c.values for c in table.columns], 1)
    left = torch.from_numpy((np.sqrt(table.weight) * off)[:, None])
    return looks_like_noise(torch.from_numpy(X), left, UNLIKELY)


def _misses(table: Noisy, degree: int | None, ways: Sequence[str]) -> Iterator[tuple[str, Float[ndarray, "row"]]]:
    coordinates, n, y = [coordinate(c.values) for c in table.columns], len(table.y), table.y
    sign = table.main_sign
    if "y" in ways or not sign:
        A = basis(coordinates, degree or _degree(table, "y"), n)
        yield "y", missed(A, y, table.weight)
    if "log(y)" in ways and sign:
        A = basis(coordinates, degree or _degree(table, "log(y)"), n)
        size = table.sizes
        off = missed(A, np.log(size), table.weight * size**2)
        yield "log(y)", y - sign * size * np.exp(np.minimum(-off, FARTHEST))


def _degree(table: Noisy, way: str) -> int:
    """Returns the degree of a polynomial that the rows bear: few of them may count for all."""
    counts = table.weight * table.sizes**2 if way == "log(y)" else table.weight
    n = len(counts) if way == "y" or table.sign else int(counts.sum() ** 2 / (counts**2).sum())
    return degree_for(len(table.columns), n)


def reductions(table: Noisy, n: int) -> list[Noisy]:
    """Returns smaller tables that a function as free describes as well, the best n of them.

    A step alone takes one column away. Further steps with other columns are taken at once where the table bears them.
    """
    own, way = error_of(table)
    degree = _degree(table, way)

    def error(steps: Sequence[_Step]) -> float:
        return error_of(_after(table, steps), degree, (way,))[0]

    found = sorted(
        (e * step.doubt, i, step)
        for i, step in enumerate(_steps(table.columns))
        if (e := error([step])) <= step.most * own
    )
    smaller: list[Noisy] = []
    for least, _, first in found:
        steps, seen = [first], {str(one.key) for one in smaller}
        if str(_after(table, steps).key) in seen:
            continue
        for _, _, other in found[:STACKED]:
            if all(other.used.isdisjoint(step.used) for step in steps):
                new = error([*steps, other])
                if new <= other.most * least:
                    steps, least = [*steps, other], new
        made = _after(table, steps)
        if str(made.key) not in seen:
            smaller.append(made)
        if len(smaller) == n:
            break
    return smaller


@dataclass(frozen=True, eq=False)
class _Step:
    """Columns that are taken away, one that stands for them, and a factor.

    Attributes:
        used: positions of the columns.
        both: the column in their place, or None.
        factor: of the target, or None.
        told: why, in words.
        most: how much worse the table may be without them.
        doubt: what the error is multiplied by where steps are compared: of special ones there are many.
    """

    used: frozenset[int]
    both: Column | None
    factor: Column | None
    told: str
    most: float = WORSE
    doubt: float = 1.0


def _steps(columns: Sequence[Column]) -> Iterator[_Step]:
    for i, c in enumerate(columns):
        yield _Step(frozenset((i,)), None, None, f"{c.expression} does not matter", 1.0)
        for p in POWERS:
            if c.values.all() and (p.is_Integer or c.sign > 0):
                yield _Step(frozenset((i,)), None, c.raised(p), f"{c.expression**p} is a factor")
    for i, j in combinations(range(len(columns)), 2):
        for both in _together(columns[i], columns[j]):
            told = f"{columns[i].expression} and {columns[j].expression} act as {both.expression}"
            yield _Step(frozenset((i, j)), both, None, told)
    if len(columns) <= MOST_SCALED:
        yield from _scaled(columns)


def _scaled(columns: Sequence[Column]) -> Iterator[_Step]:
    """Yields steps to c^p f(a/c) and the like: the target scales with a column."""
    for i, j in permutations(range(len(columns)), 2):
        a, c = columns[i], columns[j]
        if not c.values.all():
            continue
        ratios = [Column(a.values / c.values, a.expression / c.expression)] if i < j else []
        ratios.append(Column(a.values / c.values**2, a.expression / c.expression**2))
        if i < j:
            ratios.append(Column(a.values * c.values, a.expression * c.expression))
        for both in ratios:
            for p in POWERS:
                if p.is_Integer or c.sign > 0:
                    told = f"{c.expression**p} is a factor, and {a.expression} and {c.expression} act as "
                    yield _Step(frozenset((i, j)), both, c.raised(p), f"{told}{both.expression}", doubt=DOUBT)


def _after(table: Noisy, steps: Sequence[_Step]) -> Noisy:
    used = frozenset().union(*(step.used for step in steps))
    columns = [step.both for step in steps if step.both is not None]
    columns += [c for i, c in enumerate(table.columns) if i not in used]
    y, weight, outer = table.y, table.weight, table.factor
    for factor in (step.factor for step in steps if step.factor is not None):
        y, weight, outer = y / factor.values, weight * factor.values**2, outer * factor.expression
    return Noisy(tuple(columns), y, weight, outer, (*table.evidence, *(step.told for step in steps)))


def _together(a: Column, b: Column) -> Iterator[Column]:
    A, B = a.expression, b.expression
    yield Column(a.values - b.values, A - B)
    yield Column(a.values + b.values, A + B)
    yield Column(a.values * b.values, A * B)
    yield Column(a.values**2 + b.values**2, A**2 + B**2)
    for p, q, P, Q in ((a.values, b.values, A, B), (b.values, a.values, B, A)):
        if q.all():
            yield Column(p / q, P / Q)
            yield Column(p / q**2, P / Q**2)
        yield Column(p * q**2, P * Q**2)
