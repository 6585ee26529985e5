"""How a gradient passes back through a function of the table, from what the way forward knows already.

The *pullback* of y = f(u) takes the gradient g of y, with u and y, and gives the gradient g f'(u) of u. Written with
the value at hand it takes one or two passes over the numbers: g y for exp, g y y for 1/x. A common factor is left out,
as a number of its own, for the caller to multiply with other numbers first. The formulas are those of torch, so that
the results agree to rounding; where torch meets infinity times zero they may have the limit.

Reference: Griewank, Walther, Evaluating Derivatives (2008), section 3.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, pi, sqrt
from operator import iadd, imul, itruediv
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kan2.functions.table import BUILT_IN, SymbolicFunction


@dataclass(frozen=True)
class Pullback:
    """The way back through one function.

    Attributes:
        through: (g, u, y) -> g f'(u) / factor, a new tensor; what is not needed may be None.
        needs: which of u and y it reads.
        factor: a number.
        is_arithmetic: whether `through` is arithmetic alone, which serves NumPy arrays too.
        on_arrays: the function for NumPy arrays, where it is arithmetic, or an operation of the processor; else torch
            is the faster on most machines.
    """

    through: Callable[[Any, Any, Any], Any]
    needs: Literal["", "u", "y", "uy"]
    factor: float = 1.0
    is_arithmetic: bool = False
    on_arrays: Callable[[Any], Any] | None = None


def pullback(function: SymbolicFunction) -> Pullback | None:
    """Returns the pullback of a row; None where it has none here: user functions, and those with a shape parameter.

    Example:
        >>> from kan2 import functions
        >>> back, u = pullback(functions.get("x^2")), torch.tensor([3.0])
        >>> back.factor * back.through(torch.ones(1), u, u * u)
        tensor([6.])
    """
    return PULLBACKS.get(function.name) if BUILT_IN.get(function.name) is function else None


def power_pullback(g: Tensor, u: Tensor, y: Tensor, exponent: float) -> Tensor:
    """Returns g u^(p - 1) for y = u^p; the factor is p."""
    if exponent == 0.0:
        return torch.zeros_like(g)
    # y / u takes a tenth of the time of another power, where y has neither vanished nor overflown.
    low, high = y.aminmax() if y.numel() else (y.sum(), y.sum())
    if torch.finfo(y.dtype).tiny <= low.item() and high.item() < inf:
        return (g * y).div_(u)
    return g * u.pow(exponent - 1)


def _asin(g: Tensor, u: Tensor, y: Any) -> Tensor:
    return torch.rsub(u * u, 1.0).rsqrt_().mul_(g)


def _tanh(g: Tensor, u: Any, y: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward(g, y)


PULLBACKS: dict[str, Pullback] = {
    "x^2": Pullback(lambda g, u, y: g * u, "u", 2.0, True, BUILT_IN["x^2"].torch),
    "x^3": Pullback(lambda g, u, y: imul(g * u, u), "u", 3.0, True, BUILT_IN["x^3"].torch),
    "x^4": Pullback(lambda g, u, y: imul(imul(g * u, u), u), "u", 4.0, True, BUILT_IN["x^4"].torch),
    "x^5": Pullback(lambda g, u, y: imul((u * u) ** 2, g), "u", 5.0, True, BUILT_IN["x^5"].torch),
    "1/x": Pullback(lambda g, u, y: imul(g * y, y), "y", -1.0, True, BUILT_IN["1/x"].torch),
    "1/x^2": Pullback(lambda g, u, y: itruediv(g * y, u), "uy", -2.0, True, BUILT_IN["1/x^2"].torch),
    "1/x^3": Pullback(lambda g, u, y: itruediv(g * y, u), "uy", -3.0, True, BUILT_IN["1/x^3"].torch),
    "sqrt": Pullback(lambda g, u, y: g / y, "y", 0.5, True, np.sqrt),
    "1/sqrt": Pullback(lambda g, u, y: itruediv(g * y, u), "uy", -0.5, True),
    "exp": Pullback(lambda g, u, y: g * y, "y", 1.0, True),
    "log": Pullback(lambda g, u, y: g / u, "u", 1.0, True),
    "abs": Pullback(lambda g, u, y: torch.sgn(u).mul_(g), "u"),
    "sin": Pullback(lambda g, u, y: torch.cos(u).mul_(g), "u"),
    "cos": Pullback(lambda g, u, y: torch.sin(u).mul_(g), "u", -1.0),
    "tan": Pullback(lambda g, u, y: imul(iadd(y * y, 1.0), g), "y", 1.0, True),
    "asin": Pullback(_asin, "u"),
    "acos": Pullback(_asin, "u", -1.0),
    "atan": Pullback(lambda g, u, y: g / iadd(u * u, 1.0), "u", 1.0, True),
    "sinh": Pullback(lambda g, u, y: torch.cosh(u).mul_(g), "u"),
    "cosh": Pullback(lambda g, u, y: torch.sinh(u).mul_(g), "u"),
    "tanh": Pullback(_tanh, "y"),
    "asinh": Pullback(lambda g, u, y: (u * u).add_(1.0).rsqrt_().mul_(g), "u"),
    "acosh": Pullback(lambda g, u, y: (u * u).sub_(1.0).rsqrt_().mul_(g), "u"),
    "atanh": Pullback(lambda g, u, y: g / (1.0 - u * u), "u", 1.0, True),
    "gaussian": Pullback(lambda g, u, y: imul(g * u, y), "uy", -2.0, True),
    "sigmoid": Pullback(lambda g, u, y: torch.ops.aten.sigmoid_backward(g, y), "y"),
    "erf": Pullback(lambda g, u, y: (u * u).neg_().exp_().mul_(g), "u", 2 / sqrt(pi)),
    "sqrt(1-x^2)": Pullback(lambda g, u, y: itruediv(g * u, y), "uy", -1.0, True),
    "1/sqrt(1-x^2)": Pullback(lambda g, u, y: imul(imul(imul(g * u, y), y), y), "uy", 1.0, True),
}
"""The rows of the table of which u and f(u) give the derivative in a few operations."""
