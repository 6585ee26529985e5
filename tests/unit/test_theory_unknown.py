"""Unknown functions in theories: sums, products, inner functions, shapes, derivatives, and conventions."""

from functools import cache

import numpy as np
import pytest
from scipy.interpolate import BSpline, make_lsq_spline

import kanpiler
from kan2.errors import Kan2Error, TrainingError, UnknownNameError
from kanpiler import Parameter, Unknown

rng = np.random.default_rng(1)
N, NOISE = 90, 0.01
X = np.r_[0.0, 2.0, rng.uniform(0, 2, N - 2)]
Z = np.r_[-1.0, 2.0, rng.uniform(-1, 2, N - 2)]
E = NOISE * rng.normal(size=N)
AT = np.c_[X, Z]

MEASURED = {
    "f(x) + g(z)": np.sin(2 * X) + Z**2 / 3,
    "h(x)*k(z)": (1 + X**2) * np.exp(-Z),
    "f(x) - f(z)": np.tanh(X) - np.tanh(Z),
    "f(a*x + z)": np.exp(-((1.5 * X + Z - 1) ** 2)),
    "A*f(x) + B*z": 3 * np.cos(X) + 0.5 * Z,
    "f(x)*z + g(x)": np.exp(X) * Z + np.sin(X),
}
"""What was measured, without noise, by theory."""
PARAMETERS = {"f(a*x + z)": {"a": 1.0}, "A*f(x) + B*z": {"A": 1.0, "B": 0.0}}
GRIDS = {"f(a*x + z)": 12}
"""Where the search for a number of intervals takes seconds."""


@cache
def fitted(text):
    functions = {one: Unknown(grid=GRIDS.get(text)) for one in "fghk" if f"{one}(" in text}
    net = kanpiler.compile(text, ["x", "z"], parameters=PARAMETERS.get(text), unknown=functions)
    net.fit((AT, MEASURED[text] + E))
    return net


def curve_of(unknown, y, column=Z, noise=0.0, text="f(z)"):
    net = kanpiler.compile(text, unknown={"f": unknown})
    net.fit({text[-2]: column, "y": y + noise})
    return net


def output(net, rows=AT):
    return net(rows).detach().numpy()[:, 0]


def root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values))))


# -- what is fitted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", MEASURED)
def test_functions_follow_what_was_measured(text):
    net = fitted(text)
    assert root_mean_square(output(net) - MEASURED[text]) < 0.7 * NOISE
    assert net.report.noise[""] == pytest.approx(NOISE, rel=0.2)


@pytest.mark.parametrize("text", MEASURED)
def test_the_network_computes_what_was_fitted(text):
    net = fitted(text)
    rest = output(net) - MEASURED[text] - E
    assert net.report.rmse == pytest.approx(root_mean_square(rest), rel=1e-9)
    assert net.fitted.residuals[:N] == pytest.approx(rest, abs=1e-12)


@pytest.mark.parametrize("text", MEASURED)
def test_the_formula_holds_with_the_functions_that_are_given_out(text):
    net = fitted(text)
    known = {one.name: net.function(one.name) for one in net.theory.functions}
    given = eval(text, {}, {**known, **net.values, "x": X, "z": Z})  # a formula of this file
    assert output(net) == pytest.approx(given, abs=1e-12)


def test_an_inner_parameter_is_measured():
    (a,) = fitted("f(a*x + z)").estimates()
    assert 0 < a.error < 0.02
    assert abs(a.value - 1.5) < 4 * a.error


def test_a_function_on_a_given_grid_is_the_spline_of_scipy():
    y = np.sin(3 * Z) + E
    net = curve_of(Unknown(grid=6), y)
    curve, _ = net.curve("f")
    assert curve.grid == 6
    order = np.argsort(Z)
    knots = np.r_[[-1.0] * 3, np.linspace(-1, 2, 7), [2.0] * 3]
    spline = make_lsq_spline(Z[order], y[order], knots, 3)
    u = np.linspace(-1, 2, 101)
    assert net.function("f")(u) == pytest.approx(spline(u), abs=1e-6)
    assert net.report.degrees_of_freedom == N - 9


@pytest.mark.parametrize("k", [1, 2, 5])
def test_splines_of_other_orders(k):
    net = curve_of(Unknown(grid=5, k=k), np.sin(Z))
    order = np.argsort(Z)
    spline = make_lsq_spline(Z[order], np.sin(Z)[order], np.r_[[-1.0] * k, np.linspace(-1, 2, 6), [2.0] * k], k)
    assert net.function("f")(Z) == pytest.approx(spline(Z), abs=1e-6)


