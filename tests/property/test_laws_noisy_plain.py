"""Products without numbers under large errors: the right one is first."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2.laws.column import Column
from kan2.laws.noisy.plain import FUNCTIONS, U, plain_products

A, B = sympy.symbols("a b")
RNG = np.random.default_rng(0)
COLUMNS = (Column(RNG.uniform(0.2, 0.8, 300), A), Column(RNG.uniform(1.0, 2.0, 300), B))


@settings(max_examples=30)
@given(st.sampled_from(FUNCTIONS), st.sampled_from([1, B, 1 / B, B**2]), st.sampled_from([1.0, -1.0, 3.7]))
def test_without_errors_the_product_is_given_back(function, factor, size):
    expression = factor * function.xreplace({U: A})
    wanted = size * np.broadcast_to(sympy.lambdify((A, B), expression)(*(c.values for c in COLUMNS)), 300)
    found = next(plain_products(COLUMNS, wanted, np.ones(300)))
    assert sympy.lambdify((A, B), found)(*(c.values for c in COLUMNS)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("expression", [1 / sympy.sqrt(1 - A**2), sympy.exp(-A) / B, sympy.tanh(A / B)], ids=str)
def test_with_errors_of_a_tenth_it_is_among_the_first(expression):
    exact = sympy.lambdify((A, B), expression)(*(c.values for c in COLUMNS))
    noisy = exact + 0.1 * exact.std() * np.random.default_rng(1).standard_normal(300)
    assert expression in list(plain_products(COLUMNS, noisy, np.ones(300)))


def test_columns_without_room_give_none():
    assert list(plain_products((), np.ones(3), np.ones(3))) == []
    assert list(plain_products(COLUMNS * 2, np.ones(300), np.ones(300))) == []


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e9])
def test_columns_with_units_are_scaled_together_without_another_answer(size):
    columns = tuple(Column(size * c.values, c.expression) for c in COLUMNS)
    ratio = columns[0].values / columns[1].values
    found = next(plain_products(columns, 1 / np.sqrt(1 - ratio**2), np.ones(300), have_units=True))
    assert found == 1 / sympy.sqrt(1 - A**2 / B**2)
    for other in plain_products(columns, np.exp(-COLUMNS[0].values), np.ones(300), have_units=True):
        assert not any(argument.has(A) and not argument.has(B) for argument in other.atoms(sympy.exp))


def test_one_column_with_a_unit_has_none():
    assert list(plain_products(COLUMNS[:1], np.ones(300), np.ones(300), have_units=True)) == []
