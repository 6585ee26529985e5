"""Which functions stand where: the symbolic terms of a layer without their numbers, as kernels read them.

Terms y = c f(a x + b) + d are grouped into *blocks* of one function. `Terms.sums` evaluates all of them by general
tensor operations: one gather of the sources, one call a function, one sum into the targets; no loop over edges.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kan2 import functions
from kan2.core.spec import SymbolicTerm


@dataclass(frozen=True, slots=True)
class Terms:
    """Frozen description of the symbolic terms of a layer, in the order of the spec.

    Attributes:
        names: which function each term has.
        blocks: (name, start, stop) of the runs of one function, with terms visited in `order`.
        order: (term,), terms sorted by function.
        source, target: (term,), where each term starts and ends.
        source_in_blocks, target_in_blocks: (term,), the same in `order`.
        sizes: numbers of terms of the blocks.
        free: (term, 5), which of a, b, c, d and the shape parameter are free.
        is_sorted: whether `order` changes nothing.
        is_free, any_free: whether all of a, b, c, d of all terms are free, and whether any number is.
        has_free_shape: whether some shape parameter is free.
    """

    names: tuple[str, ...]
    blocks: tuple[tuple[str, int, int], ...]
    order: Int[Tensor, " term"]
    source: Int[Tensor, " term"]
    target: Int[Tensor, " term"]
    source_in_blocks: Int[Tensor, " term"]
    target_in_blocks: Int[Tensor, " term"]
    sizes: tuple[int, ...]
    free: Bool[Tensor, "term 5"]
    is_sorted: bool
    is_free: bool
    any_free: bool
    has_free_shape: bool

    @classmethod
    def of(cls, terms: Sequence[SymbolicTerm], device: torch.device) -> "Terms":
        """Describes the terms of a spec."""
        rows = [functions.get(term.function) for term in terms]
        order = sorted(range(len(terms)), key=lambda i: rows[i].name)
        blocks: list[tuple[str, int, int]] = []
        for position, i in enumerate(order):
            if blocks and blocks[-1][0] == rows[i].name:
                blocks[-1] = (rows[i].name, blocks[-1][1], position + 1)
            else:
                blocks.append((rows[i].name, position, position + 1))
        free = [[letter in term.free and letter in row.free for letter in "abcdp"] for term, row in zip(terms, rows)]

        def indices(values: Sequence[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.long, device=device)

        sources, targets = [term.source for term in terms], [term.target for term in terms]
        return cls(
            names=tuple(row.name for row in rows),
            blocks=tuple(blocks),
            order=indices(order),
            source=indices(sources),
            target=indices(targets),
            source_in_blocks=indices([sources[i] for i in order]),
            target_in_blocks=indices([targets[i] for i in order]),
            sizes=tuple(stop - start for _, start, stop in blocks),
            free=torch.tensor(free, dtype=torch.bool, device=device).reshape(-1, 5),
            is_sorted=order == list(range(len(terms))),
            is_free=all(all(row[:4]) for row in free),
            any_free=any(map(any, free)),
            has_free_shape=any(row[4] for row in free),
        )

    def only_free(
        self, affine: Float[Tensor, "term 4"], shape: Float[Tensor, " term"]
    ) -> tuple[Float[Tensor, "term 4"], Float[Tensor, " term"]]:
        """Returns the numbers without gradient to those that are not free."""
        if not self.is_free:
            affine = torch.where(self.free[:, :4], affine, affine.detach())
        fixed = shape.detach()
        return affine, torch.where(self.free[:, 4], shape, fixed) if self.has_free_shape else fixed

    def apply_functions(
        self, u: Float[Tensor, "batch term"], shape: Float[Tensor, "*batch term"]
    ) -> Float[Tensor, "batch term"]:
        """Returns f(u; shape) of every term."""
        if len(self.blocks) == 1:
            return functions.get(self.blocks[0][0])(u, shape)
        if not self.is_sorted:
            u, shape = u[:, self.order], shape[..., self.order]
        parts = [functions.get(name)(u[:, i:j], shape[..., i:j]) for name, i, j in self.blocks]
        values = torch.cat(parts, -1)
        return values if self.is_sorted else values[:, self.order.argsort()]

    def sums(
        self,
        x: Float[Tensor, "batch source"],
        affine: Float[Tensor, "term 4"],
        shape: Float[Tensor, " term"],
        n_targets: int,
    ) -> Float[Tensor, "batch target"]:
        """Evaluates the sums into targets with given numbers."""
        # gather and scatter_add serve all rows at once; index and index_add would loop over terms going backwards.
        affine, shape = self.only_free(affine, shape)
        if not self.is_sorted:
            affine, shape = affine.index_select(0, self.order), shape.index_select(0, self.order)
        a, b, c, d = affine.unbind(1)
        n = x.shape[0]
        u = torch.addcmul(b, x.gather(1, self.source_in_blocks.expand(n, -1)), a)
        parts = [
            functions.get(name)(part, p)
            for (name, _, _), part, p in zip(self.blocks, u.split(self.sizes, 1), shape.split(self.sizes))
        ]
        values = torch.addcmul(d, parts[0] if len(parts) == 1 else torch.cat(parts, 1), c)
        zeros = values.new_zeros(n, n_targets)
        return zeros.scatter_add(1, self.target_in_blocks.expand(n, -1), values)
