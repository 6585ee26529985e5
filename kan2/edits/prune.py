"""Pruning: the network without the nodes, edges and inputs that hardly matter.

What is removed leaves its mean over the samples behind, as a constant, so the function moves by the variation of what
went and no more; `compare` says how far. Each output keeps its best path to the inputs, whatever the thresholds: a
pruned network is never disconnected. Numeric and symbolic edges are treated alike.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 4.1.
"""

import logging
from collections.abc import Sequence
from typing import Any, Generic

import torch
from torch import Tensor

from kan2.analysis.attribution import edge_statistics, finite_trace, output_scores
from kan2.core.data import Columns
from kan2.core.network import AnyNetwork, Network
from kan2.core.verbs import verb
from kan2.edits.choose import assemble, check_nodes, choose
from kan2.edits.simplify import drop_edges, simplify
from kan2.errors import EdgeError, unknown_name
from kan2.options import is_whole, listed, network, number

LOG = logging.getLogger("kan2.edits")


@verb
def prune(
    model: AnyNetwork,
    data: Any = None,
    node_th: float = 1e-2,
    edge_th: float = 3e-2,
    input_th: float | None = None,
    *,
    target: Columns | None = None,
) -> AnyNetwork:
    """Returns the network without hidden nodes, then edges, then inputs whose scores are below thresholds.

    Args:
        model: left as it is.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        node_th: threshold for hidden nodes, as a share of the output that needs the node most, >= 0.
        edge_th: threshold for edges, likewise.
        input_th: threshold for the features that the first layer reads; None keeps all of them.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: too few samples, or activations that are not finite.
        EdgeError: every output is constant on the samples, or a threshold is no number >= 0.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> hidden = LayerSpec(2, 2, numeric=(), terms=(SymbolicTerm(0, 0, "sin"), SymbolicTerm(1, 1, "x^2")))
        >>> output = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "0")))
        >>> model = MultKAN.from_spec(NetworkSpec((hidden, output)))
        >>> prune(model, torch.linspace(-1, 1, 20).reshape(10, 2)).width
        [[2, 0], [1, 0], [1, 0]]
    """
    for name, value in (("node_th", node_th), ("edge_th", edge_th), ("input_th", 0 if input_th is None else input_th)):
        number("prune", name, value, 0, error=EdgeError)
    model = prune_edge(prune_node(model, data, node_th), data, edge_th)
    return model if input_th is None else prune_input(model, data, input_th)


@verb
def prune_node(
    model: AnyNetwork,
    data: Any = None,
    threshold: float = 1e-2,
    active: Sequence[Sequence[int]] | None = None,
    *,
    target: Columns | None = None,
) -> AnyNetwork:
    """Returns the network without hidden nodes of low score.

    Args:
        model: left as it is.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        threshold: scores below it are low; a score is the largest over the outputs.
        active: for each hidden layer the nodes to keep, in place of a threshold.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: too few samples, or activations that are not finite.
        EdgeError: every output is constant on the samples, or `active` names nodes that do not exist or disconnects
            the outputs from the inputs.
    """
    where = "prune_node"
    threshold = number(where, "threshold", threshold, 0, error=EdgeError)
    network(where, model, error=EdgeError)
    if active is not None:
        active = listed(where, "active", active, "nodes of each hidden layer", "[[0, 2], [1]]", error=EdgeError)
        if len(active) != len(model.layers) - 1:
            raise EdgeError(f"{where}: expected nodes of {len(model.layers) - 1} hidden layers, got {len(active)}.")
        active = [check_nodes(model, i, nodes, where) for i, nodes in enumerate(active, start=1)]
    scores = _Scores(model, data, where)
    keep = [torch.ones_like(edges[0], dtype=torch.bool) for edges in scores.edges]
    if active is None:
        for i, nodes in enumerate(scores.nodes[1:-1], start=1):
            keep[i] &= (nodes.amax(0) >= threshold)[None, :]
        return scores.restrict(keep, protect=True)
    for i, nodes in enumerate(active, start=1):
        keep[i] &= torch.isin(torch.arange(keep[i].shape[1]), torch.tensor(nodes, dtype=torch.long)).to(keep[i].device)[
            None, :
        ]
    return scores.restrict(keep, protect=False)


@verb
def prune_edge(
    model: AnyNetwork, data: Any = None, threshold: float = 3e-2, *, target: Columns | None = None
) -> AnyNetwork:
    """Returns the network without edges of low score.

    Args:
        model: left as it is.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        threshold: scores below it are low; a score is the largest over the outputs.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: too few samples, or activations that are not finite.
        EdgeError: every output is constant on the samples, or a threshold is no number >= 0.
    """
    threshold = number("prune_edge", "threshold", threshold, 0, error=EdgeError)
    scores = _Scores(model, data, "prune_edge")
    return scores.restrict([edges.amax(0) >= threshold for edges in scores.edges], protect=True)


