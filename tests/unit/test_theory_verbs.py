"""Verbs of theories: formulas for functions, simple numbers, corrections, files, and the network beneath."""

from functools import cache

import numpy as np
import pytest
import sympy
from scipy import stats

import kan2
import kanpiler
from kan2 import datasets
from kan2.errors import FormulaError, Kan2Error, OptionError, SpecError, TrainingError, UnknownNameError
from kanpiler import Parameter, Theory, Unknown

rng = np.random.default_rng(2)
N, NOISE = 80, 0.002
X, Z, W = rng.uniform(0.1, 2, N), rng.uniform(-1, 2, N), rng.uniform(0, 1, N)
E = NOISE * rng.normal(size=N)
x, z, w, k = sympy.symbols("x z w k")


@cache
def fitted(text, letters="", functions="", grid=5, **truth):
    """Returns a theory fitted to what a formula of x, z and w gives, with noise."""
    net = kanpiler.compile(text, parameters=list(letters), unknown=dict.fromkeys(functions, Unknown(grid=grid)))
    net.fit(table_of(**truth))
    return net


def table_of(**truth):
    columns = {"x": X, "z": Z, "w": W}
    return columns | {name: eval(formula, {"np": np}, columns) + E for name, formula in truth.items()}


@pytest.fixture
def wave():
    return fitted("k*z + f(x)", "k", "f", y="0.7*z + np.sin(2*x)")


@pytest.fixture
def power():
    return fitted("a*x^n + b*z + c", "anbc", y="2*x**2")


def output(net, columns=None):
    return net(table_of() if columns is None else columns).detach().numpy()[:, 0]


# -- formulas for unknown functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "letters", "functions", "truth", "formula"),
    [
        ("k*z + f(x)", "k", "f", "0.7*z + np.sin(2*x)", k * z + sympy.sin(2 * x)),
        ("k*z + f(x)", "k", "f", "0.7*z + 2*np.log(x)", k * z + 2 * sympy.log(x)),
        ("exp(-k*z)*f(x)", "k", "f", "np.exp(-0.7*z)*3*x**2", 3 * x**2 * sympy.exp(-k * z)),
        ("f(x) - f(z)", "", "f", "np.tanh(x) - np.tanh(z)", sympy.tanh(x) - sympy.tanh(z)),
    ],
)
def test_functions_get_formulas(text, letters, functions, truth, formula):
    before = fitted(text, letters, functions, y=truth)
    net = before.auto_symbolic()
    assert net.symbolic_formula() == formula
    assert net.theory.functions == ()
    if letters:
        (one,) = net.estimates()
        assert abs(one.value - 0.7) < 4 * one.error
    # The theory itself is what it was, and the formula no worse than its splines but for noise.
    assert [one.name for one in before.theory.functions] == list(functions)
    assert net.report.noise[""] < before.report.noise[""] * 1.2
    assert output(net) == pytest.approx(eval(truth, {"np": np, "x": X, "z": Z}), abs=3 * NOISE)
    assert net.report.rmse == pytest.approx(np.sqrt(np.mean((output(net) - table_of(y=truth)["y"]) ** 2)), rel=1e-9)


def test_numbers_of_formulas_are_parameters_with_errors():
    net = fitted("k*z + f(x)", "k", "f", y="0.7*z + 1.234*np.exp(0.567*x)").auto_symbolic()
    (own,) = {one.of for one in net.theory.parameters if one.of}
    assert own == "f"
    estimates = {one.name: one for one in net.estimates()}
    assert abs(estimates["f_1"].value - 1.234) < 4 * estimates["f_1"].error
    assert abs(estimates["f_2"].value - 0.567) < 4 * estimates["f_2"].error
    assert str(net.symbolic_formula(digits=2)) == "k*z + 1.2*exp(0.57*x)"
    assert str(net.symbolic_formula(digits=2, values=True)) == "0.7*z + 1.2*exp(0.57*x)"
    assert kanpiler.decompile(net).free_symbols == {x, z, k, *sympy.symbols("f_1 f_2")}


@pytest.mark.slow
def test_named_functions_alone_get_formulas():
    net = fitted("f(x) + g(z)", "", "fg", y="np.exp(x) + z**2").auto_symbolic(["g"])
    assert [one.name for one in net.theory.functions] == ["f"]
    assert kanpiler.decompile(net) == sympy.Function("f")(x) + z**2


