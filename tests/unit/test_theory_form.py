"""How theories are read: letters, calls of unknown functions, derivatives, several formulas, equations; refusals."""

import re

import numpy as np
import pytest
import sympy

import kanpiler
from kan2.errors import Kan2Error, OptionError, SpecError
from kanpiler import CompileError, Parameter, ParseError, Unknown, UnsupportedExpression

x, z, A, k = sympy.symbols("x z A k")
f, g = sympy.Function("f"), sympy.Function("g")
ROWS = np.random.default_rng(0).uniform(0.5, 2.0, (20, 2))


def written(net: kanpiler.Theory) -> list[str]:
    return [str(one) for one in net.written()]


def value(net: kanpiler.Theory, columns: np.ndarray) -> np.ndarray:
    return net(columns).detach().numpy()[:, 0]


# -- letters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "starts"),
    [
        (["A", "k"], {"A": 1, "k": 1}),
        ("A, k", {"A": 1, "k": 1}),
        ([A, k], {"A": 1, "k": 1}),
        ({"A": 2, "k": 0.5}, {"A": 2, "k": 0.5}),
        ({A: np.float64(2.0), k: (0.5, 0, None)}, {"A": 2, "k": 0.5}),
        ({"A": [2, None, 3], "k": Parameter(0.5)}, {"A": 2, "k": 0.5}),
    ],
)
def test_parameters_are_no_columns(given, starts):
    net = kanpiler.compile("A*exp(-k*t) + b", parameters=given)
    assert net.spec.inputs == ("b", "t")
    assert net.values == starts
    assert value(net, ROWS) == pytest.approx(starts["A"] * np.exp(-starts["k"] * ROWS[:, 1]) + ROWS[:, 0], rel=1e-12)


def test_what_is_known_of_parameters_and_functions_is_kept():
    net = kanpiler.compile(
        "A*f(x) + k",
        parameters={"A": (1, 0, None), "k": Parameter(2, prior=(2, 0.1), unit="m")},
        unknown={"f": "increasing, zero at 1/2, zero at pi, between -1 and 2"},
    )
    first, second = net.theory.parameters
    assert (first.name, first.low, first.high, first.fixed) == ("A", 0, None, False)
    assert (second.name, second.start, second.prior, second.unit) == ("k", 2, (2, 0.1), "m")
    (function,) = net.theory.functions
    assert function.shape == ("increasing",)
    assert function.zeros == pytest.approx((0.5, np.pi))
    assert (function.low, function.high, function.period) == (-1, 2, None)
    words = kanpiler.compile("f(x)", unknown={"f": ["even", "period 2*pi"]}).theory.functions[0]
    assert (words.shape, words.period) == (("even",), pytest.approx(2 * np.pi))


@pytest.mark.parametrize(("inputs", "names"), [(["x", "w"], ("x", "w")), ("w, x", ("w", "x")), ([x], ("x",))])
def test_inputs_have_the_order_in_which_they_are_named(inputs, names):
    net = kanpiler.compile("A*x", inputs, parameters={"A": 3.0})
    assert net.spec.inputs == names
    rows = np.arange(1.0, 1 + len(names))[None]
    assert value(net, rows) == pytest.approx(3 * rows[:, names.index("x")])


def test_declared_names_win_over_constants_and_functions():
    net = kanpiler.compile("E*x + gamma*lambda", parameters={"E": 2.0, "gamma": 3.0, "lambda": 5.0})
    assert net.spec.inputs == ("x",)
    assert value(net, np.array([[10.0]])) == pytest.approx([35.0])
    net = kanpiler.compile("sin(x) + exp(x)", unknown=["sin"])
    assert [one.name for one in net.theory.functions] == ["sin"]
    assert [call.argument for call in net.form.calls] == [x]


def test_names_with_spaces_stand_in_backquotes():
    net = kanpiler.compile(
        "`my rate`*`the time` + f(`the time`)", parameters={"my rate": 2.0}, unknown={"f": "zero at 0"}
    )
    assert net.spec.inputs == ("the time",)
    assert net.values == {"my rate": 2.0}
    assert written(net) == ["`my rate`*`the time` + f(`the time`)"]
    assert kanpiler.compile("k*`f(x)`", parameters=["k"]).spec.inputs == ("f(x)",)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{V x}{K + x}", lambda x: 2 * x / (3 + x)),
        (r"V e^{-K x}", lambda x: 2 * np.exp(-3 * x)),
        (r"y = V \sin\left(K x\right)", lambda x: 2 * np.sin(3 * x)),
    ],
)
def test_latex_is_read_unless_there_are_unknown_functions(latex, expected):
    net = kanpiler.compile(latex, parameters={"V": 2.0, "K": 3.0})
    assert (net.spec.inputs, net.spec.outputs) == (("x",), ("y",))
    assert value(net, ROWS[:, :1]) == pytest.approx(expected(ROWS[:, 0]), rel=1e-12)
    with pytest.raises(ParseError, match="text in Python or calculator style, or as SymPy, got LaTeX"):
        kanpiler.compile(latex + "+ f(x)", parameters=["V", "K"], unknown=["f"])


