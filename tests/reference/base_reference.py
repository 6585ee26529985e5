"""Base functions of numeric edges point by point: SymPy differentiates, and the tangent is written out."""

from functools import cache

import sympy
import torch

from kan2.core.edges import BasisEdges

X = sympy.Symbol("x")
FORMULAS = {"silu": X / (1 + sympy.exp(-X)), "identity": X, "tanh": sympy.tanh(X)}


@cache
def derivative(name: str, order: int):
    """Returns the order-th derivative of a base function as a function of a number."""
    return sympy.lambdify(X, sympy.diff(FORMULAS[name], X, order), "math")


def slow_base(edges: BasisEdges, x: torch.Tensor, order: int = 0) -> torch.Tensor:
    """Returns the order-th derivative of the base function of every source at (batch, source) points."""
    name, rows = edges.base_fun, []
    for row in x.detach().tolist():
        values = []
        for point, grid, (low, high) in zip(row, edges.basis.grid.tolist(), edges.basis.home.tolist(), strict=True):
            centre, factor = (low + high) / 2, 2 / (high - low)
            nearest = min(max(point, grid[0]), grid[-1]) if edges.outside == "tangent" else point
            u = (nearest - centre) * factor
            value = derivative(name, order)(u) * factor**order
            if nearest != point:
                tangent = derivative(name, 1)(u) * factor
                value = (value + tangent * (point - nearest), tangent, 0.0, 0.0)[order]
            values.append(value)
        rows.append(values)
    return torch.tensor(rows, dtype=x.dtype).view(x.shape)


def slow_features(edges: BasisEdges, x: torch.Tensor, order: int = 0) -> torch.Tensor:
    """Returns the base function beside the basis, (batch, source, feature)."""
    values = edges.basis(x, order)
    return torch.cat([slow_base(edges, x, order)[..., None], values], -1) if edges.has_base else values