def test_a_parameter_beside_a_function_has_the_error_of_linear_least_squares():
    y = np.sin(2 * X) + 0.5 * Z + E
    net = kanpiler.compile("f(x) + k*z", parameters=["k"], unknown={"f": Unknown(grid=5)})
    net.fit({"x": X, "z": Z, "y": y})
    knots = np.r_[np.zeros(3), np.linspace(0, 2, 6), np.full(3, 2.0)]
    A = np.c_[Z, BSpline.design_matrix(X, knots, 3).toarray()]
    found, (squares,), _, _ = np.linalg.lstsq(A, y, rcond=None)
    (k,) = net.estimates()
    assert k.value == pytest.approx(found[0], rel=1e-7)
    assert k.error == pytest.approx(np.sqrt(np.linalg.inv(A.T @ A)[0, 0] * squares / (N - 9)), rel=1e-5)
    assert net.report.degrees_of_freedom == N - 9


def test_finer_grids_are_chosen_for_what_has_more_waves():
    grids = [curve_of(None, np.sin(w * Z), noise=E).curve("f")[0].grid for w in (0.5, 3, 12)]
    assert grids[0] < grids[1] < grids[2]
    assert root_mean_square(output(curve_of(None, np.sin(12 * Z), noise=E), Z[:, None]) - np.sin(12 * Z)) < NOISE


def test_functions_continue_along_their_tangents():
    net = curve_of(Unknown(grid=4), np.exp(Z))
    f = net.function("f")
    slope = (f(2.0) - f(2.0 - 1e-6)) / 1e-6
    assert f([3.0, 4.0]) == pytest.approx(f(2.0) + slope * np.array([1, 2]), rel=1e-5)
    assert f(np.zeros((2, 3))).shape == (2, 3)


def test_data_sets_share_a_function():
    label = np.array(["a", "b"])[np.arange(N) % 2]
    y = np.where(label == "a", 2.0, 3.0) * np.sin(X) + E
    net = kanpiler.compile("V*f(x)", parameters={"V": Parameter(per="lab")}, unknown=["f"])
    net.fit({"x": X, "lab": label, "y": y})
    first, second = net.values["V"]
    assert second / first == pytest.approx(1.5, rel=0.01)
    assert [one.note for one in net.estimates()] == ["", ""] or "held" in [one.note for one in net.estimates()]
    assert net({"x": X, "lab": label}).detach().numpy()[:, 0] == pytest.approx(y, abs=5 * NOISE)


def test_a_column_of_one_value_has_a_function_of_one_value():
    net = kanpiler.compile("f(x)", unknown=["f"])
    net.fit({"x": np.full(20, 3.0), "y": 5 + E[:20]})
    assert net.function("f")(3.0) == pytest.approx(5 + E[:20].mean(), rel=1e-5)


def test_the_same_seed_gives_the_same_bits():
    twice = []
    for _ in range(2):
        net = kanpiler.compile("f(x)*g(z)", unknown={"f": Unknown(grid=3), "g": Unknown(grid=3)})
        net.fit((AT, MEASURED["h(x)*k(z)"] + E), seed=3)
        twice.append(output(net))
    assert np.array_equal(*twice)


@pytest.mark.slow
def test_a_function_inside_another():
    y = np.exp(-((1.5 * X + np.sin(Z) - 1) ** 2))
    net = kanpiler.compile("f(a*x + g(z))", parameters=["a"], unknown=["f", "g"])
    net.fit((AT, y + E))
    assert root_mean_square(output(net) - y) < NOISE
    # g has mean 0 and mean square 1: a is 1.5 in units of the deviation of sin(z).
    (a,) = net.estimates()
    assert abs(a.value) == pytest.approx(1.5 / np.sin(Z).std(), rel=0.05)
    assert net.function("g")(Z) * np.sign(a.value) == pytest.approx(
        (np.sin(Z) - np.sin(Z).mean()) / np.sin(Z).std(), abs=0.1
    )


# -- conventions -------------------------------------------------------------------------------------------------------


def test_a_constant_belongs_to_the_first_of_two_functions():
    net = fitted("f(x) + g(z)")
    (told,) = net.report.conventions
    assert told == "g: its mean over the rows is 0, a convention: the data do not determine its constant"
    assert net.function("g")(Z).mean() == pytest.approx(0, abs=1e-9)
    assert net.report.degrees_of_freedom == N - sum(net.curve(name)[0].size for name in "fg") + 1
    assert net.function("g")(Z) == pytest.approx((Z**2 - np.mean(Z**2)) / 3, abs=4 * NOISE)


