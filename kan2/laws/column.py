"""Columns of numbers that know the expression they stand for, and tables of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class Column:
    """(samples,) finite numbers, and the expression in the names of the user's table that gives them."""

    values: Float[ndarray, "sample"]
    expression: sympy.Expr

    @cached_property
    def sign(self) -> int:
        """1 or -1 where all numbers have that sign, else 0."""
        return 1 if (self.values > 0).all() else -1 if (self.values < 0).all() else 0

    @cached_property
    def largest(self) -> float:
        """The largest magnitude."""
        return float(np.abs(self.values).max())

    @cached_property
    def n_different(self) -> int:
        """How many different numbers there are: a grid has few."""
        return len(np.unique(self.values))

    def raised(self, power: sympy.Expr) -> "Column":
        """Returns the column to a power; magnitudes are taken where a root of negative numbers would be needed."""
        if power == 1:
            return self
        if power.is_Integer:
            return Column(self.values ** float(power), self.expression**power)
        base = self.expression if self.sign > 0 else sympy.Abs(self.expression)
        return Column(np.abs(self.values) ** float(power), base**power)


def product(columns: "list[Column] | tuple[Column, ...]", powers: "list[sympy.Expr]") -> Column:
    """Returns the product of powers of columns."""
    values, expression = np.ones_like(columns[0].values), sympy.Integer(1)
    for column, power in zip(columns, powers, strict=True):
        if power != 0:
            factor = column.raised(power)
            values, expression = values * factor.values, expression * factor.expression
    return Column(values, expression)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns, and the target they are to explain."""

    columns: tuple[Column, ...]
    y: Float[ndarray, "sample"]

    @cached_property
    def X(self) -> Float[ndarray, "sample column"]:
        return np.column_stack([column.values for column in self.columns])

    @property
    def n_columns(self) -> int:
        return len(self.columns)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def sign(self) -> int:
        """The sign of the target where it has one, else 0."""
        return Column(self.y, sympy.Integer(0)).sign

    def at(self, rows: ndarray) -> "Table":
        """Returns the table of some rows."""
        return Table(tuple(Column(c.values[rows], c.expression) for c in self.columns), self.y[rows])

    def of(self, positions: "list[int]") -> "Table":
        """Returns the table of some columns."""
        return Table(tuple(self.columns[i] for i in positions), self.y)
