"""The plan: a network on paper, a directed acyclic graph of sums and products without layers and without torch.

A *node* is an input, or the product of *factors*; a sum is a node with one factor. A factor is a bias plus a sum of
*edges*, and an edge is c f(a s + b), where s is the value of its source node. Equal subexpressions share a node, and so
do subexpressions that are affine in each other: sin(x + y) and cos(2 x + 2 y + 1) both read the node x + y.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import isfinite
from typing import TYPE_CHECKING, Any

import sympy

from kanpiler.catalog import row_of
from kanpiler.errors import UnsupportedExpression
from kanpiler.shared import Shared

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True)
class PlanEdge:
    """One term c f(a s + b; shape), s being the value of node `source`."""

    source: int
    function: str = "x"
    a: float = 1.0
    b: float = 0.0
    c: float = 1.0
    shape: float | None = None

    @property
    def is_identity(self) -> bool:
        """Whether the edge hands its source on, up to a factor."""
        return self.function == "x"


@dataclass(frozen=True)
class PlanFactor:
    """A bias plus a sum of edges."""

    edges: tuple[PlanEdge, ...]
    bias: float = 0.0


@dataclass(frozen=True)
class PlanNode:
    """A product of factors; an input has none, a sum has one.

    Attributes:
        factors: what is multiplied.
        name: of an input; empty otherwise.
        expression: the SymPy expression this node stands for, for display.
    """

    factors: tuple[PlanFactor, ...] = ()
    name: str = ""
    expression: Any = None

    @property
    def formula(self) -> str:
        """The expression of this node as text."""
        return self.name or str(self.expression)

    @property
    def kind(self) -> str:
        """ "input", "sum" or "product"."""
        return ("input", "sum", "product")[min(len(self.factors), 2)]

    @property
    def edges(self) -> Iterator[PlanEdge]:
        """All edges into the node."""
        return (edge for factor in self.factors for edge in factor.edges)


@dataclass(frozen=True)
class PlanOutput:
    """An output: scale * node + bias. Its node feeds nothing else."""

    node: int
    scale: float = 1.0
    bias: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Nodes in topological order, inputs first, and outputs."""

    nodes: tuple[PlanNode, ...]
    outputs: tuple[PlanOutput, ...]
    inputs: tuple[str, ...]

    @property
    def n_edges(self) -> int:
        """Number of terms."""
        return sum(1 for node in self.nodes for _ in node.edges)

    def graph(self) -> "networkx.MultiDiGraph":
        """Returns the plan as a graph from inputs to outputs, with kind, label and formula as attributes."""
        import networkx

        graph = networkx.MultiDiGraph()
        outputs = {output.node for output in self.outputs}
        for i, node in enumerate(self.nodes):
            label = node.name or ("×" if node.kind == "product" else "+")
            graph.add_node(i, kind=node.kind, label=label, formula=node.formula, is_output=i in outputs)
            for position, factor in enumerate(node.factors):
                for edge in factor.edges:
                    graph.add_edge(edge.source, i, function=edge.function, factor=position, edge=edge)
        return graph


UNKNOWN = "?"
"""Before the name of an unknown function on an edge."""


@dataclass(frozen=True)
class PlanCall:
    """An unknown function at an argument; a symbol stands for its value.

    Attributes:
        value: the symbol, real.
        function: its name.
        argument: in normal form, over inputs and values of calls before this one.
    """

    value: sympy.Symbol
    function: str
    argument: sympy.Expr


def build_plan(expressions: Sequence[sympy.Expr], inputs: Sequence[str], calls: Sequence[PlanCall] = ()) -> Plan:
    """Builds the plan of expressions in normal form.

    Args:
        expressions: one an output.
        inputs: names of the inputs.
        calls: of unknown functions in them.

    Raises:
        UnsupportedExpression: a constant is not a finite real number in float64.

    Example:
        >>> x, y = sympy.symbols("x y", real=True)
        >>> plan = build_plan([x * sympy.sin(y) + 1], ["x", "y"])
        >>> plan.nodes[2].kind, plan.n_edges, plan.outputs[0].bias
        ('product', 2, 1.0)
    """
    builder = _Builder(inputs, calls)
    roots = [builder.sum_node(*builder.linear(expression), expression) for expression in expressions]
    return _fuse_outputs(builder.nodes, roots, tuple(inputs))


