"""Many cheap random starts of a small network, of which the best is trained on.

Deep networks have local minima, and a start shows early whether it fell into one. The starts run in rounds: all take a
few steps on a subsample with a coarse grid, the better part goes on, and so forth (*successive halving*).

Reference: Jamieson, Talwalkar, Non-stochastic Best Arm Identification (2016), arXiv 1502.07943.
"""

import copy
from math import ceil

import torch

from kan2.network import MultKAN
from kan2.training.grids import fit_grids_
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.loop import Options, Training
from kan2.training.problem import Problem

COARSE_GRID = 3
ROUNDS = ((15, 0.4), (30, 0.4), (80, 0.0))  # steps, and the share of starts that goes on
SAMPLES_A_PARAMETER = 5


def best_start(work: MultKAN, problem: Problem, restarts: int, seed: int) -> MultKAN:
    """Returns the network that did best among random initialisations, the present one included.

    Args:
        work: the network, unchanged.
        problem: what is minimised.
        restarts: number of starts, >= 2.
        seed: seed of the initialisations and of the subsample.
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
            fit_grids_(candidate, problem.features)
        if not runs:
            sample = problem.subsample(max(300, SAMPLES_A_PARAMETER * candidate.n_parameters), generator)
        solver = LevenbergMarquardt(candidate, sample)
        solver.restart()
        runs.append(Training(candidate, sample, solver, Options(steps=0)))
    for steps, share in ROUNDS:
        for run in runs:
            run.advance(steps)
        runs.sort(key=lambda run: run.objective)
        runs = runs[: max(1, ceil(share * len(runs)))]
    return runs[0].work
