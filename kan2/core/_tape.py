"""Straight-line programs over columns: one tensor operation after the other, and the way back through them.

A *value* is a column (batch,), known by its number; the first values are the columns of the input. A *step* makes one
value of others: a linear combination, a function, a product, a quotient. *Coefficients* are the numbers that steps
read, scales, biases and exponents, known by their numbers too. So a program stays what it is when its coefficients
change, but for those that are 0 or 1: what does nothing is left out.

Columns are NumPy arrays or tensors. NumPy starts an operation three times faster and reads the columns of a table
faster; torch has the functions, uses several threads, and differentiates what it does.

Going back, the gradient of a value is a column and a number to multiply it with, the *adjoint*: constant factors are
multiplied as numbers. The gradients of coefficients are inner products over the batch, each taken once.

Reference: Griewank, Walther, Evaluating Derivatives (2008), sections 2.2 and 3.2.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kan2.functions import BUILT_IN, SymbolicFunction
from kan2.functions.derivatives import derivatives
from kan2.functions.pullbacks import Pullback, power_pullback

Column = Any  # Float[Tensor, " batch"] or Float[np.ndarray, " batch"]
Coefficients = Sequence[float]

SMALLEST_FACTOR, LARGEST_FACTOR = 2.0**-20, 2.0**20
"""Between these a factor stays beside its column; beyond, columns could leave the range of float32 without it."""


class Step(Protocol):
    """What makes one value of others."""

    out: int

    @property
    def reads(self) -> tuple[int, ...]:
        """The values that it reads."""
        ...

    def run(self, v: list[Any], k: Coefficients) -> Column:
        """Returns the value."""
        ...

    def back(self, way: "WayBack", g: Column, factor: float) -> None:
        """Passes an adjoint on to the values and the coefficients that were read."""
        ...

    def keeps(self, wanted: Sequence[bool], needs: Sequence[bool]) -> tuple[int, ...]:
        """Returns the values that the way back reads, given which coefficients and values want gradients."""
        ...


@dataclass(slots=True)
class Linear:
    """The sum of scaled values and a bias; `reuses` says that the first value is read here for the last time.

    Without sources it is a column of the bias. A bias that is 0 is added only `always`, to make -0 a 0.
    """

    out: int
    sources: tuple[int, ...]
    scales: tuple[int, ...]
    bias: int
    always: bool = False
    reuses: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        return self.sources

    def run(self, v: list[Any], k: Coefficients) -> Column:
        bias = k[self.bias]
        if not self.sources:
            return _full_like(v[0], bias)
        total, scale, is_own = v[self.sources[0]], k[self.scales[0]], self.reuses
        if scale != 1.0:
            total, is_own = times(total, scale, is_own), True
        for i, j in zip(self.sources[1:], self.scales[1:]):
            total, is_own = plus(total, v[i], k[j], is_own), True
        if bias == 0.0 and not self.always:
            return total
        if not is_own:
            return total + bias
        total += bias
        return total

    def back(self, way: "WayBack", g: Column, factor: float) -> None:
        for i, j in zip(self.sources, self.scales):
            if way.wanted[j]:
                way.found[j] += factor * way.dot(g, i)
            way.give(i, g, factor * way.k[j])
        if way.wanted[self.bias]:
            way.found[self.bias] += factor * way.total(g)

    def keeps(self, wanted: Sequence[bool], needs: Sequence[bool]) -> tuple[int, ...]:
        return tuple(i for i, j in zip(self.sources, self.scales) if wanted[j])


@dataclass(slots=True)
class Apply:
    """A function of the table; `exponent` is the coefficient of its shape parameter, `slope` keeps f'(u) if asked."""

    out: int
    source: int
    row: SymbolicFunction
    exponent: int
    pullback: Pullback | None
    slope: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    @property
    def is_power(self) -> bool:
        return self.row is BUILT_IN["power"]

    @property
    def is_arithmetic(self) -> bool:
        return self.slope is None and self.pullback is not None and self.pullback.is_arithmetic

    def run(self, v: list[Any], k: Coefficients) -> Column:
        u, is_array = v[self.source], isinstance(v[self.source], np.ndarray)
        if self.is_arithmetic:
            return self.row.torch(u)
        if is_array:
            u = torch.from_numpy(u)
        if self.slope is not None and not (torch.is_grad_enabled() and u.requires_grad):
            value, slope = derivatives(self.row, u, u.new_tensor(k[self.exponent]), 1)
            v[self.slope] = slope.numpy() if is_array else slope
        elif self.row.shape is None:
            value = self.row.torch(u)
        else:
            value = u.pow(k[self.exponent]) if self.is_power else self.row(u, k[self.exponent])
        return value.detach().numpy() if is_array else value

    def back(self, way: "WayBack", g: Column, factor: float) -> None:
        v, i, j = way.v, self.source, self.exponent
        if self.slope is not None:
            way.give(i, g * v[self.slope], factor, is_own=True)
            return
        if self.is_arithmetic and self.pullback is not None:
            way.give(i, self.pullback.through(g, v[i], v[self.out]), factor * self.pullback.factor, is_own=True)
            return
        is_array = isinstance(g, np.ndarray)
        u, y, gradient = (torch.from_numpy(c) if isinstance(c, np.ndarray) else c for c in (v[i], v[self.out], g))
        if self.is_power and way.wanted[j]:
            log_u = torch.where(u > 0, u, 1.0).log_().mul_(y)
            way.found[j] += factor * way.inner(g, log_u.numpy() if is_array else log_u)
        if way.needs[i] and self.is_power:
            found, factor = power_pullback(gradient, u, y, way.k[j]), factor * way.k[j]
            way.give(i, found.numpy() if is_array else found, factor, is_own=True)
        elif way.needs[i] and self.pullback is not None:
            found, factor = self.pullback.through(gradient, u, y), factor * self.pullback.factor
            way.give(i, found.numpy() if is_array else found, factor, is_own=True)

    def keeps(self, wanted: Sequence[bool], needs: Sequence[bool]) -> tuple[int, ...]:
        if self.is_power and (wanted[self.exponent] or needs[self.source]):
            return (self.source, self.out)
        if self.slope is not None:
            return (self.slope,)
        read = self.pullback.needs if self.pullback is not None and needs[self.source] else ""
        return (*([self.source] if "u" in read else []), *([self.out] if "y" in read else []))


