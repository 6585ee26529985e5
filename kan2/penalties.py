"""Sparsity penalties of both papers, as functions of the scales of edges.

The *scale* of a numeric edge is the standard deviation of its postactivation over the samples. It needs no
(batch, target, source) array: with C the covariance of the features of a source, scale^2 = w' C w.

References: Liu et al., KAN (arXiv 2404.19756), equations 2.17 to 2.20.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.edges import BasisEdges


@dataclass(frozen=True)
class Penalty:
    """lamb * sum over layers of (l1 * sum of scales + entropy * entropy of their shares).

    Attributes:
        lamb: overall strength, >= 0; 0 switches the penalty off.
        l1: weight of the sum of scales.
        entropy: weight of the entropy of the shares of the edges of a layer.
    """

    lamb: float = 0.0
    l1: float = 1.0
    entropy: float = 2.0

    def __call__(self, scales: Sequence[Float[Tensor, "target source"]]) -> Tensor:
        """Returns the penalty of a network whose layers have these scales."""
        total = scales[0].new_zeros(()) if scales else torch.zeros(())
        for layer in scales:
            total = total + self.l1 * layer.sum()
            if self.entropy and layer.numel() > 1:
                share = layer / layer.sum().clamp_min(torch.finfo(layer.dtype).tiny)
                total = total - self.entropy * torch.xlogy(share, share).sum()
        return self.lamb * total


def feature_covariance(features: Float[Tensor, "batch source feature"]) -> Float[Tensor, "source feature feature"]:
    """Returns the covariance of the features of every source."""
    centred = (features - features.mean(0)).transpose(0, 1)
    return centred.mT @ centred / features.shape[0]


def edge_scales(
    edges: BasisEdges, covariance: Float[Tensor, "source feature feature"]
) -> Float[Tensor, "target source"]:
    """Returns the standard deviation of every numeric edge, differentiable in the weights."""
    weight = edges.masked_weight
    # The floor keeps the derivative of the square root finite where an edge is zero.
    floor = torch.finfo(weight.dtype).eps
    return (torch.einsum("tsf,sfg,tsg->ts", weight, covariance, weight).clamp_min(0) + floor**2).sqrt()
