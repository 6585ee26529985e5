"""Ways through several reductions: tables of different targets are told apart, and a way leads back to the law."""

import numpy as np
import sympy

from kan2.laws.column import Column, Table
from kan2.laws.found import Found
from kan2.laws.reductions.reduction import Reduction
from tests.laws import is_close, values_of

x, z = sympy.symbols("x z")
COLUMNS = {"x": np.linspace(1, 2, 30), "z": np.linspace(2, 5, 30)[::-1].copy()}
TABLE = Table(tuple(Column(v, sympy.Symbol(n)) for n, v in COLUMNS.items()), COLUMNS["x"])


def test_terms_taken_from_a_target_leave_different_tables():
    # Both leave the same columns and have no factor: what is left of the target differs.
    start = Reduction(0.0, TABLE, sympy.Integer(1), "")
    first, second = (Reduction(0.1, TABLE, sympy.Integer(1), "", offset=term) for term in (x**2, sympy.exp(x)))
    assert start.followed_by(first).key != start.followed_by(second).key


def test_a_way_of_two_reductions_gives_what_one_after_the_other_gives():
    first = Reduction(0.1, TABLE, x, "first", offset=z)
    second = Reduction(0.1, TABLE, z**2, "second", offset=sympy.sin(x))
    law = Found(x + z, ())
    both, stepwise = first.followed_by(second).law(law), first.law(second.law(law))
    assert is_close(values_of(both.expression, COLUMNS), values_of(stepwise.expression, COLUMNS))
