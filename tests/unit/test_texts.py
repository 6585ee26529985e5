"""Formulas that read in two ways, e and E, real roots, formulas that are real nowhere, and hard text in little time."""

import numpy as np
import pytest
import sympy
import torch

import kan2
import kanpiler
import treeconv.text
from kan2.expressions.evaluate import evaluate
from kan2.expressions.parse import ExpressionError, parse_expression
from kan2.expressions.reference_values import reference_values
from kan2.expressions.tokens import tokenize
from kanpiler.latex import parse_latex

x, y = sympy.symbols("x y")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1_000*x", 1000 * x),
        ("½x", x / 2),
        ("x^½ + ¾", sympy.sqrt(x) + sympy.Rational(3, 4)),
        ("⅓*x", x / 3),
        ("x⁴", x**4),
        ("x⁻¹y", y / x),
        ("x¹⁰ + x²³", x**10 + x**23),
        ("|x|²", sympy.Abs(x) ** 2),
        ("x!", sympy.factorial(x)),
        ("√x + 2√(x + 1)", sympy.sqrt(x) + 2 * sympy.sqrt(x + 1)),
        ("∜x", x ** sympy.Rational(1, 4)),
        ("x − 1 – y", x - 1 - y),
        ("2 × x · y ÷ 3", 2 * x * y / 3),
        ("x ⋅ y ∗ 2 ∕ 3", 2 * x * y / 3),
        ("٣*x + ５", 3 * x + 5),
        ("ｘ＋１", x + 1),
        ("𝑥 + 𝟐", x + 2),
        ("2πr", 2 * sympy.pi * sympy.Symbol("r")),
        ("ℯ^x", sympy.exp(x)),
        ("x if x ≤ 1 else y", sympy.Piecewise((x, x <= 1), (y, True))),
        ("x\t+\n1\n", x + 1),
        ("1e3x", 1000 * x),
        ("x % 2", sympy.Mod(x, 2)),
        ("x^-1 + x**-1", 2 / x),
        ("2^-x", 2**-x),
        ("-x^2", -(x**2)),
        ("a/b/c", sympy.Symbol("a") / sympy.Symbol("b") / sympy.Symbol("c")),
        ("sgn(x)", sympy.sign(x)),
        ("lambda*x", sympy.Symbol("lambda") * x),
    ],
)
def test_what_people_mean(text, expected):
    assert parse_expression(text) == expected


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("x mod 2", r"mod\(a, b\)"),
        ("x MOD 2", r"mod\(a, b\)"),
        ("x div 2", r"floor\(a/b\)"),
        ("x//2", r"floor\(a/b\)"),
        ("x in y", r"\*"),
        ("5% + x", "/100"),
        ("5% x", "/100"),
        ("x%", "/100"),
        ("1e", "1e3"),
        ("2e*x", "2e3"),
        ("1.2.3", "one decimal point"),
        ("1..2", "one decimal point"),
        ("x.5", "operation"),
        ("1,000*x", "without commas"),
        ("3,5*x", "3.5"),
        ("max(1,000, x)", "without commas"),
        ("1 000*x", "without spaces"),
        ("1\u2009000*x", "without spaces"),
        ("2 3", "without spaces"),
        ("x 2", r"\*\* for a power"),
        ("0x10*x", "Write 16"),
        ("0b101*x", "Write 5"),
        ("0o7*x", "Write 7"),
        ("1j*x", r"1\*j"),
        ("2½*x", r"\+ 1/2"),
        ("x½", r"\*1/2"),
        ("x①", "plain digits"),
        ("nan*x", "not a number"),
        ("NaN", "not a number"),
        ("None", "not a number"),
        ("inf", "not a finite number"),
        ("infinity*x", "not a finite number"),
        ("∞", "not a real number"),
        ("oo*x", "not a real number"),
        ("x\ny", "two lines"),
        ("x;y", "one formula"),
        ("x # comment", "comments"),
        ("x\u200b+1", "ZERO WIDTH SPACE"),
        ("\u202ex+1", "RIGHT-TO-LEFT OVERRIDE"),
        ("\ufeffx", "U\\+FEFF"),
        ("x\u0302", "COMBINING"),
        ("x\x00", "U\\+0000"),
        ("ο + o", "looks like"),
        ("а + a", "looks like"),
        ("µ + μ", "looks like"),
        ("30°", "pi/180"),
        ("x±1", "two formulas"),
        ("⌊x⌋", "floor"),
        ("sin²(x)", r"sin\(x\)\*\*2"),
        ("sin⁻¹(x)", r"asin\(x\)"),
        ("sin^2(x)", r"sin\(x\)\*\*2"),
        ("sin x", r"sin\(x\)"),
        ("sinx", r"sin\(x\)"),
        ("sqrt2*x", r"sqrt\(2\)"),
        ("cos2x", r"cos\(2\*x\)"),
        ("tg(x)", "Write tan"),
        ("SIN(x)", "Did you mean sin"),
        ("√2x", r"√\(...\)"),
        ("True", "condition"),
        ("x if", "syntax"),
        ("Integral(t, (t, x > 0, 1))", "numbers"),
    ],
)
def test_refused_with_a_remedy(text, remedy):
    with pytest.raises(ExpressionError, match=remedy):
        parse_expression(text)
    with pytest.raises(kanpiler.CompileError, match=remedy):
        kanpiler.compile(text)


