"""How well a smooth function of some columns describes a noisy target: polynomials, judged by rows left out.

What a least-squares fit misses a row by without having seen it is the residual over 1 - h, with the leverage h of the
row, so that one factorisation judges a basis. A table with fewer columns has fewer terms: where it describes the target
as well, it describes rows left out better, and needs no test of its own.

Reference: Allen, The relationship between variable selection and data augmentation, Technometrics 16 (1974).
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.budget import spend

SHARE, MOST = 0.2, 72  # largest number of terms, as a share of the rows, and at all
HIGHEST = 12
MIDDLE = 0.8  # of the range of logarithms: beyond it their median must not be


@cache
def _powers(n: int, degree: int) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(chosen.count(i) for i in range(n))
        for d in range(degree + 1)
        for chosen in combinations_with_replacement(range(n), d)
    )


def degree_for(n_columns: int, n_rows: int) -> int:
    """Returns the highest degree whose monomials are few beside the rows.

    Example:
        >>> degree_for(2, 1000), degree_for(9, 1000)
        (10, 2)
    """
    degree = 1
    while degree < HIGHEST and len(_powers(n_columns, degree + 1)) <= min(SHARE * n_rows, MOST):
        degree += 1
    return degree


def coordinate(values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
    """Returns the logarithm of what is positive over more than a factor of two, else the values; from -1 to 1.

    Of what is evenly spread from nearly zero, the logarithm would have most rows at its end.
    """
    low, high = float(values.min()), float(values.max())
    if low > 0 and high > 2 * low and np.median(values) <= low ** (1 - MIDDLE) * high**MIDDLE:
        values, low, high = np.log(values), float(np.log(low)), float(np.log(high))
    return (2 * values - low - high) / ((high - low) or 1.0)


def basis(coordinates: Sequence[Float[ndarray, "row"]], degree: int, n_rows: int) -> Float[ndarray, "row term"]:
    """Returns products of Chebyshev polynomials of the coordinates up to a total degree."""
    if not coordinates:
        return np.ones((n_rows, 1))
    each = [np.polynomial.chebyshev.chebvander(u, degree) for u in coordinates]
    return np.stack([np.prod([c[:, p] for c, p in zip(each, powers)], 0) for powers in _powers(len(each), degree)], 1)


def missed(
    A: Float[ndarray, "row term"], y: Float[ndarray, "row"], weight: Float[ndarray, "row"]
) -> Float[ndarray, "row"]:
    """Returns by how much each row is missed without having been seen."""
    spend(*A.shape)
    root = np.sqrt(weight)
    Q, R = np.linalg.qr(root[:, None] * A)
    size = np.abs(np.diagonal(R))
    Q = Q[:, size > 1e-10 * size.max()]
    target = root * y
    leverage = np.minimum((Q**2).sum(1), 1 - 1e-9)
    return (target - Q @ (Q.T @ target)) / (1 - leverage) / root
