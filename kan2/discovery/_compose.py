"""A chain of two splines becomes one: where a node is a function of one value, what reads it can do that work as well.

If h = g(x) is read by splines phi(h), then g may be the identity and phi the composition phi(g(x)). Both networks give
the same outputs, up to what the grid of phi resolves.
"""

import copy

import torch
from torch import Tensor

from kan2.core.linalg import lstsq
from kan2.core.network import AnyNetwork
from kan2.core.trace import LayerTrace
from kan2.edits.choose import assemble
from kan2.symbolic.fix import fix_symbolic
from kan2.types import EdgeIndex


@torch.no_grad()
def compose(model: AnyNetwork, edge: EdgeIndex, data: object = None) -> AnyNetwork:
    """Returns the network with an edge turned into the identity and the splines that read its node into compositions.

    Args:
        model: left as it is.
        edge: (layer, target, source), the only edge into an addition node that nothing but splines read.
        data: samples, see `MultKAN.samples`; by default those of the last fit.

    Example:
        >>> from kan2 import MultKAN
        >>> model = MultKAN([1, 1, 1], grid=20, noise_scale=0)
        >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
        >>> bool((compose(model, (0, 0, 0), x)(x) - model(x)).abs().max() < 1e-4)
        True
    """
    index, target, _ = edge
    node = next(i for i, group in enumerate(model.spec.layers[index].groups) if target in group)
    x = model.samples(data, "compose").X
    before: LayerTrace = model.trace(x).layers[index + 1]
    straight = fix_symbolic(model, edge, "x", affine=(1.0, 0.0, 1.0, 0.0))
    moved = straight.trace(x).layers[index + 1].inputs[:, node]
    layers = [copy.deepcopy(layer) for layer in straight.layers]
    edges = layers[index + 1].numeric
    assert edges is not None
    grid = edges.basis.grid.clone()
    grid[node] = torch.linspace(0, 1, grid.shape[1]).to(grid) * (moved.amax() - moved.amin()) + moved.amin()
    edges.basis = edges.basis.on_grid(grid)
    # The node has another unit now, and its base function, whose weights are zero below, another home.
    edges.basis.home[node] = grid[node, [0, -1]]
    wanted = before.layer.edge_values(before.inputs)[:, :, node]
    inputs = before.inputs.clone()
    inputs[:, node] = moved
    basis: Tensor = edges.basis(inputs)[:, node]
    start = int(edges.has_base)
    for reader in {t for t, s in model.spec.layers[index + 1].numeric_pairs if s == node}:
        edges.weight[reader, node] = 0
        edges.weight[reader, node, start:] = lstsq(basis, wanted[:, reader : reader + 1])[:, 0]
    return assemble(straight, layers)
