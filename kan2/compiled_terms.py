"""Symbolic terms of small batches in one differentiable step by compiled loops, where numba is installed.

The tensor operations of `SymbolicEdges.plain` take longer to start than to carry out there. Where derivatives of
derivatives are asked for, the backward pass differentiates the plain evaluation instead.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import functions
from kan2.bases import compiled
from kan2.bases.base import in_transform

if TYPE_CHECKING:
    from kan2.edges import SymbolicEdges

NAMES = ("x", "x^2", "x^3", "x^4", "1/x", "sqrt", "exp", "log", "sin", "cos", "tanh", "abs", "gaussian")
"""The functions that the loops know; the code of one is its place."""
_ROWS = {name: functions.get(name) for name in NAMES}


def can_loop(edges: "SymbolicEdges", x: Tensor) -> bool:
    """Says whether the loops serve these terms and inputs; the plain evaluation serves all."""
    return (
        compiled.IS_AVAILABLE
        and x.device.type == "cpu"
        and x.dtype == edges.affine.dtype
        and x.dtype in (torch.float32, torch.float64)
        and 0 < x.shape[0] * len(edges.affine) <= compiled.LARGEST
        # A user may have put another function in the place of a known one.
        and all(name in _ROWS and functions.get(name) is _ROWS[name] for name, _, _ in edges.blocks)
        and not torch.compiler.is_compiling()
        and not in_transform()
        and not torch.is_autocast_enabled("cpu")
    )


class LoopedTerms(torch.autograd.Function):
    """(x, affine, edges, n_targets) -> sums; x is contiguous."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "batch source"],
        affine: Float[Tensor, "term 4"],
        edges: "SymbolicEdges",
        n_targets: int,
    ) -> Float[Tensor, "batch target"]:
        from kan2.term_loops import add_terms

        values, slopes = x.new_empty(2, x.shape[0], len(affine))
        sums = x.new_zeros(x.shape[0], n_targets)
        add_terms(x.numpy(), affine.numpy(), edges.codes, *edges.places, values.numpy(), slopes.numpy(), sums.numpy())
        ctx.save_for_backward(x, affine, values, slopes)
        ctx.edges, ctx.n_targets = edges, n_targets
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "batch target"]) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[override]
        from kan2.term_loops import carry_back

        x, affine, values, slopes = ctx.saved_tensors
        edges: SymbolicEdges = ctx.edges
        if torch.is_grad_enabled():
            sums = edges.plain(x, ctx.n_targets, affine)
            wanted = [t for t, needed in zip((x, affine), ctx.needs_input_grad) if needed]
            found = iter(torch.autograd.grad(sums, wanted, gradient, create_graph=True, allow_unused=True))
            of_x, of_affine = (next(found) if needed else None for needed in ctx.needs_input_grad[:2])
            return of_x, of_affine, None, None
        of_x, of_affine = torch.zeros_like(x), torch.zeros_like(affine)
        given = values.numpy(), slopes.numpy(), gradient.contiguous().numpy()
        carry_back(x.numpy(), affine.numpy(), *edges.places, *given, of_x.numpy(), of_affine.numpy())
        return of_x, of_affine.mul_(edges.free[:, :4]), None, None


looped: Callable[..., Tensor] = LoopedTerms.apply
