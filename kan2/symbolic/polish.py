"""Least squares for a and b of c f(a t + b) + d, and the shape parameter where there is one, many fits at once.

c and d are linear: for each (a, b) they are eliminated (*variable projection*, with the Jacobian of Kaufman), which
leaves two or three numbers, found by Levenberg-Marquardt.

References: Golub, Pereyra, Separable nonlinear least squares (2003), doi:10.1088/0266-5611/19/2/201; Kaufman (1975),
doi:10.1007/BF01932995.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kan2.functions import SymbolicFunction
from kan2.functions.interpolation import table

EXACT = 1e-29  # errors below this are rounding
SLOW = 1e-4  # relative gain of a step below which no more is expected


@dataclass
class Fits:
    """Numbers a, b and shape of each fit, and its mean square error."""

    numbers: Float[Tensor, "item 3"]
    error: Float[Tensor, " item"]


def polish(
    rows: Sequence[SymbolicFunction],
    start: Float[Tensor, "item 3"],
    row_of: Int[Tensor, " item"],
    curves: Float[Tensor, "item point"],
    t: Float[Tensor, " point"],
    steps: int,
) -> Fits:
    """Improves a, b and the shape of each item.

    Args:
        rows: functions.
        start: a, b and shape to start from.
        row_of: which function each item is about.
        curves: the values to fit, at t.
        t: points in [-1, 1].
        steps: largest number of steps; 0 only evaluates.
    """
    order = row_of.argsort(stable=True)
    numbers = start.clone()
    error = curves.new_full((len(start),), float("inf"))
    problem = _Problem(rows, row_of[order], curves[order], t)
    present = start[order]
    errors, gram, gradient = problem.evaluate(present)
    damping = torch.full_like(errors, 1e-3)
    for step in range(steps):
        trial = present + problem.direction(gram, gradient, damping)
        new_errors, new_gram, new_gradient = problem.evaluate(trial)
        better = new_errors < errors
        gain = torch.where(better, (errors - new_errors) / errors.clamp_min(1e-300), torch.zeros_like(errors))
        present = torch.where(better[:, None], trial, present)
        errors = torch.where(better, new_errors, errors)
        gram = torch.where(better[:, None, None], new_gram, gram)
        gradient = torch.where(better[:, None], new_gradient, gradient)
        damping = torch.where(better, damping / 5, damping * 4).clamp(1e-14, 1e8)
        done = (better & (gain < SLOW)) | (damping > 1e3) | (errors < EXACT) | ~torch.isfinite(errors)
        if bool(done.all()):
            break
        if step % 3 == 2 and int(done.sum()) * 4 > len(done):
            numbers[order[done]], error[order[done]] = present[done], errors[done]
            keep = ~done
            order, present, errors, damping = order[keep], present[keep], errors[keep], damping[keep]
            gram, gradient = gram[keep], gradient[keep]
            problem = _Problem(rows, row_of[order], curves[order], t)
    numbers[order], error[order] = present, errors
    return Fits(numbers, error)


def linear_part(values: Float[Tensor, "item point"], curves: Float[Tensor, "item point"]) -> tuple[Tensor, Tensor]:
    """Returns c and d of the least squares fit c values + d to curves."""
    centred = values - values.mean(1, keepdim=True)
    c = (centred * curves).sum(1) / centred.square().sum(1)
    return c, curves.mean(1) - c * values.mean(1)


def evaluate(row: SymbolicFunction, u: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns f(u; p), its slope, and its derivative by p where p is free; slow functions by their tables."""
    if row.is_slow:
        return *table(row)(u), None
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        p = p.expand_as(u).detach().requires_grad_()
        f = row(u, p) if row.shape is not None else row(u)
        by = [u, p] if row.shape is not None else [u]
        found = torch.autograd.grad(f.sum(), by, allow_unused=True, materialize_grads=True)
    return f.detach(), found[0], found[1] if row.shape is not None else None


class _Problem:
    """Items sorted by function, so that each function is called once for all of its items."""

    def __init__(self, rows: Sequence[SymbolicFunction], row_of: Tensor, curves: Tensor, t: Tensor) -> None:
        self.t, self.curves = t, curves - curves.mean(1, keepdim=True)
        counts = torch.bincount(row_of, minlength=len(rows)).tolist()
        self.blocks = [(row, count) for row, count in zip(rows, counts) if count]
        self.letters = "abp" if any(row.shape is not None and not row.is_slow for row in rows) else "ab"
        free = [[letter in row.free for letter in self.letters] for row in rows]
        self.free = torch.tensor(free)[row_of].double()
        self.low, self.high = torch.tensor([row.domain for row in rows], dtype=torch.float64)[row_of].T

    def evaluate(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the mean square error, and the normal equations J'J and J'r of a, b (and the shape)."""
        u = numbers[:, :1] * self.t + numbers[:, 1:2]
        n = len(self.t)
        f, columns = torch.empty_like(u), u.new_zeros(len(u), len(self.letters), n)
        first = 0
        for row, count in self.blocks:
            part = slice(first, first + count)
            f[part], columns[part, 1], by_shape = evaluate(row, u[part], numbers[part, 2:])
            if by_shape is not None:
                columns[part, 2] = by_shape
            first += count
        torch.mul(columns[:, 1], self.t, out=columns[:, 0])
        size = f.abs().amax(1)
        f -= f.mean(1, keepdim=True)
        square = f.square().sum(1)
        c = (f * self.curves).sum(1) / square
        residual = self.curves - c[:, None] * f
        error = residual.square().mean(1)
        # u is linear in t: its ends tell whether all of it lies in the domain. A function that varies no more than its
        # own rounding fits anything.
        valid = (u[:, 0].minimum(u[:, -1]) > self.low) & (u[:, 0].maximum(u[:, -1]) < self.high)
        valid &= torch.isfinite(error) & (square > 1e-14 * n * size * size)
        columns -= columns.mean(2, keepdim=True)
        columns -= (columns @ (f / square[:, None])[..., None]) * f[:, None]
        columns *= (c[:, None] * self.free)[..., None]
        gram = columns @ columns.mT / n
        gradient = (columns @ residual[..., None])[..., 0] / n
        return torch.where(valid, error, error.new_full((), float("inf"))), gram, gradient

    def direction(self, gram: Tensor, gradient: Tensor, damping: Tensor) -> Tensor:
        """Returns the damped Gauss-Newton step."""
        root = gram.diagonal(dim1=1, dim2=2).clamp_min(1e-14).rsqrt()
        eye = torch.eye(gram.shape[1], dtype=gram.dtype)
        matrix = gram * root[:, :, None] * root[:, None, :] + eye * damping[:, None, None]
        matrix[~torch.isfinite(matrix).flatten(1).all(1)] = eye
        delta = torch.linalg.solve_ex(matrix, (root * gradient)[..., None])[0][..., 0] * root * self.free
        delta = delta.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        return torch.nn.functional.pad(delta, (0, 3 - delta.shape[1]))
