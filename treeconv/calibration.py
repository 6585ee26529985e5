"""How small is zero: thresholds for the tests, and how sure their answers are.

Every test of treeconv computes one number of the same meaning, its *score*: the relative error in the model (in its
values, or in its gradient) that would be enough to explain the violation away. A score is therefore free of units and
scales, and it is compared with the error the model really has, its *tolerance*:

- an exact function errs by rounding alone, so the threshold sits there, near machine precision;
- a model of known error (given, or measured against data, see `model_error`) is held against a window around it;
- a fitted model of unknown error is taken to err by 2 % of the spread of its output.

A window reaches from half the error to two and a half times the error for values, from once to five times for
gradients. Fitted networks (MLPs of 64 + 64 units, KANs) with errors of 0.5 % to 6 % scored 0.3 to 0.5 times their error
in values and 0.3 to 4.6 times in gradients where the truth was zero. Inside a window the threshold goes into the widest
gap between the scores at hand, because pairs of inputs that do not interact and pairs that do form two clusters. That
is the null: the scores of the lower cluster are the model's noise.

*Confidence* is the probability that a score lies on its side of the threshold, when the threshold is known within a
factor of three and the score within its scatter over the samples. It is 0.5 on the threshold.

Reference: M. D. Morris, T. J. Mitchell, D. Ylvisaker, Technometrics 35, 243 (1993), for judging model outputs by
elementary effects on the scale of their error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from treeconv.derivatives import Array, Function, root_mean_square

CEILING = 0.12
"""No violation above this share of the output is ever put down to the model's error."""

EXACT = 1e-9
"""Violations of an exact function below this are rounding; the worst of the 120 Feynman equations needs 1e-11."""

UNKNOWN = 0.02
"""Relative error assumed of a fitted model about which nothing is known."""

VALUE_WINDOW = (0.5, 2.5)
GRADIENT_WINDOW = (1.0, 5.0)
"""Ends of the windows, in units of the model's relative error."""

_DOUBT = math.log(3.0)
_NEIGHBOURHOOD = 2000
"""Samples among which neighbours are looked for. 20,000 tell an error of 0.141 as 0.136 to 0.147 in 2 to 12 dimensions,
2,000 as 0.117 to 0.151, but in 12 dimensions a search among 20,000 takes 3 s and among 2,000 takes 0.05 s."""


@dataclass(frozen=True)
class Evidence:
    """The outcome of one test: what was measured, what it was held against, and how sure the answer is.

    Attributes:
        holds: Whether the property holds; also the truth value of the object.
        score: Relative model error that would explain the violation, 0 for a property that holds exactly.
        threshold: The largest score put down to the model's error.
        confidence: Probability, 0.5 to 1, that the score is on its side of the threshold.
        detail: More that was learned on the way, such as the bias of a product.
    """

    holds: bool
    score: float
    threshold: float
    confidence: float
    detail: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.holds


def judge(score: float, threshold: float, scatter: float = 0.0, **detail: Any) -> Evidence:
    """Holds a score against a threshold.

    Args:
        score: The relative error that would explain the violation, at least 0.
        threshold: The largest score that counts as zero, above 0.
        scatter: Relative standard error of the score over the samples.
        **detail: Kept in the evidence.

    Returns:
        The evidence; `holds` when the score does not exceed the threshold.

    Example:
        >>> judge(1e-15, 1e-9).holds, round(judge(0.01, 0.01).confidence, 2)
        (True, 0.5)
    """
    distance = abs(math.log(max(score, 1e-300) / threshold))
    confidence = 0.5 * (1 + math.erf(distance / math.hypot(_DOUBT, scatter) / math.sqrt(2)))
    return Evidence(bool(score <= threshold), score, threshold, confidence, detail)


@dataclass(frozen=True)
class Tolerance:
    """The error a model has, as windows for the thresholds of its values and of its gradient.

    Attributes:
        value: Lowest and highest relative error of a value.
        gradient: Lowest and highest relative error of the gradient.
        spread: Standard deviation of the output, to which `value` is relative.
        steepness: Root mean square gradient per standard deviation of the inputs, to which `gradient` is relative.
        source: Where the windows come from: `exact`, `given`, `measured` or `unknown`.
    """

    value: tuple[float, float]
    gradient: tuple[float, float]
    spread: float
    steepness: float
    source: str

    def of_values(self, scores: Iterable[float], spread: float) -> float:
        """Places the threshold for scores of values that were divided by `spread`.

        A part of the model inherits the absolute error of the whole, so a small part has a wide window.
        """
        return _place(scores, self.value, self.spread / spread if spread > 0 else 1.0)

    def of_gradients(self, scores: Iterable[float], steepness: float | None = None) -> float:
        """Places the threshold for scores of gradients that were divided by `steepness`, by default the model's own."""
        return _place(scores, self.gradient, self.steepness / steepness if steepness else 1.0)


def _place(scores: Iterable[float], window: tuple[float, float], factor: float) -> float:
    low, high = (min(edge * factor, CEILING) for edge in window)
    return widest_gap(scores, low, high) if high > low else low


