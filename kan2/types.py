"""Array types of the package; the axis names used in shapes are listed in the docstring of `kan2`."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

ArrayLike: TypeAlias = Tensor | np.ndarray | Sequence[Any]
"""Anything that becomes a tensor: torch, NumPy, nested lists, a data frame's values."""

EdgeIndex: TypeAlias = tuple[int, int, int]
"""(layer, target, source): target counts subnodes of the layer's output, source nodes of its input."""
