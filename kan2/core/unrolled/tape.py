"""Straight-line programs over columns: one step after the other, and the way back through them.

The first values are the columns of the input. A program stays what it is when its coefficients change, but for those
that are 0 or 1: what does nothing is left out.

Reference: Griewank, Walther, Evaluating Derivatives (2008), sections 2.2 and 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.unrolled.steps import Step
from kan2.core.unrolled.way_back import Coefficients, Column, WayBack


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
