"""Trees of structure and networks wired like them.

`tree_of` converts a network with `treeconv`; `tree` trains a network on data first. `from_tree` goes back: every sum,
product and separable node of a tree becomes a node of a `MultKAN`, joined by splines to its children; values that are
needed further up pass through identity edges. Such a network has the right structure before training, so it needs fewer
samples, and its splines can be read.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), sections 3.2 and 4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import torch

from kan2.data import as_dataset
from kan2.errors import DataError, SpecError
from kan2.network import MultKAN
from kan2.spec import BasisSpec, LayerSpec, NetworkSpec, SymbolicTerm

KINDS = ("input", "sum", "product", "separable", "opaque")


def tree_of(model: MultKAN, data: Any = None, **options: Any) -> nx.DiGraph:
    """Returns the tree of a network's structure, see `treeconv.convert`.

    Args:
        model: with one output.
        data: samples; by default those of the last fit.
        options: passed on to `treeconv.convert`.
    """
    import treeconv

    samples = model.samples(data, "tree")
    return treeconv.convert(model, samples.X, names=model.spec.inputs, **options)


def tree(data: Any, y: Any = None, *, names: Sequence[str] | None = None, seed: int = 0, **options: Any) -> nx.DiGraph:
    """Returns the tree of the structure in data: trains a network on them and converts it.

    `tree.graph["model"]` is the network.

    Args:
        data: (X, y), a Dataset or a dict; or X alone, with y beside it.
        y: (batch,) targets, where data is X alone.
        names: names of the inputs.
        seed: seed of the network's start.
        options: passed on to `treeconv.convert`.

    Raises:
        DataError: fewer than 20 samples, or several targets.
    """
    import treeconv

    samples = as_dataset(data if y is None else (data, y), names)
    if (n := len(samples)) < 20 or samples.y.shape[1] != 1:
        raise DataError(
            f"tree: expected at least 20 samples of one target, got {n} of {samples.y.shape[1]}. "
            "Convert several targets one by one."
        )
    width = [samples.X.shape[1], 2 * samples.X.shape[1] + 1, 1]
    model = MultKAN(width, grid=5, inputs=samples.inputs, seed=seed)
    model.fit(samples, steps=100)
    result = treeconv.convert(model, samples.X, names=samples.inputs, **options)
    result.graph["model"] = model
    return result


@dataclass
class _Node:
    """A node of the network to be: at which level it is made, and from what."""

    name: Any
    level: int
    factors: list[list[Any]] = field(default_factory=list)  # for each subnode the nodes it sums over
    takes_as_is: frozenset[Any] = frozenset()  # those of them that it reads through c x + d instead of a spline


def from_tree(
    tree: nx.DiGraph,
    *,
    grid: int = 5,
    k: int = 3,
    hidden: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> MultKAN:
    """Builds a network with the wiring of a tree, ready to be trained.

    Args:
        tree: as `treeconv.convert` gives it: edges from child to parent, `kind` on every node, names and root in
            `tree.graph`. Inputs without effect are accepted as columns and not read.
        grid: number of grid intervals of the splines.
        k: their order.
        hidden: number of nodes that stand for an opaque node of n children; by default 2 n + 1.
        seed: seed of the initial weights.
        dtype: type of the parameters.

    Raises:
        SpecError: the graph is not such a tree.

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> tree = treeconv.convert(lambda x: x[:, 0] * torch.sin(x[:, 1] + x[:, 2]), x, names=["a", "b", "c"])
        >>> from_tree(tree).width
        [[3, 0], [2, 0], [0, 1]]
    """
    names, root = tuple(tree.graph.get("names", ())), tree.graph.get("root")
    if root not in tree or any(data.get("kind") not in KINDS for _, data in tree.nodes(data=True)):
        raise SpecError("from_tree: expected a tree made by treeconv.convert, got another graph.")
    nodes = _plan(tree, root, hidden)
    depth = nodes[-1].level
    layers = _schedule(nodes, names, depth, BasisSpec(grid=grid, k=k))
    model = MultKAN.from_spec(NetworkSpec(layers, inputs=names), dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    for layer in model.layers:
        layer.reset_parameters(generator=generator)
    return model


def _plan(tree: nx.DiGraph, root: Any, hidden: int | None) -> list[_Node]:
    # Children first; the last node is the output. An opaque node becomes a small network of its own.
    nodes: dict[Any, _Node] = {}
    below = nx.ancestors(tree, root) | {root}
    for name in nx.topological_sort(tree.subgraph(below)):
        kind, children = tree.nodes[name]["kind"], list(tree.predecessors(name))
        level = 1 + max((nodes[child].level for child in children), default=-1)
        # Sums, products and opaque nodes are the parts of a formula up to scale and shift, such as a product's bias.
        as_is = frozenset(child for child in children if tree.nodes[child]["kind"] in ("sum", "product", "opaque"))
        if kind == "input":
            nodes[name] = _Node(name, 0)
        elif kind == "product":
            nodes[name] = _Node(name, level, [[child] for child in children], as_is)
        elif kind == "opaque" and len(children) > 1:
            parts = [(name, i) for i in range(hidden or 2 * len(children) + 1)]
            nodes.update({part: _Node(part, level, [children]) for part in parts})
            nodes[name] = _Node(name, level + 1, [parts])
        else:
            nodes[name] = _Node(name, level, [children], as_is)
    top = tree.nodes[root]
    if top["kind"] in ("input", "separable") or (top["kind"] == "product" and top.get("bias")):
        # What is applied to the root's own value needs an edge above it.
        as_is = frozenset({root} if top["kind"] == "product" else ())
        nodes["output"] = _Node("output", nodes[root].level + 1, [[root]], as_is)
    return list(nodes.values())


def _schedule(nodes: list[_Node], names: tuple[str, ...], depth: int, basis: BasisSpec) -> tuple[LayerSpec, ...]:
    made_at = {node.name: node.level for node in nodes}
    last_use = dict.fromkeys(made_at, 0)
    for node in nodes:
        for child in (child for factor in node.factors for child in factor):
            last_use[child] = max(last_use[child], node.level - 1)
    layers, present = [], list(names)
    for level in range(1, depth + 1):
        new = [node for node in nodes if node.level == level]
        passed = [n for n in present if last_use.get(n, 0) >= level and made_at[n] < level]
        sums = [node for node in new if len(node.factors) == 1]
        products = [node for node in new if len(node.factors) > 1]
        position = {name: i for i, name in enumerate(present)}
        terms = [SymbolicTerm(i, position[name], "x", free="") for i, name in enumerate(passed)]
        numeric = []
        factors = [(factor, node.takes_as_is) for node in sums + products for factor in node.factors]
        for subnode, (factor, takes_as_is) in enumerate(factors, start=len(passed)):
            for child in factor:
                if child in takes_as_is:
                    terms.append(SymbolicTerm(subnode, position[child], "x", free="cd"))
                else:
                    numeric.append((subnode, position[child]))
        arities = tuple(len(node.factors) for node in products)
        layers.append(LayerSpec(len(present), len(passed) + len(sums), arities, tuple(numeric), tuple(terms), basis))
        present = passed + [node.name for node in sums + products]
    return tuple(layers)
