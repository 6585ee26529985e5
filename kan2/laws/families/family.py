"""A family of functions of one column: sums of terms whose coefficients are linear and whose shape numbers are not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

COLUMN = sympy.Dummy("x")  # not real: |x|^3 is to stay what it is, and not to become x^2 |x|
SHAPES = tuple(sympy.Dummy(f"s{i}", real=True) for i in range(6))


@dataclass(frozen=True, eq=False)
class Range:
    """Where the values of a column lie.

    Attributes:
        x: (row,) the values, in increasing order.
    """

    x: Float[ndarray, "row"]

    @cached_property
    def low(self) -> float:
        """The smallest value."""
        return float(self.x[0])

    @cached_property
    def high(self) -> float:
        """The largest value."""
        return float(self.x[-1])

    @property
    def width(self) -> float:
        """What lies between them, > 0."""
        return self.high - self.low

    @property
    def is_positive(self) -> bool:
        """Whether all values are larger than zero."""
        return self.low > 0

    def inside(self, n: int, beyond: float = 0.0) -> Float[ndarray, "place"]:
        """Returns n places from end to end, or beyond the ends by a share of the width."""
        return np.linspace(self.low - beyond * self.width, self.high + beyond * self.width, n)

    def widths(self, n: int, least: float = 0.02, most: float = 2.0) -> Float[ndarray, "place"]:
        """Returns n lengths, from one share of the width to another, evenly on a logarithmic scale."""
        return np.geomspace(least * self.width, most * self.width, n)

    def rates(self, n: int, least: float = 0.1, most: float = 60.0, signed: bool = True) -> Float[ndarray, "place"]:
        """Returns rates of exponentials: what they grow or fall by over the width, divided by it."""
        found = np.geomspace(least, most, n) / self.width
        return np.r_[-found[::-1], found] if signed else found


@dataclass(frozen=True, eq=False)
class Family:
    """Functions c1 f1(x; s) + c2 f2(x; s) + ... of a column x with shape numbers s.

    Attributes:
        name: what such a function is, in words.
        terms: f1, f2, ..., of the column and the shape numbers, as expressions.
        grids: of a range, for each shape number, values among which there is one from where a fit finds the best.
        base: terms without shape numbers that take part, such as 1 and x; left out where they are of no use.
        is_positive: whether the column must be.
        is_of_logarithm: whether log(y) is such a function, and y its exponential.
        most: how many parts, each with terms and shape numbers of its own, are added up at most.
        is_rough: whether the terms are steps, so that a fit has no slopes to follow.
    """

    name: str
    terms: Callable[..., tuple[Any, ...]]
    grids: Callable[[Range], tuple[ndarray, ...]]
    base: Callable[[Any], tuple[Any, ...]] = lambda x: (sympy.Integer(1),)
    is_positive: bool = False
    is_of_logarithm: bool = False
    most: int = 1
    is_rough: bool = False

    @cached_property
    def n_shapes(self) -> int:
        """How many shape numbers a part has."""
        return len(self.grids(Range(np.array([1.0, 1.5, 2.0]))))

    @cached_property
    def of_part(self) -> tuple[sympy.Expr, ...]:
        """The terms of a part, in `COLUMN` and `SHAPES`."""
        return tuple(map(sympy.sympify, self.terms(COLUMN, *SHAPES[: self.n_shapes])))

    @cached_property
    def of_base(self) -> tuple[sympy.Expr, ...]:
        """The terms without shape numbers."""
        return tuple(map(sympy.sympify, self.base(COLUMN)))

    def at(self, x: ndarray, shapes: tuple[Any, ...]) -> list[ndarray]:
        """Returns the values of the terms of a part; arrays of shape numbers are spread over those of the column."""
        shape = np.broadcast_shapes(np.shape(x), *(np.shape(s) for s in shapes))
        return [np.broadcast_to(np.asarray(v, float), shape) for v in compiled(self.of_part)(x, *shapes)]

    def base_at(self, x: ndarray) -> list[ndarray]:
        """Returns the values of the terms without shape numbers."""
        return [np.broadcast_to(np.asarray(v, float), np.shape(x)) for v in compiled(self.of_base)(x)]


@lru_cache(maxsize=256)
def compiled(terms: tuple[sympy.Expr, ...]) -> Callable[..., list[Any]]:
    """Returns a function of a column and shape numbers that gives the values of terms."""
    n = sum(any(term.has(shape) for term in terms) for shape in SHAPES)
    return sympy.lambdify((COLUMN, *SHAPES[:n]), list(terms), ["numpy", "scipy"], cse=True)
