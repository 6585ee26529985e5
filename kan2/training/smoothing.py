"""Small tables: as much smoothing as the samples call for, chosen by generalised cross-validation.

A network with as many numbers as there are samples can pass through all of them, and says nothing between them. Here
the smoothing (see `kan2.training.roughness`) starts so strong that the network is a linear one, and is relaxed rung by
rung. On each rung the *score* estimates the error on samples that were not seen: the mean square error, times
(n / (n - p))^2 (1 + p / n), with p *effective* parameters, the trace of the map from targets to outputs; for the
cross-entropy it is the loss plus p / n, half of Akaike's criterion a sample. n is the sum of the weights.

References: Golub, Heath, Wahba, Generalized Cross-Validation (1979), doi:10.1080/00401706.1979.10489751; Kim, Gu,
Smoothing spline Gaussian regression (2004), doi:10.1046/j.1369-7412.2003.05316.x, for why parameters should cost more.
"""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor

from kan2.core.linalg import diagonal_blocks
from kan2.core.network import Network
from kan2.training._equations import array
from kan2.training._matrix_free import is_large
from kan2.training.compact.equations import RIDGE, CompactEvaluator
from kan2.training.compact.evaluator import can_compact
from kan2.training.grids import Snapshot
from kan2.training.history import INTERRUPTED
from kan2.training.levenberg_marquardt import CALM, QUIETLY, LevenbergMarquardt
from kan2.training.loop import ALL_STEPS, OUT_OF_TIME, STOPPED, Options, Training
from kan2.training.losses import CrossEntropy
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Problem

LOG = logging.getLogger("kan2.training")
SMALL = 4.0  # samples a parameter below which a table is small,
SCORED = 50.0  # and below which its score is told
EXACT = 1e-6  # score, as a share of the variance of the targets, below which nothing is to be gained
CAUTION = 1.0  # what an effective parameter costs beyond generalised cross-validation, which likes too many
FEWEST_LEFT = 1e-3  # degrees of freedom for errors below which nothing can be told
RUNGS = tuple(10.0**-i for i in range(11))  # from a linear network to one that is hardly held
HOPELESS, PATIENCE = 1.5, 2  # rungs in a row this much worse than the best that end the way
STEPS, TOLERANCE = 15, 1e-2  # on each rung


@dataclass(frozen=True)
class Score:
    """What is to be expected of a network.

    Attributes:
        value: the estimated mean loss on new samples; infinite where there are too few to tell.
        freedom: number of effective parameters.
    """

    value: float
    freedom: float


@dataclass(frozen=True)
class Rung:
    """A network trained with one strength of the smoothing."""

    smoothing: float
    score: Score
    state: Snapshot


def n_values(problem: Problem) -> float:
    """Returns how many numbers the samples tell: one an output for squares, else one a sample."""
    return problem.count * (problem.y.shape[1] if problem.loss.is_squares else 1)


@QUIETLY
def score(work: Network, problem: Problem) -> Score:
    """Estimates the loss on new samples of a network that was trained on a problem.

    Args:
        work: the trained network.
        problem: with squares or the cross-entropy for a loss.
    """
    vector = ParameterVector(work)
    if can_compact(problem, vector) and (compact := CompactEvaluator(problem, vector)).is_wide:
        numbers = array(vector.read())
        compact.measure(numbers)
        evaluation = compact.evaluate(numbers)
        return _score(problem, evaluation.loss, compact.freedom(numbers, evaluation))
    evaluation = problem.restart(vector)
    gram = problem.normal_equations(vector, evaluation).gram
    held = torch.zeros_like(gram)
    for term in problem.roughness.terms(vector):
        _, bend = term.slopes(vector.edge_weights(term.slot, vector.read()))
        diagonal_blocks(held, term.slot.start, bend.shape[:2]).add_(bend)
    return _score(problem, evaluation.loss, _trace(gram, held))


def _score(problem: Problem, loss: float, freedom: float) -> Score:
    n = n_values(problem)
    if not isfinite(loss):
        return Score(inf, freedom)
    if isinstance(problem.loss, CrossEntropy):
        return Score(loss + freedom / n, freedom)
    left = n - freedom
    price = 1 + CAUTION * freedom / n
    return Score(price * loss * (n / left) ** 2 if left > FEWEST_LEFT else inf, freedom)


