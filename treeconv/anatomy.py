"""Modules of the network itself: which neurons are wired together.

A trained network may have come apart into pieces that share few connections, its *anatomy*, beside what its function
shows, its *physiology* (`convert`). The wiring is a graph of neurons weighted by the strength of their connections;
its communities are the modules. What leaks between them, as a share of what would between random groups, is held
against a null: the same strengths with the sources of each neuron shuffled. Communities do not depend on the order of
the neurons; `order` lists the neurons of each layer module by module, which is the arrangement a diagram wants.

Words: strengths are non-negative arrays (target, source), one a layer: absolute weights of an MLP, attribution or
activation scores of a KAN.

Reference: A. Clauset, M. E. J. Newman, C. Moore, "Finding community structure in very large networks", Phys. Rev. E 70,
066111 (2004).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import torch

from treeconv.calibration import Evidence, judge
from treeconv.derivatives import Array
from treeconv.errors import TreeError, TreeTypeError, named_options
from treeconv.subject import number

N_SHUFFLES = 20


@dataclass(frozen=True)
class Anatomy:
    """The modules of a network.

    Attributes:
        modules: Sets of neurons (layer, index), largest first; layer 0 holds the inputs.
        inputs: Names of the inputs of each module.
        evidence: Holds when less leaks between the modules than in any of twenty shuffled wirings. The score is the
            leak, 0 for separate modules and about 1 for random ones.
        order: For each layer the neurons, module by module.
        graph: The wiring, a networkx graph with edge attribute `weight`.
    """

    modules: list[set[tuple[int, int]]]
    inputs: list[list[str]]
    evidence: Evidence
    order: list[list[int]]
    graph: nx.Graph


def strengths_of(model: torch.nn.Module, x: Any = None) -> list[Array]:
    """Returns the strengths of the connections of a network.

    Args:
        model: A module whose linear layers follow one another, or a KAN with `attribute`.
        x: Samples (batch, n) on which the edges of a KAN are scored; by default those of its last fit.

    Returns:
        Arrays (target, source), one a layer: absolute weights of an MLP, edge scores of a KAN, where the factors of a
        product are added up.

    Raises:
        TreeError: If there are no linear layers, or they do not follow one another.
    """
    if hasattr(model, "attribute"):
        scores: Any = model.attribute(x)  # type: ignore[operator]
        layers = zip(scores.edges, model.spec.layers)  # type: ignore[union-attr]
        return [
            np.stack([edges[list(factors)].sum(0).double().cpu().numpy() for factors in layer.groups])
            for edges, layer in layers
        ]
    layers = [m.weight.detach().abs().double().cpu().numpy() for m in model.modules() if isinstance(m, torch.nn.Linear)]
    if not layers or not _follow(layers):
        raise TreeError(
            f"anatomy: expected linear layers that follow one another, got shapes {[w.shape for w in layers]}. "
            "Pass a list of arrays (target, source) of connection strengths."
        )
    return layers


def _follow(layers: Sequence[Array]) -> bool:
    """Whether each layer has as many targets as the next has sources."""
    return all(a.shape[0] == b.shape[1] for a, b in itertools.pairwise(layers))


def _wiring(strengths: Sequence[Array], threshold: float) -> nx.Graph:
    """The graph of neurons, a connection weighing as much as the share of the output that runs through it."""
    graph = nx.Graph()
    importance = np.full(len(strengths[-1]), 1 / len(strengths[-1]))
    for layer in reversed(range(len(strengths))):
        incoming = strengths[layer].sum(axis=1, keepdims=True)
        share = np.divide(strengths[layer], incoming, out=np.zeros_like(strengths[layer]), where=incoming > 0)
        flow = np.where(share > threshold, share, 0.0) * importance[:, None]
        for target, source in np.argwhere(flow > threshold * flow.max(initial=0.0)).tolist():
            graph.add_edge((layer, source), (layer + 1, target), weight=float(flow[target, source]))
        importance = flow.sum(axis=0)
    return graph


def _communities(graph: nx.Graph) -> tuple[list[set[tuple[int, int]]], float]:
    """Communities, and the flow between them over that between random groups of the same weight."""
    if not graph.number_of_edges():
        return [], 1.0
    found = [set(part) for part in nx.community.greedy_modularity_communities(graph, weight="weight")]
    inside = nx.community.modularity(graph, found, weight="weight")
    weights = dict(graph.degree(weight="weight"))
    shares = np.array([sum(weights[neuron] for neuron in module) for module in found]) / sum(weights.values())
    expected = 1 - float(np.sum(shares**2))
    return found, 1 - inside / expected if expected > 0 else 1.0


@named_options
def anatomy(model: Any, names: Sequence[str] | None = None, *, x: Any = None, threshold: float = 0.05) -> Anatomy:
    """Finds the modules of a network's wiring.

    Args:
        model: An MLP, a KAN, or a list of non-negative arrays (target, source) of connection strengths, one a layer.
        names: One name an input; by default those of a KAN, or x1, x2, ...
        x: Samples (batch, n) on which a KAN is scored; by default those of its last fit.
        threshold: Share of the strength coming into a neuron below which a connection is cut, 0 to 1.

    Returns:
        The modules, with evidence. A single output neuron is left out: it would tie all modules together.

    Raises:
        TreeTypeError: If the model is none of these.
        TreeError: If the strengths are negative or do not fit together.

    Example:
        >>> blocks = np.kron(np.eye(2), np.ones((3, 2)))
        >>> anatomy([blocks, blocks.T], names=["a", "b", "c", "d"]).inputs
        [['a', 'b'], ['c', 'd']]
    """
    threshold = number("anatomy", "threshold", threshold, 0, 1)
    if isinstance(model, torch.nn.Module):
        strengths = strengths_of(model, x)
        names = getattr(getattr(model, "spec", None), "features", None) if names is None else names
    elif isinstance(model, Sequence) and model and not isinstance(model, str):
        strengths = [np.asarray(s, dtype=float) for s in model]
    else:
        raise TreeTypeError(
            f"anatomy: expected a torch module or a list of arrays, got {type(model).__name__}. Pass an MLP."
        )
    if any(s.ndim != 2 or (s < 0).any() for s in strengths) or not _follow(strengths):
        raise TreeError(
            "anatomy: expected non-negative arrays (target, source) that fit, "
            f"got shapes {[s.shape for s in strengths]}. Give absolute values, one array a layer, inputs first."
        )
    n = strengths[0].shape[1]
    is_list = isinstance(names, Iterable) and not isinstance(names, str | bytes)
    labels = [f"x{i + 1}" for i in range(n)] if names is None else list(names) if is_list else []
    if len(labels) != n or not all(isinstance(label, str) for label in labels):
        raise TreeError(f"anatomy: expected {n} names, got {names!r}. Give one an input.")
    inner = strengths[:-1] if len(strengths) > 1 and strengths[-1].shape[0] == 1 else strengths
    graph = _wiring(inner, threshold)
    modules, leak = _communities(graph)
    rng = np.random.default_rng(0)
    shuffled = ([rng.permuted(s, axis=1) for s in inner] for _ in range(N_SHUFFLES))
    null = min(_communities(_wiring(strengths, threshold))[1] for strengths in shuffled)
    modules.sort(key=lambda module: (-len(module), min(module)))
    owner = {neuron: m for m, module in enumerate(modules) for neuron in module}
    widths = [strengths[0].shape[1], *(s.shape[0] for s in strengths)]
    order = [
        sorted(range(width), key=lambda i: (owner.get((layer, i), len(modules)), i))
        for layer, width in enumerate(widths)
    ]
    inputs = [[labels[i] for layer, i in sorted(module) if layer == 0] for module in modules]
    return Anatomy(modules, inputs, judge(leak, max(null, 1e-3)), order, graph)