def test_a_factor_belongs_to_the_first_of_two_functions():
    net = fitted("h(x)*k(z)")
    (told,) = net.report.conventions
    assert told == "k: its root mean square over the rows is 1, a convention: the data do not determine its scale"
    assert root_mean_square(net.function("k")(Z)) == pytest.approx(1, rel=1e-9)
    assert net.report.degrees_of_freedom == N - sum(net.curve(name)[0].size for name in "hk") + 1


def test_one_function_used_twice_is_one_curve():
    net = fitted("f(x) - f(z)")
    edges = net.theory.functions[0].edges
    assert len(edges) == 2
    u = np.linspace(-1, 2, 31)
    found = []
    for layer, target, source in edges:
        rows = np.zeros((31, net.layers[layer].spec.n_in))
        rows[:, source] = u
        found.append(net.layers[layer].numeric.edge_values(net.like.new_tensor(rows)).detach()[:, target, source])
    assert found[0].tolist() == pytest.approx(found[1].tolist(), abs=1e-14)
    assert found[0].tolist() == pytest.approx(net.function("f")(u).tolist(), abs=1e-14)
    assert net.report.conventions[0].startswith("f: its mean over the rows is 0")
    assert net.function("f")(np.r_[X, Z]).mean() == pytest.approx(0, abs=1e-9)


def test_constant_and_scale_are_told_of_a_function_between_parameters():
    net = kanpiler.compile("A*f(x) + B", parameters={"A": 2.0, "B": 1.0}, unknown=["f"])
    y = 3 * np.cos(X) + 1 + E
    net.fit({"x": X, "y": y})
    assert [told.split(",")[0] for told in net.report.conventions] == [
        "f: its mean over the rows is 0", "f: its root mean square over the rows is 1",
    ]  # fmt: skip
    assert all(f"- {told}" in net.parameters_table() for told in net.report.conventions)
    f = net.function("f")(X)
    assert (f.mean(), root_mean_square(f)) == (pytest.approx(0, abs=1e-9), pytest.approx(1, rel=1e-9))
    A, B = net.estimates()
    assert abs(A.value) == pytest.approx(y.std(), rel=0.001)
    assert B.value == pytest.approx(y.mean(), rel=1e-5)
    # Both are means over the rows, of y and of f*y.
    assert [one.error for one in (A, B)] == pytest.approx([net.report.noise[""] / np.sqrt(N)] * 2, rel=1e-3)


@pytest.mark.parametrize("text", ["f(B*x)", "f(x + B)"])
def test_a_parameter_that_a_function_takes_up_is_held(text):
    net = kanpiler.compile(text, parameters={"B": 2.0}, unknown=["f"])
    net.fit({"x": X, "y": np.sin(X) + E})
    (told,) = net.report.conventions
    assert told.startswith("B: held at 2, a convention")
    (one,) = net.estimates()
    assert one.note == "held"
    assert one.value == pytest.approx(2, rel=1e-9)
    assert net.report.degrees_of_freedom == N - net.curve("f")[0].size


@pytest.mark.parametrize("known", ["zero at 0", "between -2 and 2, zero at 0"])
def test_what_is_known_needs_no_convention(known):
    net = kanpiler.compile("f(x) + g(z)", unknown={"f": None, "g": known})
    net.fit((AT, np.cos(X) + np.sin(Z) + E))
    assert net.report.conventions == ()
    assert net.function("g")(0.0) == pytest.approx(0, abs=1e-12)
    assert net.function("g")(Z) == pytest.approx(np.sin(Z), abs=4 * NOISE)


@pytest.mark.parametrize("text", ["f(x) + g(x)", "f(x)*g(x)", "f(x)*x + g(x)", "f(x) - g(2*x)"])
def test_functions_that_cannot_be_told_apart_are_refused(text):
    net = kanpiler.compile(text, unknown=["f", "g"])
    before = output(net, X[:, None])
    with pytest.raises(TrainingError, match="can be told apart, got f and g, of which only a combination is determin"):
        net.fit({"x": X, "y": 2 + X**2 + E})
    assert np.array_equal(output(net, X[:, None]), before)


# -- units -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "target"), [(1e9, 1e-12), (1e-12, 1e9)])
@pytest.mark.parametrize("text", ["f(x) + g(z)", "h(x)*k(z)"])
def test_functions_do_not_depend_on_units(text, columns, target):
    net = kanpiler.compile(text, unknown=[one.name for one in fitted(text).theory.functions])
    net.fit((AT * columns, (MEASURED[text] + E) * target))
    assert output(net, AT * columns) / target == pytest.approx(output(fitted(text)), abs=1e-3 * NOISE)
    assert net.report.degrees_of_freedom == fitted(text).report.degrees_of_freedom


