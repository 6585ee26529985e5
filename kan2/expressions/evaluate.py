"""Evaluates SymPy expressions on tensors, node by node, without generating code.

Reference: the SymPy documentation, "Advanced Expression Manipulation".
"""

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import sympy
import torch
from torch import Tensor

from kan2.errors import UnknownNameError
from kan2.expressions.token import ExpressionError


def _gamma(u: Tensor) -> Tensor:
    # torch knows the logarithm of |gamma|; between the poles the sign alternates.
    sign = torch.where(u < 0, 1 - 2 * torch.remainder(u.floor(), 2), torch.ones_like(u))
    return sign * torch.exp(torch.lgamma(u))


_UNARY: dict[Any, Callable[[Tensor], Tensor]] = {
    sympy.exp: torch.exp,
    sympy.log: torch.log,
    sympy.sin: torch.sin,
    sympy.cos: torch.cos,
    sympy.tan: torch.tan,
    sympy.asin: torch.asin,
    sympy.acos: torch.acos,
    sympy.atan: torch.atan,
    sympy.sinh: torch.sinh,
    sympy.cosh: torch.cosh,
    sympy.tanh: torch.tanh,
    sympy.asinh: torch.asinh,
    sympy.acosh: torch.acosh,
    sympy.atanh: torch.atanh,
    sympy.Abs: torch.abs,
    sympy.sign: torch.sign,
    sympy.erf: torch.erf,
    sympy.floor: torch.floor,
    sympy.ceiling: torch.ceil,
    sympy.gamma: _gamma,
}
_MANY: dict[Any, Callable[[Tensor, Tensor], Tensor]] = {
    sympy.Add: torch.add,
    sympy.Mul: torch.mul,
    sympy.Max: torch.maximum,
    sympy.Min: torch.minimum,
}


def evaluate(expression: sympy.Expr, values: Mapping[str, Tensor]) -> Tensor:
    """Evaluates an expression with named tensors in place of its symbols.

    Args:
        expression: sums, products, powers and elementary functions.
        values: one tensor for every free symbol; they broadcast.

    Raises:
        UnknownNameError: a symbol without a value, or a function that has no tensor form here.
        ExpressionError: a constant that is not a real number within float64.

    Example:
        >>> evaluate(sympy.sqrt(sympy.Symbol("x") + 1), {"x": torch.tensor([3.0])})
        tensor([2.])
    """
    like = next(iter(values.values()))
    memo: dict[Any, Tensor] = {}

    def visit(node: Any) -> Tensor:
        if node not in memo:
            memo[node] = compute(node)
        return memo[node]

    def compute(node: Any) -> Tensor:
        if isinstance(node, sympy.Symbol):
            if node.name not in values:
                raise UnknownNameError(
                    f"evaluate: expected the variables {', '.join(values)}, got {node.name}. Declare it or rename it."
                )
            return values[node.name]
        if node.is_number:
            return torch.as_tensor(real_number(node), dtype=like.dtype, device=like.device)
        if isinstance(node, sympy.Pow):
            base, exponent = visit(node.base), node.exp
            if exponent.is_number:
                return torch.pow(base, real_number(exponent))
            return torch.pow(base, visit(exponent))
        if node.func in _MANY:
            return reduce(_MANY[node.func], [visit(argument) for argument in node.args])
        if node.func in _UNARY:
            return _UNARY[node.func](visit(node.args[0]))
        raise UnknownNameError(
            f"evaluate: expected elementary functions of tensors, got {_in_words(node)}. Write it with "
            f"{', '.join(sorted({f.__name__ for f in _UNARY}))}, powers, Max and Min."
        )

    return visit(expression)


def _in_words(node: Any) -> str:
    text = str(node)
    shown = text if len(text) <= 100 else text[:97] + "..."
    if isinstance(node, sympy.logic.boolalg.Boolean):
        return f"the condition {shown}"
    kinds = {sympy.Sum: "a sum", sympy.Product: "a product", sympy.Integral: "an integral",
             sympy.Derivative: "a derivative"}  # fmt: skip
    return f"{kinds.get(node.func, node.func.__name__)} in {shown}"


def real_number(value: Any) -> float:
    """Returns a SymPy constant as a float.

    Raises:
        ExpressionError: it is complex, infinite or beyond float64.

    Example:
        >>> real_number(sympy.sqrt(4))
        2.0
    """
    try:
        result = float(value)
    except (TypeError, ValueError, ArithmeticError):
        result = float("nan")
    if not math.isfinite(result):
        raise ExpressionError(f"evaluate: expected real numbers within float64, got the constant {value}. Correct it.")
    return result
