"""B-splines of order 0 to 5, evaluated locally: at every point only k + 1 functions differ from zero.

The basis of a source node is fixed by its *grid* of G + 1 points; k equally spaced points beyond either end complete
the *knots*. Inside an interval each function is a polynomial in u = (x - left) / width, 0 <= u <= 1. Their
coefficients, the *pieces*, are computed once for a grid; evaluation finds the interval, looks up the pieces and
multiplies by the powers of u. All intervals of a uniform grid share one table. Outside the grid every function
continues along its tangent, so that a network extrapolates linearly and its derivative stays bounded.

Reference: de Boor, A Practical Guide to Splines (2001), chapters IX and X.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kan2.core.bases.base import Basis, has_numbers, in_transform


class BSplineBasis(Basis):
    """The B-splines of all source nodes of a layer, on one grid a source.

    Args:
        grid: (source, G + 1) strictly increasing grid points, G >= 1.
        k: polynomial order, 0 to 5.
        home: (source, 2) the range that the base function sees as -1 to 1; by default -1 to 1.

    Raises:
        SpecError: the grid is not finite and increasing, k is out of range, or a home is no interval.

    Example:
        >>> basis = BSplineBasis(torch.linspace(-1, 1, 6)[None], k=3)
        >>> basis(torch.zeros(1, 1)).sum().item()
        1.0
    """

    pieces: Float[Tensor, "grids intervals power local"]
    needs_uniform_grid = False

    def __init__(
        self,
        grid: Float[Tensor, "source points"],
        k: int = 3,
        home: Float[Tensor, "source 2"] | None = None,
    ) -> None:
        super().__init__(grid, k, home)
        self.register_buffer("pieces", _pieces(knots(self.grid, k), k))

    @property
    def n_basis(self) -> int:
        """Number of functions a source, G + k."""
        return self.n_intervals + self.k

    @property
    def is_uniform(self) -> bool:
        """Whether the intervals of every source are equally long."""
        return self.pieces.shape[1] == 1

    def origin_and_scale(self) -> tuple[Float[Tensor, " source"], Float[Tensor, " source"]]:
        """Returns the left end of every uniform grid, and the number of intervals per unit of length."""
        return self.remember("origin", self._origin_and_scale, self.grid)

    def _origin_and_scale(self) -> tuple[Tensor, Tensor]:
        low = self.grid[:, 0].contiguous()
        return low, self.n_intervals / (self.grid[:, -1] - low)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = self.grid.dtype
        super()._apply(fn, recurse)
        if self.grid.dtype != before:
            self._restore_pieces()
        return self

    def _restore_pieces(self) -> None:
        # A table that was rounded to a shorter type does not get its digits back by conversion.
        if has_numbers(self.grid):
            equal = torch.arange(self.n_intervals + 1, dtype=torch.float64, device="cpu")[None]
            grid = equal if self.is_uniform else self.grid
            self.pieces = _pieces(knots(grid, self.k), self.k).to(self.grid)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        # The table of another grid may have another shape: whether there is one row an interval depends on the grid.
        # What does not fit is left to torch to refuse, and then this basis stays as it is.
        pieces, grid = (state_dict.get(f"{prefix}{name}") for name in ("pieces", "grid"))
        table = (self.k + 1, self.k + 1)
        shapes = ((1, 1, *table), (self.n_source, self.n_intervals, *table))
        fits = pieces is not None and pieces.shape in shapes and grid is not None and grid.shape == self.grid.shape
        if fits and pieces is not None:
            self.pieces = self.pieces.new_empty(pieces.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)
        if fits and pieces is not None and pieces.dtype != self.grid.dtype:
            self._restore_pieces()

    def local(
        self, x: Float[Tensor, "batch source"], order: int = 0
    ) -> tuple[Float[Tensor, "local batch source"], Int[Tensor, "batch source"]]:
        """Returns the k + 1 functions that may differ from zero, or a derivative of them, and the index of the first.

        Args:
            x: points; anything finite.
            order: which derivative with respect to x, 0 or more.
        """
        low = self.grid[:, 0]
        if self.is_uniform:
            width = (self.grid[:, -1] - low) / self.n_intervals
            position = (x - low) / width
            interval = position.detach().floor().nan_to_num(nan=0.0).clamp(0, self.n_intervals - 1)
            u = position - interval
            interval = interval.long()
            pieces = self.pieces[0, 0, :, :, None, None]
        else:
            inner, at = self.grid[:, 1:-1].contiguous(), x.detach()
            if in_transform():  # torch.vmap has no rule for searchsorted
                interval = (at[..., None] >= inner).sum(-1)
            else:
                interval = torch.searchsorted(inner, at.T.contiguous(), right=True).T
            source = torch.arange(self.n_source, device=x.device)
            left = self.grid[source, interval]
            width = self.grid[source, interval + 1] - left
            u = (x - left) / width
            pieces = self.pieces[source, interval].permute(2, 3, 0, 1)
        inside = u.clamp(0, 1)
        values = _polynomial(inside, pieces, order)
        if order == 0:
            values = values + (u - inside) * _polynomial(inside.detach(), pieces, 1)
        elif order > 1:
            values = values * ((u >= 0) & (u <= 1))
        return values / width**order if order else values, interval

    def forward(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source basis"]:
        """Evaluates all functions, or a derivative of them, at x.

        Args:
            x: points; anything finite.
            order: which derivative with respect to x, 0 or more.
        """
        values, first = self.local(x, order)
        n = self.n_basis
        start = torch.arange(x.numel(), device=x.device).view(x.shape) * n
        index = first + start + torch.arange(self.k + 1, device=x.device)[:, None, None]
        # One long scatter is much faster than many short ones.
        return values.new_zeros(x.numel() * n).scatter(0, index.flatten(), values.flatten()).view(*x.shape, n)

    def select(self, sources: Sequence[int]) -> Self:
        """Returns the basis of these sources, in this order; a source may be listed several times."""
        new = super().select(sources)
        # Tables that differ between sources are taken over as they are, so that values stay the same bit for bit.
        new.pieces = self.pieces[list(sources)] if not self.is_uniform else self.pieces.clone()
        return new


def knots(grid: Float[Tensor, "source points"], k: int) -> Float[Tensor, "source knots"]:
    """Completes a grid by k points beyond either end, spaced like the mean interval."""
    width = (grid[:, -1:] - grid[:, :1]) / (grid.shape[1] - 1)
    steps = torch.arange(1, k + 1, dtype=grid.dtype, device=grid.device)
    return torch.cat([grid[:, :1] - width * steps.flip(0), grid, grid[:, -1:] + width * steps], dim=1)


def _polynomial(u: Float[Tensor, "batch source"], pieces: Tensor, order: int) -> Float[Tensor, "local batch source"]:
    # The order-th derivative with respect to u of sum_p u^p pieces[p, local, ...], by Horner's rule.
    degree = pieces.shape[0] - 1
    if order > degree:
        return torch.zeros_like(u).expand(degree + 1, *u.shape)
    factors = [1.0] * (degree + 1)
    for p in range(degree + 1):
        for j in range(order):
            factors[p] *= p - j
    result = factors[degree] * pieces[degree]
    for p in range(degree - 1, order - 1, -1):
        result = result * u + factors[p] * pieces[p]
    return result.expand(degree + 1, *u.shape)


def _pieces(all_knots: Float[Tensor, "source knots"], k: int) -> Float[Tensor, "grids intervals power local"]:
    # The Cox-de Boor recursion carried out on polynomials in u instead of on numbers.
    n_intervals = all_knots.shape[1] - 2 * k - 1
    widths = all_knots.diff()
    rounding = 8 * torch.finfo(all_knots.dtype).eps * all_knots.abs().amax(1)
    is_uniform = widths.amax(1) - widths.amin(1) <= 1e-12 * widths.amax(1) + rounding
    if not has_numbers(all_knots) or bool(is_uniform.all()):
        # Uniform: one table serves all sources and intervals.
        return _uniform_table(k).to(all_knots, copy=True)
    return _table(all_knots.double().cpu(), n_intervals, k).to(all_knots)


@lru_cache(maxsize=8)
def _uniform_table(k: int) -> Float[Tensor, "grids intervals power local"]:
    return _table(torch.arange(-k, k + 2, dtype=torch.float64, device="cpu")[None], 1, k)


def _table(t: Float[Tensor, "source knots"], n_rows: int, k: int) -> Float[Tensor, "source intervals power local"]:
    source = t.shape[0]
    left = t[:, k : k + n_rows]
    width = t[:, k + 1 : k + 1 + n_rows] - left
    table = torch.ones_like(t[:, :n_rows, None, None])
    for d in range(1, k + 1):
        new = table.new_zeros(source, n_rows, d + 1, d + 1)
        for j in range(d):
            # The (d - 1)-order function number j on interval m starts at knot k + m - (d - 1) + j.
            start = t[:, k - d + 1 + j : k - d + 1 + j + n_rows]
            end = t[:, k + 1 + j : k + 1 + j + n_rows]
            rise, offset = width / (end - start), (left - start) / (end - start)
            old = table[..., j]
            new[:, :, :d, j + 1] += offset[..., None] * old
            new[:, :, 1:, j + 1] += rise[..., None] * old
            new[:, :, :d, j] += (1 - offset)[..., None] * old
            new[:, :, 1:, j] -= rise[..., None] * old
        table = new
    return table
