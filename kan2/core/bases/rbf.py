"""Gaussian radial functions at G + k equally spaced centres on the range of each source and a little beyond.

Reference: Li, Kolmogorov-Arnold Networks are Radial Basis Function Networks (arXiv 2405.06721).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.bases.base import Basis


class RBFBasis(Basis):
    """exp(-z^2) with z = (x - centre) / spacing; it vanishes far from the range.

    Example:
        >>> basis = RBFBasis(torch.linspace(-1, 1, 3)[None], k=1)
        >>> basis(torch.zeros(1, 1)).argmax().item()
        1
    """

    @property
    def n_basis(self) -> int:
        """Number of centres, G + k; at least two."""
        return max(2, self.n_intervals + self.k)

    def forward(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source basis"]:
        """Evaluates the functions, or a derivative of them, at x."""
        unit, factor = self._unit(x)
        factor = factor * self.n_intervals
        beyond = (self.n_basis - 1 - self.n_intervals) / 2
        centres = torch.arange(self.n_basis, dtype=x.dtype, device=x.device) - beyond
        z = (unit * self.n_intervals)[..., None] - centres
        # The n-th derivative of exp(-z^2) is (-1)^n H_n(z) exp(-z^2), with Hermite's polynomials H_n.
        hermite, before = torch.ones_like(z), torch.zeros_like(z)
        for n in range(order):
            hermite, before = 2 * z * hermite - 2 * n * before, hermite
        return torch.exp(-z * z) * hermite * (-factor[:, None]) ** order
