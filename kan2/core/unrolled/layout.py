"""From the numbers of symbolic layers to the coefficients of their program, and back with gradients.

The numbers of all layers in one list, layer by layer in the order of their parameters, are the first coefficients.
Behind them come those of the sums: of scale (sum over terms of c f + d) + bias, with the affine of the node around it
where the node is that sum, the scales of the functions and one bias.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kan2.core.spec import LayerSpec


@dataclass(frozen=True)
class Places:
    """Where the numbers of a layer are in the list of all: the first of each parameter."""

    affine: int
    shape: int
    subnode_scale: int
    subnode_bias: int
    node_scale: int
    node_bias: int
    end: int

    @classmethod
    def of(cls, spec: LayerSpec, start: int) -> "Places":
        """Lays out the numbers of a layer."""
        sizes = (4 * len(spec.terms), len(spec.terms), *2 * (spec.n_subnodes,), *2 * (spec.n_out,))
        starts = [start]
        for size in sizes:
            starts.append(starts[-1] + size)
        return cls(*starts)


@dataclass(frozen=True)
class SumNumbers:
    """Which numbers a sum is made of, and the coefficients that they give: its scales from `first` on, then its bias.

    Attributes:
        scales, shifts: c and d of its terms.
        subnode_scale, subnode_bias: its affine.
        node_scale, node_bias: the affine of its node, where the node is this sum alone.
        first: the first of its coefficients.
    """

    scales: tuple[int, ...]
    shifts: tuple[int, ...]
    subnode_scale: int
    subnode_bias: int
    node_scale: int | None
    node_bias: int | None
    first: int

    @property
    def bias(self) -> int:
        """The coefficient that is added."""
        return self.first + len(self.scales)

    @property
    def all_numbers(self) -> Iterator[int]:
        """All numbers that it is made of."""
        own = (self.subnode_scale, self.subnode_bias, self.node_scale, self.node_bias)
        return (n for n in (*self.scales, *self.shifts, *own) if n is not None)

    def evaluate(self, n: Sequence[float]) -> list[float]:
        """Returns the coefficients."""
        outer = 1.0 if self.node_scale is None else n[self.node_scale]
        scale, bias = outer * n[self.subnode_scale], outer * n[self.subnode_bias]
        bias += scale * sum(n[i] for i in self.shifts)
        return [*(scale * n[i] for i in self.scales), bias if self.node_bias is None else bias + n[self.node_bias]]

    def pull_back(self, n: Sequence[float], found: list[float]) -> None:
        """Adds to the gradients of the numbers what those of the coefficients give."""
        *of_scales, of_bias = found[self.first : self.bias + 1]
        outer = 1.0 if self.node_scale is None else n[self.node_scale]
        scale = outer * n[self.subnode_scale]
        for i, g in zip(self.scales, of_scales):
            found[i] += scale * g
        for i in self.shifts:
            found[i] += scale * of_bias
        terms = sum(n[i] * g for i, g in zip(self.scales, of_scales)) + of_bias * sum(n[i] for i in self.shifts)
        found[self.subnode_scale] += outer * terms
        found[self.subnode_bias] += outer * of_bias
        if self.node_scale is not None and self.node_bias is not None:
            found[self.node_scale] += n[self.subnode_scale] * terms + n[self.subnode_bias] * of_bias
            found[self.node_bias] += of_bias


class Layout:
    """The numbers of symbolic layers and the coefficients that they give.

    Args:
        specs: what the layers are.

    Attributes:
        places: where the numbers of each layer are.
        n_numbers: how many numbers there are.
        one, zero: coefficients with these values.
        sums: for each layer, the sums of its subnodes.
    """

    def __init__(self, specs: Sequence[LayerSpec]) -> None:
        self.specs, self.places, start = tuple(specs), list[Places](), 0
        for spec in specs:
            self.places.append(Places.of(spec, start))
            start = self.places[-1].end
        self.n_numbers = start
        self.sums = [list(self._sums(spec, at)) for spec, at in zip(specs, self.places)]
        first = start
        for sums in self.sums:
            for i, numbers in enumerate(sums):
                sums[i] = replace(numbers, first=first)
                first = sums[i].bias + 1
        self.one, self.zero = first, first + 1

    @staticmethod
    def _sums(spec: LayerSpec, at: Places) -> Iterator[SumNumbers]:
        terms: list[list[int]] = [[] for _ in range(spec.n_subnodes)]
        for i, term in enumerate(spec.terms):
            terms[term.target].append(i)
        alone = {group[0]: node for node, group in enumerate(spec.groups) if len(group) == 1}
        for s, own in enumerate(terms):
            node = alone.get(s)
            yield SumNumbers(
                scales=tuple(at.affine + 4 * i + 2 for i in own),
                shifts=tuple(at.affine + 4 * i + 3 for i in own),
                subnode_scale=at.subnode_scale + s,
                subnode_bias=at.subnode_bias + s,
                node_scale=None if node is None else at.node_scale + node,
                node_bias=None if node is None else at.node_bias + node,
                first=0,
            )

    def coefficients(self, numbers: Sequence[float]) -> list[float]:
        """Returns the coefficients that numbers give."""
        found = list(numbers)
        for sums in self.sums:
            for own in sums:
                found += own.evaluate(numbers)
        return [*found, 1.0, 0.0]

    def pull_back(self, numbers: Sequence[float], found: list[float], free: Sequence[bool]) -> list[float]:
        """Returns the gradients of the free numbers for those of the coefficients, into which it writes."""
        for sums in self.sums:
            for own in sums:
                own.pull_back(numbers, found)
        return [g if is_free else 0.0 for g, is_free in zip(found[: self.n_numbers], free)]

    def wanted(self, free: Sequence[bool]) -> list[bool]:
        """Returns which coefficients want gradients, given which numbers do."""
        sums = [own for of_layer in self.sums for own in of_layer]
        return [*free, *(flag for own in sums for flag in _wanted(own, free)), False, False]


def _wanted(own: SumNumbers, free: Sequence[bool]) -> list[bool]:
    of_all = free[own.subnode_scale] or (own.node_scale is not None and free[own.node_scale])
    return [*(of_all or free[i] for i in own.scales), any(free[i] for i in own.all_numbers)]
