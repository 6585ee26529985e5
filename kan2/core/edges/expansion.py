"""What the numeric edges of a layer are, without their weights; kernels read this and nothing else of them.

Numeric edges expand phi(x) = w_0 b(x) + sum_i w_i B_i(x) in *features*: the base function b, unless it is "zero", and
the basis functions of the source. Its weights times the features is what `Expansion.sums` computes by general tensor
operations, for every basis, type and device.

The base function is evaluated at z = (x - centre) factor, which is -1 to 1 on the *home* of a source: what it gives
does not depend on the unit of x. Where it continues along the tangent, with c the point of the grid nearest to x, it is
b(z(c)) + b'(z(c)) factor (x - c).

Reference: Liu et al., KAN (arXiv 2404.19756), equations 2.10 to 2.12.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kan2.core.bases import Basis
from kan2.core.bases.base import may_look
from kan2.core.bases.base_functions import BASE_FUNCTIONS


@dataclass(frozen=True, slots=True)
class Expansion:
    """Frozen description of the numeric edges of a layer.

    Attributes:
        basis: the basis of every source.
        base_fun: name of the base function.
        outside: what the base function does outside the grid, see `BasisSpec`.
        mask: (target, source) of zeros and ones, or None where every pair is numeric.
    """

    basis: Basis
    base_fun: str
    outside: str
    mask: Tensor | None

    @property
    def has_base(self) -> bool:
        """Whether feature 0 is the base function."""
        return BASE_FUNCTIONS[self.base_fun] is not None

    @property
    def is_straight(self) -> bool:
        """Whether the base function continues along its tangent outside the grid."""
        return self.outside == "tangent"

    def base(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source"]:
        """Evaluates the base function of every source at x, or the order-th derivative of it with respect to x."""
        function = BASE_FUNCTIONS[self.base_fun]
        assert function is not None, "no base function"
        at = self.basis.coordinate()
        nearest, leaves = x, False
        if self.is_straight:
            nearest = x.clamp(at.low, at.high)
            # Inside the grid, where nearly all points are, there is nothing to continue.
            leaves = not (may_look(x) and torch.equal(nearest, x))
        z = at(nearest if leaves else x)
        values = function(z, order)
        if order and not at.is_plain:
            values = values * at.factor**order
        if leaves and order == 0:
            first, last = self.slopes_at_ends()
            values = values + torch.where(x < at.low, first, last) * (x - nearest)
        elif leaves and order > 1:
            values = values * (x == nearest)
        return values

    def masked(self, weight: Float[Tensor, "target source feature"]) -> Float[Tensor, "target source feature"]:
        """Returns weights of all pairs with zeros on those that are not numeric."""
        return weight if self.mask is None else weight * self.mask[..., None]

    def slopes_at_ends(self) -> tuple[Float[Tensor, " source"], Float[Tensor, " source"]]:
        """Returns the derivative of the base function of every source at the first and at the last grid point."""

        def compute() -> tuple[Tensor, Tensor]:
            at = self.basis.coordinate()
            return self.base(at.low[None], 1)[0], self.base(at.high[None], 1)[0]

        return self.basis.remember(("slopes", self.base_fun), compute, self.basis.grid, self.basis.home)

    def features(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source feature"]:
        """Evaluates the base function and the basis at x, or the order-th derivative of them."""
        values = self.basis(x, order)
        return torch.cat([self.base(x, order)[..., None], values], -1) if self.has_base else values

    def sums(
        self, x: Float[Tensor, "batch source"], weight: Float[Tensor, "target source feature"]
    ) -> Float[Tensor, "batch target"]:
        """Evaluates the sums over sources with given weights."""
        return F.linear(self.features(x).flatten(-2), self.masked(weight).flatten(1))