@dataclass(slots=True)
class Multiply:
    """The product of two values; `reuses` is the place, 0 or 1, of a factor that is read here for the last time."""

    out: int
    factors: tuple[int, int]
    reuses: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        return self.factors

    def run(self, v: list[Any], k: Coefficients) -> Column:
        a, b = v[self.factors[0]], v[self.factors[1]]
        if self.reuses is None:
            return a * b
        return operator.imul(b, a) if self.reuses else operator.imul(a, b)

    def back(self, way: "WayBack", g: Column, factor: float) -> None:
        a, b = self.factors
        if way.needs[a]:
            way.give(a, g * way.v[b], factor, is_own=True)
        if way.needs[b]:
            way.give(b, g * way.v[a], factor, is_own=True)

    def keeps(self, wanted: Sequence[bool], needs: Sequence[bool]) -> tuple[int, ...]:
        a, b = self.factors
        return (*([b] if needs[a] else []), *([a] if needs[b] else []))


@dataclass(slots=True)
class Divide:
    """A quotient: a value times scale / divisor + bias, where the scale is 1 and the bias 0, and want gradients."""

    out: int
    numerator: int
    divisor: int
    scale: int
    bias: int
    reuses: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.numerator, self.divisor)

    def run(self, v: list[Any], k: Coefficients) -> Column:
        value, divisor = v[self.numerator], v[self.divisor]
        return operator.itruediv(value, divisor) if self.reuses else value / divisor

    def back(self, way: "WayBack", g: Column, factor: float) -> None:
        v = way.v
        if way.wanted[self.scale]:
            way.found[self.scale] += factor * way.dot(g, self.out)
        if way.wanted[self.bias]:
            way.found[self.bias] += factor * way.dot(g, self.numerator)
        if not (way.needs[self.numerator] or way.needs[self.divisor]):
            return
        share = g / v[self.divisor]
        if way.needs[self.divisor]:
            way.give(self.divisor, share * v[self.out], -factor, is_own=True)
        way.give(self.numerator, share, factor, is_own=True)

    def keeps(self, wanted: Sequence[bool], needs: Sequence[bool]) -> tuple[int, ...]:
        kept = [self.numerator] if wanted[self.bias] else []
        kept += [self.divisor] if needs[self.numerator] or needs[self.divisor] else []
        return (*kept, *([self.out] if wanted[self.scale] or needs[self.divisor] else []))