def number(value: Any) -> float:
    """Returns a SymPy number as float64.

    Raises:
        UnsupportedExpression: it is complex, infinite or beyond float64.
    """
    try:
        result = float(value)
    except (TypeError, ValueError, ArithmeticError):
        result = float("nan")
    if not isfinite(result):
        raise UnsupportedExpression(f"compile: the constant {value} is not a finite real number in float64.")
    return result


Terms = dict[Any, Any]


class _Builder:
    """Builds nodes bottom-up; every node is known by the expression it stands for."""

    def __init__(self, inputs: Sequence[str], calls: Sequence[PlanCall] = ()) -> None:
        self.nodes = [PlanNode(name=name) for name in inputs]
        self.calls: dict[Any, PlanCall] = {call.value: call for call in calls}
        self.arguments: dict[tuple[Any, str], int] = {}
        self.read_by: dict[int, str] = {}
        self.known: dict[Any, int] = {sympy.Symbol(name, real=True): i for i, name in enumerate(inputs)}
        self.sums: dict[Any, tuple[int, Any]] = {}

    def add(self, node: PlanNode) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def linear(self, expression: Any) -> tuple[Any, Terms]:
        """Splits an expression into a constant and a weighted sum of *atoms*: symbols, products, functions, powers."""
        bias: Any = sympy.Integer(0)
        terms: Terms = {}

        def collect(part: Any, weight: Any) -> None:
            nonlocal bias
            if part.is_number:
                bias += weight * part
            elif part.is_Add:
                for argument in part.args:
                    collect(argument, weight)
            else:
                numbers, rest = part.as_independent(*part.free_symbols, as_Add=False) if part.is_Mul else (1, part)
                if rest.is_Add:
                    collect(rest, weight * numbers)
                else:
                    terms[rest] = terms.get(rest, 0) + weight * numbers

        collect(expression, sympy.Integer(1))
        return bias, {atom: weight for atom, weight in terms.items() if weight != 0}

    def factor(self, bias: Any, terms: Terms) -> PlanFactor:
        """Builds the edges of a weighted sum of atoms."""
        total, edges = number(bias), []
        for atom, weight in terms.items():
            if atom in self.calls and weight == 1:
                edges.append(self.call(self.calls[atom]))
                continue
            edge, shift = self.edge(atom)
            edges.append(replace(edge, c=edge.c * number(weight)))
            total += shift * number(weight)
        return PlanFactor(tuple(edges), total)

    def sum_node(self, bias: Any, terms: Terms, expression: Any) -> int:
        return self.add(PlanNode((self.factor(bias, terms),), expression=expression))

    def edge(self, atom: Any) -> tuple[PlanEdge, float]:
        """Builds the edge that carries an atom, up to an added constant."""
        if atom.is_Symbol or atom.is_Mul or isinstance(atom, Shared):
            return PlanEdge(self.value(atom)), 0.0
        for fused in _FUSED:
            if (match := fused(atom)) is not None:
                name, inner, weight = match
                source, a, b = self.affine(inner)
                return PlanEdge(source, name, a, b, weight), 0.0
        row = row_of(atom)
        assert row is not None, atom  # the normal form holds nothing else
        name, inner, shape = row
        source, a, b = self.affine(inner)
        return PlanEdge(source, name, a, b, shape=None if shape is None else number(shape)), 0.0

    def affine(self, expression: Any) -> tuple[int, float, float]:
        """Returns (node, a, b) such that the expression is a * node + b."""
        bias, terms = self.linear(expression)
        if len(terms) == 1:
            [(atom, weight)] = terms.items()
            return self.value(atom), number(weight), number(bias)
        atoms = sorted(terms, key=sympy.default_sort_key)
        lead = terms[atoms[0]]
        key = tuple((atom, terms[atom] / lead) for atom in atoms)
        if key not in self.sums:
            # The common factor goes into the edges that read the node: sin(2 x + 2 y) reads x + y.
            common = _common_factor(terms.values(), lead)
            primitive = {atom: weight / common for atom, weight in terms.items()}
            node = self.sum_node(0, primitive, sympy.Add(*(weight * atom for atom, weight in primitive.items())))
            self.sums[key] = (node, lead / common)
        node, scale = self.sums[key]
        return node, number(lead / scale), number(bias)

    def value(self, atom: Any) -> int:
        """Returns the node whose value is an atom."""
        if atom not in self.known:
            if atom in self.calls:
                edge = self.call(self.calls[atom])
                self.known[atom] = self.add(PlanNode((PlanFactor((edge,)),), expression=atom))
            elif isinstance(atom, Shared):
                self.known[atom] = self.sum_node(*self.linear(atom.definition), atom.definition)
            elif atom.is_Mul or _is_square_of_one_edge(atom):
                self.known[atom] = self.product_node(atom)
            else:
                self.known[atom] = self.sum_node(0, {atom: 1}, atom)
        return self.known[atom]

    def call(self, call: PlanCall) -> PlanEdge:
        """Builds the edge of an unknown function, which has no numbers a, b, c: all its edges are one curve."""
        key = call.argument, call.function
        if key not in self.arguments:
            bias, terms = self.linear(call.argument)
            [(atom, weight), *others] = terms.items() or [(None, 0)]
            if atom is None:
                raise UnsupportedExpression(
                    f"compile: expected an unknown function of something, got {call.function}({call.argument}). Write "
                    "a parameter in its place."
                )
            is_plain = bias == 0 and weight == 1 and not others
            node = self.value(atom) if is_plain else self.sum_node(bias, terms, call.argument)
            if self.read_by.setdefault(node, call.function) != call.function:
                # The knots of a node are those of one function.
                node = self.add(PlanNode((PlanFactor((PlanEdge(node),)),), expression=call.argument))
                self.read_by[node] = call.function
            self.arguments[key] = node
        return PlanEdge(self.arguments[key], UNKNOWN + call.function)

    def product_node(self, atom: Any) -> int:
        factors = []
        for argument in atom.args if atom.is_Mul else [atom]:
            # The square of a function is the function twice: one layer less than squaring its value.
            twice = _is_square_of_one_edge(argument)
            factors += [self.factor(*self.linear(argument.base if twice else argument))] * (1 + twice)
        return self.add(PlanNode(tuple(factors), expression=atom))


