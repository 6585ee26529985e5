"""The front of laws: what formulas cost, how numbers are fitted, that no row is dominated, what a pick gives."""

import copy
import pickle
from math import log

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import kan2
from kan2.expressions.symbols import symbol
from kan2.laws.front.approximations import approximations
from kan2.laws.front.complexity import complexity, description_length, nats
from kan2.laws.front.front import Front, Row
from kan2.laws.front.polish import Fit, Form, error_aside, polished, values
from kan2.laws.samples import Samples, samples_of

x, y = sympy.symbols("x y")
NUMBERS = st.sampled_from([sympy.Integer(2), sympy.Rational(3, 2), sympy.pi, sympy.Float(0.7), sympy.Integer(-3)])
LEAVES = st.one_of(st.sampled_from([x, y]), NUMBERS)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        inner.map(sympy.exp),
        inner.map(sympy.sin),
        inner.map(lambda e: 1 / (e + sympy.Integer(5))),
        inner.map(lambda e: e**2),
        inner.map(lambda e: e ** sympy.Rational(-1, 2)),
        inner.map(lambda e: e ** sympy.Float(1.3)),
        inner.map(lambda e: -e),
    ),
    max_leaves=7,
)
SMALL = settings(max_examples=40, deadline=None)


def table(n=60, seed=0, noise=0.0, weight=None, **options) -> Samples:
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 3, (n, 2))
    target = 2.5 * X[:, 0] ** 1.7 * np.exp(-0.4 * X[:, 1]) + noise * rng.standard_normal(n)
    return samples_of(X, target, (x, y), seed=seed, weight=weight, **options)


@SMALL
@given(EXPRESSIONS)
def test_a_part_never_costs_more_than_the_whole(expression):
    whole = complexity(expression)
    assert whole >= 1
    for part in sympy.preorder_traversal(expression):
        if isinstance(part, sympy.Expr):
            assert complexity(part) <= whole, part


@SMALL
@given(EXPRESSIONS)
def test_a_sign_and_a_name_cost_nothing(expression):
    renamed = expression.xreplace({x: symbol("flow rate [m/s]"), y: symbol("E")})
    assert complexity(renamed) == complexity(expression)
    if expression.is_Mul or expression.is_Symbol:
        assert complexity(-expression) in (complexity(expression), complexity(expression) + 1)


@pytest.mark.parametrize(
    ("formula", "cost"),
    [("x", 1), ("3", 1), ("x + y", 3), ("x - y", 3), ("x*y", 3), ("x/y", 3), ("1/x", 3), ("x**2", 2), ("sqrt(x)", 2),
     ("2*x", 3), ("exp(-x)", 2), ("exp(-2*x)", 4), ("x**(3/2)", 3), ("x*y/(x + y)", 7), ("1/(x*y)", 5), ("tan(x)", 3)],
)  # fmt: skip
def test_what_people_would_count(formula, cost):
    assert complexity(sympy.sympify(formula)) == cost


def test_digits_and_fitted_numbers_have_a_length():
    lengths = [nats([number * x], 100, 1) for number in (2, 17, sympy.Float(1.7321))]
    assert lengths == sorted(lengths)
    assert nats([sympy.Float(1.7) * x], 100, 1, [1e-6]) > nats([sympy.Float(1.7) * x], 100, 1, [1e-3])
    assert nats([sympy.Integer(3) * x], 9, 1) == nats([3 * sympy.Integer(10) ** -7 * x], 9, 1)
    assert description_length(1e-3, 0, 5, 100) == pytest.approx(100 * log(1e-3) + 5)
    assert description_length(1e-12, 1e-9, 5, 100) == pytest.approx(100 * log(1e-9) + 5)


@SMALL
@given(EXPRESSIONS, st.integers(0, 5))
def test_polishing_is_never_worse(expression, seed):
    samples = table(40, seed, noise=0.1)
    before = samples.size(values(expression, samples.symbols, samples.X))
    after = samples.size(values(polished(expression, samples)[0], samples.symbols, samples.X))
    assert after <= before * (1 + 1e-12) or not np.isfinite(before)


