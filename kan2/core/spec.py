"""What a network is: frozen descriptions of layers and edges, without numbers.

A *layer* maps source nodes to *subnodes* along edges, and subnodes to the next nodes: the first `n_sum` subnodes pass
through, the others are multiplied in consecutive groups, one group of `arity` subnodes for each multiplication node.
An *edge* (layer, target, source) joins a source node to a target subnode. It may carry a numeric activation (a basis
expansion), symbolic terms, both, or nothing. Tensors hold the numbers; everything else about a network is here.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 2.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

from kan2 import functions
from kan2.core.spec_json import network_fields
from kan2.core.strict_json import JSONError, read_json
from kan2.errors import EdgeError, SpecError, UnknownNameError
from kan2.types import EdgeIndex


class _Shared:
    """What never changes: copies of a network share it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@dataclass(frozen=True)
class SymbolicTerm(_Shared):
    """One symbolic function on an edge: c f(a x + b) + d.

    Attributes:
        target: subnode of the layer that receives the value.
        source: node of the layer that is read.
        function: a name in `kan2.functions`.
        free: which of the numbers a, b, c, d and p (shape) training may change.
    """

    target: int
    source: int
    function: str
    free: str = "abcdp"

    def __post_init__(self) -> None:
        functions.get(self.function)
        if not set(self.free) <= set("abcdp"):
            raise SpecError(f"SymbolicTerm: expected free to hold letters of 'abcdp', got {self.free!r}.")


