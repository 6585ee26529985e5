"""Two terms that hold coefficients of splines together, quadratic in them and in units of the output.

*Roughness* is tiny: it holds coefficients that the samples do not determine, such as those of basis functions in the
margins of a grid, to smooth continuations of their neighbours, and is far below the approximation error of the splines
elsewhere. *Smoothing* is for tables too small for their network: the mean square of the second derivative of every
edge, spline and base function together, so that with growing strength the network becomes a linear one.

Coefficients that no sample touches may have been taught by an earlier fit. In a network that was trained before they
stay where they are, and so does the weight of the base function beside them: it acts on the whole line, and here, where
splines can do the same, the samples do not determine it.

Reference: Eilers, Marx, Flexible Smoothing with B-splines and Penalties (1996), doi:10.1214/ss/1038425655.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.bases import BSplineBasis
from kan2.training.parameters import ParameterVector, Slot
from kan2.training.penalties import difference_matrix

STIFFEST = 50.0  # factor of the differences at which they hold an oscillation of one interval as 1e-3 of the data do
DETERMINED = 1.0  # samples where a basis function acts from which they determine its coefficient
HELD = 1e3  # strength with which the weight of a base function stays, relative to the mean square of the output
GAUSS = 12**-0.5  # how far from the middle of an interval of length one the points of a quadrature lie
LARGEST = 20_000_000  # numbers of differences that may be an edge's own


@dataclass(frozen=True)
class QuadraticTerm:
    """sum over edges of weight * |matrix (w - origin)|^2 for the weights w of one slot.

    Attributes:
        slot: which weights.
        matrix: what is squared; one for all edges, or one an edge.
        weight: of each edge.
        origin: where the term is zero; None for zero.
    """

    slot: Slot
    matrix: Float[Tensor, "one_or_edge row feature"]
    weight: Float[Tensor, " edge"]
    origin: Float[Tensor, "edge feature"] | None = None

    def value(self, weights: Float[Tensor, "edge feature"]) -> float:
        """Returns the term."""
        return float(self.weight @ self._rows(weights).square().sum(1))

    def slopes(self, weights: Float[Tensor, "edge feature"]) -> tuple[Tensor, Tensor]:
        """Returns half the gradient (edge, feature) and half the Hessian (edge, feature, feature)."""
        rows = self._rows(weights) * self.weight[:, None]
        is_shared = self.matrix.shape[0] == 1
        return rows @ self.matrix[0] if is_shared else torch.einsum("er,erf->ef", rows, self.matrix), self.bend

    @cached_property
    def bend(self) -> Float[Tensor, "edge feature feature"]:
        """Half the Hessian."""
        return self.weight[:, None, None] * (self.matrix.mT @ self.matrix)

    def _rows(self, weights: Tensor) -> Tensor:
        weights = weights if self.origin is None else weights - self.origin
        if self.matrix.shape[0] == 1:
            return weights @ self.matrix[0].T
        return torch.einsum("ef,erf->er", weights, self.matrix)


class Roughness:
    """The terms of one network.

    Args:
        strength: of the roughness, relative to the mean square of the output; 0 switches the term off.
        smoothing: strength of the smoothing, likewise; 0 for none.
        keeps: whether coefficients that no sample touches stay where they are, with the base functions beside them.

    Attributes:
        weights: for each slot of weights the mean square of the derivative of the output with respect to the subnode of
            each edge, so that the terms are in units of the output.
        support: for each slot the sum over samples of the magnitude of each feature (edge, feature): how many samples
            there are where it acts.
    """

    def __init__(self, strength: float, smoothing: float = 0.0, keeps: bool = False) -> None:
        self.strength, self.keeps = strength, keeps
        self._matrices: dict[int, tuple[Tensor | None, Tensor]] = {}
        self._terms: list[QuadraticTerm] | None = None
        self._origins: dict[int, Tensor] = {}
        self._smoothing = smoothing
        self.weights: list[Tensor] = []
        self.support: list[Tensor] = []

    @property
    def smoothing(self) -> float:
        """Strength of the smoothing."""
        return self._smoothing

    @smoothing.setter
    def smoothing(self, strength: float) -> None:
        if bool(strength) != bool(self._smoothing):
            self._matrices = {}
        self._terms = None
        self._smoothing = strength

    def measure(self, weights: list[Tensor], support: list[Tensor]) -> None:
        """Takes over what the present network says of its slots; empty lists switch the terms off for a while.

        Args:
            weights, support: see the attributes.
        """
        self.weights, self.support, self._matrices, self._terms = weights, support, {}, None

    @property
    def is_on(self) -> bool:
        """Whether there is any term."""
        return self.strength > 0 or self.smoothing > 0 or self.keeps

    def terms(self, vector: ParameterVector) -> list[QuadraticTerm]:
        """Returns the terms, none before the weights are known."""
        # They are asked for several times a step, and stay the same until they are measured anew.
        if self._terms is None:
            self._terms = list(self._made(vector))
        return self._terms

    def _made(self, vector: ParameterVector) -> Iterator[QuadraticTerm]:
        slots = (slot for slot in vector.slots if slot.kind == "weight")
        for slot, weight, support in zip(slots, self.weights, self.support):
            edges: Any = vector.model.layers[slot.layer].numeric
            if not isinstance(edges.basis, BSplineBasis):
                continue
            rough, curvature = self._matrices_of(slot, edges, vector, support)
            if self.strength and rough is not None:
                yield QuadraticTerm(slot, rough, self.strength * weight)
            if self.smoothing and edges.basis.k > 1:
                yield QuadraticTerm(slot, curvature, self.smoothing * weight)
            is_open = (support <= 0).any(1)
            if self.keeps and edges.has_base and bool(is_open.any()):
                base = torch.zeros_like(support[:1, None])
                base[..., 0] = 1.0
                yield QuadraticTerm(slot, base, HELD * weight * is_open, self._origin_of(slot, vector))

    def _matrices_of(
        self, slot: Slot, edges: Any, vector: ParameterVector, support: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        # Other strengths leave them as they are.
        known = self._matrices.get(slot.layer)
        if known is None:
            rough, curvature = _rough(edges, support), edges.weight.new_zeros(0)
            if self.smoothing:
                curvature = _curvature(edges)[vector.edge_pairs(slot)[1]]
            if self.keeps:
                rough = None if rough is None else _without_open(rough, support)
                curvature = _without_open(curvature, support) if self.smoothing else curvature
            known = self._matrices[slot.layer] = rough, curvature
        return known

    def _origin_of(self, slot: Slot, vector: ParameterVector) -> Tensor:
        # Where the weights were when this was first asked for; what moves grids leaves those of base functions alone.
        known = self._origins.get(slot.layer)
        now = vector.edge_weights(slot, vector.read())
        if known is None or known.shape != now.shape:
            known = self._origins[slot.layer] = now.clone()
        return known

    def value(self, vector: ParameterVector) -> float:
        """Returns the sum of the terms at the present parameters."""
        if not self.weights:
            return 0.0
        numbers = vector.read()
        return sum(term.value(vector.edge_weights(term.slot, numbers)) for term in self.terms(vector))

    def state(self) -> Sequence[Any]:
        """Returns what a later run needs to go on exactly here."""
        return [self.smoothing, self.weights, self.support]

    def set_state(self, state: Sequence[Any]) -> None:
        """Takes over what `state` returned."""
        self.smoothing, weights, support = state
        self.measure(weights, support)


def _rough(edges: Any, support: Float[Tensor, "edge feature"]) -> Float[Tensor, "edges row feature"] | None:
    # Differences of order k + 3 shrink like h^(k + 3), the error of the spline like h^(k + 1): the cube of the number
    # of intervals keeps the term as far below that error on fine grids as on coarse ones. Where samples determine all
    # coefficients of a difference, it must not feel the fastest oscillation of a spline.
    n, k, lead = edges.basis.n_basis, edges.basis.k, int(edges.has_base)
    if n <= k + 1:
        return None
    order = min(k + 3, n - 1)
    inner = difference_matrix(n, order, edges.weight)
    matrix = torch.cat([inner.new_zeros(inner.shape[0], lead), inner], 1)[None]
    full = (n - k) ** 1.5
    bounded = min(full, STIFFEST / (n - k) ** 0.5)
    is_open = support[:, lead:].unfold(1, order + 1, 1).amin(2) < DETERMINED
    if bounded == full or not bool(is_open.any()) or matrix.numel() * len(support) > LARGEST:
        return matrix * bounded
    return matrix * torch.where(is_open, full, bounded)[:, :, None]


def _without_open(
    matrix: Float[Tensor, "one_or_edge row feature"], support: Float[Tensor, "edge feature"]
) -> Float[Tensor, "kept row feature"]:
    # Without the rows that know of coefficients which no sample touches: these stay, whatever they are, and must not
    # pull at others either.
    is_open = ((matrix != 0) & (support <= 0)[:, None]).any(2)
    return matrix * ~is_open[:, :, None] if bool(is_open.any()) else matrix


def _curvature(edges: Any) -> Float[Tensor, "source row feature"]:
    # The second derivative of every feature on a scale where the grid has length one, at two points an interval: with
    # these of Gauss the sum of squares is the mean square, exactly for cubic splines.
    grid = edges.basis.grid
    width, length = grid.diff(dim=1), grid[:, -1:] - grid[:, :1]
    offsets = [0.5 - GAUSS, 0.5 + GAUSS]
    points = torch.cat([grid[:, :-1] + offset * width for offset in offsets], 1)
    share = (width / length / len(offsets)).repeat(1, len(offsets))
    bent = edges.feature_derivatives(points.T, 2).transpose(0, 1)
    return bent.detach() * (length**2 * share.sqrt())[..., None]
