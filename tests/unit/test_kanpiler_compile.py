"""The compiler on single formulas: what is right, what is refused, and how large the networks are."""

import numpy as np
import pytest
import sympy
import torch

import kanpiler
from kan2.errors import Kan2Error

a, b, c, d, e, f = sympy.symbols("a b c d e f")


def worst(net, expressions, low=0.2, high=0.9, n=200):
    """Largest difference between a network and lambdify, relative to the size of the values."""
    expressions = expressions if isinstance(expressions, list) else [expressions]
    symbols = [sympy.Symbol(name) for name in net.spec.inputs]
    x = np.random.default_rng(0).uniform(low, high, (n, len(symbols)))
    worst = 0.0
    found = net(torch.as_tensor(x)).detach().numpy()
    for i, expression in enumerate(expressions):
        expected = np.broadcast_to(sympy.lambdify(symbols, expression, ["scipy", "numpy"])(*x.T), n)
        worst = max(worst, np.abs(found[:, i] - expected).max() / np.abs(expected).max())
    return worst


INCUMBENT_FAILURES = {
    "K1": sympy.sin(5 * a) + sympy.cos(3 * a),
    "K2": sympy.exp(-a / 100) - sympy.exp(-(a + 1) / 100),
    "K3": a + a**2,
    "K4 float": a**2.5 + b,
    "K4 rational": a ** sympy.Rational(5, 2) + b,
    "K5": a ** sympy.Rational(-3, 2) + b,
    "K6 third": a ** sympy.Rational(1, 3) + b,
    "K6 sixth": a**6 + b,
    "K6 minus": a**-6 + b,
    "K7 one": sympy.sin(sympy.pi * (a + 1)) + b,
    "K7 two": sympy.sin(sympy.pi * (a + b + 1)),
    "K8": sympy.Abs(a - b),
    "K9 cosh": sympy.sin(b) + sympy.cosh(a),
    "K9 erf": sympy.erf(a) + sympy.sin(b),
    "K10 power": a**b,
    "K10 exponential": 2**a + b,
    "K11 symbol": a,
    "K11 affine": 2 * a + 1,
    "K12": [a + b, a * b],
    "K14": a * b * c + d * e * f,
    "ok 1": sympy.exp(sympy.sin(sympy.pi * a) + b**2),
    "ok 2": a * b,
    "ok 3": sympy.sin(a) / a + b,
    "ok 4": sympy.sqrt(a**2 + b**2),
    "ok 5": (a + b) * (a - b),
    "ok 6": a * sympy.exp(a),
    "ok 7": 2 * sympy.pi * sympy.sqrt(a / b),
    "ok 8": sympy.exp(-(b**2) / (2 * a**2)) / sympy.sqrt(2 * sympy.pi * a**2),
    "ok 9": a * b + c * d * e,
}


@pytest.mark.parametrize("expression", INCUMBENT_FAILURES.values(), ids=INCUMBENT_FAILURES)
def test_incumbent_failures(expression):
    net = kanpiler.compile(expression)
    assert worst(net, expression) < 1e-12
    back = kanpiler.decompile(net)
    assert worst(net, back) < 1e-12


def test_k11_constant():
    net = kanpiler.compile(3, inputs=["a"])
    assert net(torch.zeros(4, 1)).tolist() == [[3.0]] * 4


def test_k13_undeclared_symbol():
    with pytest.raises(ValueError, match=r"undeclared symbol 'b'. Declared inputs: a") as caught:
        kanpiler.compile(a + sympy.sin(b), inputs=["a"])
    assert isinstance(caught.value, kanpiler.CompileError)
    assert isinstance(caught.value, Kan2Error)


