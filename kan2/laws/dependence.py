"""Whether a target depends on the columns at all, so that there is something to look for.

The *distance covariance* is zero for independent variables alone: it compares the distances between rows with the
distances between their targets. It is held against that of targets in random order, in standard deviations of these. It
is nearly blind to what goes up and down many times in a column; there the nearest rows tell, by what a plane through
them leaves of the target, and, of waves that are hardly longer than rows are apart, the best wave of each column. All
are of ranks of the target, so that neither its unit nor outliers matter.

Of the 284 laws that `kan2.discover` is measured on, each with its 300 to 1,000 rows, the least dependent target, that
of a squared sine of many periods, lies 5 deviations off, the next one 12, the median over 100; of 120 tables of noise
one lay beyond 4.

References: Szekely, Rizzo, Bakirov, Measuring and testing dependence by correlation of distances, Ann. Stat. 35 (2007);
Scargle, Studies in astronomical time series analysis II, ApJ 263 (1982), on the highest of many waves in noise.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from kan2.laws.families.catalogue import frequencies
from kan2.laws.families.family import Range
from kan2.laws.reductions.single import unexplained

DEVIATIONS = 4.0  # beyond which there is dependence; 3 calls a twentieth of all noise dependent, 5 misses a law
MOST_ROWS = 400
ORDERS, OF_NEIGHBOURS = 20, 20  # random orders
LEAST_DEVIATION = 0.02  # of what planes leave: that of a few orders may be small by chance
MOST_COLUMNS = 10  # that are asked alone
UNLIKELY = 1e-3  # chance of a wave as high in noise


def depends(X: Float[ndarray, "row column"], y: Float[ndarray, "row"]) -> bool:
    """Tells whether a target depends on the columns; False also where the rows are too few to tell.

    Example:
        >>> x, noise = np.random.default_rng(0).random((2, 200))
        >>> depends(x[:, None], (x - 0.5) ** 2), depends(x[:, None], np.sin(99 * x)), depends(x[:, None], noise)
        (True, True, False)
    """
    rng = np.random.default_rng(0)
    if len(y) > MOST_ROWS:
        some = rng.permutation(len(y))[:MOST_ROWS]
        X, y = X[some], y[some]
    columns = X[:, np.ptp(X, 0) > 0]
    if not columns.shape[1] or np.ptp(y) == 0 or len(y) < 3:
        return False
    ranks, target = rankdata(columns, axis=0) / len(y), rankdata(y)[:, None] / len(y)
    return _by_distances(ranks, target, rng) or _by_neighbours(columns, y, rng) or _by_waves(columns, target[:, 0])


def _by_distances(ranks: ndarray, target: ndarray, rng: np.random.Generator) -> bool:
    A, B = cdist(ranks, ranks), cdist(target, target)
    A = A - A.mean(0) - A.mean(1)[:, None] + A.mean()
    orders = [rng.permutation(len(target)) for _ in range(ORDERS)]
    random = [float((A * B[np.ix_(order, order)]).sum()) for order in orders]
    return bool((A * B).sum() - np.mean(random) > DEVIATIONS * np.std(random))


def _by_neighbours(columns: ndarray, y: ndarray, rng: np.random.Generator) -> bool:
    n, d = columns.shape
    orders = [rng.permutation(n) for _ in range(OF_NEIGHBOURS)]
    for X in (columns, *(columns[:, [j]] for j in range(d if 1 < d <= MOST_COLUMNS else 0))):
        if n < 4 * X.shape[1] + 6:
            continue
        random = [unexplained(X, y[order]) for order in orders]
        if np.mean(random) - unexplained(X, y) > DEVIATIONS * max(float(np.std(random)), LEAST_DEVIATION):
            return True
    return False


def _by_waves(columns: ndarray, target: ndarray) -> bool:
    n, d = columns.shape
    for x in columns.T[:MOST_COLUMNS]:
        order = np.argsort(x, kind="stable")
        t = x[order] - x.min()
        waves = frequencies(Range(t))
        A = np.exp(1j * waves[:, None] * t)
        A, z = A - A.mean(1, keepdims=True), target[order] - target.mean()
        # Least squares of a sine and a cosine together.
        cc, ss, cs = (A.real**2).sum(1), (A.imag**2).sum(1), (A.real * A.imag).sum(1)
        c, s, det = A.real @ z, A.imag @ z, cc * ss - cs**2
        share = (ss * c**2 - 2 * cs * c * s + cc * s**2)[det > 0] / det[det > 0] / (z @ z)
        # In noise -log(1 - share) (n - 3)/2 has an exponential distribution.
        if share.size and -np.log1p(-min(share.max(), 1 - 1e-15)) * (n - 3) / 2 > np.log(len(waves) * d / UNLIKELY):
            return True
    return False
