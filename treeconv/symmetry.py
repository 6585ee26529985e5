"""Generalised symmetry: groups of inputs that act on the output through one number only.

A group A is a *module* of f when f = g(h(A), B): within A the direction of the gradient must not depend on B. Input k
*splits* the pair (i, j) when the ratio of df/dxi and df/dxj changes with xk; a module is a set none of whose pairs is
split from outside. This is the Leontief-Sono condition of economics.

Reference: W. Leontief, "Introduction to a theory of the internal structure of functional relationships",
Econometrica 15, 361 (1947).
"""

from __future__ import annotations

import itertools

import numpy as np

from treeconv.derivatives import Array
from treeconv.probes import Group, Probes


def split_score(probes: Probes, i: int, j: int, swapped: Group) -> tuple[float, float]:
    """Returns score and scatter of: the ratio of df/dxi and df/dxj does not depend on the swapped inputs."""
    before, after = probes.gradient(), probes.gradient(*swapped)
    residual = before[:, i] * after[:, j] - before[:, j] * after[:, i]
    sensitivity = np.sqrt(before[:, i] ** 2 + before[:, j] ** 2 + after[:, i] ** 2 + after[:, j] ** 2)
    return probes.score(residual, sensitivity, probes.steepness)


def split_scores(probes: Probes) -> Array:
    """Scores every triple: how strongly input k splits the pair (i, j).

    Args:
        probes: Where to look.

    Returns:
        An array (n, n, n) indexed [i, j, k], symmetric in i and j, zero where indices repeat.
    """
    n = probes.n_inputs
    scores = np.zeros((n, n, n))
    before = probes.gradient()
    for k in range(n):
        after = probes.gradient(k)
        cross = before[:, :, None] * after[:, None, :]
        size = before**2 + after**2
        sensitivity = np.sqrt(size[:, :, None] + size[:, None, :])
        residual = cross - np.swapaxes(cross, 1, 2)
        for i, j in itertools.combinations([m for m in range(n) if m != k], 2):
            score = probes.score(residual[:, i, j], sensitivity[:, i, j], probes.steepness)[0]
            scores[i, j, k] = scores[j, i, k] = score
    return scores


def module_score(probes: Probes, group: Group) -> tuple[float, float]:
    """Returns score and scatter of f = g(h(group), the rest): the worst pair of the group, all the rest swapped."""
    rest = tuple(i for i in range(probes.n_inputs) if i not in group)
    return splits_between(probes, group, rest)


def splits_between(probes: Probes, group: Group, swapped: Group) -> tuple[float, float]:
    """Returns score and scatter of the pair of a group that other inputs split most."""
    if len(group) < 2 or not swapped:
        return 0.0, 0.0
    return max(split_score(probes, i, j, swapped) for i, j in itertools.combinations(group, 2))
