"""The search for a law in a noisy table: smaller tables first, then products, sums and ratios, until one fits.

A smooth function of the columns tells how much noise there is: no law leaves much more, and what leaves as much need
not be looked for in larger dictionaries. All formulas that were made are ranked by what they leave of all rows and by
their length; the front fits the numbers of the best and judges them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from math import log

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.budget import Exhausted
from kan2.laws.column import Column
from kan2.laws.families.search import best_curves
from kan2.laws.front.approximations import Approximation
from kan2.laws.front.complexity import complexity
from kan2.laws.front.polish import values
from kan2.laws.noisy.dictionary import Dictionary, factors, terms
from kan2.laws.noisy.plain import plain_products
from kan2.laws.noisy.products import products
from kan2.laws.noisy.reduce import Noisy, Trial, error_of, leaves_noise, reductions
from kan2.laws.noisy.sums import Sum, sums
from kan2.laws.reductions.reduction import Reduction
from kan2.laws.samples import Samples

ROWS, FEWER_ROWS = 600, 300  # for reductions, and for dictionaries
WIDTH, DEEPEST = 2, 8  # smaller tables that are kept of each size
MOST_TABLES = 7
PRODUCT = "a product: the logarithm of the target is a sum of logarithms"
USUAL = 3  # functions of the target with which large dictionaries are tried
BEST_OF_SIZE = 4  # sums of so many terms that are kept
LEFT = 1.03  # of what a smooth function leaves: a law leaves as much or less
NODE, NUMBER = 2.5, 3.0  # nats, see `kan2.laws.front.complexity`
MOST_OF_RATIOS = 3  # columns of which ratios of large dictionaries are looked for
MOST = 14  # candidates
FINITE = 0.99  # share of the rows at which a formula must have a value


Ways = Iterator[tuple[sympy.Expr, str]]


@dataclass(frozen=True, eq=False)
class _Outer:
    """A function of the target that may be a sum."""

    name: str
    function: Callable[[ndarray], ndarray]
    slope: Callable[[ndarray], ndarray]
    inverse: Callable[[sympy.Expr], sympy.Expr]
    has_ratios: bool = False


OUTER = (
    _Outer("y", lambda y: y, np.ones_like, lambda e: e, True),
    _Outer("1/y", lambda y: 1 / y, lambda y: y**-2.0, lambda e: 1 / e),
    _Outer("y^2", lambda y: y**2, lambda y: 2 * y, sympy.sqrt, True),
    _Outer("1/y^2", lambda y: y**-2.0, lambda y: 2 * y**-3.0, lambda e: 1 / sympy.sqrt(e)),
    _Outer("log(y)", np.log, lambda y: 1 / y, sympy.exp),
    _Outer("exp(y)", np.exp, np.exp, sympy.log),
    _Outer("cos(y)", lambda y: np.where((y >= 0) & (y <= np.pi), np.cos(y), np.nan), np.sin, sympy.acos, True),
    _Outer("sin(y)", lambda y: np.where(np.abs(y) <= np.pi / 2, np.sin(y), np.nan), np.cos, sympy.asin),
)


@dataclass(frozen=True, eq=False)
class _Scored:
    """An expression for the target, the mean square it leaves, and its length and errors together, in nats."""

    expression: sympy.Expr
    left: float
    length: float
    evidence: str


class NoisySearch:
    """The search for the law of one noisy table.

    Args:
        samples: the rows; all are used.
        starts: reductions of the table that are known to be right, such as to groups without units; by default there
            is one, the table itself.
        tell: called with a line of text at every step.
        outers: functions of the target that may be sums.

    Attributes:
        is_noisy: whether what a smooth function of the columns leaves is noise, so that no law is exact.
    """

    def __init__(
        self,
        samples: Samples,
        starts: Iterable[Reduction] = (),
        tell: Callable[[str], object] | None = None,
        *,
        outers: Sequence[_Outer] = OUTER,
    ) -> None:
        self._n_rows, self._part, self._outers = len(samples), _some(samples), outers
        part = self._part
        columns = [Column(part.X[:, j], s) for j, s in enumerate(samples.symbols)]
        whole = Noisy(tuple(c for c in columns if np.ptp(c.values) > 0), part.y, part.weights(part.y))
        tables = [whole]
        self._smaller: list[list[Trial]] = []
        self._n_groups = 0  # tables of columns without units, the first ones
        with suppress(Exhausted), np.errstate(all="ignore"):
            tables = [*(self._reduced(whole, start) for start in starts), whole]
            self._n_groups = len(tables) - 1
            self._smaller += (smaller_tables(start, tell) for start in tables)
        self.is_noisy = any(leaves_noise(min(trials, key=_error).table) for trials in self._smaller)
        self._found: dict[sympy.Expr, _Scored] = {}
        self._handed: set[sympy.Expr] = set()

    def _reduced(self, whole: Noisy, start: Reduction) -> Noisy:
        part, told = self._part, (start.evidence,) if start.evidence else ()
        columns = tuple(Column(values(c.expression, part.symbols, part.X), c.expression) for c in start.table.columns)
        factor = values(start.factor, part.symbols, part.X)
        return Noisy(columns, part.y / factor, whole.weight * factor**2, start.factor, told)

    def laws(self) -> Iterator[list[Approximation]]:
        """Yields formulas with numbers where a fit may begin, for as long as more are wanted.

        Yields:
            the most promising formulas so far that were not among those before, the best first; nothing, often, so that
            whoever asks may stop.

        Raises:
            Exhausted, OutOfTime: see `budget`.
        """
        noise = np.inf
        try:
            with np.errstate(all="ignore"):
                for i, trials in enumerate(self._smaller):
                    have_units = i >= self._n_groups
                    noise, whole = min(noise, min(map(_error, trials))), trials[-1].table
                    if not whole.sign and whole.main_sign:
                        # A target over decades: few rows count, so that smaller tables are found by chance.
                        yield from self._formulas(whole, noise, [_products(_fewer(whole), noise)])
                    for trial in [*trials[: MOST_TABLES - 1], trials[-1]]:
                        stages = _stages(trial.table, self._outers, noise, have_units)
                        yield from self._formulas(trial.table, noise, stages)
                    yield self._best()
        except Exhausted:
            yield self._best()
            raise

    def _formulas(self, table: Noisy, noise: float, stages: Iterable[Ways]) -> Iterator[list[Approximation]]:
        for stage in stages:
            new = False
            for expression, told in stage:
                yield []
                scored = _scored(expression, told, table, self._part, self._n_rows)
                if scored is not None and scored.expression not in self._found:
                    self._found[scored.expression] = scored
                    new |= scored.left <= LEFT * noise
            if new:
                yield self._best()

    def _best(self) -> list[Approximation]:
        # Many are the same function, written in other ways. Of another family they differ between the rows.
        different = {
            (float(f"{one.left:.9g}"), one.evidence): one
            for one in sorted(self._found.values(), key=lambda one: -one.length)
        }
        best = sorted(different.values(), key=lambda one: one.length)[:MOST]
        best = [one for one in best if one.expression not in self._handed]
        self._handed |= {one.expression for one in best}
        return [Approximation(one.expression, one.evidence, False) for one in best]


def _error(trial: Trial) -> float:
    return trial.error


def _some(samples: Samples) -> Samples:
    used = np.zeros(len(samples), bool)
    used[np.random.default_rng(0).permutation(len(samples))[:ROWS]] = True
    return samples.part(used)


def smaller_tables(start: Noisy, tell: Callable[[str], object] | None = None) -> list[Trial]:
    """Returns the table and smaller ones that describe the target as well, the smallest first."""
    whole = Trial(start, error_of(start)[0])
    found, beam, seen = [whole], [whole], {start.key}
    for _ in range(DEEPEST):
        smaller = [table for parent in beam for table in reductions(parent.table, WIDTH)]
        beam = []
        for trial in sorted((Trial(table, error_of(table)[0]) for table in smaller), key=lambda trial: trial.error):
            if len(beam) < WIDTH and trial.table.key not in seen:
                seen.add(trial.table.key)
                beam.append(trial)
                if tell is not None:
                    tell("; ".join(trial.table.evidence))
        if not beam:
            break
        found += beam
    return found[::-1]


def _stages(table: Noisy, outers: Sequence[_Outer], noise: float, have_units: bool) -> Iterator[Ways]:
    """Yields the ways to a formula of a table, the quick ones first."""
    if not table.columns:
        yield iter([(sympy.Float(float(np.average(table.y, weights=table.weight)), 17), "a product of powers")])
        return
    fewer = _fewer(table)
    groups = terms(fewer.columns)
    short = next(groups)
    # Together, so that the shortest of all is taken: with their shape numbers curves come near to many others.
    curves = _curves(fewer) if len(table.columns) == 1 else ()
    yield chain(_sums(short, fewer, outers, False), _products(fewer, noise), _plain(fewer, have_units), curves)
    yield _sums(short, fewer, outers, True)
    for group in groups:
        yield _sums(group, fewer, outers[:USUAL], False)
        if len(table.columns) <= MOST_OF_RATIOS:
            yield _sums(group, fewer, outers[:1], True)


def _fewer(table: Noisy) -> Noisy:
    """Returns those rows that count most, where few do, else the first ones."""
    order = np.arange(len(table.y))
    if not table.sign and table.main_sign:
        order = np.argsort(-table.weight * table.y**2, kind="stable")
    return table.at(order[:FEWER_ROWS])


def _curves(table: Noisy) -> Ways:
    (column,) = table.columns
    for curve in best_curves(column.values, table.y, table.weight):
        yield curve.of(column.expression, table.sign or 1), f"{curve.name} of {column.expression}"


def _plain(table: Noisy, have_units: bool) -> Ways:
    for expression in plain_products(table.columns, table.y, table.weight, have_units):
        yield expression, "a product of a monomial and a function of one"


def _products(table: Noisy, noise: float) -> Ways:
    for expression in products(table.columns, table.y, table.weight, factors(table.columns), noise):
        yield expression, PRODUCT


def _sums(dictionaries: Iterable[Dictionary], table: Noisy, outers: Sequence[_Outer], ratios: bool) -> Ways:
    for outer in outers:
        y, slope = outer.function(table.y), np.abs(outer.slope(table.y))
        weight = table.weight / slope**2
        if not (np.isfinite(y).all() and np.isfinite(weight).all() and weight.max() > 0):
            continue
        if ratios and not outer.has_ratios:
            continue
        of_size: dict[int, list[Sum]] = {}
        for dictionary in dictionaries:
            for found in sums(dictionary, y, weight / weight.max(), ratios=ratios):
                of_size.setdefault(found.size, []).append(found)
        kind = "ratio of sums" if ratios else "sum"
        for some in of_size.values():
            for found in sorted(some, key=lambda one: one.left)[:BEST_OF_SIZE]:
                yield outer.inverse(found.expression), f"{outer.name} is a {kind} of terms"


def _scored(expression: sympy.Expr, told: str, table: Noisy, part: Samples, n_rows: int) -> _Scored | None:
    whole = table.factor * expression
    found = values(whole, part.symbols, part.X)
    is_finite = np.isfinite(found)
    if is_finite.mean() < FINITE:
        return None
    if told is PRODUCT:
        # Its sign, and its size, which least squares of logarithms tell from other rows.
        good = part.weights(part.y) * is_finite
        size = float(np.sum((good * found * part.y)[is_finite]) / np.sum((good * found**2)[is_finite]))
        whole, found = sympy.Float(size, 17) * whole, size * found
    left = float(np.mean((part.weight * part.off(found) ** 2)[is_finite]))
    length = n_rows / 2 * log(max(left, 1e-300)) + NODE * complexity(whole) + NUMBER * len(whole.atoms(sympy.Float))
    return _Scored(whole, left, length, "; ".join([*table.evidence, told]))
