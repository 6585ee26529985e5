"""Numbers that people would write: given back, and seldom seen where there are none."""

from math import pi, sqrt

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from kan2.expressions.constants import circle_numbers
from kan2.laws.front.complexity import complexity, nats
from kan2.laws.front.front import row_of, settled
from kan2.laws.numbers import COARSE, FINE, _units, exponent, number, rough, simple
from kan2.laws.samples import samples_of
from kan2.laws.search import same_random_state

UNITS = [unit for _, unit in _units()]
X, R = sympy.symbols("X R")
FRACTIONS = st.builds(
    sympy.Rational, st.integers(-199, 199).filter(bool), st.integers(1, 60)
).filter(lambda f: abs(f) > 1e-3)  # fmt: skip


@given(FRACTIONS, st.sampled_from(UNITS))
def test_fractions_of_units_are_given_back(fraction, unit):
    value = float(fraction * unit)
    found = simple(value)
    assert found is not None
    assert float(found) == pytest.approx(value, rel=1e-12)
    assert number(value) == found


@given(FRACTIONS)
def test_fractions_are_given_back_as_themselves(fraction):
    assert simple(float(fraction)) == fraction


@given(FRACTIONS, st.floats(-5e-10, 5e-10))
def test_rounding_does_not_matter(fraction, off):
    assert simple(float(fraction) * (1 + off)) == fraction
    if abs(off) > 1e-11:
        assert simple(float(fraction) * (1 + off), close=1e-12) != fraction


def test_nine_digits_are_needed():
    assert simple(0.3333333) is None
    assert simple(0.5 * (1 + 1e-7)) is None
    assert simple(0.5 * (1 + 1e-7), close=1e-6) == sympy.Rational(1, 2)


def test_other_numbers_are_nearly_never_simple():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(-10, 10, 1000), rng.standard_normal(500), 10 ** rng.uniform(-3, 2, 500)])
    assert sum(simple(float(value)) is not None for value in values) <= 4


def test_zero_and_what_is_no_number():
    assert simple(0.0) == 0
    assert simple(-0.0) == 0
    assert simple(np.inf) is None
    assert simple(np.nan) is None
    assert simple(1e300) is None
    assert simple(1e-300) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_never_off(value):
    assert float(number(value)) == pytest.approx(value, rel=2e-9, abs=0)


@given(st.floats(1e-3, 1e3))
def test_signs_are_kept(value):
    assert float(number(-value)) == -float(number(value))


def test_the_simplest_unit_wins():
    assert simple(2 * pi) == 2 * sympy.pi
    assert simple(sqrt(2) / 2) == sympy.sqrt(2) / 2
    assert simple(3.0) == 3
    assert simple(1 / sqrt(2 * pi)) == 1 / sympy.sqrt(2 * sympy.pi)


@given(st.integers(-12, 12), st.sampled_from(FINE), st.floats(-0.02, 0.02))
def test_exponents_near_a_fraction_are_that_fraction(p, q, off):
    true = sympy.Rational(p, q)
    found, distance = exponent(float(true) + off, FINE)
    assert distance == pytest.approx(abs(float(found) - float(true) - off), abs=1e-12)
    assert distance <= abs(off) + 1e-12
    if abs(off) < 0.008:  # 1/8 - 1/6 and the like are 0.017 apart at the nearest
        assert found == true


@given(st.floats(-6, 6), st.sampled_from([COARSE, FINE]))
def test_an_exponent_is_the_nearest_one_there_is(value, denominators):
    found, distance = exponent(value, denominators)
    assert found.q in denominators
    assert distance <= 0.5 / max(denominators) + 1e-12
    assert exponent(-value, denominators)[1] == pytest.approx(distance, abs=1e-12)


@given(st.integers(-12, 12).filter(bool), st.integers(1, 4), st.floats(-0.004, 0.004))
def test_rough_numbers_are_near(p, q, off):
    true = sympy.Rational(p, q)
    found = rough(float(true) * (1 + off), 0.01)
    assert found is not None
    assert abs(float(found) / float(true * (1 + sympy.Float(off))) - 1) < 0.0101
    assert found.q <= true.q
    assert rough(-float(true) * (1 + off), 0.01) == -found


def test_rough_numbers_that_are_none():
    assert rough(0.1234, 0.01) is None
    assert rough(100.0, 0.03) is None
    assert rough(1e-9, 0.03) is None
    assert rough(0.0, 0.03) is None


@pytest.mark.parametrize("wanted", [
    X / (4 * sympy.pi * R**2), 2 * sympy.pi * X / R, sympy.exp(-R**2 / 2) * X / sympy.sqrt(2 * sympy.pi), 3 * X / R,
    2 * X / (5 * R), sympy.Rational(4, 3) * sympy.pi * X * R**3, 12 * X * R,
], ids=str)  # fmt: skip
def test_numbers_of_circles_are_likelier_than_fractions_near_them(wanted):
    rows = np.random.default_rng(0).uniform(1, 3, (1000, 2))
    exact = sympy.lambdify((X, R), wanted)(*rows.T)
    samples = samples_of(rows, exact + 0.1 * exact.std() * np.random.default_rng(1).standard_normal(1000), (X, R))
    coefficient, rest = wanted.as_independent(X, R)
    with same_random_state():
        row = row_of(sympy.Float(float(coefficient) * 1.003) * rest, (), samples)
        assert row is not None
        found = settled(row, samples).formulas[0]
    assert not found.has(sympy.Float)
    assert sympy.lambdify((X, R), found)(*rows.T) == pytest.approx(exact, rel=1e-12)


def test_a_number_of_circles_is_read_as_one():
    assert complexity(X / (4 * sympy.pi * R**2)) == complexity(X / (7 * R**2))
    assert nats([sympy.pi * X], 100, 2) < nats([2 * sympy.pi * X], 100, 2) < nats([2 * X], 100, 2)
    assert circle_numbers(0.3, 0.0) == []
