"""Numeric edges on uniform grids in one differentiable step: from inputs to sums over sources.

Going through general tensor operations, the features of `BasisEdges` cost more than the matrix product they feed. Here
they are made in a few passes: locate every input in its interval, form the powers of its position, obtain the k + 1
values and their derivatives by one small matrix product, and scatter the values into the zeros of the feature matrix.
The backward pass gathers from the gradient of that matrix at the same places. Work is laid out in *blocks* of inputs
that fit a core's cache. Where derivatives of derivatives are asked for, the backward pass differentiates the plain
evaluation instead.

Outside the grid a function continues along its tangent: with c the position clamped to the grid and e the excess, the
power u^p becomes c^p + p c^(p-1) e = c^(p-1) (c + p e).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.bases.base_functions import BASE_FUNCTIONS
from kan2.bases.bspline import BSplineBasis

if TYPE_CHECKING:
    from kan2.edges import BasisEdges

try:
    from torch._C import _are_functorch_transforms_active as _in_transform
except ImportError:  # a torch without this check: take the plain evaluation, which works everywhere

    def _in_transform() -> bool:
        return True


BLOCK = 8192  # inputs whose positions, values and features stay in a core's cache together


def can_fuse(edges: "BasisEdges", x: Tensor) -> bool:
    """Says whether the fused step serves these edges and inputs; the plain evaluation serves all."""
    basis = edges.basis
    return (
        isinstance(basis, BSplineBasis)
        and basis.is_uniform
        and basis.k > 0
        and x.dtype == basis.grid.dtype
        and x.dtype in (torch.float32, torch.float64)
        and x.numel() > 0
        and not torch.compiler.is_compiling()
        and not _in_transform()
        and not torch.is_autocast_enabled(x.device.type)
    )


class FusedEdges(torch.autograd.Function):
    """(x, weight, edges) -> sums; `edges` says how to evaluate, `weight` is its masked weight."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "batch source"], weight: Float[Tensor, "target source feature"], edges: "BasisEdges"
    ) -> Float[Tensor, "batch target"]:
        x = x.contiguous()
        features, slopes, index = _features(x, edges, with_slopes=ctx.needs_input_grad[0])
        ctx.save_for_backward(x, weight, features, slopes, index)
        ctx.edges = edges
        return features @ weight.reshape(weight.shape[0], -1).t()

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "batch target"]) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        x, weight, features, slopes, index = ctx.saved_tensors
        if torch.is_grad_enabled():
            sums = ctx.edges.plain(x, weight)
            wanted = [t for t, needed in zip((x, weight), ctx.needs_input_grad) if needed]
            found = iter(torch.autograd.grad(sums, wanted, gradient, create_graph=True, allow_unused=True))
            dx, dw = (next(found) if needed else None for needed in ctx.needs_input_grad[:2])
            return dx, dw, None
        dx = dw = None
        if ctx.needs_input_grad[1]:
            dw = (gradient.t() @ features).view(weight.shape)
        if ctx.needs_input_grad[0]:
            dx = _input_gradient(gradient @ weight.reshape(weight.shape[0], -1), x, ctx.edges, slopes, index)
        return dx, dw, None


