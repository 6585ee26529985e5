"""The fixed function b of numeric activations, w_0 b(x) + spline(x), with all its derivatives.

The derivatives of the logistic function s and of tanh are polynomials in the function itself: s' = s - s^2 and
t' = 1 - t^2; each further one follows by the chain rule.

Reference: Liu et al., KAN (arXiv 2404.19756), equation 2.10.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


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


def silu(x: Tensor, order: int = 0) -> Tensor:
    """Returns x s(x), with the logistic function s, or a derivative of it.

    Example:
        >>> silu(torch.tensor(0.0), order=1).item()
        0.5
    """
    if order == 0:
        return F.silu(x)
    s = torch.sigmoid(x)
    if order == 1:
        return torch.addcmul(s, x * s, 1 - s)
    return x * _horner(s, _chain(order, [0, 1, -1])) + order * _horner(s, _chain(order - 1, [0, 1, -1]))


def tanh(x: Tensor, order: int = 0) -> Tensor:
    """Returns tanh(x), or a derivative of it."""
    t = torch.tanh(x)
    return t if order == 0 else _horner(t, _chain(order, [1, 0, -1]))


def identity(x: Tensor, order: int = 0) -> Tensor:
    """Returns x, or a derivative of it."""
    return x if order == 0 else torch.full_like(x, float(order == 1))


BASE_FUNCTIONS: dict[str, Callable[..., Tensor] | None] = {
    "silu": silu,
    "identity": identity,
    "tanh": tanh,
    "zero": None,
}
"""(x, order) -> the function or a derivative; None where there is no base function."""
