"""Pictures of a tree: a matplotlib figure, and a Graphviz diagram that shows itself in a notebook.

Inputs stand in one row at the bottom, the output on top. A circle with a sign is a sum or a product, a circle below a
small box F is a function of a sum, a box is an opaque function. Inputs without effect stand apart, in grey.

Reference: Z. Liu et al., "KAN 2.0: Kolmogorov-Arnold Networks Meet Science", arXiv:2408.10205 (2024), figure 10, for
the look.
"""

from __future__ import annotations

import html
import warnings
from pathlib import Path
from typing import Any

import networkx as nx

from treeconv.tree import as_tree

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
    from matplotlib.patches import Circle, FancyBboxPatch

    tree = as_tree(tree, "plot")
    stretch = 1.9 if evidence else 1.0
    places = {node: (stretch * x, y) for node, (x, y) in layout(tree).items()}
    turned = max((len(name) for name in tree.graph["names"]), default=1) > 8
    left = -1.6 if turned or evidence else -0.7
    right = max(x for x, _ in places.values()) + (1.7 if evidence else 0.9)
    bottom, top = -1.4 if turned else -0.5, max(y for _, y in places.values()) + 1.2
    if ax is None:
        figure = Figure(figsize=(0.85 * (right - left), 0.85 * (top - bottom)), layout="constrained")
        ax = figure.add_subplot()
    else:
        figure = ax.figure
    for child, parent in tree.edges:
        (x0, y0), (x1, y1) = places[child], places[parent]
        ax.plot([x0, x1], [y0, y1], color=INK, linewidth=1.2, zorder=1, solid_capstyle="round")
    root = tree.graph["root"]
    x, y = places[root]
    ax.plot([x, x], [y, y + 0.75], color=INK, linewidth=1.2, zorder=1)
    ax.text(x, y + 0.8, title or "output", ha="center", va="bottom", fontsize=10, color=INK)
    for node, (x, y) in places.items():
        attributes = tree.nodes[node]
        kind = attributes["kind"]
        if kind == "input":
            dull = node in tree.graph["irrelevant"]
            colour = GREY if dull else INK
            ax.plot([x], [y], marker="o", markersize=4, color=colour, zorder=3)
            ax.text(
                x,
                y - 0.16,
                node,
                ha="right" if turned else "center",
                va="top",
                fontsize=10,
                color=colour,
                rotation=45 if turned else 0,
                rotation_mode="anchor" if turned else "default",
                parse_math=False,
            )
            if dull:
                ax.text(x, y + 0.12, "no effect", ha="center", va="bottom", fontsize=7, color=GREY, rotation=90)
            continue
        if kind == "opaque":
            style = "round,pad=0,rounding_size=0.06"
            box = FancyBboxPatch(
                (x - 0.24, y - 0.24), 0.48, 0.48, boxstyle=style, facecolor=COLOURS[kind], edgecolor=INK, zorder=2
            )
            ax.add_patch(box)
            ax.text(x, y, "F", ha="center", va="center", fontsize=11, style="italic", zorder=4)
        else:
            ax.add_patch(Circle((x, y), 0.24, facecolor=COLOURS[kind], edgecolor=INK, zorder=2))
            ax.text(x, y - 0.01, "×" if kind == "product" else "+", ha="center", va="center", fontsize=14, zorder=4)
        if kind == "separable":
            box = FancyBboxPatch(
                (x - 0.15, y + 0.24), 0.3, 0.26, boxstyle="square,pad=0", facecolor="white", edgecolor=INK, zorder=3
            )
            ax.add_patch(box)
            ax.text(x, y + 0.37, "F", ha="center", va="center", fontsize=8, style="italic", zorder=4)
        notes = ["+ const"] if attributes.get("bias") else []
        notes += [_note(attributes)] if evidence else []
        if notes:
            # beside the node, away from the edge to its parent
            side = -1 if any(places[parent][0] > x for parent in tree.successors(node)) else 1
            ax.text(
                x + side * 0.3,
                y + 0.05,
                "\n".join(notes),
                ha="left" if side > 0 else "right",
                va="bottom",
                fontsize=7,
                color=GREY,
                linespacing=1.1,
                zorder=5,
            )
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.set_aspect("equal", adjustable="box")
    ax.axis("off")
    return figure


