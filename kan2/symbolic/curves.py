"""Fits c f(a x + b) + d to curves: every function of a library to every curve, all at once.

c and d follow from a and b by linear regression, so only (a, b), and the shape parameter where there is one, are
searched: candidates from `kan2.symbolic.candidates` are screened by correlation, the best few of each function are
polished briefly on few points (`kan2.symbolic.polish`), and the promising functions of each curve to the end. Because
ranges and values are scaled to unit size first, the result does not depend on the units of x and y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, pi

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import functions
from kan2.functions import SymbolicFunction
from kan2.symbolic.candidates import candidates
from kan2.symbolic.candidates import grid_points as grid_points
from kan2.symbolic.polish import evaluate, linear_part, polish

LARGEST_SHIFT = 50.0  # shift of an exponential that is turned into a factor as it is; larger ones piece by piece
LARGEST_FACTOR = 1e150  # factors that leave room for another of their size in float64
N_POLISH = 3  # candidates of each function that are polished briefly
N_PROMISING = 8  # functions of each curve that are polished to the end
COARSE = 5  # every fifth point is enough for a brief polish,
FINE_FROM = 12.0  # unless the argument changes by more than this over half the range
WEIGHT_SIMPLE = 0.35  # how many decades of the error one unit of complexity must buy


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


@torch.no_grad()
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
    spread = (values - mean).norm(dim=1, keepdim=True) / values.shape[1] ** 0.5
    is_constant = spread[:, 0] <= 1e-12 * values.abs().amax(1)
    scaled = (values - mean) / torch.where(spread > 0, spread, torch.ones_like(spread))
    rows = [functions.get(name) for name in library]
    numbers, error = _fit_scaled(rows, scaled)
    centre, half = ((high + low) / 2).double()[:, None], ((high - low) / 2).double()[:, None]
    # From t back to x, and from unit size back to the curve's own.
    a, b, c, d, p = numbers.unbind(-1)
    a, b = a / half, b - a * centre / half
    c, d = c * spread, d * spread + mean
    affine, shapes, r2 = torch.stack([a, b, c, d], -1).tolist(), p.tolist(), (1 - error).tolist()
    results: list[list[CurveFit]] = []
    for i in range(len(values)):
        if is_constant[i]:
            flat = [(0.0, _finite_at(row), 0.0, float(mean[i])) for row in rows]
            results.append([CurveFit(row.name, f, row.shape or 0.0, 1.0, row.complexity) for row, f in zip(rows, flat)])
            continue
        finite = torch.isfinite(error[i]).nonzero()[:, 0].tolist()
        results.append(
            [CurveFit(rows[j].name, tuple(affine[i][j]), shapes[i][j], r2[i][j], rows[j].complexity) for j in finite]
        )
    return results


def _finite_at(row: SymbolicFunction) -> float:
    zero = torch.zeros(1, dtype=torch.float64)
    return 0.0 if bool(torch.isfinite(row(zero, row.shape or 0.0)).all()) else functions.inner_point(row)


def _fit_scaled(
    rows: Sequence[SymbolicFunction], curves: Float[Tensor, "curve point"]
) -> tuple[Float[Tensor, "curve function 5"], Float[Tensor, "curve function"]]:
    # a, b, c, d, shape and the mean square error, infinite where a function does not fit in.
    n, t = len(curves), grid_points()
    start = curves.new_zeros(n, len(rows), N_POLISH, 3)
    exists = torch.zeros(n, len(rows), N_POLISH, dtype=torch.bool)
    for j, row in enumerate(rows):
        tried = candidates(row)
        best = (curves.float() @ tried.curves.T).abs().topk(min(N_POLISH, len(tried.numbers)), dim=1).indices
        start[:, j, : best.shape[1]] = tried.numbers[best]
        exists[:, j, : best.shape[1]] = True
    result = curves.new_zeros(n, len(rows), 5)
    error = curves.new_full((n, len(rows)), float("inf"))
    if not exists.any():
        return result, error

    # All candidates make a few steps, then the best of each function a few more.
    curve, j, k = exists.nonzero().T
    numbers, errors = start, curves.new_full(exists.shape, float("inf"))
    numbers[curve, j, k], errors[curve, j, k] = _polish_briefly(rows, start[curve, j, k], j, curves[curve], steps=2)
    numbers = numbers.gather(2, errors.argmin(2)[:, :, None, None].expand(-1, -1, 1, 3))[:, :, 0]
    curve, j = torch.isfinite(errors).any(2).nonzero().T
    numbers[curve, j], _ = _polish_briefly(rows, numbers[curve, j], j, curves[curve], steps=4)
    error[curve, j] = polish(rows, numbers[curve, j], j, curves[curve], t, steps=0).error

    # The promising ones are polished to the end.
    price = torch.tensor([10 ** (WEIGHT_SIMPLE * row.complexity) for row in rows], dtype=torch.float64)
    weighed = error * price
    limit = weighed.kthvalue(min(N_PROMISING, len(rows)), dim=1, keepdim=True).values
    curve, j = (torch.isfinite(error) & (weighed <= limit)).nonzero().T
    final = polish(rows, numbers[curve, j], j, curves[curve], t, steps=60)
    numbers[curve, j], error[curve, j] = final.numbers, final.error

    for i, row in enumerate(rows):
        curve = torch.isfinite(error[:, i]).nonzero()[:, 0]
        a, b, p = numbers[curve, i, :, None].unbind(1)
        c, d = linear_part(evaluate(row, a * t + b, p)[0], curves[curve])
        result[curve, i] = torch.stack([a[:, 0], b[:, 0], c, d, p[:, 0]], 1)
    return result, error


def _polish_briefly(
    rows: Sequence[SymbolicFunction], start: Tensor, row_of: Tensor, curves: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    t, numbers = grid_points(), start.clone()
    error = curves.new_full((len(start),), float("inf"))
    is_fine = start[:, 0].abs() > FINE_FROM
    for chosen, every in ((is_fine, 1), (~is_fine, COARSE)):
        if chosen.any():
            found = polish(rows, start[chosen], row_of[chosen], curves[chosen, ::every], t[::every], steps)
            numbers[chosen], error[chosen] = found.numbers, found.error
    return numbers, error


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
        n = ceil(abs(b) / LARGEST_SHIFT) or 1
        factor = c
        for _ in range(n):
            factor *= f(b / n)
            if not 0 < abs(factor) < inf:
                break
        # Where the factor would leave the range of floats, the shift stays.
        return (a, 0.0, factor, d) if n == 1 or _is_moderate(factor) else (a, b, c, d)
    if row.gauge == "scale" and a:
        size = abs(a)
        if f(1.0) == 0.0:  # logarithmic: f(s u) = f(s) + f(u)
            d += c * f(size)
            a, b = a / size, b / size
        elif _is_moderate(f(size)) and _is_moderate(c * f(size)):  # homogeneous: f(s u) = f(s) f(u)
            c *= f(size)
            a, b = a / size, b / size
    if row.gauge == "periodic":
        b = (b + pi) % (2 * pi) - pi
        if function == "sin" and abs(b) > pi / 2:
            b, c = b - pi if b > 0 else b + pi, -c
        if function == "cos" and abs(b) > pi / 2:
            b, c = b - pi if b > 0 else b + pi, -c
    if a < 0 and (sign := _parity(row, shape)):
        a, b, c = -a, -b, sign * c
    return a, b, c, d


def _is_moderate(factor: float) -> bool:
    return 1 / LARGEST_FACTOR <= abs(factor) <= LARGEST_FACTOR


@lru_cache(maxsize=1024)
def _parity(row: SymbolicFunction, shape: float) -> int:
    # 1 for an even function, -1 for an odd one, 0 for others.
    u = torch.tensor([0.05, 0.37, 0.81, 1.3, 2.9, 7.7], dtype=torch.float64)
    left, right = row(-u, shape), row(u, shape)
    finite = torch.isfinite(left) & torch.isfinite(right)
    left, right = left[finite], right[finite]
    if len(left) < 2 or bool((right == right[0]).all()):
        return 0
    tolerance = 1e-13 * float(right.abs().amax())
    return next((sign for sign in (1, -1) if float((left - sign * right).abs().amax()) <= tolerance), 0)
