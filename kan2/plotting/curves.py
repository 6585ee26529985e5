"""The activations of a network as curves: over which range each is used, and its values there."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kan2.analysis.attribution import finite_trace
from kan2.core.data import Columns
from kan2.core.layer import KANLayer
from kan2.core.network import Network
from kan2.core.verbs import verb
from kan2.options import network, size
from kan2.types import EdgeIndex

N_SAMPLES = 256  # points that stand for data where there are none


@torch.no_grad()
def layer_inputs(model: Network, data: Any = None, where: str = "plot") -> list[Float[Tensor, "batch source"]]:
    """Returns what each layer reads on samples.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit, or else points spread over the grids of
            the first layer, [-1, 1] where it has none.
        where: name of the verb, for the warning of samples that are not finite.
    """
    if data is not None or model.data is not None:
        return [record.inputs for record in finite_trace(model, data, where, fewest=1)]
    first = model.layers[0]
    low, high = -torch.ones(first.spec.n_in), torch.ones(first.spec.n_in)
    if first.numeric is not None:
        low, high = first.numeric.basis.grid[:, 0], first.numeric.basis.grid[:, -1]
    share = torch.rand(N_SAMPLES, first.spec.n_in, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share[0], share[1] = 0, 1
    nodes = (low + (high - low) * share.to(low)).to(model.like)
    inputs = []
    for layer in model.layers:
        inputs.append(nodes)
        nodes = layer(nodes)
    return inputs


def finite_range(x: Float[Tensor, "batch source"]) -> tuple[Float[Tensor, " source"], Float[Tensor, " source"]]:
    """Returns the ends of the range of every column, never empty; values that are not finite do not count."""
    finite = torch.isfinite(x)
    low = torch.where(finite, x, torch.inf).amin(0)
    high = torch.where(finite, x, -torch.inf).amax(0)
    low, high = torch.where(low <= high, low, 0.0), torch.where(low <= high, high, 0.0)
    size = torch.maximum(low.abs(), high.abs())
    half = torch.where(high - low <= 1e-9 * size, torch.where(size > 0, size, 1.0), 0.0)
    return low - half, high + half


@torch.no_grad()
def layer_curves(
    layer: KANLayer, inputs: Float[Tensor, "batch source"], n: int
) -> tuple[Float[np.ndarray, "point source"], Float[np.ndarray, "point target source"]]:
    """Returns n points of all activations of a layer, over the ranges of what it reads; nan where there is no value."""
    low, high = finite_range(inputs)
    x = low + (high - low) * torch.linspace(0, 1, n, dtype=low.dtype, device=low.device)[:, None]
    y = layer.edge_values(x)
    return x.cpu().double().numpy(), torch.where(torch.isfinite(y), y, torch.nan).cpu().double().numpy()


@verb
def get_fun(
    model: Network, edge: EdgeIndex, data: Any = None, n: int = 201, *, target: Columns | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns points (x, y) of one activation over the range of its source.

    Args:
        model: the network.
        edge: (layer, target, source).
        data: samples that say what the range is, see `layer_inputs`.
        n: number of points, >= 2.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: n is no whole number >= 2.
        EdgeError: there is nothing on this edge.

    Example:
        >>> from kan2 import MultKAN
        >>> x, y = get_fun(MultKAN([2, 1], grid_range=(0, 2)), (0, 0, 1), n=3)
        >>> x.tolist()
        [0.0, 1.0, 2.0]
    """
    network("get_fun", model)
    n = size("get_fun", "n", n, 2)
    edge = model.spec.check_edge(edge, "get_fun")
    index, row, source = edge
    x, y = layer_curves(model.layers[index], layer_inputs(model, data, "get_fun")[index], n)
    return x[:, source], y[:, row, source]


@verb
def get_range(
    model: Network, edge: EdgeIndex, data: Any = None, *, target: Columns | None = None
) -> tuple[float, float, float, float]:
    """Returns (x_min, x_max, y_min, y_max) of one activation.

    Args:
        model: the network.
        edge: (layer, target, source).
        data: samples that say what the range is, see `layer_inputs`.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        EdgeError: there is nothing on this edge.
    """
    network("get_range", model)
    x, y = get_fun(model, edge, data)
    return float(x[0]), float(x[-1]), float(np.nanmin(y)), float(np.nanmax(y))
