"""Simple numbers are recognised, and only they."""

from math import e, pi, sqrt

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from kan2.expressions.constants import decimal_candidates, exact_form, simple_candidates


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


@given(st.floats(1, 10), st.floats(1e-6, 0.05), st.integers(-30, 30))
def test_decimal_candidates_look_the_same_in_every_unit(value, tolerance, k):
    plain = [(float(c.form), c.rivals) for c in decimal_candidates(value, tolerance)]
    moved = [
        (float(c.form / sympy.Integer(10) ** k), c.rivals)
        for c in decimal_candidates(value * 10.0**k, tolerance * 10.0**k)
    ]
    # A number that lies on the rim of the tolerance may be in or out.
    inner = {v for v, _ in plain + moved if abs(v - value) < tolerance * (1 - 1e-9)}
    for v in inner:
        left, right = ([r for w, r in numbers if w == pytest.approx(v, rel=1e-12)] for numbers in (plain, moved))
        assert left == right


@pytest.mark.parametrize(("value", "form"), [
    (1.5003e-9, sympy.Rational(3, 2) / 10**9), (314.1, 100 * sympy.pi), (9.8102, sympy.Rational(981, 100)),
])  # fmt: skip
def test_decimals_are_simple_numbers_too(value, form):
    found = {c.form: c for c in decimal_candidates(value, 3e-4 * value)}
    assert form in found
    assert float(form) == found[form].value
    assert decimal_candidates(0.0, 1.0) == decimal_candidates(float("nan"), 1.0) == []
