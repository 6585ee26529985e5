"""Numeric edges on uniform grids in one differentiable step: from inputs to sums over sources.

Going through general tensor operations, the features of an `Expansion` cost more than the matrix product they feed.
Here they are made in a few passes: locate every input in its interval, form the powers of its position, obtain the k +
1 values and their derivatives by one small matrix product, and scatter the values into the zeros of the feature matrix.
The backward pass gathers from the gradient of that matrix at the same places. Work is laid out in *blocks* of inputs
that fit a core's cache. Where derivatives of derivatives are asked for, the backward pass differentiates the plain
evaluation instead.

Outside the grid a function continues along its tangent: with c the position clamped to the grid and e the excess, the
power u^p becomes c^p + p c^(p-1) e = c^(p-1) (c + p e).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.bases.base import in_transform, may_cast
from kan2.core.bases.bspline import BSplineBasis
from kan2.core.edges import _compiled as compiled
from kan2.core.edges._double_backward import gradients
from kan2.core.edges.expansion import Expansion

BLOCK = 8192  # inputs whose positions, values and features stay in a core's cache together


def can_fuse(expansion: Expansion, weight: Tensor, x: Tensor) -> bool:
    """Says whether the fused step serves these edges and inputs; `Expansion.sums` serves all."""
    basis = expansion.basis
    return (
        isinstance(basis, BSplineBasis)
        and basis.k > 0
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and x.numel() > 0
        and basis.is_uniform
        and not torch.compiler.is_compiling()
        and not in_transform()
        and not x.is_neg()  # a view that is negated when it is read, for which NumPy has no name
        and not may_cast(x)
    )


class FusedEdges(torch.autograd.Function):
    """(x, weight, expansion) -> sums; x is contiguous."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "batch source"],
        weight: Float[Tensor, "target source feature"],
        expansion: Expansion,
    ) -> Float[Tensor, "batch target"]:
        if compiled.can_compile(x):
            features, passes = compiled.features(x, expansion), (None, None)
        else:
            features, *passes = _features(x, expansion, with_slopes=ctx.needs_input_grad[0])
        ctx.save_for_backward(x, weight, features, *passes)
        ctx.expansion = expansion
        return features @ expansion.masked(weight).flatten(1).t()

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "batch target"]) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        x, weight, features, slopes, index = ctx.saved_tensors
        expansion: Expansion = ctx.expansion
        if may_cast(x):  # the way back inside autocast of what was not cast on the way there
            with torch.autocast(x.device.type, enabled=False):
                return FusedEdges.backward(ctx, gradient)
        if torch.is_grad_enabled():
            dx, dw = gradients(expansion.sums(x, weight), (x, weight), ctx.needs_input_grad, gradient)
            return dx, dw, None
        dx = dw = None
        if ctx.needs_input_grad[1]:
            dw = expansion.masked((gradient.t() @ features).view(weight.shape))
        if ctx.needs_input_grad[0]:
            of_features = gradient @ expansion.masked(weight).flatten(1)
            if index is None:
                dx = compiled.input_gradient(of_features, x, expansion)
            else:
                dx = _input_gradient(of_features, x, expansion, slopes, index)
        return dx, dw, None


def plain_features(x: Float[Tensor, "batch source"], expansion: Expansion) -> Float[Tensor, "batch feature"]:
    """Evaluates the features alone; x is contiguous."""
    return _features(x, expansion, with_slopes=False)[0]


