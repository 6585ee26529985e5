"""Whether what a formula leaves of the targets is noise, so that the formula is a law and no mere approximation.

Either nothing is left but rounding, or the errors do not resemble those of the nearest rows, the formula explains more
than the mean of the targets does, by a good part of their spread, and there are seven rows for each number that was
fitted.
"""

from itertools import combinations
from math import log

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.stats import rankdata
from torch import Tensor

from treeconv.calibration import neighbours

EXACT = 1e-9  # share of the targets' spread that counts as rounding
FEWEST = 4  # rows that a law must have
NEAR = 0.5  # correlation of the targets of nearest rows from which on these tell
# What leaves more than this of the spread describes a part: y = x + z by x alone leaves 0.71 of it, Hubble's law 0.6.
MOST_LEFT = 0.7
TREES, LEAF, FOREST_ROWS, FOREST_SCORE = 100, 3, 60, 0.1  # see `forest_explains`
# See `looks_like_noise`: rows, neighbours, random signs, and the share of these below which errors are called alike. Of
# 200 straight lines with normal errors, 15 to 300 rows, none was below it; of 200 with errors that grow 400-fold, 15.
LOOKED_AT, NEIGHBOURS, SIGNS, UNLIKELY = 5000, (1, 3, 10, 30), 400, 0.005
# See `hides_a_column`: share of the spread from which on errors are large, rows that are needed, draws of normal ones,
# and standard deviations of their kurtosis. Of 200 tables of 100 to 400 rows none with normal errors was below it, and
# 77 of 100 of 300 rows with a column missing, in a product or a sum.
LARGE, FEWEST_TO_TELL, NORMALS, FLAT = 0.1, 100, 60, 3.0
DEGREE, ROWS_A_COLUMN, MOST_COLUMNS = 4, 5, 30  # of polynomials that errors are projected on
# Rows a free number must have before errors that look like noise say anything; rules of thumb for regressions ask for 5
# to 10 (doi:10.1093/aje/kwk052). Of ten lines of hydrogen a formula with five numbers leaves nothing but noise, and so
# does one with four of 25 pressures of Boyle, and neither is the law; Kepler's has one number on eight planets.
ROWS_A_NUMBER, ROWS_A_NUMBER_EXACT = 7, 2


def is_law(
    x: Float[Tensor, "batch input"],
    error: Float[Tensor, "batch output"],
    spread: Float[Tensor, " output"],
    n_numbers: int,
) -> bool:
    """Tells whether a formula is a law, see the module.

    Args:
        x: samples.
        error: what the formula gives minus the targets.
        spread: of each target, what the best constant leaves.
        n_numbers: of the formula that were fitted.
    """
    if len(x) < FEWEST or not bool(torch.isfinite(error).all()):
        return False
    if float(error.square().mean().sqrt()) <= EXACT * float(spread.square().mean().sqrt()):
        return len(x) > ROWS_A_NUMBER_EXACT * n_numbers
    if len(x) < ROWS_A_NUMBER * n_numbers or not explains(error, spread, n_numbers):
        return False
    if float(error.square().mean().sqrt()) > MOST_LEFT * float(spread.square().mean().sqrt()):
        return False
    if not looks_like_noise(x, error) or forest_explains(x, error):
        return False
    return not hides_a_column(x, error, spread)


def hides_a_column(
    x: Float[Tensor, "batch input"], error: Float[Tensor, "batch output"], spread: Float[Tensor, " output"]
) -> bool:
    """Tells whether large errors are spread more evenly than those of measurements, as a column that is missing is.

    Errors of measurements add up from many causes and are near to normal, or have longer tails. Columns are often drawn
    or set evenly in a range, and so is what is left of the target where one of them is not in the table. Errors are
    divided by the size of those of near samples, and their kurtosis is compared with that of normal ones.

    Args:
        x: samples.
        error: what a formula leaves.
        spread: of each target; small errors may be those of rounding, and are left alone.

    Example:
        >>> x = torch.linspace(1, 3, 300, dtype=torch.float64)[:, None]
        >>> generator = torch.Generator().manual_seed(0)
        >>> hidden = x * (torch.rand(300, 1, generator=generator, dtype=torch.float64) - 0.5)
        >>> noise = x * torch.randn(300, 1, generator=generator, dtype=torch.float64)
        >>> hides_a_column(x, hidden, hidden.std(0)), hides_a_column(x, noise, noise.std(0))
        (True, False)
    """
    if len(x) < FEWEST_TO_TELL:
        return False
    rng, X = np.random.default_rng(0), x.detach().double().cpu().numpy()
    left = error.detach().double().cpu().numpy()
    if len(X) > LOOKED_AT:
        rows = rng.choice(len(X), LOOKED_AT, replace=False)
        X, left = X[rows], left[rows]
    near = neighbours(X, NEIGHBOURS[-1])
    normal = rng.standard_normal((len(X), NORMALS))
    for column, its_spread in zip(left.T, spread.detach().double().cpu().numpy()):
        if np.sqrt(np.mean(column**2)) < LARGE * its_spread:
            continue
        size = np.sqrt(np.mean(column[near] ** 2, 1))
        trials = normal * size[:, None]
        found = np.array([_kurtosis(column, near), *(_kurtosis(trial, near) for trial in trials.T)])
        if found[0] < found[1:].mean() - FLAT * found[1:].std():
            return True
    return False


def _kurtosis(error: Float[np.ndarray, "batch"], near: np.ndarray) -> float:
    z = error / (np.sqrt(np.mean(error[near] ** 2, 1)) + 1e-300)
    return float(np.mean((z - z.mean()) ** 4) / np.var(z) ** 2)


