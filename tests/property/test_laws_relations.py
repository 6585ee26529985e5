"""Relations of few terms are found in any units and order of rows, and are the law outside of the range too."""

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kan2.laws.algebra.letters import plain
from kan2.laws.algebra.outer import outer_functions
from kan2.laws.algebra.plans import polynomial_law
from kan2.laws.algebra.relations import MOST_TERMS, Letters, holds, inner_rows, monomials, relation
from kan2.laws.column import Column, Table
from tests.laws import columns_of, is_close, names, values_of, wider

RANGES = {"x": (0.5, 3.0), "y": (-2.0, 2.5), "z": (1.0, 4.0)}
COLUMNS = columns_of(RANGES, 150)
WIDER = columns_of(wider(RANGES, 2.0), 100, seed=1)
SIMPLE = st.builds(sympy.Rational, st.integers(-9, 9).filter(bool), st.sampled_from([1, 2, 3, 5]))
SOME = settings(max_examples=8)


@st.composite
def polynomials(draw, n_columns, degree, most):
    """Draws a polynomial with simple coefficients."""
    powers = draw(
        st.lists(
            st.sampled_from(monomials(n_columns, degree, (9,) * n_columns)), min_size=1, max_size=most, unique=True
        )
    )
    symbols = [sympy.Symbol(name) for name in names(n_columns)]
    return sympy.Add(*(draw(SIMPLE) * sympy.Mul(*(s**p for s, p in zip(symbols, one))) for one in powers))


def first(columns, n):
    return {name: columns[name] for name in names(n)}


def law_of(columns, y):
    found = polynomial_law(Table(tuple(Column(v, sympy.Symbol(n)) for n, v in columns.items()), y))
    return None if found is None else found.expression


def check(law, n):
    columns, away = first(COLUMNS, n), first(WIDER, n)
    found = law_of(columns, values_of(law, columns))
    assert found is not None, law
    # What has its poles in between is as large as rounding makes it there.
    wanted, got = values_of(law, away), values_of(found, away)
    usual = np.abs(wanted) < 1e3 * np.median(np.abs(wanted))
    assert usual.sum() > 50
    assert is_close(got[usual], wanted[usual], 1e-6), (law, found)
    return found


@SOME
@given(st.data(), st.integers(1, 3))
def test_polynomials_are_found_with_their_coefficients(data, n):
    law = data.draw(polynomials(n, 3, 4))
    found = check(law, n)
    assert sympy.expand(found - law) == 0


@SOME
@given(st.data(), st.integers(1, 3))
def test_ratios_of_polynomials_are_found(data, n):
    P, Q = data.draw(polynomials(n, 2, 3)), data.draw(polynomials(n, 1, 3))
    assume(np.abs(values_of(Q, first(COLUMNS, n))).min() > 0.05)
    check(P / Q, n)


@SOME
@given(st.data())
def test_roots_of_polynomials_are_found(data):
    P = data.draw(polynomials(2, 2, 3))
    low = values_of(P, first(COLUMNS, 2)).min()
    P += max(0, -int(np.floor(low))) + 1
    columns = first(COLUMNS, 2)
    found = law_of(columns, np.sqrt(values_of(P, columns)))
    assert found is not None
    assert is_close(values_of(found, columns), np.sqrt(values_of(P, columns)), 1e-8)


@SOME
@given(st.integers(-30, 30), st.integers(-30, 30), st.integers(-30, 30), st.sampled_from(["x**2*y + x", "x*y/(x + z)"]))
def test_units_do_not_matter(kx, ky, kt, law):
    y = values_of(law, COLUMNS) * 10.0**kt
    scaled = {"x": COLUMNS["x"] * 10.0**kx, "y": COLUMNS["y"] * 10.0**ky, "z": COLUMNS["z"] * 10.0**kx}
    found = law_of(scaled, y)
    assert found is not None
    away = {"x": WIDER["x"] * 10.0**kx, "y": WIDER["y"] * 10.0**ky, "z": WIDER["z"] * 10.0**kx}
    assert is_close(values_of(found, away), values_of(law, WIDER) * 10.0**kt, 1e-9)


