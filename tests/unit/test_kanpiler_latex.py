"""The LaTeX reader: formulas as papers print them, and refusals."""

import pytest
import sympy

import kanpiler
from kan2.expressions.parse import parse_expression
from kanpiler.latex import parse_latex


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{m_0}{\sqrt{1-\frac{v^2}{c^2}}}", "m_0/sqrt(1 - v^2/c^2)"),
        (r"$\frac12 m v^2$", "m*v**2/2"),
        (r"\sin^2 x + \cos 2x", "sin(x)**2 + cos(2*x)"),
        (r"\sin^{-1}(x)", "asin(x)"),
        (r"\cos x \sin y", "cos(x)*sin(y)"),
        (r"\sin x \cdot y", "sin(x)*y"),
        (r"e^{-\frac{\theta^2}{2\sigma^2}}", "exp(-theta**2/(2*sigma**2))"),
        (r"\left| x - |y| \right|", "abs(x - abs(y))"),
        (r"\sqrt[3]{x+1}", "cbrt(x + 1)"),
        (r"\log_2 x + \ln\frac{V_2}{V_1}", "log(x, 2) + log(V_2/V_1)"),
        (r"\sum_{i=1}^{3} i x^i", "Sum(i*x**i, (i, 1, 3))"),
        (r"\prod_{k=1}^{3}(x+k)", "Product(x + k, (k, 1, 3))"),
        (r"\int_0^x t^2 \, dt + 1", "Integral(t**2, (t, 0, x)) + 1"),
        (r"2xy", "2*x*y"),
        (r"x_{12} + E_{kin}", "x_12 + E_kin"),
        (r"\lfloor x \rfloor \max(x, y)", "floor(x)*max(x, y)"),
        (r"\arctan\left(\frac{y}{x}\right)", "atan(y/x)"),
        (r"\lambda x^{-2}", "lambda*x**(-2)"),
        (r"\operatorname{erf}(x) + n!", "erf(x) + factorial(n)"),
        (r"\tanh\left(\frac{\mu B}{k T}\right)", "tanh(mu*B/(k*T))"),
        (r"-x^2", "-x**2"),
    ],
)
def test_reads(latex, text):
    assert sympy.simplify(parse_latex(latex).doit() - parse_expression(text).doit()) == 0


def test_declared_names_are_one_word():
    assert parse_latex(r"kb T \ln x", ["kb", "T", "x"]) == parse_expression("kb*T*log(x)")
    assert parse_latex(r"m_0 e", ["m0", "e"]) == parse_expression("m0*e", ["m0", "e"])


def test_compiles():
    net = kanpiler.compile(r"\gamma = \frac{1}{\sqrt{1 - \beta^2}}")
    assert (net.spec.inputs, net.spec.outputs) == (("beta",), ("gamma",))


@pytest.mark.parametrize(
    ("latex", "part"),
    [
        (r"\frac{x}{", "end of the text"),
        (r"\frac{x}", "end of the text"),
        (r"\pi x^10", "braces"),
        (r"x/2y", "ambiguous"),
        (r"\foo{x}", r"unknown LaTeX command \\foo"),
        (r"i x^{2}", "not a real number"),
        (r"x < {y}", "'<'"),
        (r"{x}}", "."),
        (r"\input{secret}", "definition"),
        (r"{}", "empty"),
        ("{" * 5000 + "}" * 5000, "nested"),
        (r"\sin" * 2000 + "x", "nested"),
        (r"x^" * 300 + r"\pi", "nested"),
    ],
)
def test_refuses(latex, part):
    with pytest.raises(kanpiler.CompileError, match=part):
        kanpiler.compile(latex)
