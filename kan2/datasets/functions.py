"""Functions that the two papers learn, with the boxes that their samples are drawn from.

Where a paper does not tell the box, ours keeps away from poles and is far from linear.

References: Liu et al., KAN (arXiv 2404.19756), sections 3.1, 3.2 and 4; KAN 2.0 (arXiv 2408.10205), sections 3 and 4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial, pi, sqrt

import numpy as np
import torch
from torch import Tensor

Ranges = dict[str, tuple[float, float]]
KAN1 = "Liu et al., KAN (arXiv 2404.19756)"
KAN2 = "Liu et al., KAN 2.0 (arXiv 2408.10205)"


@dataclass(frozen=True)
class Function:
    """A function with the box of its inputs.

    Attributes:
        formula: as text, with pi and named functions; for reading where `f` is given.
        ranges: (low, high) of each input by name.
        source: the paper and its section.
        f: from (batch, input) to (batch,) points, where SciPy computes it and not the formula.
    """

    formula: str
    ranges: Ranges
    source: str
    f: Callable[[Tensor], Tensor] | None = None


def box(names: str, low: float, high: float) -> Ranges:
    """Returns the same range for several variables.

    Example:
        >>> box("x y", -1, 1)
        {'x': (-1, 1), 'y': (-1, 1)}
    """
    return dict.fromkeys(names.split(), (low, high))


def bessel(x: Tensor) -> Tensor:
    """Returns J0(20 x) at (batch,) points; by SciPy, since torch.special.bessel_j0 is off by up to 4e-7."""
    from scipy.special import j0

    return torch.from_numpy(j0(20 * x.numpy()))


def exp_of_bessel(x: Tensor) -> Tensor:
    """Returns exp(J0(20 x1) + x2^2) at (batch, 2) points."""
    return torch.exp(bessel(x[:, 0]) + x[:, 1] ** 2)


def exp_of_sine(x: Tensor) -> Tensor:
    """Returns exp(sin(pi x1) + x2^2) at (batch, 2) points."""
    return torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2)


def three_layers(x: Tensor) -> Tensor:
    """Returns exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2)))/2) at (batch, 4) points."""
    a, b = x[:, 0] ** 2 + x[:, 1] ** 2, x[:, 2] ** 2 + x[:, 3] ** 2
    return torch.exp((torch.sin(torch.pi * a) + torch.sin(torch.pi * b)) / 2)


def hundred(x: Tensor) -> Tensor:
    """Returns exp of the mean of sin^2(pi x_i/2) at (batch, input) points."""
    return torch.exp(torch.sin(torch.pi * x / 2).square().mean(1))


Special = tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray], tuple[float, float], tuple[float, float]]


def legendre(m: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Returns the associated Legendre function of order m, of a real degree and an argument."""
    return lambda degree, x: _scipy("lpmv")(m, degree, x)