@SOME
@given(st.randoms(use_true_random=False), st.sampled_from(["x*z + y**2", "(x - y)/(1 + z)", "x**3 - z/5"]))
def test_the_order_of_rows_and_columns_does_not_matter(random, law):
    y = values_of(law, COLUMNS)
    rows = random.sample(range(150), 150)
    order = random.sample(["x", "y", "z"], 3)
    found = law_of({name: COLUMNS[name][rows] for name in order}, y[rows])
    assert found is not None
    assert sympy.simplify(found - sympy.sympify(law)) == 0


@settings(max_examples=3)
@given(st.integers(0, 10**6), st.sampled_from([1e-6, 1e-4]), st.sampled_from(["x*y", "x*z/(x + z)", "x**2"]))
def test_noise_is_never_a_law(seed, noise, law):
    columns = {name: v[:60] for name, v in COLUMNS.items()}
    y = values_of(law, columns) * (1 + noise * np.random.default_rng(seed).standard_normal(60))
    assert law_of(columns, y) is None


@SOME
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([8, 20, 60]))
def test_random_numbers_have_no_law(seed, n, rows):
    y = np.random.default_rng(seed).standard_normal(rows)
    assert law_of({name: v[:rows] for name, v in first(COLUMNS, n).items()}, y) is None


@SOME
@given(st.integers(0, 10**6), st.integers(6, 30))
def test_a_relation_needs_more_rows_than_terms(seed, rows):
    rng = np.random.default_rng(seed)
    columns = {"x": rng.uniform(1, 3, rows)}
    letters = Letters([plain(Column(columns["x"], sympy.Symbol("x")))])
    y = rng.standard_normal(rows)
    for degrees in ((3, 0), (2, 2), (4, 4), (6, 6)):
        assert relation(letters, y, next(outer_functions(y)), degrees) is None


@SOME
@given(st.data(), st.integers(1, 3), st.integers(0, 4))
def test_monomials_are_all_of_a_degree_once(data, n, degree):
    highest = tuple(data.draw(st.integers(0, 4)) for _ in range(n))
    found = monomials(n, degree, highest)
    wanted = {
        p for p in np.ndindex(*(h + 1 for h in highest)) if sum(p) <= degree
    }  # fmt: skip
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert [sum(p) for p in found] == sorted(sum(p) for p in found)


@SOME
@given(st.integers(1, 5), st.integers(1, 60), st.integers(0, 10**6))
def test_inner_rows_are_rows(n, wanted, seed):
    U = np.random.default_rng(seed).standard_normal((60, n))
    found = inner_rows(U, wanted)
    assert len(set(found.tolist())) == wanted
    if n == 1 and wanted <= 20:
        assert np.abs(U[found, 0]).max() < np.abs(U).max()
    scaled = inner_rows(U * 10.0 ** np.arange(n), wanted)
    assert (scaled == found).all()


def test_relations_have_few_terms():
    x = COLUMNS["y"]
    letters = Letters([plain(Column(x, sympy.Symbol("x")))])
    for n, wanted in ((6, True), (7, False)):
        y = sum((c * x**k for k, c in enumerate([1.0, 2, -3, 0.5, 0.25, -2, 7][:n])), np.zeros(len(x)))
        assert (relation(letters, y, next(outer_functions(y)), (n - 1, 0)) is not None) is wanted
    short = relation(letters, x**8 - x, next(outer_functions(x**8 - x)), (8, 0))
    assert short is not None
    assert short.n_terms == 3 <= MOST_TERMS[0]
    assert short.smallest < 1e-13


@pytest.mark.parametrize(("share", "wanted"), [(0.0, True), (0.005, True), (0.02, False), (1.0, False)])
def test_both_sides_agree_at_nearly_all_rows(share, wanted):
    y = np.linspace(1, 2, 1000)
    off = y.copy()
    off[: round(share * 1000)] += 1e-6
    assert holds(off, y) is wanted
    assert not holds(np.full(1000, np.nan), y)
    assert holds(y * (1 + 1e-12), y)
