"""Look inside: every stage of the compiler as text, as data and as a drawing.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kan2.errors import named_options
from kanpiler.compiler import Stages, compile_stages
from kanpiler.diagnose import Trouble
from kanpiler.draw import draw
from kanpiler.limits import SECONDS
from kanpiler.plan import PlanEdge, PlanFactor, PlanNode

if TYPE_CHECKING:
    import networkx
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Explanation:
    """The stages of one compilation; `str` shows them all, `plot()` draws them.

    Attributes:
        stages: program, normal form and schedule.
        trouble: where the formula is not finite and real on the domain.
    """

    stages: Stages
    trouble: tuple[Trouble, ...]

    @property
    def graph(self) -> "networkx.MultiDiGraph":
        """The plan as a graph: inputs, sums and products, with functions on the edges and layers on the nodes."""
        graph = self.stages.schedule.plan.graph()
        for node, level in enumerate(self.stages.schedule.level):
            graph.nodes[node]["layer"] = level
        return graph

    def parsed(self) -> str:
        """The expression trees that were read, one line a part."""
        return "\n".join(
            line
            for name, expression in zip(self.stages.program.outputs, self.stages.program.expressions)
            for line in [f"{name} =", *_tree(expression, "  ")]
        )

    def normal_form(self) -> str:
        """The normal forms."""
        pairs = zip(self.stages.program.outputs, self.stages.normal)
        return "\n".join(f"{name} = {expression}" for name, expression in pairs)

    def plan(self) -> str:
        """The nodes of the plan, each with the formula that it computes from others."""
        plan = self.stages.schedule.plan
        names = _names(plan.nodes)
        lines = [f"{names[i]} = {_node_text(node, names)}" for i, node in enumerate(plan.nodes) if node.kind != "input"]
        for name, output in zip(self.stages.program.outputs, plan.outputs):
            scaled = _affine(names[output.node], output.scale, output.bias)
            lines.append(f"{name} = {scaled}")
        return "\n".join(lines)

    def layers(self) -> str:
        """The nodes of every layer; a prime marks a value that is only passed through."""
        schedule = self.stages.schedule
        names = _names(schedule.plan.nodes)
        lines = []
        for level in range(schedule.depth + 1):
            alive = [names[i] + ("'" if schedule.level[i] < level else "") for i in schedule.alive(level)]
            lines.append(f"layer {level}: {', '.join(alive)}")
        return "\n".join(lines)

    def size(self) -> str:
        """Nodes, edges, depth and width."""
        return self.stages.schedule.size()

    def __str__(self) -> str:
        parts = {
            "Parsed": self.parsed(),
            "Normal form": self.normal_form(),
            "Plan": self.plan(),
            "Layers": self.layers(),
            "Size": self.size(),
        }
        if self.trouble:
            parts["Domain"] = "\n".join(trouble.message for trouble in self.trouble)
        return "\n\n".join(
            f"{title}\n" + "\n".join(f"  {line}" for line in text.split("\n")) for title, text in parts.items()
        )

    def plot(self) -> "Figure":
        """Draws the parsed tree and the layered plan side by side."""
        return draw(self.stages)


@named_options
def explain(
    expr: Any, inputs: Any = None, domain: Any = None, optimize: str | None = None, seconds: float = SECONDS
) -> Explanation:
    """Runs the compiler and keeps every stage.

    Args:
        expr: anything `compile` takes.
        inputs: ordered input names, as in `compile`.
        domain: intervals of inputs, as in `compile`.
        optimize: as in `compile`.
        seconds: as in `compile`.

    Returns:
        An `Explanation`; print it, draw it with `.plot()`, or read `.graph`.

    Example:
        >>> print(explain("x*sin(y) + 1").plan())
        n1 = x*sin(y)
        f = n1 + 1
    """
    stages = compile_stages(expr, inputs, domain, optimize, seconds)
    return Explanation(stages, stages.trouble())


def _tree(expression: Any, indent: str) -> list[str]:
    if not expression.args:
        return [f"{indent}{expression}"]
    lines = [f"{indent}{expression.func.__name__}"]
    for argument in expression.args:
        lines += _tree(argument, indent + "  ")
    return lines


def _names(nodes: tuple[PlanNode, ...]) -> list[str]:
    n_inputs = sum(node.kind == "input" for node in nodes)
    return [node.name or f"n{i - n_inputs + 1}" for i, node in enumerate(nodes)]


def _node_text(node: PlanNode, names: list[str]) -> str:
    if node.kind == "sum":
        return _factor_text(node.factors[0], names)
    texts = [_factor_text(factor, names) for factor in node.factors]
    # What stands in parentheses already, as the argument of a function, needs none around.
    return "*".join(f"({t})" if set(" /-") & set(re.sub(r"\(.*\)", "", t)) else t for t in texts)


def _factor_text(factor: PlanFactor, names: list[str]) -> str:
    terms = [edge_text(edge, names[edge.source]) for edge in factor.edges]
    if factor.bias or not terms:
        terms.append(f"{factor.bias:.6g}")
    return " + ".join(terms).replace("+ -", "- ")


def edge_text(edge: PlanEdge, source: str) -> str:
    """Writes an edge as a formula of its source."""
    u = _affine(source, edge.a, edge.b)
    name = edge.function
    if name == "x":
        text = u
    elif name == "power":
        text = f"({u})**{edge.shape:.6g}" if " " in u or "*" in u else f"{u}**{edge.shape:.6g}"
    elif "x" in name and not name.isalpha():
        text = name.replace("x", u if u.isidentifier() else f"({u})")
    elif name == "1/sqrt":
        text = f"1/sqrt({u})"
    else:
        text = f"{name}({u})" if edge.shape is None else f"{name}({edge.shape:.6g}, {u})"
    if edge.c == 1:
        return text
    text = f"({text})" if " " in text or text.startswith("1/") else text
    return f"-{text}" if edge.c == -1 else f"{edge.c:.6g}*{text}"


def _affine(text: str, a: float, b: float) -> str:
    scaled = text if a == 1 else f"-{text}" if a == -1 else f"{a:.6g}*{text}"
    return scaled if b == 0 else f"{scaled} {'+' if b > 0 else '-'} {abs(b):.6g}"
