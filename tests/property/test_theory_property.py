"""Theories beside their formulas; bounded least squares and splines beside SciPy; freedoms of unknown functions."""

import warnings

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from scipy.optimize import lsq_linear

import kanpiler
from kan2.core.theory import Unknown
from kan2.errors import TrainingWarning
from kanpiler.theory.fitting.curves import Curve
from kanpiler.theory.fitting.gauges import null_space, scaled
from kanpiler.theory.fitting.problem import start_of
from kanpiler.theory.fitting.solve import Inequalities, least_distance, minimise, nearest

LETTERS = sympy.symbols("x z A B")
SMOOTH = [sympy.sin, sympy.cos, sympy.tanh, sympy.atan, lambda u: sympy.exp(-(u**2)), lambda u: sympy.sqrt(1 + u**2)]
JOINS = [lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q, lambda p, q: p / (1 + q**2)]
leaves = st.one_of(st.sampled_from(LETTERS), st.sampled_from(LETTERS), st.integers(-3, 3).map(sympy.Integer))
formulas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda f, u: f(u), st.sampled_from(SMOOTH), inner),
        st.builds(lambda f, p, q: f(p, q), st.sampled_from(JOINS), inner, inner),
    ),
    max_leaves=7,
)
starts = st.floats(-2, 2).filter(lambda v: v == 0 or abs(v) > 1e-3)
seeds = st.integers(0, 2**32 - 1)
ROWS = np.random.default_rng(0).uniform(-1.5, 1.5, (20, 2))


# -- formulas ----------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(formulas, starts, starts)
def test_a_theory_computes_its_formula_and_its_derivatives(formula, a, b):
    named = [one for one in LETTERS[2:] if one in formula.free_symbols]
    if not named:
        reject()
    values = {"A": a, "B": b}
    net = kanpiler.compile(formula, ["x", "z"], parameters={one.name: values[one.name] for one in named})

    def evaluated(expression):
        return np.broadcast_to(sympy.lambdify(LETTERS, expression, "numpy")(*ROWS.T, a, b), 20)

    output = net(torch.from_numpy(ROWS))[:, 0]
    assert output.detach().numpy() == pytest.approx(evaluated(formula), rel=1e-9, abs=1e-9)
    slopes = torch.autograd.grad(output.sum(), list(net.constants), allow_unused=True)
    for one, slope in zip(named, slopes):
        expected = float(evaluated(sympy.diff(formula, one)).sum())
        assert (0.0 if slope is None else float(slope)) == pytest.approx(expected, rel=1e-7, abs=1e-7)


THEORIES = {
    "A*f(a*x + g(z)) + f(z)": 0.0,
    "f(x)*g(z) + A*f(z)^2": 0.0,
    "sin(f(x) + A*z) + f(f(z))": 0.0,
    "f(x) + A*f'(z) + g(a*z)": 0.0,
}


@pytest.fixture(scope="module")
def problems():
    found = {}
    for text in THEORIES:
        letters = [one for one in "Aa" if f"{one}*" in text]
        functions = [one for one in "fg" if f"{one}(" in text]
        known = dict.fromkeys(functions, Unknown(grid=2, zeros=(0.25,)))
        net = kanpiler.compile(text, ["x", "z"], parameters=letters, unknown=known)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)  # any numbers will do
            net.fit((ROWS, np.sin(ROWS).sum(1)), seconds=0.0)
        found[text] = net.fitted
    return found


@settings(max_examples=4)
@given(seed=seeds)
@pytest.mark.parametrize("text", THEORIES)
def test_derivatives_by_all_numbers_are_exact(text, problems, seed):
    fitted = problems[text]
    x = np.random.default_rng(seed).uniform(-1, 1, len(fitted.x))
    _, J = fitted.model.predict(x, fitted.fixed, fitted.rows, True)
    step = 1e-6
    for i, unit in enumerate(np.eye(len(x)) * step):
        up, down = (fitted.model.predict(x + s * unit, fitted.fixed, fitted.rows, False)[0] for s in (1, -1))
        assert J[:, :, i] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-5)


# -- least squares -----------------------------------------------------------------------------------------------------


def linear(seed, n, size):
    rng = np.random.default_rng(seed)
    A, y = rng.normal(size=(12, n)), rng.normal(size=12)
    low = np.where(rng.random(n) < 0.7, rng.uniform(-1, 0.5, n), -np.inf)
    high = np.where(rng.random(n) < 0.7, np.where(np.isfinite(low), low, 0) + rng.uniform(0.1, 1, n), np.inf)
    start = np.clip(rng.normal(size=n), low, high)
    answer = lsq_linear(A, y, (low, high), method="bvls", tol=1e-15).x

    def residuals(x, with_jacobian):
        return A / size @ x - y, A / size

    return residuals, start * size, Inequalities.of_bounds(low * size, high * size), answer


