"""Draws the picture of docs/architecture.md: `python docs/make_architecture.py`, from the root of a checkout.

A box is a room: a file or a folder of kan2, or another package. An arrow points from a room to one that it imports.
Drawn is the transitive reduction of the imports: an arrow is left out where a chain of others says the same. The floor
of a room is the length of the longest such chain below it. Everything is read from the code, so that the picture only
changes with the imports; `tests/unit/test_architecture_picture.py` says when it has to be drawn again. It needs
pygraphviz.

Reference: Aho, Garey, Ullman, The transitive reduction of a directed graph (1972).
"""

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PACKAGES = ("kan2", "kanpiler", "treeconv", "case_studies")
COLOURS = {"folder": "#dbe9f6", "file": "#f4f4f4", "package": "#fbe8c8"}
# Inches a letter: widths are set here and not measured, because every machine has other fonts.
LETTER, HEIGHT = 0.105, 0.36


def room(module: str) -> str | None:
    """Returns the room of a module: `core` for `kan2.core.spec`, `kanpiler` for `kanpiler.plan`.

    Example:
        >>> room("kan2.core.spec"), room("kan2"), room("kanpiler.plan"), room("torch.nn")
        ('core', 'kan2', 'kanpiler', None)
    """
    package, *inside = module.split(".")
    if package not in PACKAGES:
        return None
    return inside[0] if package == "kan2" and inside else package


def rooms() -> dict[str, str]:
    """Returns every room with its kind: "folder" or "file" of kan2, or "package"."""
    kinds = dict.fromkeys(PACKAGES, "package")
    for path in sorted((ROOT / "kan2").iterdir()):
        if path.suffix == ".py" and not path.name.startswith("__"):
            kinds[path.stem] = "file"
        elif (path / "__init__.py").exists():
            kinds[path.name] = "folder"
    return kinds


def imported(path: Path) -> Iterator[str]:
    """Yields the modules that a file imports, wherever in it; `from kan2 import plotting` counts as kan2.plotting."""
    known = rooms()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "kan2":
            # A name that is no room comes from kan2 itself.
            yield from (f"kan2.{a.name}" if a.name in known else "kan2" for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def arrows() -> nx.DiGraph:
    """Returns the graph of all imports between rooms, from the room that imports to the one it reads."""
    graph = nx.DiGraph()
    graph.add_nodes_from(rooms())
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            mine = room(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
            others = {room(module) for module in imported(path)} - {mine, None}
            graph.add_edges_from((mine, other) for other in others)
    return graph


def floors(graph: nx.DiGraph) -> dict[str, int]:
    """Returns the floor of every room: one above the highest room that it imports.

    Example:
        >>> floors(nx.DiGraph([("roof", "ground"), ("roof", "middle"), ("middle", "ground")]))
        {'ground': 0, 'middle': 1, 'roof': 2}
    """
    level: dict[str, int] = {}
    for name in reversed(list(nx.lexicographical_topological_sort(graph))):
        level[name] = 1 + max((level[other] for other in graph.successors(name)), default=-1)
    return level


def drawing() -> str:
    """Returns the picture as SVG."""
    import pygraphviz

    graph, kinds = arrows(), rooms()
    level = floors(graph)
    picture = pygraphviz.AGraph(directed=True, rankdir="TB", ranksep=0.32, nodesep=0.35, bgcolor="white")
    picture.node_attr.update(shape="box", style="filled,rounded", fontname="Helvetica", fontsize=12, fixedsize=True)
    picture.edge_attr.update(color="#666666", arrowsize=0.6)
    for name in sorted(kinds):
        label = {"file": f"{name}.py", "folder": f"{name}/", "package": name}[kinds[name]]
        colour = COLOURS[kinds[name]]
        picture.add_node(
            name, id=f"room:{name}", label=label, fillcolor=colour, width=0.3 + LETTER * len(label), height=HEIGHT
        )
    for a, b in sorted(nx.transitive_reduction(graph).edges):
        picture.add_edge(a, b, id=f"arrow:{a}:{b}")
    for floor in sorted(set(level.values())):
        picture.add_subgraph(sorted(n for n in level if level[n] == floor), rank="same")
    with warnings.catch_warnings():
        # Graphviz measures text with fonts it may not find; sizes are set above.
        warnings.simplefilter("ignore", RuntimeWarning)
        svg = picture.draw(format="svg", prog="dot").decode()
    # Comments name the version of Graphviz, which does not belong to the picture.
    return re.sub(r"<!--.*?-->\n", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(drawing())