def test_k14_formula():
    net = kanpiler.compile(a * b * c + d * e * f)
    assert sympy.expand(net.symbolic_formula() - (a * b * c + d * e * f)) == 0


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("x", [[1, 0], [1, 0]]),
        ("2x + 3", [[1, 0], [1, 0]]),
        ("2 x y z + 1", [[3, 0], [0, 1]]),
        ("x + x^2 + sin(3x)", [[1, 0], [1, 0]]),
        ("(x + sin(y))*(z + 2)", [[3, 0], [0, 1]]),
        ("sin(x + y)*cos(2x + 2y + 1)", [[2, 0], [1, 0], [0, 1]]),
        ("exp(-(x - y)^2)", [[2, 0], [1, 0], [1, 0]]),
        ("exp(sin(x)^2)", [[1, 0], [0, 1], [1, 0]]),
        ("x/(y z)", [[3, 0], [0, 1]]),
    ],
)
def test_networks_are_small(text, width):
    assert kanpiler.compile(text).spec.width == width


def test_names_and_order():
    net = kanpiler.compile("x*sin(y)")
    assert net.spec.inputs == ("x", "y")
    assert net.spec.outputs == ("y",) or net.spec.outputs == ("f",)
    net = kanpiler.compile({"u": a * b, "v": a - b}, inputs=["b", "unused", "a"])
    assert (net.spec.inputs, net.spec.outputs) == (("b", "unused", "a"), ("u", "v"))
    assert net(torch.tensor([[2.0, 9.0, 5.0]])).tolist() == [[10.0, 3.0]]
    assert net.like.dtype == torch.float64


@pytest.mark.parametrize(
    "source",
    [
        sympy.Eq(sympy.Symbol("w"), a * b),
        "w = a*b",
        {"w": "a b"},
        {sympy.Symbol("w"): a * b},
    ],
)
def test_named_output(source):
    net = kanpiler.compile(source)
    assert net.spec.outputs == ("w",)
    assert worst(net, a * b) < 1e-15


def test_matrix_gives_several_outputs():
    net = kanpiler.compile(sympy.Matrix([[a, a * b], [3, sympy.sin(a * b)]]))
    assert net.spec.outputs == ("y1", "y2", "y3", "y4")
    assert worst(net, [a, a * b, sympy.Integer(3), sympy.sin(a * b)]) < 1e-15


@pytest.mark.parametrize(
    ("source", "error", "part"),
    [
        ("x +", kanpiler.ParseError, "syntax"),
        ("sqrt(-1)*x", kanpiler.UnsupportedExpression, "complex"),
        (sympy.I * a, kanpiler.UnsupportedExpression, "complex"),
        (a > b, kanpiler.UnsupportedExpression, "real values"),
        (sympy.Function("g")(a), kanpiler.UnsupportedExpression, "unknown function g"),
        (sympy.besselj(a, b) + 1, kanpiler.UnsupportedExpression, r"besselj\(a, b\)"),
        (sympy.Eq(a**2, b), kanpiler.UnsupportedExpression, "Solve"),
        (sympy.Integral(sympy.exp(sympy.sin(a) * b), (a, 0, 1)), kanpiler.UnsupportedExpression, "no closed form|took"),
        (sympy.zoo, kanpiler.CompileError, "finite"),
        (a + sympy.Symbol("a", positive=True), kanpiler.ParseError, "both named 'a'"),
        (object(), kanpiler.ParseError, "object"),
        ([], kanpiler.ParseError, "at least one"),
        (sympy.Piecewise((a, a > 0)), kanpiler.UnsupportedExpression, "no value"),
    ],
)
def test_refusals(source, error, part):
    with pytest.raises(error, match=part) as caught:
        kanpiler.compile(source)
    assert isinstance(caught.value, kanpiler.CompileError)


@pytest.mark.parametrize(
    ("domain", "part"),
    [({"q": (0, 1)}, "not an input"), ({"x": (1, 0)}, "low < high"), ({"x": 3}, "low < high")],
)
@pytest.mark.usefixtures("unchecked")
def test_domain_is_checked(domain, part):
    with pytest.raises(kanpiler.CompileError, match=part):
        kanpiler.compile("x", domain=domain)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("log(x - 1)", r"log\(x - 1\).*x in \(0.3, 1.7\).*-0.7.*x between about 0.3 and"),
        ("1/(x - 1)", r"pole where x - 1 = 0"),
        ("tan(2x)", "pole where"),
        ("sqrt(x - y)", r"x in \(0.3, 1.7\), y in \(0, 2\)"),
        ("asin(2x)", "only for"),
        ("(x - 1)^2.5", r"\*\*2.5"),
    ],
)
def test_domain_warnings(text, part):
    domain = {"x": (0.3, 1.7), "y": (0, 2)} if "y" in text else {"x": (0.3, 1.7)}
    with pytest.warns(kanpiler.DomainWarning, match=part):
        kanpiler.compile(text, domain=domain)


