"""Tables of slow functions: values and slopes by interpolation, for searches that call a function millions of times.

The nodes are equally spaced in a coordinate s that stretches the domain: u = sinh(s) on the whole line, u = low + e^s
on a half line, u = middle + half tanh(s) on an interval; so they crowd where functions of physics are singular, and
reach far. Between the nodes stand cubic polynomials through the values and slopes at both ends.

Reference: de Boor, A Practical Guide to Splines (2001), chapter IV.
"""

from functools import lru_cache
from math import inf, log

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.functions.table import SymbolicFunction

N_NODES = 30_001
NEAREST, FURTHEST = 1e-6, 330.0  # distances from a singular end, or from zero, between which a function is tabulated


class Table:
    """A function of one variable, its shape parameter at the default, with its slope.

    Example:
        >>> import kan2
        >>> value, slope = table(kan2.functions.get("J0"))(torch.tensor([0.0, 400.0], dtype=torch.float64))
        >>> round(float(value[0]), 9), bool(value[1].isnan())
        (1.0, True)
    """

    def __init__(self, function: SymbolicFunction) -> None:
        self.low, self.high = function.domain
        near, far = log(NEAREST), log(FURTHEST)
        if self.low > -inf and self.high < inf:
            near, far = -7.5, 7.5
        elif self.low == -inf and self.high == inf:
            near = -far
        self.start, self.spacing = near, (far - near) / (N_NODES - 1)
        s = near + self.spacing * torch.arange(-2, N_NODES + 2, dtype=torch.float64)
        with torch.no_grad():
            f = function(self._argument(s))
        # Fourth-order differences; cubics are no more accurate.
        slope = (8 * (f[3:-1] - f[1:-3]) - (f[4:] - f[:-4])) / 12
        f = f[2:-2]
        rise = f[1:] - f[:-1]
        cubic = [f[:-1], slope[:-1], 3 * rise - 2 * slope[:-1] - slope[1:], slope[:-1] + slope[1:] - 2 * rise]
        self.cubics = torch.stack(cubic, 1)

    def _argument(self, s: Tensor) -> Tensor:
        if self.low > -inf and self.high < inf:
            return (self.high + self.low) / 2 + (self.high - self.low) / 2 * torch.tanh(s)
        if self.low > -inf:
            return self.low + torch.exp(s)
        return self.high - torch.exp(s) if self.high < inf else torch.sinh(s)

    def _position(self, u: Tensor) -> tuple[Tensor, Tensor]:
        # s, and ds/du
        if self.low > -inf and self.high < inf:
            v = (2 * u - self.high - self.low) / (self.high - self.low)
            return torch.atanh(v), 2 / (self.high - self.low) / (1 - v * v)
        if self.low > -inf:
            return torch.log(u - self.low), 1 / (u - self.low)
        if self.high < inf:
            return torch.log(self.high - u), 1 / (u - self.high)
        root = torch.sqrt(u * u + 1)
        return torch.copysign(torch.log(u.abs() + root), u), 1 / root

    def value(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Returns f(u), not a number where u is outside of the table."""
        return self._evaluate(u, False)[0]

    def __call__(self, u: Float[Tensor, "..."]) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
        """Returns f(u) and f'(u), not a number where u is outside of the table."""
        return self._evaluate(u, True)

    def _evaluate(self, u: Tensor, with_slope: bool) -> tuple[Tensor, Tensor]:
        s, rate = self._position(u)
        x = (s - self.start) / self.spacing
        outside = ~((x >= 0) & (x <= N_NODES - 1))
        index = x.masked_fill(outside, 0).long().clamp_max(N_NODES - 2)
        c0, c1, c2, c3 = self.cubics[index].unbind(-1)
        x = x - index
        value = (((c3 * x + c2) * x + c1) * x + c0).masked_fill(outside, torch.nan)
        if not with_slope:
            return value, value
        slope = ((3 * c3 * x + 2 * c2) * x + c1) * rate / self.spacing
        return value, slope.masked_fill(outside, torch.nan)


@lru_cache(maxsize=256)
def table(function: SymbolicFunction) -> Table:
    """Returns the table of a function, made when it is first asked for."""
    return Table(function)