def test_declared_names_win_over_constants_in_latex():
    net = kanpiler.compile(r"e \cdot x + \gamma", parameters={"e": 5.0, "gamma": 2.0})
    assert value(net, np.array([[10.0]])) == pytest.approx([52.0])


# -- calls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "unknown", "shown"),
    [
        ("f(x) + g(z)", "f g", "f(x) + g(z)"),
        ("f(a*x + g(z))", ["f", "g"], "f(a*x + g(z))"),
        ("f(f(x))", [f], "f(f(x))"),
        ("f'(x) + f''(z)", "f", "f'(x) + f''(z)"),
        ("f’(x) + f′′(z)", "f", "f'(x) + f''(z)"),
        ("a f' (2x)", "f", "a*f'(2*x)"),
        ("diff(f(2*x), x)", "f", "2*f'(2*x)"),
        ("f_1(x)*f_1'(x)", "f_1", "f_1(x)*f_1'(x)"),
        ("φ(x)", "φ", "φ(x)"),
        ("f(x) if x > 0 else 0", "f", "Piecewise((f(x), x > 0), (0, True))"),
    ],
)
def test_calls_in_text(text, unknown, shown):
    letters = ["a"] if re.search(r"\ba\b", text) else None
    net = kanpiler.compile(text, parameters=letters, unknown=unknown)
    assert written(net) == [shown]
    assert str(kanpiler.decompile(net)) == shown


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (A * f(x) + f(z), "A*f(x) + f(z)"),
        (sympy.Derivative(f(x), x) + A * z, "A*z + f'(x)"),
        (f(A * x).diff(x), "A*f'(A*x)"),
        (sympy.Derivative(A * f(x) ** 2, x), "2*A*f(x)*f'(x)"),
        (A * f(x).diff(x, 2), "A*f''(x)"),
        (sympy.Subs(sympy.Derivative(f(x), x), x, A * z), "f'(A*z)"),
    ],
)
def test_calls_in_sympy(expression, shown):
    assert written(kanpiler.compile(expression, parameters=[A], unknown=[f])) == [shown]


def test_symbols_with_assumptions_are_the_same_letters():
    positive = sympy.Symbol("x", positive=True)
    net = kanpiler.compile(A * positive + f(x), parameters=[A], unknown=[f])
    assert net.spec.inputs == ("x",)


def test_what_is_called_twice_is_one_edge():
    net = kanpiler.compile("f(x)^2 + 3f(x) + f(z)", unknown="f")
    assert [call.argument for call in net.form.calls] == [x, z]
    assert len(net.theory.functions[0].edges) == 2
    order = [(call.function, call.order) for call in kanpiler.compile("f(g(x)) + f'(x)", unknown="f g").form.calls]
    assert order.index(("g", 0)) < order.index(("f", 0))
    assert ("f", 1) in order


# -- outputs and equations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "outputs", "shown"),
    [
        ("A*x", ("y",), ["A*x"]),
        ("A*y", ("z",), ["A*y"]),
        ("A*y*z", ("output",), ["A*y*z"]),
        ("u = A*x", ("u",), ["A*x"]),
        (sympy.Eq(z, A * x), ("z",), ["A*x"]),
        (["A*x", "f(x)"], ("y1", "y2"), ["A*x", "f(x)"]),
        (["A*y1", "f(x)"], ("z1", "z2"), ["A*y1", "f(x)"]),
        (["u = A*x", A * f(x)], ("u", "y2"), ["A*x", "A*f(x)"]),
        ({"u": "A*x", "the force": "f(x)"}, ("u", "the force"), ["A*x", "f(x)"]),
        ("`the force` = A*x", ("the force",), ["A*x"]),
    ],
)
def test_outputs_have_names(source, outputs, shown):
    text = str(source)
    net = kanpiler.compile(source, parameters=[A], unknown="f" if "f(" in text else None)
    assert net.spec.outputs == outputs
    assert written(net) == shown
    assert not net.theory.implicit


