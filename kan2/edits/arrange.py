"""Arranging hidden nodes so that a diagram can be read: strongly connected nodes near each other.

The *connection cost* is the sum over edges of score times distance, where node i of n lies at (i + 1/2) / n. Exchanging
nodes leaves the function as it is; only nodes of one kind are exchanged, since addition nodes come first.

Reference: Liu et al., Seeing is Believing: Brain-Inspired Modular Training (arXiv 2305.08746).
"""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from kan2.analysis.attribution import attribute
from kan2.core.data import Columns
from kan2.core.network import AnyNetwork, Network
from kan2.core.verbs import verb
from kan2.edits.choose import assemble, check_hidden, check_nodes, choices, choose
from kan2.errors import EdgeError, named_options


@named_options
def swap(model: AnyNetwork, layer: int, i: int, j: int) -> AnyNetwork:
    """Returns the same function with two nodes of a hidden layer exchanged.

    Args:
        model: left as it is.
        layer: hidden layer of nodes, counted from the inputs, which are layer 0.
        i: a node of it, addition nodes first.
        j: a node of the same kind.

    Raises:
        EdgeError: no such layer or nodes, or one is an addition node and the other a product.

    Example:
        >>> from kan2 import MultKAN
        >>> model = MultKAN([2, [1, 2], 1], mult_arity=[[], [2, 3], []])
        >>> swap(model, 1, 1, 2).spec.layers[0].arities
        (3, 2)
    """
    layer = check_hidden(model, layer, "swap")
    i, j = check_nodes(model, layer, (i, j), "swap")
    spec = model.spec.layers[layer - 1]
    if (i < spec.n_sum) != (j < spec.n_sum):
        raise EdgeError(
            f"swap: expected two addition nodes or two products, got nodes {i} and {j} of layer {layer}, "
            f"where the first {spec.n_sum} are addition nodes."
        )
    order = list(range(spec.n_out))
    order[i], order[j] = j, i
    return reorder(model, layer, order)


def reorder(model: AnyNetwork, layer: int, order: Sequence[int]) -> AnyNetwork:
    """Returns the same function with the nodes of a hidden layer in another order.

    Args:
        model: left as it is.
        layer: hidden layer of nodes, counted from the inputs, which are layer 0.
        order: the present numbers of the nodes in their new order; addition nodes stay before products.

    Raises:
        EdgeError: no such layer, or not such an order.
    """
    layer = check_hidden(model, layer, "reorder")
    order = check_nodes(model, layer, order, "reorder")
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


@verb
def connection_cost(model: Network, data: Any = None, *, target: Columns | None = None) -> float:
    """Returns the sum over edges of score times distance.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.
    """
    return wiring_cost(_strengths(model, data))


def wiring_cost(strengths: Sequence[np.ndarray]) -> float:
    """Returns the connection cost of any layered network, from one array (target, source) of strengths a layer.

    Example:
        >>> wiring_cost([np.array([[0.0, 1.0], [1.0, 0.0]])])
        1.0
    """
    return _cost(strengths, [_places(n) for n in _sizes(strengths)])


@verb
def auto_swap(model: AnyNetwork, data: Any = None, *, target: Columns | None = None) -> AnyNetwork:
    """Returns the same function with its hidden nodes arranged for a low connection cost.

    With its neighbours where they are, the best arrangement of a layer is an assignment problem, which is solved
    exactly; layers take turns until nothing improves. This starts from the present arrangement and from arrangements
    that follow the inputs upwards and the outputs downwards; the best of the three is taken, and the present one if
    none is better.

    Args:
        model: left as it is.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.
    """
    orders = arrange(_strengths(model, data), [layer.n_sum for layer in model.spec.layers])
    for layer in range(1, len(model.layers)):
        model = reorder(model, layer, orders[layer])
    return model


def arrange(strengths: Sequence[np.ndarray], n_sums: Sequence[int] | None = None) -> list[list[int]]:
    """Returns the order of nodes that `auto_swap` finds, for any layered network, such as an MLP.

    Args:
        strengths: for each layer a non-negative array (target, source), see `treeconv.anatomy`.
        n_sums: for each layer the number of its first targets that trade places only with one another; by default all.

    Returns:
        for each layer of nodes, inputs first, their present numbers in the new order; inputs and outputs stay.

    Example:
        >>> arrange([np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 1.0]])])
        [[0, 1], [1, 0], [0]]
    """
    n_sums = _sizes(strengths)[1:] if n_sums is None else n_sums
    fixed = [_places(n) for n in _sizes(strengths)]
    best, lowest = fixed, _cost(strengths, fixed)
    hidden = range(1, len(strengths))
    for first_pass, below, above in (((), True, True), (hidden, True, False), (hidden[::-1], False, True)):
        places = list(fixed)
        for layer in first_pass:
            places[layer] = _assign(strengths, places, layer, n_sums, below, above)
        cost = _cost(strengths, places)
        while True:
            for layer in hidden:
                places[layer] = _assign(strengths, places, layer, n_sums)
            before, cost = cost, _cost(strengths, places)
            if cost >= before - 1e-12:
                break
        if cost < lowest - 1e-12:
            best, lowest = places, cost
    return [np.argsort(at).tolist() for at in best]


def _assign(
    strengths: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
    layer: int,
    n_sums: Sequence[int],
    below: bool = True,
    above: bool = True,
) -> np.ndarray:
    """Returns the places of a layer's nodes that cost least, given the places of the layers below and above it."""
    from scipy.optimize import linear_sum_assignment

    free = _places(len(places[layer]))
    cost = np.zeros((len(free), len(free)))
    if below:
        cost += strengths[layer - 1] @ np.abs(places[layer - 1][:, None] - free)
    if above:
        cost += strengths[layer].T @ np.abs(places[layer + 1][:, None] - free)
    result = np.empty(len(free))
    for kind in (slice(0, n_sums[layer - 1]), slice(n_sums[layer - 1], None)):
        _, chosen = linear_sum_assignment(cost[kind, kind])
        result[kind] = free[kind][chosen]
    return result


def _strengths(model: Network, data: Any) -> list[np.ndarray]:
    """Returns the scores of edges, (node, source) for each layer: the edges into a product are added up."""
    result = []
    for scores, spec in zip(attribute(model, data).edges, model.spec.layers):
        scores = scores.cpu().double().numpy()
        result.append(np.stack([scores[list(group)].sum(0) for group in spec.groups]))
    return result


def _cost(strengths: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> float:
    distances = [np.abs(above[:, None] - below) for below, above in pairwise(places)]
    return float(sum((strength * distance).sum() for strength, distance in zip(strengths, distances)))


def _sizes(strengths: Sequence[np.ndarray]) -> list[int]:
    return [strengths[0].shape[1], *(strength.shape[0] for strength in strengths)]


def _places(n: int) -> np.ndarray:
    return (np.arange(n) + 0.5) / n