def forest_explains(x: Float[Tensor, "batch input"], error: Float[Tensor, "batch output"]) -> bool:
    """Tells whether a forest of trees finds structure in errors; False of one column, or of few rows.

    In many columns the nearest rows are far and tell nothing, but what an approximation leaves depends on few of them.

    Reference: Geurts, Ernst, Wehenkel, Extremely randomized trees, Machine Learning 63 (2006).
    """
    n, d = x.shape
    if d < 2 or n < FOREST_ROWS:
        return False
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, bootstrap=True, oob_score=True, random_state=0)
    ranks = rankdata(x.detach().double().cpu().numpy(), axis=0)
    for column in error.detach().double().cpu().numpy().T:
        # Of 40 tables of noise, 60 to 1,000 rows and 2 to 50 columns, the highest score was 0.05.
        if forest.fit(ranks, column).oob_score_ > FOREST_SCORE:
            return True
    return False


def explains(error: Float[Tensor, "batch output"], spread: Float[Tensor, " output"], n_numbers: int) -> bool:
    """Tells whether the best constant has a higher Bayesian information criterion, for every output.

    Targets that do not depend on the inputs, or that a formula does not follow, leave errors that look like noise too.
    """
    n = len(error)
    ratio = error.square().mean(0) / spread.to(error).square().clamp_min(1e-300)
    return bool((n * ratio.log() + max(1, n_numbers) * log(n) < 0).all())


def looks_like_noise(
    x: Float[Tensor, "batch input"],
    error: Float[Tensor, "batch output"],
    unlikely: float = UNLIKELY,
    drawn: Float[Tensor, "batch draw"] | None = None,
) -> bool:
    """Tells whether errors at neighbouring samples are unrelated, as those of a measurement are.

    Errors are multiplied by those of the nearest one, three, ten and thirty samples, and projected on polynomials of
    each column and on products of two; as they are and as square roots, which see what a few large ones hide. Where any
    of the sums is larger than with random signs, there is structure. Signs, not places, are random, so that errors may
    be larger in some places than in others.

    Args:
        x: samples; distances are in standard deviations of each column. Of many, some are looked at.
        error: what is left of the targets.
        unlikely: share of random signs that is too small for noise.
        drawn: errors as they may be where there is noise alone, to hold one column of errors against instead of the
            same with random signs.

    Example:
        >>> x = torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
        >>> noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> looks_like_noise(x, noise), looks_like_noise(x, noise + 3 * x)
        (True, False)
    """
    if len(x) < FEWEST:
        return True
    rng = np.random.default_rng(0)
    X, left = x.detach().double().cpu().numpy(), error.detach().double().cpu().numpy()
    if len(X) > LOOKED_AT:
        rows = rng.choice(len(X), LOOKED_AT, replace=False)
        X, left, drawn = X[rows], left[rows], None if drawn is None else drawn[rows]
    n = len(X)
    wide = [k for k in NEIGHBOURS if k <= max(1, n // 4)]
    near = neighbours(X, wide[-1])
    sums = [csr_matrix((np.ones(n * k), near[:, :k].ravel(), np.arange(0, n * k + 1, k)), (n, n)) for k in wide]
    smooth = _smooth(X)
    if drawn is None:
        signs = rng.choice([-1.0, 1.0], (n, SIGNS + 1))
        signs[:, 0] = 1
        tables = [column[:, None] * signs for column in (left - left.mean(0)).T]
    else:
        tables = [np.hstack([left, drawn.detach().double().cpu().numpy()])]
    for table in tables:
        most = np.full(table.shape[1], -np.inf)
        for signed in (table, np.sign(table) * np.sqrt(np.abs(table))):
            alike = [(signed * (neighbouring @ signed)).sum(0) for neighbouring in sums]
            alike += [((Q.T @ signed) ** 2).sum(0) for Q in smooth]
            for found in alike:
                most = np.maximum(most, (found - found[1:].mean()) / (found[1:].std() or 1.0))
        if (most[1:] >= most[0]).mean() < unlikely:
            return False
    return True


def _smooth(X: Float[np.ndarray, "batch input"]) -> list[Float[np.ndarray, "batch function"]]:
    """Returns orthonormal polynomials of the ranks of each column, and those of products of two columns."""
    n, d = X.shape
    if n < ROWS_A_COLUMN * DEGREE or d > MOST_COLUMNS:
        return []
    each = [np.polynomial.legendre.legvander(2 * column / n - 1, DEGREE)[:, 1:] for column in rankdata(X, axis=0).T]
    groups = each
    pairs = [each[i][:, 0] * each[j][:, 0] for i, j in combinations(range(d), 2)]
    if pairs and n >= ROWS_A_COLUMN * (len(pairs) + d):
        groups = [*each, np.stack([*(one[:, 0] for one in each), *pairs], 1)]
    return [np.linalg.qr(group - group.mean(0))[0] for group in groups]


def neighbours_tell(x: Float[Tensor, "batch input"], y: Float[Tensor, "batch output"]) -> bool:
    """Tells whether the nearest rows are near enough for `looks_like_noise` to find structure like that of the targets.

    With few rows in many columns, all rows are far apart, and errors of any kind look like noise.
    """
    if len(x) < FEWEST:
        return False
    neighbour = torch.from_numpy(neighbours(x.detach().double().cpu().numpy(), 1)[:, 0]).to(x.device)
    y = y - y.mean(0)
    return bool(((y * y[neighbour]).mean(0) >= NEAR * y.square().mean(0)).all())