def is_minimum(found, answer, residuals, size, inequalities):
    assert found.has_converged
    assert found.x / size == pytest.approx(answer, rel=1e-8, abs=1e-8)
    least, _ = residuals(answer * size, False)
    assert found.cost == pytest.approx(least @ least, rel=1e-9)
    G, h = inequalities.G, inequalities.h
    assert (G @ found.x >= h - 1e-9 * (np.abs(G) @ size)).all()


@given(seeds, st.integers(1, 6))
def test_bounded_least_squares_is_that_of_scipy(seed, n):
    residuals, start, inequalities, answer = linear(seed, n, np.ones(n))
    is_minimum(minimise(residuals, start, inequalities), answer, residuals, np.ones(n), inequalities)


@settings(max_examples=25)
@given(seeds, st.lists(st.integers(-30, 30), min_size=1, max_size=5))
def test_bounded_least_squares_does_not_depend_on_units(seed, powers):
    size = 10.0 ** np.array(powers)
    residuals, start, inequalities, answer = linear(seed, len(powers), size)
    is_minimum(minimise(residuals, start, inequalities), answer, residuals, size, inequalities)


@given(seeds, st.integers(1, 4), st.integers(1, 6))
def test_the_least_distance_is_optimal(seed, n, m):
    rng = np.random.default_rng(seed)
    G, h = rng.normal(size=(m, n)), rng.normal(size=m)
    p = least_distance(G, h)
    if p is None:
        # Nobody finds a point either: a combination of the rows is a contradiction.
        E, f = np.r_[G.T, h[None]], np.r_[np.zeros(n), 1.0]
        assert np.abs(E @ lsq_linear(E, f, (0, np.inf), tol=1e-14).x - f).max() < 1e-5
        return
    slack = G @ p - h
    assert slack.min() > -1e-8
    # Kuhn and Tucker: p is a combination, with weights >= 0, of the rows that hold with equality.
    active = G[slack < 1e-7]
    weights = lsq_linear(active.T, p, (0, np.inf), tol=1e-14).x if len(active) else np.zeros(0)
    assert active.T @ weights == pytest.approx(p, abs=1e-6)


@given(seeds, st.integers(1, 5), st.integers(-30, 30))
def test_the_nearest_point_within_bounds_is_clipped(seed, n, power):
    rng = np.random.default_rng(seed)
    low, size = rng.normal(size=n), 10.0**power
    high, x = low + rng.uniform(0.1, 2, n), 3 * rng.normal(size=n)
    found = nearest(x * size, Inequalities.of_bounds(low * size, high * size)) / size
    assert found == pytest.approx(np.clip(x, low, high), abs=1e-9)


# -- splines -----------------------------------------------------------------------------------------------------------

orders = st.integers(1, 5)
grids = st.integers(1, 9)


@given(seeds, orders, grids, st.integers(-30, 30))
def test_curves_are_splines_of_scipy(seed, k, grid, power):
    rng = np.random.default_rng(seed)
    low = rng.normal() * 10.0**power
    high = low + rng.uniform(0.5, 2) * 10.0**power
    curve = Curve.on(Unknown(name="f", k=k), low, high, grid)
    assert (curve.size, curve.low, curve.high) == (grid + k, low, high)
    w = rng.normal(size=curve.size)
    width = (high - low) / grid
    spline = BSpline(low + width * np.arange(-k, grid + k + 1), w, k)
    u = rng.uniform(low, high, 40)
    for order in range(k + 1):
        expected = spline(u, nu=order) * width**order
        assert curve.values(u, order) @ w * width**order == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert curve.values(u).sum(1) == pytest.approx(1, abs=1e-12)
    # Along the tangent beyond the ends.
    beyond = high + width * np.array([0.5, 3])
    tangent = spline(high) + spline(high, nu=1) * (beyond - high)
    assert curve.values(beyond) @ w == pytest.approx(tangent, rel=1e-6, abs=1e-6)


@given(seeds, st.integers(2, 5), grids)
def test_what_is_known_holds_for_all_numbers(seed, k, grid):
    rng = np.random.default_rng(seed)
    zero = rng.uniform(-1, 1)
    u = rng.uniform(0, 1, 30)

    def drawn(**known):
        curve = Curve.on(Unknown(name="f", k=k, **known), -0.9, 1.0, grid)
        w = rng.normal(size=curve.size)
        return curve, lambda u: curve.values(u) @ w

    _, f = drawn(zeros=(zero,))
    assert f(np.array([zero])) == pytest.approx(0, abs=1e-9)
    _, f = drawn(shape=("even",))
    assert f(-u) == pytest.approx(f(u), abs=1e-9)
    _, f = drawn(shape=("odd",))
    assert f(-u) == pytest.approx(-f(u), abs=1e-9)
    curve, f = drawn(period=0.4)
    u = rng.uniform(curve.low, curve.high - 0.4, 30)
    assert f(u + 0.4) == pytest.approx(f(u), abs=1e-8)
    assert curve.low <= -0.9 < 1.0 <= curve.high


