"""The search under noise: dictionaries say what they write, reductions are exact, planted laws are found."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import kan2
from kan2.laws.column import Column
from kan2.laws.front.polish import values
from kan2.laws.noisy.dictionary import exponents, factors, terms
from kan2.laws.noisy.products import products
from kan2.laws.noisy.reduce import Noisy, error_of, leaves_noise, reductions
from kan2.laws.noisy.search import NoisySearch, smaller_tables
from kan2.laws.noisy.smooth import basis, coordinate, degree_for, missed
from kan2.laws.noisy.sums import sums
from kan2.laws.samples import samples_of
from tests.laws import columns_of, values_of

SEEDS = st.integers(0, 10**6)


def noisy(law, ranges, n=500, noise=0.01, seed=0) -> Noisy:
    """The table of a law with errors of a share of the deviation of the target."""
    columns = columns_of(ranges, n, seed)
    y = values_of(law, columns)
    y = y + noise * y.std() * np.random.default_rng(seed + 1).standard_normal(n)
    made = tuple(Column(v, sympy.Symbol(name)) for name, v in columns.items())
    return Noisy(made, y, np.ones(n))


def of(table: Noisy, expression: sympy.Expr) -> np.ndarray:
    return values(expression, tuple(sympy.Symbol(str(c.expression)) for c in table.columns), table_X(table))


def table_X(table: Noisy) -> np.ndarray:
    return np.column_stack([c.values for c in table.columns])


@pytest.mark.parametrize(
    "ranges", [{"x": (0.5, 3)}, {"x": (-2, 3), "y": (1, 2)}, {"x": (1, 2), "y": (-2, -1), "z": (0.1, 0.4)}]
)
def test_dictionaries_write_what_they_hold(ranges):
    table = noisy("x", ranges, n=40)
    rng = np.random.default_rng(0)
    for dictionary in (one for group in terms(table.columns) for one in group):
        for k in rng.choice(len(dictionary), 8):
            assert np.allclose(of(table, dictionary.write[k]()), dictionary.values[:, k], rtol=1e-9), k
    made = factors(table.columns)
    for k in rng.choice(len(made.write), 120):
        # Any rate of an exponential will do, but for those that leave the range of numbers.
        size = 0.3 / max(1.0, np.abs(made.logarithms[:, k]).max() / 300) if made.is_free[k] else 2
        found = of(table, made.write[k](sympy.Float(size, 17) if made.is_free[k] else sympy.Integer(size)))
        assert np.allclose(np.log(np.abs(found)), size * made.logarithms[:, k], rtol=1e-7, atol=1e-9), k


def test_exponents_are_all_different():
    found = exponents(4, 4, 3)
    assert len(set(found)) == len(found)
    assert all(1 <= sum(map(abs, powers)) <= 4 and sum(p != 0 for p in powers) <= 3 for powers in found)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 3))
def test_what_is_missed_is_that_of_a_fit_without_the_row(seed, d):
    rng = np.random.default_rng(seed)
    x, y, weight = rng.uniform(1, 5, (40, d)), rng.standard_normal(40), rng.uniform(0.5, 2, 40)
    A = basis([coordinate(column) for column in x.T], 2, 40)
    found, i = missed(A, y, weight), int(rng.integers(40))
    rest, root = np.arange(40) != i, np.sqrt(weight)[:, None]
    fit = np.linalg.lstsq((root * A)[rest], (root[:, 0] * y)[rest], rcond=None)[0]
    assert found[i] == pytest.approx(y[i] - A[i] @ fit, rel=1e-6, abs=1e-9)


def test_terms_are_few_beside_the_rows():
    for d in range(1, 12):
        degree = degree_for(d, 600)
        assert degree == 1 or basis([np.zeros(3)] * d, degree, 3).shape[1] <= 72


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_reductions_are_exact(seed):
    table = noisy("x*y/(z + 2)", {"x": (1, 3), "y": (1, 3), "z": (1, 3)}, n=80, seed=seed)
    found = reductions(table, 9)
    assert found
    for smaller in found:
        assert np.allclose(of(table, smaller.factor) * smaller.y, table.y)
        assert np.allclose(smaller.weight * smaller.y**2, table.weight * table.y**2)
        for column in smaller.columns:
            assert np.allclose(of(table, column.expression), column.values)


@settings(max_examples=5, deadline=None)
@given(st.sampled_from([1e-30, 1e-3, 1e12]))
def test_errors_do_not_depend_on_the_unit(unit):
    table = noisy("x**2*exp(-y)", {"x": (1, 3), "y": (1, 3)}, n=100)
    other = Noisy(tuple(Column(unit * c.values, c.expression) for c in table.columns), unit * table.y, table.weight)
    assert error_of(other)[0] / unit**2 == pytest.approx(error_of(table)[0], rel=1e-6)


@pytest.mark.parametrize(
    ("law", "ranges", "smallest"),
    [
        ("a*b**2/c", {"a": (1, 5), "b": (1, 5), "c": (1, 5)}, 0),
        ("a*exp(-b/c)", {"a": (1, 5), "b": (1, 5), "c": (1, 5)}, 1),
        ("a*sin(b - c)", {"a": (1, 5), "b": (1, 5), "c": (1, 5)}, 1),
        ("sqrt(a**2 + b**2)*c", {"a": (1, 5), "b": (1, 5), "c": (1, 5)}, 0),
    ],
)
def test_tables_become_as_small_as_they_can(law, ranges, smallest):
    found = smaller_tables(noisy(law, ranges))
    assert len(found[0].table.columns) == smallest
    assert found[0].error < 2 * (0.01 * noisy(law, ranges).y.std()) ** 2


def test_what_is_missed_without_noise_is_none():
    ranges = {"a": (1, 5), "b": (1, 5)}
    for law in ("a*b", "a*exp(-b)", "sin(a)/b", "sin(9*a)", "a/(b + 2)**2"):
        assert not leaves_noise(noisy(law, ranges, noise=0)), law
    for law in ("a*b", "a*exp(-b)", "a/(b + 2)**2"):
        assert leaves_noise(noisy(law, ranges, noise=0.05)), law


@pytest.mark.parametrize(("law", "n_terms"), [("3*x", 1), ("2*x**2 - y", 2), ("1 + x*y + 0.5/y", 3)])
def test_planted_sums_leave_least(law, n_terms):
    table = noisy(law, {"x": (1, 3), "y": (1, 3)}, noise=0.001)
    (small,) = next(terms(table.columns))
    found = min((one for one in sums(small, table.y, table.weight) if one.size == n_terms), key=lambda one: one.left)
    assert found.left < 2e-6
    off = of(table, found.expression) - values_of(law, columns_of({"x": (1, 3), "y": (1, 3)}, 500))
    assert np.abs(off).max() < 0.02


def test_ratios_are_found():
    table = noisy("3*x/(1 + 0.7*x)", {"x": (1, 9)}, noise=1e-4)
    found = min(sums(next(terms(table.columns))[0], table.y, table.weight, ratios=True), key=lambda one: one.left)
    assert found.left < 1e-6


def test_planted_products_are_found():
    table = noisy("2.5*x**2*exp(-0.3*y)", {"x": (1, 3), "y": (1, 3)})
    best = min(
        float(np.mean((of(table, e) - table.y) ** 2))
        for e in products(table.columns, table.y, table.weight, factors(table.columns))
    )
    assert best < 1.1 * (0.01 * table.y.std()) ** 2


def test_the_same_table_gives_the_same_formulas():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, (60, 2))
    y = X[:, 0] * np.sin(X[:, 1]) + 0.01 * rng.standard_normal(60)
    samples = samples_of(X, y, sympy.symbols("x y"))
    first, second = (next(NoisySearch(samples).laws()) for _ in range(2))
    assert [a.expression for a in first] == [a.expression for a in second]


LAWS = [
    ("a*b**2", {"a": (1, 5), "b": (1, 5)}),
    ("a*exp(-b/c)", {"a": (1, 5), "b": (1, 5), "c": (1, 5)}),
    ("a*sin(b)", {"a": (1, 5), "b": (0.2, 3)}),
    ("a/(b - c)", {"a": (1, 5), "b": (4, 6), "c": (1, 2)}),
    ("a*b + c", {"a": (1, 5), "b": (1, 5), "c": (1, 5)}),
    ("a/sqrt(1 - b**2)", {"a": (1, 5), "b": (0.1, 0.9)}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("law", "ranges"), LAWS)
@pytest.mark.parametrize("noise", [0.01])
def test_laws_are_found_under_noise(law, ranges, noise):
    columns = columns_of(ranges, 500)
    y = values_of(law, columns)
    y = y + noise * y.std() * np.random.default_rng(1).standard_normal(len(y))
    found = kan2.discover({**columns, "target": y}, target="target", networks=False)
    assert found.found
    assert sympy.simplify(found.formula - sympy.sympify(law)) == 0, found.front


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_law(seed):
    rng = np.random.default_rng(seed)
    assert not kan2.discover((rng.uniform(1, 3, (200, 3)), rng.standard_normal(200)), networks=False).found
