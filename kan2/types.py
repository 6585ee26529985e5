"""Array types of the package; the axis names used in shapes are listed in the docstring of `kan2`."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import Tensor


@runtime_checkable
class HasArray(Protocol):
    """What NumPy can read, such as a data frame."""

    def __array__(self) -> np.ndarray: ...


@runtime_checkable
class HasColumns(Protocol):
    """What has columns that Arrow can read, such as a frame of polars or a `kan2.tables.Table`."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


ArrayLike: TypeAlias = (
    Tensor | np.ndarray | HasArray | HasColumns | Sequence[Any] | Mapping[str, Any] | str | PathLike[str]
)
"""Anything that becomes a tensor: torch, NumPy, nested lists, frames, dicts of columns, the path of a table."""

EdgeIndex: TypeAlias = tuple[int, int, int]
"""(layer, target, source): target counts subnodes of the layer's output, source nodes of its input."""
