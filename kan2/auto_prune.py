"""The smallest network that still fits, found by trying.

Weak edges are dropped, the rest is retrained for a few steps, and the smaller network is kept if its error stays within
a stated factor of the original's. Groups of the weakest edges go first, then single edges, until no edge can go.
"""

from math import inf, sqrt
from typing import Any

import torch
from torch import Tensor

from kan2.attribution import edge_statistics
from kan2.data import Dataset
from kan2.edits.choose import assemble
from kan2.edits.simplify import drop_edges, simplify
from kan2.errors import EdgeError, TrainingError
from kan2.network import MultKAN
from kan2.training.fit import fit
from kan2.types import EdgeIndex

GROUPS = (0.1, 0.03, 0.01)  # scores below which edges are dropped together


def auto_prune(
    model: MultKAN,
    data: Any = None,
    *,
    max_growth: float = 1.5,
    floor: float = 1e-9,
    steps: int = 30,
    sample_weight: Any = None,
) -> MultKAN:
    """Returns the smallest network found whose training error stays within a factor of the original's.

    Args:
        model: left as it is.
        data: training samples with targets; by default those of the last fit.
        max_growth: largest factor by which the error may grow, >= 1.
        floor: errors below this share of the targets' standard deviation count as equal.
        steps: training steps after each removal.
        sample_weight: (batch,) non-negative weights.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("x1*x2", [(-1, 1), (-1, 1)], n=300)
        >>> model = MultKAN([2, [0, 1]], grid=3)
        >>> history = model.fit(data)
        >>> auto_prune(model).spec.n_edges
        2
    """
    samples = model.samples(data, "auto_prune")
    limit = max(max_growth * rmse(model, samples, sample_weight), floor * float(samples.y.std(unbiased=False)))
    model = simplify(model)
    model.data = samples
    for threshold in GROUPS:
        weak = [edge for score, edge in ranked_edges(model, samples) if score < threshold]
        trial = try_without(model, weak, samples, limit, steps, sample_weight) if weak else None
        if trial is not None:
            model = trial
            break
    while model.spec.n_edges > 1:
        for _, edge in ranked_edges(model, samples):
            trial = try_without(model, [edge], samples, limit, steps, sample_weight)
            if trial is not None:
                model = trial
                break
        else:
            return model
    return model


def ranked_edges(model: MultKAN, data: Dataset) -> list[tuple[float, EdgeIndex]]:
    """Returns (share of its subnode's variation, edge) of every edge, weakest first."""
    result = []
    for i, record in enumerate(model.trace(data.X).layers):
        std = edge_statistics(record.layer, record.inputs).std
        share = std / std.sum(1, keepdim=True).clamp_min(torch.finfo(std.dtype).tiny)
        result += [(float(share[pair]), (i, *pair)) for pair in record.layer.spec.active_pairs]
    return sorted(result)


def try_without(
    model: MultKAN, edges: list[EdgeIndex], data: Dataset, limit: float, steps: int, sample_weight: Any = None
) -> MultKAN | None:
    """Returns the network trained without these edges, or None if its error exceeds the limit."""
    with torch.no_grad():
        records = model.trace(data.X).layers
        layers = []
        for i, record in enumerate(records):
            gone = [(target, source) for layer, target, source in edges if layer == i]
            means = edge_statistics(record.layer, record.inputs).mean
            layers.append(drop_edges(record.layer, gone, means))
    try:
        trial = simplify(assemble(model, layers))
    except EdgeError:
        return None
    if not trial.spec.n_edges:
        return None
    return trial if refit(trial, data, steps, sample_weight) <= limit else None


def refit(model: MultKAN, data: Dataset, steps: int, sample_weight: Any = None) -> float:
    """Trains in place for a few steps and returns the error, root mean square; infinity where it cannot start."""
    try:
        fit(model, data, steps=steps, sample_weight=sample_weight, tolerance=1e-2)
    except TrainingError:
        return inf
    return rmse(model, data, sample_weight)


@torch.no_grad()
def rmse(model: MultKAN, data: Dataset, sample_weight: Any = None) -> float:
    """Returns the root mean square error, weighted if asked."""
    return weighted_rms(model(data.X) - data.y, sample_weight)


def weighted_rms(values: Tensor, sample_weight: Any = None) -> float:
    """Returns the root mean square of (batch, output) values, weighted by samples if asked."""
    square = values**2
    if sample_weight is not None:
        weight = torch.as_tensor(sample_weight, dtype=square.dtype, device=square.device)
        square = square * (weight / weight.mean())[:, None]
    return sqrt(float(square.mean()))
