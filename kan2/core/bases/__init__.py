"""Bases of numeric activations behind one interface.

A basis is a module that holds one grid for each source node and offers

- `basis(x, order=0)`: (batch, source) -> (batch, source, n_basis), values or the order-th derivative, of any order;
- `basis.refined(grid, k)`: a basis with another number of intervals on the same range, nested where one divides the
  other;
- `basis.transfer_to(other)`: matrices (source, new, old) that carry coefficients over to another basis;
- `basis.select(sources)`: the basis of some of the sources;
- `n_source`, `n_intervals`, `n_basis`, `grid`, and `home`, the range that the base function sees as -1 to 1.

`make_basis` builds the one that a `BasisSpec` names. B-splines are the default: local, exact under refinement, on
uniform or adaptive grids. Chebyshev polynomials suit smooth functions, Fourier series oscillating ones, Gaussian radial
functions are smooth and nearly local.
"""

import torch
from torch import Tensor

from kan2.core.bases.base import Basis as Basis
from kan2.core.bases.base import uniform_grid as uniform_grid
from kan2.core.bases.base_functions import BASE_FUNCTIONS as BASE_FUNCTIONS
from kan2.core.bases.bspline import BSplineBasis as BSplineBasis
from kan2.core.bases.chebyshev import ChebyshevBasis as ChebyshevBasis
from kan2.core.bases.fourier import FourierBasis as FourierBasis
from kan2.core.bases.rbf import RBFBasis as RBFBasis
from kan2.core.spec import BasisSpec
from kan2.errors import unknown_name

KINDS: dict[str, type[Basis]] = {
    "bspline": BSplineBasis,
    "chebyshev": ChebyshevBasis,
    "fourier": FourierBasis,
    "rbf": RBFBasis,
}


def make_basis(
    spec: BasisSpec, low: Tensor, high: Tensor, quantiles: Tensor | None = None, home: Tensor | None = None
) -> Basis:
    """Builds a basis on the ranges low to high, one a source.

    Args:
        spec: kind, number of intervals, order, and how much the grid follows the quantiles.
        low: (source,) left ends.
        high: (source,) right ends, larger than low.
        quantiles: (source, G + 1) sample quantiles, used where spec.grid_eps < 1 and the basis has a use for it; their
            ends are moved to low and high.
        home: (source, 2) the range that the base function sees as -1 to 1; by default -1 to 1.

    Raises:
        UnknownNameError: spec.kind is not a basis.
        SpecError: the ranges are not finite, or too short for so many intervals; a home is no interval.
    """
    if spec.kind not in KINDS:
        raise unknown_name("make_basis", "basis", spec.kind, KINDS)
    kind = KINDS[spec.kind]
    grid = uniform_grid(low, high, spec.grid)
    if quantiles is not None and spec.grid_eps < 1 and not kind.needs_uniform_grid:
        quantiles = torch.cat([low[:, None], quantiles[:, 1:-1], high[:, None]], 1)
        grid = spec.grid_eps * grid + (1 - spec.grid_eps) * quantiles
        # Repeated sample values give empty intervals; a small uniform share keeps the grid strictly increasing.
        share = 1e-3 if bool((grid.diff() <= 1e-9 * (high - low)[:, None]).any()) else 0.0
        grid = (1 - share) * grid + share * uniform_grid(low, high, spec.grid)
    return kind(grid, spec.k, home)


def data_ranges(x: Tensor, margin: float, n_intervals: int = 1) -> tuple[Tensor, Tensor]:
    """Returns the range of every column of x, widened on both sides by margin times its width.

    A column that is constant, or that spans too few numbers of its type for n_intervals different intervals, gets a
    range of width 2 (or twice its own magnitude, where that is larger) around its value, so that a grid on it is
    always valid.
    """
    low, high = x.amin(0), x.amax(0)
    centre = low / 2 + high / 2
    half = high / 2 - low / 2
    info = torch.finfo(x.dtype)
    smallest = max(1e-9, 64 * n_intervals * info.eps) * centre.abs()
    size = torch.maximum(centre.abs(), torch.ones_like(centre))
    half = torch.where(half <= smallest.clamp_min(info.tiny / info.eps), size, half * (1 + 2 * margin))
    return centre - half, centre + half


def sample_quantiles(x: Tensor, n_intervals: int) -> Tensor:
    """Returns the (source, n_intervals + 1) quantiles of every column of x at equally spaced levels."""
    rank = torch.linspace(0, x.shape[0] - 1, n_intervals + 1, device=x.device, dtype=torch.float64).round().long()
    return x.sort(0).values[rank].T.contiguous()
