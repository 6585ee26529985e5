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
LARGEST_SHIFT = 50.0  # shift of an exponential that is turned into a factor
N_POLISH = 4  # candidates of each function that are polished briefly
N_PROMISING = 8  # functions of each curve that are polished to the end
POWERS = (
    -12.0,
    -8.0,
    -6.0,
    -4.0,
    -3.0,
    -2.5,
    -2.0,
    -1.5,
    -1.0,
    -0.75,
    -0.5,
    -0.25,
    0.25,
    0.5,
    0.75,
    1.25,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    8.0,
    12.0,
)


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
    rows = [functions.get(name) for name in library]
    numbers, error = _fit_scaled(rows, scaled)
    centre, half = ((high + low) / 2).double()[:, None], ((high - low) / 2).double()[:, None]
    # From t back to x, and from unit size back to the curve's own.
    a, b, c, d, p = numbers.unbind(-1)
    a, b = a / half, b - a * centre / half
    c, d = c * spread, d * spread + mean
    affine = torch.stack([a, b, c, d], -1).tolist()
    results: list[list[CurveFit]] = []
    for i in range(len(values)):
        if is_constant[i]:
            flat = (0.0, 0.0, 0.0, float(mean[i]))
            results.append([CurveFit(row.name, flat, row.shape or 0.0, 1.0, row.complexity) for row in rows])
            continue
        results.append(
            [
                CurveFit(row.name, tuple(affine[i][j]), float(p[i, j]), 1 - float(error[i, j]), row.complexity)
                for j, row in enumerate(rows)
                if bool(torch.isfinite(error[i, j]))
            ]
        )
    return results


def _fit_scaled(
    rows: Sequence[SymbolicFunction], curves: Float[Tensor, "curve point"]
) -> tuple[Float[Tensor, "curve function 5"], Float[Tensor, "curve function"]]:
    # Search, polish all candidates briefly, keep the best of each function, polish the promising ones to the end.
    n = len(curves)
    starts, owners = [], []  # owner: (curve, function)
    for j, row in enumerate(rows):
        candidates, shapes, table, norms, means = _search_table(row.name)
        if not len(candidates):
            continue
        correlation = curves @ table.T / N_POINTS**0.5
        best = correlation.abs().topk(min(N_POLISH, len(candidates)), dim=1).indices
        c = torch.gather(correlation, 1, best) / norms[best] * N_POINTS**0.5
        start = torch.cat([candidates[best], c[..., None], (-c * means[best])[..., None], shapes[best][..., None]], -1)
        starts.append(start.flatten(0, 1))
        curve = torch.arange(n).repeat_interleave(best.shape[1])
        owners.append(torch.stack([curve, torch.full_like(curve, j)], 1))
    numbers = curves.new_zeros(n, len(rows), 5)
    error = curves.new_full((n, len(rows)), float("inf"))
    if not starts:
        return numbers, error
    start, owner = torch.cat(starts), torch.cat(owners)
    brief, brief_error = _polish(rows, start, owner[:, 1], curves[owner[:, 0]], steps=6)
    for i in brief_error.argsort(descending=True).tolist():  # the best is written last
        curve, j = owner[i].tolist()
        numbers[curve, j], error[curve, j] = brief[i], brief_error[i]
    promising = torch.isfinite(error) & (
        error <= error.kthvalue(min(N_PROMISING, len(rows)), dim=1, keepdim=True).values
    )
    curve, j = promising.nonzero().T
    numbers[curve, j], error[curve, j] = _polish(rows, numbers[curve, j], j, curves[curve], steps=60)
    return numbers, error


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
    if _oscillates(row):
        # As for periodic functions, but the argument has a centre in place of a phase.
        a = torch.cat([log_spaced(-1, 0.5, 12), torch.arange(3.5, 30 * pi, 0.4, dtype=torch.float64)])
        centres = torch.cat([torch.linspace(-2, 2, 81, dtype=torch.float64), torch.tensor([-6.0, 6.0]).double()])
        pairs = torch.cartesian_prod(a, centres)
        return torch.stack([pairs[:, 0], -pairs[:, 0] * pairs[:, 1]], 1)
    a = log_spaced(-1.5, 1.7, 33)
    if row.domain[0] > -1e9 and row.domain[1] < 1e9:
        # A bounded domain must hold all of a t + b.
        a = torch.cat(
            [
                a[a < (row.domain[1] - row.domain[0]) / 2],
                (row.domain[1] - row.domain[0]) / 2 * (1 - log_spaced(-5, -1, 9)),
            ]
        )
    a = torch.cat([a, -a])
    centres = torch.cat(
        [torch.linspace(-2.5, 2.5, 41, dtype=torch.float64), torch.tensor([-6.0, -4.0, 4.0, 6.0]).double()]
    )
    pairs = torch.cartesian_prod(a, centres)
    return torch.stack([pairs[:, 0], -pairs[:, 0] * pairs[:, 1]], 1)


