"""Cosines and sines on the range of each source, whose half period is that range; outside it they repeat.

Reference: Boyd, Chebyshev and Fourier Spectral Methods (2001), chapter 2.
"""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.bases.base import Basis


class FourierBasis(Basis):
    """1, cos(n w x), sin(n w x) for n = 1 to G, with w = pi / (length of the range).

    Example:
        >>> basis = FourierBasis(torch.tensor([[0.0, 1.0]]))
        >>> basis(torch.tensor([[0.0]])).flatten().tolist()
        [1.0, 1.0, 0.0]
    """

    @property
    def n_basis(self) -> int:
        """Number of functions, 2 G + 1."""
        return 2 * self.n_intervals + 1

    def forward(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source basis"]:
        """Evaluates the functions, or a derivative of them, at x."""
        unit, factor = self._unit(x)
        n = torch.arange(1, self.n_intervals + 1, dtype=x.dtype, device=x.device)
        phase = unit[..., None] * (pi * n)
        cosine, sine = phase.cos(), phase.sin()
        # Differentiating turns (cos, sin) into (-sin, cos), and so on round the circle.
        turned = [(cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine)][order % 4]
        size = (pi * factor[:, None] * n) ** order
        constant = torch.ones_like(unit) if order == 0 else torch.zeros_like(unit)
        return torch.cat([constant[..., None], turned[0] * size, turned[1] * size], -1)
