"""Fits c f(a x + b) + d to curves: every function of a library to every curve, all at once.

c and d follow from a and b by linear regression, so only (a, b), and the shape parameter where there is one, are
searched. Curves are given on one common grid t in [-1, 1] of their ranges; then the values f(a t + b) of the search are
the same for all curves, and correlating them is one matrix product. The best few candidates are polished by
Levenberg-Marquardt, all together. Because ranges and values are scaled to unit size first, the result does not depend
on the units of x and y.

Reference: Golub, Pereyra, Separable nonlinear least squares (2003), doi:10.1088/0266-5611/19/2/201.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import functions
from kan2.functions import SymbolicFunction

N_POINTS = 201
N_POLISH = 4  # candidates polished for each curve and function
POWERS = (-4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class CurveFit:
    """One function fitted to one curve.

    Attributes:
        function: name of the row.
        affine: a, b, c, d of c f(a x + b) + d.
        shape: the shape parameter, 0 where there is none.
        r2: share of the curve's variance that is explained.
        complexity: of the function, from its row.
    """

    function: str
    affine: tuple[float, float, float, float]
    shape: float
    r2: float
    complexity: int


def grid_points() -> Float[Tensor, " point"]:
    """Returns the common grid on [-1, 1] at which curves are given."""
    return torch.linspace(-1, 1, N_POINTS, dtype=torch.float64)


def fit_curves(
    values: Float[Tensor, "curve point"],
    low: Float[Tensor, " curve"],
    high: Float[Tensor, " curve"],
    library: Sequence[str],
) -> list[list[CurveFit]]:
    """Fits every function of a library to every curve.

    Args:
        values: the curves at `grid_points()`, stretched to their ranges.
        low: left ends of the ranges.
        high: right ends, larger than low.
        library: names of functions.

    Returns:
        for each curve the fits, in the order of the library; functions that are nowhere finite are left out.
    """
    values = values.double()
    mean = values.mean(1, keepdim=True)
    spread = (values - mean).norm(dim=1, keepdim=True) / N_POINTS**0.5
    is_constant = spread[:, 0] <= 1e-12 * values.abs().amax(1)
    scaled = (values - mean) / torch.where(spread > 0, spread, torch.ones_like(spread))
    results: list[list[CurveFit]] = [[] for _ in range(len(values))]
    centre, half = ((high + low) / 2).double(), ((high - low) / 2).double()
    for name in library:
        row = functions.get(name)
        numbers, r2 = _fit_function(row, scaled)
        # From t back to x, and from unit size back to the curve's own.
        a, b, c, d, p = numbers.unbind(1)
        a, b = a / half, b - a * centre / half
        c, d = c * spread[:, 0], d * spread[:, 0] + mean[:, 0]
        for i in range(len(values)):
            if is_constant[i]:
                results[i].append(CurveFit(name, (0.0, 0.0, 0.0, float(mean[i])), float(p[i]), 1.0, row.complexity))
            elif bool(torch.isfinite(r2[i])):
                affine = (float(a[i]), float(b[i]), float(c[i]), float(d[i]))
                results[i].append(CurveFit(name, affine, float(p[i]), float(r2[i]), row.complexity))
    return results


def _fit_function(
    row: SymbolicFunction, curves: Float[Tensor, "curve point"]
) -> tuple[Float[Tensor, "curve 5"], Float[Tensor, " curve"]]:
    candidates, shapes, table, norms, means = _search_table(row.name)
    n = len(curves)
    if not len(candidates):
        return curves.new_zeros(n, 5), curves.new_full((n,), float("nan"))
    correlation = curves @ table.T / N_POINTS**0.5
    best = correlation.abs().topk(min(N_POLISH, len(candidates)), dim=1).indices
    c = torch.gather(correlation, 1, best) / norms[best] * N_POINTS**0.5
    d = -c * means[best]
    start = torch.cat([candidates[best], c[..., None], d[..., None], shapes[best][..., None]], -1)
    k = start.shape[1]
    numbers, error = _polish(row, start.flatten(0, 1), curves.repeat_interleave(k, 0))
    error = error.view(n, k)
    winner = error.argmin(1)
    return numbers.view(n, k, 5)[torch.arange(n), winner], 1 - error[torch.arange(n), winner]


@lru_cache(maxsize=256)
def _search_table(name: str) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    # Candidates (a, b), their shapes, centred unit-norm values on the grid, norms and means; only finite candidates.
    row = functions.get(name)
    pairs = _search_pairs(row)
    shapes = torch.zeros(len(pairs), dtype=torch.float64)
    if row.shape is not None:
        options = POWERS if name == "power" else (row.shape,)
        shapes = torch.tensor(options, dtype=torch.float64).repeat_interleave(len(pairs))
        pairs = pairs.repeat(len(options), 1)
    with torch.no_grad():
        u = grid_points() * pairs[:, :1] + pairs[:, 1:]
        f = row(u, shapes[:, None]) if row.shape is not None else row(u)
    low, high = row.domain
    means = f.mean(1)
    norms = (f - means[:, None]).norm(dim=1)
    # Where f varies less than its own rounding, the regression has nothing to hold on to.
    keep = torch.isfinite(f).all(1) & (u > low).all(1) & (u < high).all(1) & (norms > 1e-7 * f.abs().amax(1))
    table = (f[keep] - means[keep, None]) / norms[keep, None]
    return pairs[keep], shapes[keep], table, norms[keep], means[keep]


def _search_pairs(row: SymbolicFunction) -> Tensor:
    # Where to start looking for (a, b), with t in [-1, 1]; the gauge says which of them matter.
    def log_spaced(low: float, high: float, n: int) -> Tensor:
        return torch.logspace(low, high, n, dtype=torch.float64)

    one = torch.ones(1, dtype=torch.float64)
    if row.gauge in ("linear", "constant"):
        return torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    if row.gauge == "shift":
        a = log_spaced(-2, 2, 60)
        return torch.stack([torch.cat([a, -a]), torch.zeros(120, dtype=torch.float64)], 1)
    if row.gauge == "scale":
        outside = 1 + torch.cat([torch.zeros(1, dtype=torch.float64), log_spaced(-4, 2, 60)])
        b = torch.cat([outside, -outside, torch.linspace(-1, 1, 81, dtype=torch.float64)])
        return torch.cartesian_prod(torch.cat([one, -one]), b)
    if row.gauge == "periodic":
        # Steps small enough that the phase across the range is never off by more than a quarter turn.
        a = torch.cat([log_spaced(-2, 0.5, 24), torch.arange(3.5, 100 * pi, 0.4, dtype=torch.float64)])
        return torch.cartesian_prod(a, torch.arange(0, pi, pi / 8, dtype=torch.float64))
    a = log_spaced(-1.5, 1.7, 33)
    if row.domain[0] > -1e9 and row.domain[1] < 1e9:
        # A bounded domain must hold all of a t + b.
        a = torch.cat([a[a < (row.domain[1] - row.domain[0]) / 2], (row.domain[1] - row.domain[0]) / 2 * (1 - log_spaced(-5, -1, 9))])
    a = torch.cat([a, -a])
    centres = torch.cat([torch.linspace(-2.5, 2.5, 41, dtype=torch.float64), torch.tensor([-6.0, -4.0, 4.0, 6.0]).double()])
    pairs = torch.cartesian_prod(a, centres)
    return torch.stack([pairs[:, 0], -pairs[:, 0] * pairs[:, 1]], 1)


def _polish(
    row: SymbolicFunction, start: Float[Tensor, "item 5"], curves: Float[Tensor, "item point"], steps: int = 40
) -> tuple[Float[Tensor, "item 5"], Float[Tensor, " item"]]:
    # Levenberg-Marquardt on all items at once; the curves have unit variance, so the error is 1 - R2.
    t = grid_points()
    free = torch.tensor([letter in row.free or letter in "cd" for letter in "abcdp"])
    index = free.nonzero()[:, 0]
    low, high = row.domain

    def evaluate(numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u = numbers[:, :1] * t + numbers[:, 1:2]
        f = row(u, numbers[:, 4:].expand_as(u)) if row.shape is not None else row(u)
        residual = numbers[:, 2:3] * f + numbers[:, 3:4] - curves
        error = residual.square().mean(1)
        inside = (u > low).all(1) & (u < high).all(1)
        return torch.where(inside, error, error.new_full((), float("inf"))).nan_to_num(nan=float("inf")), residual, u

    numbers = start.clone()
    with torch.no_grad():
        error, residual, _ = evaluate(numbers)
    damping = torch.full_like(error, 1e-3)
    for _ in range(steps):
        with torch.enable_grad():
            u = (numbers[:, :1] * t + numbers[:, 1:2]).requires_grad_()
            p = numbers[:, 4:].expand_as(u).clone().requires_grad_(row.shape is not None)
            f = row(u, p) if row.shape is not None else row(u)
            if f.requires_grad:
                wanted = [u, p] if row.shape is not None else [u]
                slopes = torch.autograd.grad(f.sum(), wanted, allow_unused=True)
            else:
                slopes = (None,)
        du = torch.zeros_like(u) if slopes[0] is None else slopes[0]
        dp = slopes[1] if len(slopes) > 1 and slopes[1] is not None else torch.zeros_like(u)
        c = numbers[:, 2:3]
        jacobian = torch.stack([c * du * t, c * du, f.detach(), torch.ones_like(du), c * dp], -1)[..., index]
        gram = jacobian.mT @ jacobian / N_POINTS
        gradient = (jacobian.mT @ residual[..., None])[..., 0] / N_POINTS
        diagonal = gram.diagonal(dim1=1, dim2=2).clamp_min(1e-14)
        root = diagonal.rsqrt()
        scaled = gram * root[:, :, None] * root[:, None, :]
        matrix = scaled + torch.eye(len(index), dtype=gram.dtype) * damping[:, None, None]
        matrix = torch.where(torch.isfinite(matrix).all(-1).all(-1)[:, None, None], matrix, torch.eye(len(index)).double())
        delta = torch.linalg.solve_ex(matrix, -(root * gradient)[..., None])[0][..., 0] * root
        trial = numbers.clone()
        trial[:, index] += delta.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        with torch.no_grad():
            new_error, new_residual, _ = evaluate(trial)
        better = new_error < error
        numbers = torch.where(better[:, None], trial, numbers)
        residual = torch.where(better[:, None], new_residual, residual)
        gain = torch.where(better, (error - new_error) / error.clamp_min(1e-300), torch.zeros_like(error))
        error = torch.where(better, new_error, error)
        damping = torch.where(better, damping / 5, damping * 4).clamp(1e-14, 1e8)
        if bool(((gain < 1e-6) & (better | (damping > 1e4)) | (error < 1e-28)).all()):
            break
    return numbers, error