def _common_factor(weights: Iterable[Any], lead: Any) -> Any:
    if not all(weight.is_Rational for weight in weights):
        return sympy.Integer(1)
    common = reduce(sympy.gcd, weights)
    return common if lead > 0 else -common


def _is_square_of_one_edge(atom: Any) -> bool:
    if not (atom.is_Pow and atom.exp == 2) or atom.base.is_Add or atom.base.is_Symbol or atom.base.is_Mul:
        return False
    row = row_of(atom.base)
    return row is not None


def _gaussian(atom: Any) -> tuple[str, Any, float] | None:
    if not isinstance(atom, sympy.exp):
        return None
    exponent: Any = atom.args[0]
    weight, rest = exponent.as_independent(*atom.free_symbols, as_Add=False)
    if rest.is_Pow and rest.exp == 2 and weight.is_negative:
        return "gaussian", sympy.sqrt(-weight) * rest.base, 1.0
    return None


_FUSED: list[Callable[[Any], tuple[str, Any, float] | None]] = [_gaussian]


def _fuse_outputs(nodes: list[PlanNode], roots: list[int], inputs: tuple[str, ...]) -> Plan:
    """Lets an output be a product node itself where it would only copy one, and drops nodes that feed nothing."""
    uses = [0] * len(nodes)
    for node in nodes:
        for edge in node.edges:
            uses[edge.source] += 1
    outputs = []
    for root in roots:
        factor = nodes[root].factors[0]
        edge = factor.edges[0] if len(factor.edges) == 1 else None
        if edge and edge.is_identity and nodes[edge.source].kind == "product" and uses[edge.source] == 1:
            outputs.append(PlanOutput(edge.source, edge.c, factor.bias))
        else:
            outputs.append(PlanOutput(root))
    return prune(nodes, outputs, inputs)


def prune(nodes: Sequence[PlanNode], outputs: Sequence[PlanOutput], inputs: tuple[str, ...]) -> Plan:
    """Drops nodes that feed nothing and puts the others in topological order."""
    order: list[int] = list(range(len(inputs)))
    seen = set(order)

    def visit(i: int) -> None:
        if i not in seen:
            seen.add(i)
            for edge in nodes[i].edges:
                visit(edge.source)
            order.append(i)

    for output in outputs:
        visit(output.node)
    new = {old: i for i, old in enumerate(order)}

    def moved(node: PlanNode) -> PlanNode:
        factors = tuple(
            replace(factor, edges=tuple(replace(edge, source=new[edge.source]) for edge in factor.edges))
            for factor in node.factors
        )
        return replace(node, factors=factors)

    kept = tuple(moved(nodes[i]) for i in order)
    return Plan(kept, tuple(replace(output, node=new[output.node]) for output in outputs), inputs)
