"""Simple numbers are recognised, and only they."""

from math import e, pi, sqrt

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from kan2.expressions.constants import exact_form, simple_candidates


@pytest.mark.parametrize(("value", "form"), [
    (0.0, "0"), (1.0, "1"), (-2.5, "-5/2"), (1 / 3, "1/3"), (pi, "pi"), (-3 * pi / 4, "-3*pi/4"), (e, "E"),
    (sqrt(2) / 2, "sqrt(2)/2"), (1 / pi, "1/pi"), (sqrt(2 * pi), "sqrt(2)*sqrt(pi)"), (123456.0, "123456"),
])  # fmt: skip
def test_exact_numbers(value, form):
    assert str(exact_form(value)) == form
    assert float(exact_form(value)) == pytest.approx(value, rel=1e-15)


@given(st.floats(-1e9, 1e9, allow_nan=False))
def test_an_exact_form_is_the_number(value):
    assert float(exact_form(value)) == pytest.approx(value, rel=1e-14, abs=1e-300)


@given(st.floats(0.1, 10).filter(lambda v: abs(v * 60 - round(v * 60)) > 1e-3))
def test_other_numbers_stay_floats(value):
    form = exact_form(value)
    assert isinstance(form, sympy.Float) or float(form) == value


def test_candidates_lie_within_the_tolerance_simplest_first():
    candidates = list(simple_candidates(3.14, 0.01))
    assert all(abs(c.value - 3.14) <= 0.01 for c in candidates)
    assert [c.complexity for c in candidates] == sorted(c.complexity for c in candidates)
    assert sympy.pi in [c.form for c in candidates]
    assert list(simple_candidates(float("inf"), 1.0)) == []