class Diagram:
    """A Graphviz diagram: text in the DOT language that renders itself, no program `dot` needed.

    Attributes:
        source: The text in the DOT language.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def __str__(self) -> str:
        return self.source

    def _render(self, kind: str) -> bytes:
        import pygraphviz

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the engine warns about fonts
            return bytes(pygraphviz.AGraph(string=self.source).draw(format=kind, prog="dot") or b"")

    def svg(self) -> str:
        """Returns the picture as SVG text."""
        return self._render("svg").decode()

    def png(self) -> bytes:
        """Returns the picture as PNG bytes."""
        return self._render("png")

    def _repr_svg_(self) -> str:
        return self.svg()

    def save(self, path: str | Path) -> None:
        """Writes the picture to a file.

        Args:
            path: Where to; the ending decides the format: .svg, .png, .pdf, or .dot for the text.

        Raises:
            ValueError: If the ending is none of these.
        """
        ending = Path(path).suffix.lower().lstrip(".")
        if ending not in ("svg", "png", "pdf", "dot"):
            raise ValueError(
                f"save: expected a path ending in .svg, .png, .pdf or .dot, got {path}. Change the ending."
            )
        Path(path).write_bytes(self.source.encode() if ending == "dot" else self._render(ending))


def to_graphviz(tree: nx.DiGraph, *, evidence: bool = False) -> Diagram:
    """Draws a tree with Graphviz.

    Args:
        tree: A tree from `convert`.
        evidence: Whether to write score, threshold and confidence into each inner node.

    Returns:
        A diagram with `svg()`, `png()`, `save(path)` and `source`; a notebook shows it as a picture.

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
        >>> to_graphviz(treeconv.convert(lambda x: x[:, 0] * x[:, 1], x)).svg()[-7:-1]
        '</svg>'
    """
    tree = as_tree(tree, "to_graphviz")
    signs = {"sum": "+", "product": "×", "separable": "F( + )", "opaque": "F"}
    ids = {node: f"n{i}" for i, node in enumerate(tree.nodes)}
    lines = [
        "digraph tree {",
        '  graph [rankdir=BT, ordering=in, ranksep=0.35, nodesep=0.25, bgcolor="white"];',
        '  node [fontname="Helvetica", fontsize=12, margin="0.08,0.04", height=0.3, width=0.3];',
        "  edge [arrowhead=none];",
        '  out [shape=plaintext, label="output"];',
    ]
    for node, attributes in tree.nodes(data=True):
        kind = attributes["kind"]
        if kind == "input":
            colour = GREY if node in tree.graph["irrelevant"] else INK
            label = f"<{html.escape(node)}>"
            lines.append(f'  {ids[node]} [shape=plaintext, label={label}, fontcolor="{colour}"];')
            continue
        label = html.escape(signs[kind]) + (" + const" if attributes.get("bias") else "")
        if evidence:
            note = html.escape(_note(attributes)).replace("\n", "<br/>")
            label += f'<br/><font point-size="8">{note}</font>'
        shape = "box" if kind == "opaque" else "ellipse"
        lines.append(f'  {ids[node]} [shape={shape}, style=filled, fillcolor="{COLOURS[kind]}", label=<{label}>];')
    # children in order, or Graphviz is free to shuffle the inputs
    for node, _ in tree.walk():
        lines += [f"  {ids[child]} -> {ids[node]};" for child in tree.children(node)]
    lines.append(f"  {ids[tree.graph['root']]} -> out;")
    leaves = [ids[n] for n, _ in tree.walk() if tree.nodes[n]["kind"] == "input"]
    leaves += [ids[name] for name in tree.graph["irrelevant"]]
    if leaves:
        lines.append("  {rank=same; " + "; ".join(leaves) + "}")
    if len(leaves) > 1:
        lines.append("  " + " -> ".join(leaves) + " [style=invis];")
    return Diagram("\n".join([*lines, "}"]) + "\n")
