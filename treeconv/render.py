"""Pictures of a tree: a matplotlib figure, and a Graphviz diagram that shows itself in a notebook.

Inputs stand in one row at the bottom, the output on top. A circle with a sign is a sum or a product, a circle below a
small box F is a function of a sum, a box is an opaque function. Inputs without effect stand apart, in grey.

Reference: Z. Liu et al., "KAN 2.0: Kolmogorov-Arnold Networks Meet Science", arXiv:2408.10205 (2024), figure 10, for
the look.
"""

from __future__ import annotations

import html
import itertools
import re
from typing import TYPE_CHECKING, Any

import networkx as nx

from treeconv.errors import SampleError, named_options
from treeconv.subject import flag
from treeconv.tree import Tree, as_tree

if TYPE_CHECKING:
    from treeconv.diagram import Diagram

INK, GREY, SHADE = "#222222", "#9a9a9a", "#eeeeee"
COLOURS = {"sum": "#dce9f7", "product": "#fbe3d4", "separable": "#e3f1de", "opaque": SHADE}


def layout(tree: nx.DiGraph) -> dict[Any, tuple[float, float]]:
    """Places the nodes: inputs in a row at height 0, every other node one above its highest child.

    Args:
        tree: A tree from `convert`.

    Returns:
        Position (across, up) by node; inputs without effect follow at the right.

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
        >>> layout(treeconv.convert(lambda x: x[:, 0] * x[:, 1], x))[0]
        (0.5, 1.0)
    """
    tree = as_tree(tree, "layout")
    places: dict[Any, tuple[float, float]] = {}
    for node, _ in tree.walk():
        if tree.nodes[node]["kind"] == "input":
            places[node] = (float(len(places)), 0.0)
    for node, _ in reversed(list(tree.walk())):
        below = [places[child] for child in tree.predecessors(node)]
        if node not in places:
            across = sum(x for x, _ in below) / len(below) if below else 0.0
            places[node] = (across, 1.0 + max((y for _, y in below), default=0.0))
    last = max(x for x, _ in places.values())
    for i, name in enumerate(tree.graph["irrelevant"]):
        places[name] = (last + 1.3 + i, 0.0)
    return places


def _note(attributes: dict[str, Any]) -> str:
    return f"{attributes['score']:.1e} / {attributes['threshold']:.1e}\nsure {attributes['confidence']:.0%}"


@named_options
def plot(tree: nx.DiGraph, *, evidence: bool = False, title: str | None = None, ax: Any = None) -> Any:
    """Draws a tree with matplotlib.

    Args:
        tree: A tree from `convert`.
        evidence: Whether to write score / threshold and confidence beside each inner node.
        title: Put above the output.
        ax: Axes to draw into; a new figure by default.

    Returns:
        The matplotlib figure, which is not shown.

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
        >>> type(plot(treeconv.convert(lambda x: x[:, 0] * x[:, 1], x))).__name__
        'Figure'
    """
    from matplotlib.figure import Figure

    tree = as_tree(tree, "plot")
    evidence = flag("plot", "evidence", evidence)
    if title is not None and not isinstance(title, str):
        raise SampleError(f"plot: expected title as text, got {title!r}.")
    if ax is not None and not all(callable(getattr(ax, name, None)) for name in ("plot", "text", "set_axis_off")):
        raise SampleError(f"plot: expected ax as matplotlib axes, got {ax!r}. Leave it out for a new figure.")
    stretch = 1.9 if evidence else 1.0
    places = {node: (stretch * x, y) for node, (x, y) in layout(tree).items()}
    turned = max((len(name) for name in tree.graph["names"]), default=1) > 8
    left = -1.6 if turned or evidence else -0.7
    right = max(x for x, _ in places.values()) + (1.7 if evidence else 0.9)
    bottom, top = -1.4 if turned else -0.5, max(y for _, y in places.values()) + 1.2
    if ax is None:
        figure = Figure(figsize=(0.85 * (right - left), 0.85 * (top - bottom)), layout="constrained")
        ax = figure.add_subplot()
    for child, parent in tree.edges:
        (x0, y0), (x1, y1) = places[child], places[parent]
        ax.plot([x0, x1], [y0, y1], color=INK, linewidth=1.2, zorder=1, solid_capstyle="round")
    x, y = places[tree.graph["root"]]
    ax.plot([x, x], [y, y + 0.75], color=INK, linewidth=1.2, zorder=1)
    ax.text(x, y + 0.8, title or "output", ha="center", va="bottom", fontsize=10, color=INK)
    for node, (x, y) in places.items():
        attributes = tree.nodes[node]
        if attributes["kind"] == "input":
            _draw_input(ax, x, y, node, node in tree.graph["irrelevant"], turned)
            continue
        _draw_sign(ax, x, y, attributes["kind"])
        notes = ["+ const"] if attributes.get("bias") else []
        notes += [_note(attributes)] if evidence else []
        # beside the node, away from the edge to its parent
        side = -1 if any(places[parent][0] > x for parent in tree.successors(node)) else 1
        if notes:
            align = {"ha": "left" if side > 0 else "right", "va": "bottom"}
            text, look = "\n".join(notes), {"fontsize": 7, "color": GREY, "linespacing": 1.1, "zorder": 5}
            ax.text(x + side * 0.3, y + 0.05, text, **align, **look)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.set_aspect("equal", adjustable="box")
    ax.axis("off")
    return ax.figure


