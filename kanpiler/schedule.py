"""The schedule: which layer computes which node, and which values are passed through layers that do not use them.

The network is as deep as the longest path of the plan. A node may be computed as soon as its sources are there or as
late as its consumers allow; what is cheaper is found by moving single nodes while that saves *pass-throughs*, the
identity edges that carry a value over a layer.

Reference: Gansner et al., A technique for drawing directed graphs (1993), section 2, for the same problem of ranks.
"""

from dataclasses import dataclass

from kanpiler.plan import Plan


@dataclass(frozen=True)
class Schedule:
    """Layers of a plan.

    Attributes:
        plan: what is scheduled.
        level: for each node the layer of nodes it is in; 0 holds the inputs, `depth` the outputs.
        last: for each node the last layer of nodes in which its value is there, >= level.
        depth: number of layers of edges.
    """

    plan: Plan
    level: tuple[int, ...]
    last: tuple[int, ...]
    depth: int

    @property
    def n_passes(self) -> int:
        """Number of pass-throughs."""
        return sum(last - level for last, level in zip(self.last, self.level))

    @property
    def n_nodes(self) -> int:
        """Number of nodes after the inputs, pass-throughs among them."""
        return len(self.plan.nodes) - len(self.plan.inputs) + self.n_passes

    @property
    def n_edges(self) -> int:
        """Number of edges, pass-throughs among them; parallel terms from one node to one factor are one edge."""
        factors = (factor for node in self.plan.nodes for factor in node.factors)
        return sum(len({edge.source for edge in factor.edges}) for factor in factors) + self.n_passes

    @property
    def width(self) -> int:
        """Number of nodes of the widest layer after the inputs."""
        return max(len(self.alive(level)) for level in range(1, self.depth + 1))

    def size(self) -> str:
        """Says how large the network is: nodes, edges, depth and width."""
        passes = f"{self.n_edges} edges ({self.n_passes} pass-throughs)"
        return f"{self.n_nodes} nodes, {passes}, depth {self.depth}, width {self.width}"

    def alive(self, level: int) -> list[int]:
        """Nodes whose value is there in a layer of nodes, in the order of the plan; outputs in their own order."""
        if level == self.depth:
            return [output.node for output in self.plan.outputs]
        return [i for i in range(len(self.plan.nodes)) if self.level[i] <= level <= self.last[i]]


def schedule(plan: Plan) -> Schedule:
    """Assigns layers, with the least depth and few pass-throughs.

    Example:
        >>> import sympy
        >>> from kanpiler.plan import build_plan
        >>> x, y = sympy.symbols("x y", real=True)
        >>> schedule(build_plan([sympy.sin(x * y) + x], ["x", "y"])).n_passes
        1
    """
    n, n_inputs = len(plan.nodes), len(plan.inputs)
    sources = [sorted({edge.source for edge in node.edges}) for node in plan.nodes]
    consumers: list[list[int]] = [[] for _ in range(n)]
    for i in range(n):
        for source in sources[i]:
            consumers[source].append(i)
    outputs = {output.node for output in plan.outputs}

    level = [0] * n
    for i in range(n_inputs, n):
        level[i] = 1 + max((level[s] for s in sources[i]), default=0)
    depth = max(level[i] for i in outputs)
    for i in outputs:
        level[i] = depth

    def last(i: int) -> int:
        return max((level[c] - 1 for c in consumers[i]), default=level[i])

    def carried(i: int) -> int:
        """Pass-throughs of a node and of its sources."""
        return last(i) - level[i] + sum(last(s) - level[s] for s in sources[i])

    moved = True
    while moved:
        moved = False
        for i in range(n - 1, n_inputs - 1, -1):
            if i in outputs:
                continue
            low = 1 + max((level[s] for s in sources[i]), default=0)
            high = min(level[c] for c in consumers[i]) - 1
            best, cost = level[i], carried(i)
            for candidate in range(low, high + 1):
                level[i] = candidate
                if carried(i) < cost:
                    best, cost, moved = candidate, carried(i), True
            level[i] = best
    return Schedule(plan, tuple(level), tuple(last(i) for i in range(n)), depth)
