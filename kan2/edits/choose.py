"""The primitive under every edit of nodes: a layer rebuilt from chosen nodes and chosen sources of another one.

Choosing covers all of them: leaving nodes or sources out removes them, listing them in another order permutes them, and
`None` in place of an old index makes a new one, with zero edges and the identity as affine. Every number and every
setting of what is chosen is copied, bit for bit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kan2.core.edges import BasisEdges
from kan2.core.layer import AFFINES, KANLayer
from kan2.core.network import AnyNetwork, Network
from kan2.edits.rewire import copy_flags
from kan2.errors import EdgeError
from kan2.options import is_whole, listed, network


@dataclass(frozen=True)
class NodeChoice:
    """One node of the new layer.

    Attributes:
        old: which node of the old layer it is; None for a new one.
        subnodes: which subnodes of the old layer it multiplies; None for new ones.
        is_product: whether it counts among the multiplication nodes.
    """

    old: int | None
    subnodes: tuple[int | None, ...]
    is_product: bool


def choices(layer: KANLayer, nodes: Sequence[int] | None = None) -> list[NodeChoice]:
    """Returns the choices that take over the given nodes, by default all, as they are."""
    spec = layer.spec
    return [NodeChoice(i, spec.groups[i], i >= spec.n_sum) for i in (range(spec.n_out) if nodes is None else nodes)]


@torch.no_grad()
def choose(
    layer: KANLayer, nodes: Sequence[NodeChoice] | None = None, sources: Sequence[int | None] | None = None
) -> KANLayer:
    """Returns a layer made of chosen nodes and sources.

    Args:
        layer: left as it is.
        nodes: the nodes of the new layer, addition nodes first; by default all.
        sources: for each source of the new layer the old one, or None for a new one; by default all.
    """
    nodes = choices(layer) if nodes is None else list(nodes)
    sources = list(range(layer.spec.n_in)) if sources is None else list(sources)
    subnodes = [s for node in nodes for s in node.subnodes]
    terms, origins = [], []
    for i, term in enumerate(layer.spec.terms):
        for target in _positions(subnodes, term.target):
            for source in _positions(sources, term.source):
                terms.append(replace(term, target=target, source=source))
                origins.append(i)
    had = set(layer.spec.numeric_pairs)
    spec = replace(
        layer.spec,
        n_in=len(sources),
        n_sum=sum(not node.is_product for node in nodes),
        arities=tuple(len(node.subnodes) for node in nodes if node.is_product),
        numeric=tuple((t, s) for t, a in enumerate(subnodes) for s, b in enumerate(sources) if (a, b) in had),
        terms=tuple(terms),
    )
    new = KANLayer.from_spec(spec, layer.node_scale.detach())
    for name, fill in AFFINES.items():
        chosen = subnodes if name.startswith("subnode") else [node.old for node in nodes]
        getattr(new, name).copy_(_take(getattr(layer, name), chosen, fill))
    if new.symbolic is not None and layer.symbolic is not None:
        new.symbolic.affine.copy_(layer.symbolic.affine[origins])
        new.symbolic.shape.copy_(layer.symbolic.shape[origins])
    if new.numeric is not None and layer.numeric is not None:
        # A new source borrows the grid of the first one; its edges are zero, and training moves the grid.
        new.numeric = BasisEdges(spec, layer.numeric.basis.select([s or 0 for s in sources]))
        weight = _take(layer.numeric.masked_weight, subnodes, 0.0)
        new.numeric.weight.copy_(_take(weight.transpose(0, 1), sources, 0.0).transpose(0, 1))
    copy_flags(layer, new)
    return new


def assemble(model: AnyNetwork, layers: Sequence[KANLayer], **changes: object) -> AnyNetwork:
    """Returns a network of new layers with the names, the data and the objective of another one.

    Args:
        model: what the names and data come from.
        layers: they become part of the new network.
        changes: fields of the NetworkSpec to replace.
    """
    new = type(model).from_layers(replace(model.spec, layers=tuple(layer.spec for layer in layers), **changes), layers)
    return new.inherit_(model).train(model.training)


def check_hidden(model: Network, layer: int, where: str) -> int:
    """Returns the number of a hidden layer of nodes, raises EdgeError for anything else."""
    network(where, model, error=EdgeError)
    if not is_whole(layer, 1, len(model.layers) - 1):
        hidden = f"between 1 and {len(model.layers) - 1}" if len(model.layers) > 1 else "but the network has none"
        raise EdgeError(f"{where}: expected a hidden layer of nodes, {hidden}, got {layer!r}. The inputs are layer 0.")
    return int(layer)


def check_nodes(model: Network, layer: int, nodes: Collection[int], where: str) -> list[int]:
    """Returns nodes of a layer of nodes, raises EdgeError for anything else."""
    n = sum(model.spec.width[layer])
    nodes = listed(where, "nodes", nodes, "numbers of nodes", "[0, 1]", error=EdgeError)
    if bad := [i for i in nodes if not is_whole(i, 0, n - 1)]:
        raise EdgeError(f"{where}: expected nodes below {n} in layer {layer}, got {bad[0]!r}.")
    return [int(i) for i in nodes]


def _positions(chosen: Sequence[int | None], old: int) -> list[int]:
    return [i for i, value in enumerate(chosen) if value == old]


def _take(values: Tensor, chosen: Sequence[int | None], fill: float) -> Tensor:
    rows = values.new_full((len(chosen), *values.shape[1:]), fill)
    kept = [i for i, old in enumerate(chosen) if old is not None]
    rows[kept] = values[[old for old in chosen if old is not None]]
    return rows