@SMALL
@given(st.lists(st.floats(0.8, 1.25), min_size=3, max_size=3), st.integers(0, 99))
def test_a_law_is_found_again_from_numbers_that_are_off(factors, seed):
    samples = table(40, seed)
    a, p, k = (float(number * factor) for number, factor in zip((2.5, 1.7, -0.4), factors))
    expression, numbers = polished(sympy.Float(a) * x ** sympy.Float(p) * sympy.exp(sympy.Float(k) * y), samples)
    assert sorted(number.value for number in numbers) == pytest.approx([-0.4, 1.7, 2.5], rel=1e-9)
    assert np.abs(values(expression, samples.symbols, samples.X) / samples.y - 1).max() < 1e-9


def test_standard_errors_are_those_of_linear_regression():
    samples = table(200, noise=0.2)
    _, numbers = polished(sympy.Float(1.1) * x + sympy.Float(0.3), samples)
    A = np.c_[samples.X[:, 0], np.ones(200)]
    found, left, *_ = np.linalg.lstsq(A, samples.y, rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(A.T @ A)) * left[0] / 198)
    by_value = sorted(zip(found, errors))
    assert [n.value for n in numbers] == pytest.approx([value for value, _ in by_value], rel=1e-6)
    assert [n.error for n in numbers] == pytest.approx([error for _, error in by_value], rel=1e-6)


def test_rows_left_out_in_turn_are_what_fits_without_them_give():
    samples = table(20, noise=0.2)
    assert samples.leaves_one_out
    form = Form.of(sympy.Float(1.1) * x + sympy.Float(0.3))
    told = Fit(form, samples).left_out
    for i in range(20):
        rows = np.arange(20) != i
        fit = Fit(form, samples.part(rows))
        assert fit.values(fit.numbers, samples.X[[i]])[0] == pytest.approx(told[i], rel=1e-6)


def test_a_weight_of_two_is_the_row_twice():
    weight = np.r_[np.full(10, 2.0), np.ones(30)]
    twice = table(40, noise=0.1)
    X, target = np.r_[twice.X, twice.X[:10]], np.r_[twice.y, twice.y[:10]]
    formula = sympy.Float(1.1) * x + sympy.Float(0.3)
    one = polished(formula, table(40, noise=0.1, weight=weight))[0]
    other = polished(formula, samples_of(X, target, (x, y)))[0]
    assert [float(f) for f in sorted(one.atoms(sympy.Float))] == pytest.approx(
        [float(f) for f in sorted(other.atoms(sympy.Float))], rel=1e-8
    )


@pytest.mark.slow
@SMALL
@given(st.integers(-12, 12), st.integers(-12, 12))
def test_units_of_measure_change_no_error(of_column, of_target):
    near, far = table(50, noise=0.05), table(50, noise=0.05)
    far = samples_of(far.X * 10.0**of_column, far.y * 10.0**of_target, (x, y))
    for one, other in zip(approximations(near.rest), approximations(far.rest), strict=True):
        assert one.evidence == other.evidence
        if one.is_fitted:
            errors = [error_aside(Fit(Form.of(c.expression), s.rest, is_best=True), s) for c, s in
                      ((one, near), (other, far))]  # fmt: skip
            assert errors[0] == pytest.approx(errors[1], rel=1e-6)


ROWS = st.lists(
    st.tuples(st.integers(1, 9), st.floats(1e-6, 1.0), st.booleans()).map(
        lambda t: Row((sympy.Integer(t[0]),), t[0], t[1], 100 * log(t[1]) + 3.0 * t[0], is_exact=t[2])
    ),
    min_size=1,
    max_size=12,
)


@SMALL
@given(ROWS)
def test_no_row_of_the_front_but_the_pick_is_dominated(rows):
    front = Front.of(rows)
    for row in front:
        assert row is front.pick or not any(
            other.complexity <= row.complexity and other.error <= row.error for other in front if other is not row
        )
    for row in rows:
        assert any(kept.complexity <= row.complexity and 0.999 * kept.error <= row.error for kept in front)
    if not any(row.is_exact for row in front):
        assert front.pick.description_length == min(row.description_length for row in front)
    else:
        assert front.pick.is_exact
    assert str(front).count("->") == 1