def test_what_no_formula_follows_stays_a_spline():
    net = fitted("f(x)", "", "f", grid=15, y="np.sin(2*x**2) + np.abs(x - 1)").auto_symbolic()
    assert [one.name for one in net.theory.functions] == ["f"]
    with pytest.raises(FormulaError, match="formulas alone, got f as splines"):
        net.symbolic_formula()


def test_formulas_do_not_depend_on_units():
    table = table_of(y="0.7*z + np.sin(2*x)")
    net = kanpiler.compile("k*z + f(x)", parameters={"k": 1e-15}, unknown=["f"])
    net.fit({"x": 1e6 * table["x"], "z": 1e6 * table["z"], "y": 1e-9 * table["y"]})
    formula = net.auto_symbolic().symbolic_formula(values=True)
    (sine,) = formula.atoms(sympy.sin)
    assert float(sine.args[0].coeff(x)) == pytest.approx(2e-6, rel=0.01)
    assert float(formula.coeff(z)) == pytest.approx(0.7e-15, rel=0.01)


# -- simple numbers ----------------------------------------------------------------------------------------------------


def test_numbers_become_simple_where_the_rows_allow_that(power):
    assert power.snap_constants().symbolic_formula() == 2 * x**2
    assert power.theory.parameters[0].name == "a"
    net = power.snap_constants(["n"])
    assert {one.name for one in net.theory.parameters} == {"a", "b", "c"}
    assert net.symbolic_formula().coeff(sympy.Symbol("a")) == x**2


def test_numbers_that_are_not_simple_stay():
    net = fitted("a*x + b", "ab", y="2.05*x + 0.5").snap_constants()
    assert [one.name for one in net.theory.parameters] == ["a"]
    assert net.symbolic_formula() == sympy.Symbol("a") * x + sympy.Rational(1, 2)


def test_what_rows_do_not_need_is_pruned(power):
    net = power.prune()
    assert net.symbolic_formula() == sympy.Symbol("a") * x ** sympy.Symbol("n")
    assert {one.name for one in net.theory.parameters} == {"a", "n"}
    net = fitted("a*x + f(z)", "a", "f", y="2*x").prune()
    assert net.theory.functions == ()
    assert net.symbolic_formula() == sympy.Symbol("a") * x
    kept = fitted("a*x + f(z)", "a", "f", y="2*x + np.sin(z)").prune()
    assert [one.name for one in kept.theory.functions] == ["f"]


def test_what_is_known_of_parameters_is_kept_by_verbs():
    given = {"a": Parameter(1, low=0, unit="m/s"), "b": Parameter(2, fixed=True), "c": 0.0}
    net = kanpiler.compile("a*x + b*z + c", parameters=given)
    net.fit(table_of(y="2.17*x + 2*z"))
    for one in (net.prune(), net.prune().snap_constants()):
        a, b = one.theory.parameters
        assert (a.low, a.unit, b.fixed, b.start) == (0, "m/s", True, 2)
        assert one.symbolic_formula() == sympy.Symbol("a") * x + sympy.Symbol("b") * z


def test_finer_grids(wave):
    net = wave.refine(12)
    assert net.curve("f")[0].grid == 12
    assert net.theory.functions[0].grid == 12
    assert wave.curve("f")[0].grid != 12
    assert net.report.sum_of_squares < wave.report.sum_of_squares
    assert net.report.degrees_of_freedom == N - 16
    assert output(net) == pytest.approx(output(wave), abs=5 * NOISE)


# -- corrections -------------------------------------------------------------------------------------------------------


