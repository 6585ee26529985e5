"""All edges of one layer: numeric activations as one dense product, symbolic terms packed by function.

*Numeric* edges expand phi(x) = w_0 b(x) + sum_i w_i B_i(x) in *features*: the base function b and the basis functions
of the source. One matrix product serves all edges of the layer. *Symbolic* terms y = c f(a x + b) + d are grouped by
function: one gather of the sources, one call a function, one sum into the targets; no loop over edges.

Reference: Liu et al., KAN (arXiv 2404.19756), equations 2.10 to 2.12.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kan2 import functions
from kan2.bases import BASE_FUNCTIONS as BASE_FUNCTIONS
from kan2.bases import Basis
from kan2.bases.compiled import can_compile
from kan2.bases.compiled import derivatives as compiled_derivatives
from kan2.bases.fused import can_fuse, fused
from kan2.compiled_terms import NAMES, can_loop, looped
from kan2.derivatives import derivatives
from kan2.errors import unknown_name
from kan2.spec import LayerSpec, SymbolicTerm


class BasisEdges(nn.Module):
    """The numeric activations of a layer.

    Attributes:
        basis: the basis of every source.
        weight: (target, source, feature); feature 0 belongs to the base function unless that is "zero".
        mask: (target, source) of zeros and ones, or None where every pair is numeric; made from the spec.
    """

    mask: Tensor | None

    def __init__(self, spec: LayerSpec, basis: Basis) -> None:
        super().__init__()
        if spec.basis.base_fun not in BASE_FUNCTIONS:
            raise unknown_name("base_fun", "base function", spec.basis.base_fun, BASE_FUNCTIONS)
        self.base_fun = spec.basis.base_fun
        self.basis = basis
        like = basis.grid
        self.weight = nn.Parameter(like.new_zeros(spec.n_subnodes, spec.n_in, self.has_base + basis.n_basis))
        mask = None
        if spec.numeric != "all":
            mask = like.new_zeros(spec.n_subnodes, spec.n_in)
            for target, source in spec.numeric:
                mask[target, source] = 1
        self.register_buffer("mask", mask, persistent=False)

    @property
    def has_base(self) -> bool:
        """Whether feature 0 is the base function."""
        return BASE_FUNCTIONS[self.base_fun] is not None

    @property
    def masked_weight(self) -> Float[Tensor, "target source feature"]:
        """The weights, zero on pairs that are not numeric."""
        return self.masked(self.weight)

    def masked(self, weight: Float[Tensor, "target source feature"]) -> Float[Tensor, "target source feature"]:
        """Returns weights of all pairs with zeros on those that are not numeric."""
        return weight if self.mask is None else weight * self.mask[..., None]

    def extra_repr(self) -> str:
        return f"target={self.weight.shape[0]}, base_fun={self.base_fun}"

    def features(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source feature"]:
        """Evaluates the base function and the basis at x, or the order-th derivative of them."""
        base = BASE_FUNCTIONS[self.base_fun]
        values = self.basis(x, order)
        return values if base is None else torch.cat([base(x, order)[..., None], values], -1)

    def feature_derivatives(
        self, x: Float[Tensor, "batch source"], order: int
    ) -> Float[Tensor, "batch source feature"]:
        """Evaluates the order-th derivatives of all features by the fastest way, order >= 1."""
        if can_fuse(self, x) and can_compile(x):
            return compiled_derivatives(x.contiguous(), self, order)
        return self.features(x, order)

    def plain(
        self, x: Float[Tensor, "batch source"], weight: Float[Tensor, "target source feature"]
    ) -> Float[Tensor, "batch target"]:
        """Evaluates the sums with given weights by general tensor operations."""
        return F.linear(self.features(x).flatten(-2), self.masked(weight).flatten(1))

    def forward(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch target"]:
        return fused(x.contiguous(), self.weight, self) if can_fuse(self, x) else self.plain(x, self.weight)

    def edge_values(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch target source"]:
        """Returns what every edge contributes."""
        return torch.einsum("nsf,tsf->nts", self.features(x), self.masked_weight)

    def edge_derivatives(
        self, x: Float[Tensor, "batch source"], order: int
    ) -> list[Float[Tensor, "batch target source"]]:
        """Returns the derivatives of order 1 to `order` of every edge with respect to its source."""
        weight = self.masked_weight.permute(1, 2, 0)
        found = [self.feature_derivatives(x, r).transpose(0, 1) @ weight for r in range(1, order + 1)]
        return [derivative.permute(1, 2, 0) for derivative in found]

    def source_derivative(
        self, x: Float[Tensor, "batch source"], adjoint: Float[Tensor, "batch target"], order: int
    ) -> Float[Tensor, "batch source"]:
        """Returns sum over targets of adjoint_t times the order-th derivative of edge (t, s)."""
        features = self.feature_derivatives(x, order)
        return ((adjoint @ self.masked_weight.flatten(1)).view(features.shape) * features).sum(-1)

    def with_basis(self, spec: LayerSpec, basis: Basis) -> "BasisEdges":
        """Returns the same functions, as nearly as possible, in another basis."""
        new = BasisEdges(spec, basis).to(self.weight)
        transfer = self.basis.transfer_to(basis)
        start = int(self.has_base)
        with torch.no_grad():
            new.weight[..., :start] = self.weight[..., :start]
            new.weight[..., start:] = torch.einsum("sno,tso->tsn", transfer, self.weight[..., start:])
        return new.requires_grad_(self.weight.requires_grad)


class SymbolicEdges(nn.Module):
    """The symbolic terms of a layer, in the order of the spec.

    Attributes:
        affine: (term, 4), the numbers a, b, c, d of c f(a x + b) + d.
        shape: (term,), the shape parameter; 0 where the function has none.
        codes: (term,), which function, for compiled loops; -1 where they do not know it.
        places: (2, term), sources and targets, for compiled loops.
    """

    target: Tensor
    source: Tensor
    target_in_blocks: Tensor
    source_in_blocks: Tensor
    order: Tensor
    free: Tensor

    def __init__(self, terms: tuple[SymbolicTerm, ...], like: Tensor) -> None:
        super().__init__()
        n = len(terms)
        rows = [functions.get(term.function) for term in terms]
        self.affine = nn.Parameter(like.new_tensor([[1.0, 0.0, 1.0, 0.0]]).repeat(n, 1))
        self.shape = nn.Parameter(like.new_tensor([row.shape or 0.0 for row in rows]))
        # Functions are called on contiguous blocks, so terms are visited sorted by function.
        order = sorted(range(n), key=lambda i: rows[i].name)
        self.blocks: list[tuple[str, int, int]] = []
        for position, i in enumerate(order):
            if self.blocks and self.blocks[-1][0] == rows[i].name:
                self.blocks[-1] = (rows[i].name, self.blocks[-1][1], position + 1)
            else:
                self.blocks.append((rows[i].name, position, position + 1))
        device = like.device
        free = [[letter in term.free and letter in row.free for letter in "abcdp"] for term, row in zip(terms, rows)]
        self.codes = np.array([NAMES.index(row.name) if row.name in NAMES else -1 for row in rows])
        self.places = np.array([[term.source, term.target] for term in terms]).T.copy()
        self.register_buffer("free", torch.tensor(free, device=device), persistent=False)
        self.register_buffer("order", torch.tensor(order, device=device), persistent=False)
        targets, sources = [t.target for t in terms], [t.source for t in terms]
        for name, values in (("target", targets), ("source", sources)):
            self.register_buffer(name, torch.tensor(values, device=device), persistent=False)
            in_blocks = torch.tensor([values[i] for i in order], device=device)
            self.register_buffer(f"{name}_in_blocks", in_blocks, persistent=False)
        self._is_sorted = order == list(range(n))
        self._is_free = all(all(row[:4]) for row in free)
        self._any_free = any(map(any, free))
        self._has_free_shape = any(row[4] for row in free)
        self._sizes = [stop - start for _, start, stop in self.blocks]

    @property
    def wants_gradient(self) -> bool:
        """Whether some number is free and its parameter takes gradients."""
        return self._any_free and (self.affine.requires_grad or self.shape.requires_grad)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}: {stop - start}" for name, start, stop in self.blocks)

    def numbers(
        self, affine: Float[Tensor, "term 4"] | None = None
    ) -> tuple[Float[Tensor, "term 4"], Float[Tensor, " term"]]:
        """Returns affine (the parameter unless another is given) and shape, without gradient to what is not free."""
        affine, shape = self.affine if affine is None else affine, self.shape.detach()
        if not self._is_free:
            affine = torch.where(self.free[:, :4], affine, affine.detach())
        if self._has_free_shape:
            shape = torch.where(self.free[:, 4], self.shape, shape)
        return affine, shape

    def arguments(
        self, x: Float[Tensor, "batch source"], affine: Float[Tensor, "term 4"]
    ) -> Float[Tensor, "batch term"]:
        """Returns a x + b of every term."""
        return x[:, self.source] * affine[:, 0] + affine[:, 1]

    def apply_functions(
        self, u: Float[Tensor, "batch term"], shape: Float[Tensor, "*batch term"]
    ) -> Float[Tensor, "batch term"]:
        """Returns f(u; shape) of every term."""
        if len(self.blocks) == 1:
            return functions.get(self.blocks[0][0])(u, shape)
        if not self._is_sorted:
            u, shape = u[:, self.order], shape[..., self.order]
        parts = [functions.get(name)(u[:, i:j], shape[..., i:j]) for name, i, j in self.blocks]
        values = torch.cat(parts, -1)
        return values if self._is_sorted else values[:, self.order.argsort()]

    def term_values(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch term"]:
        """Returns c f(a x + b) + d of every term."""
        affine, shape = self.numbers()
        return self.apply_functions(self.arguments(x, affine), shape) * affine[:, 2] + affine[:, 3]

    def forward(self, x: Float[Tensor, "batch source"], n_targets: int) -> Float[Tensor, "batch target"]:
        return looped(x.contiguous(), self.affine, self, n_targets) if can_loop(self, x) else self.plain(x, n_targets)

    def plain(
        self, x: Float[Tensor, "batch source"], n_targets: int, affine: Float[Tensor, "term 4"] | None = None
    ) -> Float[Tensor, "batch target"]:
        """Evaluates the sums, with other affine numbers if given, by general tensor operations."""
        # The same as summing `term_values` over targets, with terms visited in blocks of one function throughout.
        # gather and scatter_add serve all rows at once; index and index_add would loop over terms going backwards.
        affine, shape = self.numbers(affine)
        if not self._is_sorted:
            affine, shape = affine.index_select(0, self.order), shape.index_select(0, self.order)
        a, b, c, d = affine.unbind(1)
        n = x.shape[0]
        u = torch.addcmul(b, x.gather(1, self.source_in_blocks.expand(n, -1)), a)
        parts = [
            functions.get(name)(part, p)
            for (name, _, _), part, p in zip(self.blocks, u.split(self._sizes, 1), shape.split(self._sizes))
        ]
        values = torch.addcmul(d, parts[0] if len(parts) == 1 else torch.cat(parts, 1), c)
        zeros = values.new_zeros(n, n_targets)
        return zeros.scatter_add(1, self.target_in_blocks.expand(n, -1), values)

    def edge_values(self, x: Float[Tensor, "batch source"], n_targets: int) -> Float[Tensor, "batch target source"]:
        """Returns what every edge contributes."""
        return self._on_edges(self.term_values(x), n_targets, x.shape[1])

    def _on_edges(self, values: Float[Tensor, "batch term"], n_targets: int, n_sources: int) -> Tensor:
        flat = values.new_zeros(values.shape[0], n_targets * n_sources)
        return flat.index_add(1, self.target * n_sources + self.source, values).unflatten(1, (n_targets, n_sources))

    def term_derivatives(self, x: Float[Tensor, "batch source"], order: int) -> list[Float[Tensor, "batch term"]]:
        """Returns the derivatives of order 1 to `order` of every term with respect to its source."""
        affine, shape = self.numbers()
        u = self.arguments(x, affine)[:, self.order]
        shape = shape[self.order]
        parts = [derivatives(functions.get(name), u[:, i:j], shape[i:j], order) for name, i, j in self.blocks]
        back = self.order.argsort()
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
