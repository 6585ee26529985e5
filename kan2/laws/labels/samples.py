"""Rows with one of two labels each, measured by the deviance: a formula is one of the logit.

The *deviance* is minus twice the logarithm of the likelihood. It is a sum of squares, those of the deviance residuals,
so that what fits formulas by least squares fits them by maximum likelihood. The error of a formula is its deviance as a
share of that of the best constant: 1 minus the share of the deviance that it explains.

Classes that a formula can separate have no best numbers, they would grow for ever. So a label is not quite 0 or 1: in
each class there is a small part of a row of the other one.

A label tells one bit at most, so that rows kept aside would be too few to judge by: by default every row is left out in
turn, in the linearised fit.

References: McCullagh, Nelder, Generalized Linear Models (1989), chapter 4; Platt, Probabilistic outputs for support
vector machines (1999), for labels that are not quite 0 or 1.
"""

from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import ClassVar

import numpy as np
import sympy
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit, logit, xlogy

from kan2.laws.front.complexity import OPERATIONS
from kan2.laws.front.noise import EXACT, forest_explains, looks_like_noise
from kan2.laws.labels.smooth import deviances, response, smooth_logit, weight_of
from kan2.laws.samples import Samples, samples_of

OF_A_ROW = 0.1  # of the other class in each
NEAR = 1e-3  # of the logit that the deviance is 0 at: there a deviance residual is a multiple of the difference
ROWS_A_NUMBER = 10  # of the rarer class for each number: Peduzzi et al., J. Clin. Epidemiol. 49 (1996)
OF_CONSTANT = 2  # nodes of a constant that is added
DRAWS = 400  # of labels as a law gives them


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelSamples(Samples):
    """Rows of a table with labels; `y` is the working response at a logit that is near the true one.

    Attributes:
        labels: (row,) 0 or 1.
        shares: (row,) the labels that are not quite 0 or 1.
        logit: (row,) that of the working response.
        smooth: mean deviance of a smooth logit at rows left out.
    """

    labels: Float[ndarray, "row"]
    shares: Float[ndarray, "row"]
    logit: Float[ndarray, "row"]
    smooth: float = np.inf
    OF_ROWS: ClassVar[tuple[str, ...]] = (*Samples.OF_ROWS, "labels", "shares", "logit")

    @property
    def is_linear(self) -> bool:
        """Whether squares of differences are measured: never."""
        return False

    def weights(self, values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns weights of squared differences from the working response."""
        return self.weight * weight_of(self.logit)

    @cached_property
    def _exact(self) -> tuple[Float[ndarray, "row"], Float[ndarray, "row"]]:
        # The logits at which nothing is left, and the deviance of the labels there.
        shares = self.shares
        return logit(shares), -2 * (xlogy(shares, shares) + xlogy(1 - shares, 1 - shares))

    def off(self, values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns deviance residuals of logits."""
        best, least = self._exact
        found = np.sqrt(np.maximum(deviances(values, self.shares) - least, 0.0))
        near = np.sqrt(self.shares * (1 - self.shares)) * (values - best)
        return np.where(np.abs(values - best) < NEAR, near, np.sign(values - best) * found)

    def slopes(self, values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns by how much deviance residuals grow with the logit."""
        best, _ = self._exact
        is_near = np.abs(values - best) < NEAR
        found = np.where(is_near, 1.0, self.off(values))
        return np.where(is_near, np.sqrt(self.shares * (1 - self.shares)), (expit(values) - self.shares) / found)

    def linearised(self, values: Float[ndarray, "row"]) -> tuple[Float[ndarray, "row"], Float[ndarray, "row"]]:
        """Returns Pearson residuals, and their slopes, whose squares are the Fisher information."""
        root = np.sqrt(weight_of(values))
        return np.sqrt(self.weight) * (expit(values) - self.shares) / root, np.sqrt(self.weight) * root

    def left_out(self, values: Float[ndarray, "row"], leverage: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns the logit for every row, had that row been left out, in the linearised fit."""
        return values + leverage / (1 - leverage) * (expit(values) - self.shares) / weight_of(values)

    @cached_property
    def constant(self) -> float:
        """The logit of the base rate."""
        return float(logit(np.average(self.shares, weights=self.weight)))

    def error(self, values: Float[ndarray, "row"]) -> float:
        """Returns the deviance of logits at all these rows, as a share of that of the best constant."""
        return self.size(values) / self.spread**2

    @cached_property
    def floor(self) -> float:
        """The error that counts as none."""
        return EXACT

    def unexplained(self, error: float) -> float:
        """Returns minus the logarithm of the likelihood of all labels, by a formula with this error."""
        return len(self) * error * self.spread**2 / 2

    def price(self, expression: sympy.Expr) -> float:
        """Returns the length that a formula has beside its own: the base rate is one that every logit has."""
        has_constant = isinstance(expression, sympy.Add) and expression.args[0].is_number
        return -OF_CONSTANT * log(OPERATIONS + len(self.symbols)) if has_constant else 0.0

    def is_law(self, values: Float[ndarray, "row"], n_numbers: int) -> bool:
        """Tells whether a formula is a law: labels drawn by it at random are like those that there are.

        The formula explains more than the base rate does, by the extended Bayesian information criterion (Chen, Chen,
        Biometrika 95 (2008)), which knows how many columns there are to choose from, and there are ten rows of the
        rarer class for each number. What it leaves of the labels at neighbouring rows, and what
        polynomials of the columns explain of it, is no more than what it leaves of labels drawn with its probabilities.
        """
        n, n_rarer = len(self), min(self.labels.sum(), len(self) - self.labels.sum())
        if not np.isfinite(values).all() or n_rarer < ROWS_A_NUMBER * max(1, n_numbers):
            return False
        of_number = log(n) + 2 * log(max(1, self.X.shape[1]))
        if n * (self.spread**2 - self.size(values)) <= max(1, n_numbers) * of_number:
            return False
        p, root = expit(values)[:, None], np.sqrt(weight_of(values))[:, None]
        drawn = np.random.default_rng(0).random((n, DRAWS)) < p
        x = torch.from_numpy(np.array(self.X))
        left, random = (torch.from_numpy((p - labels) / root) for labels in (self.labels[:, None], drawn))
        return looks_like_noise(x, left, drawn=random) and not forest_explains(x, left)


def label_samples_of(
    X: Float[ndarray, "row column"],
    labels: Float[ndarray, "row"],
    symbols: tuple[sympy.Symbol, ...],
    *,
    keep: float | str | None = None,
    seed: int = 0,
    weight: Float[ndarray, "row"] | None = None,
) -> LabelSamples:
    """Returns a table with labels.

    Args:
        X: (row, column) finite numbers.
        labels: (row,) 0 or 1, both of them.
        symbols: of the columns.
        keep: share, or number, of the rows that are kept aside, or "end"; none by default.
        seed: which rows.
        weight: (row,) >= 0; rows of weight 0 are left out.
    """
    plain = samples_of(X, labels, symbols, keep=0 if keep is None else keep, seed=seed, weight=weight)
    given = {name: getattr(plain, name) for name in Samples.OF_ROWS}
    labels = plain.y
    of_class = np.where(labels == 1, plain.weight @ labels, plain.weight @ (1 - labels))
    shares = np.where(labels == 1, 1 - OF_A_ROW / (of_class + OF_A_ROW), OF_A_ROW / (of_class + OF_A_ROW))
    rest = ~plain.kept
    found = np.zeros(len(plain))
    found[rest], smooth = smooth_logit(plain.X[rest], labels[rest], plain.weight[rest])
    given |= {"y": response(found, labels), "logit": found, "smooth": smooth}
    return LabelSamples(**given, symbols=symbols, labels=labels, shares=shares)