def test_residuals_are_tested_by_f_tests():
    label = np.arange(N) % 3
    y = 2 * X + 0.002 * (label == 1) + E
    net = kanpiler.compile("a*x", parameters=["a"])
    net.fit({"x": X, "y": y})
    tests = {one.columns: one for one in net.residual_tests({"x": X, "y": y, "label": label})}
    assert set(tests) == {("x",), ("label",), ("x", "label")}
    own = np.c_[X, np.ones(N)]
    with_label = np.c_[own, label == 1, label == 2]
    rests = [float(np.linalg.lstsq(A, y, rcond=None)[1][0]) for A in (own, with_label)]
    f = (rests[0] - rests[1]) / 2 / (rests[1] / (N - 4))
    found = tests["label",]
    assert found.f == pytest.approx(f, rel=1e-6)
    assert found.p == pytest.approx(min(1, 3 * stats.f.sf(f, 2, N - 4)), rel=1e-6)
    assert found.share == pytest.approx(1 - rests[1] / rests[0], rel=1e-6)
    assert found.is_significant == (found.p < 1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_not_significant(seed):
    generator = np.random.default_rng(seed)
    net = kanpiler.compile("a*x + c", parameters=["a", "c"])
    table = {"x": X, "y": 2 * X + generator.normal(size=N)}
    net.fit(table)
    assert not any(one.is_significant for one in net.residual_tests({**table, "z": Z, "w": W}))


def test_a_correction_is_found_by_what_explains_the_residuals():
    net = fitted("k*x", "k", y="2*x + 0.5*np.sin(6*w)")
    table = table_of(y="2*x + 0.5*np.sin(6*w)")
    first, *_ = net.residual_tests(table)
    assert "w" in first.columns
    freed = net.free(data=table)
    assert kanpiler.decompile(freed) == k * x + sympy.Function("f")(w)
    assert freed.spec.inputs == ("x", "w")
    assert freed.report.rmse < 1.2 * NOISE
    estimate = freed.estimates()[0]
    assert abs(estimate.value - 2) < 4 * estimate.error
    assert net.text == "k*x"


def test_a_part_of_a_formula_is_opened():
    freed = fitted("c*x*(1 - w)", "c", y="3*x*np.exp(-w)").free("1 - w", shape=Unknown(grid=4))
    assert freed.text == "c*x*f(w)"
    assert output(freed) == pytest.approx(3 * X * np.exp(-W), abs=3 * NOISE)


def test_a_function_of_any_argument_is_opened():
    net = fitted("exp(-k*x*w)", "k", y="1/(1 + 0.8*x*w)")
    freed = net.free("exp(-k*x*w)", shape=Unknown(grid=4))
    assert kanpiler.decompile(freed) == sympy.Function("f")(-k * w * x)
    assert freed.report.rmse < 1.3 * NOISE < net.report.rmse


def test_corrections_are_terms_or_factors_of_columns():
    net = fitted("a*x", "a", y="2*x*(1 + z/4)")
    assert net.free(columns="z").text == "a*x + f(z)"
    freed = net.free(columns="z", factor=True, shape="increasing")
    assert freed.text == "a*x*f(z)"
    assert freed.theory.functions[0].shape == ("increasing",)
    assert freed.report.rmse < 1.2 * NOISE < net.report.rmse


@pytest.mark.slow
def test_corrections_of_two_columns_are_products():
    freed = fitted("a*x", "a", y="2*x + np.exp(-x)*np.sin(2*z)").free(columns=["x", "z"])
    assert freed.text == "a*x + f(x)*g(z)"
    assert freed.report.rmse < 1.2 * NOISE


def test_new_functions_have_new_names():
    net = fitted("f(x) + g*z", "g", "f", y="np.sin(x) + z**2").free(columns="z", shape=Unknown(grid=3))
    assert [one.name for one in net.theory.functions] == ["f", "h"]


def test_names_with_spaces_are_kept_by_corrections(tmp_path):
    table = {"the time": X, "the place": Z, "y": 2 * X + np.sin(Z) + E}
    net = kanpiler.compile("k*`the time`", parameters=["k"])
    net.fit(table)
    freed = net.free(columns="the place", data=table, shape=Unknown(grid=5))
    freed.save(tmp_path / "net.kan")
    again = Theory.load(tmp_path / "net.kan")
    assert again.spec.inputs == ("the time", "the place")
    assert again.written() == freed.written()
    assert [call.argument.name for call in again.form.calls] == ["the place"]
    assert again.fit(table).rmse == pytest.approx(freed.report.rmse, rel=1e-6)


def test_columns_are_tested_where_rows_were_left_out():
    table = table_of(y="2*x + 0.5*np.sin(6*w)")
    table["x"] = np.where(np.arange(N) == 7, np.nan, X)
    net = kanpiler.compile("k*x", parameters=["k"])
    with pytest.warns(kan2.errors.DataWarning, match="left out 1 of 80 rows"):
        net.fit(table)
    assert "w" in net.residual_tests(table)[0].columns


def test_corrections_keep_the_noise_of_data_sets():
    per = {"V": Parameter(200, per="treated"), "K": Parameter(0.05, per="treated")}
    net = kanpiler.compile("V*concentration/(K + concentration)", parameters=per)
    net.fit(datasets.table("puromycin"), "rate", noise="per set")
    for one in (net.refine(3), net.snap_constants(["V"]), net.free(columns="concentration", shape="zero at 0")):
        assert len(np.unique(one.fitted.noise)) == 2


def test_equations_stay_equations(tmp_path):
    y = np.linspace(-1, 1, 30)
    table = {"x": y + y**3 / 2, "y": y + E[:30]}
    net = kanpiler.compile("y + k*y^3 = x", parameters=["k"])
    net.fit(table, target="y")
    assert net.snap_constants().symbolic_formula() == -x + sympy.Symbol("y") + sympy.Symbol("y") ** 3 / 2
    for one in (net.snap_constants(), net.prune(), net.free("k*y^3", shape=Unknown(grid=2))):
        assert one.theory.implicit
        assert one.form.implicit
        assert one.report.rmse < 1.3 * NOISE
        one.save(tmp_path / "net.kan")
        again = Theory.load(tmp_path / "net.kan")
        assert again.form.implicit
        if not one.theory.functions:  # which takes seconds
            assert again.fit(table, target="y").rmse == pytest.approx(one.report.rmse, rel=1e-6)


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb",
    ["prune_node", "prune_edge", "prune_input", "expand_width", "expand_depth", "perturb", "swap", "fix_symbolic",
     "unfix_symbolic", "remove_edge", "remove_node", "module", "augment"],
)  # fmt: skip
def test_verbs_that_would_break_a_theory_are_refused(verb, wave):
    with pytest.raises(OptionError, match=rf"{verb}: expected a network without a theory.*Take {verb} of net.network"):
        getattr(wave, verb)(0, 1)


