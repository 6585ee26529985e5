"""Hypotheses about a network: does a candidate variable help, may an edge be this function?

Both networks, with and without the candidate, are trained alike. The *F-test* asks whether the larger one is better by
more than its extra numbers explain; the *information criterion* n log(mse) + p log(n) weighs the same gain against the
number p of free numbers.

Reference: Seber, Wild, Nonlinear Regression (1989), section 5.3; Schwarz (1978), doi:10.1214/aos/1176344136.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import torch

from kan2 import options
from kan2.core.bases import data_ranges
from kan2.core.data import Columns, Dataset
from kan2.core.network import Network
from kan2.core.verbs import verb
from kan2.edits.inputs import augment
from kan2.errors import DataError, TrainingError
from kan2.symbolic.fix import fix_symbolic
from kan2.training.objective import objective_of
from kan2.training.refit import refit
from kan2.types import EdgeIndex

SIGNIFICANT = 0.01


@dataclass(frozen=True, eq=False)
class Verdict:
    """Two nested networks compared on the same samples; prints as a short text.

    Attributes:
        smaller, larger: the networks, trained.
        rmse: training errors in spreads of the targets, (smaller, larger).
        n_parameters: numbers of free numbers, (smaller, larger).
        p_value: chance of such a gain if the extra numbers meant nothing.
        criterion: n log(mse) + p log(n), (smaller, larger); lower is better.
    """

    smaller: Network
    larger: Network
    rmse: tuple[float, float]
    n_parameters: tuple[int, int]
    p_value: float
    criterion: tuple[float, float]

    @property
    def prefers_larger(self) -> bool:
        """Whether the gain is significant and lowers the information criterion."""
        return self.p_value < SIGNIFICANT and self.criterion[1] < self.criterion[0]

    def __str__(self) -> str:
        lines = [
            f"{name:8}  rmse {e:.3g}, {p} numbers, criterion {c:.1f}"
            for name, e, p, c in zip(("smaller", "larger"), self.rmse, self.n_parameters, self.criterion)
        ]
        return "\n".join(
            [*lines, f"p-value {self.p_value:.2g}: the {'larger' if self.prefers_larger else 'smaller'} one"]
        )


@verb
def try_variables(
    model: Network, definitions: Mapping[str, str], data: Any = None, *, steps: int = 40, target: Columns | None = None
) -> Verdict:
    """Compares a network with one that also reads candidate auxiliary variables.

    Args:
        model: left as it is.
        definitions: for each candidate its formula in the inputs.
        data: training samples with targets; by default those of the last fit.
        steps: training steps of both.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: there are no targets, or too few samples for the larger network.
        TrainingError: the network was trained on something else than squares.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("x*y + y", {"x": (-1, 1), "y": (-1, 1)}, n=200, noise=0.01)
        >>> model = MultKAN([2, 1], grid=2)
        >>> history = model.fit(data)
        >>> try_variables(model, {"p": "x*y"}).prefers_larger
        True
    """
    where = "try_variables"
    options.network(where, model, error=TrainingError)
    steps = options.whole(where, "steps", steps, 0, error=TrainingError)
    samples, weight = _samples(model, data, where)
    larger = augment(model, definitions)
    # The new splines are zero, so that where they begin is free: on the samples, whatever their unit.
    n_old = len(model.spec.features)
    first = larger.layers[0].numeric
    assert first is not None
    with torch.no_grad():
        low, high = data_ranges(larger.features(samples.X)[:, n_old:], 0.0)
        first.basis.home[n_old:] = torch.stack([low, high], 1)
    return _compare(copy.deepcopy(model), larger, samples, weight, steps, where)


@verb
def try_function(
    model: Network, edge: EdgeIndex, function: str, data: Any = None, *, steps: int = 40, target: Columns | None = None
) -> Verdict:
    """Compares a network, the larger one, with one in which an edge is a given function.

    Args:
        model: left as it is.
        edge: (layer, target, source), a spline.
        function: a name in `kan2.functions`.
        data: training samples with targets; by default those of the last fit.
        steps: training steps of both.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: there are no targets, or too few samples for the larger network.
        TrainingError: the network was trained on something else than squares.
        EdgeError: no such edge, or the function cannot be fitted over its range.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> model = MultKAN([1, 1], grid=3)
        >>> history = model.fit(sample_function("sin(x)", {"x": (-2, 2)}, n=200, noise=0.02))
        >>> try_function(model, (0, 0, 0), "sin").prefers_larger, try_function(model, (0, 0, 0), "exp").prefers_larger
        (False, True)
    """
    where = "try_function"
    options.network(where, model, error=TrainingError)
    steps = options.whole(where, "steps", steps, 0, error=TrainingError)
    samples, weight = _samples(model, data, where)
    return _compare(fix_symbolic(model, edge, function, samples), copy.deepcopy(model), samples, weight, steps, where)


def _samples(model: Network, data: Any, where: str) -> tuple[Dataset, Any]:
    # The samples and their weights.
    samples, objective = objective_of(model, data, where, needs_targets=True)
    if not objective.is_squares:
        raise TrainingError(
            f"{where}: expected a network trained on squares, whose F-test this is, got one trained on another loss or "
            "a residual. Compare networks by their validation loss."
        )
    return samples, objective.sample_weight


def _compare(smaller: Network, larger: Network, data: Dataset, weight: Any, steps: int, where: str) -> Verdict:
    from scipy.stats import f as f_distribution

    errors = refit(smaller, data, steps, weight), refit(larger, data, steps, weight)
    counts = smaller.n_parameters, larger.n_parameters
    n = data.y.numel()
    if n <= counts[1]:
        raise DataError(
            f"{where}: expected more samples than the {counts[1]} free numbers, got {n}. Use a coarser grid."
        )
    squares = [max(error, 1e-14) ** 2 for error in errors]
    extra = max(counts[1] - counts[0], 1)
    ratio = max(squares[0] / squares[1] - 1, 0.0) * (n - counts[1]) / extra
    p_value = float(f_distribution.sf(ratio, extra, n - counts[1]))
    small, large = (n * log(square) + count * log(n) for square, count in zip(squares, counts))
    return Verdict(smaller, larger, errors, counts, p_value, (small, large))
