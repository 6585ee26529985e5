"""Where the smallest singular value of a matrix vanishes as a number in it is varied."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize_scalar

from kan2.laws.algebra.letters import Letter
from kan2.laws.algebra.relations import monomials
from kan2.laws.budget import spend

DEGENERATE = -13.5  # logarithm of a singular value that vanishes off the right number
VANISHES = -10.5  # and of one that vanishes after refinement, where the relation is still to be checked
NEAR = 1e-6  # how far the first search of a minimum may be off
FOLLOWED = 3  # minima that are refined


def vanishing_points(function: Callable[[float], float], grid: ndarray) -> list[tuple[float, float]]:
    """Returns the points at which a function falls to rounding, and its values there, the lowest minima first.

    Args:
        function: logarithm of a singular value.
        grid: increasing points at which it is looked at first.
    """
    height = np.array([function(float(x)) for x in grid])
    # Where it vanishes at neighbouring points as well, there is an identity, or a function that does not change.
    inside = [k for k in range(1, len(grid) - 1) if DEGENERATE < height[k] <= min(height[k - 1], height[k + 1])]
    found = []
    # The right one is the sharpest: others may be as low, where the letters hardly change.
    for k in sorted(inside, key=lambda k: height[k] - (height[k - 1] + height[k + 1]) / 2)[:FOLLOWED]:
        x, lowest = _minimum(function, float(grid[k - 1]), float(grid[k + 1]))
        if lowest <= VANISHES:
            found.append((x, lowest))
    return found


def _minimum(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    # SciPy's method ends at half of the digits of its variable: the second call has the distance from the first one's.
    x, _ = _bounded(function, low, high, 1e-9)
    near, lowest = _bounded(lambda d: function(x + d), -NEAR, NEAR, 1e-15)
    return x + near, lowest


def _bounded(function: Callable[[float], float], low: float, high: float, step: float) -> tuple[float, float]:
    found: Any = minimize_scalar(function, bounds=(low, high), method="bounded", options={"xatol": step, "maxiter": 60})
    return float(found.x), float(found.fun)


def smallest(letters: Sequence[Letter], g: ndarray, degrees: tuple[int, int]) -> float:
    """Returns the logarithm of the smallest singular value, as a share of the largest, of P(letters) - g Q(letters)."""
    highest = tuple(letter.highest for letter in letters)
    U = np.stack([letter.values for letter in letters], 1)
    with np.errstate(all="ignore"):
        P = [np.prod(U ** np.array(powers), 1) for powers in monomials(len(letters), degrees[0], highest)]
        Q = [-g * np.prod(U ** np.array(powers), 1) for powers in monomials(len(letters), degrees[1], highest)]
        M = np.column_stack([*P, *Q])
        M /= np.abs(M).max(1, keepdims=True)
    if not np.isfinite(M).all():
        return 0.0
    spend(*M.shape)
    sizes = np.sqrt((M**2).mean(0))
    sizes[sizes == 0] = 1
    s = np.linalg.svd(np.linalg.qr(M / sizes, mode="r"), compute_uv=False)
    return float(np.log10(max(s[-1] / s[0], 1e-17)))
