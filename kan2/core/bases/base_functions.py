"""The fixed function b of numeric activations, w_0 b(x) + spline(x), with all its derivatives.

Reference: Liu et al., KAN (arXiv 2404.19756), equation 2.10.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from kan2.functions.derivatives import logistic_derivative, tanh_derivative


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
    return x * logistic_derivative(x, order) + order * logistic_derivative(x, order - 1)


def tanh(x: Tensor, order: int = 0) -> Tensor:
    """Returns tanh(x), or a derivative of it."""
    return tanh_derivative(x, order)


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