def harmonic(m: int, n: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Returns the real part of the spherical harmonic of order m and degree n, of azimuth and polar angle."""
    norm = sqrt((2 * n + 1) / (4 * pi) * factorial(n - m) / factorial(n + m))
    return lambda azimuth, polar: norm * _scipy("lpmv")(m, n, np.cos(polar)) * np.cos(m * azimuth)


def _scipy(name: str) -> Callable[..., np.ndarray]:
    from scipy import special

    return getattr(special, name)


def _of_two(name: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda x, y: _scipy(name)(x, y)


_SPHERE = (0, 2 * pi), (0, pi)
SPECIAL: dict[str, Special] = {
    "ellipj": ("ellipj(x, y), sn", lambda u, m: _scipy("ellipj")(u, m)[0], (-3, 3), (0, 0.95)),
    "ellipkinc": ("ellipkinc(x, y)", _of_two("ellipkinc"), (0, pi / 2), (0, 0.9)),
    "ellipeinc": ("ellipeinc(x, y)", _of_two("ellipeinc"), (0, pi / 2), (0, 0.9)),
    "jv": ("jv(x, y)", _of_two("jv"), (0, 4), (1, 10)),
    "yv": ("yv(x, y)", _of_two("yv"), (0, 2), (1, 10)),
    "kv": ("kv(x, y)", _of_two("kv"), (0, 2), (1, 5)),
    "iv": ("iv(x, y)", _of_two("iv"), (0, 4), (0.5, 5)),
    "lpmv_0": ("lpmv(0, x, y)", legendre(0), (0, 3), (-0.8, 0.8)),
    "lpmv_1": ("lpmv(1, x, y)", legendre(1), (0, 3), (-0.8, 0.8)),
    "lpmv_2": ("lpmv(2, x, y)", legendre(2), (0, 3), (-0.8, 0.8)),
    "sph_harm_0_1": ("sph_harm(0, 1, x, y)", harmonic(0, 1), *_SPHERE),
    "sph_harm_1_1": ("Re sph_harm(1, 1, x, y)", harmonic(1, 1), *_SPHERE),
    "sph_harm_0_2": ("sph_harm(0, 2, x, y)", harmonic(0, 2), *_SPHERE),
    "sph_harm_1_2": ("Re sph_harm(1, 2, x, y)", harmonic(1, 2), *_SPHERE),
    "sph_harm_2_2": ("Re sph_harm(2, 2, x, y)", harmonic(2, 2), *_SPHERE),
}
"""The special functions of KAN 1.0, table 1: as people write them, how they are computed, ranges of x and y."""


def _tensor_of(f: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.from_numpy(np.asarray(f(x[:, 0].numpy(), x[:, 1].numpy()), dtype=np.float64))


_FIGURE_3, _FIGURE_4, _TABLE_1 = f"{KAN1}, figure 3.1", f"{KAN1}, figure 4.1", f"{KAN1}, table 1"
_MASS = {"m0": (0.0, 1.0), "v": (0.0, 0.9), "c": (1.1, 2.0)}
TWO_SQUARES = "(x1**2 + x2**2)**2 + (x3**2 + x4**2)**2"

FUNCTIONS: dict[str, Function] = {
    "kan1/bessel": Function("J0(20*x)", box("x", -1, 1), _FIGURE_3, lambda x: bessel(x[:, 0])),
    "kan1/exp_sine": Function("exp(sin(pi*x) + y**2)", box("x y", -1, 1), _FIGURE_3, exp_of_sine),
    "kan1/product": Function("x*y", box("x y", -1, 1), _FIGURE_3),
    "kan1/hundred": Function(
        "exp(mean of sin(pi*x_i/2)**2)", box(" ".join(f"x{i}" for i in range(1, 101)), -1, 1), _FIGURE_3, hundred
    ),
    "kan1/three_layers": Function(
        "exp((sin(pi*(x1**2 + x2**2)) + sin(pi*(x3**2 + x4**2)))/2)", box("x1 x2 x3 x4", -1, 1), _FIGURE_3, three_layers
    ),
    "kan1/quotient": Function("x/y", box("x y", 0.2, 1), _FIGURE_4),
    "kan1/exp_bessel": Function("exp(besselj(0, 20*x) + y**2)", box("x y", -1, 1), _FIGURE_4, exp_of_bessel),
    "kan1/tanh_quartic": Function("tanh(5*(x1**4 + x2**4 + x3**4 - 1))", box("x1 x2 x3", -1, 1), _FIGURE_4),
    "kan1/distance": Function("sqrt((x1 - x2)**2 + (x3 - x4)**2)", box("x1 x2 x3 x4", -1, 1), _FIGURE_4),
    "kan1/velocities": Function("(u + v)/(1 + u*v)", box("u v", -0.9, 0.9), f"{KAN1}, section 4"),
    **{
        f"kan1/{name}": Function(title, {"x": x, "y": y}, _TABLE_1, _tensor_of(f))
        for name, (title, f, x, y) in SPECIAL.items()
    },
    "kan2/relativistic_mass": Function("m0/sqrt(1 - v**2/c**2)", _MASS, f"{KAN2}, section 3.1"),
    "kan2/two_squares": Function(TWO_SQUARES, box("x1 x2 x3 x4", -1, 1), f"{KAN2}, section 3.2"),
    "kan2/relativistic_momentum": Function(
        "m*v/sqrt(1 - v**2/c**2)", {"m": (0.5, 2.0), "v": (0.1, 0.9), "c": (1.0, 2.0)}, f"{KAN2}, section 3.3"
    ),
    "kan2/screened_charge": Function("q*exp(-r/2)/r", {"r": (0.5, 4.0), "q": (0.5, 2.0)}, f"{KAN2}, section 3.3"),
    "kan2/velocities": Function("(u + v)/(1 + u*v)", box("u v", 0.05, 0.8), f"{KAN2}, section 3.3"),
    "kan2/tree": Function(f"({TWO_SQUARES})**2 + x5**2", box("x1 x2 x3 x4 x5", -1, 1), f"{KAN2}, section 4.2"),
}
"""The functions by name."""
