"""Structure by hand: removing single edges and nodes, and cutting a network into modules.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.2.
"""

import copy
import re
from typing import Any

from kan2.analysis.attribution import edge_statistics, finite_trace
from kan2.core.data import Columns
from kan2.core.layer import KANLayer
from kan2.core.network import AnyNetwork
from kan2.core.verbs import verb
from kan2.edits.choose import assemble, check_hidden, check_nodes, choices, choose
from kan2.edits.prune import check_connected
from kan2.edits.simplify import drop_edges
from kan2.errors import EdgeError, named_options
from kan2.options import network, text, whole
from kan2.types import EdgeIndex

Pair = tuple[int, int]


@verb
def remove_edge(model: AnyNetwork, edge: EdgeIndex, data: Any = None, *, target: Columns | None = None) -> AnyNetwork:
    """Returns the network without one edge, numeric or symbolic; its nodes stay, see `simplify`.

    Args:
        model: left as it is.
        edge: (layer, target, source).
        data: samples on which the mean of the edge is taken, which stays as a constant; without them nothing stays.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        EdgeError: no such edge, or an output would lose its last path to the inputs.

    Example:
        >>> from kan2 import MultKAN
        >>> model = MultKAN([2, 2, 1])
        >>> model.spec.n_edges, remove_edge(model, (0, 1, 0)).spec.n_edges
        (6, 5)
    """
    network("remove_edge", model, error=EdgeError)
    edge = model.spec.check_edge(edge, "remove_edge")
    return _without(model, {edge[0]: [(edge[1], edge[2])]}, data, "remove_edge")


@verb
def remove_node(
    model: AnyNetwork, layer: int, node: int, data: Any = None, *, target: Columns | None = None
) -> AnyNetwork:
    """Returns the network without one hidden node; the nodes after it move up by one.

    Args:
        model: left as it is.
        layer: hidden layer of nodes, counted from the inputs, which are layer 0.
        node: which node of it, addition nodes first.
        data: samples on which the mean of what the node gives to others is taken, which stays as a constant; without
            them nothing stays.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        EdgeError: no such node, or an output would lose its last path to the inputs.

    Example:
        >>> from kan2 import MultKAN
        >>> remove_node(MultKAN([2, [2, 1], 1]), 1, 0).width
        [[2, 0], [1, 1], [1, 0]]
    """
    layer = check_hidden(model, layer, "remove_node")
    (node,) = check_nodes(model, layer, [node], "remove_node")
    outgoing = [(t, s) for t, s in model.spec.layers[layer].active_pairs if s == node]
    new = _without(model, {layer: outgoing}, data, "remove_node")
    kept = [i for i in range(sum(model.width[layer])) if i != node]
    if not kept:
        raise EdgeError(
            f"remove_node: expected another node in layer {layer}, got its only one. Nothing would be left."
        )
    layers = list(new.layers)
    layers[layer - 1] = choose(layers[layer - 1], choices(layers[layer - 1], kept))
    layers[layer] = choose(layers[layer], sources=kept)
    return assemble(new, layers)


@named_options
def module(model: AnyNetwork, start_layer: int, chain: str) -> AnyNetwork:
    """Returns the network with a group of nodes cut off from all others: no edge enters or leaves the group.

    Args:
        model: left as it is.
        start_layer: first layer of edges that is cut, 0 for the one that reads the inputs.
        chain: source nodes and subnodes of one layer of edges after the other, such as "[0,1]->[0,1,2]" for one layer
            or "[0,1]->[0,1,2]->[0,1,2]->[0]" for two. Negative numbers count from the end.

    Raises:
        EdgeError: the chain cannot be read, names nodes that do not exist, or an output would lose its last path to
            the inputs.

    Example:
        >>> from kan2 import MultKAN
        >>> model = module(MultKAN([4, 2, 1]), 0, "[0,1]->[0]")
        >>> model.spec.layers[0].active_pairs
        ((0, 0), (0, 1), (1, 2), (1, 3))
    """
    network("module", model, error=EdgeError)
    start_layer = whole("module", "start_layer", start_layer, 0, error=EdgeError)
    groups = re.split(r"\s*->\s*", text("module", "chain", chain, error=EdgeError).strip())
    if len(groups) % 2 or not all(re.fullmatch(r"\[\s*-?\d+(\s*,\s*-?\d+)*\s*\]", g) for g in groups):
        raise EdgeError(f"module: expected a chain such as '[0,1]->[0]' or '[0]->[0]->[0]->[0]', got {chain!r}.")
    n_layers = len(groups) // 2
    if start_layer + n_layers > len(model.layers):
        raise EdgeError(
            f"module: expected a chain within {len(model.layers)} layers, got {n_layers} from layer {start_layer} on."
        )
    cuts: dict[int, list[Pair]] = {}
    for i in range(n_layers):
        spec = model.spec.layers[start_layer + i]
        sources = _members(groups[2 * i], spec.n_in)
        targets = _members(groups[2 * i + 1], spec.n_subnodes)
        cuts[start_layer + i] = [(t, s) for t, s in spec.active_pairs if (t in targets) != (s in sources)]
    return _without(model, cuts, None, "module")


def _without(model: AnyNetwork, dropped: dict[int, list[Pair]], data: Any, where: str) -> AnyNetwork:
    layers: list[KANLayer] = [copy.deepcopy(layer) for layer in model.layers]
    records = None if data is None else finite_trace(model, data, where)
    for i, pairs in dropped.items():
        means = None if records is None else edge_statistics(model.layers[i], records[i].inputs).mean
        layers[i] = drop_edges(layers[i], pairs, means)
    new = assemble(model, layers)
    check_connected(model, new, where)
    return new


def _members(group: str, n: int) -> set[int]:
    numbers = [int(number) for number in group.strip("[] ").split(",")]
    if bad := [i for i in numbers if not -n <= i < n]:
        raise EdgeError(f"module: expected numbers below {n} in {group}, got {bad[0]}.")
    return {i % n for i in numbers}
