"""LBFGS and Adam for the losses and penalties that Levenberg-Marquardt minimises too, by torch's own optimisers."""

from collections.abc import Callable

import torch
from torch import Tensor

from kan2.network import MultKAN
from kan2.penalties import edge_scales, feature_covariance
from kan2.training.levenberg_marquardt import Problem


def objective(model: MultKAN, problem: Problem, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns the objective and the mean square on all samples, or on some rows, with gradients."""
    features = problem.features if rows is None else problem.features[rows]
    y = problem.y if rows is None else problem.y[rows]
    nodes, scales = features, []
    for layer in model.layers:
        if problem.penalty.lamb and layer.numeric is not None:
            scales.append(edge_scales(layer.numeric, feature_covariance(layer.numeric.features(nodes))))
        nodes = layer(nodes)
    square = (nodes - y) ** 2
    if problem.weight is not None:
        square = square * (problem.weight if rows is None else problem.weight[rows])
    mean = square.mean()
    return (mean + problem.penalty(scales) if scales else mean), mean


def run(
    model: MultKAN,
    problem: Problem,
    opt: str,
    steps: int,
    after_step: Callable[[int, float, float], None],
    *,
    lr: float | None = None,
    batch: int | None = None,
    generator: torch.Generator | None = None,
) -> str:
    """Makes `steps` steps and says why it stopped.

    Args:
        model: trained in place.
        problem: what is minimised.
        opt: "LBFGS" or "Adam".
        steps: number of optimiser steps.
        after_step: called with the step's number, the objective and the mean square before the step.
        lr: learning rate; by default 1 for LBFGS, which searches along lines, and 1e-2 for Adam.
        batch: number of samples drawn for each step; all by default.
        generator: draws the batches.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if opt == "LBFGS":
        optimiser: torch.optim.Optimizer = torch.optim.LBFGS(
            parameters, lr=lr or 1.0, max_iter=1, max_eval=25, history_size=20, line_search_fn="strong_wolfe",
            tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip
    else:
        optimiser = torch.optim.Adam(parameters, lr=lr or 1e-2)
    n = problem.features.shape[0]
    good = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(1, steps + 1):
        rows = None
        if batch is not None and batch < n:
            rows = torch.randperm(n, generator=generator)[:batch].to(problem.features.device)
        values: list[tuple[float, float]] = []

        def closure(rows: Tensor | None = rows, values: list[tuple[float, float]] = values) -> float:
            optimiser.zero_grad()
            total, mean = objective(model, problem, rows)
            total.backward()
            values.append((float(total.detach()), float(mean.detach())))
            return values[-1][0]

        optimiser.step(closure)
        if not all(bool(torch.isfinite(p).all()) for p in parameters) or values[0][0] != values[0][0]:
            model.load_state_dict(good)
            return f"the loss was not finite in step {step}; the last finite state is kept"
        good = {name: value.clone() for name, value in model.state_dict().items()}
        after_step(step, *values[0])
    return "reached the number of steps"
