"""From a table of one target to its law: what is left out, what is searched, and what is handed on."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.expressions.symbols import symbol
from kan2.interrupts import Interruptible
from kan2.laws.column import Column, Table
from kan2.laws.forms import gives, shortest
from kan2.laws.recursion import Search
from kan2.units.dimensions import Dimensions

REPEATS = 1e-12  # relative difference of targets of equal rows that rounding explains


@dataclass(frozen=True, eq=False)
class Candidate:
    """An expression for the target.

    Attributes:
        expression: in the names of the columns.
        evidence: in words, step by step, how it was found.
        is_exact: whether it gives the target at all rows, to rounding.
    """

    expression: sympy.Expr
    evidence: tuple[str, ...]
    is_exact: bool


def find_law(
    X: Float[ndarray, "sample column"],
    y: Float[ndarray, "sample"],
    names: tuple[str, ...],
    *,
    seed: int = 0,
    tell: Callable[[str], object] | None = None,
    dimensions: Dimensions | None = None,
) -> Candidate | None:
    """Returns the law of a table, or None where no expression gives the target to rounding.

    Args:
        X: finite numbers.
        y: finite numbers, the target.
        names: of the columns.
        seed: of the surrogates.
        tell: called with a line of text at every step.
        dimensions: of columns and target, where they are known; what is returned is right then.

    Raises:
        OutOfTime: a time limit around the call is over.
    """
    different = _different_rows(X, y)
    if different is None:
        return None
    X, y = different
    columns = tuple(Column(X[:, j], symbol(name)) for j, name in enumerate(names))
    search = Search(seed, tell, dimensions)
    # Without this block a surrogate would take Ctrl-C as the end of its own training.
    with Interruptible(), same_random_state(), np.errstate(all="ignore"):
        table = Table(columns, y)
        found = search.law(table)
        if found is None or not gives(found.expression, table):
            return None
        expression = shortest(found.expression, table)
        if dimensions is not None:
            right = dimensions.repaired(expression)
            expression = dimensions.repaired(found.expression) if right is None else right
        return None if expression is None else Candidate(expression, found.evidence, True)


@contextmanager
def same_random_state() -> Iterator[None]:
    """Leaves Python's generator of random numbers as it was: SymPy draws from it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _different_rows(X: ndarray, y: ndarray) -> tuple[ndarray, ndarray] | None:
    """Returns the rows without repetitions, in their order; None where equal rows have different targets."""
    _, first, place = np.unique(X, axis=0, return_index=True, return_inverse=True)
    if (np.abs(y - y[first][place.ravel()]) > REPEATS * np.abs(y)).any():
        return None
    kept = np.sort(first)
    return X[kept], y[kept]
