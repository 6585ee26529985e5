"""Exact clean-up: the same function without what has no influence.

A node without incoming edges is a constant: what its outgoing edges make of it moves into the biases of their
subnodes. A constant factor of a product moves into the scale of the node, and a product of one factor becomes an
addition node. A hidden node that nothing reads is a *dead end* and goes. Pruning is this, after the removal of edges.
"""

import copy
from collections.abc import Collection, Mapping
from math import prod

import torch
from torch import Tensor

from kan2.core.layer import KANLayer
from kan2.core.network import AnyNetwork
from kan2.edits.choose import NodeChoice, assemble, choose
from kan2.edits.rewire import rewire, terms_of
from kan2.errors import named_options
from kan2.options import network

Pair = tuple[int, int]


@named_options
def simplify(model: AnyNetwork) -> AnyNetwork:
    """Returns the same function without dead ends, constant nodes and constant factors.

    Inputs and outputs stay, and every hidden layer keeps at least one node.

    Args:
        model: left as it is.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> hidden = LayerSpec(1, 2, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),))
        >>> output = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "x")))
        >>> simplify(MultKAN.from_spec(NetworkSpec((hidden, output)))).width
        [[1, 0], [1, 0], [1, 0]]
    """
    network("simplify", model)
    layers: list[KANLayer] = []
    plans: list[list[NodeChoice]] = []
    constants: dict[int, float] = {}
    for i, old in enumerate(model.layers):
        is_last = i == len(model.layers) - 1
        layer, plan, constants = _fold_factors(_fold_sources(old, constants), is_last)
        layers.append(layer)
        plans.append(plan)
    # From the outputs down, only nodes that are read stay.
    for i in range(len(layers) - 1, 0, -1):
        alive = {t for node in plans[i] for t in node.subnodes}
        read = {s for t, s in layers[i].spec.active_pairs if t in alive}
        plans[i - 1] = [node for node in plans[i - 1] if node.old in read] or plans[i - 1][:1]
    sources = [None, *([node.old for node in plan] for plan in plans)]
    return assemble(model, [choose(layer, plan, kept) for layer, plan, kept in zip(layers, plans, sources)])


@torch.no_grad()
def drop_edges(layer: KANLayer, dropped: Collection[Pair], constants: Tensor | Mapping[Pair, float] | None) -> KANLayer:
    """Returns a layer without some edges.

    Args:
        layer: left as it is.
        dropped: the (target, source) pairs to remove.
        constants: what each removed edge leaves behind as a constant, by (target, source); None for nothing.
    """
    gone = set(dropped)
    numeric = [pair for pair in layer.spec.numeric_pairs if pair not in gone]
    new = rewire(layer, numeric, [t for t in terms_of(layer) if (t.term.target, t.term.source) not in gone])
    if constants is not None:
        for target, source in sorted(gone):
            new.subnode_bias[target] += new.subnode_scale[target] * constants[target, source]
    return new


def _fold_sources(layer: KANLayer, constants: Mapping[int, float]) -> KANLayer:
    dropped = [(t, s) for t, s in layer.spec.active_pairs if s in constants]
    if not dropped:
        return layer
    point = layer.node_scale.new_zeros(1, layer.spec.n_in)
    for source, value in constants.items():
        point[0, source] = value
    with torch.no_grad():
        return drop_edges(layer, dropped, layer.edge_values(point)[0])


@torch.no_grad()
def _fold_factors(layer: KANLayer, is_last: bool) -> tuple[KANLayer, list[NodeChoice], dict[int, float]]:
    """Returns the layer with constant factors in its scales, the choice of its nodes, and its constant nodes.

    The choice lists addition nodes first and leaves constant nodes out; the last layer keeps all nodes in their order.
    """
    layer = copy.deepcopy(layer)
    alive = {t for t, _ in layer.spec.active_pairs}
    sums: list[NodeChoice] = []
    products: list[NodeChoice] = []
    constants: dict[int, float] = {}
    for i, group in enumerate(layer.spec.groups):
        factors = tuple(t for t in group if t in alive)
        dead = tuple(t for t in group if t not in alive)
        constant = prod(float(layer.subnode_bias[t]) for t in dead)
        if factors and constant != 0:
            layer.node_scale[i] *= constant
        else:
            constants[i] = float(layer.node_scale[i]) * constant + float(layer.node_bias[i])
            layer.subnode_bias[dead[0]] = constant
            factors = dead[:1]
            if not is_last:
                continue
        # In the last layer a product may join the addition nodes only if no product stands before it.
        is_product = len(factors) > 1 or (is_last and bool(products))
        (products if is_product else sums).append(NodeChoice(i, factors, is_product))
    if not sums and not products:
        sums.append(NodeChoice(layer.spec.n_out - 1, dead[:1], False))
    return layer, sums + products, constants
