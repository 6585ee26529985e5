"""The symbolic edges of one layer: terms y = c f(a x + b) + d with a function from the table.

Two ways evaluate them: compiled loops for small batches, and general tensor operations for everything.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kan2 import functions
from kan2.core.edges._compiled_terms import can_loop, looped
from kan2.core.edges.terms import Terms
from kan2.core.spec import SymbolicTerm
from kan2.functions.derivatives import derivatives


class SymbolicEdges(nn.Module):
    """The symbolic terms of a layer, in the order of the spec.

    Attributes:
        affine: (term, 4), the numbers a, b, c, d of c f(a x + b) + d.
        shape: (term,), the shape parameter; 0 where the function has none.
    """

    def __init__(self, terms: Sequence[SymbolicTerm], like: Tensor) -> None:
        super().__init__()
        self._spec = tuple(terms)
        self._terms = Terms.of(self._spec, like.device)
        shapes = [functions.get(name).shape or 0.0 for name in self._terms.names]
        self.affine = nn.Parameter(like.new_tensor([[1.0, 0.0, 1.0, 0.0]]).repeat(len(shapes), 1))
        self.shape = nn.Parameter(like.new_tensor(shapes))

    @property
    def terms(self) -> Terms:
        """Which functions stand where, on the device of the numbers."""
        # Made anew where the numbers have moved, by whatever way: indices that torch moves itself would be lost on the
        # meta device, and stay behind in replicas.
        if self._terms.order.device != (device := self.affine.device):
            self._terms = Terms.of(self._spec, device)
        return self._terms

    @property
    def source(self) -> Int[Tensor, " term"]:
        """Which node each term reads."""
        return self.terms.source

    @property
    def target(self) -> Int[Tensor, " term"]:
        """Which subnode each term adds to."""
        return self.terms.target

    @property
    def free(self) -> Bool[Tensor, "term 5"]:
        """Which of a, b, c, d and the shape parameter of each term are free."""
        return self.terms.free

    @property
    def wants_gradient(self) -> bool:
        """Whether some number is free and its parameter takes gradients."""
        return self.terms.any_free and (self.affine.requires_grad or self.shape.requires_grad)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}: {stop - start}" for name, start, stop in self.terms.blocks)

    def numbers(self) -> tuple[Float[Tensor, "term 4"], Float[Tensor, " term"]]:
        """Returns affine and shape, without gradient to what is not free."""
        return self.terms.only_free(self.affine, self.shape)

    def arguments(
        self, x: Float[Tensor, "batch source"], affine: Float[Tensor, "term 4"]
    ) -> Float[Tensor, "batch term"]:
        """Returns a x + b of every term."""
        return x[:, self.terms.source] * affine[:, 0] + affine[:, 1]

    def apply_functions(
        self, u: Float[Tensor, "batch term"], shape: Float[Tensor, "*batch term"]
    ) -> Float[Tensor, "batch term"]:
        """Returns f(u; shape) of every term."""
        return self.terms.apply_functions(u, shape)

    def term_values(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch term"]:
        """Returns c f(a x + b) + d of every term."""
        affine, shape = self.numbers()
        return self.apply_functions(self.arguments(x, affine), shape) * affine[:, 2] + affine[:, 3]

    def can_loop(self, x: Float[Tensor, "batch source"]) -> bool:
        """Tells whether compiled loops serve these terms for inputs like these."""
        return can_loop(self.terms, self.affine, x)

    def forward(self, x: Float[Tensor, "batch source"], n_targets: int) -> Float[Tensor, "batch target"]:
        terms, affine = self.terms, self.affine
        if can_loop(terms, affine, x):
            return looped(x.contiguous(), affine, terms, n_targets)
        return terms.sums(x, affine, self.shape, n_targets)

    def edge_values(self, x: Float[Tensor, "batch source"], n_targets: int) -> Float[Tensor, "batch target source"]:
        """Returns what every edge contributes."""
        return self._on_edges(self.term_values(x), n_targets, x.shape[1])

    def _on_edges(self, values: Float[Tensor, "batch term"], n_targets: int, n_sources: int) -> Tensor:
        flat = values.new_zeros(values.shape[0], n_targets * n_sources)
        return flat.index_add(1, self.target * n_sources + self.source, values).unflatten(1, (n_targets, n_sources))

    def term_derivatives(self, x: Float[Tensor, "batch source"], order: int) -> list[Float[Tensor, "batch term"]]:
        """Returns the derivatives of order 1 to `order` of every term with respect to its source."""
        affine, shape = self.numbers()
        terms = self.terms
        u, shape = self.arguments(x, affine)[:, terms.order], shape[terms.order]
        parts = [derivatives(functions.get(name), u[:, i:j], shape[i:j], order) for name, i, j in terms.blocks]
        back = terms.order.argsort()
        found = [torch.cat([part[r] for part in parts], 1)[:, back] for r in range(1, order + 1)]
        return [d * (affine[:, 2] * affine[:, 0] ** r) for r, d in enumerate(found, 1)]

    def edge_derivatives(
        self, x: Float[Tensor, "batch source"], order: int, n_targets: int
    ) -> list[Float[Tensor, "batch target source"]]:
        """Returns the derivatives of order 1 to `order` of every edge with respect to its source."""
        return [self._on_edges(d, n_targets, x.shape[1]) for d in self.term_derivatives(x, order)]

    def source_derivative(
        self, x: Float[Tensor, "batch source"], adjoint: Float[Tensor, "batch target"], order: int
    ) -> Float[Tensor, "batch source"]:
        """Returns sum over targets of adjoint_t times the order-th derivative of edge (t, s)."""
        values = self.term_derivatives(x, order)[-1] * adjoint[:, self.target]
        return torch.zeros_like(x).scatter_add(1, self.source.expand(x.shape[0], -1), values)
