"""Symbolic terms of small batches in one differentiable step by compiled loops, where numba is installed.

The tensor operations of `Terms.sums` take longer to start than to carry out there. Where derivatives of
derivatives are asked for, the backward pass differentiates the plain evaluation instead.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import functions
from kan2.core.bases.base import in_transform
from kan2.core.edges import _compiled as compiled
from kan2.core.edges._double_backward import gradients
from kan2.core.edges.terms import Terms

NAMES = ("x", "x^2", "x^3", "x^4", "1/x", "sqrt", "exp", "log", "sin", "cos", "tanh", "abs", "gaussian")
"""The functions that the loops know; the code of one is its place."""
_ROWS = {name: functions.get(name) for name in NAMES}


def can_loop(terms: Terms, affine: Tensor, x: Tensor) -> bool:
    """Says whether the loops serve these terms and inputs; `Terms.sums` serves all."""
    return (
        compiled.IS_AVAILABLE
        and x.device.type == "cpu"
        and x.dtype == affine.dtype
        and x.dtype in (torch.float32, torch.float64)
        and 0 < x.shape[0] * len(affine) <= compiled.LARGEST
        # A user may have put another function in the place of a known one.
        and all(name in _ROWS and functions.get(name) is _ROWS[name] for name, _, _ in terms.blocks)
        and not torch.compiler.is_compiling()
        and not in_transform()
        and not torch.is_autocast_enabled("cpu")
    )


@lru_cache(maxsize=256)
def _codes(terms: tuple[str, ...]) -> np.ndarray:
    return np.array([NAMES.index(name) for name in terms])


class LoopedTerms(torch.autograd.Function):
    """(x, affine, terms, n_targets) -> sums; x is contiguous."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "batch source"],
        affine: Float[Tensor, "term 4"],
        terms: Terms,
        n_targets: int,
    ) -> Float[Tensor, "batch target"]:
        from kan2.core.edges._term_loops import add_terms

        values, slopes = x.new_empty(2, x.shape[0], len(affine))
        sums = x.new_zeros(x.shape[0], n_targets)
        places = terms.source.numpy(), terms.target.numpy()
        given = x.numpy(), affine.numpy(), _codes(terms.names), *places
        add_terms(*given, values.numpy(), slopes.numpy(), sums.numpy())
        ctx.save_for_backward(x, affine, values, slopes)
        ctx.terms, ctx.n_targets = terms, n_targets
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "batch target"]) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[override]
        from kan2.core.edges._term_loops import carry_back

        x, affine, values, slopes = ctx.saved_tensors
        terms: Terms = ctx.terms
        if torch.is_grad_enabled():
            # No function that the loops know has a shape parameter.
            sums = terms.sums(x, affine, affine.new_zeros(len(affine)), ctx.n_targets)
            of_x, of_affine = gradients(sums, (x, affine), ctx.needs_input_grad, gradient)
            return of_x, of_affine, None, None
        of_x, of_affine = torch.zeros_like(x), torch.zeros_like(affine)
        given = x.numpy(), affine.numpy(), terms.source.numpy(), terms.target.numpy()
        kept = values.numpy(), slopes.numpy(), gradient.contiguous().numpy()
        carry_back(*given, *kept, of_x.numpy(), of_affine.numpy())
        return of_x, of_affine.mul_(terms.free[:, :4]), None, None


looped: Callable[..., Tensor] = LoopedTerms.apply
