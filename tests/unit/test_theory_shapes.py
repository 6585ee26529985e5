"""What is known of unknown functions holds: directions, curvatures, signs, parities, periods, zeros, bounds."""

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.optimize import lsq_linear

import kanpiler
from kan2.errors import Kan2Error
from kanpiler import Unknown

rng = np.random.default_rng(1)
N, NOISE = 90, 0.01
Z = np.r_[-1.0, 2.0, rng.uniform(-1, 2, N - 2)]
E = NOISE * rng.normal(size=N)


def curve_of(known, y, noise=0.0):
    net = kanpiler.compile("f(z)", unknown={"f": known})
    net.fit({"z": Z, "y": y + noise})
    return net


def root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values))))


DENSE = np.linspace(-1, 2, 3001)
ROUGH = 0.3 * rng.normal(size=N)
SHAPES = {
    "increasing": lambda v: np.diff(v).min(),
    "decreasing": lambda v: -np.diff(v).max(),
    "convex": lambda v: np.diff(v, 2).min(),
    "concave": lambda v: -np.diff(v, 2).max(),
    "positive": np.min,
    "negative": lambda v: -np.max(v),
}


@pytest.mark.parametrize("word", SHAPES)
def test_a_shape_holds_everywhere(word):
    # Waves and noise that break every shape.
    y = np.sin(4 * Z) + ROUGH
    free, held = curve_of(Unknown(grid=10), y), curve_of(Unknown(grid=10, shape=(word,)), y)
    assert SHAPES[word](free.function("f")(DENSE)) < -1e-5
    assert SHAPES[word](held.function("f")(DENSE)) > (-1e-6 if word in ("positive", "negative") else -1e-12)
    assert free.report.rmse < held.report.rmse < root_mean_square(y) * (1 + 1e-9)
    assert free.report.degrees_of_freedom < held.report.degrees_of_freedom


def increments(word, n):
    """Returns a matrix from numbers, of which those marked are >= 0, to coefficients of a shape; and the marks."""
    i = np.arange(n)[:, None]
    if word == "increasing":
        return (i >= np.arange(n)).astype(float), np.arange(n) > 0
    return np.maximum(i - np.arange(-1, n - 1), 0) * 1.0 + (np.arange(n) == 0), np.arange(n) > 1


@pytest.mark.parametrize(("word", "sign"), [("increasing", 1), ("decreasing", -1), ("convex", 1), ("concave", -1)])
def test_shapes_are_least_squares_under_conditions(word, sign):
    y = np.sin(2 * Z) + ROUGH
    net = curve_of(Unknown(grid=6, shape=(word,)), y)
    # Uniform knots, in which coefficients of a shape give a function of that shape.
    step = 0.5
    knots = -1 + step * np.arange(-3, 10)
    B = BSpline.design_matrix(np.clip(Z, -1, 2 - 1e-12), knots, 3).toarray()
    L, is_held = increments("increasing" if word in ("increasing", "decreasing") else "convex", 9)
    answer = lsq_linear(B @ L, sign * y, (np.where(is_held, 0, -np.inf), np.inf), method="bvls", tol=1e-14).x
    assert net.function("f")(Z) == pytest.approx(sign * (B @ L @ answer), abs=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_monotone_functions_take_the_direction_of_the_data(sign):
    y = sign * np.arctan(2 * Z)
    net = curve_of(Unknown(shape=("monotone",), grid=8), y, noise=5 * E)
    assert (sign * np.diff(net.function("f")(DENSE))).min() > -1e-12
    assert root_mean_square(net.function("f")(Z) - y) < 3 * NOISE


@pytest.mark.parametrize(("word", "sign"), [("even", 1), ("odd", -1)])
def test_parities(word, sign):
    y = np.cos(Z) if sign > 0 else np.sin(Z)
    net = curve_of(word, y, noise=E)
    u = np.linspace(0, 2, 201)
    f = net.function("f")
    assert f(-u) == pytest.approx(sign * f(u), abs=1e-12)
    # No row is below -1.
    assert f(-u) == pytest.approx(np.cos(u) if sign > 0 else -np.sin(u), abs=4 * NOISE)


@pytest.mark.parametrize(("words", "period"), [("period 1", 1), ("period pi/4", np.pi / 4), ("period 7", 7)])
def test_periods(words, period):
    y = np.sin(2 * np.pi * Z / period)
    net = curve_of(words, y, noise=E)
    f = net.function("f")
    curve, _ = net.curve("f")
    u = np.linspace(curve.low, curve.high - period, 201)
    assert f(u) == pytest.approx(f(u + period), abs=1e-9)
    assert f(Z) == pytest.approx(y, abs=4 * NOISE)
    assert net.report.rmse == pytest.approx(root_mean_square(net(Z[:, None]).detach().numpy()[:, 0] - y - E), rel=1e-9)


def test_zeros():
    net = curve_of("zero at 1, zero at -0.5", (Z - 1) * (Z + 0.5), noise=E)
    assert net.function("f")([1.0, -0.5]) == pytest.approx([0, 0], abs=1e-12)
    assert net.function("f")(Z) == pytest.approx((Z - 1) * (Z + 0.5), abs=4 * NOISE)
    # A zero beyond the rows counts as well.
    net = curve_of("zero at 4", Z - 4, noise=E)
    assert net.function("f")([4.0, 3.0]) == pytest.approx([0, -1], abs=6 * NOISE)
    assert net.function("f")(4.0) == pytest.approx(0, abs=1e-12)


def test_bounds_of_values():
    net = curve_of(Unknown(low=0, high=0.5, grid=10), np.tanh(3 * Z), noise=E)
    values = net.function("f")(DENSE)
    assert -0.01 < values.min() < 0.01
    assert 0.49 < values.max() < 0.51
    assert curve_of("between 0 and 0.5", np.tanh(3 * Z)).theory.functions[0].high == 0.5


def test_shapes_together():
    net = curve_of("increasing, odd, between -1 and 1", np.tanh(2 * Z), noise=E)
    u = np.linspace(-2, 2, 401)
    values = net.function("f")(u)
    assert np.diff(values).min() > -1e-12
    assert np.abs(values).max() < 1 + 1e-6
    assert values == pytest.approx(-values[::-1], abs=1e-12)
    assert values == pytest.approx(np.tanh(2 * u), abs=4 * NOISE)


@pytest.mark.parametrize("size", [1e-13, 1e13])
def test_shapes_do_not_depend_on_units(size):
    shape = Unknown(shape=("increasing", "positive"), grid=8)
    one, other = (curve_of(shape, (np.maximum(Z, 0) + 10 * E) * unit) for unit in (1, size))
    u = np.linspace(-1, 2, 301)
    assert other.function("f")(u) / size == pytest.approx(one.function("f")(u), abs=1e-6)
    assert other.report.degrees_of_freedom == one.report.degrees_of_freedom


@pytest.mark.parametrize("words", ["between 1 and 2, zero at 0", "between 1 and 2, odd"])
def test_knowledge_that_contradicts_itself_is_refused(words):
    with pytest.raises(Kan2Error, match="f"):
        curve_of(words, 1.5 + E)
