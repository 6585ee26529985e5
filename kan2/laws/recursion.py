"""The search: linear algebra, then a surrogate, what it suggests, and again on the exactly smaller table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import Generic, TypeVar

import numpy as np
import sympy

from kan2.laws.algebra.letters import alphabets, plain
from kan2.laws.algebra.outer_scales import law_with_a_scaled_target
from kan2.laws.algebra.plans import law_with_functions, polynomial_law
from kan2.laws.algebra.scales import law_with_a_scale, law_with_usual_scales
from kan2.laws.column import Column, Table
from kan2.laws.families.additive import additive_law
from kan2.laws.families.search import law_of_a_family
from kan2.laws.found import Found
from kan2.laws.reductions.groups import group_reductions
from kan2.laws.reductions.leading import leading_reductions
from kan2.laws.reductions.neighbours import neighbour_reductions
from kan2.laws.reductions.pairs import pair_reductions
from kan2.laws.reductions.reduction import Reduction
from kan2.laws.reductions.relevant import relevant_reductions
from kan2.laws.reductions.single import is_function
from kan2.laws.reductions.splits import split_reductions
from kan2.laws.reductions.surrogate import Coordinates, surrogate
from kan2.laws.reductions.symmetries import factor_reductions, scaling_reductions
from kan2.units.dimensions import Dimensions

DEEPEST = 5
ROUNDS = 3  # of surrogates from other starts
HOPEFUL = 0.1  # error of a surrogate above which other starts see no more
DOUBT_PER_ERROR, LARGE = 10.0, 0.01  # what the error of a surrogate adds to the score of what it suggests
TRIED, PAIRS = 5, 3  # reductions of one surrogate that are followed, pairs among them
USEFUL = 3e-3  # largest relative error of a surrogate with a bottleneck that is asked for symmetries
WORSE, ALWAYS = 20.0, 2e-4  # how much worse than its parent a smaller table may be told from its columns
RANK = 3e-5  # error of a bottleneck that says that no wider one is needed
SURE = 0.04  # score below which a reduction is followed to its end at once
# Work on a table of groups beside that on others: it is right that the law is one of them. B.14 of Feynman's lectures,
# cos(theta) (d^3/r^3 (alpha - 1)/(alpha + 2) - 1) in three groups, needs more than the usual.
OF_GROUPS = 4.0
# Medians of magnitudes that are left as they are: functions of a column see it in the unit of the user, and powers of
# it stay within the range of numbers.
TYPICAL = (1e-40, 1e40)


T = TypeVar("T")


@dataclass
class Search:
    """A search for the law of one table of a user; it may be used once.

    It goes through the tree of reductions twice: with the quick relations alone, then with all of them. What surrogates
    suggest is kept for the second time. Then it starts again with surrogates from other starts.

    Attributes:
        seed: of the surrogates.
        tell: called with a line of text at every step.
        dimensions: of the columns and the target of the whole table, where they are known; then that is first reduced
            to groups without dimension.
        log: the lines of text.
    """

    seed: int = 0
    tell: Callable[[str], object] | None = None
    dimensions: Dimensions | None = None
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._effort, self._round = 0, 0
        self._best = inf  # error of the best surrogate of the whole table
        self._seen: set[tuple[str, ...]] = set()
        self._suggestions: dict[tuple[str, ...], _Kept[tuple[Reduction, float]]] = {}

    def law(self, table: Table) -> Found | None:
        """Returns the law of a table, or None."""
        start = in_usual_sizes(table)
        for n_round, effort in ((0, 0), (0, 1), *((n, 0) for n in range(1, ROUNDS))):
            if n_round > self._round:
                if self._best > HOPEFUL:
                    break
                self._suggestions.clear()
            self._round, self._effort = n_round, effort
            self._seen.clear()
            found = self._law(start.table, 0, inf, start)
            if found is not None:
                return Found(start.factor * found.expression, found.evidence)
        return None

    def _law(self, table: Table, depth: int, error: float, way: Reduction) -> Found | None:
        found = self._named(table, depth)
        if found is None and table.n_columns > 1 and depth < DEEPEST:
            found = self._reduced(table, depth, error, way)
        return found

    def _named(self, table: Table, depth: int) -> Found | None:
        """Looks for the law by linear algebra alone."""
        if self._round and depth == 0:
            return None  # as before
        found = polynomial_law(table) or additive_law(table) if self._effort == 0 else None
        share = OF_GROUPS if self.dimensions is not None and depth == 1 else 1.0
        found = found or law_with_functions(table, self._effort, share)
        if found is None and table.n_columns == 1 and self._effort == 0:
            # There is nothing else to be done with a single column.
            found = (
                law_of_a_family(table.columns[0], table.y)
                or law_with_usual_scales(table.columns[0], table.y)
                or law_with_a_scale(table.columns, table.y)
            )
        if found is None and self._effort == (0 if table.n_columns == 1 or depth < 2 else 1):
            found = law_with_a_scaled_target(table)
        if found is None and table.n_columns == 2 and self._effort == 1:
            found = _with_a_scale_in_two_columns(table)
        if found is not None:
            self.note(depth, "found", found.expression)
        return found

    def _reduced(self, table: Table, depth: int, error: float, way: Reduction) -> Found | None:
        """Follows the reductions: the sure ones to their end, of the others those that have a law by algebra first.

        Args:
            table: the table.
            depth: how many reductions led to it.
            error: of the surrogate that suggested the last one.
            way: all of them as one.
        """
        waiting = []
        if way.key not in self._suggestions:
            self._suggestions[way.key] = _Kept(self._suggested(table, depth, error))
        for reduction, its_error in self._suggestions[way.key]:
            further = way.followed_by(reduction)
            if further.key in self._seen:
                continue
            self._seen.add(further.key)
            said = (reduction.factor, *(c.expression for c in reduction.table.columns))
            self.note(depth, f"try {reduction.score:.3f}", *said)
            if reduction.score < SURE:
                found = self._law(reduction.table, depth + 1, its_error, further)
            else:
                found = self._named(reduction.table, depth + 1)
                waiting.append((reduction, its_error))
            if found is not None:
                return reduction.law(found)
        for reduction, its_error in sorted(waiting, key=lambda entry: entry[0].score):
            if reduction.table.n_columns > 1 and depth + 1 < DEEPEST:
                self.note(depth, "back to", reduction.factor, *(c.expression for c in reduction.table.columns))
                further = way.followed_by(reduction)
                found = self._reduced(reduction.table, depth + 1, its_error, further)
                if found is not None:
                    return reduction.law(found)
        return None

    def _suggested(self, table: Table, depth: int, parent: float) -> Iterator[tuple[Reduction, float]]:
        """Yields reductions, with the error of the surrogate that suggests them."""
        if self.dimensions is not None and depth == 0 and self._round == 0:
            for reduction in group_reductions(table, self.dimensions):
                if is_function(reduction.table):
                    yield _usual(reduction), parent
        if self._round == 0:
            yield from ((_usual(reduction), parent) for reduction in neighbour_reductions(table))
            yield from ((reduction, parent) for reduction in leading_reductions(table))
            yield from ((reduction, parent) for reduction in relevant_reductions(table))
        narrowest = inf
        for coordinates in _coordinates(table):
            if coordinates.bottleneck and coordinates.bottleneck > 1 and coordinates.logarithms and narrowest < RANK:
                continue
            model = surrogate(table, coordinates, self.seed + self._round)
            if model is None:
                continue
            self.note(depth, "surrogate", coordinates, f"{model.error:.1e}")
            self._best = min(self._best, model.error) if depth == 0 else self._best
            if coordinates.bottleneck:
                narrowest = min(narrowest, model.error) if coordinates.logarithms else narrowest
                if model.error > USEFUL:
                    continue
            if model.error > max(WORSE * parent, ALWAYS) or not np.isfinite(model.gradient).all():
                continue
            found = [
                *factor_reductions(table, model),
                *scaling_reductions(table, model),
                *pair_reductions(table, model)[:PAIRS],
                *split_reductions(table, model),
            ]
            for reduction in sorted(found, key=lambda reduction: reduction.score)[:TRIED]:
                if is_function(reduction.table):
                    doubt = DOUBT_PER_ERROR * min(model.error, LARGE)
                    yield _usual(replace(reduction, score=reduction.score + doubt)), model.error

    def note(self, depth: int, *words: object) -> None:
        """Says what is done next."""
        line = "  " * depth + " ".join(map(str, words))
        self.log.append(line)
        if self.tell is not None:
            self.tell(line)


class _Kept(Generic[T]):
    """An iterator that can be gone through again, and is asked for what is new only when that is reached."""

    def __init__(self, source: Iterator[T]) -> None:
        self._source, self._known = source, []

    def __iter__(self) -> Iterator[T]:
        position = 0
        while True:
            if position == len(self._known):
                try:
                    self._known.append(next(self._source))
                except StopIteration:
                    return
            yield self._known[position]
            position += 1


def _with_a_scale_in_two_columns(table: Table) -> Found | None:
    first, second = table.columns
    both = Column(first.values * second.values, first.expression * second.expression)
    ways = [
        *(((first,), alphabet.letters) for alphabet in list(alphabets(second))[:3]),
        *(((second,), alphabet.letters) for alphabet in list(alphabets(first))[:3]),
        *(((column, both), ()) for column in (first, second)),
        ((both,), (plain(first), plain(second))),
    ]
    for arguments, others in ways:
        if (found := law_with_a_scale(arguments, table.y, others, seconds=2.0)) is not None:
            return found
    return None


def _usual(reduction: Reduction) -> Reduction:
    usual = in_usual_sizes(reduction.table)
    return replace(reduction, table=usual.table, factor=reduction.factor * usual.factor)


def in_usual_sizes(table: Table) -> Reduction:
    """Returns the table with columns and target divided by powers of 2 where their magnitudes are far from one."""
    columns = tuple(
        c if (s := _size(c.values)) == 1 else Column(c.values / s, c.expression / sympy.Rational(s))
        for c in table.columns
    )
    size = _size(table.y)
    return Reduction(0.0, Table(columns, table.y / size), sympy.Rational(size), "")


def _size(values: np.ndarray) -> float:
    # Powers of 2 keep every bit.
    middle = float(np.median(np.abs(values)))
    if not np.isfinite(middle) or middle == 0 or TYPICAL[0] < middle < TYPICAL[1]:
        return 1.0
    return 2.0 ** round(np.log2(middle))


def _coordinates(table: Table) -> list[Coordinates]:
    signed = table.sign != 0
    targets = ["log", "loglog"] if signed else ["asinh"]
    widths = [k for k in (1, 2, 3) if k < table.n_columns]
    return [
        *(Coordinates(True, targets[0], k) for k in widths),
        *(Coordinates(True, target) for target in targets),
        *(Coordinates(False, "y", k) for k in widths),
        Coordinates(False, "y"),
    ]
