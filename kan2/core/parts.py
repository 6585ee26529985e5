"""Many rows some at a time: what is made on the way is forgotten, so that memory does not grow with the batch.

`in_parts` serves where no gradient is wanted. With gradients, `apply_in_parts` computes every part again on the way
back, as `torch.utils.checkpoint` does; but it is one step for autograd, with one result and one sum of gradients,
where a thousand checkpoints would leave memory in pieces.

A layer makes `width` numbers on the way from a row to its outputs, many more than it reads and writes. A *part* is as
many rows as give so many numbers that they stay in the caches of a core, or on an accelerator in a fair share of its
memory.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from kan2.core.bases.base import has_numbers, in_transform, may_cast

CACHED = 2**19
"""Numbers made on the way for a part on the CPU; 2^18 to 2^20 are equally quick, others take half as long again."""

HELD = 2**26
"""The same elsewhere, where a part must keep thousands of cores busy: half a GiB in float64."""

FEWEST = 512
"""Rows of the smallest part."""


def part_rows(module: nn.Module, x: Tensor, width: int) -> int:
    """Returns how many rows at once a module evaluates; 0 where it takes all as they are.

    All of them where they are few, where a gradient is wanted, where torch traces or maps the code, and where hooks
    watch what is inside the module: they see the whole batch.

    Args:
        module: what is evaluated; it treats rows separately.
        x: (..., source), what it is evaluated at.
        width: numbers that it makes of one row on the way.
    """
    if torch.compiler.is_compiling() or (n := x.shape[:-1].numel()) <= FEWEST:
        return 0
    # A multiple of what matrix products take at once: only in a short last part does a row give other last bits.
    rows = max(FEWEST, (CACHED if x.device.type == "cpu" else HELD) // max(1, width) // 64 * 64)
    if n <= rows or in_transform():
        return 0
    if torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in module.parameters())):
        return 0
    inner = (m for m in module.modules() if m is not module)
    return 0 if any(m._forward_hooks or m._forward_pre_hooks for m in inner) else rows


def in_parts(evaluate: Callable[[Tensor], Tensor], x: Tensor, rows: int) -> Tensor:
    """Evaluates so many rows of the last axis but one at a time, and puts the results together in one new tensor.

    Example:
        >>> in_parts(lambda x: 2 * x, torch.ones(2, 3, 1), rows=4).shape
        torch.Size([2, 3, 1])
    """
    whole = _joined(evaluate, x.reshape(-1, x.shape[-1]), rows)
    return whole.view(*x.shape[:-1], whole.shape[-1])


def _joined(evaluate: Callable[[Tensor], Tensor], x: Tensor, rows: int) -> Tensor:
    first = evaluate(x[:rows])
    whole = first.new_empty(len(x), *first.shape[1:])
    whole[:rows] = first
    for start in range(rows, len(x), rows):
        whole[start : start + rows] = evaluate(x[start : start + rows])
    return whole


def apply_in_parts(module: nn.Module, x: Tensor, rows: int) -> Tensor:
    """Applies a module to so many rows of the first axis at a time, differentiably."""
    if not torch.is_grad_enabled():
        return _joined(module, x, rows)
    if not isinstance(module, nn.Module) or torch.compiler.is_compiling() or in_transform():
        return _checkpointed(module, x, rows)
    learning = {name: p for name, p in module.named_parameters() if p.requires_grad}
    return Parts.apply(x, module, rows, tuple(learning), *learning.values())  # type: ignore[return-value]


def _checkpointed(module: Callable[[Tensor], Tensor], x: Tensor, rows: int) -> Tensor:
    parts = (checkpoint(module, part, use_reentrant=False, preserve_rng_state=False) for part in x.split(rows))
    return torch.cat(list(parts))  # type: ignore[arg-type]


class Parts(torch.autograd.Function):
    """(x, module, rows, names, *parameters) -> what the module gives; parameters are those that learn, with names."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, module: nn.Module, rows: int, names: tuple[str, ...], *parameters: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, *parameters)
        ctx.module, ctx.rows, ctx.names = module, rows, names
        ctx.casts = _casts(x)
        return _joined(module, x, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, *parameters = ctx.saved_tensors
        module, rows, names = ctx.module, ctx.rows, ctx.names
        is_needed = (ctx.needs_input_grad[0], *ctx.needs_input_grad[4:])

        def evaluate(part: Tensor, values: Sequence[Tensor]) -> Tensor:
            # With the parameters of the way there, whatever stands in their places by now.
            with ctx.casts():
                return functional_call(module, dict(zip(names, values)), (part,))

        if torch.is_grad_enabled():  # gradients of gradients
            whole = _checkpointed(lambda part: evaluate(part, parameters), x, rows)
            dx, *found = _gradients(whole, (x, *parameters), is_needed, gradient, create_graph=True)
            return dx, None, None, None, *found
        own = [p.detach().requires_grad_() for p in parameters]
        dx = gradient.new_empty(x.shape, dtype=x.dtype) if is_needed[0] else None
        total: list[Tensor | None] = [None] * len(own)
        for start in range(0, len(x), rows):
            at = slice(start, start + rows)
            part = x[at].detach().requires_grad_(is_needed[0])
            with torch.enable_grad():
                of_part, *found = _gradients(evaluate(part, own), (part, *own), is_needed, gradient[at])
            total = [b if a is None else a if b is None else a + b for a, b in zip(total, found)]
            if dx is not None:
                dx[at] = 0 if of_part is None else of_part
        return dx, None, None, None, *total


def _casts(x: Tensor) -> Callable[[], AbstractContextManager[Any]]:
    # Makes again the autocast that there is now.
    if not has_numbers(x):  # the meta device has none
        return nullcontext
    kind, is_enabled = x.device.type, may_cast(x)
    dtype = torch.get_autocast_dtype(kind)
    return lambda: torch.autocast(kind, dtype, is_enabled)


def _gradients(
    y: Tensor, inputs: Sequence[Tensor], needed: Sequence[bool], gradient: Tensor, create_graph: bool = False
) -> list[Tensor | None]:
    wanted = [tensor for tensor, is_needed in zip(inputs, needed) if is_needed]
    found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=create_graph, allow_unused=True))
    return [next(found) if is_needed else None for is_needed in needed]
