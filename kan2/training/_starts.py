"""Many cheap random starts of a small network, of which the best is trained on.

Deep networks have local minima, and a start shows early whether it fell into one. The starts run in rounds: all take a
few steps on a subsample with a coarse grid, the better part goes on, and so forth (*successive halving*). The lowest on
a coarse grid need not be that on a fine one: the last round has the grid of the training, and takes starts that have
reached different minima.

Reference: Jamieson, Talwalkar, Non-stochastic Best Arm Identification (2016), arXiv 1502.07943.
"""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, isfinite
from typing import Any

import torch
from torch import Tensor

from kan2.core.network import Network
from kan2.training._scaling import begin_outputs_
from kan2.training.grids import fit_grids_
from kan2.training.levenberg_marquardt import CALM, LevenbergMarquardt
from kan2.training.loop import Options, Training
from kan2.training.problem import Problem

LOG = logging.getLogger("kan2.training")
COARSE_GRID = 3
COARSE_STEPS, SHARE, MOST = (10, 25), 0.5, 8  # of two rounds; the share of starts that goes on, and how many at most
FINAL_STEPS, FINALISTS, JUDGING_GRID = 30, 4, 10  # of the last round, and its grid where training goes through some
SAME = 0.02  # objectives that differ by less than this share are taken for the same minimum
# What follows from it, [2, 1, 1] on sin(3 (x - y^2)) and [4, 2, 1, 1] on the function of the KAN paper: 16 starts find
# the lowest known minimum in 12 of 12 seeds, one start in 3. Grids that follow less often cost a third less time.
REST, OVERHANG = 6, 0.1
SAMPLES_A_PARAMETER = 5
SMALLEST_SAMPLE = 50  # samples below which a network does not start coarse
HOPELESS = 0.9  # mean square error in spreads of the targets from which a network explains nothing


def best_start(
    work: Network,
    problem: Problem,
    restarts: int,
    seed: int,
    units: tuple[Tensor, Tensor] | None = None,
    options: Options = Options(steps=200),  # noqa: B008
    n_jobs: int | None = None,
    grids: Sequence[int] | None = None,
) -> Network:
    """Returns the network that did best among random initialisations, the present one included.

    Args:
        work: the network, unchanged.
        problem: what is minimised.
        restarts: number of starts, >= 2.
        seed: seed of the initialisations and of the subsample.
        units: mean and standard deviation of the targets, where outputs are measured like them.
        options: of the training; its number of steps is the most that a round takes.
        n_jobs: number of processes, as in joblib; the result does not depend on it.
        grids: numbers of grid intervals that training will go through; by default those of the network.
    """
    generator = torch.Generator().manual_seed(seed)
    starts: list[_Start] = []
    coarse = min([COARSE_GRID, *(layer.spec.basis.grid for layer in work.layers if layer.numeric is not None)])
    first = copy.deepcopy(work)
    fit_grids_(first, problem.features, coarse)
    sample = problem.subsample(max(300, SAMPLES_A_PARAMETER * first.n_parameters), generator)
    for i in range(restarts):
        candidate = copy.deepcopy(first) if i else first
        if i:
            for layer in candidate.layers:
                layer.reset_parameters(generator=generator)
            begin_outputs_(candidate, units)
            fit_grids_(candidate, sample.features)
        starts.append(_Start(candidate, i))
    for steps in COARSE_STEPS:
        starts = _advanced(starts, sample, options, steps, n_jobs=n_jobs)
        kept = starts[: min(MOST, ceil(SHARE * len(starts)))]
        # The network as it was given is among them to the end: whoever chose it may have had a reason.
        starts = kept if any(start.index == 0 for start in kept) else [*kept, next(s for s in starts if s.index == 0)]
    finalists: list[_Start] = []
    for start in starts:
        is_new = not finalists or start.objective > (1 + SAME) * finalists[-1].objective
        if start.index == 0 or (is_new and len(finalists) < FINALISTS):
            finalists.append(start)
    wanted = [layer.spec.basis.grid for layer in work.layers if layer.numeric is not None] if grids is None else grids
    fine = min(max(wanted, default=coarse), JUDGING_GRID if grids is not None else inf)
    if options.is_late and grids is None:
        # The coarse grid was not asked for, and is not to be what remains.
        fit_grids_(finalists[0].network, problem.features, int(fine))
    if options.is_late or (len(finalists) == 1 and (fine == coarse or grids is not None)):
        return finalists[0].network
    size = max(300, SAMPLES_A_PARAMETER * work.n_parameters)
    sample = problem.subsample(size, generator) if size > len(sample) else sample
    judged = [replace(start, network=copy.deepcopy(start.network)) for start in finalists]
    best = _advanced(judged, sample, options, FINAL_STEPS, int(fine), n_jobs)[0]
    # Where training goes through grids, it starts from the first of them.
    return best.network if grids is None else next(s.network for s in finalists if s.index == best.index)


