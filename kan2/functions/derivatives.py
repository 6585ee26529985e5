"""Derivatives of symbolic functions of one variable, elementwise and exact.

The common rows of the function table have closed forms here: powers, and functions whose derivatives are polynomials
in themselves or turn round a circle. All other rows, those of users included, are differentiated elementwise by
automatic differentiation. Either way the results are differentiable in the argument and in the shape parameter.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapter 13.
"""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from kan2.functions.table import BUILT_IN, SymbolicFunction

Family = Callable[[Tensor, int], Tensor]


def derivatives(function: SymbolicFunction, u: Tensor, shape: Tensor, order: int) -> list[Tensor]:
    """Returns f(u) and its derivatives up to an order.

    Args:
        function: a row of the table.
        u: arguments.
        shape: shape parameters that broadcast against u; ignored where the row has none.
        order: the highest derivative, >= 0.

    Example:
        >>> from kan2 import functions
        >>> u = torch.tensor([2.0])
        >>> [float(d) for d in derivatives(functions.get("x^3"), u, u, 3)]
        [8.0, 12.0, 12.0, 6.0]
    """
    family = CLOSED.get(function.name)
    if family is not None and BUILT_IN.get(function.name) is function:
        return [function(u, shape), *(family(u, r) for r in range(1, order + 1))]
    return _by_differentiation(function, u, shape, order)


def logistic_derivative(u: Tensor, order: int) -> Tensor:
    """Returns the order-th derivative of the logistic function s(u) = 1 / (1 + exp(-u)), from s' = s - s^2.

    Example:
        >>> logistic_derivative(torch.tensor(0.0), 1).item()
        0.25
    """
    return _horner(torch.sigmoid(u), _chain(order, [0, 1, -1]))


def tanh_derivative(u: Tensor, order: int) -> Tensor:
    """Returns the order-th derivative of t(u) = tanh(u), from t' = 1 - t^2."""
    return torch.tanh(u) if order == 0 else _horner(torch.tanh(u), _chain(order, [1, 0, -1]))


def _chain(order: int, slope: list[float]) -> list[float]:
    # Coefficients, lowest first, of the order-th derivative of y as a polynomial in y, where y' = slope(y).
    polynomial = [0.0, 1.0]
    for _ in range(order):
        derived = [n * c for n, c in enumerate(polynomial)][1:]
        product = [0.0] * (len(derived) + len(slope) - 1)
        for i, a in enumerate(derived):
            for j, b in enumerate(slope):
                product[i + j] += a * b
        polynomial = product
    return polynomial


def _horner(y: Tensor, polynomial: list[float]) -> Tensor:
    result = torch.full_like(y, polynomial[-1])
    for coefficient in polynomial[-2::-1]:
        result = result * y + coefficient
    return result


def _by_differentiation(function: SymbolicFunction, u: Tensor, shape: Tensor, order: int) -> list[Tensor]:
    tracked = torch.is_grad_enabled()
    with torch.enable_grad():
        point = u if tracked and u.requires_grad else u.detach().requires_grad_()
        found = [function(point, shape)]
        for _ in range(order):
            last, slope = found[-1], None
            if last.requires_grad:
                (slope,) = torch.autograd.grad(last.sum(), point, create_graph=True, allow_unused=True)
            found.append(torch.zeros_like(u) if slope is None else slope)
    return found if tracked else [d.detach() for d in found]


def _power(n: float) -> Family:
    def family(u: Tensor, order: int) -> Tensor:
        factor = prod(n - j for j in range(order))
        rest = n - order
        if factor == 0:
            return torch.zeros_like(u)
        return torch.full_like(u, factor) if rest == 0 else factor * u**rest

    return family


def _circle(quarter: int) -> Family:
    steps = (torch.sin, torch.cos, lambda u: -torch.sin(u), lambda u: -torch.cos(u))
    return lambda u, order: steps[(quarter + order) % 4](u)


def _hyperbola(half: int) -> Family:
    return lambda u, order: (torch.sinh, torch.cosh)[(half + order) % 2](u)


_inverse = _power(-1)

CLOSED: dict[str, Family] = {
    "0": lambda u, order: torch.zeros_like(u),
    **{"x" if n == 1 else f"x^{n}": _power(n) for n in range(1, 6)},
    "1/x": _inverse,
    "1/x^2": _power(-2),
    "1/x^3": _power(-3),
    "sqrt": _power(0.5),
    "1/sqrt": _power(-0.5),
    "exp": lambda u, order: torch.exp(u),
    "log": lambda u, order: _inverse(u, order - 1),
    "sin": _circle(0),
    "cos": _circle(1),
    "sinh": _hyperbola(0),
    "cosh": _hyperbola(1),
    "tanh": tanh_derivative,
    "sigmoid": logistic_derivative,
}
"""Name of a row -> (u, order) -> the derivative, for orders of 1 and more."""
