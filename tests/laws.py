"""Tables of known laws, and expressions held against them: for the tests of `kan2.laws`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.budget import budget
from kan2.laws.column import Column, Table
from kan2.laws.search import find_law

QUICK = 1.0  # work within which the laws of the tests are found, or nothing is


def columns_of(ranges: Mapping[str, tuple[float, float]], n: int = 100, seed: int = 0) -> dict[str, ndarray]:
    """Returns n uniform numbers in the range of each name."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(low, high, n) for name, (low, high) in ranges.items()}


def values_of(expression: Any, columns: Mapping[str, ndarray]) -> ndarray:
    """Evaluates an expression, or its text, row by row in NumPy."""
    symbols = [sympy.Symbol(name) for name in columns]
    if isinstance(expression, str):
        expression = sympy.sympify(expression, locals={symbol.name: symbol for symbol in symbols})
    n = len(next(iter(columns.values())))
    with np.errstate(all="ignore"):
        found = sympy.lambdify(symbols, expression, ["numpy", "scipy"])(*columns.values())
    return np.asarray(found * np.ones(n))


def table_of(law: str, columns: Mapping[str, ndarray]) -> Table:
    """Returns the table of a law."""
    made = tuple(Column(values, sympy.Symbol(name)) for name, values in columns.items())
    return Table(made, values_of(law, columns))


def found_in(columns: Mapping[str, ndarray], y: ndarray, seconds: float = QUICK, **options: Any) -> sympy.Expr | None:
    """Returns the law that is found with little work, or None."""
    found = None
    with budget(seconds):
        found = find_law(np.column_stack(list(columns.values())), y, tuple(columns), **options)
    return None if found is None else found.expression


def is_close(a: ndarray, b: ndarray, close: float = 1e-9) -> bool:
    """Whether all numbers agree to a share of the largest of the second, or of themselves."""
    return bool((np.abs(a - b) <= close * np.maximum(np.abs(b), 1e-3 * np.abs(b).max())).all())


def wider(ranges: Mapping[str, tuple[float, float]], share: float = 0.5) -> dict[str, tuple[float, float]]:
    """Returns ranges with a share of their width more above."""
    return {name: (low, high + share * (high - low)) for name, (low, high) in ranges.items()}


def names(n: int) -> Sequence[str]:
    """Returns the first of the usual names of columns."""
    return "xyzuvw"[:n]