@pytest.mark.parametrize("text", ["log(x)", "1/x", "sqrt(x)", "tan(x/2)", "asin(x/2)", "(x - 1)^3", "1/(x+1)"])
def test_no_domain_warning(text):
    kanpiler.compile(text, domain={"x": (0.3, 1.7)})


def test_frozen_edges():
    net = kanpiler.compile("x*sin(y)", trainable=False)
    assert not any(layer.symbolic.free.any() for layer in net.layers)
    x = torch.rand(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(x), kanpiler.compile("x*sin(y)")(x))


def test_a_wrong_network_is_noticed():
    from kanpiler.verify import verify

    net = kanpiler.compile("x*sin(y)")
    x, y = sympy.symbols("x y")
    with pytest.raises(kanpiler.VerificationError, match="formula"):
        verify(net, [x * sympy.sin(y) + sympy.Rational(1, 10**8)], ["x", "y"], {})


def test_a_branch_with_a_pole_at_the_point_it_leaves_out():
    net = kanpiler.compile("Piecewise((sin(x)/x, x != 0), (1, True))")
    assert net(torch.tensor([[0.0], [0.5]], dtype=torch.float64))[:, 0].tolist() == pytest.approx([1, 0.9588510772])


@pytest.mark.parametrize(
    ("formula", "box"), [("acoth(x)", (-0.5, 0.5)), ("gamma(x)", (-1.5, 2)), ("asec(x)", (0.1, 2))]
)
def test_places_without_real_values_are_named(formula, box):
    with pytest.warns(kanpiler.DomainWarning, match=formula.partition("(")[0]):
        kanpiler.compile(formula, domain={"x": box})


def test_ends_that_belong_to_a_domain_are_no_trouble():
    kanpiler.compile("asech(x)", domain={"x": (0.5, 1)})
    kanpiler.compile("gamma(x)", domain={"x": (0.5, 3)})


@pytest.mark.parametrize("options", [{}, {"optimize": "edges"}])
def test_a_warning_points_at_the_line_of_the_caller(options):
    with pytest.warns(kanpiler.DomainWarning) as caught:
        kanpiler.compile("sqrt(x)", domain={"x": (-1, 1)}, **options)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"grid": 20}, "no grid beside edges='symbolic'.*edges='spline' and a domain"),
        ({"grid": 20, "approximate": True}, "no grid"),
        ({"grid": 0, "edges": "spline", "domain": {"x": (0, 1)}}, "grid as a whole number >= 1, got 0"),
        ({"grid": 2.5, "edges": "spline", "domain": {"x": (0, 1)}}, "got 2.5"),
        ({"trainable": False, "edges": "spline", "domain": {"x": (0, 1)}}, "trainable=True beside edges='spline'"),
        ({"edges": "numeric"}, "edges='symbolic' or 'spline'"),
        ({"domain": 5}, "domain as a dict of names"),
        ({"domain": [("x", (0, 1))]}, "domain as a dict of names"),
        ({"inputs": 5}, "inputs as a list of names, got 5"),
        ({"approximate": "yes"}, "approximate=True or False, got 'yes'"),
        ({"verify": None}, "verify=True or False"),
        ({"optimize": 3}, "optimize among depth, width, edges"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_an_option_that_has_no_effect_or_no_meaning_is_refused(options, text):
    with pytest.raises(kanpiler.CompileError, match=text):
        kanpiler.compile("x**2 + 1", **options)


def test_where_a_base_is_undefined_so_is_its_power():
    # NumPy takes nan^0 as 1: the formula is undefined for negative x, and no witness against the network there.
    net = kanpiler.compile("Abs(x**pi)**Max(0, x)")
    assert net(torch.tensor([[1.5]], dtype=torch.float64)).item() == pytest.approx(1.5 ** (1.5 * np.pi), rel=1e-9)
