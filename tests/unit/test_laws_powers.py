"""Products of powers: exponents, signs, and what is none."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from kan2.laws.algebra.powers import power_law
from kan2.laws.column import Column, Table
from tests.laws import columns_of, is_close, values_of, wider

RANGES = {"x": (0.5, 3.0), "y": (1.0, 9.0), "z": (2.0, 3.0)}
COLUMNS = columns_of(RANGES, 40)
WIDER = columns_of(wider(RANGES, 3.0), 40, seed=1)
EXPONENTS = st.builds(sympy.Rational, st.integers(-12, 12), st.sampled_from([1, 2, 3, 4, 6]))


def law_of(columns, y):
    return power_law(Table(tuple(Column(v, sympy.Symbol(n)) for n, v in columns.items()), y))


def power_values(columns, powers, factor):
    return factor * np.prod([v ** float(p) for v, p in zip(columns.values(), powers)], 0)


@given(st.lists(EXPONENTS, min_size=3, max_size=3), st.floats(0.01, 100.0), st.sampled_from([1, -1]))
def test_products_of_powers_are_found_and_hold_elsewhere(powers, factor, sign):
    found = law_of(COLUMNS, power_values(COLUMNS, powers, sign * factor))
    assert found is not None
    assert is_close(values_of(found, WIDER), power_values(WIDER, powers, sign * factor), 1e-7)
    degrees = found.as_powers_dict()
    assert all(degrees.get(sympy.Symbol(n), 0) == p for n, p in zip(COLUMNS, powers))


@pytest.mark.parametrize("k", [-30, -9, 9, 30])
def test_units_do_not_matter(k):
    scaled = {name: v * 10.0 ** (k * (1 if name == "x" else -1)) for name, v in COLUMNS.items()}
    powers = [sympy.Rational(3, 2), sympy.Integer(-2), sympy.Rational(1, 3)]
    found = law_of(scaled, power_values(COLUMNS, powers, 1.0) * 10.0**k)
    assert found is not None
    degrees = found.as_powers_dict()
    assert [degrees[sympy.Symbol(n)] for n in "xyz"] == powers


@pytest.mark.parametrize("n_columns", [1, 2, 3, 8])
def test_two_rows_more_than_columns_are_needed(n_columns):
    columns = columns_of({f"x{i}": (1.0, 3.0) for i in range(n_columns)}, n_columns + 2)
    y = np.prod(list(columns.values()), 0)
    found = law_of(columns, y)
    assert found is not None
    assert is_close(values_of(found, columns), y)
    fewer = {name: v[:-1] for name, v in columns.items()}
    assert law_of(fewer, y[:-1]) is None


def test_signs_follow_the_parity_of_exponents():
    x = np.random.default_rng(0).uniform(-3, 3, 50)
    z = np.random.default_rng(1).uniform(1, 3, 50)
    columns = {"x": x, "z": z}
    assert law_of(columns, 2 * x**3 * z) == 2 * sympy.Symbol("x") ** 3 * sympy.Symbol("z")
    assert law_of(columns, -(x**2) / z) == -(sympy.Symbol("x") ** 2) / sympy.Symbol("z")
    assert law_of(columns, np.abs(x) ** 3 * z) is None
    found = law_of(columns, np.abs(x) ** 1.5 * z)
    assert is_close(values_of(found, columns), np.abs(x) ** 1.5 * z)


def test_negative_columns_under_a_root_are_magnitudes():
    columns = {"x": -COLUMNS["x"], "y": COLUMNS["y"]}
    found = law_of(columns, np.sqrt(COLUMNS["x"]) * COLUMNS["y"])
    assert is_close(values_of(found, columns), np.sqrt(COLUMNS["x"]) * COLUMNS["y"])


@given(st.integers(0, 39), st.sampled_from([1.01, 0.99, -1.0, 1 + 1e-5]))
def test_one_row_that_is_off_is_enough_for_none(row, off):
    y = power_values(COLUMNS, [1, -2, sympy.Rational(1, 2)], 3.0)
    y[row] *= off
    assert law_of(COLUMNS, y) is None


@pytest.mark.parametrize("law", ["x + y", "x*y + 1e-3", "exp(x)", "x*y/(x + z)", "x*y*(1 + 1e-5*z**5)", "cos(x)"])
def test_what_is_no_product_of_powers_is_none(law):
    assert law_of(COLUMNS, values_of(law, COLUMNS)) is None


def test_zeros_are_no_products_of_powers():
    y = COLUMNS["x"].copy()
    y[3] = 0
    assert law_of(COLUMNS, y) is None
    assert law_of({"x": y}, y) is None


def test_a_constant_is_one_without_columns():
    assert law_of(COLUMNS, np.full(40, 2.5)) == sympy.Rational(5, 2)
    assert law_of(COLUMNS, np.full(40, -2.5)) == sympy.Rational(-5, 2)


UNDETERMINED = pytest.mark.xfail(
    strict=True, reason="columns that are products of powers of others share exponents by the smallest norm"
)


@UNDETERMINED
def test_a_column_that_never_changes_takes_no_part():
    columns = {"x": COLUMNS["x"], "c": np.full(40, 7.3)}
    assert law_of(columns, 3 * COLUMNS["x"] ** 2) == 3 * sympy.Symbol("x") ** 2


@UNDETERMINED
@pytest.mark.parametrize("power", [1, -1, 2])
def test_of_columns_that_go_together_the_law_has_simple_exponents(power):
    columns = {"x": COLUMNS["x"], "y": 2 * COLUMNS["x"] ** power}
    found = law_of(columns, 3 * COLUMNS["x"] ** 2)
    assert found is not None
    assert all(p.is_Rational and p.q == 1 for p in found.as_powers_dict().values())
    assert len(found.free_symbols) == 1


def test_the_digits_of_a_factor_are_not_more_than_it_has():
    found = law_of(COLUMNS, COLUMNS["x"] ** 2 * 0.125)
    assert found == sympy.Symbol("x") ** 2 / 8