def widest_gap(scores: Iterable[float], low: float, high: float) -> float:
    """Returns the middle, in logarithm, of the widest gap between scores, moved into a window.

    Args:
        scores: Scores of any size; those outside the window bound its outermost gaps.
        low: Lower end of the window, above 0.
        high: Upper end of the window.

    Returns:
        A number in [low, high].

    Example:
        >>> round(widest_gap([0.002, 0.003, 0.5], 0.001, 0.1), 4)
        0.0387
    """
    ordered = sorted(scores)
    marks = [score for score in ordered if low < score < high]
    below = max((score for score in ordered if score <= low), default=low)
    above = min((score for score in ordered if score >= high), default=high)
    if not marks:
        return math.sqrt(low * high)
    ends = [max(below, low * low / marks[0]), *marks, above]
    widest = max(range(len(ends) - 1), key=lambda i: ends[i + 1] / ends[i])
    return min(max(math.sqrt(ends[widest] * ends[widest + 1]), low), high)


def model_error(x: Array, residuals: Array) -> float:
    """Estimates the error of a model from what it misses of noisy targets.

    Misses are the model's error plus the noise of the targets. The error is alike at nearby samples and the noise is
    not, so half the mean squared difference between nearest neighbours (von Neumann's ratio) tells the noise. An error
    as rough as the samples are sparse looks like noise, therefore at least a third of the misses counts as error.

    Args:
        x: Samples (batch, n) that the model was not fitted to.
        residuals: Model minus target (batch,).

    Returns:
        Root mean square error, between a third and all of the root mean square residual.

    Example:
        >>> x = np.linspace(0, 1, 1000)[:, None]
        >>> noise = 0.3 * np.random.default_rng(0).normal(size=1000)
        >>> 0.1 < model_error(x, 0.2 * np.sin(9 * x[:, 0]) + noise) < 0.2
        True
    """
    good = np.isfinite(residuals)
    x, residuals = x[good][:_NEIGHBOURHOOD], residuals[good][:_NEIGHBOURHOOD]
    missed = root_mean_square(residuals)
    if len(x) < 2 or missed == 0:
        return missed
    nearest = neighbours(x)[:, 0]
    noise = float(np.mean((residuals - residuals[nearest]) ** 2)) / 2
    # few samples do not tell the noise well enough to subtract nearly everything
    least = min(1.0, max(1 / 9, 2 / math.sqrt(len(x))))
    return math.sqrt(max(missed**2 - noise, least * missed**2))


def neighbours(x: Array, k: int = 1) -> NDArray[np.int64]:
    """Returns for each sample the numbers of those nearest to it, distances in standard deviations of each input.

    Args:
        x: Samples (batch > k, n).
        k: How many.

    Returns:
        Numbers (batch, k), the nearest first; no sample is its own neighbour.

    Example:
        >>> neighbours(np.array([[0.0], [1.0], [5.0]])).ravel().tolist()
        [1, 0, 1]
    """
    spread = x.std(axis=0)
    points = x / np.where(spread > 0, spread, 1.0)
    found = np.asarray(KDTree(points).query(points, k=k + 1)[1])
    # Where samples repeat, the sample itself may be anywhere among the nearest, or not at all.
    own = found == np.arange(len(x))[:, None]
    own[:, -1] |= ~own.any(axis=1)
    return found[~own].reshape(len(x), k)


def tolerance(function: Function, x: Array, y: Array | None = None, error: float | None = None) -> Tolerance:
    """Finds the error window of a model.

    Args:
        function: The model.
        x: Samples (batch, n).
        y: Targets (batch,) the model was fitted to, from which its error is measured.
        error: The model's root mean square error in the unit of the output, if known; 0 says that it is exact.

    Returns:
        The windows for values and gradients.
    """
    values = function.value(x)
    finite = values[np.isfinite(values)]
    spread = float(finite.std()) if finite.size else 0.0
    steepness = root_mean_square(np.linalg.norm(function.gradient(x) * x.std(axis=0), axis=1))
    source = "given"
    if error is None and y is not None:
        error, source = model_error(x, values - y), "measured"
    relative = error / spread if error and spread else 0.0
    if error is None and function.learned:
        relative, source = UNKNOWN, "unknown"
    elif not relative:
        source = "exact"
    rounding = 1e3 * function.epsilon * (float(np.abs(finite).max()) / spread if spread else 1.0)
    floor = max(EXACT, rounding)
    # wide steps smooth a fitted model, so that their disagreement is an error already counted
    uncertain = min(function.gradient_error, CEILING) * (1 if function.learned else 10)
    slope_floor = max(10 * floor, uncertain)
    return Tolerance(
        (max(VALUE_WINDOW[0] * relative, floor), max(VALUE_WINDOW[1] * relative, floor)),
        (max(GRADIENT_WINDOW[0] * relative, slope_floor), max(GRADIENT_WINDOW[1] * relative, slope_floor)),
        spread,
        steepness,
        source,
    )
