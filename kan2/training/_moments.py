"""Covariances of the features of every layer, from sums that chunks of samples add to: what sparsity penalties read."""

from jaxtyping import Float
from torch import Tensor

from kan2.training._linearisation import Linearisation


class Moments:
    """Weighted sums over samples from which the covariances of the features of every layer follow."""

    def __init__(self) -> None:
        self.sums: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, linearisation: Linearisation, share: Tensor | float) -> None:
        """Adds the samples of an evaluation, each with what it counts in the mean."""
        for i, record in enumerate(linearisation.records):
            if record.basis is not None:
                basis = record.basis.transpose(0, 1)
                weighted = basis * (share[:, None] if isinstance(share, Tensor) else share)
                sums = weighted.sum(1), weighted.mT @ basis
                old = self.sums.get(i)
                self.sums[i] = sums if old is None else (old[0] + sums[0], old[1] + sums[1])

    def mean(self, layer: int) -> Float[Tensor, "source feature"]:
        """Returns the mean features of every source of a layer."""
        return self.sums[layer][0]

    def covariance(self, layer: int) -> Float[Tensor, "source feature feature"]:
        """Returns the covariance of the features of every source of a layer."""
        mean, second = self.sums[layer]
        return second - mean[:, :, None] * mean[:, None, :]
