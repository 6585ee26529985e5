"""`fit`: one call from data to a trained network.

The work is done on a copy; the caller's network changes only when training ends well. Training on a residual instead
of data is `fit_residual`, to which `fit(residual=...)` hands over.
"""

import copy
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import DataLoader

from kan2.core.data import Columns
from kan2.core.network import Network
from kan2.errors import TrainingError, named_options
from kan2.interrupts import deadline as time_is_over
from kan2.options import network
from kan2.training._optimiser import Optimiser
from kan2.training._own_type import in_own_type, report_kept
from kan2.training._preparation import (
    adopt_names,
    beside,
    check_counts,
    check_jobs,
    check_strengths,
    check_the_rest,
    checked_grids,
    checked_weights,
    commit,
    read_loader,
    split,
    targets,
    training_data,
    weights,
)
from kan2.training._progress import shown
from kan2.training._scaling import begin_, measured, ordinary_size
from kan2.training._starts import best_start, stages
from kan2.training._threads import few_threads
from kan2.training.checkpoint import Checkpoints
from kan2.training.distinct import distinct
from kan2.training.fit_residual import Residual, fit_residual
from kan2.training.history import History
from kan2.training.loop import Callback, Options, Training, handed_over
from kan2.training.losses import CallableLoss, make_loss
from kan2.training.objective import Objective
from kan2.training.penalties import Penalty
from kan2.training.problem import Problem
from kan2.training.roughness import Roughness
from kan2.training.smoothing import run_smoothed

LOG = logging.getLogger("kan2.training")


