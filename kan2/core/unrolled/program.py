"""The program of a network, kept as long as its layers and their numbers are what they were.

The numbers are looked at in every call, so that a changed number is never missed; the tapes stay as long as the same of
them are 0 or 1.

Reference: Griewank, Walther, Evaluating Derivatives (2008), section 2.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kan2 import functions
from kan2.core.bases.base import in_transform
from kan2.core.edges import SymbolicEdges
from kan2.core.layer import KANLayer
from kan2.core.spec import LayerSpec
from kan2.core.unrolled.layout import Layout
from kan2.core.unrolled.tape import Tape
from kan2.core.unrolled.unroll import Unrolling

MAX_TERMS = 128
"""Beyond this many terms, one operation for all of them is quicker than many small ones."""

NUMBERS, AFFINES = ("affine", "shape"), ("subnode_scale", "subnode_bias", "node_scale", "node_bias")
"""The parameters of the terms of a layer, and those of the layer, in the order of `Layout`."""


@dataclass(frozen=True, eq=False)
class Held:
    """Parameters as they were: what they hold is seen through `views`, which keep the memory from being given away.

    Attributes:
        places: where the parameters were found, and which are there.
        parameters: the parameters.
        addresses: where their memory is.
        views: their memory.
        contents: what it held.
    """

    places: tuple[tuple[dict[str, Any], tuple[nn.Parameter, ...]], ...]
    parameters: tuple[nn.Parameter, ...]
    addresses: list[int]
    views: tuple[np.ndarray, ...]
    contents: list[bytes]

    @classmethod
    def of(cls, layers: Sequence[KANLayer]) -> "Held | None":
        """Looks at the parameters of layers; None where some are none, or not on the CPU, or not all of one type."""
        places = []
        for layer in layers:
            edges = layer.symbolic
            for names, module in (NUMBERS, edges), (AFFINES, layer):
                if module is not None:
                    places.append(module._parameters)
                    if tuple(module._parameters) != names:
                        return None
        parameters = tuple(p for place in places for p in place.values())
        if any(type(p) is not nn.Parameter or p.device.type != "cpu" or not p.is_contiguous() for p in parameters):
            return None
        if {p.dtype for p in parameters} not in ({torch.float32}, {torch.float64}):
            return None
        views = tuple(p.detach().numpy() for p in parameters)
        contents = [view.tobytes() for view in views]
        where = tuple((place, tuple(place.values())) for place in places)
        return cls(where, parameters, [p.data_ptr() for p in parameters], views, contents)

    def is_current(self) -> bool:
        """Tells whether the parameters are where they were and hold what they held."""
        # By functions of C over all of them, in every call. Not by their versions, which do not see what is written
        # through `data`.
        for place, parameters in self.places:
            if len(place) != len(parameters) or not all(map(is_, place.values(), parameters)):
                return False
        return (
            list(map(Tensor.data_ptr, self.parameters)) == self.addresses
            and list(map(np.ndarray.tobytes, self.views)) == self.contents
            and all(map(Tensor.is_contiguous, self.parameters))
        )


@dataclass(frozen=True, eq=False)
class Program:
    """The layers of a network, unrolled with the numbers they had.

    Attributes:
        layers: the layers.
        specs: what they were.
        edges: the terms they had.
        layout: where their numbers are.
        held: their parameters, in the order of the numbers.
        numbers: their numbers.
        coefficients: what the tapes read.
        revision: that of the table of functions.
        hooks: where hooks of the layers and their terms would be.
        has_free: which parameters have numbers that training may change.
        tapes: the tapes that were needed so far, by what they were needed for.
    """

    layers: tuple[KANLayer, ...]
    specs: tuple[LayerSpec, ...]
    edges: tuple[SymbolicEdges | None, ...]
    layout: Layout
    held: Held
    numbers: list[float]
    coefficients: list[float]
    revision: int
    hooks: tuple[Any, ...]
    has_free: tuple[bool, ...]
    tapes: dict[object, Tape] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: nn.ModuleList, before: "Program | None" = None) -> "Program | None":
        """Unrolls layers; None where the layers are not symbolic, small and on the CPU.

        Args:
            layers: the layers.
            before: what was unrolled last, of which the tapes are taken over where they still serve.
        """
        own: tuple[KANLayer, ...] = tuple(layers)  # type: ignore[arg-type]
        if sum(len(layer.spec.terms) for layer in own) > MAX_TERMS:
            return None
        hooks = tuple(hooks for layer in own for hooks in _hooks(layer))
        if any(layer.numeric is not None for layer in own) or any(hooks):
            return None
        if any(layer.symbolic is not None and layer.symbolic._spec != layer.spec.terms for layer in own):
            return None
        held = Held.of(own)
        if held is None:
            return None
        specs, revision = tuple(layer.spec for layer in own), functions.revision()
        is_same = before is not None and before.specs == specs and before.revision == revision
        layout = before.layout if is_same else Layout(specs)  # type: ignore[union-attr]
        numbers = [number for view in held.views for number in view.ravel().tolist()]
        k = layout.coefficients(numbers)
        has_free = tuple(flag for layer in own for flag in _has_free(layer))
        # Steps are left out for numbers that are 0 or 1.
        takes_over = is_same and _pattern(before.coefficients) == _pattern(k)  # type: ignore[union-attr]
        tapes = before.tapes if takes_over else {}  # type: ignore[union-attr]
        edges = tuple(layer.symbolic for layer in own)
        return cls(own, specs, edges, layout, held, numbers, k, revision, hooks, has_free, tapes)  # type: ignore[arg-type]

    def is_current(self, layers: nn.ModuleList) -> bool:
        """Tells whether these layers are those that were unrolled, with the numbers they had."""
        now = layers._modules.values()
        if len(now) != len(self.layers) or self.revision != functions.revision() or any(self.hooks):
            return False
        for layer, own, spec, edges in zip(now, self.layers, self.specs, self.edges):
            if layer is not own or own.spec is not spec or own._modules.get("numeric") is not None:
                return False
            if own._modules.get("symbolic") is not edges:
                return False
        return self.held.is_current()

    def wanting(self) -> tuple[bool, ...]:
        """Returns for each parameter whether some number of it wants a gradient."""
        return tuple([is_free and p.requires_grad for p, is_free in zip(self.held.parameters, self.has_free)])

    def can_loop(self, x: Float[Tensor, "batch source"]) -> bool:
        """Tells whether the compiled loops serve all layers for inputs like these."""
        return all(edges is None or edges.can_loop(x) for edges in self.edges)

    def forward_tape(self) -> Tape:
        """Returns the tape for values alone."""
        tape = self.tapes.get("values")
        if tape is None:
            wanted = [False] * len(self.coefficients)
            unrolling = Unrolling(self.layout, self.coefficients, wanted, needs_inputs=False, goes_back=False)
            tape = self.tapes["values"] = unrolling.tape()
        return tape

    def gradient_tape(self, needs_inputs: bool, wanting: Sequence[bool]) -> Tape:
        """Returns the tape for gradients of the inputs and of some parameters."""
        key = needs_inputs, tuple(wanting)
        tape = self.tapes.get(key)
        if tape is None:
            free = self.layout.wanted(self._free(wanting))
            unrolling = Unrolling(self.layout, self.coefficients, free, needs_inputs=needs_inputs, goes_back=True)
            tape = self.tapes[key] = unrolling.tape()
        return tape

    def _free(self, wanting: Sequence[bool]) -> list[bool]:
        # Parameter by parameter, as they are held.
        free, flags = list[bool](), iter(wanting)
        for layer, spec in zip(self.layers, self.specs):
            if spec.terms:
                rows = layer.symbolic.terms.free.tolist()  # type: ignore[union-attr]
                affine, shape = next(flags), next(flags)
                free += [affine and is_free for row in rows for is_free in row[:4]]
                free += [shape and row[4] for row in rows]
            for size in (spec.n_subnodes, spec.n_subnodes, spec.n_out, spec.n_out):
                free += [next(flags)] * size
        return free

    def by_layers(
        self, x: Float[Tensor, "batch source"], wanting: Sequence[bool], given: Sequence[Tensor]
    ) -> Float[Tensor, "batch node"]:
        """Evaluates the layers by general tensor operations, with some parameters given and the others as they were."""
        own, parameters, start = iter(given), list[Tensor](), 0
        for view, is_wanted in zip(self.held.views, wanting):
            stop = start + view.size
            parameters.append(next(own) if is_wanted else x.new_tensor(self.numbers[start:stop]).view(view.shape))
            start = stop
        every = iter(parameters)
        for layer, spec in zip(self.layers, self.specs):
            if spec.terms:
                affine, shape = next(every), next(every)
                subnodes = layer.symbolic.terms.sums(x, affine, shape, spec.n_subnodes)  # type: ignore[union-attr]
            else:
                subnodes = x.new_zeros(x.shape[0], spec.n_subnodes)
            x = layer.nodes(subnodes, **{name: next(every) for name in AFFINES})
        return x


def _has_free(layer: KANLayer) -> list[bool]:
    terms = [] if layer.symbolic is None else [layer.symbolic.terms.any_free, layer.symbolic.terms.has_free_shape]
    return [*terms, *[True] * len(AFFINES)]


def _hooks(layer: KANLayer) -> Iterator[Any]:
    for module in (layer, layer._modules.get("symbolic")):
        if module is not None:
            yield from (module._forward_hooks, module._forward_pre_hooks)
            yield from (module._backward_hooks, module._backward_pre_hooks)


def _pattern(k: Sequence[float]) -> list[int]:
    return [1 if number == 1.0 else 0 if number == 0.0 else 2 for number in k]


_KEPT: WeakKeyDictionary[nn.ModuleList, Program] = WeakKeyDictionary()
"""What was unrolled last for the layers of a network that lives: a memo, of which the network itself knows nothing."""


def unrolled(layers: nn.ModuleList) -> Program | None:
    """Returns layers unrolled with the numbers they have; None where they are not symbolic, small and on the CPU."""
    if torch.compiler.is_compiling() or in_transform():
        return None
    kept = _KEPT.get(layers)
    if kept is None or not kept.is_current(layers):
        found = Program.of(layers, kept)
        if found is None:
            _KEPT.pop(layers, None)
            return None
        kept = _KEPT[layers] = found
    return kept
