"""Derivatives of derivatives for kernels that know their first derivatives only."""

from collections.abc import Sequence

import torch
from torch import Tensor


def gradients(sums: Tensor, inputs: Sequence[Tensor], needed: Sequence[bool], gradient: Tensor) -> list[Tensor | None]:
    """Returns the gradients of the inputs that need one, themselves differentiable; None for the others.

    Args:
        sums: what a kernel computed, evaluated again by general tensor operations, which torch can differentiate twice.
        inputs: what it was computed from.
        needed: for each of them whether a gradient is needed; further entries are ignored.
        gradient: that of the sums.
    """
    wanted = [tensor for tensor, is_needed in zip(inputs, needed) if is_needed]
    found = iter(torch.autograd.grad(sums, wanted, gradient, create_graph=True, allow_unused=True))
    return [next(found) if is_needed else None for _, is_needed in zip(inputs, needed)]
