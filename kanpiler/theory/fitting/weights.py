"""One fit of a theory to a table: rounds in which weights of data sets and priors follow the noise that is found.

Reference: Carroll, Ruppert, Transformation and Weighting in Regression (1988), chapter 2.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy import ndarray

from kan2.core.theory import Parameter, Unknown
from kan2.errors import OptionError, TrainingError
from kanpiler.theory.fitting.fit import fit_parameters, fit_with_curves
from kanpiler.theory.fitting.model import Rows
from kanpiler.theory.fitting.problem import Fitted, Problem, start_of

SETTLED, ROUNDS = 1e-10, 30
"""Weights are settled when they move by less than this share; how many times they may move."""


def replace_solved(rows: Rows, solved_for: str) -> Rows:
    """Returns the rows, with the measured values of the column that is solved for."""
    return rows if not solved_for else Rows(rows.columns, rows.codes, rows.columns[solved_for][:, None])


def levelled(value: torch.Tensor, one: Parameter) -> list[float]:
    """Returns the values of a parameter, one for each of its labels."""
    numbers = value.tolist()
    n = max(1, len(one.levels))
    return numbers if len(numbers) == n else numbers[:1] * n


def spread_of(y: ndarray) -> float:
    """Returns the standard deviation of the targets, or their size where they are all the same."""
    found = float(np.sqrt(np.mean((y - y.mean(0)) ** 2)))
    return found if found > 0 else max(float(np.abs(y).max(initial=0.0)), 1e-300)


@np.errstate(all="ignore")
def fit_theory(
    problem: Problem,
    functions: Sequence[Unknown],
    steps: int,
    deadline: float,
    seed: int,
    is_absolute: bool,
    noise: str,
) -> tuple[Fitted, Problem]:
    """Fits a theory, with weights of data sets and of priors that follow the noise.

    Args:
        problem: with the weights that are known.
        functions: the unknown ones.
        steps: most steps of a minimisation.
        deadline: on the clock of `time.perf_counter`.
        seed: of starts that are drawn.
        is_absolute: whether the errors of the data are known.
        noise: "shared" or "per set".

    Raises:
        TrainingError: the theory is not finite on the rows, or functions cannot be told apart.
        OptionError: there are no data sets to have a noise of their own.
    """
    found = None
    sets = next(iter(problem.rows.codes.values()), None) if noise == "per set" else None
    if noise == "per set" and sets is None:
        raise OptionError(
            "fit: expected data sets beside noise='per set', got none. Give a parameter per='column of labels'."
        )
    for _ in range(ROUNDS):
        if found is None:
            if functions:
                problem, minimum = fit_with_curves(problem, functions, steps, deadline, seed)
            else:
                problem, minimum = problem, fit_parameters(problem, start_of(problem.model), steps, deadline, seed)
        else:
            problem, minimum = problem.solve(found.x, steps, deadline)
        if not np.isfinite(minimum.residuals).all() or not np.isfinite(minimum.jacobian).all():
            raise TrainingError(
                "fit: expected a theory that is finite on all rows at the start, got numbers that are not. Move the "
                "starts of parameters, or look for logarithms and roots of what may be negative."
            )
        found = Fitted(
            problem.model, problem.rows, minimum.x, problem.fixed, minimum.residuals, minimum.jacobian,
            problem.rows.y.size, problem.pins, 1 / problem.weights, is_absolute, problem.inequalities(),
            minimum.message, minimum.steps,
        )  # fmt: skip
        settled = _reweighted(problem, found, sets)
        if settled is None:
            break
        problem = settled
    assert found is not None
    return replace(found, noise=noise_of(problem, found)), problem


def noise_of(problem: Problem, found: Fitted) -> ndarray:
    """Returns the standard deviation of each measured number (batch, output), as the residuals show it."""
    return np.sqrt(found.variance) / problem.weights


def _reweighted(problem: Problem, found: Fitted, sets: ndarray | None) -> Problem | None:
    """Returns the problem with weights of data sets and priors from the residuals; None where they are settled."""
    has_priors = any(one.prior and not one.fixed for one in problem.model.parameters)
    moved = problem
    if sets is not None and not found.is_absolute:
        shares = _shares(found, sets, problem)
        factor = np.array([1 / math.sqrt(v) if v > 0 else 1.0 for v in shares])
        weights = problem.weights * factor[sets][:, None]
        if np.abs(factor - 1).max(initial=0.0) > SETTLED:
            moved = replace(moved, weights=weights)
    if has_priors and not found.is_absolute:
        scale = math.sqrt(found.variance) if found.variance > 0 else 1.0
        if abs(scale - problem.prior_scale) > SETTLED * scale:
            moved = replace(moved, prior_scale=scale)
    return None if moved is problem else moved


def _shares(found: Fitted, sets: ndarray, problem: Problem) -> ndarray:
    # The variance of each data set: its squares over its rows less what it determines of the numbers.
    n_outputs = problem.rows.y.shape[1]
    q, _ = np.linalg.qr(found.jacobian @ found.free_directions())
    leverage = np.square(q[: found.n_data]).sum(1)
    own = np.repeat(sets, n_outputs)
    variances = []
    for i in range(int(sets.max()) + 1):
        rows = own == i
        free = rows.sum() - leverage[rows].sum()
        variances.append(
            float(found.residuals[: found.n_data][rows] @ found.residuals[: found.n_data][rows]) / max(free, 1.0)
        )
    return np.array(variances)