@pytest.fixture(scope="module")
def law():
    rng = np.random.default_rng(0)
    columns = {"a": rng.uniform(1, 2, 80), "period [s]": rng.uniform(1, 2, 80)}
    columns["T"] = 3 * columns["a"] * columns["period [s]"] ** 2
    return kan2.discover(columns, target="T")


def test_a_pick_predicts_as_its_formula(law):
    new = {"period [s]": [1.5, 1.7], "a": [1.0, 2.0]}
    assert len(law.front) > 2
    for i, row in enumerate(law.front):
        picked = law.pick(i)
        assert picked.formula == row.formula
        wanted = values(row.formula, (symbol("a"), symbol("period [s]")), np.array([[1.0, 1.5], [2.0, 1.7]]))
        assert picked.predict(new)[:, 0] == pytest.approx(wanted, rel=1e-14)
        assert picked.model.predict(new) == pytest.approx(picked.predict(new), rel=1e-12)
        assert picked.latex() == sympy.latex(row.formula)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda law: pickle.loads(pickle.dumps(law))])
def test_copies_are_the_same(law, again):
    law.model, law.tree  # what is made on demand  # noqa: B018
    other = again(law)
    assert str(other) == str(law)
    assert other.formula == law.formula
    assert (other.predict([[1.0, 1.5]]) == law.predict([[1.0, 1.5]])).all()
    assert other.model.spec.inputs == ("a", "period [s]")


@pytest.mark.parametrize(
    ("noise", "width"),
    [
        (0.0, None),
        pytest.param(0.02, None, marks=pytest.mark.slow),
        pytest.param(0.0, [2, [0, 1]], marks=pytest.mark.slow),
    ],
)
def test_the_same_seed_gives_the_same_law(noise, width, monkeypatch):
    monkeypatch.setattr("kan2.laws.formulas.NOISY_WORK", 0.05)
    rng = np.random.default_rng(1)
    X = rng.uniform(1, 2, (40, 2))
    data = X, X.prod(1) + noise * rng.standard_normal(40)
    options = {"attempts": 1, "steps": 5, "networks": width is not None, "work": 1}
    first, second = (kan2.discover(data, width, seed=5, **options) for _ in range(2))
    assert str(first) == str(second)
    assert [row.formula for row in first.front] == [row.formula for row in second.front]
    assert [row.error for row in first.front] == [row.error for row in second.front]


