"""The numeric edges of one layer: all activations as one dense product of features and weights.

Three ways evaluate them, the fastest that serves: compiled loops, the fused step, general tensor operations.

Reference: Liu et al., KAN (arXiv 2404.19756), equations 2.10 to 2.12.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kan2.core.bases import BASE_FUNCTIONS, Basis
from kan2.core.edges import _compiled as compiled
from kan2.core.edges import _fused as fused_step
from kan2.core.edges._compiled import Loops as Loops
from kan2.core.edges._compiled import can_compile
from kan2.core.edges._fused import can_fuse, fused
from kan2.core.edges.expansion import Expansion
from kan2.core.linalg import lstsq
from kan2.core.spec import LayerSpec
from kan2.errors import unknown_name


def loops_of(expansion: Expansion) -> Loops | None:
    """Returns the compiled loops of these edges in float64, None where there are none or they know not all of it."""
    grid = expansion.basis.grid
    knows = grid.dtype == torch.float64 and (expansion.base_fun == "silu" or not expansion.has_base)
    return Loops.of(expansion) if knows and can_fuse(expansion, grid, grid) and can_compile(grid) else None


def plain_features(expansion: Expansion, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch source feature"]:
    """Evaluates all features of numeric edges by the fastest way, without gradients."""
    if not can_fuse(expansion, expansion.basis.grid, x):
        return expansion.features(x).contiguous()
    x = x.contiguous()
    made = compiled.features(x, expansion) if can_compile(x) else fused_step.plain_features(x, expansion)
    return made.view(*x.shape, -1)


def input_gradient(
    expansion: Expansion, x: Float[Tensor, "batch source"], gradient: Float[Tensor, "batch source feature"]
) -> Float[Tensor, "batch source"]:
    """Returns the gradient of x for the gradient of its features, without gradients of its own."""
    if can_fuse(expansion, expansion.basis.grid, x) and can_compile(x):
        return compiled.input_gradient(gradient.flatten(1), x.contiguous(), expansion)
    return (expansion.features(x, 1) * gradient).sum(-1)


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
        self.base_fun, self.outside = spec.basis.base_fun, spec.basis.outside
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
    def expansion(self) -> Expansion:
        """The edges without their weights, as they are now."""
        return Expansion(self.basis, self.base_fun, self.outside, self.mask)

    @property
    def has_base(self) -> bool:
        """Whether feature 0 is the base function."""
        return BASE_FUNCTIONS[self.base_fun] is not None

    @property
    def masked_weight(self) -> Float[Tensor, "target source feature"]:
        """The weights, zero on pairs that are not numeric."""
        return self.expansion.masked(self.weight)

    def extra_repr(self) -> str:
        return f"target={self.weight.shape[0]}, base_fun={self.base_fun}"

    def features(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source feature"]:
        """Evaluates the base function and the basis at x, or the order-th derivative of them."""
        return self.expansion.features(x, order)

    def feature_derivatives(
        self, x: Float[Tensor, "batch source"], order: int
    ) -> Float[Tensor, "batch source feature"]:
        """Evaluates the order-th derivatives of all features by the fastest way, order >= 1."""
        expansion = self.expansion
        if can_fuse(expansion, self.weight, x) and can_compile(x):
            return compiled.derivatives(x.contiguous(), expansion, order)
        return expansion.features(x, order)

    def forward(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch target"]:
        expansion, weight = self.expansion, self.weight
        if can_fuse(expansion, weight, x):
            return fused(x.contiguous(), weight, expansion)
        return expansion.sums(x, weight)

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
        """Returns the same functions, as nearly as possible, in another basis.

        The base function keeps its weight. Where it is another one on the new grid, because that reaches beyond the
        old grid or the spec names another, the splines take over the difference.
        """
        new = BasisEdges(spec, basis).to(self.weight)
        points, start = basis.dense_points(self.basis.n_basis), int(new.has_base)
        functions = self.basis.collocation(points)
        with torch.no_grad():
            weight = self.weight[..., int(self.has_base) :]
            if self.has_base:
                rest = self.expansion.base(points)
                if new.has_base:
                    new.weight[..., 0] = self.weight[..., 0]
                    rest = rest - new.expansion.base(points)
                if bool(rest.any()):
                    weight, functions = self.weight, torch.cat([rest.T[..., None], functions], -1)
            transfer = lstsq(basis.collocation(points), functions)
            new.weight[..., start:] = torch.einsum("sno,tso->tsn", transfer, weight)
        return new.requires_grad_(self.weight.requires_grad)