@pytest.mark.parametrize(
    "verb",
    [
        lambda net: net.auto_symbolic(),
        lambda net: net.snap_constants(),
        lambda net: net.prune(),
        lambda net: net.refine(5),
        lambda net: net.free("f(x)"),
        lambda net: net.residual_tests(),
        lambda net: net.derived("k"),
        lambda net: net.profile("k"),
    ],
)
def test_verbs_need_a_fit(verb):
    with pytest.raises(TrainingError, match=r"that was fitted, got one that was not\. Call fit"):
        verb(kanpiler.compile("k*z + f(x)", parameters=["k"], unknown=["f"]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda net: net.auto_symbolic(["q"]), UnknownNameError, "auto_symbolic: .*'q'"),
        (lambda net: net.snap_constants(["q"]), UnknownNameError, "snap_constants: unknown parameter 'q'. Known: a, n"),
        (lambda net: net.free("sin(x)"), OptionError, "a part of the formula .*, got sin.x., which does not occur"),
        (lambda net: net.free("a*x*z"), OptionError, "a part of one column.* got a.x.z. Free its factors one by one"),
        (lambda net: net.free("a"), OptionError, "a part of one column"),
        (lambda net: net.free("x +"), Kan2Error, "^free"),
        (lambda net: net.free(), TrainingError, "residuals that depend on a column, got none that do.* Name"),
        (lambda net: net.free(columns="q"), UnknownNameError, "unknown column 'q'"),
        (lambda net: net.free(columns="x", shape="wobbly"), SpecError, "got 'wobbly'"),
        (lambda net: net.free(columns=[]), Kan2Error, "columns"),
        (lambda net: net.free(columns=3), Kan2Error, "columns"),
        (lambda net: net.free(3), Kan2Error, "^free"),
        (lambda net: net.free("x", shap=3), OptionError, "unknown option 'shap'. Did you mean 'shape'"),
        (lambda _: fitted("f(x)", "", "f", y="np.sin(x)").refine(0), SpecError, "grid as a whole number from 1"),
    ],
)
def test_refusals(call, error, message, power, unchecked):
    with pytest.raises(error, match=message):
        call(power)