@given(seeds, st.integers(2, 4), grids, st.sampled_from(["increasing", "decreasing", "convex", "concave"]))
def test_shapes_hold_where_their_conditions_do(seed, k, grid, word):
    curve = Curve.on(Unknown(name="f", k=k, shape=(word,)), -1.0, 2.0, grid)
    G, h = curve.inequalities()
    w = nearest(np.random.default_rng(seed).normal(size=curve.size), Inequalities(G, h))
    values = curve.values(np.linspace(-1, 2, 400)) @ w
    order = 1 if word in ("increasing", "decreasing") else 2
    sign = 1 if word in ("increasing", "convex") else -1
    assert (sign * np.diff(values, order)).min() > -1e-8


# -- freedoms ----------------------------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 6), st.integers(0, 6), st.integers(6, 12), st.integers(-30, 30))
def test_the_null_space_is_all_that_changes_nothing(seed, n, rank, rows, power):
    rng = np.random.default_rng(seed)
    rank = min(rank, n)
    J = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, n)) * 10.0 ** (power * np.arange(n) / n)
    A, size = scaled(J)
    found = null_space(A)
    assert found.shape == (n, n - np.linalg.matrix_rank(A, 1e-9))
    assert found.shape[1] >= n - rank
    assert np.abs(A @ found).max(initial=0.0) < 1e-8
    assert found.T @ found == pytest.approx(np.eye(found.shape[1]), abs=1e-12)
    assert np.abs(J - A * size).max(initial=0.0) <= 1e-12 * np.abs(J).max(initial=0.0)


def problem_of(text, letters):
    functions = [one for one in "fgh" if f"{one}(" in text]
    known = dict.fromkeys(functions, Unknown(grid=2))
    net = kanpiler.compile(text, ["x", "z"], parameters=list(letters), unknown=known)
    net.fit((ROWS, 4 + np.sin(ROWS) @ [1, 2] + ROWS[:, 0] * ROWS[:, 1] / 2))
    return net.fitted


@pytest.mark.parametrize(
    ("text", "letters", "freedoms"),
    [
        ("f(x)", "", 0),
        ("f(x) + g(z)", "", 1),
        ("f(x)*g(z)", "", 1),
        ("f(x)*z + g(x)", "", 0),
        ("A*f(x)", "A", 1),
        ("A*f(x) + B", "AB", 2),
        ("A*f(x) + B*x + z", "AB", 2),
        ("A*f(x) + g(z) + B", "AB", 3),
        ("exp(f(x) + g(z))", "", 1),
    ],
)
def test_conventions_are_as_many_as_freedoms(text, letters, freedoms):
    fitted = problem_of(text, letters)
    assert len(fitted.conventions) == freedoms
    bare, all_of_it = fitted.jacobian[: fitted.n_data], fitted.jacobian
    assert null_space(scaled(bare)[0]).shape[1] == freedoms
    assert null_space(scaled(all_of_it)[0]).shape[1] == 0
    assert fitted.degrees_of_freedom == 20 - len(fitted.x) + freedoms


@settings(max_examples=15)
@given(seed=seeds)
def test_freedoms_change_no_prediction(seed):
    rng = np.random.default_rng(seed)
    fitted = problem_of_sum()
    model, (of_parameters, at, size) = fitted.model, fitted.model.slices()
    x = rng.normal(size=size)

    def predicted(x):
        return model.predict(x, fitted.fixed, fitted.rows, False)[0]

    moved = x.copy()
    # A*f(x) + g(z) + B: f -> f/2 + c, A -> 2A, g -> g + d, B -> B - 2Ac - d.
    c, d = rng.normal(size=2)
    moved[at["f"]] = x[at["f"]] / 2 + c
    moved[at["g"]] = x[at["g"]] + d
    A, B = of_parameters["A"], of_parameters["B"]
    moved[A] = 2 * x[A]
    moved[B] = x[B] - 2 * x[A] * c - d
    assert predicted(moved) == pytest.approx(predicted(x), abs=1e-10)
    assert len(start_of(model)) == size


_sums = []


def problem_of_sum():
    if not _sums:
        _sums.append(problem_of("A*f(x) + g(z) + B", "AB"))
    return _sums[0]