def _features(
    x: Float[Tensor, "batch source"], expansion: Expansion, with_slopes: bool
) -> tuple[Float[Tensor, "batch feature"], Float[Tensor, "block local place"] | None, Tensor]:
    basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
    (n_batch, n_source), k, n_grid = x.shape, basis.k, basis.n_intervals
    lead = int(expansion.has_base)
    n_features, size = lead + n_grid + k, _block_size(x.numel())
    n_blocks = x.numel() // size
    low, scale = basis.origin_and_scale()
    to_values, to_slopes, top = _tables(k, n_grid, x.dtype, x.device)

    position = (x - low).mul_(scale).view(n_blocks, size)
    inside = position.clamp(0, top)
    # Not-a-number passes through the values; as an index it becomes 0.
    index = inside.nan_to_num(0.0).long()
    excess = position.sub_(inside)
    powers = x.new_empty(n_blocks, 2 * k, size)
    rows = powers.unbind(1)
    c = rows[1] if k > 1 else torch.empty_like(inside)
    rows[0].fill_(1)
    torch.frac(inside, out=c)
    moved = torch.add(c, excess, out=rows[k])
    for p in range(1, k):
        if p > 1:
            torch.mul(rows[p - 1], c, out=rows[p])
        moved = moved + excess if p == 1 else moved.add_(excess)
        torch.mul(rows[p], moved, out=rows[k + p])
    values = torch.bmm(to_values.expand(n_blocks, -1, -1), powers)
    slopes = torch.bmm(to_slopes.expand(n_blocks, -1, -1), powers[:, :k]) if with_slopes else None

    features = x.new_zeros(n_batch, n_source * n_features)
    places = (index[:, None] + _first_places(size, n_features, lead, k, x.device)).view(n_blocks, -1)
    features.view(n_blocks, -1).scatter_(1, places, values.view(n_blocks, -1))
    if expansion.has_base:
        features.view(n_batch, n_source, n_features)[..., 0] = expansion.base(x)
    return features, slopes, index


def _input_gradient(
    gradient: Float[Tensor, "batch feature"],
    x: Float[Tensor, "batch source"],
    expansion: Expansion,
    slopes: Float[Tensor, "block local place"],
    index: Tensor,
) -> Float[Tensor, "batch source"]:
    basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
    (n_blocks, size), lead = index.shape, int(expansion.has_base)
    first = _first_places(size, lead + basis.n_basis, lead, basis.k, x.device)
    places = (index[:, None] + first).view(n_blocks, -1)
    gathered = gradient.view(n_blocks, -1).gather(1, places).view(slopes.shape)
    dx = gathered.mul_(slopes).sum(1).view(x.shape).mul_(basis.origin_and_scale()[1])
    if expansion.has_base:
        dx.addcmul_(gradient.view(*x.shape, -1)[..., 0], expansion.base(x, 1))
    return dx


@lru_cache(maxsize=256)
def _block_size(n: int) -> int:
    # The largest divisor that is no larger than a block, unless there is none of a fair size.
    return next((d for d in range(min(n, BLOCK), BLOCK // 8, -1) if n % d == 0), n) if n > BLOCK else n


@lru_cache(maxsize=16)
def _first_places(size: int, n_features: int, lead: int, k: int, device: torch.device) -> Tensor:
    # Where the k + 1 values of each input of a block go, if it lies in the first interval.
    columns = torch.arange(lead, lead + size * n_features, n_features, device=device)
    return columns + torch.arange(k + 1, device=device)[:, None]


@lru_cache(maxsize=64)
def _tables(k: int, n_grid: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, float]:
    # Matrices from the rows (1, c, ..., c^(k-1), extended powers 1 to k) to the k + 1 values, and from the first k of
    # them to the derivatives in u; and the largest number below n_grid.
    pieces = BSplineBasis(torch.tensor([[0.0, 1.0]], dtype=torch.float64, device="cpu"), k).pieces[0, 0]
    to_values = pieces.new_zeros(k + 1, 2 * k)
    to_values[:, 0] = pieces[0]
    to_values[:, k:] = pieces[1:].T
    to_slopes = (pieces[1:] * torch.arange(1, k + 1, device="cpu")[:, None]).T
    top = torch.nextafter(*torch.tensor([float(n_grid), 0.0], dtype=dtype, device="cpu"))
    return to_values.to(device, dtype), to_slopes.to(device, dtype).contiguous(), float(top)


fused: Callable[..., Tensor] = FusedEdges.apply