@pytest.mark.parametrize("source", ["y + k*y^3 = x", sympy.Eq(sympy.Symbol("y") * (1 + k * sympy.Symbol("y") ** 2), x)])
def test_equations_are_left_minus_right(source):
    net = kanpiler.compile(source, parameters={"k": 2.0})
    assert net.theory.implicit
    assert net.spec.inputs == ("x", "y")
    assert net.spec.outputs == ("residual",)
    left, right = ROWS[:, 1] + 2 * ROWS[:, 1] ** 3, ROWS[:, 0]
    assert value(net, ROWS) == pytest.approx(left - right, rel=1e-12)


def test_a_name_on_both_sides_is_solved_for():
    net = kanpiler.compile("y = x + k*y", parameters=["k"])
    assert net.theory.implicit
    assert net.spec.inputs == ("x", "y")


def test_parts_of_complex_values_have_parameters():
    net = kanpiler.compile("re(A*exp(I*w*t))", parameters={"A": 2.0, "w": 3.0})
    assert value(net, ROWS[:, :1]) == pytest.approx(2 * np.cos(3 * ROWS[:, 0]), rel=1e-12)


def test_a_theory_may_have_no_columns():
    net = kanpiler.compile("A + k", parameters={"A": 1.0, "k": 2.0})
    assert value(net, np.zeros((3, 1))) == pytest.approx([3.0, 3.0, 3.0])