def _draw_input(ax: Any, x: float, y: float, name: str, is_dull: bool, turned: bool) -> None:
    colour = GREY if is_dull else INK
    ax.plot([x], [y], marker="o", markersize=4, color=colour, zorder=3)
    turn: dict[str, Any] = {"rotation": 45, "rotation_mode": "anchor", "ha": "right"} if turned else {"ha": "center"}
    ax.text(x, y - 0.16, name, va="top", fontsize=10, color=colour, parse_math=False, **turn)
    if is_dull:
        ax.text(x, y + 0.12, "no effect", ha="center", va="bottom", fontsize=7, color=GREY, rotation=90)


def _draw_sign(ax: Any, x: float, y: float, kind: str) -> None:
    """Draws an inner node: a circle with a sign, perhaps below a small box F, or a large box F."""
    from matplotlib.patches import Circle, FancyBboxPatch

    def box(corner: tuple[float, float], width: float, height: float, style: str, **look: Any) -> None:
        ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, edgecolor=INK, **look))

    if kind == "opaque":
        corner, style = (x - 0.24, y - 0.24), "round,pad=0,rounding_size=0.06"
        box(corner, 0.48, 0.48, style, facecolor=COLOURS[kind], zorder=2)
        ax.text(x, y, "F", ha="center", va="center", fontsize=11, style="italic", zorder=4)
        return
    ax.add_patch(Circle((x, y), 0.24, facecolor=COLOURS[kind], edgecolor=INK, zorder=2))
    ax.text(x, y - 0.01, "×" if kind == "product" else "+", ha="center", va="center", fontsize=14, zorder=4)
    if kind == "separable":
        box((x - 0.15, y + 0.24), 0.3, 0.26, "square,pad=0", facecolor="white", zorder=3)
        ax.text(x, y + 0.37, "F", ha="center", va="center", fontsize=8, style="italic", zorder=4)


@named_options
def to_graphviz(tree: nx.DiGraph, *, evidence: bool = False) -> Diagram:
    """Draws a tree with Graphviz.

    Args:
        tree: A tree from `convert`.
        evidence: Whether to write score, threshold and confidence into each inner node.

    Returns:
        A `graphviz.Digraph` with `svg()`, `png()` and `save(path)`, which need no program `dot`; a notebook shows it as
        a picture. Its nodes are named as in the tree: inputs by their names, "0" is the root; "output" stands above it.
        Names that the DOT language would read otherwise are replaced by numbers that follow.

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
        >>> diagram = to_graphviz(treeconv.convert(lambda x: x[:, 0] * x[:, 1], x, names=["a", "b"]))
        >>> diagram.node("a", fontcolor="red")
        >>> "red" in diagram.svg()
        True
    """
    from treeconv.diagram import Diagram

    tree = as_tree(tree, "to_graphviz")
    evidence = flag("to_graphviz", "evidence", evidence)
    signs = {"sum": "+", "product": "×", "separable": "F( + )", "opaque": "F"}
    ids = _identifiers(tree)
    diagram = Diagram(
        name="tree",
        graph_attr={"rankdir": "BT", "ordering": "in", "ranksep": "0.35", "nodesep": "0.25", "bgcolor": "white"},
        node_attr={"fontname": "Helvetica", "fontsize": "12", "margin": "0.08,0.04", "height": "0.3", "width": "0.3"},
        edge_attr={"arrowhead": "none", "fontname": "Helvetica", "fontsize": "10"},
    )
    diagram.node("output", shape="plaintext")
    for node, attributes in tree.nodes(data=True):
        kind = attributes["kind"]
        if kind == "input":
            colour = GREY if node in tree.graph["irrelevant"] else INK
            diagram.node(ids[node], label=f"<{html.escape(node)}>", shape="plaintext", fontcolor=colour)
            continue
        label = html.escape(signs[kind]) + (" + const" if attributes.get("bias") else "")
        if evidence:
            note = html.escape(_note(attributes)).replace("\n", "<br/>")
            label += f'<br/><font point-size="8">{note}</font>'
        shape = "box" if kind == "opaque" else "ellipse"
        diagram.node(ids[node], label=f"<{label}>", shape=shape, style="filled", fillcolor=COLOURS[kind])
    # children in order, or Graphviz is free to shuffle the inputs
    for node, _ in tree.walk():
        diagram.edges((ids[child], ids[node]) for child in tree.children(node))
    diagram.edge(ids[tree.graph["root"]], "output")
    leaves = [ids[node] for node, _ in tree.walk() if tree.nodes[node]["kind"] == "input"]
    leaves += [ids[name] for name in tree.graph["irrelevant"]]
    row = Diagram(graph_attr={"rank": "same"})
    for leaf in leaves:
        row.node(leaf)
    diagram.subgraph(row)
    for left, right in itertools.pairwise(leaves):
        diagram.edge(left, right, style="invis")
    return diagram


def _identifiers(tree: Tree) -> dict[Any, str]:
    """Names of the nodes in the DOT language, where `:`, `<`, quotes and backslashes have a meaning of their own."""
    numbers = itertools.count(sum(isinstance(node, int) for node in tree))

    def identifier(node: Any) -> str:
        if isinstance(node, int):
            return str(node)
        is_plain = re.fullmatch(r'[^\d:<>"\\][^:<>"\\]*', node) and node != "output"
        return node if is_plain else str(next(numbers))

    return {node: identifier(node) for node in tree.nodes}
