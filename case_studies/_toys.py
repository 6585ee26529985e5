"""Functions that several studies and benchmarks learn.

Reference: Liu et al., KAN (arXiv 2404.19756), sections 3.1 and 4.
"""

import torch
from scipy.special import j0
from torch import Tensor


def bessel(x: Tensor) -> Tensor:
    """Returns J0(20 x) at (batch,) points; by SciPy, since torch.special.bessel_j0 is off by up to 4e-7."""
    return torch.from_numpy(j0(20 * x.numpy()))


def exp_of_bessel(x: Tensor) -> Tensor:
    """Returns exp(J0(20 x1) + x2^2) at (batch, 2) points."""
    return torch.exp(bessel(x[:, 0]) + x[:, 1] ** 2)


def three_layers(x: Tensor) -> Tensor:
    """Returns exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2)))/2) at (batch, 4) points."""
    a, b = x[:, 0] ** 2 + x[:, 1] ** 2, x[:, 2] ** 2 + x[:, 3] ** 2
    return torch.exp((torch.sin(torch.pi * a) + torch.sin(torch.pi * b)) / 2)


def box(names: str, low: float, high: float) -> dict[str, tuple[float, float]]:
    """Returns the same range for several variables.

    Example:
        >>> box("x y", -1, 1)
        {'x': (-1, 1), 'y': (-1, 1)}
    """
    return dict.fromkeys(names.split(), (low, high))
