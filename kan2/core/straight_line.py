"""Networks of symbolic edges as straight-line programs: one operation on a column after the other, none for nothing.

A layer evaluates all its terms at once, which is right for wide layers; for a formula most of that is moving data.
Here the layers are unrolled: what is the identity (a = 1, b = 0, one factor, ...) is left out, and every operation works
on one column. Going back, the gradients of inputs and numbers are computed in one pass by hand. The numbers are looked
at in every call, so that a changed number is never missed; the program stays as long as the same of them are 0 or 1.

Where derivatives of derivatives are asked for, or torch transforms the way back, plain operations are differentiated.

Reference: Griewank, Walther, Evaluating Derivatives (2008), sections 2.2 and 3.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

from kan2 import functions
from kan2.core._tape import Tape
from kan2.core._unroll import Layout, Unrolling
from kan2.core.bases.base import in_transform
from kan2.core.edges._compiled_terms import can_loop
from kan2.core.edges._double_backward import gradients
from kan2.core.layer import KANLayer
from kan2.core.spec import LayerSpec

try:
    from torch._C import _len_torch_dispatch_stack
    from torch._C._functorch import is_legacy_batchedtensor
except ImportError:  # a torch without these: nobody looks on

    def _len_torch_dispatch_stack() -> int:
        """Returns how many modes of torch look on at its operations."""
        return 0

    def is_legacy_batchedtensor(tensor: Tensor) -> bool:
        """Says whether a tensor stands for many, as in gradients of `is_grads_batched`."""
        return False


MAX_TERMS = 128
"""Beyond this many terms, one operation for all of them is quicker than many small ones."""

FEW_ROWS = 2_000
"""Below this many rows the compiled loops train sums of 4 to 60 terms in 0.3 to 0.7 of the time; at 3,000, in 0.7 to 1.3."""

PARALLEL = 32_768
"""From this many rows on torch shares an operation among threads."""

AFFINES = ("subnode_scale", "subnode_bias", "node_scale", "node_bias")


@dataclass(frozen=True, eq=False)
class Held:
    """One parameter as it was: what it holds is seen through `view`, which keeps its memory from being given away."""

    place: dict[str, Any]
    name: str
    parameter: nn.Parameter
    address: int
    view: np.ndarray
    content: bytes

    @classmethod
    def of(cls, place: dict[str, Any], name: str) -> "Held | None":
        """Looks at a parameter; None where it is none, or not on the CPU."""
        parameter = place.get(name)
        if type(parameter) is not nn.Parameter or parameter.device.type != "cpu" or not parameter.is_contiguous():
            return None
        if parameter.dtype not in (torch.float32, torch.float64):
            return None
        view = parameter.detach().numpy()
        return cls(place, name, parameter, parameter.data_ptr(), view, view.tobytes())

    def is_current(self) -> bool:
        """Tells whether the parameter is where it was and holds what it held."""
        # Not by its version, which does not see what is written through `data`.
        p = self.parameter
        is_there = self.place.get(self.name) is p and p.data_ptr() == self.address and p.is_contiguous()
        return is_there and self.view.tobytes() == self.content


@dataclass(frozen=True, eq=False)
class Program:
    """The layers of a network, unrolled with the numbers they had.

    Attributes:
        layers: the layers.
        specs: what they were.
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
    layout: Layout
    held: tuple[Held, ...]
    numbers: list[float]
    coefficients: list[float]
    revision: int
    hooks: tuple[Any, ...]
    has_free: tuple[bool, ...]
    tapes: dict[object, Tape] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: nn.ModuleList, before: "Program | None" = None) -> "Program | None":
        """Unrolls layers; None where `can_unroll` says no.

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
        held = [Held.of(place, name) for layer in own for place, name in _parameters(layer)]
        if any(h is None or h.parameter.dtype != held[0].parameter.dtype for h in held):  # type: ignore[union-attr]
            return None
        specs, revision = tuple(layer.spec for layer in own), functions.revision()
        is_same = before is not None and before.specs == specs and before.revision == revision
        layout = before.layout if is_same else Layout(specs)  # type: ignore[union-attr]
        numbers = [n for h in held for n in h.view.ravel().tolist()]  # type: ignore[union-attr]
        k = layout.coefficients(numbers)
        has_free = tuple(flag for layer in own for flag in _has_free(layer))
        # Steps are left out for numbers that are 0 or 1.
        takes_over = is_same and _pattern(before.coefficients) == _pattern(k)  # type: ignore[union-attr]
        tapes = before.tapes if takes_over else {}  # type: ignore[union-attr]
        return cls(own, specs, layout, tuple(held), numbers, k, revision, hooks, has_free, tapes)  # type: ignore[arg-type]

    def is_current(self, layers: nn.ModuleList) -> bool:
        """Tells whether these layers are those that were unrolled, with the numbers they had."""
        now = layers._modules.values()
        if len(now) != len(self.layers) or self.revision != functions.revision() or any(self.hooks):
            return False
        for layer, own, spec in zip(now, self.layers, self.specs):
            if layer is not own or own.spec is not spec or own._modules.get("numeric") is not None:
                return False
        return all([h.is_current() for h in self.held])

    def wanting(self) -> tuple[bool, ...]:
        """Returns for each parameter whether some number of it wants a gradient."""
        return tuple([is_free and h.parameter.requires_grad for h, is_free in zip(self.held, self.has_free)])

    def can_loop(self, x: Float[Tensor, "batch source"]) -> bool:
        """Tells whether the compiled loops serve all layers for inputs like these."""
        symbolic = [layer.symbolic for layer in self.layers if layer.symbolic is not None]
        return all(can_loop(edges.terms, edges.affine, x) for edges in symbolic)

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

    def values(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch node"]:
        """Evaluates without gradients."""
        tape = self.forward_tape()
        with np.errstate(all="ignore"):
            return tape.gather(tape.run(_columns(x), self.coefficients))

    def by_layers(
        self, x: Float[Tensor, "batch source"], wanting: Sequence[bool], given: Sequence[Tensor]
    ) -> Float[Tensor, "batch node"]:
        """Evaluates the layers by general tensor operations, with some parameters given and the others as they were."""
        own, parameters, start = iter(given), list[Tensor](), 0
        for h, is_wanted in zip(self.held, wanting):
            stop = start + h.view.size
            parameters.append(next(own) if is_wanted else x.new_tensor(self.numbers[start:stop]).view(h.view.shape))
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


def _parameters(layer: KANLayer) -> list[tuple[dict[str, Any], str]]:
    symbolic = layer._modules.get("symbolic")
    terms = [] if symbolic is None else [(symbolic._parameters, name) for name in ("affine", "shape")]
    return [*terms, *((layer._parameters, name) for name in AFFINES)]


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
    """Returns layers unrolled with the numbers they have now; None where they are not symbolic, small and on the CPU."""
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


def evaluate(layers: nn.ModuleList, x: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch node"] | None:
    """Evaluates the layers of a network by a straight-line program; None where there is none for them and for x.

    Args:
        layers: the layers, inputs first.
        x: what the first layer reads.

    Example:
        >>> import kanpiler
        >>> evaluate(kanpiler.compile("x*sin(y) + 1").layers, torch.tensor([[2.0, 0.0]], dtype=torch.float64))
        tensor([[1.]], dtype=torch.float64, grad_fn=<UnrolledBackward>)
    """
    program = unrolled(layers)
    if program is None:
        return None
    with_gradients = torch.is_grad_enabled()
    wanting = program.wanting() if with_gradients else (False,) * len(program.held)
    needs_inputs, needs_numbers = with_gradients and x.requires_grad, any(wanting)
    table = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    is_plain = _is_plain(x) and x.dtype == program.held[0].parameter.dtype
    if needs_numbers and len(table) < FEW_ROWS and program.can_loop(table):
        return None
    if is_plain and not needs_inputs and not needs_numbers:
        found = program.values(table)
    elif is_plain:
        tape = program.gradient_tape(needs_inputs, wanting)
        given = [h.parameter for h, is_wanted in zip(program.held, wanting) if is_wanted]
        found = Unrolled.apply(table, program, tape, wanting, *given)
    elif needs_numbers:
        return None
    else:
        # By plain operations, which torch differentiates in its own ways.
        tape = program.gradient_tape(True, wanting)
        found = tape.gather(tape.run(table.unbind(-1), program.coefficients))
    return found if x.ndim == 2 else found.reshape(*x.shape[:-1], found.shape[-1])  # type: ignore[union-attr]


def _is_plain(x: Tensor) -> bool:
    # Whether nobody looks on: what NumPy does is seen by none.
    is_watched = torch.jit.is_tracing() or _len_torch_dispatch_stack() or unpack_dual(x).tangent is not None
    return type(x) is Tensor and not is_watched


def _columns(x: Float[Tensor, "batch source"]) -> list[Any]:
    """Returns the columns as NumPy arrays, or as tensors where torch would share the work among threads."""
    if x.shape[0] < PARALLEL or torch.get_num_threads() == 1:
        return list(x.detach().numpy().T)
    return list(x.unbind(-1))


class Unrolled(torch.autograd.Function):
    """(x, program, tape, which parameters want gradients, these parameters) -> nodes."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "batch source"], program: Program, tape: Tape, wanting: Any, *parameters: Tensor
    ) -> Float[Tensor, "batch node"]:
        with np.errstate(all="ignore"):
            v = tape.run(_columns(x), program.coefficients)
        kept = (v[i] for i in tape.kept)
        ctx.save_for_backward(x, *parameters, *(torch.from_numpy(c) if isinstance(c, np.ndarray) else c for c in kept))
        ctx.program, ctx.tape, ctx.wanting = program, tape, wanting
        return tape.gather(v, is_new=True)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "batch node"]) -> tuple[Any, ...]:  # type: ignore[override]
        program: Program = ctx.program
        tape: Tape = ctx.tape
        wanting: tuple[bool, ...] = ctx.wanting
        x, *others = ctx.saved_tensors
        parameters, kept = others[: sum(wanting)], others[sum(wanting) :]
        is_transformed = in_transform() or is_legacy_batchedtensor(gradient) or not _is_plain(gradient)
        if torch.is_grad_enabled() or is_transformed:
            with torch.enable_grad():
                return _differentiate(program, tape, wanting, ctx.needs_input_grad[0], x, parameters, gradient)
        columns, gradients = _columns(x), [column.contiguous() for column in gradient.unbind(-1)]
        if not columns or isinstance(columns[0], np.ndarray):
            kept, gradients = [c.numpy() for c in kept], [c.numpy() for c in gradients]
        with np.errstate(all="ignore"):
            adjoints, found = tape.back(tape.restore(columns, kept), program.coefficients, gradients)
            of_x = _table(x, adjoints) if ctx.needs_input_grad[0] else None
        if not parameters:
            return of_x, None, None, None
        # The first coefficients are the numbers, and want gradients where they are free.
        numbers = program.layout.pull_back(program.numbers, found, tape.wanted)
        start, own = 0, iter(parameters)
        of_parameters: list[Tensor] = []
        for h, is_wanted in zip(program.held, wanting):
            stop = start + h.view.size
            if is_wanted:
                parameter = next(own)
                of_parameters.append(parameter.new_tensor(numbers[start:stop]).view_as(parameter))
            start = stop
        return of_x, None, None, None, *of_parameters


def _differentiate(
    program: Program,
    tape: Tape,
    wanting: Sequence[bool],
    needs_x: bool,
    x: Tensor,
    parameters: Sequence[Tensor],
    gradient: Tensor,
) -> tuple[Any, ...]:
    if parameters:
        nodes = program.by_layers(x, wanting, parameters)
    else:
        nodes = tape.gather(tape.run(x.unbind(-1), program.coefficients))
    needed = (needs_x, *[True] * len(parameters))
    found = gradients(nodes, (x, *parameters), needed, gradient)
    return found[0], None, None, None, *found[1:]


def _table(x: Float[Tensor, "batch source"], adjoints: Sequence[Any]) -> Float[Tensor, "batch source"]:
    """Writes the adjoints of the inputs side by side."""
    table = torch.empty_like(x, memory_format=torch.contiguous_format)
    # By NumPy, which writes into columns three times faster than torch.
    columns = table.numpy()
    for i in range(table.shape[1]):
        adjoint = adjoints[i]
        if adjoint is None:
            columns[:, i] = 0
        else:
            np.multiply(adjoint[0], adjoint[1], out=columns[:, i])
    return table