def test_without_parameters_and_functions_a_formula_is_a_network():
    assert not isinstance(kanpiler.compile("x*sin(y)"), kanpiler.Theory)
    assert isinstance(kanpiler.compile("x*sin(y)", parameters=[]), kanpiler.Theory)


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("A*x", {"inputs": ["x", "A"], "parameters": ["A"]}, CompileError, "are no inputs, got A as both. Leave A out"),
        ("A*x", {"inputs": 5, "parameters": ["A"]}, CompileError, "inputs .*got 5"),
        ("A*x", {"inputs": ["x", "x"], "parameters": ["A"]}, Kan2Error, "different names"),
        ("A*x", {"parameters": ["A", "B"]}, CompileError, "occur in the formula, got B, which do not. Its letters are"),
        ("A*x + b", {"inputs": "x", "parameters": ["A"]}, CompileError, "undeclared symbol 'b'. Declared inputs: x"),
        ("A*f(x)", {"parameters": "A", "unknown": "f A"}, CompileError, "different names, got A as a parameter and as"),
        ("A*x", {"parameters": 3}, CompileError, "parameters as names or a mapping name -> start, got 3"),
        ("A*x", {"parameters": [3]}, CompileError, "names of parameters, got 3"),
        ("A*x", {"parameters": {"": 1}}, CompileError, "names of parameters, got ''"),
        ("A*x", {"parameters": {"A": "big"}}, SpecError, r"parameter A: expected a start, .* got 'big'"),
        ("A*x", {"parameters": {"A": None}}, SpecError, "parameter A: expected a start"),
        ("A*x", {"parameters": {"A": True}}, SpecError, "parameter A: expected a start"),
        ("A*x", {"parameters": {"A": (1, 2)}}, SpecError, "parameter A: expected a start"),
        ("A*x", {"parameters": {"A": np.nan}}, SpecError, "start as a finite number, got nan"),
        ("A*x", {"parameters": {"A": (1, 2, 3)}}, SpecError, "a start within the bounds 2 to 3, got 1. Move one"),
        ("A*x", {"parameters": {"A": (1, 3, 0)}}, SpecError, "low < high, got 3 and 0. fixed=True holds"),
        ("A*x", {"parameters": {"A": Parameter(per="x")}}, CompileError, "labels that is no input .* got per='x'"),
        ("f(x)", {"unknown": 3}, CompileError, "unknown as names or a mapping"),
        ("f(x)", {"unknown": {"f": 3}}, SpecError, "unknown function f: expected words or kanpiler.Unknown"),
        ("f(x)", {"unknown": {"f": "increasing, wobbly"}}, SpecError, "function f: expected increasing.* got 'wobbly'"),
        ("f(x)", {"unknown": {"f": "convex, concave"}}, SpecError, "convex or concave, got both"),
        ("f(x)", {"unknown": {"f": "zero at q"}}, SpecError, "expected a number, got 'q'"),
        ("f(x)", {"unknown": {"f": "period 0"}}, SpecError, "period > 0, got 0"),
        ("f(x)", {"unknown": {"f": "between 2 and 1"}}, SpecError, "low < high, got 2 and 1"),
        ("f(x)", {"unknown": {"f": "convex, period 1"}}, SpecError, "no convex function with a period"),
        ("f(x)", {"unknown": ["f", "g"]}, CompileError, r"occur in the formula, got g. Write g\(x\) there"),
        ("A*f(x)", {"parameters": ["A"]}, CompileError, "unknown function 'f'"),
        ("f(x) + g(x)", {"unknown": ["f"]}, CompileError, r"got g\(...\). Pass unknown=\['f', 'g'\]"),
        ("A*foo(x)", {"parameters": ["A"]}, ParseError, "unknown function 'foo'. Did you mean"),
        ("A*f'(x)", {"parameters": ["A"]}, CompileError, r"derivatives of unknown functions, got f'. Pass unknown"),
        (f(x) + g(x), {"unknown": [f]}, CompileError, r"got g\(...\). Pass unknown=\['g'\]"),
        ("f(x, z)", {"unknown": "f"}, UnsupportedExpression, r"one argument, got f of 2. .* f1\(x\) \+ f2\(y\)"),
        (f(x, z).diff(x), {"unknown": [f]}, UnsupportedExpression, r"by their argument, got .* Write f'\(u\)"),
        ("f(2)", {"unknown": "f"}, UnsupportedExpression, r"of columns, got f\(2\). Write a parameter in its place"),
        ("A*x +", {"parameters": "A"}, ParseError, "syntax error"),
        ("", {"parameters": "A"}, ParseError, "empty text"),
        ([], {"parameters": "A"}, ParseError, "at least one expression"),
        (3, {"parameters": "A"}, ParseError, "text or a SymPy expression, got int"),
        ("x > A", {"parameters": "A"}, ParseError, "got the condition"),
        ("I*x + A", {"parameters": "A"}, ParseError, "'I' is not a real number"),
        ({"u": "A*x", "v": "u = A*x"}, {"parameters": "A"}, ParseError, "different output names, got u, u"),
        (["y = A*x", "x + z = A"], {"parameters": "A"}, ParseError, "formulas alone or equations alone, got both"),
        ("A*x", {"parameters": "A", "domain": {"x": (0, 1)}}, CompileError, "a theory without domain, of no effect"),
        ("A*x", {"parameters": "A", "edges": "spline", "grid": 3}, CompileError, "without edges, grid"),
        ("A*x", {"parameter": "A"}, OptionError, "unknown option 'parameter'. Did you mean 'parameters'"),
        ("f(x) + g(z)", {"unknown": {"f": Unknown(k=2), "g": Unknown()}}, CompileError, r"one order k, got \[2, 3\]"),
    ],
)  # fmt: skip
def test_refusals(source, options, error, message, unchecked):
    with pytest.raises(error, match=message) as refusal:
        kanpiler.compile(source, **options)
    assert isinstance(refusal.value, Kan2Error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": np.inf}, "start as a finite number"),
        ({"start": 1, "high": "x"}, "high as a finite number, got 'x'. None is no bound"),
        ({"start": 1, "prior": (1, 0)}, r"prior as \(mean, deviation > 0\), got \(1, 0\)"),
        ({"start": 1, "prior": (1, 1), "fixed": True}, "no prior beside fixed=True"),
        ({"start": 1, "per": 3}, "per"),
        ({"start": 1, "fixed": "yes"}, "fixed"),
        ({"begin": 1}, "unknown option 'begin'"),
    ],
)
def test_no_parameters(options, message, unchecked):
    with pytest.raises((SpecError, OptionError), match=message):
        Parameter(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": ("wobbly",)}, "a shape of increasing, .* got 'wobbly'"),
        ({"shape": ("even", "odd")}, "even or odd, got both"),
        ({"zeros": ("a",)}, "zeros as finite numbers"),
        ({"period": -1}, "period > 0, got -1"),
        ({"low": np.nan}, "low as a finite number or None"),
        ({"grid": 0}, "grid as a whole number from 1 to 1000, got 0"),
        ({"k": 6}, "k .*from 1 to 5, got 6"),
    ],
)
def test_no_functions(options, message, unchecked):
    with pytest.raises(SpecError, match=message):
        Unknown(**options)
