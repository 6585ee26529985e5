"""The staircase of KAN 1.0: a network trained through finer and finer grids, each from the last solution.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.4.
"""

import copy
from collections.abc import Sequence
from typing import Any

import kan2


def staircase(
    model: kan2.MultKAN, data: Any, grids: Sequence[int], steps: int, restarts: int = 1, seed: int = 0
) -> list[kan2.MultKAN]:
    """Trains a network in place through its grids; returns a copy of it after each.

    Args:
        model: where training begins.
        data: what `fit` takes.
        grids: grid intervals, one stage each.
        steps: steps on each grid.
        restarts: starts that are tried on the first grid.
        seed: of the restarts.
    """
    stages = []
    for i, grid in enumerate(grids):
        model.fit(data, grids=[grid], steps=steps, restarts=1 if i else restarts, seed=seed)
        stages.append(copy.deepcopy(model))
    return stages


def shape_of(model: kan2.MultKAN) -> list[int | list[int]]:
    """Returns the nodes of every layer, [sums, products] where there are products."""
    return [[sums, products] if products else sums for sums, products in model.width]
