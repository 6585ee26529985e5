"""Arithmetic written as text, read without ever evaluating it as Python.

The text is parsed to a syntax tree and only the nodes of arithmetic are let through: numbers, the names of inputs,
`+ - * / **` (also `^`), and a fixed list of functions. Everything else is refused with the place where it stands.

Reference: the grammar of the module `ast` of Python.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Sequence

import sympy as sp

from treeconv.errors import ExpressionError

FUNCTIONS = {
    name: getattr(sp, name)
    for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "sqrt")
} | {"abs": sp.Abs, "Abs": sp.Abs, "ln": sp.log, "arcsin": sp.asin, "arccos": sp.acos, "arctan": sp.atan}
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
MAX_POWER = 100


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
    """
    if len(text) > MAX_LENGTH:
        raise _refusal(text[:40] + "...", f"at most {MAX_LENGTH} characters", f"{len(text)}", "Shorten it")
    try:
        body = ast.parse(text.strip().replace("^", "**"), mode="eval").body
        return _build(body, text, frozenset(names))
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise _refusal(text, "an arithmetic expression", type(error).__name__, "Check brackets and operators") from None


def _refusal(text: str, expected: str, got: str, remedy: str) -> ExpressionError:
    return ExpressionError(f"symmetry_variable: in {text!r} expected {expected}, got {got}. {remedy}.")


def _build(node: ast.AST, text: str, names: frozenset[str]) -> sp.Expr:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return sp.Integer(number) if isinstance(number, int) else sp.Float(number)
        case ast.Name(id=name) if name in names:
            return sp.Symbol(name)
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](_build(operand, text, names))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
            first, second = _build(left, text, names), _build(right, text, names)
            if isinstance(sign, ast.Pow) and second.is_number and abs(complex(second)) > MAX_POWER:
                raise _refusal(text, f"powers up to {MAX_POWER}", str(second), "Use exp for large powers")
            if isinstance(sign, ast.Div) and second.is_zero:
                raise _refusal(text, "a finite expression", "a division by zero", "Remove it")
            return OPERATORS[type(sign)](first, second)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](_build(argument, text, names))
        case _:
            got = ast.unparse(node)
            known = f"Use the inputs {', '.join(sorted(names))}, numbers, + - * / ** and {', '.join(sorted(FUNCTIONS))}"
            raise _refusal(text, "arithmetic", repr(got), known)
