"""What follows a value: x! is the factorial, Matrix([x, y])[0] an element."""

import numpy as np
import pytest
import scipy.special
import sympy
import torch
from sympy import factorial

import kanpiler
from kan2.expressions.parse import ExpressionError, parse_expression
from kanpiler.latex import parse_latex

x, y, z, n, k = sympy.symbols("x y z n k")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x!", factorial(x)),
        ("x !", factorial(x)),
        ("(x+1)!", factorial(x + 1)),
        ("2*x!", 2 * factorial(x)),
        ("2x!", 2 * factorial(x)),
        ("x! y", factorial(x) * y),
        ("x!^2", factorial(x) ** 2),
        ("x!²", factorial(x) ** 2),
        ("-x!", -factorial(x)),
        ("x!/y!", factorial(x) / factorial(y)),
        ("x! - y! + 1", factorial(x) - factorial(y) + 1),
        ("5!x", 120 * x),
        ("sin(x)!", factorial(sympy.sin(x))),
        ("sin(x!)", sympy.sin(factorial(x))),
        ("(x!)!", factorial(factorial(x))),
        ("((x + 1)! + 1)!", factorial(factorial(x + 1) + 1)),
        ("|x|!", factorial(sympy.Abs(x))),
        ("|x!|", sympy.Abs(factorial(x))),
        ("|x!| |y|", sympy.Abs(factorial(x)) * sympy.Abs(y)),
        ("`flow rate`!", factorial(sympy.Symbol("flow rate"))),
        ("π!", factorial(sympy.pi)),
        ("x if y!=2 else 1", sympy.Piecewise((x, sympy.Ne(y, 2)), (1, True))),
        ("x if y! != 2 else 1", sympy.Piecewise((x, sympy.Ne(factorial(y), 2)), (1, True))),
        ("x if y!!=2 else 1", sympy.Piecewise((x, sympy.Ne(factorial(y), 2)), (1, True))),
        ("max(x!, 2)", sympy.Max(factorial(x), 2)),
        ("n!/(k!*(n - k)!)", factorial(n) / (factorial(k) * factorial(n - k))),
    ],
)
def test_factorials(text, expected):
    assert parse_expression(text) == expected
    assert parse_expression("2x(y + 1)!", ["x", "y"]) == 2 * x * factorial(y + 1)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("x!!", r"double factorial.*\(x!\)!"),
        ("x! !", "double factorial"),
        ("x!!!", "double factorial"),
        ("x^2!", r"two ways.*\(x\^2\)!.*x\^\(2!\)"),
        ("x**-y!", "two ways"),
        ("x²!", "two ways"),
        ("2^(x)!", "two ways"),
        ("√x!", r"√\(...\)"),
        ("!x", "before !"),
        ("!", "before !"),
        ("x + !", "before !"),
        ("sin!(x)", "argument"),
        ("1/x! y", "ambiguous"),
        ("x! 2", "right after a value"),
        ("(10^9)!", "at most"),
        ("(x, y)!", "comma"),
        ("(x > 0)!", "condition"),
        ("x if y!==2 else 1", "right-hand side"),
        ("x!**y!", "two ways"),
        ("x = y!", "right-hand side"),
        ("[x]!", "character"),
    ],
)
def test_factorials_that_are_refused(text, remedy):
    with pytest.raises(ExpressionError, match=remedy):
        parse_expression(text)
    if "=" not in text:
        with pytest.raises(kanpiler.CompileError, match=remedy):
            kanpiler.compile(text)


