"""Where to look for a and b of c f(a x + b) + d: candidates, and the curves they give on one common grid.

Curves are given at `grid_points()`, t in [-1, 1] of their ranges, so the values f(a t + b) are the same for all
curves, and correlating a row's candidates with all curves is one matrix product.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.functions import SymbolicFunction
from kan2.functions.interpolation import table

N_POINTS = 201
BLOCK = 256  # candidates that are evaluated at once, so that they stay in the processor's cache
POWERS = (
    *(-12.0, -8.0, -6.0, -4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25),
    *(0.25, 0.5, 0.75, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0),
)


def grid_points() -> Float[Tensor, " point"]:
    """Returns the common grid on [-1, 1] at which curves are given."""
    return torch.linspace(-1, 1, N_POINTS, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Candidates:
    """What is tried of one function.

    Attributes:
        numbers: a, b and the shape parameter.
        curves: centred values on the grid, scaled to unit norm; in single precision, which is enough to choose.
    """

    numbers: Float[Tensor, "candidate 3"]
    curves: Float[Tensor, "candidate point"]


@lru_cache(maxsize=256)
@torch.no_grad()
def candidates(row: SymbolicFunction) -> Candidates:
    """Returns the candidates of a function that are finite on the grid."""
    pairs = _pairs(row)
    shapes = torch.zeros(len(pairs), dtype=torch.float64)
    if row.shape is not None:
        options = POWERS if row.name == "power" else (row.shape,)
        shapes = torch.tensor(options, dtype=torch.float64).repeat_interleave(len(pairs))
        pairs = pairs.repeat(len(options), 1)
    numbers = torch.cat([pairs, shapes[:, None]], 1)
    parts = [_curves(row, part) for part in numbers.split(BLOCK)]
    keep = torch.cat([part[0] for part in parts])
    return Candidates(numbers[keep], torch.cat([part[1] for part in parts]))


def _curves(row: SymbolicFunction, numbers: Tensor) -> tuple[Tensor, Tensor]:
    # Which candidates are finite, and their curves.
    u = grid_points() * numbers[:, :1] + numbers[:, 1:2]
    if row.is_slow:
        f = table(row).value(u)
    else:
        f = row(u, numbers[:, 2:]) if row.shape is not None else row(u)
    low, high = row.domain
    centred = f - f.mean(1, keepdim=True)
    norms = centred.norm(dim=1)
    # Where f varies less than its own rounding, the regression has nothing to hold on to.
    keep = torch.isfinite(f).all(1) & (u > low).all(1) & (u < high).all(1) & (norms > 1e-7 * f.abs().amax(1))
    return keep, (centred[keep] / norms[keep, None]).float()


def _pairs(row: SymbolicFunction) -> Tensor:
    # Where to start looking for (a, b); the gauge says which of them matter.
    def log_spaced(low: float, high: float, n: int) -> Tensor:
        return torch.logspace(low, high, n, dtype=torch.float64)

    one = torch.ones(1, dtype=torch.float64)
    if row.gauge in ("linear", "constant"):
        return torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    if row.gauge == "shift":
        a = log_spaced(-2, 2, 60)
        return torch.stack([torch.cat([a, -a]), torch.zeros(120, dtype=torch.float64)], 1)
    if row.gauge == "scale":
        outside = 1 + torch.cat([torch.zeros(1, dtype=torch.float64), log_spaced(-4, 2, 60)])
        b = torch.cat([outside, -outside, torch.linspace(-1, 1, 81, dtype=torch.float64)])
        return torch.cartesian_prod(torch.cat([one, -one]), b)
    if row.gauge == "periodic":
        # Steps small enough that the phase across the range is never off by more than a quarter turn.
        a = torch.cat([log_spaced(-2, 0.5, 24), torch.arange(3.5, 100 * pi, 0.4, dtype=torch.float64)])
        return torch.cartesian_prod(a, torch.arange(0, pi, pi / 8, dtype=torch.float64))
    if _oscillates(row):
        # As for periodic functions, but the argument has a centre in place of a phase.
        a = torch.cat([log_spaced(-1, 0.5, 12), torch.arange(3.5, 30 * pi, 0.4, dtype=torch.float64)])
        centres = torch.cat([torch.linspace(-2, 2, 81, dtype=torch.float64), torch.tensor([-6.0, 6.0]).double()])
        pairs = torch.cartesian_prod(a, centres)
        return torch.stack([pairs[:, 0], -pairs[:, 0] * pairs[:, 1]], 1)
    a = log_spaced(-1.5, 1.7, 33)
    if row.domain[0] > -1e9 and row.domain[1] < 1e9:
        # A bounded domain must hold all of a t + b.
        half = (row.domain[1] - row.domain[0]) / 2
        a = torch.cat([a[a < half], half * (1 - log_spaced(-5, -1, 9))])
    a = torch.cat([a, -a])
    far = torch.tensor([-6.0, -4.0, 4.0, 6.0], dtype=torch.float64)
    pairs = torch.cartesian_prod(a, torch.cat([torch.linspace(-2.5, 2.5, 41, dtype=torch.float64), far]))
    return torch.stack([pairs[:, 0], -pairs[:, 0] * pairs[:, 1]], 1)


def _oscillates(row: SymbolicFunction) -> bool:
    # Whether f turns round often on a long interval, as Bessel functions do.
    if row.shape is not None or row.gauge != "affine" or row.domain[1] < 30:
        return False
    slope = row(torch.linspace(0.1, 30, 600, dtype=torch.float64)).diff()
    return bool(torch.isfinite(slope).all()) and int((slope[1:] * slope[:-1] < 0).sum()) >= 6