@named_options
@torch.enable_grad()
def fit(
    model: Network,
    data: Any = None,
    opt: str = "LM",
    steps: int | None = None,
    lamb: float = 0.0,
    *,
    target: Columns | None = None,
    seconds: float | None = None,
    lamb_l1: float = 1.0,
    lamb_entropy: float = 2.0,
    update_grid: bool = True,
    grids: Sequence[int] | None = None,
    restarts: int = 1,
    n_jobs: int | None = None,
    sample_weight: Any = None,
    test: Any = None,
    lr: float | Callable[[int], float] | None = None,
    batch: int | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
    loss: Any = None,
    lamb_coef: float = 0.0,
    lamb_smooth: float = 0.0,
    roughness: float = 1e-10,
    smoothing: float | None = None,
    validation: Any = None,
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
    residual: Residual | None = None,
    residual_weights: Mapping[str, float] | Sequence[float] | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 50,
    resume: bool = False,
) -> History:
    """Trains a network in place to lower a mean loss plus a sparsity penalty.

    The result does not depend on the units of the columns and of the targets: squared errors are measured in units of
    the standard deviation of each output. A callable loss keeps its own unit; where it sees differences of outputs and
    targets, or ratios, what it is for outputs that are off by their (robust) spread is to it as 1 is to squares, and
    the strengths of penalties are in that unit.

    Args:
        model: the network; unchanged if anything fails.
        data: (X, y), a Dataset, or a dict with train_input and train_label; by default the data of the last fit, with
            their weights, or its residual. X is (batch, input), y (batch,) or (batch, output). A Dataset made by
            `augment` teaches the network its auxiliary variables. A torch DataLoader is read once, and its batch size
            is taken for `batch`. With `target` a frame or the path of a table as a whole. Named columns are taken by
            name, in whatever order they stand.
        target: name of the column of targets in a table as a whole, or several; the other columns of numbers are the
            inputs, or those of the network's names, if it has any.
        opt: "LM" (Levenberg-Marquardt), "LBFGS" or "Adam"; upper or lower case.
        steps: largest number of steps in all, with `grids` on each of them; by default 200, for Adam 1000. What comes
            before, random starts and the choice of a smoothing, has steps of its own.
        lamb: strength of the sparsity penalty, >= 0.
        seconds: wall-clock time after which no step begins, random starts and all else included; 0 leaves the network
            where it starts. By default there is no limit.
        lamb_l1: weight of the sum of edge scales in the penalty.
        lamb_entropy: weight of the entropy of edge scales in the penalty.
        update_grid: let grids follow the activations.
        grids: numbers of grid intervals to go through, each from the last solution. By default the network's own,
            after a few steps on 3 intervals where LM starts from a network that explains nothing of the data yet.
        restarts: number of random initialisations tried for a few steps on a coarse grid; the best is trained on.
        n_jobs: processes that try them, as in joblib; the result does not depend on it.
        sample_weight: (batch,) non-negative weights; two is the sample twice, zero none. Not beside a callable loss.
        test: (X, y) to report the error on; overrides test samples in `data`.
        lr: learning rate of LBFGS and Adam, or a map from the number of a step to it.
        batch: samples a step for LBFGS and Adam.
        tolerance: LM leaves a grid when the loss falls by less than this share over five steps, not counting what
            outliers add to a callable loss (ten times as much on the first of several grids, a hundred times on those
            between it and the last one); 0 uses all steps.
        seed: seed of restarts, batches and the validation split.
        loss: "mse", "cross_entropy" (class numbers or probabilities; outputs are logits), a torch loss, or a callable
            loss(output, y) that returns a mean over samples; by default that of the last fit, at first "mse". Verbs
            that try networks are judged by it.
        lamb_coef: weight of the mean absolute spline coefficient of every edge in the penalty.
        lamb_smooth: weight of the mean absolute difference of neighbouring coefficients in the penalty.
        roughness: strength of the term that keeps coefficients smooth which the data do not determine (LM only). In a
            network that was trained before, those that no sample touches stay as they are.
        smoothing: strength of the mean square of the second derivatives of all edges, in units of the output (LM
            only). By default that of the last fit; for an untrained network none where there are four samples a
            parameter, else what generalised cross-validation chooses, see `kan2.training.smoothing`.
        validation: share of the samples to hold out, or (X, y); the network with the lowest loss on them is kept.
        patience: training ends after so many steps without a lower validation loss.
        callbacks: called with (network, history) after each step; a true result ends training.
        residual: instead of data, a callable that maps the network to what must vanish: a tensor, a sequence of
            tensors, or a dict of them by name, built from model(x), model.jet(x), model.laplacian(x).
        residual_weights: weights of the mean squares of these terms, by name or in order.
        progress: show a progress bar with an estimate of the remaining time.
        checkpoint: file to which the state of the run is written.
        checkpoint_every: steps between two checkpoints.
        resume: go on from the checkpoint where there is one; the other arguments must be the same.

    Returns:
        the history of the run, one row a step. After Ctrl-C the network is the best that was reached, and
        `history.interrupted` is true; inside another verb, such as `auto_prune`, that verb ends as well.

    Raises:
        KeyboardInterrupt: Ctrl-C came before the first step, or a second time; the network is not half changed.
        DataError, ShapeError: the data are empty, not finite, or do not match the network.
        UnknownNameError: no such optimiser.
        TrainingError: the loss is not finite at the start, arguments exclude each other or are out of range, or what
            was trained does not fit into the network's type.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=200)
        >>> MultKAN([2, [0, 1]], grid=3).fit(data).rmse < 1e-6
        True
    """
    network("fit", model, error=TrainingError)
    if model.spec.theory is not None:
        raise TrainingError(
            "fit: expected a network without a theory, whose numbers are not free, got one with. Read it by kan2.load, "
            "which makes a kanpiler.Theory of it."
        )
    grids, residual_weights = checked_grids(grids), checked_weights(residual_weights)
    optional = {"batch": batch, "patience": patience}
    check_counts(restarts=restarts, checkpoint_every=checkpoint_every, **_used(optional))
    check_jobs(n_jobs)
    check_strengths(lamb=lamb, lamb_l1=lamb_l1, lamb_entropy=lamb_entropy, lamb_coef=lamb_coef, lamb_smooth=lamb_smooth)
    optional = {"smoothing": smoothing, "seconds": seconds}
    check_strengths(roughness=roughness, tolerance=tolerance, **_used(optional))
    check_the_rest(
        seed_=seed, lr=lr, validation=validation, callbacks=callbacks, checkpoint=checkpoint, residual=residual,
        update_grid=update_grid, progress=progress, resume=resume,
    )  # fmt: skip
    # Numbers of NumPy become plain ones, which generators of torch ask for.
    seed, restarts, checkpoint_every = int(seed), int(restarts), int(checkpoint_every)
    batch, patience = (None if value is None else int(value) for value in (batch, patience))
    optimiser = Optimiser.of(opt, lr, batch, seed)
    deadline = min(time_is_over(), math.inf if seconds is None else time.perf_counter() + seconds)
    options = Options(optimiser.steps(steps), tolerance, update_grid, patience, tuple(callbacks), deadline=deadline)
    last: Objective = model.objective or Objective()
    if residual is None and data is None and loss is None:
        residual = last.residual
        residual_weights = last.residual_weights if residual_weights is None else residual_weights
    if residual is not None:
        others = {"data": data, "target": target, "test": test, "sample_weight": sample_weight, "lr": lr,
                  "validation": validation, "batch": batch, "patience": patience,
                  "checkpoint": checkpoint}  # fmt: skip
        asked = {"restarts": restarts > 1, "resume": resume, "loss": loss not in (None, "mse"), "lamb": lamb != 0,
                 "lamb_coef": lamb_coef != 0, "lamb_smooth": lamb_smooth != 0, "smoothing": bool(smoothing),
                 "opt": optimiser.name != "LM"}  # fmt: skip
        asked |= {name: value is not None for name, value in others.items()}
        if given := [name for name, is_given in asked.items() if is_given]:
            raise TrainingError(
                f"fit: expected a residual alone, got {', '.join(given)} beside it. Put targets into the residual, as "
                "model(X) - y; it is trained by LM."
            )
        return fit_residual(model, residual, residual_weights, options=options, grids=grids, progress=progress)
    loss = last.loss if loss is None else loss
    if data is None and sample_weight is None:
        sample_weight = last.sample_weight
    if isinstance(data, DataLoader):
        data, optimiser = read_loader(data), replace(optimiser, batch=batch or data.batch_size)
    data = training_data(model, model.data if data is None else data, target)
    work = copy.deepcopy(model)
    data = adopt_names(work, data)
    if test is not None:
        held = beside(test, data)
        data = replace(data, X_test=held.X, y_test=held.y)
    precise = data.to(work.like.double())
    work = work.double()
    distance = make_loss(loss, len(work.spec.outputs))
    if sample_weight is not None and isinstance(distance, CallableLoss):
        raise TrainingError(
            "fit: expected no sample_weight beside a callable loss, which is one mean over all samples. Let the loss "
            "weigh its samples."
        )
    sample_weight = weights(sample_weight, precise)
    samples = precise.X, precise.y, sample_weight
    # A callable loss is one mean over all samples, and knows no weights.
    samples = samples if isinstance(distance, CallableLoss) else distinct(*samples)
    train, held_out = split(samples, validation, seed, data)
    x, y, weight = train[0], targets(train[1], len(work.spec.outputs), distance), train[2]
    distance, units = measured(distance, y, len(work.spec.outputs), weight)
    penalty = Penalty(lamb, lamb_l1, lamb_entropy, lamb_coef, lamb_smooth)
    is_second_order = optimiser.name == "LM"
    held = (work.smoothing if smoothing is None else smoothing) if is_second_order else 0.0
    rough = Roughness(roughness if is_second_order else 0.0, held, keeps=not work.is_fresh)
    features = work.features(x)
    if work.is_fresh:
        begin_(work, features, units, update_grid)
    problem = Problem(features, y, weight, penalty, distance, rough)
    validated = None
    if held_out is not None:
        y_held = targets(held_out[1], len(work.spec.outputs), distance)
        validated = Problem(work.features(held_out[0]), y_held, held_out[2], penalty, distance)
    checkpoints = Checkpoints(checkpoint, checkpoint_every)
    may_smooth = work.is_fresh and smoothing is None and is_second_order and held_out is None and checkpoint is None

    def hand_over() -> None:
        work.smoothing = problem.roughness.smoothing
        run.warn_where_hopeless()
        kept = in_own_type(work, model.like.dtype)
        if kept is not work:
            report_kept(run, kept, train[0], None if held_out is None else held_out[0])
        samples = data.to(model.like)
        commit(model, kept)
        model.data, model.objective = samples, Objective(loss, sample_weight, penalty)

    run = Training(work, problem, optimiser.solver(work, problem), options, precise, validated)
    size = work.n_parameters
    LOG.info("fit: width %s, %d numbers, %d samples, %s", work.width, size, len(problem), optimiser.name)
    work_of_step = len(problem) * size * (size if is_second_order else 1.0)
    with (
        few_threads(work_of_step),
        handed_over(run, hand_over),
        ordinary_size(work, None if units is None else units[1]),
    ):
        if not (resume and checkpoints.resume(run)) and restarts > 1:
            best = best_start(work, problem, restarts, seed, units, options, n_jobs, grids)
            work.layers, work.spec = best.layers, best.spec
        in_all = options.steps if grids is None else None
        may_start_coarse = is_second_order and update_grid
        grids = stages(work, problem, grids, starts_coarse=restarts > 1, may_start_coarse=may_start_coarse)
        with shown(run, progress, 1 if grids is None else len(grids), checkpoints.write):
            (run_smoothed if may_smooth else Training.run)(run, [None] if grids is None else grids, in_all)
    run.log_end()
    return run.history


def _used(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
