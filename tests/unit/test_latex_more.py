"""LaTeX as people write it: derivatives, subscripts, functions with Greek names, and names in backquotes."""

import pytest
import sympy

import kan2
import kanpiler
from kan2.expressions.parse import parse_expression
from kan2.expressions.symbols import quoted, symbol
from kanpiler.latex import parse_latex

x, y = sympy.symbols("x y")


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{d}{dx} x^2", "2*x"),
        (r"\frac{d}{dx} x^2 + y", "2*x + y"),
        (r"\frac{d}{dx}(x^2 + 3x) y", "(2*x + 3)*y"),
        (r"\frac{d}{dx}\left(\sin x \cos x\right)", "cos(x)**2 - sin(x)**2"),
        (r"\frac{d}{dx}\sin(x)", "cos(x)"),
        (r"\frac{d}{dx}\sin 2x", "2*cos(2*x)"),
        (r"\frac{d^2}{dx^2} x^3", "6*x"),
        (r"\frac{d^{2}}{dx^{2}}(x^3)", "6*x"),
        (r"\frac{\mathrm{d}}{\mathrm{d}x} x^2", "2*x"),
        (r"\frac{\mathrm d}{\mathrm d x} x^2", "2*x"),
        (r"\frac{\partial}{\partial x}(x^2 y)", "2*x*y"),
        (r"\frac{d(x^2 + y)}{dx}", "2*x"),
        (r"\frac{\mathrm{d}\sin x}{\mathrm{d}x}", "cos(x)"),
        (r"\dfrac{d}{d\theta}\cos\theta", "-sin(theta)"),
        (r"y \frac{d}{dx_1} x_1^2", "2*x_1*y"),
        (r"\frac{d}{2} x", "d*x/2"),
        (r"\frac{d}{d_0} x", "d/d_0*x"),
        (r"\int_0^x t^2 \, \mathrm{d}t", "x**3/3"),
        (r"x_\mathrm{max}", "x_max"),
        (r"k_\mathrm{B}T", "k_B*T"),
        (r"v_\text{max}t", "v_max*t"),
        (r"v_{\text{max}}t", "v_max*t"),
        (r"x_\mathrm{d} \pi", "x_d*pi"),
        (r"E_{\mathrm{kin}} + E_{\mathrm{pot}}", "E_kin + E_pot"),
        (r"\Gamma(3)x", "2*x"),
        (r"\Gamma\left(x\right)", "gamma(x)"),
        (r"\zeta(2)x", "pi**2/6*x"),
        (r"\beta(x, y)", "beta(x, y)"),
        (r"\gamma m + \Gamma \zeta \beta", "gamma*m + Gamma*zeta*beta"),
        (r"\gamma\cdot(x + 1)", "gamma*(x + 1)"),
        (r"\cot^{-1}x", "acot(x)"),
        (r"\sec^{-1}(x)", "asec(x)"),
        (r"\csc^{-1}(x) + \coth^{-1} x", "acsc(x) + acoth(x)"),
        (r"3\frac{x}{2}", "3*x/2"),
        (r"x^2\frac12", "x**2/2"),
        (r"\text{flow rate} \cdot \pi", "`flow rate`*pi"),
        (r"\left|x\right|y\left|z\right|", "abs(x)*y*abs(z)"),
        (r"\left|x|y|z\right|", "abs(x*abs(y)*z)"),
        (r"|x||y|", "abs(x)*abs(y)"),
        (r"\sin|x| - |y||z|", "sin(abs(x)) - abs(y)*abs(z)"),
        (r"\left\{x + 1\right\} y", "(x + 1)*y"),
        (r"`flow rate` \cdot \alpha", "`flow rate`*alpha"),
    ],
)
def test_reads(latex, text):
    assert sympy.simplify(parse_latex(latex).doit() - parse_expression(text)) == 0


@pytest.mark.parametrize(
    ("latex", "remedy"),
    [
        (r"\frac{dy}{dx}", r"write y out"),
        (r"\frac{d^2 y}{dx^2}", r"write y out"),
        (r"\frac{\mathrm{d}y}{\mathrm{d}x}", r"write y out"),
        (r"\frac{d}{dx} y", r"write y out"),
        (r"\frac{d}{dx}", r"\\frac\{d\}\{dx\}\(\.\.\.\)"),
        (r"\frac{d}{dx} x^2 y", r"two ways.*\\frac\{d\}\{dx\}\(\.\.\.\)"),
        (r"\frac{d}{dx} x \cdot x", "two ways"),
        (r"\frac{d}{dx}(x)^2", "two ways"),
        (r"\frac{d^2}{dx} x^2", "order"),
        (r"\frac{\partial^2}{\partial x \partial y}(x y)", "one variable"),
        (r"\gamma(x + 1)", r"\\cdot"),
        (r"\beta(x)", r"\\cdot"),
        (r"\zeta \left(x + 1\right)", r"\\cdot"),
        (r"\Gamma (x)", r"\\cdot"),
        (r"\Gamma^2(x)", r"\\cdot"),
        (r"3\frac12", r"\\cdot"),
        (r"3\frac{1}{2}x", r"\\cdot"),
        (r"\ln^{-1} x", r"two ways"),
        (r"\phi\varphi", "two letters"),
        (r"\epsilon_1 + \varepsilon_2", "two letters"),
        (r"\text{if} x", "name"),
        (r"|x|y|z|\alpha", "two ways"),
        (r"|x|y|+z|\alpha", "two ways"),
        (r"\text{f}(x)", "unknown function"),
        (r"\log_1 x", "base"),
        (r"x_\mathrm{}", "subscript"),
    ],
)
def test_refused_with_a_remedy(latex, remedy):
    with pytest.raises(kanpiler.CompileError, match=remedy):
        kanpiler.compile(latex)


