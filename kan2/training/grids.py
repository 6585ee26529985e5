"""Grids that follow the data while a network trains.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.edges import BasisEdges
from kan2.core.layer import chunked
from kan2.core.network import Network
from kan2.core.spec import LayerSpec
from kan2.errors import GridWarning, TrainingError, warn


@torch.no_grad()
def fit_grids_(
    model: Network,
    features: Float[Tensor, "batch feature"],
    grid: int | None = None,
    *,
    usage: float = float("inf"),
    overhang: float = 0.0,
) -> bool:
    """Moves the grid of every layer to the activations it reads, in place; the functions stay nearly the same.

    Args:
        model: the network.
        features: samples, as the first layer reads them.
        grid: number of intervals of the new grids; None keeps the present numbers.
        usage: ranges that hold their activations, and of which these span at least this share, stay as they are: by
            default every range moves, and with minus infinity none does.
        overhang: how far activations may lie outside a grid that stays, as a share of its width; negative where a
            margin is asked for. Samples, which do not move, need no margin.

    Returns:
        whether any grid changed.

    Raises:
        TrainingError: activations that a grid is to hold are not finite.
    """
    nodes, changed = features, False
    last = max((i for i, layer in enumerate(model.layers) if layer.numeric is not None), default=-1)
    for i, layer in enumerate(list(model.layers)[: last + 1]):
        if layer.numeric is not None:
            basis = layer.spec.basis if grid is None else replace(layer.spec.basis, grid=grid)
            stays = usage == float("-inf") or holds(layer.numeric.basis.grid, nodes, overhang if i else 0.0, usage)
            if not stays and not bool(torch.isfinite(nodes.sum())):
                raise TrainingError(
                    f"fit: expected finite activations in front of layer {i}, got nan or infinity. A symbolic edge is "
                    "probably outside its domain (see model.trace(X), or unfix it)."
                )
            if not stays or basis != layer.spec.basis:
                layer.set_basis_(basis, None if stays else nodes)
                changed = True
        if i < last:
            nodes = chunked(layer, nodes)
    model.spec = model.spec.replace_layers([layer.spec for layer in model.layers])
    return changed


def holds(
    grid: Float[Tensor, "source points"],
    nodes: Float[Tensor, "batch source"],
    overhang: float = 0.0,
    usage: float = 0.5,
) -> bool:
    """Tells whether grids fit the activations: none far outside, and a good part of every grid in use.

    Args:
        grid: the grid points of every source.
        nodes: activations.
        overhang: how far activations may lie outside, as a share of the width of the grid.
        usage: the least share of the width that they must span.
    """
    low, high = grid[:, 0], grid[:, -1]
    width = high - low
    least, most = nodes.amin(0), nodes.amax(0)
    slack = (overhang + 1e-6) * width
    return bool(((least >= low - slack) & (most <= high + slack) & (most - least >= usage * width)).all())


def supported_grid(model: Network, features: Float[Tensor, "batch feature"], grid: int | None) -> int | None:
    """Returns the finest grid, at most the wanted one, that the samples can support; warns where it is coarser.

    A spline with more coefficients than its input has different values is not determined by them.

    Args:
        model: the network; its present grids are wanted where grid is None.
        features: samples, as the first layer reads them.
        grid: the wanted number of intervals, or None.

    Returns:
        the wanted number, or what the samples support.
    """
    bases = [layer.spec.basis for layer in model.layers if layer.numeric is not None]
    if not bases:
        return None
    wanted, k = max(basis.grid for basis in bases) if grid is None else grid, bases[0].k
    # A few rows usually settle the question without sorting all of them.
    head = features[: 4 * (wanted + k), :1]
    for columns in (head, features):
        distinct = max(int(torch.unique(column).numel()) for column in columns.unbind(1))
        if wanted + k <= distinct:
            return grid
    limit = max(1, distinct - k)
    if limit >= wanted:
        return grid
    warn(
        f"fit: grid={wanted} needs at least {wanted + k} different values in some input, "
        f"the data have {distinct}; the grid is capped at {limit}.",
        GridWarning,
    )
    return limit


@dataclass(frozen=True)
class Snapshot:
    """The numbers of a network together with its grids, to go back to.

    Attributes:
        layers: for each layer its spec, its numeric edges (the module, whose weights may change) and its numbers.
    """

    layers: Sequence[tuple[LayerSpec, BasisEdges | None, dict[str, Tensor]]]

    @classmethod
    def of(cls, model: Network) -> "Snapshot":
        """Takes a snapshot of a network."""
        return cls(
            [
                (layer.spec, layer.numeric, {name: value.detach().clone() for name, value in layer.named_parameters()})
                for layer in model.layers
            ]
        )

    @torch.no_grad()
    def restore_(self, model: Network) -> None:
        """Puts a network back into the state of the snapshot."""
        for layer, (spec, numeric, numbers) in zip(model.layers, self.layers):
            layer.spec, layer.numeric = spec, numeric
            for name, value in layer.named_parameters():
                value.copy_(numbers[name])
        model.spec = model.spec.replace_layers([spec for spec, _, _ in self.layers])
