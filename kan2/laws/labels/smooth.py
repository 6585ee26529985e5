"""A smooth logit of the columns: penalised logistic regression on polynomials, judged by rows left out.

Newton's method solves least squares again and again: those of the *working response* z = eta + (t - p)/w with the
weights w = p (1 - p), where eta is the logit so far, p its probability and t the label. At the maximum of the
likelihood the response is the logit and noise of variance 1/w, whatever it is a function of, so that what looks for
laws under noise finds laws of a logit in it.

References: McCullagh, Nelder, Generalized Linear Models (1989), section 2.5; Pregibon, Logistic regression
diagnostics, Ann. Stat. 9 (1981), for rows left out.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit

from kan2.laws.noisy.smooth import basis, coordinate, degree_for

LEAST = 1e-4  # weight of a row: where a class is certain, a row says nothing of the logit
RIDGES = (0.03, 0.3, 3.0)  # of the coefficients of polynomials, tried in turn
ROUNDS, SETTLED = 50, 1e-8


def weight_of(logit: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
    """Returns p (1 - p), at least a little."""
    p = expit(logit)
    return np.maximum(p * (1 - p), LEAST)


def response(logit: Float[ndarray, "row"], labels: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
    """Returns the working response, see the module.

    Example:
        >>> response(np.zeros(2), np.array([0.0, 1.0])).tolist()
        [-2.0, 2.0]
    """
    return logit + (labels - expit(logit)) / weight_of(logit)


def deviances(logit: Float[ndarray, "row"], labels: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
    """Returns minus twice the logarithm of the likelihood of each label, which may be a share of 0 to 1."""
    return 2 * (np.logaddexp(0.0, logit) - labels * logit)


def smooth_logit(
    X: Float[ndarray, "row column"], labels: Float[ndarray, "row"], weight: Float[ndarray, "row"]
) -> tuple[Float[ndarray, "row"], float]:
    """Returns the logit of the polynomial, of any degree, that describes rows left out best, and their mean deviance.

    Args:
        X: finite numbers.
        labels: 0 to 1.
        weight: of the rows, of mean 1.
    """
    coordinates = [coordinate(column) for column in X.T if np.ptp(column) > 0]
    best, least = np.zeros(len(X)), np.inf
    for degree in range(degree_for(len(coordinates), len(X)) + 1):
        A = basis(coordinates, degree, len(X))
        for ridge in RIDGES if degree else RIDGES[:1]:
            logit, left_out = _fitted(A, labels, weight, ridge)
            size = float(np.mean(weight * deviances(left_out, labels)))
            if size < least:
                best, least = logit, size
    return best, least


def _fitted(A: ndarray, labels: ndarray, weight: ndarray, ridge: float) -> tuple[ndarray, ndarray]:
    """Returns the logit of every row, and with that row left out."""
    penalty = np.full(A.shape[1], ridge)
    penalty[0] = 1e-6  # the constant
    found = np.zeros(A.shape[1])

    def size(numbers: ndarray) -> float:
        return float(weight @ deviances(A @ numbers, labels) + penalty @ numbers**2)

    now = size(found)
    for _ in range(ROUNDS):
        logit = A @ found
        w = weight * weight_of(logit)
        # The penalty is half of that beside twice the logarithm of the likelihood.
        slope = A.T @ (weight * (labels - expit(logit))) - penalty * found
        step = np.linalg.solve((A.T * w) @ A + np.diag(penalty), slope)
        share = 1.0
        while (new := size(found + share * step)) > now and share > 1e-6:
            share /= 2
        found = found + share * step
        if now - new <= SETTLED * now:
            break
        now = new
    logit = A @ found
    w = weight * weight_of(logit)
    inverse = np.linalg.inv((A.T * w) @ A + np.diag(penalty))
    leverage = np.minimum(w * np.einsum("ij,jk,ik->i", A, inverse, A), 1 - 1e-6)
    return logit, logit - leverage / (1 - leverage) * (labels - expit(logit)) / weight_of(logit)