def _oscillates(row: SymbolicFunction) -> bool:
    # Whether f turns round often on a long interval, as Bessel functions do.
    if row.shape is not None or row.gauge != "affine" or row.domain[1] < 30:
        return False
    with torch.no_grad():
        slope = row(torch.linspace(0.1, 30, 600, dtype=torch.float64)).diff()
    return bool(torch.isfinite(slope).all()) and int((slope[1:] * slope[:-1] < 0).sum()) >= 6


def _polish(
    rows: Sequence[SymbolicFunction],
    start: Float[Tensor, "item 5"],
    row_of: Tensor,
    curves: Float[Tensor, "item point"],
    steps: int,
) -> tuple[Float[Tensor, "item 5"], Float[Tensor, " item"]]:
    # Levenberg-Marquardt on all items at once; the curves have unit variance, so the error is 1 - R2.
    numbers = start.clone()
    error = curves.new_full((len(start),), float("inf"))
    active = row_of.argsort(stable=True)
    state = _State(rows, row_of[active], curves[active])
    values, errors, damping = start[active], *state.start(start[active])
    for step in range(steps):
        values, errors, damping, gain = state.step(values, errors, damping)
        done = ((gain < 1e-7) & (damping > 1e3)) | (errors < 1e-29) | ~torch.isfinite(errors)
        if bool(done.all()) or step == steps - 1:
            break
        if step % 5 == 4 and bool(done.any()):
            numbers[active[done]], error[active[done]] = values[done], errors[done]
            keep = ~done
            active, values, errors, damping = active[keep], values[keep], errors[keep], damping[keep]
            state = _State(rows, row_of[active], curves[active])
    numbers[active], error[active] = values, errors
    return numbers, error


