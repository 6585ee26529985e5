"""`fit`: one call from data to a trained network.

The work is done on a copy; the caller's network changes only when training ends well.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kan2.data import Dataset, as_dataset
from kan2.errors import DataError, ShapeError, TrainingError, UnknownNameError, unknown_name
from kan2.network import MultKAN
from kan2.penalties import Penalty
from kan2.training.first_order import FirstOrder
from kan2.training.history import History
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.loop import Callback, Options, Solver, Training
from kan2.training.losses import CrossEntropy, Loss, SquaredError, class_targets, make_loss
from kan2.training.problem import Problem
from kan2.training.residuals import Residual, ResidualProblem
from kan2.training.starts import best_start

OPTIMISERS = ("LM", "LBFGS", "Adam")
DEFAULT_STEPS = {"LM": 200, "LBFGS": 200, "Adam": 1000}


def fit(
    model: MultKAN,
    data: Any = None,
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
    tolerance: float = 1e-3,
    seed: int = 0,
    loss: Any = "mse",
    lamb_coef: float = 0.0,
    lamb_smooth: float = 0.0,
    roughness: float = 1e-8,
    validation: Any = None,
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
    residual: Residual | None = None,
    residual_weights: Mapping[str, float] | Sequence[float] | None = None,
) -> History:
    """Trains a network in place to lower a mean loss plus a sparsity penalty.

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
        restarts: number of random initialisations tried for a few steps on a coarse grid; the best is trained on.
        sample_weight: (batch,) non-negative weights.
        test: (X, y) to report the error on; overrides test samples in `data`.
        lr: learning rate of LBFGS and Adam.
        batch: samples a step for LBFGS and Adam.
        tolerance: LM leaves a grid when the loss falls by less than this share over five steps (ten times as much
            before the last grid); 0 uses all steps.
        seed: seed of restarts, batches and the validation split.
        loss: "mse", "cross_entropy" (class numbers or probabilities; outputs are logits), a torch loss, or a callable
            loss(output, y) that returns a mean over samples.
        lamb_coef: weight of the mean absolute spline coefficient of every edge in the penalty.
        lamb_smooth: weight of the mean absolute difference of neighbouring coefficients in the penalty.
        roughness: strength of the term that keeps coefficients smooth which the data do not determine (LM only).
        validation: share of the samples to hold out, or (X, y); the network with the lowest loss on them is kept.
        patience: training ends after so many steps without a lower validation loss.
        callbacks: called with (network, history) after each step; a true result ends training.
        residual: instead of data, a callable that maps the network to what shall vanish: a tensor, a sequence of
            tensors, or a dict of them by name, built from model(x), model.jet(x), model.laplacian(x).
        residual_weights: weights of the mean squares of these terms, by name or in order.

    Returns:
        the history of the run, one row a step.

    Raises:
        DataError, ShapeError: the data are empty, not finite, or do not match the network.
        UnknownNameError: no such optimiser.
        TrainingError: the loss is not finite at the start.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=200)
        >>> MultKAN([2, [0, 1]], grid=3).fit(data).rmse < 1e-6
        True
    """
    opt = _optimiser(opt)
    if residual is not None:
        problem_free = (data, test, sample_weight, validation)
        if any(value is not None for value in problem_free) or opt != "LM" or restarts > 1:
            raise TrainingError(
                "fit: expected a residual alone: without data, test, sample_weight, validation or restarts, and with "
                "opt='LM'. Put targets into the residual, as model(X) - y."
            )
        options = Options(_steps(opt, steps), tolerance, update_grid, None, tuple(callbacks))
        return _fit_residual(model, residual, residual_weights, grids, options, Penalty(lamb, lamb_l1, lamb_entropy))
    data = as_dataset(data)
    if test is not None:
        held = as_dataset(test)
        data = replace(data, X_test=held.X, y_test=held.y)
    work = copy.deepcopy(model)
    _adopt_names(work, data)
    precise = data.to(work.like.double())
    work = work.double()
    distance = make_loss(loss)
    penalty = Penalty(lamb, lamb_l1, lamb_entropy, lamb_coef, lamb_smooth)

    def problem_of(x: Tensor, y: Tensor, weight: Tensor | None = None) -> Problem:
        targets = _targets(y, len(work.spec.outputs), distance)
        return Problem(work.features(x), targets, weight, penalty, distance, roughness if opt == "LM" else 0.0)

    weight = _weights(sample_weight, precise)
    X, y = precise.X, precise.y
    held_out = None
    if validation is not None:
        X, y, weight, X_val, y_val = _split(X, y, weight, validation, seed)
        held_out = problem_of(X_val, y_val)
    problem = problem_of(X, y, weight)
    if opt == "LM":
        solver: Solver = LevenbergMarquardt(work, problem)
    else:
        solver = FirstOrder(work, problem, opt, lr, batch, seed)
    options = Options(_steps(opt, steps), tolerance, update_grid, patience, tuple(callbacks))
    if restarts > 1:
        best = best_start(work, problem, restarts, seed)
        work.layers, work.spec = best.layers, best.spec
        if grids is None:
            grids = [max(layer.basis.grid for layer in model.spec.layers)]
    test_data = precise if precise.X_test is not None else None
    run = Training(work, problem, solver, options, test_data, held_out)
    run.run([None] if grids is None else grids)
    _commit(model, work)
    model.data = data.to(model.like)
    return run.history


def _fit_residual(
    model: MultKAN,
    residual: Residual,
    weights: Mapping[str, float] | Sequence[float] | None,
    grids: Sequence[int] | None,
    options: Options,
    penalty: Penalty,
) -> History:
    work = copy.deepcopy(model).double()
    if penalty.lamb:
        raise TrainingError(
            "fit: expected lamb=0 with a residual. Prune afterwards, or put the penalty into the residual."
        )
    problem = ResidualProblem(work, residual, weights)
    run = Training(work, problem, LevenbergMarquardt(work, problem), options)
    run.run([None] if grids is None else grids)
    _commit(model, work)
    return run.history


def _steps(opt: str, steps: int | None) -> int:
    if steps is None:
        return DEFAULT_STEPS[opt]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise TrainingError(f"fit: expected a number of steps >= 0, got {steps!r}.")
    return steps


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
    return weight


def _targets(y: Tensor, n_output: int, loss: Loss) -> Tensor:
    if isinstance(loss, CrossEntropy):
        return class_targets(y, n_output)
    if y.shape[1] != n_output and isinstance(loss, SquaredError):
        raise ShapeError(f"fit: expected targets with {n_output} columns, got {y.shape[1]}.")
    return y


def _split(
    X: Tensor, y: Tensor, weight: Tensor | None, validation: Any, seed: int
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    # Training samples, their weights, and validation samples: given ones, or a random share.
    if not isinstance(validation, float):
        held = as_dataset(validation).to(X)
        return X, y, weight, held.X, held.y
    n_held = round(validation * len(X))
    if not 0 < n_held < len(X):
        raise DataError(f"fit: expected validation to leave samples on both sides, got {validation} of {len(X)}.")
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed)).to(X.device)
    train, held_out = order[n_held:].sort().values, order[:n_held].sort().values
    return X[train], y[train], None if weight is None else weight[train], X[held_out], y[held_out]


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
