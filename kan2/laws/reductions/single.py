"""Whether a target is a function of some columns at all, told from neighbouring rows, without a network."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import KDTree

from kan2.laws.column import Table

# Largest part of the target that neighbours may leave unexplained, by number of columns: neighbours of 1,000 rows are
# close in one column, and far apart in three. A column too few leaves 0.3 to 1.
UNEXPLAINED = (0.05, 0.2, 0.4)
ROWS = 400


def is_function(table: Table) -> bool:
    """Whether nearby rows have nearby targets; True where rows are too few or columns too many to tell.

    Example:
        >>> import sympy
        >>> from kan2.laws.column import Column
        >>> x, z = np.random.default_rng(0).random((2, 300))
        >>> column = Column(x, sympy.Symbol("x"))
        >>> is_function(Table((column,), x**2)), is_function(Table((column,), x + z))
        (True, False)
    """
    d = table.n_columns
    if d > len(UNEXPLAINED) or len(table) < 30 * d:
        return True
    return unexplained(table.X, table.y) < UNEXPLAINED[d - 1]


def unexplained(X: Float[ndarray, "sample column"], y: Float[ndarray, "sample"]) -> float:
    """Returns the part of the target that a plane through the nearest rows leaves: 0 of a function, about 1 of noise.

    Columns and target are taken as ranks, so that neither units nor monotonic functions of them matter.
    """
    n, d = X.shape
    ranks = np.argsort(np.argsort(X, 0, kind="stable"), 0, kind="stable") / n
    z = np.argsort(np.argsort(y, kind="stable"), kind="stable") / n
    rows = np.linspace(0, n - 1, min(ROWS, n)).astype(int)
    near = np.asarray(KDTree(ranks).query(ranks[rows], 2 * d + 3)[1])[:, 1:]
    A = np.concatenate([np.ones((*near.shape, 1)), ranks[near] - ranks[rows, None]], 2)
    # The value of the plane at the row itself.
    values = (np.linalg.pinv(A, rcond=1e-6) @ z[near][..., None])[:, 0, 0]
    return float(np.median(np.abs(values - z[rows])) / 0.25)
