"""What the numeric edges of a layer are, without their weights; kernels read this and nothing else of them.

Numeric edges expand phi(x) = w_0 b(x) + sum_i w_i B_i(x) in *features*: the base function b, unless it is "zero", and
the basis functions of the source. Its weights times the features is what `Expansion.sums` computes by general tensor
operations, for every basis, type and device.

Reference: Liu et al., KAN (arXiv 2404.19756), equations 2.10 to 2.12.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kan2.core.bases import Basis
from kan2.core.bases.base_functions import BASE_FUNCTIONS


@dataclass(frozen=True, slots=True)
class Expansion:
    """Frozen description of the numeric edges of a layer.

    Attributes:
        basis: the basis of every source.
        base_fun: name of the base function.
        mask: (target, source) of zeros and ones, or None where every pair is numeric.
    """

    basis: Basis
    base_fun: str
    mask: Tensor | None

    @property
    def has_base(self) -> bool:
        """Whether feature 0 is the base function."""
        return BASE_FUNCTIONS[self.base_fun] is not None

    def masked(self, weight: Float[Tensor, "target source feature"]) -> Float[Tensor, "target source feature"]:
        """Returns weights of all pairs with zeros on those that are not numeric."""
        return weight if self.mask is None else weight * self.mask[..., None]

    def features(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source feature"]:
        """Evaluates the base function and the basis at x, or the order-th derivative of them."""
        base = BASE_FUNCTIONS[self.base_fun]
        values = self.basis(x, order)
        return values if base is None else torch.cat([base(x, order)[..., None], values], -1)

    def sums(
        self, x: Float[Tensor, "batch source"], weight: Float[Tensor, "target source feature"]
    ) -> Float[Tensor, "batch target"]:
        """Evaluates the sums over sources with given weights."""
        return F.linear(self.features(x).flatten(-2), self.masked(weight).flatten(1))
