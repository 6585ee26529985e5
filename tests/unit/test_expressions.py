"""The text parser: what is read, what is refused, and that refusals are quick and say where."""

import sys
import time

import pytest
import sympy

from kan2.errors import Kan2Error
from kan2.expressions.parse import ExpressionError, parse_expression

x, y = sympy.symbols("x y")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2x", 2 * x),
        ("2x^2", 2 * x**2),
        ("-x**2", -(x**2)),
        ("(x+1)(x-1)", (x + 1) * (x - 1)),
        ("2(x+1)", 2 * x + 2),
        ("x y", x * y),
        ("x/y*2", 2 * x / y),
        ("|x-1|", sympy.Abs(x - 1)),
        ("||x|-1|", sympy.Abs(sympy.Abs(x) - 1)),
        ("|x| |y|", sympy.Abs(x) * sympy.Abs(y)),
        ("2|x|y", 2 * y * sympy.Abs(x)),
        ("π x²", sympy.pi * x**2),
        ("x·y − 1", x * y - 1),
        ("lambda*x", sympy.Symbol("lambda") * x),
        ("gamma*x", sympy.Symbol("gamma") * x),
        ("gamma(x)", sympy.gamma(x)),
        ("E*x", sympy.E * x),
        ("ln(x)", sympy.log(x)),
        ("log(x, 10)", sympy.log(x) / sympy.log(10)),
        ("arctan2(y, x)", sympy.atan2(y, x)),
        ("max(x, y, 2)", sympy.Max(x, y, 2)),
        ("2exp(x)", 2 * sympy.exp(x)),
        ("2e3x", 2000 * x),
        ("007", sympy.Integer(7)),
        ("x**y**2", x ** (y**2)),
        ("x if x > 0 else 0", sympy.Piecewise((x, x > 0), (0, True))),
        ("Piecewise((x, 0 < x < 1), (y, True))", sympy.Piecewise((x, (x > 0) & (x < 1)), (y, True))),
        ("Sum(k*x, (k, 1, 3))", sympy.Sum(sympy.Symbol("k") * x, (sympy.Symbol("k"), 1, 3))),
        ("diff(x**3, x, 2)", sympy.Derivative(x**3, (x, 2))),
    ],
)
def test_reads(text, expected):
    assert parse_expression(text) == expected


@pytest.mark.parametrize(
    "text", ["2.5", "0.1", "6.67408e-11", "1e20", "3.14159265358979", "123456789.123", "0.30000000000000004"]
)
def test_numbers_keep_their_float64_value(text):
    assert float(parse_expression(text)) == float(text)


def test_short_decimals_are_exact():
    assert parse_expression("x**2.5") == x ** sympy.Rational(5, 2)
    assert parse_expression("0.1 + 0.2") == sympy.Rational(3, 10)


def test_declared_names_win():
    assert parse_expression("E*gamma(x)", ["E", "gamma", "x"]) == sympy.Symbol("E") * sympy.Symbol("gamma") * x
    assert parse_expression("λ + β", ["lambda", "β"]) == sympy.Symbol("lambda") + sympy.Symbol("β")
    assert parse_expression("x(x+1)", ["x"]) == x * (x + 1)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("x +", "syntax"),
        ("sinn(x)", "Did you mean sin"),
        ("sin x", "sin\\(x\\)"),
        ("sin^2(x)", "sin\\(x\\)"),
        ("1/2x", "ambiguous"),
        ("a/b c", "ambiguous"),
        ("x = 3", "right-hand side"),
        ("x > 3", "condition"),
        ("(x, y)", "tuple"),
        ("1/0", "division by zero"),
        ("log(0)", "division by zero"),
        ("Max()", "at least 1 argument"),
        ("I*x", "not a real number"),
        ("|x", "closing"),
        ("(|x)|", "closing"),
        ("sin(x, y, 1)", "1 argument in sin, got 3"),
        ("sin(x > 0)", "condition"),
        ("x[0]", "character"),
        ("x.real", "character"),
        ("__import__('os')", "character"),
        ("__import__(os)", "unknown function"),
        ("().__class__", "character"),
        ("lambda x: x", "character"),
        ("open(x)", "unknown function"),
        ("9**9**9**9", "float64"),
        ("(((9**9)**9)**9)**9", "float64"),
        ("10**308*10**308", "float64"),
        ("1e999999999", "float64"),
        ("1e-400", "float64"),
        ("floor(exp(exp(exp(10))))", "float64"),
        ("(2x)**100000", "float64"),
        ("(1+sqrt(2))**1000000000", "float64"),
        ("factorial(10**9)", "at most"),
        ("zeta(10**6)", "at most"),
        ("legendre(100000, x)", "at most"),
        ("binomial(10**8, 10**7)", "at most"),
        ("(" * 10_000 + ")" * 10_000, "nested"),
        ("-" * 5000 + "x", "nested"),
        ("sin(" * 3000 + "x" + ")" * 3000, "nested"),
        ("x" * 30_000, "characters"),
    ],
)  # fmt: skip
def test_refuses_quickly(text, part):
    start = time.perf_counter()
    with pytest.raises(ExpressionError, match=part):
        parse_expression(text)
    assert time.perf_counter() - start < 2


def test_errors_are_typed_and_point():
    with pytest.raises(ExpressionError) as caught:
        parse_expression("x + zz*y", ["x", "y"])
    assert isinstance(caught.value, Kan2Error)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == "parse_expression: undeclared symbol 'zz'. Declared: x, y.\n  x + zz*y\n      ^^"


@pytest.mark.usefixtures("unchecked")
def test_not_text():
    with pytest.raises(ExpressionError, match="expected text, got int"):
        parse_expression(3)


def test_long_sums_are_read():
    assert len(parse_expression("+".join(f"x{i}" for i in range(1500))).args) == 1500


def test_a_caller_deep_down_gets_the_typed_refusal_as_well():
    def go_down(levels: int):
        return go_down(levels - 1) if levels else parse_expression("-" * 250 + "x")

    with pytest.raises(ExpressionError, match="nested too deeply"):
        go_down(sys.getrecursionlimit() - 300)
