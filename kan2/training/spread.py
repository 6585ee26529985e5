"""Errors in units of the spread of each output, so that outputs in different units count alike.

The *spread* of an output is the weighted standard deviation of its targets; of a constant output, its size. Errors and
spreads are computed in float64 for data of any type: squares of float32 end at 1e38, those of 1e-25 are zero.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.errors import DataError

LARGEST = 1e150  # magnitudes whose squares are still finite in float64
SMALLEST = 1e-150  # magnitudes whose squares still differ from zero
CONSTANT = 1e-12  # share of its magnitude below which a column does not vary


def weighted_mean(values: Float[Tensor, "batch *_rest"], sample_weight: Any = None) -> Tensor:
    """Returns the mean over samples, weighted if asked."""
    if sample_weight is None:
        return values.mean(0)
    weight = torch.as_tensor(sample_weight, dtype=values.dtype, device=values.device)
    return torch.tensordot(weight, values, 1) / weight.sum()


def check_sizes(data: Dataset, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Refuses columns whose squares are infinite or zero in float64, which no training can compare.

    Args:
        data: the samples.
        inputs, outputs: names of its columns, for messages.

    Raises:
        DataError: there is such a column; says which.
    """
    for columns, names in ((data.X, inputs), (data.y, outputs)):
        largest = columns.detach().double().abs().amax(0)
        for name, size in zip(names, largest.tolist()):
            if not size or SMALLEST <= size <= LARGEST:
                continue
            unit = "larger" if size > 1 else "smaller"
            raise DataError(
                f"fit: expected columns of numbers between {SMALLEST:g} and {LARGEST:g}, got up to {size:.3g} in "
                f"{name!r}. Rescale column {name}: measure it in a {unit} unit."
            )


def moments(y: Float[Tensor, "batch output"], weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns the mean and the spread of every column, in float64.

    Raises:
        DataError: the squares of the numbers overflow.
    """
    y, weight = y.double(), None if weight is None else weight.double()
    largest = y.abs().amax(0)
    if float(largest.amax()) > LARGEST:
        raise DataError(
            f"fit: expected targets whose squares are finite in float64, got values up to {float(largest.amax()):.3g}. "
            "Measure them in a larger unit."
        )
    share = torch.full_like(y[:, :1], 1 / len(y)) if weight is None else (weight / weight.sum())[:, None]
    # The first sample is subtracted first: far from zero, a mean has fewer digits than the samples.
    offset = y[0]
    centred = y - offset
    mean = (share * centred).sum(0)
    # Squares of small numbers would be zero. In units of a power of two, all others keep every bit.
    size = (centred - mean).abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)
    size = torch.ldexp(torch.ones_like(size), torch.frexp(size).exponent)
    spread = size * (share * ((centred - mean) / size).square()).sum(0).sqrt()
    still = torch.where(largest > 0, largest, torch.ones_like(largest))
    return offset + mean, torch.where(spread > CONSTANT * largest, spread, still)


def robust_moments(y: Float[Tensor, "batch output"]) -> tuple[Tensor, Tensor]:
    """Returns the median of every column and 1.48 times the median distance from it, or its spread where that is 0."""
    y = y.double()
    middle = y.median(0).values
    distance = 1.4826 * (y - middle).abs().median(0).values
    return middle, torch.where(distance > 0, distance, moments(y)[1])


def spreads(data: Dataset, sample_weight: Any = None) -> Float[Tensor, " output"]:
    """Returns the spread of every target, > 0, in float64.

    Example:
        >>> y = torch.tensor([[1e4, 3e-4], [-1e4, 3e-4]], dtype=torch.float64)
        >>> spreads(Dataset(y, y, ("a", "b"))).tolist()
        [10000.0, 0.0003]
    """
    weight = None if sample_weight is None else torch.as_tensor(sample_weight, dtype=torch.float64).to(data.y.device)
    return moments(data.y, weight)[1]


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
    error = (model(data.X).double() - data.y) / spreads(data, sample_weight)
    return sqrt(float(weighted_mean(error.square().mean(1), sample_weight)))


def rounding(data: Dataset) -> float:
    """Returns the error, in spreads, that the rounding of the numbers in a table may cause.

    Example:
        >>> years = torch.linspace(2000, 2001, 9, dtype=torch.float64)[:, None]
        >>> rounding(Dataset(years, years - 2000, ("year",))) < 2e-12
        True
    """
    columns = torch.cat([data.X.double(), data.y.double()], 1)
    # The first row is subtracted first, see `moments`; a column that does not vary says nothing.
    spread = (columns - columns[0]).std(0, correction=0)
    largest = columns.abs().amax(0)
    varies = spread > CONSTANT * largest
    shares = (largest / spread)[varies]
    return torch.finfo(data.X.dtype).eps * float(shares.amax()) if len(shares) else 0.0


def size_in_spreads(data: Dataset, sample_weight: Any = None) -> float:
    """Returns the root mean square of the targets in spreads of them."""
    return sqrt(float(weighted_mean((data.y / spreads(data, sample_weight)).square().mean(1), sample_weight)))
