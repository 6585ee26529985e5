"""Sums of functions of single columns behind a function of the target: found exactly, or not at all."""

import time

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2.laws.algebra.relations import holds
from kan2.laws.column import Column, Table
from kan2.laws.families.additive import Splines, additive_law

x, z = SYMBOLS = sympy.symbols("x z")
CURVES = (
    "sin(pi*x)",
    "2.3*cos(4.1*x + 0.3)",
    "exp(-1.7*x)",
    "x**2",
    "3*x**3 - x",
    "log(x + 2)",
    "1/(x + 1.5)",
    "atan(3*x)",
)
OUTERS = ("exp({})", "sqrt({} + 9)", "{}", "1/({} + 30)", "3.5 + exp({}/2)", "atan({}/9)")


def table_of(formula, n=300, seed=0, low=-1.0, high=1.0):
    X = np.random.default_rng(seed).uniform(low, high, (n, 2))
    y = np.broadcast_to(sympy.lambdify(SYMBOLS, sympy.sympify(formula))(*X.T), n)
    return Table(tuple(Column(X[:, i], symbol) for i, symbol in enumerate(SYMBOLS)), np.array(y, float))


@pytest.mark.parametrize("formula", [
    "exp(sin(pi*x) + z**2)", "exp(sin(pi*x) + z**2) + 1", "z**2*exp(sin(pi*x))", "sqrt(sin(pi*x) + z**2 + 2)",
    "33/10 - exp(-6*x/5)*(z + 21/10)", "1/(z**3 + sin(3*x) + 2)", "exp(sin(pi*x))", "atan(3*x + exp(z) - 2)",
])  # fmt: skip
def test_the_formula_itself_is_found(formula):
    found = additive_law(table_of(formula))
    assert found is not None
    assert sympy.simplify(found.expression - sympy.sympify(formula)) == 0


@settings(max_examples=6)  # two seconds each; fifty pass
@given(st.sampled_from(CURVES), st.sampled_from(CURVES), st.sampled_from(OUTERS), st.integers(0, 99))
def test_what_is_found_holds_outside_of_the_rows(first, second, outer, seed):
    formula = outer.format(f"({first} + {second.replace('x', 'z').replace('ezp', 'exp')})")
    found = additive_law(table_of(formula, seed=seed))
    assert found is not None
    new = table_of(formula, seed=seed + 1, low=-1.1, high=1.1)
    assert holds(sympy.lambdify(SYMBOLS, found.expression)(*new.X.T), new.y)


@pytest.mark.parametrize("formula", ["x**2*z + x", "sin(x*z)", "x**z", "sqrt(x**2 + 2*z**2 + x*z)"])
def test_what_is_no_sum_is_left_alone(formula):
    assert additive_law(table_of(formula, low=0.5, high=2.0)) is None


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1.0])
def test_noise_is_no_law(noise):
    table = table_of("exp(sin(pi*x) + z**2)")
    noisy = table.y + noise * np.random.default_rng(1).standard_normal(len(table))
    assert additive_law(Table(table.columns, noisy)) is None


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e30])
def test_the_unit_of_the_columns_does_not_matter(size):
    table = table_of("exp(-1.3*x)*(z + 2)**1.5")
    other = Table(tuple(Column(size * c.values, c.expression) for c in table.columns), table.y)
    found = additive_law(other)
    assert found is not None
    assert holds(sympy.lambdify(SYMBOLS, found.expression)(*other.X.T), table.y)


@pytest.mark.parametrize("table", [
    table_of("exp(x + z)", n=20),
    Table((Column(np.ones(99), x), Column(np.linspace(0, 1, 99), z)), np.linspace(0, 1, 99)),
    Table((Column(np.linspace(0, 1, 99), x), Column(np.linspace(0, 1, 99), z)), np.ones(99)),
    table_of("exp(x + z)").of([0]),
], ids=["few rows", "constant column", "constant target", "one column"])  # fmt: skip
def test_tables_without_room_have_none(table):
    assert additive_law(table) is None


def test_rows_of_a_grid():
    X = np.stack(np.meshgrid(np.linspace(-1, 1, 40), np.linspace(0, 2, 25)), -1).reshape(-1, 2)
    y = np.exp(np.sin(3 * X[:, 0]) + X[:, 1] ** 2)
    found = additive_law(Table((Column(X[:, 0], x), Column(X[:, 1], z)), y))
    assert found is not None
    assert holds(sympy.lambdify(SYMBOLS, found.expression)(*X.T), y)


def test_many_rows_cost_little_more():
    table = table_of("exp(sin(pi*x) + z**2)", n=200_000)
    start = time.process_time()
    found = additive_law(table)
    assert found is not None
    assert time.process_time() - start < 10


def test_splines_tell_how_well_a_sum_is_followed():
    table = table_of("sin(3*x) + z**2")
    splines = Splines(table, 20)
    assert splines.error(table.y) < 1e-6
    assert splines.error(table.X.prod(1)) > 0.1
    assert splines.error(np.ones(len(table))) == np.inf
    found = splines.sum(table.y)
    assert found is not None
    assert np.allclose(found.curves.sum(0), table.y - table.y.mean(), atol=1e-5)
