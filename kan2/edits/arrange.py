"""Arranging hidden nodes so that a diagram can be read: strongly connected nodes near each other.

The *connection cost* is the sum over edges of score times distance, where node i of n lies at (i + 1/2) / n. Exchanging
nodes leaves the function as it is; only nodes of one kind are exchanged, since addition nodes come first.

Reference: Liu et al., Seeing is Believing: Brain-Inspired Modular Training (arXiv 2305.08746).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kan2.attribution import attribute
from kan2.edits.choose import assemble, check_hidden, check_nodes, choices, choose
from kan2.errors import EdgeError
from kan2.network import MultKAN


def swap(model: MultKAN, layer: int, i: int, j: int) -> MultKAN:
    """Returns the same function with two nodes of a hidden layer exchanged.

    Args:
        model: left as it is.
        layer: hidden layer of nodes, counted from the inputs, which are layer 0.
        i: a node of it, addition nodes first.
        j: a node of the same kind.

    Raises:
        EdgeError: no such layer or nodes, or one is an addition node and the other a product.

    Example:
        >>> model = MultKAN([2, [2, 2], 1])
        >>> x = torch.ones(3, 2, dtype=torch.float64)
        >>> bool(torch.allclose(swap(model, 1, 2, 3)(x), model(x)))
        True
    """
    check_hidden(model, layer, "swap")
    check_nodes(model, layer, (i, j), "swap")
    spec = model.spec.layers[layer - 1]
    if (i < spec.n_sum) != (j < spec.n_sum):
        raise EdgeError(
            f"swap: expected two addition nodes or two products, got nodes {i} and {j} of layer {layer}, "
            f"where the first {spec.n_sum} are addition nodes."
        )
    order = list(range(spec.n_out))
    order[i], order[j] = j, i
    return reorder(model, layer, order)


def reorder(model: MultKAN, layer: int, order: Sequence[int]) -> MultKAN:
    """Returns the same function with the nodes of a hidden layer in another order.

    Args:
        model: left as it is.
        layer: hidden layer of nodes, counted from the inputs, which are layer 0.
        order: the present numbers of the nodes in their new order; addition nodes stay before products.

    Raises:
        EdgeError: no such layer, or not such an order.
    """
    check_hidden(model, layer, "reorder")
    spec = model.spec.layers[layer - 1]
    kinds = [node >= spec.n_sum for node in order]
    if sorted(order) != list(range(spec.n_out)) or kinds != sorted(kinds):
        raise EdgeError(
            f"reorder: expected an order of {spec.n_out} nodes with the {spec.n_sum} addition nodes first, "
            f"got {list(order)}."
        )
    layers = [copy.deepcopy(old) for old in model.layers]
    layers[layer - 1] = choose(layers[layer - 1], choices(layers[layer - 1], order))
    layers[layer] = choose(layers[layer], sources=list(order))
    return assemble(model, layers)


def connection_cost(model: MultKAN, data: Any = None) -> float:
    """Returns the sum over edges of score times distance.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
    """
    strengths = _strengths(model, data)
    return sum(_cost(strength, _places(strength.shape[1]), _places(strength.shape[0])) for strength in strengths)


def auto_swap(model: MultKAN, data: Any = None) -> MultKAN:
    """Returns the same function with its hidden nodes arranged for a low connection cost.

    Layer after layer, each node in turn is exchanged with the node of its kind that lowers the cost most, until no
    exchange helps.

    Args:
        model: left as it is.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
    """
    strengths = _strengths(model, data)
    orders = [list(range(strength.shape[0])) for strength in strengths[:-1]]
    improved = True
    while improved:
        improved = False
        for i, order in enumerate(orders):
            n_sum = model.spec.layers[i].n_sum
            below = _places(strengths[i].shape[1])[_ranks(orders[i - 1])] if i else _places(strengths[i].shape[1])
            after = orders[i + 1] if i + 1 < len(orders) else range(strengths[i + 1].shape[0])
            above = _places(strengths[i + 1].shape[0])[_ranks(after)]
            # cost[node, place] of putting a node at a place of its layer, all other layers as they are.
            places = _places(len(order))
            cost = strengths[i] @ (below[:, None] - places).abs() + strengths[i + 1].T @ (above[:, None] - places).abs()
            for a in range(len(order)):
                for b in range(a + 1, n_sum if a < n_sum else len(order)):
                    gain = cost[order[a], a] + cost[order[b], b] - cost[order[a], b] - cost[order[b], a]
                    if float(gain) > 1e-12:
                        order[a], order[b] = order[b], order[a]
                        improved = True
    for i, order in enumerate(orders):
        model = reorder(model, i + 1, order)
    return model


def _strengths(model: MultKAN, data: Any) -> list[Tensor]:
    """Returns the scores of edges, (node, source) for each layer: the edges into a product are added up."""
    result = []
    for scores, spec in zip(attribute(model, data).edges, model.spec.layers):
        result.append(torch.stack([scores[list(group)].sum(0) for group in spec.groups]).double().cpu())
    return result


def _cost(strength: Tensor, sources: Tensor, nodes: Tensor) -> float:
    return float((strength * (nodes[:, None] - sources[None, :]).abs()).sum())


def _places(n: int) -> Tensor:
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


def _ranks(order: Sequence[int]) -> Tensor:
    return torch.tensor(list(order)).argsort()
