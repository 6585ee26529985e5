"""Reductions that need no network: columns that neighbouring rows show to act through one product, sum or difference.

What oscillates faster than a network follows is still the same at neighbouring rows.
"""

from collections.abc import Iterator
from itertools import combinations
from itertools import product as all_combinations
from math import gcd

import numpy as np
import sympy

from kan2.laws.budget import spend
from kan2.laws.column import Column, Table, product
from kan2.laws.reductions.reduction import Reduction, divided
from kan2.laws.reductions.single import ROWS, unexplained

MOST_COLUMNS = 4  # with exponents from -2 to 2 these give 312 products
LARGEST_EXPONENT = 2
UNEXPLAINED = (0.03, 0.05, 0.1)  # largest part of the target that one, two, three columns may leave
POWERS = tuple(sympy.Rational(n, 2) for n in (2, -2, 4, -4, 1, -1, 6, -6, 8, -8))  # of a factor
DOUBT = 0.05
FOLLOWED = 3


def neighbour_reductions(table: Table) -> list[Reduction]:
    """Returns the reductions to one or two columns that explain the target, the best first."""
    if not 2 <= table.n_columns <= MOST_COLUMNS or len(table) < 30 * table.n_columns:
        return []
    found = []
    for factor, columns in (*_one(table), *_two(table), *_divided(table)):
        spend(ROWS, 16)
        X, y = np.column_stack([column.values for column in columns]), table.y / factor.values
        if not (np.isfinite(X).all() and np.isfinite(y).all()):
            continue
        left = unexplained(X, y)
        if left < UNEXPLAINED[len(columns) - 1]:
            names = ", ".join(str(column.expression) for column in columns)
            what = "the target" if factor.expression == 1 else f"the target divided by {factor.expression}"
            told = (
                f"rows with nearby {names} have nearby values of {what}: a plane through the nearest leaves {left:.1%}"
            )
            found.append(divided(table, list(columns), factor, left + DOUBT, told))
    return sorted(found, key=lambda reduction: reduction.score)[:FOLLOWED]


def _nothing(table: Table) -> Column:
    return Column(np.ones(len(table)), sympy.Integer(1))


def _one(table: Table) -> Iterator[tuple[Column, tuple[Column, ...]]]:
    for powers in all_combinations(range(-LARGEST_EXPONENT, LARGEST_EXPONENT + 1), repeat=table.n_columns):
        first = next((p for p in powers if p), 0)
        if first > 0 and gcd(*powers) == 1 and all(p >= 0 or c.values.all() for p, c in zip(powers, table.columns)):
            yield _nothing(table), (product(table.columns, [sympy.Integer(p) for p in powers]),)
    if table.n_columns == 2:
        yield from ((_nothing(table), (merged,)) for merged in _merged(*table.columns))


def _two(table: Table) -> Iterator[tuple[Column, tuple[Column, ...]]]:
    if table.n_columns == 3:
        for i, j in combinations(range(3), 2):
            other = table.columns[3 - i - j]
            yield from ((_nothing(table), (merged, other)) for merged in _merged(table.columns[i], table.columns[j]))


def _divided(table: Table) -> Iterator[tuple[Column, tuple[Column, ...]]]:
    for i, column in enumerate(table.columns):
        if column.sign:
            others = tuple(c for j, c in enumerate(table.columns) if j != i)
            yield from ((column.raised(power), others) for power in POWERS)
            if len(others) == 1:
                yield from ((column.raised(power), new) for _, new in list(_one(table)) for power in POWERS)


def _merged(a: Column, b: Column) -> Iterator[Column]:
    yield Column(a.values * b.values, a.expression * b.expression)
    yield Column(a.values - b.values, a.expression - b.expression)
    yield Column(a.values + b.values, a.expression + b.expression)
    if b.values.all():
        yield Column(a.values / b.values, a.expression / b.expression)
