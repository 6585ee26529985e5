"""The coordinate of base functions: where b is evaluated for every source, whatever the unit of measure.

The *home* of a source is the range that its base function sees as -1 to 1. A grid moves with the data; a home stays, so
that the weight of the base function keeps its meaning.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.errors import SpecError


@dataclass(frozen=True, slots=True)
class Coordinate:
    """The map from x to z = (x - centre) factor, and the ends of the grid.

    Attributes:
        centre: (source,) middle of the home.
        factor: (source,) 2 / (length of the home).
        low: (source,) first grid point.
        high: (source,) last grid point.
        is_plain: whether z is known to be x, bit for bit.
    """

    centre: Float[Tensor, " source"]
    factor: Float[Tensor, " source"]
    low: Float[Tensor, " source"]
    high: Float[Tensor, " source"]
    is_plain: bool

    def __call__(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch source"]:
        return x if self.is_plain else (x - self.centre) * self.factor


def check_home(home: Tensor, n_source: int, where: str) -> None:
    """Raises SpecError unless home is (source, 2) with finite low < high whose coordinate is finite too."""
    if home.shape == (n_source, 2):
        if home.device.type == "meta":  # shapes alone, no numbers
            return
        width = home[:, 1] - home[:, 0]
        # The factor of the coordinate must be a number as well.
        numbers = torch.cat([home.flatten(), width, 2 / width])
        if bool(torch.isfinite(numbers).all()) and bool((width > 0).all()):
            return
    got = home.tolist() if home.numel() <= 8 else f"shape {tuple(home.shape)}"
    raise SpecError(f"{where}.home: expected a finite range low < high for each of {n_source} sources, got {got}.")