def test_factorials_point_at_their_place():
    with pytest.raises(ExpressionError) as caught:
        parse_expression("1 + x!!")
    assert str(caught.value).splitlines()[1:] == ["  1 + x!!", "       ^^"]


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("x!^2 + \\alpha", factorial(x) ** 2),
        ("x!^{2} + \\alpha", factorial(x) ** 2),
        (r"\left(x^{2}\right)! + \alpha", factorial(x**2)),
        (r"|x!||y! + \alpha|", None),
    ],
)
def test_factorials_of_latex(latex, expected):
    alpha = sympy.Symbol("alpha")
    if expected is not None:
        assert parse_latex(latex) - alpha == expected
    else:
        assert parse_latex(latex) == sympy.Abs(factorial(x)) * sympy.Abs(factorial(y) + alpha)


@pytest.mark.parametrize(
    ("latex", "remedy"),
    [(r"\alpha!!", "double factorial"), (r"x^{2}!", r"two ways.*\(x\^2\)!"), (r"\alpha^2!", "two ways")],
)
def test_factorials_of_latex_that_are_refused(latex, remedy):
    with pytest.raises(kanpiler.CompileError, match=remedy):
        kanpiler.compile(latex)


def test_latex_that_sympy_prints_is_read():
    for expression in (factorial(x) ** 2, factorial(x**2), 2 ** factorial(x), factorial(factorial(x)), -factorial(x)):
        assert parse_latex(sympy.latex(expression)) == expression


def test_factorials_compile_to_gamma():
    net = kanpiler.compile("x!^2 + (y + 1/2)!", inputs=["x", "y"])
    points = np.random.default_rng(0).uniform(0.3, 2.7, (30, 2))
    expected = scipy.special.gamma(points[:, 0] + 1) ** 2 + scipy.special.gamma(points[:, 1] + 1.5)
    np.testing.assert_allclose(net(torch.as_tensor(points)).detach().numpy()[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Matrix([x, y])[0]", x),
        ("Matrix([x, y])[1]", y),
        ("Matrix([x, y])[-1]", y),
        ("Matrix([x, y])[1, 0]", y),
        ("Matrix([[x, y], [z, 2x + 1]])[1, 1]", 2 * x + 1),
        ("Matrix([[x, y], [z, 1]])[2]", z),
        ("Matrix([[x, y, z]])[2]", z),
        ("Matrix([\n[x],\n[y]])[0, 0]", x),
        ("2 Matrix([x, y])[0] y", 2 * x * y),
        ("Matrix([x, y])[0]^2", x**2),
        ("Matrix([x, y])[0]²", x**2),
        ("Matrix([x, y])[0]!", factorial(x)),
        ("-sin(Matrix([x, |y|])[1])", -sympy.sin(sympy.Abs(y))),
        ("|Matrix([|x|, y])[0]|", sympy.Abs(x)),
        ("Matrix([x/y, z y])[1]", z * y),
        ("Matrix([Matrix([x, y])[1], 1])[0]", y),
        ("re(Matrix([I*x, y])[1])", y),
        ("Matrix*x", sympy.Symbol("Matrix") * x),
    ],
)
def test_elements_of_matrices(text, expected):
    assert parse_expression(text) == expected
    assert set(kanpiler.compile(text).spec.inputs) == {s.name for s in expected.free_symbols}


