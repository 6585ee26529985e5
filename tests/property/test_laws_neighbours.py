"""What neighbouring rows leave unexplained: nothing of functions, nearly all of noise, whatever the units."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2.laws.column import Column, Table
from kan2.laws.reductions.neighbours import neighbour_reductions
from kan2.laws.reductions.single import UNEXPLAINED, is_function, unexplained
from tests.laws import columns_of, table_of

SEEDS = st.integers(0, 10**6)
SMOOTH = [
    lambda X: X.sum(1),
    lambda X: np.prod(X + 0.5, 1),
    lambda X: np.exp(-X @ np.arange(1, X.shape[1] + 1)),
    lambda X: np.sqrt(1 + (X**2).sum(1)),
    lambda X: np.cos(2 * X).sum(1),
]
MONOTONIC = [np.exp, np.arctan, lambda t: t**3, lambda t: 1e30 * t, lambda t: 1e-30 * t - 1e-30]


@pytest.mark.parametrize("function", SMOOTH)
@settings(max_examples=10)
@given(SEEDS, st.integers(1, 3))
def test_functions_leave_little(function, seed, d):
    X = np.random.default_rng(seed).random((400, d))
    assert unexplained(X, function(X)) < (0.01, 0.06, 0.2)[d - 1]


@settings(max_examples=8)
@given(SEEDS, st.integers(1, 3))
def test_noise_leaves_nearly_all(seed, d):
    rng = np.random.default_rng(seed)
    left = unexplained(rng.random((400, d)), rng.standard_normal(400))
    assert 0.7 < left < 3
    assert left > UNEXPLAINED[d - 1]


@pytest.mark.parametrize("change", MONOTONIC)
@settings(max_examples=8)
@given(SEEDS)
def test_monotonic_functions_of_columns_and_target_do_not_matter(change, seed):
    X = np.random.default_rng(seed).uniform(-2, 2, (150, 2))
    y = np.sin(X[:, 0]) + X[:, 1]
    assert unexplained(change(X), y) == unexplained(X, y) == unexplained(X, change(y))
    # Of equally near rows other ones may be taken.
    assert unexplained(X[:, ::-1], y) == pytest.approx(unexplained(X, y), rel=0.2)


@settings(max_examples=8)
@given(SEEDS, st.integers(1, 3))
def test_a_hidden_column_is_seen(seed, d):
    X = np.random.default_rng(seed).random((400, d + 1))
    columns = tuple(Column(X[:, j], sympy.Symbol(f"x{j}")) for j in range(d))
    assert not is_function(Table(columns, X[:, 0] + 3 * X[:, -1]))


@settings(max_examples=8)
@given(st.integers(1, 29), SEEDS)
def test_few_rows_do_not_tell(n, seed):
    rng = np.random.default_rng(seed)
    assert is_function(Table((Column(rng.random(n), sympy.Symbol("x")),), rng.random(n)))


@pytest.mark.parametrize(
    ("law", "ranges", "single"),
    [
        ("sin(9*x*y)", {"x": (1, 2), "y": (1, 2)}, "x*y"),
        ("cos(15*x/y)", {"x": (1, 2), "y": (1, 2)}, "x/y"),
        ("sin(15*(x - y))", {"x": (0, 1), "y": (0, 1)}, "x - y"),
        ("sin(15*(x + y))", {"x": (0, 1), "y": (0, 1)}, "x + y"),
        ("cos(4*x**2*y)", {"x": (1, 2), "y": (1, 2)}, "x**2*y"),
    ],
)
def test_what_oscillates_is_still_seen_to_be_a_function_of_one(law, ranges, single):
    found = neighbour_reductions(table_of(law, columns_of(ranges, 800)))
    wanted = sympy.sympify(single)
    alone = [r.table.columns[0].expression for r in found if r.table.n_columns == 1 and r.factor == 1]
    assert any(sympy.simplify(e - wanted) == 0 or sympy.simplify(e * wanted - 1) == 0 for e in alone)


def test_noise_suggests_nothing():
    columns = columns_of({"x": (1, 2), "y": (1, 2)}, 300)
    y = np.random.default_rng(1).standard_normal(300)
    assert neighbour_reductions(Table(table_of("x", columns).columns, y)) == []


@pytest.mark.parametrize("n_columns", [1, 5])
def test_other_numbers_of_columns_are_left_alone(n_columns):
    columns = columns_of({f"x{i}": (1, 2) for i in range(n_columns)}, 300)
    assert neighbour_reductions(table_of("x0", columns)) == []