def test_declared_letters_are_variables():
    names = ["gamma", "Gamma", "zeta", "beta", "x", "d", "y"]
    assert parse_latex(r"\gamma(x + 1)", names) == sympy.Symbol("gamma") * (x + 1)
    assert parse_latex(r"\Gamma(x) + \zeta(x)", names) == sympy.Symbol("Gamma") * x + sympy.Symbol("zeta") * x
    assert parse_latex(r"\frac{dy}{dx}", names) == y / x
    phi, varphi = sympy.symbols("phi varphi")
    assert parse_latex(r"\phi\varphi", ["phi", "varphi"]) == phi * varphi
    assert parse_latex(r"\varphi^2") == phi**2
    assert parse_latex(r"\text{flow rate}^2", ["flow rate"]) == sympy.Symbol("flow rate") ** 2


NAMES = ["flow rate", "T [K]", "x_{1}", r"\alpha", "a`b", "`", "100%", "a^b~c", "pi", "E", "I", "sin", "it's", "p'",
         "$&#", "a}b{", "`'}", "π", "x-y"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_read_back_from_latex_and_text(name):
    expression = 2 * symbol(name) ** 3 + x
    latex = sympy.latex(expression)
    assert parse_latex(latex) == parse_latex(latex, [name, "x"]) == expression
    for source in (str(expression), latex, f"u = {latex}", f"u = {expression}", f"{quoted(name)} + x"):
        assert set(kanpiler.compile(source).spec.inputs) == {name, "x"}
    network = kanpiler.compile(str(expression))
    assert kanpiler.compile(network.latex()).spec.inputs == network.spec.inputs
    assert kanpiler.decompile(kanpiler.compile(network.latex())) == expression


def test_products_with_quoted_symbols_are_those_with_plain_ones():
    for name in ("E", "x-y"):
        plain = sympy.Symbol(name)
        assert symbol(name) * x == plain * x
        assert x + y + symbol(name) == x + y + plain
        assert (symbol(name) * x**2 + 1).diff(x) == 2 * plain * x


def test_names_are_in_backquotes_whatever_was_built_before():
    plain = sympy.Symbol("pi")
    built = [
        sympy.sin(plain) + 3 * plain**2 * x,
        sympy.Max(plain, x * plain),
        sympy.Piecewise((plain, plain > 0), (0, True)),
    ]
    for expression in built:
        text = str(expression).replace("pi", "`pi`")
        again = parse_expression(text)
        assert str(again) == text
        assert again == expression
        assert hash(again) == hash(expression)
        assert again.subs(plain, 2) == expression.subs(plain, 2)
        assert (again + 1).diff(plain) == expression.diff(plain)
    layer = kan2.LayerSpec(1, 1, numeric=(), terms=(kan2.SymbolicTerm(0, 0, "sin"), kan2.SymbolicTerm(0, 0, "x^2")))
    model = kan2.MultKAN.from_spec(kan2.NetworkSpec((layer,), inputs=("pi",)))
    assert (sympy.sin(plain) + plain**2).free_symbols == {plain}
    assert str(model.symbolic_formula()) == "`pi`**2 + sin(`pi`)"
    assert model.latex().count(r"\text{`pi'}") == 2


def test_an_output_may_have_any_name():
    for text in ("`flow rate` = 2x", "`a\\b{` = 2x", r"\text{`flow rate'} = 2\cdot x", "`a = b` = 2x"):
        assert kanpiler.compile(text).spec.inputs == ("x",)
    assert kanpiler.compile("`flow rate` = 2x").spec.outputs == ("flow rate",)
    assert kanpiler.compile("`a`` = b` = 2x").spec.outputs == ("a` = b",)
    assert kanpiler.compile(r"\text{`flow rate'} = 2\cdot x").spec.outputs == ("flow rate",)


def test_the_latex_of_a_network_with_odd_columns_is_read_back():
    layer = kan2.LayerSpec(2, 1, numeric=(), terms=(kan2.SymbolicTerm(0, 0, "sin"), kan2.SymbolicTerm(0, 1, "x^2")))
    model = kan2.MultKAN.from_spec(kan2.NetworkSpec((layer,), inputs=("pi", "flow rate")))
    expected = sympy.sin(sympy.Symbol("pi")) + sympy.Symbol("flow rate") ** 2
    assert parse_latex(model.latex()) == parse_expression(str(model.symbolic_formula())) == expected