@dataclass(frozen=True)
class _Start:
    """One of the starts, between two rounds; number 0 is the network as it was given."""

    network: Network
    index: int
    objective: float = inf
    damping: float = CALM


def _advanced(
    starts: list[_Start],
    problem: Problem,
    options: Options,
    steps: int,
    grid: int | None = None,
    n_jobs: int | None = None,
) -> list[_Start]:
    # The starts after some steps, the best first.
    if options.is_late:
        return starts
    known = replace(options, steps=min(steps, options.steps), callbacks=(), patience=None)
    advance = partial(_advance, problem=problem, options=known, grid=grid)
    if n_jobs is None or n_jobs == 1:
        found = list(map(advance, starts))
    else:
        from joblib import Parallel, delayed  # slow to import, and seldom needed

        # Each start is a problem of its own, so the result is the same wherever it runs.
        parallel: Any = Parallel(n_jobs=n_jobs)
        found = list(parallel(delayed(advance)(start) for start in starts))
    found.sort(key=lambda start: start.objective)
    LOG.info(
        "starts: %d of them, %d steps on grid %s, objectives %.3g to %.3g", len(found), known.steps,
        max((layer.spec.basis.grid for layer in found[0].network.layers), default=None), found[0].objective,
        found[-1].objective,
    )  # fmt: skip
    return found


def _advance(start: _Start, problem: Problem, options: Options, grid: int | None) -> _Start:
    own = problem.twin()
    solver = LevenbergMarquardt(start.network, own, start.damping)
    run = Training(start.network, own, solver, options)
    run.grids.rest, run.grids.overhang, run.grids.settles = REST, OVERHANG, False
    if grid is None:
        solver.restart()
    else:
        run.grids.begin_stage(grid)
    run.advance(options.steps)
    run.grids.end_stage(0.0)
    objective = run.objective
    return replace(start, objective=objective if isfinite(objective) else inf, damping=solver.damping)


def stages(
    model: Network, problem: Problem, grids: Sequence[int] | None, starts_coarse: bool, may_start_coarse: bool
) -> list[int] | None:
    """Returns the grids to go through; None for the present ones.

    A coarse grid has fewer local minima. It is put before the present one where nothing can be lost by it: where the
    network explains less of the targets than their mean does.

    Args:
        model: the network before training.
        problem: what is minimised.
        grids: what the caller asked for.
        starts_coarse: whether random starts have left the network with a coarse grid.
        may_start_coarse: whether a coarse stage may be added.
    """
    present = sorted({layer.basis.grid for layer in model.spec.layers if layer.numeric_pairs})
    if grids is not None or not present:
        return None if grids is None else list(grids)
    if starts_coarse:
        return [present[-1]]
    is_deep = sum(bool(layer.numeric_pairs) for layer in model.spec.layers) > 1
    wanted = may_start_coarse and is_deep and len(present) == 1 and present[0] > COARSE_GRID
    if not wanted or not problem.loss.is_squares or len(problem) < SMALLEST_SAMPLE:
        return None
    with torch.no_grad():
        error = float(problem.mean_loss(problem.output(copy.deepcopy(model).to(problem.features))))
    return [COARSE_GRID, present[0]] if error >= HOPELESS else None