@verb
def prune_input(
    model: AnyNetwork,
    data: Any = None,
    threshold: float = 1e-2,
    active: Sequence[int | str] | None = None,
    *,
    target: Columns | None = None,
) -> AnyNetwork:
    """Returns the network that reads only the features that matter; it still takes all input columns.

    Args:
        model: left as it is.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        threshold: features of lower score are no longer read.
        active: names or numbers of the features to keep, in place of a threshold.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: too few samples, or activations that are not finite.
        EdgeError: every output is constant on the samples, or `active` disconnects the outputs from the inputs.
        UnknownNameError: `active` names a feature that the network does not read.
    """
    where = "prune_input"
    threshold = number(where, "threshold", threshold, 0, error=EdgeError)
    network(where, model, error=EdgeError)
    features = model.spec.features
    if active is not None:
        active = listed(where, "active", active, "names or numbers of features", f"{[features[0]]}", error=EdgeError)
        for feature in active:
            if not (is_whole(feature, 0, len(features) - 1) or (isinstance(feature, str) and feature in features)):
                raise unknown_name(where, "feature", feature, features)
    scores = _Scores(model, data, where)
    if active is None:
        chosen = scores.nodes[0].amax(0) >= threshold
    else:
        chosen = torch.tensor([i in active or name in active for i, name in enumerate(features)]).to(model.like.device)
    keep = [torch.ones_like(edges[0], dtype=torch.bool) for edges in scores.edges]
    keep[0] &= chosen[None, :]
    new = scores.restrict(keep, protect=active is None)
    read = {source for _, source in new.spec.layers[0].active_pairs}
    sources = [i for i, is_chosen in enumerate(chosen.tolist()) if is_chosen or i in read]
    layers = [choose(new.layers[0], sources=sources), *list(new.layers)[1:]]
    return assemble(new, layers, features=tuple(features[i] for i in sources))


class _Scores(Generic[AnyNetwork]):
    """Scores of every output, with shares for the factors of products, and what is needed to remove edges by them."""

    def __init__(self, model: AnyNetwork, data: Any, where: str) -> None:
        network(where, model, error=EdgeError)
        records = finite_trace(model, data, where)
        self.model, self.where = model, where
        self.statistics = [edge_statistics(record.layer, record.inputs) for record in records]
        self.edges, _, self.nodes = output_scores(model, records, self.statistics, shares=True)
        self.varying = [k for k, scores in enumerate(self.nodes[0]) if bool((scores > 0).any())]
        if not self.varying:
            raise EdgeError(
                f"{where}: expected an output that varies with the inputs, got constants on these samples. "
                "Train the network first, or pass samples with a spread."
            )

    def restrict(self, keep: list[Tensor], *, protect: bool) -> AnyNetwork:
        """Returns the network with only these (target, source) edges, and the best path of each output if asked."""
        if protect:
            for output in self.varying:
                for i, target, source in self.best_path(output):
                    keep[i][target, source] = True
        layers = []
        for layer, kept, statistics in zip(self.model.layers, keep, self.statistics):
            dropped = [pair for pair in layer.spec.active_pairs if not kept[pair]]
            layers.append(drop_edges(layer, dropped, statistics.mean))
        new = simplify(assemble(self.model, layers))
        if not protect:
            check_connected(self.model, new, self.where)
        before, after = self.model.spec.n_edges, new.spec.n_edges
        LOG.info("%s: %d of %d edges stay, width %s", self.where, after, before, new.width)
        return new

    def best_path(self, output: int) -> list[tuple[int, int, int]]:
        """Returns the edges that lead from an output to a feature, each the best at its node."""
        path, node = [], output
        for i in reversed(range(len(self.model.layers))):
            spec = self.model.layers[i].spec
            group = set(spec.groups[node])
            _, target, source = max(
                (float(self.edges[i][output, t, s]), t, s) for t, s in spec.active_pairs if t in group
            )
            path.append((i, target, source))
            node = source
        return path


def reached_outputs(model: Network) -> set[int]:
    """Returns the outputs to which a path of edges leads from a feature."""
    reached = set(range(model.spec.layers[0].n_in))
    for layer in model.spec.layers:
        subnodes = {t for t, s in layer.active_pairs if s in reached}
        reached = {i for i, group in enumerate(layer.groups) if subnodes & set(group)}
    return reached


def check_connected(before: Network, after: Network, where: str) -> None:
    """Raises EdgeError if an output has lost its last path to the inputs."""
    if lost := sorted(reached_outputs(before) - reached_outputs(after)):
        names = ", ".join(before.spec.outputs[i] for i in lost)
        raise EdgeError(f"{where}: expected a path from the inputs to each output, got none to {names}. Keep more.")
