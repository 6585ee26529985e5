"""Many cheap random starts of a small network, of which the best is trained on.

Deep networks have local minima, and a start shows early whether it fell into one. The starts run in rounds: all take a
few steps on a subsample with a coarse grid, the better part goes on, and so forth (*successive halving*).

Reference: Jamieson, Talwalkar, Non-stochastic Best Arm Identification (2016), arXiv 1502.07943.
"""

import copy
from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from kan2.core.network import Network
from kan2.training._scaling import begin_outputs_
from kan2.training.grids import fit_grids_
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.loop import Options, Training
from kan2.training.problem import Problem

COARSE_GRID = 3
ROUNDS = ((15, 0.4), (30, 0.4), (80, 0.0))  # steps, and the share of starts that goes on
SAMPLES_A_PARAMETER = 5
SMALLEST_SAMPLE = 50  # samples below which a network does not start coarse
HOPELESS = 0.9  # mean square error in spreads of the targets from which a network explains nothing


def best_start(
    work: Network, problem: Problem, restarts: int, seed: int, units: tuple[Tensor, Tensor] | None = None
) -> Network:
    """Returns the network that did best among random initialisations, the present one included.

    Args:
        work: the network, unchanged.
        problem: what is minimised.
        restarts: number of starts, >= 2.
        seed: seed of the initialisations and of the subsample.
        units: mean and standard deviation of the targets, where outputs are measured like them.
    """
    generator = torch.Generator().manual_seed(seed)
    runs: list[Training] = []
    for i in range(restarts):
        candidate = copy.deepcopy(work)
        coarse = min([COARSE_GRID, *(layer.spec.basis.grid for layer in work.layers if layer.numeric is not None)])
        fit_grids_(candidate, problem.features, coarse)
        if i:
            for layer in candidate.layers:
                layer.reset_parameters(generator=generator)
            begin_outputs_(candidate, units)
            fit_grids_(candidate, problem.features)
        if not runs:
            sample = problem.subsample(max(300, SAMPLES_A_PARAMETER * candidate.n_parameters), generator)
        own = sample.twin()
        solver = LevenbergMarquardt(candidate, own)
        solver.restart()
        runs.append(Training(candidate, own, solver, Options(steps=0)))
    for steps, share in ROUNDS:
        for run in runs:
            run.advance(steps)
        runs.sort(key=lambda run: run.objective)
        runs = runs[: max(1, ceil(share * len(runs)))]
    return runs[0].work


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
