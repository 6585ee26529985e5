"""A table of networks made from a front of formulas, each compiled when somebody asks for it."""

from functools import cached_property
from math import log
from typing import Any

from kan2.core.data import Dataset
from kan2.discovery.pareto import ParetoRow, ParetoTable
from kan2.laws.front.compiled import compiled
from kan2.laws.front.front import Front, Row
from kan2.multkan import MultKAN


class LazyRow(ParetoRow):
    """A row of a front among networks: its error is that on rows kept aside."""

    def __init__(self, row: Row, data: Dataset) -> None:
        n = len(data)
        criterion = 2 * n * log(max(row.error, 1e-300)) + row.complexity * log(n)
        for name, value in (("complexity", row.complexity), ("rmse", row.error), ("criterion", criterion)):
            object.__setattr__(self, name, value)
        self.__dict__.update(_row=row, _data=data)

    @cached_property
    def model(self) -> MultKAN:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The network of the formula."""
        return self.__dict__["_row"].network or compiled(self.__dict__["_row"].formulas, self.__dict__["_data"])

    @property
    def formula(self) -> Any:
        """The formula."""
        return self.__dict__["_row"].formula


def pareto_of(front: Front, data: Dataset) -> ParetoTable:
    """Returns the rows of a front as a table of networks."""
    return ParetoTable(len(data), rows=[LazyRow(row, data) for row in front])
