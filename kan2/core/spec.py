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
from typing import Any, Literal

from kan2.core.edge_spec import BasisSpec as BasisSpec
from kan2.core.edge_spec import Shared
from kan2.core.edge_spec import SymbolicTerm as SymbolicTerm
from kan2.core.spec_json import network_fields
from kan2.core.strict_json import JSONError, read_json
from kan2.core.theory import TheorySpec
from kan2.core.widths import default_names as default_names
from kan2.core.widths import parse_width as parse_width
from kan2.errors import EdgeError, SpecError, UnknownNameError, named_options
from kan2.options import LARGEST_LAYER, flag, is_whole, listed, size
from kan2.options import names as checked_names
from kan2.types import EdgeIndex


@named_options
@dataclass(frozen=True)
class LayerSpec(Shared):
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
        for name, low in (("n_in", 1), ("n_sum", 0)):
            n = size("LayerSpec", name, getattr(self, name), low, LARGEST_LAYER, error=SpecError)
            object.__setattr__(self, name, n)
        arities = listed(
            "LayerSpec", "arities", self.arities, "numbers of factors", "(2, 3)", in_order=True, error=SpecError
        )
        if not all(map(is_whole, arities)):
            raise SpecError(f"LayerSpec: expected arities as whole numbers >= 1, got {self.arities!r}.")
        object.__setattr__(self, "arities", tuple(map(int, arities)))
        terms = listed(
            "LayerSpec", "terms", self.terms, "SymbolicTerms", "(SymbolicTerm(0, 0, 'sin'),)", error=SpecError
        )
        if bad := [term for term in terms if not isinstance(term, SymbolicTerm)]:
            raise SpecError(f"LayerSpec: expected terms as a list of SymbolicTerms, got {bad[0]!r} in it.")
        object.__setattr__(self, "terms", tuple(terms))
        if not isinstance(self.basis, BasisSpec):
            raise SpecError(f"LayerSpec: expected basis as a BasisSpec, got {self.basis!r}. Pass BasisSpec(grid=5).")
        flag("LayerSpec", "affine_trainable", self.affine_trainable, error=SpecError)
        if self.n_in < 1 or self.n_sum < 0 or self.n_out < 1:
            raise SpecError(
                f"LayerSpec: expected at least one source and one node, got n_in={self.n_in}, n_sum={self.n_sum}, "
                f"arities={self.arities}."
            )
        if any(a < 1 for a in self.arities):
            raise SpecError(f"LayerSpec: expected arities >= 1, got {self.arities}.")
        size("LayerSpec", "sums and factors", self.n_subnodes, 1, LARGEST_LAYER, error=SpecError)
        pairs = [(t.target, t.source) for t in self.terms]
        if not isinstance(self.numeric, str) or self.numeric != "all":
            unique = tuple(sorted(_pairs(self.numeric)))
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


@named_options
@dataclass(frozen=True)
class NetworkSpec(Shared):
    """A whole network: layers, and the names of what goes in and comes out.

    Attributes:
        layers: at least one.
        inputs: names of the columns that `forward` takes.
        outputs: names of the columns it gives.
        features: what the nodes of the first layer read: names of inputs or of auxiliary variables.
        auxiliary: (name, definition in terms of inputs) of each auxiliary variable.
        theory: the formulas with named parameters and unknown functions that the network was compiled from, if any;
            its parameters are features too.
    """

    layers: tuple[LayerSpec, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    auxiliary: tuple[tuple[str, str], ...] = ()
    theory: TheorySpec | None = None

    def __post_init__(self) -> None:
        layers = listed("NetworkSpec", "layers", self.layers, "LayerSpecs", "(LayerSpec(2, 1),)", error=SpecError)
        if bad := [layer for layer in layers if not isinstance(layer, LayerSpec)]:
            raise SpecError(f"NetworkSpec: expected layers as a list of LayerSpecs, got {bad[0]!r} in it.")
        object.__setattr__(self, "layers", tuple(layers))
        for kind in ("inputs", "outputs", "features"):
            object.__setattr__(self, kind, checked_names("NetworkSpec", kind, getattr(self, kind), error=SpecError))
        auxiliary = listed("NetworkSpec", "auxiliary", self.auxiliary, "pairs (name, formula)", "(('r', 'x*y'),)",
                           error=SpecError)  # fmt: skip
        for pair in auxiliary:
            if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
                raise SpecError(f"NetworkSpec: expected auxiliary as pairs (name, formula), got {pair!r} in it.")
        object.__setattr__(self, "auxiliary", tuple((name, formula) for name, formula in auxiliary))
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
        if self.theory is not None and not isinstance(self.theory, TheorySpec):
            raise SpecError(f"NetworkSpec: expected theory as a TheorySpec or None, got {self.theory!r}.")
        parameters = () if self.theory is None else self.theory.parameters
        known = [*self.inputs, *(name for name, _ in self.auxiliary), *(one.name for one in parameters)]
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

    def check_edge(self, edge: EdgeIndex, where: str, *, may_be_empty: bool = False) -> EdgeIndex:
        """Returns the edge as three plain numbers.

        Raises:
            EdgeError: (layer, target, source) is no pair of nodes, or, by default, carries nothing.
        """
        if not (isinstance(edge, tuple | list) and len(edge) == 3 and all(map(is_whole, edge))):
            raise EdgeError(f"{where}: expected an edge (layer, target, source) of three whole numbers, got {edge!r}.")
        index, target, source = map(int, edge)
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
        return index, target, source

    def replace_layers(self, layers: Sequence[LayerSpec]) -> "NetworkSpec":
        """Returns the spec with other layers of the same outer sizes."""
        return replace(self, layers=tuple(layers))

    def to_json(self) -> str:
        """Returns the spec as JSON text."""
        fields = asdict(self)
        if self.theory is None:
            del fields["theory"]
        return json.dumps({"format": 1, **fields})

    @classmethod
    def from_width(
        cls,
        width: Sequence[int | Sequence[int]],
        mult_arity: int | Sequence[Sequence[int]] = 2,
        basis: BasisSpec = BasisSpec(),  # noqa: B008
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
        for kind, given in (("inputs", inputs), ("outputs", outputs)):
            checked_names("MultKAN", kind, given, error=SpecError)
        flag("MultKAN", "affine_trainable", affine_trainable, error=SpecError)
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
        theory = fields.get("theory")
        theory = None if theory is None else TheorySpec.from_fields(theory)
        return cls(**{**fields, "layers": tuple(layers), "theory": theory})


def _pairs(numeric: Any) -> set[tuple[int, int]]:
    pairs = listed("LayerSpec", "numeric", numeric, "pairs (target, source)", "((0, 0), (0, 1))", error=SpecError)
    for pair in pairs:
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(map(is_whole, pair))):
            raise SpecError(f"LayerSpec: expected numeric as pairs (target, source) or 'all', got {pair!r} in it.")
    return {(int(target), int(source)) for target, source in pairs}
