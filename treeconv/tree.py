"""The tree: how the inputs of a model combine, as a networkx graph.

Format. A `Tree` is a `networkx.DiGraph` whose edges run from child to parent. Inputs are nodes named as the user named
them; all other nodes are integers, 0 being the root. Every node carries

- `kind`: `input`, `sum`, `product`, `separable` (F of a sum of the children), `opaque` (F of the children);
- `inputs`: names of the inputs below it, in the order of the columns;
- `score`, `threshold`, `confidence`: the evidence for its kind; for an opaque node that of its nearest structure, which
  `nearest` names; for an input that it matters;
- `bias` (products): the constant beside the product, in the unit of the output at the root, in standard deviations of
  the factor below another product (None where it cannot be told), 0 below a sum, whose constant covers it.

A child that is an input stands for an unknown function of it, except below an opaque node, which takes it as it is.
An edge into an opaque node from a group carries the evidence that the group acts through one number. `tree.graph`
holds `root`, `names`, `irrelevant` (names of inputs without effect; they are nodes without a parent), `output`,
`interrupted` (whether Ctrl-C ended the search; opaque nodes that were not looked at are `interrupted` too) and
`settings`.

Reference: DESIGN of graphs in networkx, A. Hagberg, D. Schult, P. Swart, SciPy 2008.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import networkx as nx

from treeconv.checks import NoTreeError, read_tree
from treeconv.errors import TreeError, TreeTypeError, named_options
from treeconv.symbols import quoted

KINDS = ("input", "sum", "product", "separable", "opaque")
GRAPH_KEYS = ("root", "names", "irrelevant", "output", "interrupted", "settings")


def as_tree(graph: Any, where: str) -> Tree:
    """Returns a graph as a `Tree`, or refuses what is none.

    Args:
        graph: A tree from `convert`, or a `networkx.DiGraph` with its attributes.
        where: The function that was called, for the message.

    Raises:
        TreeTypeError: If it is something else.
    """
    if isinstance(graph, nx.DiGraph) and {"root", "names", "irrelevant"} <= set(graph.graph):
        return graph if isinstance(graph, Tree) else Tree(graph)
    what = f"a list of {len(graph)}" if isinstance(graph, list) else f"a {type(graph).__name__}"
    raise TreeTypeError(
        f"{where}: expected one tree made by treeconv.convert, got {what}. Several outputs have one tree each."
    )


class Tree(nx.DiGraph):
    """A networkx graph with edges from child to parent that prints as indented text."""

    def children(self, node: Any) -> list[Any]:
        """Returns the children of a node, ordered by their first input."""
        order = {name: i for i, name in enumerate(self.graph["names"])}
        return sorted(self.predecessors(node), key=lambda child: order[self.nodes[child]["inputs"][0]])

    def walk(self, node: Any = None, depth: int = 0) -> Iterator[tuple[Any, int]]:
        """Yields every node below and including one, with its depth, parents first."""
        node = self.graph["root"] if node is None else node
        yield node, depth
        for child in self.children(node):
            yield from self.walk(child, depth + 1)

    def __str__(self) -> str:
        lines = []
        for node, depth in self.walk():
            attributes = self.nodes[node]
            label = quoted(node) if attributes["kind"] == "input" else attributes["kind"]
            if attributes.get("bias"):
                label += f" + {attributes['bias']:.4g}"
            if attributes.get("interrupted"):
                label += "  (interrupted)"
            elif attributes["kind"] != "input":
                label += f"  (score {attributes['score']:.1e}, threshold {attributes['threshold']:.1e})"
            lines.append("  " * depth + label)
        if self.graph["irrelevant"]:
            lines.append("irrelevant: " + ", ".join(map(quoted, self.graph["irrelevant"])))
        return "\n".join(lines)


@named_options
def structure(tree: nx.DiGraph, node: Any = None) -> Any:
    """Returns the bare structure of a tree, for comparison: nested tuples that do not depend on any order.

    Args:
        tree: A tree from `convert`.
        node: Where to start; the root by default.

    Returns:
        The name of an input, or (kind, frozenset of the structures of the children).

    Raises:
        TreeTypeError: If it is no tree.
        TreeError: If the tree has no such node.

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
        >>> tree = treeconv.convert(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x, names=["a", "b", "c"])
        >>> structure(tree) == ("sum", frozenset({"c", ("product", frozenset({"a", "b"}))}))
        True
    """
    tree = as_tree(tree, "structure")
    node = tree.graph["root"] if node is None else node
    if node not in tree:  # so is what cannot be hashed
        shown = ", ".join(map(repr, list(tree)[:10])) + (", ..." if len(tree) > 10 else "")
        raise TreeError(f"structure: expected a node of the tree, one of {shown}, got {node!r:.80}.")
    return _structure(tree, node)


def _structure(tree: nx.DiGraph, node: Any) -> Any:
    kind = tree.nodes[node]["kind"]
    if kind == "input":
        return node
    return kind, frozenset(_structure(tree, child) for child in tree.predecessors(node))


@named_options
def to_json(tree: nx.DiGraph) -> str:
    """Writes a tree as JSON text, which `from_json` reads back; what others put into `tree.graph` is left out."""
    data = nx.node_link_data(as_tree(tree, "to_json"), edges="edges")
    data["graph"] = {key: tree.graph[key] for key in GRAPH_KEYS if key in tree.graph}
    return json.dumps(data, indent=1)


@named_options
def from_json(text: str) -> Tree:
    """Reads a tree from the JSON text that `to_json` wrote.

    Args:
        text: The JSON text.

    Returns:
        An equal tree.

    Raises:
        TreeError: If the text holds no tree.
    """
    try:
        data = read_tree(text, KINDS)
    except NoTreeError as error:
        raise TreeError(
            f"from_json: expected a tree written by to_json, got {error}. Pass the text of to_json(tree)."
        ) from None
    tree = Tree()
    tree.graph.update(data["graph"])
    for key in ("names", "irrelevant"):
        tree.graph[key] = tuple(tree.graph[key])
    # Not by keywords, among which an attribute could have the name of an argument.
    tree.add_nodes_from((node.pop("id"), {**node, "inputs": tuple(node["inputs"])}) for node in data["nodes"])
    tree.add_edges_from((edge.pop("source"), edge.pop("target"), edge) for edge in data["edges"])
    return tree


@named_options
def compare(first: nx.DiGraph, second: nx.DiGraph) -> dict[str, Any]:
    """Compares two trees over the same inputs.

    Args:
        first: A tree from `convert`.
        second: Another one.

    Returns:
        `same` (bool), `only_first` and `only_second` (lists of (kind, inputs) of inner nodes without a counterpart),
        `shared` (the others), `similarity` (shared over all, 0 to 1), and `irrelevant` (names relevant in one only).

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
        >>> a = treeconv.convert(lambda x: x[:, 0] * x[:, 1], x)
        >>> b = treeconv.convert(lambda x: x[:, 0] + x[:, 1], x)
        >>> compare(a, b)["only_first"]
        [('product', ('x1', 'x2'))]
    """

    first, second = as_tree(first, "compare"), as_tree(second, "compare")

    def nodes(tree: nx.DiGraph) -> set[tuple[str, tuple[str, ...]]]:
        inner = (a for _, a in tree.nodes(data=True) if a["kind"] != "input")
        return {(a["kind"], tuple(sorted(a["inputs"]))) for a in inner}

    ours, theirs = nodes(first), nodes(second)
    return {
        "same": structure(first) == structure(second) and set(first.graph["names"]) == set(second.graph["names"]),
        "shared": sorted(ours & theirs),
        "only_first": sorted(ours - theirs),
        "only_second": sorted(theirs - ours),
        "similarity": len(ours & theirs) / max(len(ours | theirs), 1),
        "irrelevant": sorted(set(first.graph["irrelevant"]) ^ set(second.graph["irrelevant"])),
    }