# -- derivatives and equations -----------------------------------------------------------------------------------------


def derivative(text, known, y, parameters=None):
    net = kanpiler.compile(text, ["x", "z"], parameters=parameters, unknown={"f": known})
    net.fit((AT, y))
    return net


@pytest.mark.parametrize(
    ("text", "y"),
    [("f'(x) + 0*z", np.cos(X)), ("f'(x) + f(z)", np.cos(X) + np.sin(Z)), ("f(x) + f'(x)/2", np.sin(X) + np.cos(X) / 2),
     ("f(x) + f''(z)", np.sin(X) - np.sin(Z))],
)  # fmt: skip
def test_the_network_nearly_computes_derivatives_of_functions(text, y):
    # A derivative of a spline is no spline of the same order on the same knots.
    net = derivative(text, "zero at 0", y + E)
    assert net.fitted.residuals[:N] == pytest.approx(output(net) - y - E, abs=0.03 * y.std())
    assert root_mean_square(net.fitted.residuals[:N]) == pytest.approx(net.report.rmse, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "y"), [("f'(x) + f(z)", np.cos(X) + np.sin(Z)), ("f(x) + f'(x)/2", np.sin(X) + np.cos(X) / 2)]
)
def test_functions_are_found_from_their_derivatives(text, y):
    net = derivative(text, "zero at 0", y + E)
    f = net.function("f")
    assert f(0.0) == pytest.approx(0, abs=1e-12)
    u = np.linspace(0, 2, 101)
    assert f(u) == pytest.approx(np.sin(u), abs=6 * NOISE)


def test_a_function_of_which_only_the_derivative_stands_is_given_out():
    f = derivative("f'(x) + 0*z", "zero at 0", np.cos(X) + E).function("f")
    u = np.linspace(0, 2, 101)
    assert f(u) == pytest.approx(np.sin(u), abs=4 * NOISE)


def test_the_constant_of_a_derivative_is_a_convention():
    net = derivative("f'(x) + 0*z", None, np.cos(X) + E)
    assert len(net.report.conventions) == 1
    assert "determine its constant" in net.report.conventions[0]
    u = np.linspace(0, 2, 101)
    f = net.function("f")
    assert f(u) - f(0.0) == pytest.approx(np.sin(u), abs=4 * NOISE)


def test_an_unknown_function_in_an_equation():
    x = np.linspace(-2, 2, 60)
    y = 2 / np.sqrt(1.5) * np.sinh(np.arcsinh(x * 1.5 * np.sqrt(1.5)) / 3)  # y + y^3/2 = x
    net = kanpiler.compile("y + f(y) = x", unknown={"f": Unknown(shape=("odd",), grid=2)})
    net.fit({"x": x, "y": y + E[:60]}, target="y")
    u = np.linspace(-1.1, 1.1, 45)
    assert net.function("f")(u) == pytest.approx(u**3 / 2, abs=0.05)
    assert net.report.rmse < 1.2 * NOISE


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda net: net.function("q"), UnknownNameError, "function: unknown .*'q'.* Known: f, g"),
        (lambda net: net.curve("q"), UnknownNameError, "curve: unknown .*'q'.* Known: f, g"),
        (lambda net: net.symbolic_formula(), Kan2Error, "formulas alone, got f, g as splines. Run auto_symbolic"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message) as refusal:
        call(fitted("f(x) + g(z)"))
    assert "unknown unknown" not in str(refusal.value)


@pytest.mark.parametrize("text", ["f(log(a*x))", "f(x)*log(-a - x)"])
def test_arguments_and_values_must_be_finite(text):
    net = kanpiler.compile(text, parameters={"a": (1.0 if "-a" in text else -1.0)}, unknown=["f"])
    with pytest.raises(TrainingError, match=r"expected .*finite.* Move the starts"):
        net.fit({"x": X + 0.1, "y": X})


@pytest.mark.parametrize("size", [1e9, 1e-12])
def test_parameters_beside_a_function_do_not_depend_on_units(size):
    def measured(unit):
        net = kanpiler.compile("y = A*exp(-k*z) + f(x)", parameters={"A": unit, "k": 1 / unit}, unknown=["f"])
        net.fit({"x": X * unit, "z": Z * unit, "y": (2.5 * np.exp(-0.3 * Z) + np.log(3 + X) + E) * unit})
        return [(one.value, one.error) for one in net.estimates()]

    (A, k), (other_A, other_k) = measured(1.0), measured(size)
    assert other_A == pytest.approx([v * size for v in A], rel=1e-6)
    assert other_k == pytest.approx([v / size for v in k], rel=1e-6)
