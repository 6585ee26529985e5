"""The smallest network that still fits, found by trying.

Nodes or weak edges are dropped, the rest is retrained for a few steps, and the smaller network is kept if its error
stays within a stated factor of the original's. What is left at the end is trained for what the original was trained
for, and must explain as much on samples kept aside. Whole nodes go first, then groups of the weakest edges, then single
edges, until no edge can go.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import torch

from kan2 import options
from kan2.analysis.attribution import attribute, edge_statistics
from kan2.core.data import Columns, Dataset
from kan2.core.network import AnyNetwork, Network
from kan2.core.verbs import verb
from kan2.discovery._criteria import Criteria
from kan2.discovery._judge import Judge
from kan2.edits.choose import assemble
from kan2.edits.prune import prune_node
from kan2.edits.refine import refine
from kan2.edits.simplify import drop_edges, simplify
from kan2.errors import EdgeError, TrainingError
from kan2.interrupts import Interruptible
from kan2.training.objective import objective_of
from kan2.training.refit import train_on
from kan2.training.spread import rmse
from kan2.types import EdgeIndex

LOG = logging.getLogger("kan2.discovery")
GROUPS = (0.1, 0.03, 0.01)  # scores below which edges are dropped together
ALTERNATIVES = 4  # subsets of one size that are tried
TIGHTER = (1.0, 0.3, 0.1)  # shares of the allowed growth that are tried while what is found explains less
TIGHTER_OTHERS = (2.0, 1.0, 0.2)  # the same where something else than squares was trained, of what noise hides
DOUBLINGS, GAIN = 2, 8.0  # how often a trial may double its grid, and what it must gain each time


@dataclass(frozen=True)
class PruneReport:
    """What `auto_prune` has to say about the network it returns.

    Attributes:
        interrupted: whether Ctrl-C ended the search; the network is the smallest that had been accepted.
    """

    interrupted: bool = False


@verb
def auto_prune(
    model: AnyNetwork,
    data: Any = None,
    *,
    max_growth: float = 1.5,
    floor: float = 1e-9,
    steps: int = 30,
    sample_weight: Any = None,
    target: Columns | None = None,
) -> AnyNetwork:
    """Returns the smallest network found whose training error stays within a factor of the original's.

    Where something else than squares was trained, the error is that of the outputs, weighted by the curvature of the
    loss, and the factor is of what noise of the loss hides. A network that explains less than the original on samples
    kept aside, in the loss that was trained, is not returned.

    Args:
        model: left as it is.
        data: training samples with targets; by default those of the last fit.
        max_growth: largest factor by which the error may grow, >= 1.
        floor: errors below this share of the targets' standard deviation count as equal.
        steps: training steps after each removal.
        sample_weight: (batch,) non-negative weights; by default those of the last fit, with its data.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Returns:
        the network; `report` of it is a `PruneReport`. After Ctrl-C it is the smallest that had been accepted.

    Raises:
        TrainingError: weights beside a loss that takes none, or a number is of the wrong type or out of range.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("x1*x2", [(-1, 1), (-1, 1)], n=300)
        >>> model = MultKAN([2, [0, 1]], grid=3)
        >>> history = model.fit(data)
        >>> auto_prune(model).spec.n_edges
        2
    """
    options.network("auto_prune", model, error=TrainingError)
    max_growth = options.number("auto_prune", "max_growth", max_growth, 1, error=TrainingError)
    floor = options.number("auto_prune", "floor", floor, 0, error=TrainingError)
    steps = options.whole("auto_prune", "steps", steps, 0, error=TrainingError)
    samples, objective = objective_of(model, data, "auto_prune", sample_weight=sample_weight)
    model = objective.normalised(model)
    near, weight, trusted = objective.surrogate(model, samples)
    error, whole = rmse(model, near, weight), simplify(model)
    whole.data, whole.objective = samples, objective
    best, judge = whole, None
    with Interruptible() as block:
        block.has_result = True
        for share in TIGHTER if objective.is_squares else TIGHTER_OTHERS:
            growth = 1 + share * (max_growth - 1)
            limit = max(growth * error, share * max_growth * trusted, floor)
            found = whole
            for smaller in _smaller(whole, Criteria(near, limit, steps, weight, objective.penalty)):
                found = smaller
                LOG.info("auto_prune: width %s with %d edges is enough", found.width, found.spec.n_edges)
                # What was accepted for squares to the targets is worth keeping as it is when Ctrl-C comes.
                best = found if objective.is_squares else whole
            best = whole
            if found.spec.n_edges == whole.spec.n_edges:
                break
            if not objective.is_squares:
                train_on(found, samples, objective, steps)
            judge = judge or Judge(model, samples, objective, tolerance=floor**2)
            if not judge.is_worse(found):
                best = found
                break
            LOG.info("auto_prune: %d edges explain less on samples kept aside, tried more strictly", found.spec.n_edges)
    LOG.info("auto_prune: %d of %d edges stay, width %s", best.spec.n_edges, model.spec.n_edges, best.width)
    best.data, best.objective, best.report = samples, objective, PruneReport(block.interrupted)
    return best


def _smaller(whole: AnyNetwork, criteria: Criteria) -> Iterator[AnyNetwork]:
    # Yields smaller and smaller networks.
    model = whole
    for layer in range(len(model.layers) - 1, 0, -1):
        for smaller in _fewer_nodes(model, layer, criteria):
            yield (model := smaller)
    # What has lost nodes has lost all edges it can do without.
    if model is whole:
        yield from _fewer_edges(model, criteria)


def _fewer_nodes(model: AnyNetwork, layer: int, criteria: Criteria) -> Iterator[AnyNetwork]:
    # Yields better and better networks.
    # Small networks are quick to retrain, so single nodes are tried first, then pairs, and so on. A few nodes that
    # everything is squeezed through may need more edges than one node more: then both are compared.
    scores = attribute(model, criteria.data, outputs="max", shares=True).nodes[layer]
    order = scores.argsort(descending=True, stable=True).tolist()
    best, found = model, 0
    for chosen in _subsets(len(order)):
        if found and len(chosen) > found + 1:
            break
        everything = [list(range(sum(width))) for width in model.width[1:-1]]
        everything[layer - 1] = sorted(order[i] for i in chosen)
        try:
            trial = prune_node(model, criteria.data, active=everything)
        except EdgeError:
            continue
        trial, error = _retrain_finer(trial, criteria)
        if error > criteria.limit:
            continue
        trial = _fewest_edges(trial, criteria)
        if not found or trial.spec.n_edges < best.spec.n_edges:
            best = trial
            yield best
        found = found or len(chosen)
        if _is_tree(best):
            break


def _is_tree(model: Network) -> bool:
    # Whether every feature that is read, and every node, is read once: no network of these features has fewer edges.
    sources = {(edge.layer, edge.source) for edge in model.spec.edges()}
    return len(sources) == model.spec.n_edges


def _fewest_edges(model: AnyNetwork, criteria: Criteria) -> AnyNetwork:
    for smaller in _fewer_edges(model, criteria):
        model = smaller
    return model


def _fewer_edges(model: AnyNetwork, criteria: Criteria) -> Iterator[AnyNetwork]:
    # Yields smaller and smaller networks.
    for threshold in GROUPS:
        weak = [edge for score, edge in ranked_edges(model, criteria.data) if score < threshold]
        trial = try_without(model, weak, criteria) if weak else None
        if trial is not None:
            model = trial
            yield model
            break
    while model.spec.n_edges > 1:
        for _, edge in ranked_edges(model, criteria.data):
            trial = try_without(model, [edge], criteria)
            if trial is not None:
                model = trial
                yield model
                break
        else:
            return


def _subsets(n: int) -> Iterator[tuple[int, ...]]:
    # The smallest subsets of the ranks 0, ..., n - 1 first, of each size the few of the best ranks.
    for size in range(1, n):
        yield from sorted(islice(combinations(range(n), size), 50), key=sum)[:ALTERNATIVES]


def _retrain_finer(model: AnyNetwork, criteria: Criteria) -> tuple[AnyNetwork, float]:
    # Each doubling of the grid lowers the error of the right structure, by sixteen for cubic splines, but not that of
    # an imitation.
    for doublings_left in reversed(range(DOUBLINGS + 1)):
        allowed = criteria.limit * GAIN**doublings_left
        error = criteria.refit(model, hopeless=3 * allowed)
        grid = 2 * max(spec.basis.grid for spec in model.spec.layers)
        if error <= criteria.limit or error > allowed or 4 * model.n_parameters > len(criteria.data):
            break
        if doublings_left:
            model = refine(model, grid)
    return model, error


def ranked_edges(model: Network, data: Dataset) -> list[tuple[float, EdgeIndex]]:
    """Returns (share of its subnode's variation, edge) of every edge, weakest first."""
    result = []
    for i, record in enumerate(model.trace(data.X).layers):
        std = edge_statistics(record.layer, record.inputs).std.double()
        share = std / std.sum(1, keepdim=True).clamp_min(torch.finfo(std.dtype).tiny)
        result += [(float(share[pair]), (i, *pair)) for pair in record.layer.spec.active_pairs]
    return sorted(result)


def try_without(model: AnyNetwork, edges: list[EdgeIndex], criteria: Criteria) -> AnyNetwork | None:
    """Returns the network trained without these edges, or None if its error exceeds the limit."""
    trial = without(model, edges, criteria.data)
    if trial is None:
        return None
    error = criteria.refit(trial)
    LOG.debug("without %s: error %.3g, %.3g allowed", edges, error, criteria.limit)
    return trial if error <= criteria.limit else None


@torch.no_grad()
def without(model: AnyNetwork, edges: list[EdgeIndex], data: Dataset) -> AnyNetwork | None:
    """Returns the network with these edges replaced by their means, untrained; None where nothing would be left."""
    layers = []
    for i, record in enumerate(model.trace(data.X).layers):
        gone = [(target, source) for layer, target, source in edges if layer == i]
        layers.append(drop_edges(record.layer, gone, edge_statistics(record.layer, record.inputs).mean))
    try:
        trial = simplify(assemble(model, layers))
    except EdgeError:
        return None
    return trial if trial.spec.n_edges else None
