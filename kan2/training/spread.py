"""Errors in units of the spread of each output, so that outputs in different units count alike.

The *spread* of an output is the weighted standard deviation of its targets; of a constant output, its size.
"""

from math import sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.data import Dataset
from kan2.core.network import Network


def weighted_mean(values: Float[Tensor, "batch *_rest"], sample_weight: Any = None) -> Tensor:
    """Returns the mean over samples, weighted if asked."""
    if sample_weight is None:
        return values.mean(0)
    weight = torch.as_tensor(sample_weight, dtype=values.dtype, device=values.device)
    return torch.tensordot(weight, values, 1) / weight.sum()


def spreads(data: Dataset, sample_weight: Any = None) -> Float[Tensor, " output"]:
    """Returns the spread of every target, > 0.

    Example:
        >>> y = torch.tensor([[1e4, 3e-4], [-1e4, 3e-4]], dtype=torch.float64)
        >>> spreads(Dataset(y, y, ("a", "b"))).tolist()
        [10000.0, 0.0003]
    """
    mean = weighted_mean(data.y, sample_weight)
    found = weighted_mean((data.y - mean).square(), sample_weight).sqrt()
    # Of a constant column rounding is all that is left.
    found = torch.where(found > 1e-12 * mean.abs(), found, mean.abs())
    return torch.where(found > 0, found, torch.ones_like(found))


@torch.no_grad()
def rmse(model: Network, data: Dataset, sample_weight: Any = None) -> float:
    """Returns the root mean square error in spreads of the targets, weighted if asked.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("1e-9*x", {"x": (-1, 1)}, n=100)
        >>> model = MultKAN([1, 1], noise_scale=0, base_fun="zero")
        >>> 0.5 < rmse(model, data) < 2
        True
    """
    error = (model(data.X) - data.y) / spreads(data, sample_weight)
    return sqrt(float(weighted_mean(error.square().mean(1), sample_weight)))


def size_in_spreads(data: Dataset, sample_weight: Any = None) -> float:
    """Returns the root mean square of the targets in spreads of them."""
    return sqrt(float(weighted_mean((data.y / spreads(data, sample_weight)).square().mean(1), sample_weight)))
