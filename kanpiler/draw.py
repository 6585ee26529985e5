"""Draws the stages of a compilation: the parsed tree, and the plan in its layers.

Reference: Sugiyama, Tagawa, Toda, Methods for visual understanding of hierarchical system structures (1981).
"""

from typing import TYPE_CHECKING, Any

from kanpiler.compiler import Stages
from kanpiler.plan import PlanEdge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OPERATORS = {"Add": "+", "Mul": "×", "Pow": "^"}
INK, INPUT, SUM, PRODUCT = "#20242c", "#dbe7f5", "#ffffff", "#f7dfc6"


def draw(stages: Stages) -> "Figure":
    """Draws the parsed tree on the left and the layered plan on the right.

    Returns:
        A matplotlib Figure; save it with `figure.savefig("plan.svg")`.
    """
    from matplotlib.figure import Figure

    tree = _tree_layout(stages)
    network = _network_layout(stages)
    widths = [_span(tree[0]), 1.6 * _span(network[0])]
    height = max(max((y for _, y in layout[0].values()), default=0) for layout in (tree, network)) + 1
    figure = Figure(figsize=(2 + 0.85 * sum(widths), 1.2 + 0.95 * height), layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=[w + 1 for w in widths])
    titles = ("Parsed", f"Network: {stages.schedule.size()}")
    for axis, (places, links, labels, colours), title in zip(axes, (tree, network), titles):
        _draw(axis, places, links, labels, colours)
        axis.set_title(title, fontsize=10, color=INK)
    return figure


def _span(places: dict[Any, tuple[float, float]]) -> float:
    xs = [x for x, _ in places.values()]
    return max(xs) - min(xs) + 1


def _draw(axis: Any, places: Any, links: Any, labels: Any, colours: Any) -> None:
    for start, end, label, share in links:
        (x0, y0), (x1, y1) = places[start], places[end]
        axis.plot([x0, x1], [y0, y1], color="#9aa3b2", linewidth=1, zorder=1)
        if label:
            x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
            axis.text(x, y, label, ha="center", va="center", fontsize=7, color="#8a1f2b", zorder=2,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
    for key, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": colours[key], "edgecolor": INK, "linewidth": 0.8}
        axis.text(x, y, labels[key], ha="center", va="center", fontsize=9, color=INK, zorder=3, bbox=box)
    xs, ys = zip(*places.values())
    axis.set_xlim(min(xs) - 0.7, max(xs) + 0.7)
    axis.set_ylim(min(ys) - 0.6, max(ys) + 0.6)
    axis.set_axis_off()


def _tree_layout(stages: Stages) -> tuple[Any, Any, Any, Any]:
    places: dict[int, tuple[float, float]] = {}
    links, labels, colours = [], {}, {}
    column = 0.0

    def place(expression: Any, depth: int) -> int:
        nonlocal column
        children = [place(argument, depth + 1) for argument in expression.args]
        key = len(labels)
        head = str(expression.func.__name__)
        labels[key] = _short(
            str(expression) if not expression.args else _OPERATORS.get(head, head),
            12,
        )
        colours[key] = INPUT if expression.is_Symbol else SUM
        if children:
            x = sum(places[child][0] for child in children) / len(children)
        else:
            x, column = column, column + 1
        places[key] = (x, -float(depth))
        links.extend((child, key, "", 0.5) for child in children)
        return key

    for expression in stages.program.expressions:
        place(expression, 0)
    lowest = min(y for _, y in places.values())
    return {key: (x, y - lowest) for key, (x, y) in places.items()}, links, labels, colours


def _network_layout(stages: Stages) -> tuple[Any, Any, Any, Any]:
    schedule, program = stages.schedule, stages.program
    plan = schedule.plan
    places: dict[tuple[int, int], tuple[float, float]] = {}
    order: dict[tuple[int, int], float] = {}
    links, labels, colours = [], {}, {}
    widest = max(len(schedule.alive(level)) for level in range(schedule.depth + 1))
    for level in range(schedule.depth + 1):
        alive = schedule.alive(level)
        if 0 < level < schedule.depth:
            # Each node above the middle of what it reads keeps most lines from crossing.
            alive = sorted(alive, key=lambda i: _middle(schedule, order, i, level))
        for position, i in enumerate(alive):
            key = (i, level)
            order[key] = (position + 0.5) * widest / len(alive)
            places[key] = (order[key], 1.5 * level)
            node = plan.nodes[i]
            passes = schedule.level[i] < level
            labels[key] = "·" if passes else node.name or ("×" if node.kind == "product" else "+")
            colours[key] = SUM if passes else {"input": INPUT, "sum": SUM, "product": PRODUCT}[node.kind]
            if passes:
                links.append(((i, level - 1), key, "", 0.5))
            else:
                links += [
                    ((e.source, level - 1), key, _function(e), 0.35 + 0.15 * (n % 3)) for n, e in enumerate(node.edges)
                ]
    for name, output in zip(program.outputs, plan.outputs):
        labels[(output.node, schedule.depth)] += f"  {name}"
    return places, links, labels, colours


def _middle(schedule: Any, order: Any, i: int, level: int) -> float:
    if schedule.level[i] < level:
        return order[(i, level - 1)]
    sources = [order[(edge.source, level - 1)] for edge in schedule.plan.nodes[i].edges]
    return sum(sources) / len(sources) if sources else 0.0


def _function(edge: PlanEdge) -> str:
    if edge.function == "x":
        slope = edge.c * edge.a
        return {1.0: "", -1.0: "-x"}.get(slope, f"{slope:.3g} x")
    return f"x^{edge.shape:.3g}" if edge.function == "power" else edge.function


def _short(text: str, n: int) -> str:
    return text if len(text) <= n else text[: n - 1] + "…"
