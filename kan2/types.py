"""Array types of the package; the axis names used in shapes are listed in the docstring of `kan2`."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import Tensor


@runtime_checkable
class HasArray(Protocol):
    """What NumPy can read, such as a data frame."""

    def __array__(self) -> np.ndarray: ...


ArrayLike: TypeAlias = Tensor | np.ndarray | HasArray | Sequence[Any]
"""Anything that becomes a tensor: torch, NumPy, data frames, nested lists."""

EdgeIndex: TypeAlias = tuple[int, int, int]
"""(layer, target, source): target counts subnodes of the layer's output, source nodes of its input."""
