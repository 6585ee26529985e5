"""Sums, products, and functions of sums: does a model fall apart into parts with separate inputs?

- additive: f = g(A) + h(B);
- multiplicative: f = c + g(A) h(B), with a constant c that the test finds;
- generalised: f = F(g(A) + h(B)), which covers products too; there A and B are modules (see `symmetry`), and every
  ratio of partial derivatives, one from each side, is a product of a function of A and a function of B.

Each is asked at four corners: neither side of a sample exchanged, A, B, or both. `I = f11 - f12 - f21 + f22` vanishes
for a sum. For a product `(f11 - c)(f22 - c) = (f12 - c)(f21 - c)` holds, which is linear in c, so that c follows by
least squares. For a generalised sum the same relation, without c, holds for the ratio of derivatives.

Reference: S.-M. Udrescu, M. Tegmark et al., "AI Feynman 2.0: Pareto-optimal symbolic regression exploiting graph
modularity", NeurIPS 2020, which introduced these properties as tests on a fitted network.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from treeconv.calibration import Evidence, Tolerance, judge
from treeconv.derivatives import Array
from treeconv.probes import Group, Probes
from treeconv.symmetry import splits_between

Scorer = Callable[[Group, Group], tuple[float, float]]
"""Score and scatter of the hypothesis that two groups of inputs are separate."""


def _corners(probes: Probes, a: Group, b: Group) -> Array:
    """Values (4, batch) with neither, both, a, b exchanged, about the mean value to spare digits."""
    values = [probes.value(), probes.value(*a, *b), probes.value(*a), probes.value(*b)]
    return np.stack(values) - _centre(probes)


def _slope_corners(probes: Probes, a: Group, b: Group) -> Array:
    """Gradients (4, batch, inputs) with neither, both, a, b exchanged."""
    return np.stack([probes.gradient(), probes.gradient(*a, *b), probes.gradient(*a), probes.gradient(*b)])


def sum_score(probes: Probes, a: Group, b: Group) -> tuple[float, float]:
    """Returns score and scatter of f = g(A) + h(B)."""
    if probes.view.pivot is not None:
        return _slope_score(probes, a, b, lambda g: (g[0] - g[3], np.full(g.shape[1], np.sqrt(2.0))), sides=(a, b))
    neither, both, only_a, only_b = _corners(probes, a, b)
    return probes.score(neither + both - only_a - only_b, np.full(len(neither), 2.0), probes.spread)


def product_score(probes: Probes, a: Group, b: Group, bias: float) -> tuple[float, float]:
    """Returns score and scatter of f = bias + g(A) h(B)."""
    if probes.view.pivot is not None:
        return _slope_score(probes, a, b, _rank_one, sides=(tuple(range(probes.n_inputs)), ()))
    corners = _corners(probes, a, b) - (bias - _centre(probes))
    return probes.score(*_rank_one(corners), probes.spread)


def _centre(probes: Probes) -> float:
    base = probes.value()
    return float(base[np.isfinite(base)].mean())


def _rank_one(corners: Array) -> tuple[Array, Array]:
    """The determinant of the four corners, and how much it moves with an error in one of them."""
    neither, both, only_a, only_b = corners
    return neither * both - only_a * only_b, np.sqrt(np.sum(corners**2, axis=0))


def _slope_score(
    probes: Probes, a: Group, b: Group, relation: Callable[[Array], tuple[Array, Array]], sides: tuple[Group, Group]
) -> tuple[float, float]:
    """The worst score of a relation between partial derivatives at the four corners.

    Args:
        probes: Where to look.
        a: The one group of inputs.
        b: The other.
        relation: Residual and sensitivity from the corners (neither, both, a, b).
        sides: Inputs whose derivative must obey the relation, as it stands and with the groups exchanged.
    """
    corners = _slope_corners(probes, a, b)
    mirrored = corners[[0, 1, 3, 2]]
    scores = [probes.score(*relation(corners[:, :, i]), probes.steepness) for i in sides[0]]
    scores += [probes.score(*relation(mirrored[:, :, j]), probes.steepness) for j in sides[1]]
    return max(scores)


def fit_bias(probes: Probes, pairs: Sequence[tuple[Group, Group]]) -> float | None:
    """Finds the constant c of f = c + g(A) h(B) by least squares over the four corners.

    Args:
        probes: Where to look.
        pairs: Groups A and B that the constant must serve.

    Returns:
        The constant, or None if the corners do not depend on it, as for a sum.
    """
    corners = np.concatenate([_corners(probes, a, b) for a, b in pairs], axis=1)
    corners = corners[:, np.isfinite(corners).all(axis=0)]
    interaction = corners[0] + corners[1] - corners[2] - corners[3]
    bias = 0.0
    for _ in range(5):  # each corner counts by the inverse of the error it carries, which depends on the bias
        shifted = corners - bias
        determinant, weight = _rank_one(shifted)
        weight = 1 / np.maximum(weight, 1e-12 * (probes.spread or 1.0)) ** 2
        power = float(np.sum(weight * interaction**2))
        if power <= 0 or not np.isfinite(power):
            return None
        # at a shift of d the determinant becomes determinant - d * interaction
        bias += float(np.sum(weight * determinant * interaction)) / power
    return bias + _centre(probes) if abs(bias) < 1e3 * probes.spread else None


def ratio_score(probes: Probes, a: Group, b: Group) -> tuple[float, float]:
    """Returns score and scatter of f = F(g(A) + h(B))."""
    corners = _slope_corners(probes, a, b)
    scores = [splits_between(probes, a, b), splits_between(probes, b, a)]
    for i, j in itertools.product(a, b):
        up, down = corners[:, :, i], corners[:, :, j]
        left = up[0] * up[1], down[2] * down[3]
        right = up[2] * up[3], down[0] * down[1]
        residual = left[0] * left[1] - right[0] * right[1]
        # the derivative of the residual by each of the eight numbers it is made of
        parts = [up[1] * left[1], up[0] * left[1], left[0] * down[3], left[0] * down[2]]
        parts += [up[3] * right[1], up[2] * right[1], right[0] * down[1], right[0] * down[0]]
        sensitivity = np.sqrt(np.sum(np.square(parts), axis=0))
        scores.append(probes.score(residual, sensitivity, probes.steepness))
    return max(scores)


@dataclass(frozen=True)
class Partition:
    """A way to divide inputs, with its evidence.

    Attributes:
        groups: Positions of the inputs, one tuple a part; a single one when the inputs hang together.
        evidence: Of the weakest division, or of the nearest miss.
    """

    groups: tuple[Group, ...]
    evidence: Evidence


def partition(n_inputs: int, score: Scorer, threshold: Callable[[list[float]], float]) -> Partition:
    """Divides inputs into the connected components of their interaction graph.

    Args:
        n_inputs: How many inputs there are.
        score: Scores the separation of two groups.
        threshold: Places the threshold, given all scores.

    Returns:
        The partition. Its evidence is the largest score across groups or, if all hang together, the score at which
        the graph would first fall apart: the smallest edge of its maximum spanning tree.
    """
    pairs = list(itertools.combinations(range(n_inputs), 2))
    scores = {pair: score((pair[0],), (pair[1],)) for pair in pairs}
    limit = threshold([s for s, _ in scores.values()])
    graph = nx.Graph()
    graph.add_nodes_from(range(n_inputs))
    graph.add_weighted_edges_from((i, j, s) for (i, j), (s, _) in scores.items() if s > limit)
    groups = tuple(sorted(tuple(sorted(part)) for part in nx.connected_components(graph)))
    if len(groups) > 1:
        owner = {i: g for g, group in enumerate(groups) for i in group}
        worst, scatter = max(scores[pair] for pair in pairs if owner[pair[0]] != owner[pair[1]])
    else:
        bridges = nx.maximum_spanning_edges(graph, data=True)
        worst, scatter = min((scores[(min(i, j), max(i, j))] for i, j, _ in bridges), default=(0.0, 0.0))
    return Partition(groups, judge(worst, limit, scatter))


def sum_partition(probes: Probes, tolerance: Tolerance) -> Partition:
    """Divides the inputs into the largest number of groups with f = sum of one function a group."""
    return partition(probes.n_inputs, lambda a, b: sum_score(probes, a, b), limits(probes, tolerance))


def product_partition(probes: Probes, tolerance: Tolerance) -> Partition:
    """Divides the inputs into the largest number of groups with f = bias + product of one function a group.

    Args:
        probes: Where to look.
        tolerance: The error of the model.

    Returns:
        The partition; `evidence.detail["bias"]` is the constant, in the unit of the output.
    """
    limit = limits(probes, tolerance)

    def divide(bias: float) -> Partition:
        return partition(probes.n_inputs, lambda a, b: product_score(probes, a, b, bias), limit)

    if probes.view.pivot is not None:  # derivatives know no constant
        return divide_slopes(probes, limit)
    pairs = [((i,), (j,)) for i, j in itertools.combinations(range(probes.n_inputs), 2)]
    # a constant that does not even serve the pair it came from serves no partition
    useful = 3 * limit([])
    biases = [(pair, bias) for pair in pairs if (bias := fit_bias(probes, [pair])) is not None]
    biases = [bias for (a, b), bias in biases if product_score(probes, a, b, bias)[0] <= useful]
    candidates = _distinct(biases, 1e-6 * probes.spread)
    best = Partition((tuple(range(probes.n_inputs)),), judge(1.0, limit([])))
    for bias in candidates:
        found = divide(bias)
        if len(found.groups) > 1:
            across = [(a, b) for a, b in pairs if not any(a[0] in g and b[0] in g for g in found.groups)]
            bias = fit_bias(probes, across) or 0.0
            found = divide(bias)
        ratio, record = found.evidence.score / found.evidence.threshold, best.evidence.score / best.evidence.threshold
        if (len(found.groups) > 1, -ratio) > (len(best.groups) > 1, -record):
            small = abs(bias) <= found.evidence.threshold * probes.spread
            evidence = judge(found.evidence.score, found.evidence.threshold, bias=0.0 if small else bias)
            best = Partition(found.groups, evidence)
    return best


def divide_slopes(probes: Probes, limit: Callable[[list[float]], float]) -> Partition:
    """Divides the inputs of a product of which only derivatives are known."""

    def score(a: Group, b: Group) -> tuple[float, float]:
        # the derivatives of a sum are products too, of one factor
        if sum_score(probes, a, b)[0] <= limit([]):
            return 1.0, 0.0
        return product_score(probes, a, b, 0.0)

    return partition(probes.n_inputs, score, limit)


def limits(probes: Probes, tolerance: Tolerance) -> Callable[[list[float]], float]:
    """Returns what places the threshold for the scores of sums and products of a view."""
    if probes.view.pivot is None:
        return lambda scores: tolerance.of_values(scores, probes.spread)
    return slope_limits(probes, tolerance)


def slope_limits(probes: Probes, tolerance: Tolerance) -> Callable[[list[float]], float]:
    """Returns what places the threshold for scores of the gradient of a view."""
    steepness = probes.steepness
    if probes.view.pivot is not None:  # rounding is relative to each derivative, an error is not
        steepness = None if tolerance.source == "exact" else probes.view.steepness
    return lambda scores: tolerance.of_gradients(scores, steepness)


def _distinct(numbers: list[float], resolution: float) -> list[float]:
    """Drops numbers that repeat an earlier one within a resolution."""
    kept: list[float] = []
    for number in sorted(numbers):
        if not kept or number - kept[-1] > resolution:
            kept.append(number)
    return kept
