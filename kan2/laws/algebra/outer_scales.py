"""Functions of the target with a number that is not known: exp(b y), y^b.

A law y = log(P / Q) / b, or y = (P / Q)^(1 / b), is a relation P - g(y) Q = 0 with g in a family of functions of b. As
in `scales`, b is where the smallest singular value vanishes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import comb

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.algebra.letters import Letter, plain
from kan2.laws.algebra.outer import Outer
from kan2.laws.algebra.relations import Letters, relation
from kan2.laws.algebra.vanishing import smallest, vanishing_points
from kan2.laws.budget import budget
from kan2.laws.column import Table
from kan2.laws.found import Found
from kan2.laws.numbers import number

DEGREES = ((1, 0), (1, 1), (2, 0), (2, 1), (1, 2), (2, 2))
MOST, MOST_COLUMNS, ROWS = 45, 5, 150


@dataclass(frozen=True)
class OuterFamily:
    """Functions of the target with a number b: values, inverse, and the log b at which they are looked at."""

    name: str
    values: Callable[[ndarray, float], ndarray]
    inverse: Callable[[sympy.Expr, sympy.Expr], sympy.Expr]
    grid: Callable[[ndarray], ndarray]
    needs_sign: bool


FAMILIES = (
    OuterFamily(
        "exp(b y)",
        lambda y, b: np.exp(b * y),
        lambda e, b: sympy.log(e) / b,
        lambda y: np.linspace(np.log(0.02), np.log(60), 160) - np.log(np.abs(y).max()),
        False,
    ),
    OuterFamily(
        "y^b",
        lambda y, b: np.abs(y) ** b,
        lambda e, b: e ** (1 / b),
        lambda y: np.linspace(np.log(0.07), np.log(5.03), 160),
        True,
    ),
)


def law_with_a_scaled_target(table: Table, seconds: float = 2.0) -> Found | None:
    """Looks for relations of polynomials in the columns with exp(b y) or y^b.

    Args:
        table: the table.
        seconds: work that may be spent, see `budget`.
    """
    if table.n_columns > MOST_COLUMNS:
        return None
    letters = Letters([plain(column) for column in table.columns])
    chosen = np.linspace(0, len(table) - 1, min(len(table), ROWS)).astype(int)
    few = [plain(column) for column in table.at(chosen).columns]
    with budget(seconds):
        for degrees in DEGREES:
            unknowns = sum(comb(table.n_columns + d, d) for d in degrees)
            if unknowns > MOST or 2 * unknowns > len(table):
                continue
            for family in FAMILIES:
                if not family.needs_sign or table.sign:
                    found = _in_family(table, letters, few, chosen, family, degrees)
                    if found is not None:
                        return found
    return None


def _in_family(
    table: Table, letters: Letters, few: list[Letter], chosen: ndarray, family: OuterFamily, degrees: tuple[int, int]
) -> Found | None:
    y, sign = table.y[chosen], table.sign if family.needs_sign else 1

    def height(log_b: float) -> float:
        return smallest(few, family.values(y, float(np.exp(log_b))), degrees)

    for log_b, lowest in vanishing_points(height, family.grid(table.y)):
        b = number(float(np.exp(log_b)), 1e-8)
        outer = Outer(family.name, family.values(table.y, float(b)), partial(_inverses, family, b, sign))
        found = relation(letters, table.y, outer, degrees, vanishes=1e-9)
        if found is not None:
            told = (
                f"{family.name} is a ratio of polynomials of degree {degrees[0]} and {degrees[1]} for "
                f"b = {float(b):.6g} alone: the smallest singular value "
                f"falls to {10**lowest:.0e} of the largest ({found.n_terms} terms)"
            )
            return Found(found.expression, (told,))
    return None


def _inverses(family: OuterFamily, b: sympy.Expr, sign: int, e: sympy.Expr) -> Iterator[sympy.Expr]:
    yield sign * family.inverse(e, b)