class _State:
    """Items sorted by function, so that each function is called once for all of its items."""

    def __init__(self, rows: Sequence[SymbolicFunction], row_of: Tensor, curves: Tensor) -> None:
        self.t, self.curves = grid_points(), curves
        counts = torch.bincount(row_of, minlength=len(rows)).tolist()
        self.blocks = [(row, count) for row, count in zip(rows, counts) if count]
        free = [[letter in row.free or letter in "cd" for letter in "abcdp"] for row in rows]
        self.free = torch.tensor(free)[row_of].double()
        self.low, self.high = torch.tensor([row.domain for row in rows], dtype=torch.float64)[row_of].T

    def functions(self, u: Tensor, p: Tensor) -> Tensor:
        parts, first = [], 0
        for row, count in self.blocks:
            block = slice(first, first + count)
            parts.append(row(u[block], p[block]) if row.shape is not None else row(u[block]))
            first += count
        return torch.cat(parts)

    def start(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            error, self.residual = self.evaluate(numbers)
        return error, torch.full_like(error, 1e-3)

    def evaluate(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        u = numbers[:, :1] * self.t + numbers[:, 1:2]
        residual = numbers[:, 2:3] * self.functions(u, numbers[:, 4:].expand_as(u)) + numbers[:, 3:4] - self.curves
        # u is linear in t: its ends tell whether all of it lies in the domain.
        inside = (u[:, 0].minimum(u[:, -1]) > self.low) & (u[:, 0].maximum(u[:, -1]) < self.high)
        error = residual.square().mean(1)
        return torch.where(inside & torch.isfinite(error), error, error.new_full((), float("inf"))), residual

    def step(self, numbers: Tensor, error: Tensor, damping: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if not hasattr(self, "residual"):
            self.start(numbers)
        with torch.enable_grad():
            u = (numbers[:, :1] * self.t + numbers[:, 1:2]).requires_grad_()
            p = numbers[:, 4:].expand_as(u).clone().requires_grad_()
            f = self.functions(u, p)
            du, dp = torch.autograd.grad(f.sum(), [u, p], allow_unused=True, materialize_grads=True)
        c = numbers[:, 2:3]
        columns = [c * du * self.t, c * du, f.detach(), torch.ones_like(du), c * dp]
        jacobian = torch.stack(columns, 1) * self.free[:, :, None]
        gram = jacobian @ jacobian.mT / N_POINTS
        gradient = (jacobian @ self.residual[..., None])[..., 0] / N_POINTS
        root = gram.diagonal(dim1=1, dim2=2).clamp_min(1e-14).rsqrt()
        eye = torch.eye(5, dtype=gram.dtype)
        matrix = gram * root[:, :, None] * root[:, None, :] + eye * damping[:, None, None]
        broken = ~torch.isfinite(matrix).flatten(1).all(1)
        matrix[broken] = eye
        delta = torch.linalg.solve_ex(matrix, -(root * gradient)[..., None])[0][..., 0] * root * self.free
        trial = numbers + delta.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        with torch.no_grad():
            new_error, new_residual = self.evaluate(trial)
        better = new_error < error
        self.residual = torch.where(better[:, None], new_residual, self.residual)
        gain = torch.where(better, (error - new_error) / error.clamp_min(1e-300), torch.zeros_like(error))
        numbers = torch.where(better[:, None], trial, numbers)
        error = torch.where(better, new_error, error)
        return numbers, error, torch.where(better, damping / 5, damping * 4).clamp(1e-14, 1e8), gain


def canonical(function: str, affine: Sequence[float], shape: float = 0.0) -> tuple[float, float, float, float]:
    """Returns the numbers a, b, c, d of the same function in one agreed form.

    What f absorbs is moved out of its argument: the scale of a power, the shift of an exponential, the sign of the
    argument of an even or odd function, full turns of a phase.

    Example:
        >>> [round(v, 6) for v in canonical("x^2", (-2.0, 1.0, 3.0, 0.0))]
        [1.0, -0.5, 12.0, 0.0]
    """
    row = functions.get(function)
    a, b, c, d = (float(v) for v in affine)

    def f(u: float) -> float:
        return float(row(torch.tensor(u, dtype=torch.float64), shape))

    if row.gauge == "constant":
        return 1.0, 0.0, 0.0, d
    if row.gauge == "linear":
        return 1.0, 0.0, c * a, d + c * b
    if row.gauge == "shift":
        # Where f(b) would leave the range of floats, the shift stays.
        return (a, 0.0, c * f(b), d) if abs(b) <= LARGEST_SHIFT else (a, b, c, d)
    if row.gauge == "scale" and a:
        size = abs(a)
        if f(1.0) == 0.0:  # logarithmic: f(s u) = f(s) + f(u)
            d += c * f(size)
        else:  # homogeneous: f(s u) = f(s) f(u)
            c *= f(size)
        a, b = a / size, b / size
    if row.gauge == "periodic":
        b = (b + pi) % (2 * pi) - pi
        if function == "sin" and abs(b) > pi / 2:
            b, c = b - pi if b > 0 else b + pi, -c
        if function == "cos" and abs(b) > pi / 2:
            b, c = b - pi if b > 0 else b + pi, -c
    if a < 0:
        probe = 0.37
        left, right = f(-probe), f(probe)
        if left == right:
            a, b = -a, -b
        elif left == -right:
            a, b, c = -a, -b, -c
    return a, b, c, d