def _trace(gram: Tensor, held: Tensor) -> float:
    # tr((G + ridge)^-1 (G - held)), where G = J'J + held has directions that nothing determines.
    root = gram.diagonal().clamp_min(torch.finfo(gram.dtype).tiny).rsqrt()
    total = gram * root[:, None] * root
    data = (gram - held) * root[:, None] * root
    total.diagonal().add_(RIDGE)
    return float(torch.linalg.solve(total, data).diagonal().sum())


def smoothing_path(start: Network, problem: Problem, options: Options) -> Rung:
    """Trains a network from strong to weak smoothing, in place, and returns the rung with the lowest score.

    Args:
        start: the untrained network.
        problem: what is minimised; its smoothing is set to that of the rung.
        options: of the training; its number of steps is the most that a rung takes.
    """
    best: Rung | None = None
    solver = LevenbergMarquardt(start, problem)
    n_worse, before = 0, inf

    def has_arrived(*_: Any) -> bool:
        # One step tells as much as the window of a run, where it was hardly damped; margins of grids can wait.
        nonlocal before
        last, before = before, solver.evaluation.objective
        return last - before < TOLERANCE * abs(last) and solver.damping <= CALM

    for strength in RUNGS:
        problem.roughness.smoothing = strength
        run = Training(
            start,
            problem,
            solver,
            Options(0, TOLERANCE, options.update_grid, callbacks=(has_arrived,), deadline=options.deadline),
        )
        run.grids.begin_stage(None)
        before = solver.evaluation.objective
        run.trail = [before]
        run.advance(min(STEPS, options.steps))
        found = Rung(strength, score(start, problem), Snapshot.of(start))
        LOG.info("smoothing %g: expected loss on new samples %.3g", strength, found.score.value)
        if best is None or found.score.value < best.score.value:
            best, n_worse = found, 0
        elif found.score.value > HOPELESS * best.score.value:
            n_worse += 1
            if n_worse == PATIENCE:
                break
        if options.is_late:
            break
    assert best is not None
    best.state.restore_(start)
    problem.roughness.smoothing = best.smoothing
    return best


def _left(run: Training) -> int:
    # The history has a row for the start, and one for each step.
    return max(0, run.options.steps - max(0, len(run.history) - 1))


def run_smoothed(run: Training, grids: Sequence[int | None], in_all: int | None = None) -> None:
    """Runs a training, with smoothing where the table is small and that promises more.

    Args:
        run: a run that has not begun, of an untrained network.
        grids: its stages.
        in_all: largest number of steps of all stages together, see `Training.run`.
    """
    problem, work, history = run.problem, run.work, run.history
    vector = ParameterVector(work)
    n_parameters = vector.size
    has_splines = any(layer.numeric is not None for layer in work.layers)
    can_tell = problem.loss.is_squares or isinstance(problem.loss, CrossEntropy)
    is_dense = not is_large(vector)  # the score takes the whole matrix
    if not (has_splines and can_tell and is_dense) or n_values(problem) >= SCORED * n_parameters:
        run.run(grids, in_all)
        return
    start, found = copy.deepcopy(work), None
    steps = run.options.steps
    if n_values(problem) >= n_parameters:
        # Where smoothing may promise more, half of the steps are for it.
        may_follow = n_values(problem) < SMALL * n_parameters
        run.run(grids, steps // 2 if may_follow and len(grids) == 1 else in_all)
        if history.message in (STOPPED, INTERRUPTED, OUT_OF_TIME):
            return
        found = score(work, problem)
    if found is None or (found.value > EXACT and n_values(problem) < SMALL * n_parameters):
        own = problem.twin()
        rung = smoothing_path(start, own, run.options)
        if found is None or rung.score.value < found.value or not isfinite(found.value):
            work.layers, work.spec = start.layers, start.spec
            # What asks for next to no smoothing is better off with none.
            problem.roughness.smoothing = rung.smoothing if rung.smoothing > RUNGS[-1] else 0.0
            # Callbacks of the steps to come may want to know it.
            history.smoothing, history.score = problem.roughness.smoothing, rung.score.value
            run.run_again(_left(run))
            found = score(work, problem)
        elif history.message == ALL_STEPS and _left(run):
            run.run_again(_left(run))
            found = score(work, problem)
    history.smoothing, history.score, history.freedom = problem.roughness.smoothing, found.value, found.freedom