def test_an_index_may_be_counted():
    text = "Sum(Matrix([x, y, z])[k]*k, (k, 0, 2)) + Sum(Matrix([[x, y], [y, z]])[k, k], (k, 0, 1))"
    assert sympy.expand(kanpiler.decompile(kanpiler.compile(text)) - (y + 2 * z + x + z)) == 0


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("x[0]", "character"),
        ("(x)[0]", "character"),
        ("sin(x)[0]", "character"),
        ("[x, y]", "character"),
        ("[x, y][0]", "character"),
        ("sin([x])", "character"),
        ("[x + 1]*2", "character"),
        ("Matrix([x, y])", r"matrix.*\[0\].*list"),
        ("2*Matrix([x, y])", r"matrix.*\[0\]"),
        ("Matrix([x, y]) + Matrix([x, y])", r"matrix.*\[0\]"),
        ("sin(Matrix([x, y]))", r"matrix.*\[0\]"),
        ("Matrix([x, y])[2]", "2 elements"),
        ("Matrix([x, y])[0, 1]", "2 rows and 1 column"),
        ("Matrix([x, y])[x]", "whole number"),
        ("Matrix([x, y])[1/2]", "whole number"),
        ("Matrix([x, y])[0, 0, 0]", "whole number"),
        ("Matrix([x, y])[0][0]", "matrix|character"),
        ("Matrix([x, y])[0:1]", "character"),
        ("Matrix([x, y])[]", "syntax"),
        ("Matrix([])[0]", "expected values"),
        ("Matrix(x)[0]", "list"),
        ("Matrix(x, y)[0]", "1 argument"),
        ("Matrix([[x, y], [z]])[0]", "rows"),
        ("Matrix([[x, y], z])[0]", "rows"),
        ("Matrix([[[x]]])[0]", "got lists"),
        ("Matrix([x > 0])[0]", "condition"),
        ("Matrix([x, y)[0]", "syntax|character"),
        ("Matrix([x, y]", "syntax"),
        ("Matrix([x, y])[0", "syntax"),
        ("Matrix([x, y]][0]", "character"),
        ("x]", "character"),
        ("Matrix[0]", "character"),
        ("Matrix(" + "[" * 300 + "x" + "]" * 300 + ")[0]", "nested"),
    ],
)
def test_matrices_that_are_refused(text, remedy):
    with pytest.raises(ExpressionError, match=remedy):
        parse_expression(text)
    with pytest.raises(kanpiler.CompileError, match=remedy):
        kanpiler.compile(text)


def test_a_variable_may_be_called_matrix():
    assert parse_expression("Matrix(x + 1)", ["Matrix", "x"]) == sympy.Symbol("Matrix") * (x + 1)
    with pytest.raises(ExpressionError, match="character"):
        parse_expression("Matrix([x])[0]", ["Matrix", "x"])


def test_explicit_matrices_of_sympy():
    square, column = sympy.ImmutableMatrix([[x, y], [y, z]]), sympy.ImmutableMatrix([x, y])
    for source, formula in (
        (sympy.Matrix([x, y])[0], "x"),
        (sympy.MatMul(square, column)[1, 0], "x*y + y*z"),
        (sympy.Determinant(square), "x*z - y**2"),
        (sympy.Trace(square), "x + z"),
        (1 + sympy.Trace(sympy.MatMul(square, square, evaluate=False)), "1 + x**2 + 2*y**2 + z**2"),
        (sympy.Sum(column[k, 0] * k, (k, 0, 1)), "y"),
        (sympy.Trace(square.subs(x, sympy.Symbol("x", real=True))), "x + z"),
    ):
        found = kanpiler.decompile(kanpiler.compile(source))
        assert sympy.expand(found - parse_expression(formula)) == 0
    net = kanpiler.compile(sympy.MatMul(square, column))
    assert len(net.spec.outputs) == 2
    assert sympy.expand(kanpiler.decompile(net)[1] - (x * y + y * z)) == 0


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (sympy.ImmutableMatrix([x, y])[k, 0], "whole numbers as indices"),
        (sympy.MatrixSymbol("A", 2, 2)[0, 0], "symbols.*A.*elements"),
        (sympy.MatrixSymbol("A", 2, 2), "A.*elements"),
        ([sympy.ImmutableMatrix([x, y]), x], "one value.*matrix"),
        ([sympy.MatrixSymbol("A", 2, 2), x], "one value.*matrix"),
        (sympy.Determinant(sympy.MatrixSymbol("A", 2, 2)), "A.*elements"),
        (sympy.Eq(y, sympy.MatrixSymbol("A", 2, 2)[0, 0]), "A.*elements"),
    ],
)
def test_matrices_of_sympy_that_are_refused(source, part):
    with pytest.raises(kanpiler.UnsupportedExpression, match=part):
        kanpiler.compile(source)
