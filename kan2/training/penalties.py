"""Penalties that make networks sparse or smooth, and their curvature for second-order training.

The *scale* of a numeric edge is the standard deviation of its postactivation over the samples. It needs no
(batch, target, source) array: with C the covariance of the features of a source, scale^2 = w' C w. Coefficients and
their differences are penalised by mean absolute values.

References: Liu et al., KAN (arXiv 2404.19756), equations 2.17 to 2.20; Eilers, Marx, Flexible Smoothing with B-splines
and Penalties (1996).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.edges import BasisEdges


@dataclass(frozen=True)
class Penalty:
    """lamb * sum over layers of (l1 * sum of scales + entropy * entropy of shares + coef * |c| + smooth * |diff c|).

    Attributes:
        lamb: overall strength, >= 0; 0 switches the penalty off.
        l1: weight of the sum of scales.
        entropy: weight of the entropy of the shares of the edges of a layer.
        coef: weight of the mean absolute coefficient of every edge.
        smooth: weight of the mean absolute difference of neighbouring coefficients of every edge.
    """

    lamb: float = 0.0
    l1: float = 1.0
    entropy: float = 2.0
    coef: float = 0.0
    smooth: float = 0.0

    def __call__(
        self, scales: Sequence[Float[Tensor, "_target _source"]], splines: Sequence[Float[Tensor, "*_edge _basis"]] = ()
    ) -> Tensor:
        """Returns the penalty of a network whose layers have these scales and spline coefficients."""
        total = scales[0].new_zeros(()) if scales else torch.zeros(())
        for layer in scales:
            total = total + self.l1 * layer.sum()
            if self.entropy and layer.numel() > 1:
                share = layer / layer.sum().clamp_min(torch.finfo(layer.dtype).tiny)
                total = total - self.entropy * torch.xlogy(share, share).sum()
        for coefficients in splines if self.coef or self.smooth else ():
            for weight, order in ((self.coef, 0), (self.smooth, 1)):
                if weight:
                    total = total + weight * _soft_abs(coefficients.diff(n=order)).mean(-1).sum()
        return self.lamb * total

    def coefficient_terms(
        self, coefficients: Float[Tensor, "edge basis"]
    ) -> tuple[Float[Tensor, "edge basis"], Float[Tensor, "edge basis basis"]]:
        """Returns the derivative of the terms in coefficients, and the curvature of quadratics that lie above them."""
        n = coefficients.shape[-1]
        slope = torch.zeros_like(coefficients)
        curvature = slope.new_zeros(*coefficients.shape, n)
        for weight, order in ((self.coef, 0), (self.smooth, 1)):
            if weight and n > order:
                d = difference_matrix(n, order, coefficients)
                z = coefficients @ d.T
                inverse = self.lamb * weight / d.shape[0] / _soft_abs(z)
                slope += (inverse * z) @ d
                curvature += torch.einsum("ki,ek,kj->eij", d, inverse, d)
        return slope, curvature


def _soft_abs(z: Tensor) -> Tensor:
    # The floor keeps the curvature of |z| finite at zero.
    return (z * z + 1e-12).sqrt()


def difference_matrix(n: int, order: int, like: Tensor) -> Float[Tensor, "rows n"]:
    """Returns the matrix that takes order-th differences of n numbers.

    Example:
        >>> difference_matrix(3, 1, torch.zeros(0)).tolist()
        [[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]]
    """
    return torch.eye(n, dtype=like.dtype, device=like.device).diff(n=order, dim=0) if order else torch.eye(n).to(like)


def feature_covariance(
    features: Float[Tensor, "batch source feature"], weight: Float[Tensor, " batch"] | None = None
) -> Float[Tensor, "source feature feature"]:
    """Returns the covariance of the features of every source over samples, which may have weights."""
    if weight is None:
        centred = (features - features.mean(0)).transpose(0, 1)
        return centred.mT @ centred / features.shape[0]
    share = (weight / weight.sum())[:, None]
    features = features.transpose(0, 1)
    centred = features - (share * features).sum(1, keepdim=True)
    return (share * centred).mT @ centred


def edge_scales(
    edges: BasisEdges, covariance: Float[Tensor, "source feature feature"]
) -> Float[Tensor, "target source"]:
    """Returns the standard deviation of every numeric edge, differentiable in the weights."""
    weight = edges.masked_weight
    # The floor keeps the derivative of the square root finite where an edge is zero, and rounding of C out of it.
    floor = torch.finfo(weight.dtype).eps
    return (torch.einsum("tsf,sfg,tsg->ts", weight, covariance, weight).clamp_min(0) + floor).sqrt()
