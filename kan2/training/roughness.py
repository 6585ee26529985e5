"""A faint preference for smooth splines, which decides where the samples do not.

Basis functions in the margins of a grid and at the ends of an activation's range see few samples or none. The
*roughness* of an edge is the sum of squared differences, of an order two above that of the spline, of its
coefficients: it continues them smoothly from their neighbours. Read as a prior, a difference z of variance tau^2
against residuals of variance sigma^2, the term that belongs to a mean square over n samples is
(sigma^2 / n) z^2 / tau^2; a fiftieth of that is used, with the present loss for sigma^2. High differences of fitted
coefficients are mostly noise, so tau is extrapolated from high quantiles of the differences two and four orders lower.
So the term stays below the error that the splines make anyway, on coarse grids and fine ones, for smooth functions
and oscillating ones, and vanishes as the error does.

Reference: Eilers, Marx, Flexible Smoothing with B-splines and Penalties (1996), doi:10.1214/ss/1038425655.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from kan2.bases import BSplineBasis
from kan2.penalties import difference_matrix
from kan2.training.parameters import ParameterVector, Slot

SHARE = 0.02  # of the prior's own weight


class Roughness:
    """The roughness term of a network, with weights that only fall between two restarts.

    Args:
        strength: largest weight on a grid of one interval, relative to the mean square of the output; it grows with
            the cube of the number of intervals. 0 switches the term off.

    Attributes:
        weights: for each slot of weights the weight of each edge; empty where the term is off.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self.weights: list[Tensor] = []

    def restart(self, vector: ParameterVector, sensitivities: Sequence[Tensor], loss: float, n: int) -> None:
        """Sets the weights anew.

        Args:
            vector: the network.
            sensitivities: for each layer the mean square of the derivative of the output with respect to each subnode.
            loss: the present mean square.
            n: number of samples.
        """
        self.weights = []
        for slot in vector.slots:
            if slot.kind == "weight":
                edges: Any = vector.model.layers[slot.layer].numeric
                largest = self.strength * float(edges.basis.n_intervals) ** 3
                self.weights.append(largest * sensitivities[slot.layer][vector.edge_pairs(slot)[0]])
        self.adapt(vector, loss, n)

    def adapt(self, vector: ParameterVector, loss: float, n: int) -> None:
        """Lowers the weights to what the present loss and coefficients ask for."""
        lowered = list(self.weights)
        for i, (slot, z, _, weight) in enumerate(self._terms(vector)):
            if z is not None:
                edges: Any = vector.model.layers[slot.layer].numeric
                coefficients = vector.edge_weights(slot, vector.read())[:, int(edges.has_base) :]
                typical = _typical_square(coefficients, edges.basis.n_basis - z.shape[1])
                lowered[i] = torch.minimum(weight, SHARE / n * loss / typical.clamp_min(1e-300))
        self.weights = lowered

    def terms(self, vector: ParameterVector) -> Iterator[tuple[Slot, Tensor, Tensor, Tensor]]:
        """Yields for each slot its differences z (edge, row), the matrix that takes them, and the weights of edges."""
        for slot, z, matrix, weight in self._terms(vector):
            if z is not None and matrix is not None:
                yield slot, z, matrix, weight

    def value(self, vector: ParameterVector) -> float:
        """Returns the term at the present parameters."""
        return sum(float(weight @ z.square().sum(1)) for _, z, _, weight in self.terms(vector))

    def _terms(self, vector: ParameterVector) -> Iterator[tuple[Slot, Tensor | None, Tensor | None, Tensor]]:
        if not self.weights:
            return
        numbers = vector.read()
        slots = (slot for slot in vector.slots if slot.kind == "weight")
        for slot, weight in zip(slots, self.weights):
            edges: Any = vector.model.layers[slot.layer].numeric
            n, k = edges.basis.n_basis, edges.basis.k
            if isinstance(edges.basis, BSplineBasis) and n > k + 1:
                inner = difference_matrix(n, min(k + 3, n - 1), numbers)
                matrix = torch.cat([inner.new_zeros(inner.shape[0], int(edges.has_base)), inner], 1)
                yield slot, vector.edge_weights(slot, numbers) @ matrix.T, matrix, weight
            else:
                yield slot, None, None, weight


def _typical_square(coefficients: Tensor, order: int) -> Tensor:
    """Returns for each edge the square of a difference of this order, as lower differences let expect it."""
    middle, low = max(order - 2, 0), max(order - 4, 0)
    sizes = [coefficients.diff(n=o).abs().quantile(0.9, 1).clamp_min(1e-150) for o in (low, middle)]
    ratio = (sizes[1] / sizes[0]) ** (2 / (middle - low)) if middle > low else torch.ones_like(sizes[0])
    return (sizes[1] * ratio).square()
