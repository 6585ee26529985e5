"""Formulas in files: evaluated on tensors without asking SymPy anything.

SymPy can be kept busy for hours by a short formula. So a formula in a file is limited to sums, products, powers and
elementary functions, and evaluated by the small reader here, which takes time in proportion to its length. SymPy reads
it when a formula of the network is wanted.

Reference: https://docs.python.org/3/library/ast.html
"""

import ast
import math
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import Any

import sympy
import torch
from torch import Tensor

from kan2.errors import SerializationError
from kan2.expressions.evaluate import evaluate
from kan2.expressions.parse import MAX_DEPTH, MAX_TEXT, parse_expression
from kan2.expressions.vocabulary import CONSTANTS, FUNCTIONS

ELEMENTARY = (
    *("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh"),
    *("atanh", "Abs", "sign", "erf", "floor", "ceiling", "gamma"),
)
"""Functions of one argument that a formula in a file may call, as SymPy prints them."""

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.Pow: lambda a, b: a**b,
}  # fmt: skip
_LARGEST: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"Max": torch.maximum, "Min": torch.minimum}

Part = Callable[[dict[str, Tensor]], Tensor]
Value = float | Part
"""A part of a formula: a number, or what makes a tensor of the variables."""


class Formula:
    """A formula as a function of tensors.

    Args:
        text: sums, products, powers and elementary functions of the variables, as SymPy prints them.
        variables: names of the arguments.

    Raises:
        SerializationError: the text is something else, or a constant in it is not a finite number.

    Example:
        >>> Formula("1/(x**2 + 1)", ["x"])(torch.tensor([2.0]))
        tensor([0.2000])
    """

    def __init__(self, text: str, variables: Sequence[str]) -> None:
        self.text, self.variables = text, tuple(variables)
        if len(text) > MAX_TEXT:
            raise self._refusal(f"{len(text)} characters, more than {MAX_TEXT}")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._refusal("another text, or one nested too deeply") from None
        value = self._build(tree, 0)
        if not callable(value):
            raise self._refusal("a constant")
        self._value: Part = value

    def __call__(self, *values: Tensor) -> Tensor:
        return self._value(dict(zip(self.variables, values)))

    def _refusal(self, got: str) -> SerializationError:
        return SerializationError(f"expected a formula in {', '.join(self.variables)}, got {got}: {self.text[:80]!r}.")

    def _build(self, node: ast.expr, depth: int) -> Value:
        # Constants are folded as they are met, so that those beyond float64 are found here.
        if depth > MAX_DEPTH:
            raise self._refusal("one nested too deeply")
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return self._number(lambda: node.value)
        if isinstance(node, ast.Name) and (name := node.id) in self.variables:
            return lambda values: values[name]
        if isinstance(node, ast.Name) and node.id in CONSTANTS:
            return float(CONSTANTS[node.id])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self._apply(lambda a, b: a * b, -1.0, self._build(node.operand, depth + 1))
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            return self._chain(node, depth + 1)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, [self._build(argument, depth + 1) for argument in node.args])
        what = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else type(node).__name__
        raise self._refusal(f"{getattr(node, 'id', what)!r} in it")

    def _chain(self, node: ast.BinOp, depth: int) -> Value:
        # A sum of a thousand terms is a thousand levels deep on its left side: walk down instead of recursing.
        first, second = {ast.Add: (ast.Add, ast.Sub), ast.Sub: (ast.Add, ast.Sub)}.get(
            type(node.op), (ast.Mult, ast.Div)
        )
        if isinstance(node.op, ast.Pow):
            return self._apply(_OPERATIONS[ast.Pow], self._build(node.left, depth), self._build(node.right, depth))
        steps: list[tuple[Callable[[Any, Any], Any], Value]] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, first | second):
            steps.append((_OPERATIONS[type(left.op)], self._build(left.right, depth)))
            left = left.left
        start = self._build(left, depth)
        while steps and isinstance(start, float) and isinstance(steps[-1][1], float):
            operation, number = steps.pop()
            start = self._apply(operation, start, number)
        if not steps:
            return start
        steps.reverse()
        return lambda values: reduce(lambda a, step: step[0](a, _at(step[1], values)), steps, _at(start, values))

    def _apply(self, operation: Callable[[Any, Any], Any], a: Value, b: Value) -> Value:
        if isinstance(a, float) and isinstance(b, float):
            return self._number(lambda: operation(a, b))
        return lambda values: operation(_at(a, values), _at(b, values))

    def _call(self, name: str, arguments: list[Value]) -> Value:
        if name in _LARGEST and arguments:
            join = _LARGEST[name]
            numbers = [a for a in arguments if isinstance(a, float)]
            if len(numbers) == len(arguments):
                return max(numbers) if name == "Max" else min(numbers)
            return lambda values: reduce(join, [_tensor(a, values) for a in arguments])
        if name not in ELEMENTARY or len(arguments) != 1:
            raise self._refusal(f"a call of {name!r} with {len(arguments)} arguments")
        expression, argument = _elementary(name), arguments[0]
        if not callable(argument):
            point = torch.tensor(argument, dtype=torch.float64, device="cpu")
            return self._number(lambda: float(evaluate(expression, {"u": point})))
        inner: Part = argument
        return lambda values: evaluate(expression, {"u": inner(values)})

    def _number(self, compute: Callable[[], Any]) -> float:
        try:
            value = compute()
            if not isinstance(value, complex) and math.isfinite(value := float(value)):
                return value
        except (ArithmeticError, ValueError):
            pass
        raise self._refusal("a constant that is no finite number")


class SymPyFormula:
    """The same text as a function of SymPy expressions, read when it is called first."""

    def __init__(self, text: str, variables: Sequence[str]) -> None:
        self.text, self.variables = text, tuple(variables)

    def __call__(self, *values: Any) -> Any:
        expression = _read(self.text, self.variables)
        return expression.subs(dict(zip(map(sympy.Symbol, self.variables), values)), simultaneous=True)


@lru_cache(maxsize=256)
def _read(text: str, variables: tuple[str, ...]) -> sympy.Expr:
    return parse_expression(text, names=variables)


@lru_cache(maxsize=64)
def _elementary(name: str) -> Any:
    return FUNCTIONS[name](sympy.Symbol("u"))


def _at(value: Value, values: dict[str, Tensor]) -> Any:
    return value(values) if callable(value) else value


def _tensor(value: Value, values: dict[str, Tensor]) -> Tensor:
    like = next(iter(values.values()))
    return value(values) if callable(value) else torch.as_tensor(value, dtype=like.dtype, device=like.device)
