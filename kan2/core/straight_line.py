"""Networks of symbolic edges as straight-line programs: one operation on a column after the other, none for nothing.

A layer evaluates all its terms at once, which is right for wide layers; for a formula most of that is moving data.
Here the layers are unrolled: what is the identity (a = 1, b = 0, one factor, ...) is left out, and every operation
works on one column. Going back, the gradients of inputs and numbers are computed in one pass by hand.

Where derivatives of derivatives are asked for, or torch transforms the way back, plain operations are differentiated.

Reference: Griewank, Walther, Evaluating Derivatives (2008), sections 2.2 and 3.2.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

from kan2.core.bases.base import in_transform
from kan2.core.edges import gradients
from kan2.core.unrolled.program import Program, unrolled
from kan2.core.unrolled.tape import Tape

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


FEW_ROWS = 2_000
"""From this many rows on a program trains what the compiled loops know; they take 0.2 to 0.7 of its time on 30 to 300
rows of sums of 4 to 60 terms, as much on 1,000 to 3,000, three times as much on 10,000."""

PARALLEL = 32_768
"""From this many rows on torch shares an operation among threads."""


def evaluate(layers: nn.ModuleList, x: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch node"] | None:
    """Evaluates the layers of a network by a straight-line program; None where there is none for them and for x.

    Args:
        layers: the layers, inputs first.
        x: what the first layer reads.

    Example:
        >>> import kanpiler
        >>> with torch.no_grad():
        ...     evaluate(kanpiler.compile("x*sin(y) + 1").layers, torch.tensor([[2.0, 0.0]]).double()).tolist()
        [[1.0]]
    """
    program = unrolled(layers)
    if program is None:
        return None
    with_gradients = torch.is_grad_enabled()
    wanting = program.wanting() if with_gradients else (False,) * len(program.has_free)
    needs_inputs, needs_numbers = with_gradients and x.requires_grad, any(wanting)
    table = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    is_plain = _is_plain(x) and x.dtype == program.held.parameters[0].dtype
    if needs_numbers and len(table) < FEW_ROWS and program.can_loop(table):
        return None
    if is_plain and not needs_inputs and not needs_numbers:
        tape = program.forward_tape()
        with np.errstate(all="ignore"):
            found = tape.gather(tape.run(_columns(table), program.coefficients))
    elif is_plain:
        tape = program.gradient_tape(needs_inputs, wanting)
        given = [p for p, is_wanted in zip(program.held.parameters, wanting) if is_wanted]
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
    is_traced = torch.jit.is_tracing() or _len_torch_dispatch_stack()  # type: ignore[attr-defined]
    return type(x) is Tensor and not is_traced and unpack_dual(x).tangent is None


def _columns(x: Float[Tensor, "batch source"]) -> list[Any]:
    """Returns the columns as NumPy arrays, or as tensors where torch would share the work among threads."""
    if x.shape[0] < PARALLEL or torch.get_num_threads() == 1:
        return list((x.detach() if x.requires_grad else x).numpy().T)
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
        for view, is_wanted in zip(program.held.views, wanting):
            stop = start + view.size
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
