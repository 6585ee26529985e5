"""Sparse starts: each node is joined to its nearest neighbours alone, so that structure can grow where it is needed.

Node i of n lies at (i + 1/2) / n, as in `kan2.edits.arrange`.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 4.3, trick B.
"""

import torch

from kan2.core.layer import KANLayer
from kan2.core.network import AnyNetwork
from kan2.edits.choose import assemble
from kan2.edits.simplify import drop_edges
from kan2.errors import EdgeError, named_options
from kan2.options import is_whole, network


@named_options
def sparse(model: AnyNetwork, neighbours: int = 1) -> AnyNetwork:
    """Returns the network with only the edges between nearest nodes: each has at least one way in and one way out.

    Args:
        model: left as it is; usually untrained.
        neighbours: number of nearest sources of each subnode, and of nearest subnodes of each source, >= 1.

    Raises:
        EdgeError: neighbours is not a whole number from one on.

    Example:
        >>> from kan2 import MultKAN
        >>> model = sparse(MultKAN([4, 2, 1]))
        >>> model.spec.layers[0].active_pairs, model.spec.n_edges
        (((0, 0), (0, 1), (1, 2), (1, 3)), 6)
    """
    network("sparse", model, error=EdgeError)
    if not is_whole(neighbours, 1):
        raise EdgeError(f"sparse: expected a number of neighbours >= 1, got {neighbours!r}.")
    neighbours = int(neighbours)
    return assemble(model, [_sparse_layer(layer, neighbours) for layer in model.layers])


def _sparse_layer(layer: KANLayer, neighbours: int) -> KANLayer:
    spec = layer.spec
    places = [(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (spec.n_subnodes, spec.n_in)]
    distance = (places[0][:, None] - places[1]).abs()
    kept = torch.zeros(distance.shape, dtype=torch.bool)
    for axis in (0, 1):
        nearest = distance.argsort(dim=axis, stable=True).narrow(axis, 0, min(neighbours, distance.shape[axis]))
        kept.scatter_(axis, nearest, True)
    return drop_edges(layer, [pair for pair in spec.active_pairs if not kept[pair]], None)