def decades(n=300, seed=0, factor=1.0, noise=0.0, **options) -> Samples:
    """3 x y**2 with x and y uniform from 0 to 1: of many values, few are tiny."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, 2))
    target = factor * 3 * X[:, 0] * X[:, 1] ** 2 * np.exp(noise * rng.standard_normal(n))
    return samples_of(X, target, (x, y), seed=seed, **options)


@SMALL
@given(st.integers(0, 99), st.sampled_from([-1.0, 1.0]), st.integers(-12, 12))
def test_the_best_constant_is_among_the_middle_of_a_target_over_decades(seed, sign, power):
    samples = decades(seed=seed, factor=sign * 10.0**power)
    assert samples.small > 0
    sizes = np.abs(samples.y)
    low, high = np.quantile(sizes, [0.25, 0.75])
    assert low < abs(samples.constant) < high
    assert np.sign(samples.constant) == sign
    geometric = float(np.exp(np.log(sizes).mean()))
    assert geometric < abs(samples.constant) < 2 * geometric
    near = [samples.size(np.full(len(samples), c * samples.constant)) for c in (0.99, 1.0, 1.01)]
    assert near[1] < min(near[0], near[2])


@SMALL
@given(st.integers(0, 99), st.integers(-100, 100))
def test_logarithms_are_measured_in_any_unit(seed, power):
    near, far = decades(seed=seed), decades(seed=seed, factor=10.0**power)
    values_ = near.y * np.linspace(-0.5, 2, len(near))
    assert far.error(values_ * 10.0**power) == pytest.approx(near.error(values_), rel=1e-9)
    assert far.constant == pytest.approx(near.constant * 10.0**power, rel=1e-9)
    assert near.moved(near.off(values_)) == pytest.approx(values_, rel=1e-9)


@SMALL
@given(st.integers(0, 99))
def test_weights_have_the_slope_of_logarithms(seed):
    samples = decades(seed=seed)
    found = samples.y * np.random.default_rng(seed).uniform(-2, 3, len(samples))
    step = 1e-6 * np.abs(found)
    numerical = (samples.off(found + step) ** 2 - samples.off(found - step) ** 2) / (2 * step)
    # The slope of w (v - y)**2, and that of a difference.
    assert 2 * samples.weights(found) * (found - samples.y) == pytest.approx(numerical, rel=1e-3, abs=1e-3)


@SMALL
@given(st.integers(0, 99), st.floats(0.02, 0.5))
def test_a_power_law_over_decades_is_near_the_line_of_logarithms(seed, noise):
    samples = decades(300, seed, noise=noise)
    start = sympy.Float(1.0) * x ** sympy.Float(0.5) * y ** sympy.Float(1.5)
    fit = Fit(Form.of(start), samples)
    formula = polished(start, samples)[0]
    A = np.c_[np.ones(300), np.log(samples.X)]
    line, left, *_ = np.linalg.lstsq(A, np.log(samples.y), rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(A.T @ A)) * left[0] / 297)
    exponents = [float(formula.as_powers_dict()[s]) for s in (x, y)]
    factor = float(formula.subs({x: 1, y: 1}))
    for found, wanted, error in zip((log(factor), *exponents), line, errors):
        assert abs(found - wanted) < 3 * error, (formula, line, errors)
    assert samples.error(fit.left_out) > samples.error(fit.values(fit.numbers))


def test_rows_left_out_in_turn_are_measured_as_logarithms():
    samples = decades(24, 3, noise=0.1)
    assert samples.leaves_one_out
    assert samples.small > 0
    form = Form.of(sympy.Float(2.0) * x ** sympy.Float(0.9))
    told = Fit(form, samples)
    for i in range(0, 24, 5):
        fit = Fit(form, samples.part(np.arange(24) != i))
        wanted = samples.measured(fit.values(fit.numbers, samples.X))[i]
        assert samples.measured(told.left_out)[i] == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_law_over_decades_is_picked_and_what_is_simpler_is_sensible(noise, monkeypatch):
    monkeypatch.setattr("kan2.laws.formulas.NOISY_WORK", 0.05)
    samples = decades(300, noise=noise)
    law = kan2.discover((samples.X, samples.y), attempts=1, steps=2, seconds=10)
    if noise:
        assert law.formula.as_powers_dict()[symbol("x2")] == 2
        assert 0.05 < law.row.error < 0.15
    else:
        assert str(law.formula) == "3*x1*x2**2"
        assert law.row.error < 1e-12
    low, high = samples.y.min(), samples.y.max()
    for row in law.front:
        middle = float(np.median(values(row.formula, (symbol("x1"), symbol("x2")), samples.X)))
        assert np.quantile(samples.y, 0.25) < middle < np.quantile(samples.y, 0.75), row.formula
        assert row.formula.free_symbols or low < row.formula < high
    assert law.front[0].error == pytest.approx(1, abs=0.2)


def test_the_shortest_description_is_picked_though_another_is_nearer_on_rows_kept_aside():
    rows = [
        Row((sympy.Integer(1),), 6, 0.098, -2237.0),
        Row((sympy.Integer(2),), 10, 0.099, -2247.0),
        Row((sympy.Integer(3),), 8, 0.0985, -2200.0),
    ]
    front = Front.of(rows)
    assert front.pick is rows[1]
    assert list(front) == [rows[0], rows[1]]
