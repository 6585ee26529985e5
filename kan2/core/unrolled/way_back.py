"""What steps of a program pass on going back: adjoints of values, gradients of coefficients; arithmetic on columns.

The adjoint of a value is a column and a number to multiply it with: constant factors are multiplied as numbers. The
gradients of coefficients are inner products over the batch, each taken once.

Columns are NumPy arrays or tensors. NumPy starts an operation three times faster and reads the columns of a table
faster; torch has the functions, uses several threads, and differentiates what it does.

Reference: Griewank, Walther, Evaluating Derivatives (2008), section 3.2.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Column = Any  # Float[Tensor, " batch"] or Float[np.ndarray, " batch"]
Coefficients = Sequence[float]

SMALLEST_FACTOR, LARGEST_FACTOR = 2.0**-20, 2.0**20
"""Between these a factor stays beside its column; beyond, columns could leave the range of float32 without it."""


@dataclass(slots=True)
class WayBack:
    """What is known on the way back: adjoints that were given so far, and gradients of coefficients."""

    v: list[Any]
    k: Coefficients
    wanted: Sequence[bool]
    needs: Sequence[bool]
    found: list[float]
    adjoints: list[tuple[Column, float, bool] | None]
    products: dict[tuple[int, int], tuple[float, Any]] = field(default_factory=dict)

    def give(self, i: int, g: Column, factor: float, is_own: bool = False) -> None:
        """Adds g times a factor to the adjoint of a value; `is_own` allows to write into g."""
        if not self.needs[i]:
            return
        if not SMALLEST_FACTOR < abs(factor) < LARGEST_FACTOR:
            g, factor, is_own = times(g, factor, is_own), 1.0, True
        before = self.adjoints[i]
        if before is not None:
            h, other, h_is_own = before
            if is_own and not h_is_own:
                g = plus(g, h, other / factor, True)
            else:
                g, factor = plus(h, g, factor / other, h_is_own), other
            is_own = True
        self.adjoints[i] = (g, factor, is_own)

    def dot(self, g: Column, i: int) -> float:
        """Returns the inner product of an adjoint's column and a value."""
        value = self.v[i]
        kept = self.products.get((id(g), id(value)))
        if kept is None:
            # What is kept holds on to g: nothing new gets its id.
            kept = self.products[id(g), id(value)] = (self.inner(g, value), g)
        return kept[0]

    def total(self, g: Column) -> float:
        """Returns the sum of a column."""
        kept = self.products.get((id(g), 0))
        if kept is None:
            kept = self.products[id(g), 0] = (_total(g), g)
        return kept[0]

    def inner(self, a: Column, b: Column) -> float:
        """Returns an inner product, added up in float64."""
        if isinstance(a, np.ndarray):
            return float(np.dot(a, b)) if a.dtype == np.float64 else _total(a * b)
        return torch.dot(a, b).item() if a.dtype == torch.float64 else _total(a * b)


def times(column: Column, factor: float, is_own: bool) -> Column:
    """Returns a scaled column, where it may in place."""
    return operator.imul(column, factor) if is_own else column * factor


def plus(total: Column, column: Column, factor: float, is_own: bool) -> Column:
    """Returns total + factor * column, where it may in place of the total."""
    if isinstance(total, Tensor):
        return total.add_(column, alpha=factor) if is_own else torch.add(total, column, alpha=factor)
    if factor == 1.0:
        return operator.iadd(total, column) if is_own else total + column
    if factor == -1.0:
        return operator.isub(total, column) if is_own else total - column
    scaled = column * factor
    return operator.iadd(total, scaled) if is_own else operator.iadd(scaled, total)


def full_like(column: Column, value: float) -> Column:
    return np.full_like(column, value) if isinstance(column, np.ndarray) else torch.full_like(column, value)


def _total(column: Column) -> float:
    if isinstance(column, np.ndarray):
        return float(column.sum(dtype=np.float64))
    return column.sum(dtype=torch.float64).item()