def _features(
    x: Float[Tensor, "batch source"], edges: "BasisEdges", with_slopes: bool
) -> tuple[Float[Tensor, "batch feature"], Float[Tensor, "block local place"] | None, Tensor]:
    basis: BSplineBasis = edges.basis  # type: ignore[assignment]
    base = BASE_FUNCTIONS[edges.base_fun]
    (n_batch, n_source), k, n_grid = x.shape, basis.k, basis.n_intervals
    lead = int(base is not None)
    n_features, size = lead + basis.n_basis, _block_size(x.numel())
    low, scale = _scale(basis)
    table, steps, top = _tables(k, n_grid, x.dtype, x.device, with_slopes)

    position = ((x - low) * scale).view(-1, size)
    inside = position.clamp(0, top)
    # Not-a-number passes through the values; as an index it becomes 0.
    index = inside.nan_to_num(0.0).long()
    excess = position.sub_(inside)
    powers = x.new_empty(position.shape[0], 2 * k, size)
    c = powers.unbind(1)
    c[0].fill_(1)
    torch.frac(inside, out=inside)
    if k > 1:
        c[1].copy_(inside)
    moved = inside + excess
    c[k].copy_(moved)
    for p in range(1, k):
        if p > 1:
            torch.mul(c[p - 1], inside, out=c[p])
        moved += excess
        torch.mul(c[p], moved, out=c[k + p])
    values = torch.bmm(table.expand(position.shape[0], -1, -1), powers)

    index += torch.arange(lead, lead + size * n_features, n_features, device=x.device)
    features = x.new_zeros(n_batch, n_source * n_features)
    places = (index[:, None] + steps).view(-1, (k + 1) * size)
    features.view(-1, size * n_features).scatter_(1, places, values[:, : k + 1].reshape(places.shape))
    if base is not None:
        features.view(n_batch, n_source, n_features)[..., 0] = base(x)
    return features, values[:, k + 1 :] if with_slopes else None, index


def _input_gradient(
    gradient: Float[Tensor, "batch feature"],
    x: Float[Tensor, "batch source"],
    edges: "BasisEdges",
    slopes: Float[Tensor, "block local place"],
    index: Tensor,
) -> Float[Tensor, "batch source"]:
    basis: BSplineBasis = edges.basis  # type: ignore[assignment]
    base = BASE_FUNCTIONS[edges.base_fun]
    n_blocks, size = index.shape
    steps = _tables(basis.k, basis.n_intervals, x.dtype, x.device, True)[1]
    places = (index[:, None] + steps).view(n_blocks, -1)
    gathered = gradient.view(n_blocks, -1).gather(1, places).view(n_blocks, -1, size)
    dx = gathered.mul_(slopes).sum(1).view(x.shape).mul_(_scale(basis)[1])
    if base is not None:
        dx.addcmul_(gradient.view(*x.shape, -1)[..., 0], base(x, 1))
    return dx


def _scale(basis: BSplineBasis) -> tuple[Float[Tensor, " source"], Float[Tensor, " source"]]:
    low = basis.grid[:, 0]
    return low, basis.n_intervals / (basis.grid[:, -1] - low)


@lru_cache(maxsize=256)
def _block_size(n: int) -> int:
    # The largest divisor that is no larger than a block, unless there is none of a fair size.
    size = next((d for d in range(min(n, BLOCK), BLOCK // 8, -1) if n % d == 0), n)
    return size if n > BLOCK else n


@lru_cache(maxsize=64)
def _tables(
    k: int, n_grid: int, dtype: torch.dtype, device: torch.device, with_slopes: bool
) -> tuple[Tensor, Tensor, float]:
    # The matrix from the rows (1, c, ..., c^(k-1), extended powers 1 to k) to the k + 1 values, and below them to their
    # derivatives; the column of steps 0 to k; and the largest number below n_grid.
    pieces = BSplineBasis(torch.tensor([[0.0, 1.0]], dtype=torch.float64), k).pieces[0, 0]
    table = torch.zeros(2 * (k + 1), 2 * k, dtype=torch.float64)
    table[: k + 1, 0] = pieces[0]
    table[: k + 1, k:] = pieces[1:].T
    table[k + 1 :, :k] = (pieces[1:] * torch.arange(1, k + 1)[:, None]).T
    table = (table if with_slopes else table[: k + 1]).to(device, dtype)
    top = torch.nextafter(torch.tensor(float(n_grid), dtype=dtype), torch.zeros((), dtype=dtype))
    return table, torch.arange(k + 1, device=device)[:, None], float(top)


fused: Callable[..., Tensor] = FusedEdges.apply