@dataclass(frozen=True)
class BasisSpec(_Shared):
    """The numeric activations of a layer: w_b b(x) + sum_i c_i B_i(x).

    Attributes:
        kind: name of the basis, see `kan2.core.bases`.
        grid: number of intervals G between the first and the last grid point, >= 1.
        k: polynomial order of the spline, 0 to 5; 3 is cubic.
        base_fun: the fixed function b: "silu", "identity", "tanh" or "zero".
        grid_eps: 1 for uniform grids, 0 for grids at sample quantiles, between for a mixture.
        margin: how far a grid that follows data reaches beyond them, as a share of their range.
        outside: what b does outside the grid: "tangent" continues it along the tangent at the nearest end, as the
            splines are; "base" leaves it as it is.
    """

    kind: str = "bspline"
    grid: int = 5
    k: int = 3
    base_fun: str = "silu"
    grid_eps: float = 1.0
    margin: float = 0.05
    outside: str = "tangent"

    def __post_init__(self) -> None:
        for name, low, high in (("grid", 1, 100_000), ("k", 0, 5)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SpecError(f"BasisSpec: expected an integer {name} between {low} and {high}, got {value!r}.")
        if not 0 <= self.grid_eps <= 1:
            raise SpecError(f"BasisSpec: expected 0 <= grid_eps <= 1, got {self.grid_eps!r}.")
        if not 0 <= self.margin < 10:
            raise SpecError(f"BasisSpec: expected 0 <= margin < 10, got {self.margin!r}.")
        if self.outside not in ("tangent", "base"):
            raise SpecError(f"BasisSpec: expected outside to be 'tangent' or 'base', got {self.outside!r}.")


@dataclass(frozen=True)
class LayerSpec(_Shared):
    """One layer: its sizes, its edges, its basis.

    Attributes:
        n_in: number of source nodes.
        n_sum: number of addition nodes.
        arities: the number of factors of each multiplication node.
        numeric: the (target, source) pairs with a numeric activation; "all" for every pair.
        terms: the symbolic terms; several may share a pair.
        basis: how numeric activations are expanded.
        affine_trainable: whether the scales and biases of nodes and subnodes are trained.
    """

    n_in: int
    n_sum: int
    arities: tuple[int, ...] = ()
    numeric: Literal["all"] | tuple[tuple[int, int], ...] = "all"
    terms: tuple[SymbolicTerm, ...] = ()
    basis: BasisSpec = field(default_factory=BasisSpec)
    affine_trainable: bool = False

    def __post_init__(self) -> None:
        if self.n_in < 1 or self.n_sum < 0 or self.n_out < 1:
            raise SpecError(
                f"LayerSpec: expected at least one source and one node, got n_in={self.n_in}, n_sum={self.n_sum}, "
                f"arities={self.arities}."
            )
        if any(a < 1 for a in self.arities):
            raise SpecError(f"LayerSpec: expected arities >= 1, got {self.arities}.")
        pairs = [(t.target, t.source) for t in self.terms]
        if self.numeric != "all":
            unique = tuple(sorted({(int(t), int(s)) for t, s in self.numeric}))
            full = len(unique) == self.n_subnodes * self.n_in
            object.__setattr__(self, "numeric", "all" if full else unique)
            pairs += unique
        for target, source in pairs:
            if not (0 <= target < self.n_subnodes and 0 <= source < self.n_in):
                raise EdgeError(
                    f"LayerSpec: expected targets below {self.n_subnodes} and sources below {self.n_in}, "
                    f"got the edge (target {target}, source {source})."
                )

    def __deepcopy__(self, memo: dict[int, Any]) -> "LayerSpec":
        # Frozen all the way down: sharing it makes copies of networks cheap.
        return self

    @property
    def row_width(self) -> int:
        """About how many numbers the layer makes of one row: values of basis functions and of terms, and its sums."""
        functions = self.n_in * (self.basis.grid + self.basis.k + 1) if self.numeric else 0
        return functions + 2 * len(self.terms) + self.n_subnodes

    @property
    def n_subnodes(self) -> int:
        """Number of subnodes: the addition nodes and the factors of all products."""
        return self.n_sum + sum(self.arities)

    @property
    def n_out(self) -> int:
        """Number of nodes: addition nodes first, then multiplication nodes."""
        return self.n_sum + len(self.arities)

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """For each node, the subnodes that feed it."""
        groups: list[tuple[int, ...]] = [(i,) for i in range(self.n_sum)]
        start = self.n_sum
        for arity in self.arities:
            groups.append(tuple(range(start, start + arity)))
            start += arity
        return tuple(groups)

    @cached_property
    def numeric_pairs(self) -> tuple[tuple[int, int], ...]:
        """The (target, source) pairs with a numeric activation, sorted."""
        if self.numeric != "all":
            return self.numeric
        return tuple((t, s) for t in range(self.n_subnodes) for s in range(self.n_in))

    @cached_property
    def active_pairs(self) -> tuple[tuple[int, int], ...]:
        """The (target, source) pairs that carry anything at all, sorted."""
        return tuple(sorted({*self.numeric_pairs, *((t.target, t.source) for t in self.terms)}))


@dataclass(frozen=True)
class Edge:
    """One edge as users see it: where it is and what it carries."""

    layer: int
    target: int
    source: int
    is_numeric: bool
    functions: tuple[str, ...]

    @property
    def index(self) -> EdgeIndex:
        """(layer, target, source), by which verbs take it."""
        return self.layer, self.target, self.source


@dataclass(frozen=True)
class NetworkSpec(_Shared):
    """A whole network: layers, and the names of what goes in and comes out.

    Attributes:
        layers: at least one.
        inputs: names of the columns that `forward` takes.
        outputs: names of the columns it gives.
        features: what the nodes of the first layer read: names of inputs or of auxiliary variables.
        auxiliary: (name, definition in terms of inputs) of each auxiliary variable.
    """

    layers: tuple[LayerSpec, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    auxiliary: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.layers:
            raise SpecError("NetworkSpec: expected at least one layer, got none.")
        for i, (left, right) in enumerate(zip(self.layers, self.layers[1:])):
            if left.n_out != right.n_in:
                raise SpecError(
                    f"NetworkSpec: expected layer {i + 1} to read the {left.n_out} nodes of layer {i}, "
                    f"got n_in={right.n_in}."
                )
        n_in, n_out = self.layers[0].n_in, self.layers[-1].n_out
        fill = object.__setattr__
        if not self.inputs:
            fill(self, "inputs", self.features or default_names("x", n_in))
        if not self.features:
            fill(self, "features", self.inputs)
        if not self.outputs:
            fill(self, "outputs", ("y",) if n_out == 1 else default_names("y", n_out))
        for what, given, n in (("features", self.features, n_in), ("outputs", self.outputs, n_out)):
            if len(given) != n:
                raise SpecError(f"NetworkSpec: expected {n} {what}, got {len(given)}: {', '.join(given)}.")
        known = [*self.inputs, *(name for name, _ in self.auxiliary)]
        names = set(known)
        if len(names) != len(known):
            raise SpecError(f"NetworkSpec: expected different names, got {', '.join(known)}.")
        if unknown := [name for name in self.features if name not in names]:
            raise SpecError(
                f"NetworkSpec: expected features among inputs and auxiliary variables ({', '.join(known)}), "
                f"got {', '.join(unknown)}."
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> "NetworkSpec":
        return self

    @property
    def width(self) -> list[list[int]]:
        """Numbers of addition and multiplication nodes, inputs first: [[2, 0], [5, 2], [1, 0]]."""
        return [[self.layers[0].n_in, 0], *([layer.n_sum, len(layer.arities)] for layer in self.layers)]

    @property
    def n_edges(self) -> int:
        """Number of edges that carry anything."""
        return sum(len(layer.active_pairs) for layer in self.layers)

    def edges(self) -> Iterator[Edge]:
        """Yields every edge that carries anything."""
        for i, layer in enumerate(self.layers):
            numeric = set(layer.numeric_pairs)
            carried: dict[tuple[int, int], list[str]] = {}
            for term in layer.terms:
                carried.setdefault((term.target, term.source), []).append(term.function)
            for target, source in layer.active_pairs:
                pair = (target, source)
                yield Edge(i, target, source, pair in numeric, tuple(carried.get(pair, ())))

    def check_edge(self, edge: EdgeIndex, where: str, *, may_be_empty: bool = False) -> None:
        """Raises EdgeError unless (layer, target, source) is a pair of nodes and, by default, carries something."""
        if not (isinstance(edge, tuple | list) and len(edge) == 3):
            raise EdgeError(f"{where}: expected an edge (layer, target, source), got {edge!r}.")
        index, target, source = edge
        if not 0 <= index < len(self.layers):
            raise EdgeError(f"{where}: expected a layer below {len(self.layers)}, got {index} in edge {tuple(edge)}.")
        layer = self.layers[index]
        is_pair = 0 <= target < layer.n_subnodes and 0 <= source < layer.n_in
        if not ((is_pair and may_be_empty) or (target, source) in layer.active_pairs):
            raise EdgeError(
                f"{where}: expected an edge that {'exists' if may_be_empty else 'carries something'}, got "
                f"{tuple(edge)}. Layer {index} has {layer.n_subnodes} targets, {layer.n_in} sources and "
                f"{len(layer.active_pairs)} edges that carry something; an edge is (layer, target, source)."
            )

    def replace_layers(self, layers: Sequence[LayerSpec]) -> "NetworkSpec":
        """Returns the spec with other layers of the same outer sizes."""
        return replace(self, layers=tuple(layers))

    def to_json(self) -> str:
        """Returns the spec as JSON text."""
        return json.dumps({"format": 1, **asdict(self)})

    @classmethod
    def from_width(
        cls,
        width: Sequence[int | Sequence[int]],
        mult_arity: int | Sequence[Sequence[int]] = 2,
        basis: BasisSpec = BasisSpec(),
        *,
        affine_trainable: bool = False,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
    ) -> "NetworkSpec":
        """Describes a network whose edges are all numeric, from its numbers of nodes; see `parse_width`.

        Example:
            >>> NetworkSpec.from_width([2, [1, 1], 1]).n_edges
            8
        """
        layers = tuple(
            LayerSpec(left[0] + len(left[1]), n_sum, arities, basis=basis, affine_trainable=affine_trainable)
            for left, (n_sum, arities) in itertools.pairwise(parse_width(width, mult_arity))
        )
        return cls(layers, tuple(inputs), tuple(outputs))

    @classmethod
    def from_json(cls, text: str) -> "NetworkSpec":
        """Reads what `to_json` wrote.

        Raises:
            SpecError: the text is not a network description, or names functions that are not in the table.
        """
        try:
            return cls.from_fields(network_fields(read_json(text)))
        except (EdgeError, JSONError, SpecError, UnknownNameError) as error:
            raise SpecError(f"NetworkSpec.from_json: expected the JSON of a NetworkSpec, got: {error}") from error

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "NetworkSpec":
        """Builds the spec that checked fields describe, see `kan2.core.spec_json.network_fields`."""
        layers = []
        for layer in fields["layers"]:
            terms = tuple(SymbolicTerm(**term) for term in layer["terms"])
            layers.append(LayerSpec(**{**layer, "terms": terms, "basis": BasisSpec(**layer["basis"])}))
        return cls(**{**fields, "layers": tuple(layers)})


def default_names(stem: str, n: int) -> tuple[str, ...]:
    """Returns stem1, stem2, ..., n names.

    Example:
        >>> default_names("x", 3)
        ('x1', 'x2', 'x3')
    """
    return tuple(f"{stem}{i + 1}" for i in range(n))


def parse_width(
    width: Sequence[int | Sequence[int]], mult_arity: int | Sequence[Sequence[int]] = 2
) -> list[tuple[int, tuple[int, ...]]]:
    """Reads `width=[2, [5, 2], 1]` and `mult_arity` into (n_sum, arities) of every layer of nodes, inputs included.

    Args:
        width: for each layer of nodes its number of addition nodes, or [addition nodes, multiplication nodes].
        mult_arity: one arity for all multiplication nodes, or a list of arities for each layer of nodes.

    Raises:
        SpecError: negative or empty layers, multiplication among the inputs, arities that contradict the width.

    Example:
        >>> parse_width([2, [5, 2], 1], 3)
        [(2, ()), (5, (3, 3)), (1, ())]
    """
    if not isinstance(width, Sequence) or isinstance(width, str) or len(width) < 2:
        raise SpecError(f"width: expected at least inputs and outputs, such as [2, 5, 1], got {width!r}.")
    nodes: list[tuple[int, int]] = []
    for i, entry in enumerate(width):
        pair = entry if isinstance(entry, Sequence) else (entry, 0)
        if len(pair) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in pair):
            raise SpecError(f"width: expected a number or [sums, products] at position {i}, got {entry!r}.")
        if sum(pair) == 0:
            raise SpecError(f"width: expected at least one node at position {i}, got {entry!r}.")
        nodes.append((pair[0], pair[1]))
    if nodes[0][1]:
        raise SpecError(f"width: expected only plain inputs at position 0, got {width[0]!r}.")
    if isinstance(mult_arity, int) and not isinstance(mult_arity, bool):
        arities = [(mult_arity,) * n_mult for _, n_mult in nodes]
    else:
        arities = [tuple(a) for a in mult_arity]  # type: ignore[union-attr]
    if [len(a) for a in arities] != [n_mult for _, n_mult in nodes]:
        raise SpecError(
            f"mult_arity: expected one arity for each multiplication node, {[n for _, n in nodes]} a layer, "
            f"got {mult_arity!r}. Give one number, or a list such as [[], [2, 3], []]."
        )
    if bad := [a for layer in arities for a in layer if isinstance(a, bool) or not isinstance(a, int) or a < 2]:
        raise SpecError(f"mult_arity: expected integers >= 2, got {bad}.")
    return [(n_sum, a) for (n_sum, _), a in zip(nodes, arities)]
