"""Chebyshev polynomials T_0 ... T_{G+k-1} on the range of each source, continued along their tangents outside it.

Reference: Mason, Handscomb, Chebyshev Polynomials (2002), sections 1.2 and 2.4.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.bases.base import Basis


class ChebyshevBasis(Basis):
    """Polynomials of degree 0 to G + k - 1; spectrally accurate for smooth functions.

    Example:
        >>> basis = ChebyshevBasis(torch.tensor([[-1.0, 1.0]]), k=3)
        >>> basis(torch.tensor([[0.5]])).flatten().tolist()
        [1.0, 0.5, -0.5, -1.0]
    """

    @property
    def n_basis(self) -> int:
        """Number of polynomials, G + k."""
        return self.n_intervals + self.k

    def forward(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source basis"]:
        """Evaluates the polynomials, or a derivative of them, at x."""
        unit, factor = self._unit(x)
        t, factor = 2 * unit - 1, 2 * factor
        inside = t.clamp(-1, 1)
        if order == 0:
            value, slope = self._derivatives(inside, 1)
            return value + (t - inside)[..., None] * slope
        values = self._derivatives(inside, order)[-1] * factor[:, None] ** order
        return values if order == 1 else values * (t == inside)[..., None]

    def _derivatives(self, t: Tensor, order: int) -> list[Tensor]:
        # T_{n+1} = 2 t T_n - T_{n-1}, differentiated up to `order` times.
        one, zero = torch.ones_like(t), torch.zeros_like(t)
        rows = [[one, *[zero] * order], [t, one, *[zero] * (order - 1)]]
        for _ in range(self.n_basis - 2):
            last, before = rows[-1], rows[-2]
            rows.append([2 * t * last[r] + (2 * r * last[r - 1] if r else 0) - before[r] for r in range(order + 1)])
        return [torch.stack([row[r] for row in rows[: self.n_basis]], -1) for r in range(order + 1)]
