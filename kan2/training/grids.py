"""Grids that follow the data while a network trains.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.4.
"""

import warnings
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.errors import GridWarning
from kan2.network import MultKAN
from kan2.spec import BasisSpec


@torch.no_grad()
def fit_grids_(model: MultKAN, features: Float[Tensor, "batch feature"], *, only_if_needed: bool = False) -> bool:
    """Moves the grid of every layer to the activations it reads, in place; the functions stay nearly the same.

    Args:
        model: the network.
        features: samples, as the first layer reads them.
        only_if_needed: leave grids alone that hold their activations and are at least half used.

    Returns:
        whether any grid moved.
    """
    nodes, moved = features, False
    for layer in model.layers:
        if layer.numeric is not None and not (only_if_needed and _fits(layer.numeric.basis.grid, nodes)):
            layer.set_basis_(layer.spec.basis, nodes)
            moved = True
        nodes = layer(nodes)
    model.spec = model.spec.replace_layers([layer.spec for layer in model.layers])
    return moved


@torch.no_grad()
def refine_(model: MultKAN, grid: int) -> None:
    """Gives every numeric layer a grid of this many intervals on its present range, in place."""
    for layer in model.layers:
        if layer.numeric is not None:
            layer.set_basis_(replace(layer.spec.basis, grid=grid))
    model.spec = model.spec.replace_layers([layer.spec for layer in model.layers])


def supported_grid(basis: BasisSpec, features: Float[Tensor, "batch feature"]) -> int:
    """Returns the finest grid, at most the wanted one, that the samples can support; warns where it is coarser.

    A column with n different values cannot determine more than n coefficients a spline.
    """
    distinct = max(int(torch.unique(column).numel()) for column in features.unbind(1))
    limit = max(1, distinct - basis.k)
    if basis.grid <= limit:
        return basis.grid
    warnings.warn(
        f"fit: grid={basis.grid} needs at least {basis.grid + basis.k} different values in some input, "
        f"the data have {distinct}; the grid is capped at {limit}.",
        GridWarning,
        stacklevel=4,
    )
    return limit


def _fits(grid: Tensor, nodes: Tensor) -> bool:
    low, high = grid[:, 0], grid[:, -1]
    width = high - low
    inside = (nodes.amin(0) >= low - 1e-6 * width) & (nodes.amax(0) <= high + 1e-6 * width)
    used = (nodes.amax(0) - nodes.amin(0)) >= 0.5 * width
    return bool((inside & used).all())
