"""The steps of straight-line programs: each makes one value of others, and passes gradients back to them.

A *value* is a column (batch,), known by its number. A step is a linear combination, a function, a product or a
quotient. *Coefficients* are the numbers that steps read, scales, biases and exponents, known by their numbers too.

Reference: Griewank, Walther, Evaluating Derivatives (2008), sections 2.2 and 3.2.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from kan2.core.unrolled.way_back import Coefficients, Column, WayBack, full_like, plus, times
from kan2.functions import BUILT_IN, SymbolicFunction
from kan2.functions.derivatives import derivatives
from kan2.functions.pullbacks import Pullback, power_pullback


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

    def back(self, way: WayBack, g: Column, factor: float) -> None:
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
            return full_like(v[0], bias)
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

    def back(self, way: WayBack, g: Column, factor: float) -> None:
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

    def run(self, v: list[Any], k: Coefficients) -> Column:
        u, is_array = v[self.source], isinstance(v[self.source], np.ndarray)
        if is_array and self.pullback is not None and self.pullback.on_arrays is not None:
            return self.pullback.on_arrays(u)
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

    def back(self, way: WayBack, g: Column, factor: float) -> None:
        v, i, j = way.v, self.source, self.exponent
        if self.slope is not None:
            way.give(i, g * v[self.slope], factor, is_own=True)
            return
        if self.pullback is not None and self.pullback.is_arithmetic:
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

    def back(self, way: WayBack, g: Column, factor: float) -> None:
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

    def back(self, way: WayBack, g: Column, factor: float) -> None:
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
