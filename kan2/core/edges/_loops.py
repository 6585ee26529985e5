"""The loops of `_compiled`, in the part of Python that numba compiles.

The first use of an order and a type takes a second or two; what was compiled is kept on disk.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from kan2.core.bases.bspline import BSplineBasis
from kan2.core.compiling import collector_paused, compile_loop


@compile_loop
def locate(x, low, scale, n_grid):
    """Returns interval, position inside it, and what goes beyond the grid; not-a-number stays what it is."""
    t = (x - low) * scale
    if t >= n_grid:
        return n_grid - 1, 1.0, t - n_grid
    if t >= 0:
        m = int(t)
        return m, t - m, 0.0
    if t < 0:
        return 0, 0.0, t - 0.0
    return 0, t - 0.0, 0.0


@compile_loop
def write_intervals(x, low, scale, n_grid, result):
    """Writes in which interval of its grid each entry of x (batch, source) lies."""
    for i in range(x.shape[0]):
        for s in range(x.shape[1]):
            result[i, s] = locate(x[i, s], low[s], scale[s], n_grid)[0]


def coefficients(k: int, dtype: torch.dtype, order: int = 0) -> np.ndarray:
    """Returns the (power, local) coefficients of the k + 1 functions of an interval, or of a derivative of them."""
    table = BSplineBasis(torch.tensor([[0.0, 1.0]], dtype=torch.float64, device="cpu"), k).pieces[0, 0]
    for _ in range(min(order, k + 1)):
        table = table[1:] * torch.arange(1, len(table), device="cpu")[:, None]
    # Beyond its order a spline has no derivative but zero.
    return (table if len(table) else table.new_zeros(1, k + 1)).to(dtype).numpy()


# A first call, of what the loops of float64 need anyway, has numba set up what compiles and what reads the disk.
with collector_paused():
    locate(0.5, 0.0, 1.0, 1)


@lru_cache(maxsize=16)
def loops(k: int, dtype: torch.dtype) -> tuple[Callable[..., None], Callable[..., None]]:
    """Returns the loops for an order and a type, which are constants to the compiler, as are the coefficients.

    The first writes the features (batch, source * feature) of x (batch, source); the second writes the gradient of x
    for a gradient of the features. `lead` is the column of the first B-spline, 0 or 1; with `is_silu`, column 0 is
    z s(z) with the logistic function s, with `is_straight` continued along its tangent; `given` has z s(z) for the
    first and s(z) for the second loop, or no rows, and then they compute them. The rows of `base` are centre
    and factor of z = (x - centre) factor, with `is_plain` equal to x, then for either end of the grid the end, the
    value and the slope there.
    """
    pieces, slopes = coefficients(k, dtype), coefficients(k, dtype, 1)
    one = pieces.dtype.type(1)

    @compile_loop
    def write_features(x, low, scale, base, is_plain, n_grid, is_straight, lead, is_silu, given, features):
        n_batch, n_source = x.shape
        n_features = features.shape[1] // n_source
        for i in range(n_batch):
            for j in range(n_source * n_features):
                features[i, j] = 0
            for s in range(n_source):
                m, u, excess = locate(x[i, s], low[s], scale[s], n_grid)
                at = s * n_features
                if is_silu:
                    if is_straight and excess != 0:
                        end = 2 if excess < 0 else 5
                        features[i, at] = base[end + 1, s] + (x[i, s] - base[end, s]) * base[end + 2, s]
                    elif len(given):
                        features[i, at] = given[i, s]
                    else:
                        z = x[i, s] if is_plain else (x[i, s] - base[0, s]) * base[1, s]
                        features[i, at] = z / (one + math.exp(-z))
                at += lead + m
                for j in range(k + 1):
                    value = pieces[k, j]
                    for p in range(k):
                        value = value * u + pieces[k - 1 - p, j]
                    features[i, at + j] = value
                if excess != 0:
                    for j in range(k + 1):
                        slope = slopes[k - 1, j]
                        for p in range(k - 1):
                            slope = slope * u + slopes[k - 2 - p, j]
                        features[i, at + j] += excess * slope

    @compile_loop
    def gather_gradient(x, low, scale, base, is_plain, n_grid, is_straight, lead, is_silu, given, gradient, result):
        n_batch, n_source = x.shape
        n_features = gradient.shape[1] // n_source
        for i in range(n_batch):
            for s in range(n_source):
                m, u, excess = locate(x[i, s], low[s], scale[s], n_grid)
                at = s * n_features + lead + m
                total = 0.0
                for j in range(k + 1):
                    slope = slopes[k - 1, j]
                    for p in range(k - 1):
                        slope = slope * u + slopes[k - 2 - p, j]
                    total += slope * gradient[i, at + j]
                total *= scale[s]
                if is_silu:
                    if is_straight and excess != 0:
                        total += gradient[i, s * n_features] * base[4 if excess < 0 else 7, s]
                    else:
                        z = x[i, s] if is_plain else (x[i, s] - base[0, s]) * base[1, s]
                        q = given[i, s] if len(given) else one / (one + math.exp(-z))
                        total += gradient[i, s * n_features] * base[1, s] * q * (one + z * (one - q))
                result[i, s] = total

    return write_features, gather_gradient


@lru_cache(maxsize=32)
def derivative_loop(k: int, dtype: torch.dtype, order: int) -> Callable[..., None]:
    """Returns the loop that writes derivatives of an order >= 1 of all features (batch, source * feature) of x.

    With `is_silu`, order 1 or 2, also those of column 0, see `loops`.
    """
    pieces, degree = coefficients(k, dtype, order), k - order
    one = pieces.dtype.type(1)

    @compile_loop
    def write_derivatives(x, low, scale, base, is_plain, n_grid, is_straight, lead, is_silu, features):
        n_batch, n_source = x.shape
        n_features = features.shape[1] // n_source
        for i in range(n_batch):
            for j in range(n_source * n_features):
                features[i, j] = 0
            for s in range(n_source):
                m, u, excess = locate(x[i, s], low[s], scale[s], n_grid)
                if is_silu:
                    z = x[i, s] if is_plain else (x[i, s] - base[0, s]) * base[1, s]
                    q = one / (one + math.exp(-z))
                    # Not by the excess, which rounding may leave at the ends of the grid, where curvature is not zero.
                    if is_straight and (x[i, s] < base[2, s] or x[i, s] > base[5, s]):
                        if order == 1:
                            features[i, s * n_features] = base[4 if x[i, s] < base[2, s] else 7, s]
                    elif order == 1:
                        features[i, s * n_features] = q * (one + z * (one - q)) * base[1, s]
                    else:
                        bend = q * (one - q) * (one + one + z * (one - q - q))
                        features[i, s * n_features] = bend * base[1, s] * base[1, s]
                # Straight continuations bend nowhere.
                if degree >= 0 and (excess == 0 or order == 1):
                    for j in range(k + 1):
                        value = pieces[degree, j]
                        for p in range(degree):
                            value = value * u + pieces[degree - 1 - p, j]
                        features[i, s * n_features + lead + m + j] = value * scale[s] ** order

    return write_derivatives
