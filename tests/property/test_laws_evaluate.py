"""Walking through an expression gives what SymPy's own code for it gives."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from kan2.laws.front.evaluate import NotPlain, walked
from kan2.laws.front.polish import compiled, evaluated, values

SYMBOLS = x, z = sympy.symbols("x z")
FUNCTIONS = (sympy.sin, sympy.exp, sympy.log, sympy.Abs, sympy.tanh, sympy.atan, sympy.erf, sympy.sign, sympy.floor,
             sympy.Heaviside, sympy.coth, sympy.gamma, lambda e: sympy.Max(e, 0),
             lambda e: sympy.besselj(1, e))  # fmt: skip
POWERS = (2, -1, 3, -2, sympy.Rational(1, 2), -sympy.Rational(1, 2), sympy.Rational(1, 3), sympy.Float(0.7), x)
LEAVES = st.sampled_from([x, z, sympy.Float(1.7), sympy.Integer(-2), sympy.pi, sympy.Rational(2, 3), sympy.E])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda some: st.one_of(
        st.builds(lambda a, b: a + b, some, some),
        st.builds(lambda a, b: a * b, some, some),
        st.builds(lambda f, a: f(a), st.sampled_from(FUNCTIONS), some),
        st.builds(lambda a, p: a**p, some, st.sampled_from(POWERS)),
    ),
    max_leaves=8,
)
ROWS = np.random.default_rng(0).uniform(-2, 2, (30, 2))


@given(EXPRESSIONS)
def test_both_ways_agree(expression):
    if expression.has(sympy.zoo, sympy.oo, -sympy.oo, sympy.nan, sympy.I):
        return
    wanted = evaluated(compiled((expression,), SYMBOLS), ROWS.T, len(ROWS))[0]
    try:
        found = walked(expression, SYMBOLS, ROWS)
    except NotPlain:
        found = values(expression, SYMBOLS, ROWS)
    good = np.isfinite(wanted) & (np.abs(wanted) < 1e100)
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    # Rounding grows where terms cancel.
    assert (np.abs(found - wanted)[good] <= 1e-6 * np.maximum(1, np.abs(wanted[good]))).all()


def test_cases_are_left_to_sympy():
    cases = sympy.Piecewise((x, x > 0), (0, True))
    with pytest.raises(NotPlain):
        walked(cases, SYMBOLS, ROWS)
    assert np.array_equal(values(cases, SYMBOLS, ROWS), np.maximum(ROWS[:, 0], 0))


@pytest.mark.parametrize("expression", [sympy.Integer(10) ** 400, sympy.zoo, x + sympy.nan, sympy.I * x])
def test_what_is_no_number_is_none(expression):
    assert not np.isfinite(values(sympy.sympify(expression), SYMBOLS, ROWS)).any()


def test_constants_have_a_value_at_every_row():
    assert np.array_equal(values(sympy.Float(2.5), SYMBOLS, ROWS), np.full(30, 2.5))