def test_declared_names_are_read_as_they_are():
    for name in (
        "mod",
        "nan",
        "inf",
        "e",
        "E",
        "x10",
        "sinx",
        "None",
        "cost",
        "а",
        "µ",
        "x₁",
        "sqrt2",
        "j",
    ):
        assert parse_expression(f"2*{name}", [name]) == 2 * sympy.Symbol(name)
    assert parse_expression("0x10", ["x10"]) == 0
    with pytest.raises(ExpressionError, match="looks like 'a'"):
        parse_expression("а + 1", ["a"])


def test_tokens_are_spelled_as_in_python():
    assert [t.text for t in tokenize("½|x|", None)] == ["(", "1", "/", "2", ")", "*", "abs", "(", "x", ")"]


@pytest.mark.parametrize("text", ["e^x", "e**x", "e(x)"])
def test_e_to_a_power(text):
    for read in (parse_expression, kanpiler.compile):
        with pytest.raises(ValueError, match=r"write exp\(x\), or declare e as an input"):
            read(text)
    assert parse_expression("e^x", ["e", "x"]) == sympy.Symbol("e") ** x


def test_a_bare_e_follows_one_rule():
    e, table = sympy.Symbol("e"), ([[1.0], [2.0]], [1.0, 2.0])
    assert parse_expression("a*b*c + d*e*f").free_symbols == set(sympy.symbols("a b c d e f"))
    assert kanpiler.compile("e*x").spec.inputs == ("e", "x")
    assert parse_expression("E*x") == parse_expression("E*x", ["x"]) == sympy.E * x
    assert parse_expression("E^x") == sympy.exp(x)
    assert parse_latex(r"e \alpha") == sympy.E * sympy.Symbol("alpha")
    for call in (
        lambda: parse_expression("e*x", ["x"]),
        lambda: kan2.sample_function("e*x", {"x": (0, 1)}),
        lambda: kan2.augment(table, {"u": "e*a"}, names=["a"]),
    ):
        with pytest.raises(ValueError, match="write E for Euler's number, or declare e as an input") as caught:
            call()
        assert isinstance(caught.value, kan2.Kan2Error)
    assert parse_expression("e*x", ["e", "x"]) == e * x
    assert parse_expression("E*x", ["E", "x"]) == sympy.Symbol("E") * x
    assert parse_latex(r"e \alpha", ["e", "alpha"]) == e * sympy.Symbol("alpha")


