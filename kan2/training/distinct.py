"""Samples as training takes them: each different one once, with what it weighs.

A sample of weight two and one that is given twice are the same table, and so they should train the same network.
"""

import torch
from torch import Tensor


def distinct(X: Tensor, y: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns every different sample once, in an order of its own, with what it weighs.

    So a sample of weight two is the same as one given twice, one of weight zero the same as none, and training does
    not depend on the order of the samples, all to the last digit.

    Args:
        X: (batch, input) samples.
        y: (batch, column) targets.
        weight: (batch,) non-negative weights; None where all weigh one.

    Returns:
        X, y, and the weights, None where all weigh one.

    Example:
        >>> X, y = torch.tensor([[3.0], [1.0], [3.0]]), torch.tensor([[0.0], [1.0], [0.0]])
        >>> [part.flatten().tolist() for part in distinct(X, y)]
        [[1.0, 3.0], [1.0, 0.0], [1.0, 2.0]]
    """
    rows = torch.cat([X, y], 1) + 0.0  # minus zero is zero
    weight = rows.new_ones(len(rows)) if weight is None else weight
    kept = weight > 0
    rows, weight = rows[kept], weight[kept]
    order = rows[:, 0].argsort(stable=True)
    if bool((rows[order, 0].diff() == 0).any()):
        order = torch.arange(len(rows), device=rows.device)
        for column in rows.T.flip(0):  # the last key first, as every sort is stable
            order = order[column[order].argsort(stable=True)]
    rows, weight = rows[order], weight[order]
    is_new = torch.cat([kept.new_ones(1), (rows.diff(dim=0) != 0).any(1)])
    total = weight.new_zeros(int(is_new.sum())).index_add_(0, is_new.cumsum(0) - 1, weight)
    rows = rows[is_new]
    return rows[:, : X.shape[1]], rows[:, X.shape[1] :], None if bool((total == 1).all()) else total
