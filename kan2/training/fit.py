"""`fit`: one call from data to a trained network.

The work is done on a copy; the caller's network changes only when training ends well.
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, sqrt
from typing import Any

import torch
from torch import Tensor

from kan2.data import Dataset, as_dataset
from kan2.errors import ShapeError, TrainingError, UnknownNameError, unknown_name
from kan2.network import MultKAN
from kan2.penalties import Penalty
from kan2.training import first_order
from kan2.training.grids import fit_grids_, refine_, supported_grid
from kan2.training.history import History
from kan2.training.levenberg_marquardt import LevenbergMarquardt, Problem
from kan2.training.levenberg_marquardt import run as run_levenberg_marquardt

OPTIMISERS = ("LM", "LBFGS", "Adam")
DEFAULT_STEPS = {"LM": 200, "LBFGS": 200, "Adam": 1000}


def fit(
    model: MultKAN,
    data: Any,
    opt: str = "LM",
    steps: int | None = None,
    lamb: float = 0.0,
    *,
    lamb_l1: float = 1.0,
    lamb_entropy: float = 2.0,
    update_grid: bool = True,
    grids: Sequence[int] | None = None,
    restarts: int = 1,
    sample_weight: Any = None,
    test: Any = None,
    lr: float | None = None,
    batch: int | None = None,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> History:
    """Trains a network in place to lower the mean square error plus a sparsity penalty.

    Args:
        model: the network; unchanged if anything fails.
        data: (X, y), a Dataset, or a dict with train_input and train_label; X is (batch, input), y (batch,) or
            (batch, output). A Dataset made by `augment` teaches the network its auxiliary variables.
        opt: "LM" (Levenberg-Marquardt), "LBFGS" or "Adam"; upper or lower case.
        steps: largest number of steps on each grid; by default 200, for Adam 1000.
        lamb: strength of the sparsity penalty, >= 0.
        lamb_l1: weight of the sum of edge scales in the penalty.
        lamb_entropy: weight of the entropy of edge scales in the penalty.
        update_grid: let grids follow the activations.
        grids: numbers of grid intervals to go through, each from the last solution.
        restarts: number of random initialisations tried for a few steps (LM only); the best one is trained on.
        sample_weight: (batch,) non-negative weights.
        test: (X, y) to report the error on; overrides test samples in `data`.
        lr: learning rate of LBFGS and Adam.
        batch: samples a step for LBFGS and Adam.
        tolerance: LM stops when the loss falls by less than this share over ten steps.
        seed: seed of restarts and batches.

    Returns:
        the history of the run, one row a step.

    Raises:
        DataError, ShapeError: the data are empty, not finite, or do not match the network.
        UnknownNameError: no such optimiser.
        TrainingError: the loss is not finite at the start.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("x*y", [(-1, 1), (-1, 1)], n=200) if False else sample_function(
        ...     "x1*x2", [(-1, 1), (-1, 1)], n=200)
        >>> MultKAN([2, [0, 1]], grid=3).fit(data).rmse < 1e-6
        True
    """
    opt = _optimiser(opt)
    data = as_dataset(data)
    if test is not None:
        held = as_dataset(test)
        data = replace(data, X_test=held.X, y_test=held.y)
    work = copy.deepcopy(model)
    _adopt_names(work, data)
    precise = data.to(work.like.double())
    work = work.double()
    problem = Problem(
        work.features(precise.X), precise.y, _weights(sample_weight, precise), Penalty(lamb, lamb_l1, lamb_entropy)
    )
    if problem.y.shape[1] != len(work.spec.outputs):
        raise ShapeError(f"fit: expected targets with {len(work.spec.outputs)} columns, got {problem.y.shape[1]}.")
    run = _Run(work, problem, precise, opt, update_grid)
    steps = DEFAULT_STEPS[opt] if steps is None else steps
    if restarts > 1:
        run.choose_start(restarts, seed)
    if grids is None:
        grids = [work.spec.layers[0].basis.grid]
    for grid in grids:
        run.set_grid(grid)
        if not isfinite(problem.evaluate(work)[0]):
            raise TrainingError(
                "fit: expected a finite loss at the start, got nan or infinity. A symbolic edge is probably outside "
                "its domain: see model.trace(X), or unfix it."
            )
        run.train(steps, lr=lr, batch=batch, tolerance=tolerance, seed=seed)
    _commit(model, work)
    model.data = data.to(model.like)
    return run.history


class _Run:
    """One call of `fit`: the copy that is trained, and the history that is written."""

    def __init__(self, work: MultKAN, problem: Problem, data: Dataset, opt: str, update_grid: bool) -> None:
        self.work, self.problem, self.data, self.opt, self.update_grid = work, problem, data, opt, update_grid
        self.history = History()
        self.start = time.perf_counter()

    def set_grid(self, grid: int) -> None:
        numeric = [layer for layer in self.work.layers if layer.numeric is not None]
        if not numeric:
            return
        basis = replace(numeric[0].spec.basis, grid=grid)
        grid = supported_grid(basis, self.problem.features)
        if any(layer.spec.basis.grid != grid for layer in numeric):
            refine_(self.work, grid)
        elif self.update_grid:
            fit_grids_(self.work, self.problem.features)

    def choose_start(self, restarts: int, seed: int, steps: int = 15) -> None:
        best, candidates = float("inf"), self.work
        for i in range(restarts):
            candidate = copy.deepcopy(self.work)
            generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
            if i:
                for layer in candidate.layers:
                    layer.reset_parameters(generator=generator)
            if self.update_grid:
                fit_grids_(candidate, self.problem.features)
            solver = LevenbergMarquardt(candidate, self.problem)
            solver.restart()
            run_levenberg_marquardt(solver, steps, self._follow(solver))
            if solver.objective < best:
                best, candidates = solver.objective, candidate
        self.work.load_state_dict(candidates.state_dict())

    def train(self, steps: int, *, lr: float | None, batch: int | None, tolerance: float, seed: int) -> None:
        if self.opt == "LM":
            solver = LevenbergMarquardt(self.work, self.problem)
            solver.restart()
            follow = self._follow(solver)

            def after(step: int) -> None:
                follow(step)
                self._record(solver.objective, solver.mean_square, solver.penalty, solver.damping)

            if not len(self.history):
                self._record(solver.objective, solver.mean_square, solver.penalty, solver.damping)
            self.history.message = run_levenberg_marquardt(solver, steps, after, tolerance=tolerance)
            return
        self.history.message = first_order.run(
            self.work,
            self.problem,
            self.opt,
            steps,
            lambda step, total, mean: self._record(total, mean, total - mean, None),
            lr=lr,
            batch=batch,
            generator=torch.Generator().manual_seed(seed),
        )
        total, mean, penalty = self.problem.evaluate(self.work)
        self._record(total, mean, penalty, None)

    def _follow(self, solver: LevenbergMarquardt) -> Any:
        # Grids move after a few steps, and again while activations still wander; a move that costs accuracy is undone.
        def follow(step: int) -> None:
            if not self.update_grid or step > 60 or step not in (2, 4, 7, 11, 16, 22, 30, 40, 50, 60):
                return
            kept = {name: value.clone() for name, value in solver.model.state_dict().items()}
            before = solver.objective
            if fit_grids_(solver.model, self.problem.features, only_if_needed=True):
                if self.problem.evaluate(solver.model)[0] > 1.5 * before:
                    solver.model.load_state_dict(kept)
                else:
                    solver.restart()

        return follow

    def _record(self, objective: float, mean_square: float, penalty: float, damping: float | None) -> None:
        test_rmse = None
        if self.data.X_test is not None and self.data.y_test is not None:
            with torch.no_grad():
                test_rmse = sqrt(float(((self.work(self.data.X_test) - self.data.y_test) ** 2).mean()))
        self.history.append(
            step=len(self.history),
            loss=objective,
            rmse=sqrt(mean_square),
            test_rmse=test_rmse,
            penalty=penalty,
            damping=damping,
            grid=self.work.spec.layers[0].basis.grid,
            seconds=time.perf_counter() - self.start,
        )


def _optimiser(opt: str) -> str:
    for known in OPTIMISERS:
        if str(opt).lower() == known.lower():
            return known
    raise unknown_name("fit", "optimiser", opt, OPTIMISERS)


def _adopt_names(work: MultKAN, data: Dataset) -> None:
    # A fresh network takes the names of the data; one that has names of its own keeps them.
    spec = work.spec
    n_in = spec.layers[0].n_in
    if data.auxiliary and spec.auxiliary != data.auxiliary:
        if n_in != len(data.feature_names):
            raise ShapeError(
                f"fit: expected a network that reads {len(data.feature_names)} features "
                f"({', '.join(data.feature_names)}), got one that reads {n_in}."
            )
        spec = replace(spec, inputs=data.inputs, features=data.feature_names, auxiliary=data.auxiliary)
    elif data.X.shape[1] != len(spec.inputs):
        raise ShapeError(
            f"fit: expected samples with {len(spec.inputs)} columns ({', '.join(spec.inputs)}), "
            f"got {data.X.shape[1]} ({', '.join(data.inputs)})."
        )
    elif spec.features == spec.inputs and _is_default(spec.inputs, "x"):
        spec = replace(spec, inputs=data.inputs, features=data.inputs)
    elif not _is_default(data.inputs, "x") and data.inputs != spec.inputs:
        raise UnknownNameError(
            f"fit: expected the columns {', '.join(spec.inputs)}, got {', '.join(data.inputs)}. "
            "Reorder or rename the columns."
        )
    if len(data.outputs) == len(spec.outputs) and _is_default(spec.outputs, "y"):
        spec = replace(spec, outputs=data.outputs)
    work.spec = spec


def _is_default(names: Sequence[str], stem: str) -> bool:
    return all(name in (stem, f"{stem}{i + 1}") for i, name in enumerate(names))


def _weights(sample_weight: Any, data: Dataset) -> Tensor | None:
    if sample_weight is None:
        return None
    weight = torch.as_tensor(sample_weight, dtype=data.y.dtype, device=data.y.device)
    if weight.shape != (len(data),) or not bool((weight >= 0).all()) or float(weight.sum()) <= 0:
        raise ShapeError(f"fit: expected {len(data)} non-negative sample weights, got shape {tuple(weight.shape)}.")
    return (weight / weight.mean())[:, None].expand_as(data.y)


def _commit(model: MultKAN, work: MultKAN) -> None:
    work = work.to(model.like.dtype)
    old, new = model.state_dict(), work.state_dict()
    if {k: v.shape for k, v in old.items()} == {k: v.shape for k, v in new.items()}:
        # Same tensors, new values: optimisers and other references to the parameters stay valid.
        model.load_state_dict(new)
        for mine, theirs in zip(model.layers, work.layers):
            mine.spec = theirs.spec
    else:
        model.layers = work.layers
    model.spec = work.spec