@dataclass(frozen=True)
class Tape:
    """A program.

    Attributes:
        n_values: how many values there are.
        steps: what to do, in order.
        outputs: the values that it gives.
        frees: after each step, the values that nobody reads again.
        wanted: which coefficients want gradients.
        needs: which values a gradient must pass through.
        kept: the values that the way back reads, other than inputs.
        aliases: (value, the value that it is), where a step does nothing but to ask for gradients.
        copies: which outputs must not share memory with inputs or with what is kept.
    """

    n_values: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    frees: tuple[tuple[int, ...], ...] = ()
    wanted: tuple[bool, ...] = ()
    needs: tuple[bool, ...] = ()
    kept: tuple[int, ...] = ()
    aliases: tuple[tuple[int, int], ...] = ()
    copies: tuple[bool, ...] = ()

    def run(self, columns: Sequence[Column], k: Coefficients) -> list[Any]:
        """Returns all values, None for those that were freed."""
        v: list[Any] = [*columns, *[None] * (self.n_values - len(columns))]
        for step, frees in zip(self.steps, self.frees):
            v[step.out] = step.run(v, k)
            for i in frees:
                v[i] = None
        return v

    def gather(self, v: list[Any], is_new: bool = False) -> Float[Tensor, "batch node"]:
        """Returns the outputs as the columns of a table of their own; a tensor `is_new` when it is no view."""
        first = v[self.outputs[0]]
        if isinstance(first, np.ndarray):
            if len(self.outputs) == 1:
                return torch.from_numpy((first.copy() if self.copies[0] else first)[:, None])
            table = np.empty((len(first), len(self.outputs)), first.dtype)
            for place, i in enumerate(self.outputs):
                table[:, place] = v[i]
            return torch.from_numpy(table)
        if len(self.outputs) == 1 and not self.copies[0] and not is_new:
            return first.unsqueeze(-1)
        return torch.stack([v[i] for i in self.outputs], -1)

    def restore(self, columns: Sequence[Column], kept: Sequence[Column]) -> list[Any]:
        """Returns the values as the way back reads them, from the inputs and what is kept."""
        v: list[Any] = [*columns, *[None] * (self.n_values - len(columns))]
        for i, value in zip(self.kept, kept):
            v[i] = value
        for i, root in self.aliases:
            v[i] = v[root]
        return v

    def back(
        self, v: list[Any], k: Coefficients, gradients: Sequence[Column]
    ) -> tuple[list[tuple[Column, float] | None], list[float]]:
        """Returns the adjoints of all values, of which those of the inputs are left, and the gradients of coefficients.

        Args:
            v: the values, at least those that are kept.
            k: the coefficients.
            gradients: those of the outputs.
        """
        way = WayBack(v, k, self.wanted, self.needs, [0.0] * len(k), [None] * self.n_values)
        for i, gradient in zip(self.outputs, gradients):
            way.give(i, gradient, 1.0)
        for step in reversed(self.steps):
            adjoint = way.adjoints[step.out]
            if adjoint is not None:
                step.back(way, adjoint[0], adjoint[1])
                way.adjoints[step.out] = None
        return [a and a[:2] for a in way.adjoints], way.found


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


def _full_like(column: Column, value: float) -> Column:
    return np.full_like(column, value) if isinstance(column, np.ndarray) else torch.full_like(column, value)


def _total(column: Column) -> float:
    if isinstance(column, np.ndarray):
        return float(column.sum(dtype=np.float64))
    return column.sum(dtype=torch.float64).item()