def test_e_that_can_only_be_euler():
    assert parse_latex(r"e^{-x^2}") == sympy.exp(-(x**2))
    assert parse_latex(r"\mathrm{e} x") == sympy.E * x
    assert parse_expression(str(sympy.E * x)) == sympy.E * x
    net = kanpiler.compile(sympy.E * x)
    assert float(net(torch.ones(1, 1, dtype=torch.float64))[0, 0].detach()) == pytest.approx(np.e, rel=1e-15)


@pytest.mark.parametrize(
    ("latex", "remedy"),
    [
        (r"\alpha mod 2", "operatorname"),
        (r"\alpha cos x", r"\\cos"),
        (r"1\,000 \alpha", "without spaces"),
        (r"1.2.3 \alpha", "without spaces"),
        (r"\sin 1.2.3 \alpha", "without spaces"),
    ],
)
def test_latex_that_reads_in_two_ways(latex, remedy):
    with pytest.raises(kanpiler.ParseError, match=remedy):
        kanpiler.compile(latex)


POINTS = np.array([-27.0, -1.0, -0.3, 0.0, 0.3, 8.0])


@pytest.mark.parametrize("text", ["cbrt(x)", "root(x, 3)", "∛x", "³√x", r"\sqrt[3]{x}"])
def test_cube_roots_are_real(text):
    expression = parse_latex(text) if "\\" in text else parse_expression(text)
    expected = np.cbrt(POINTS)
    column = torch.as_tensor(POINTS)
    np.testing.assert_allclose(evaluate(expression, {"x": column}).numpy(), expected, rtol=1e-15)
    np.testing.assert_allclose(reference_values([expression], ["x"], POINTS[:, None])[:, 0], expected, rtol=1e-15)
    np.testing.assert_allclose(sympy.lambdify(x, expression)(POINTS), expected, rtol=1e-15)
    net = kanpiler.compile(text, domain={"x": (-30, 30)})
    np.testing.assert_allclose(net(column[:, None]).detach().numpy()[:, 0], expected, rtol=1e-14)
    back = kanpiler.decompile(net)
    np.testing.assert_allclose(sympy.lambdify(x, back)(POINTS), expected, rtol=1e-14)


def test_odd_roots_are_real_and_powers_are_not():
    assert [parse_expression(f"root(-32, {n})") for n in (5, 1)] == [-2, -32]
    assert parse_expression("root(x, 2)") == sympy.sqrt(x)
    assert parse_expression("cbrt(-8)") == -2
    assert treeconv.text.read("cbrt(a)", ["a"]).subs(sympy.Symbol("a"), -8) == -2
    principal = reference_values([parse_expression("x**(1/3)")], ["x"], POINTS[:, None])[:, 0]
    assert np.isnan(principal[:3]).all()
    assert np.isfinite(principal[3:]).all()


@pytest.mark.parametrize(
    "text",
    ["sqrt(-1-x**2)", "log(-1-x**2)", "asin(2+x**2)", "acosh(-x**2)", "x + 1/sqrt(-abs(x) - 1)", "acosh(sin(x)-2)"],
)
@pytest.mark.parametrize("domain", [None, {"x": (-2, 2)}])
@pytest.mark.parametrize("verify", [True, False])
def test_real_nowhere(text, domain, verify):
    with pytest.warns(kanpiler.DomainWarning):
        kanpiler.compile(text, domain=domain, verify=verify)


def test_real_nowhere_on_the_domain():
    with pytest.warns(kanpiler.DomainWarning):
        kanpiler.compile("log(x)", domain={"x": (-2, -1)})


@pytest.mark.parametrize("text", ["log(x - 50)", "sqrt(-x - 1000)", "asin(x/5000)*log(x - 900)", "acosh(-x/7)"])
def test_real_far_from_zero_is_no_warning(text):
    kanpiler.compile(text)
