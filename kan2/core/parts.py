"""Many rows some at a time, where nothing is kept for a way back: memory does not grow with the batch.

A layer makes `width` numbers on the way from a row to its outputs, many more than it reads and writes. A *part* is as
many rows as give so many numbers that they stay in the caches of a core, or on an accelerator in a fair share of its
memory.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kan2.core.bases.base import in_transform

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
    table = x.reshape(-1, x.shape[-1])
    first = evaluate(table[:rows])
    whole = first.new_empty(len(table), first.shape[-1])
    whole[:rows] = first
    for start in range(rows, len(table), rows):
        whole[start : start + rows] = evaluate(table[start : start + rows])
    return whole.view(*x.shape[:-1], whole.shape[-1])
