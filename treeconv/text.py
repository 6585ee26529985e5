"""Arithmetic written as text, read without ever evaluating it as Python.

The text is parsed to a syntax tree and only the nodes of arithmetic are let through: numbers, the names of inputs,
`+ - * / **` (also `^`), and a fixed list of functions. Everything else is refused with the place where it stands, and
so are numbers beyond float64. A name that is no word stands in backquotes, with those within it doubled. `cbrt` is
real for negative numbers; `x**(1/3)` is the principal value.

Reference: the grammar of the module `ast` of Python.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import sympy as sp

from treeconv.errors import ExpressionError
from treeconv.symbols import quoted, symbol

FUNCTIONS = {
    name: getattr(sp, name)
    for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "sqrt")
} | {"abs": sp.Abs, "Abs": sp.Abs, "ln": sp.log, "arcsin": sp.asin, "arccos": sp.acos, "arctan": sp.atan}
FUNCTIONS["cbrt"] = lambda x: sp.sign(x) * sp.Abs(x) ** sp.Rational(1, 3)
CONSTANTS = {"pi": sp.pi}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
MAX_LENGTH = 2000
_QUOTED = re.compile(r"`((?:[^`]|``)+)`")
MAX_POWER = 100
MAX_BITS = 1100  # a little beyond the range of float64


def read(text: str, names: Sequence[str]) -> sp.Expr:
    """Reads an arithmetic expression.

    Args:
        text: Such as "b/c" or "sqrt(1 - (v/c)**2)", at most 2000 characters.
        names: The names that may occur.

    Returns:
        The expression in symbols of those names.

    Raises:
        ExpressionError: If the text is not arithmetic in these names.

    Example:
        >>> read("sqrt(b^2 + 1)/c", ["b", "c"])
        sqrt(b**2 + 1)/c
        >>> read("2*`flow rate`", ["flow rate"])
        2*`flow rate`
    """
    if len(text) > MAX_LENGTH:
        raise _refusal(text[:40] + "...", f"at most {MAX_LENGTH} characters", f"{len(text)}", "Shorten it")
    # Python reads words alone, so others get one that stands for them.
    words: dict[str, str] = {}
    plain = _QUOTED.sub(lambda found: f" {_word_for(found[1].replace('``', '`'), text, names, words)} ", text)
    if "#" in plain:
        raise _refusal(text, "an arithmetic expression", "the character '#'", "Leave comments out")
    try:
        body = ast.parse(plain.strip().replace("^", "**"), mode="eval").body
        # Python reads names in their compatible form, so that the micro sign comes back as the Greek letter.
        value = _build(body, text, {unicodedata.normalize("NFKC", name): name for name in names} | words)
    except ExpressionError:
        raise
    except (SyntaxError, MemoryError, RecursionError, ValueError, TypeError, ArithmeticError) as error:
        raise _refusal(text, "an arithmetic expression", type(error).__name__, "Check brackets and operators") from None
    if value.has(sp.zoo, sp.nan, sp.oo, -sp.oo, sp.I):
        raise _refusal(text, "finite real numbers", str(value), "Remove what is infinite or complex")
    return value


def _refusal(text: str, expected: str, got: str, remedy: str) -> ExpressionError:
    return ExpressionError(f"symmetry_variable: in {text!r} expected {expected}, got {got}. {remedy}.")


def _word_for(name: str, text: str, names: Sequence[str], words: dict[str, str]) -> str:
    if name not in names:
        raise _refusal(text, f"one of the inputs {_listed(names)}", quoted(name), "Write names as they are")
    taken = {*names, *words}
    word = next(word for i in itertools.count() if (word := f"name{i}") not in taken and word not in text)
    words[word] = name
    return word


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, sorted(names)))


def _check_power(base: sp.Expr, exponent: sp.Expr, text: str) -> None:
    """Refuses powers of numbers beyond float64, which SymPy would compute to the last digit."""
    factor = base.as_coeff_Mul()[0]
    if isinstance(exponent, sp.Rational) and isinstance(factor, sp.Rational) and factor != 0:
        bits = abs(float(exponent)) * math.log2(max(abs(factor.p), factor.q))
        if bits > MAX_BITS:
            raise _refusal(text, "numbers within the range of float64", "a larger one", "Use smaller powers")


def _build(node: ast.AST, text: str, names: Mapping[str, str]) -> sp.Expr:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            if not math.isfinite(number) if isinstance(number, float) else number.bit_length() > MAX_BITS:
                raise _refusal(text, "numbers within the range of float64", "a larger one", "Use smaller numbers")
            return sp.Integer(number) if isinstance(number, int) else sp.Float(number)
        case ast.Name(id=name) if name in names:
            return symbol(names[name])
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](_build(operand, text, names))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
            first, second = _build(left, text, names), _build(right, text, names)
            if isinstance(sign, ast.Pow) and second.is_number and abs(complex(second)) > MAX_POWER:
                raise _refusal(text, f"powers up to {MAX_POWER}", str(second), "Use exp for large powers")
            if isinstance(sign, ast.Pow):
                _check_power(first, second, text)
            if isinstance(sign, ast.Div) and second.is_zero:
                raise _refusal(text, "a finite expression", "a division by zero", "Remove it")
            return OPERATORS[type(sign)](first, second)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](_build(argument, text, names))
        case _:
            got = ast.unparse(node)
            known = f"Use the inputs {_listed(names.values())}, numbers, + - * / ** and {', '.join(sorted(FUNCTIONS))}"
            raise _refusal(text, "arithmetic", repr(got), known)
