"""What training minimises: a mean loss over samples plus a penalty, and its Gauss-Newton equations.

objective = sum_n w_n loss(f(x_n), y_n) / sum_n w_n + penalty + roughness, see `kan2.training.roughness`. All sums run
over chunks of samples, so memory does not grow with their number.

Reference: Hunter, Li, Variable Selection Using MM Algorithms (2005), for the quadratics that touch the penalty from
above.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.edges.numeric import plain_features
from kan2.core.layer import chunked
from kan2.core.linalg import diagonal_blocks, gram_matrix
from kan2.core.network import Network
from kan2.training._linearisation import Adjoints, Linearisation
from kan2.training._moments import Moments
from kan2.training._natural_units import natural_centres, natural_sizes
from kan2.training.losses import CallableLoss, Loss, SquaredError
from kan2.training.parameters import ParameterVector, Slot
from kan2.training.penalties import Penalty, edge_scales
from kan2.training.roughness import Roughness

CHUNK_ENTRIES = 4_000_000  # numbers of the largest array held at once
RESOLVED = 1e-9  # share of a loss whose thousandth is still well above rounding
MEASURED = 2000  # samples that are enough to know the units of a network's numbers


@dataclass(frozen=True)
class Evaluation:
    """The objective at one point.

    Attributes:
        objective: loss + penalty + roughness.
        loss: the mean loss.
        penalty: the sparsity penalty.
        linearisation: the evaluated network, None where the samples need several chunks.
        squares: (output,) mean squares of the errors in units of the loss; None for other losses than squares.
        moments: what the sparsity penalty needs to know of the activations.
    """

    objective: float
    loss: float
    penalty: float
    linearisation: Linearisation | None
    moments: Moments | None = None
    squares: Tensor | None = None

    @property
    def inputs(self) -> Sequence[Tensor] | None:
        """What each layer reads, (batch, source); None where the samples need several chunks."""
        return None if self.linearisation is None else [record.inputs for record in self.linearisation.records]


class Problem:
    """Samples, targets, a loss and penalties.

    Args:
        features: (batch, feature) samples as the first layer reads them.
        y: (batch, column) targets, as the loss reads them.
        weight: (batch,) non-negative weights, or None.
        penalty: the sparsity penalty, in units of `size`.
        loss: the distance between outputs and targets.
        roughness: terms that hold splines together, or the strength of the roughness, >= 0.

    Attributes:
        size: what the loss is where outputs are off by one unit of theirs.
        share: (batch,) what each sample counts in the mean; None where all count the same.
        count: how many samples there are: the sum of the weights, and no less than the number that are not zero.
        scale: weighted mean square of the targets, in units of the loss.
        has_targets: whether the loss compares outputs with targets.
        has_products: whether `linearised` gives products with the Jacobian, for networks too large for a matrix.
    """

    has_products = True
    has_targets = True

    def __init__(
        self,
        features: Float[Tensor, "batch feature"],
        y: Float[Tensor, "batch column"],
        weight: Float[Tensor, " batch"] | None = None,
        penalty: Penalty = Penalty(),  # noqa: B008
        loss: Loss = SquaredError(),  # noqa: B008
        roughness: Roughness | float = 0.0,
    ) -> None:
        self.features, self.y, self.loss = features, y, loss
        self.size = loss.size(y) if isinstance(loss, CallableLoss) else 1.0
        self._asked, self.penalty = penalty, replace(penalty, lamb=penalty.lamb * self.size)
        self.share = None if weight is None else weight / weight.sum()
        self.count = float(len(y)) if weight is None else max(float(weight.sum()), float((weight > 0).sum()))
        self.roughness = roughness if isinstance(roughness, Roughness) else Roughness(roughness)
        self._first: tuple[object, Tensor] | None = None
        square = (loss.squares(torch.zeros_like(y), y) if isinstance(loss, SquaredError) else y.square()).mean(1)
        self.scale = float(square.mean() if self.share is None else square @ self.share)

    def __len__(self) -> int:
        return self.features.shape[0]

    def subsample(self, n: int, generator: torch.Generator) -> "Problem":
        """Returns the same problem on n random samples, or on all where there are fewer."""
        rows = torch.randperm(len(self), generator=generator)[:n].sort().values.to(self.features.device)
        weight = None if self.share is None else self.share[rows]
        rough = Roughness(self.roughness.strength, self.roughness.smoothing, self.roughness.keeps)
        return Problem(self.features[rows], self.y[rows], weight, self._asked, self.loss, rough)

    def twin(self) -> "Problem":
        """Returns the same problem for another network, whose roughness is weighed by itself."""
        twin = copy.copy(self)
        twin.roughness = copy.copy(self.roughness)
        return twin

    def share_of(self, part: slice) -> Tensor | float:
        """Returns what each of these samples counts in the mean."""
        return 1 / len(self) if self.share is None else self.share[part]

    def mean_loss(self, output: Float[Tensor, "rows output"], rows: Tensor | slice = slice(None)) -> Tensor:
        """Returns the weighted mean loss of some samples, differentiable in the outputs."""
        values = self.loss.values(output, self.y[rows])
        return values.mean() if self.share is None else (self.share[rows] * values).sum() / self.share[rows].sum()

    def evaluate(self, vector: ParameterVector) -> Evaluation:
        """Evaluates the objective at the present parameters of the network."""
        linearisation, total, moments = None, 0.0, Moments()
        squares: Any = 0.0 if isinstance(self.loss, SquaredError) else None
        for part, linearisation in self._chunks(vector):
            share = self.share_of(part)
            if isinstance(self.loss, SquaredError):
                values = self.loss.squares(linearisation.output, self.y[part])
                squares = squares + (values * (share[:, None] if isinstance(share, Tensor) else share)).sum(0)
            else:
                total += float((self.loss.values(linearisation.output, self.y[part]) * share).sum())
            if self.penalty.lamb:
                moments.add(linearisation, self.share_of(part))
        if squares is not None:
            total = float(squares.mean())
        penalty = float(self._penalty(vector.model, moments)) if self.penalty.lamb else 0.0
        rough = self.roughness.value(vector)
        ready = linearisation if self.is_whole(vector) else None
        return Evaluation(total + penalty + rough, total, penalty, ready, moments, squares)

    def unreachable(self, model: Network, evaluation: Evaluation) -> float:
        """Returns what of an objective no step can lower, such as what outliers add to a robust loss.

        Shares of the objective are shares of the rest. Squares and the cross-entropy are taken as they are.

        Args:
            model: the network at the point.
            evaluation: what `evaluate` returned at this point.
        """
        if not isinstance(self.loss, CallableLoss):
            return 0.0
        ready = evaluation.linearisation
        output = self.output(model) if ready is None else ready.output
        # The mean of what can fall is at least half the loss where there are no outliers.
        reachable = max(2 * self.loss.typical(output, self.y), RESOLVED * abs(evaluation.loss))
        return evaluation.loss - min(abs(evaluation.loss), reachable)

    def rmse(self, evaluation: Evaluation) -> float | None:
        """Returns the root mean square error in the units of the targets; None for other losses than squares."""
        if isinstance(self.loss, SquaredError) and evaluation.squares is not None:
            return self.loss.root(evaluation.squares)
        return evaluation.loss**0.5 if self.loss.is_squares else None

    def normal_equations(self, vector: ParameterVector, evaluation: Evaluation) -> "NormalEquations":
        """Returns half the Gauss-Newton matrix and half the gradient of the objective.

        Args:
            vector: the network at the point.
            evaluation: what `evaluate` returned at this point.
        """
        gram = None
        gradient = self.features.new_zeros(vector.size)
        ratios = self.scale_slopes(vector, evaluation)
        sensitivities: list[Sensitivity] = []
        residuals: list[Tensor] = []
        for part, linearisation, parts in self.linearised(vector, evaluation):
            for adjoints, z in parts:
                if self.loss.is_squares and evaluation.linearisation is not None:
                    sensitivities.append(adjoints)
                    residuals.append(z)
                jacobian = adjoints.jacobian()
                gram = gram_matrix(jacobian) if gram is None else gram.add_(gram_matrix(jacobian))
                gradient.addmv_(jacobian.T, z)
            if ratios:
                gradient += self.upstream(part, linearisation, evaluation, ratios)
        assert gram is not None, "no samples"
        for slot, rise, curvature in self.penalty_blocks(vector, evaluation, ratios):
            gradient[slot.part] += rise.flatten()
            diagonal_blocks(gram, slot.start, curvature.shape[:2]).add_(curvature)
        return NormalEquations(gram, gradient, sensitivities, residuals)

    def linearised(
        self, vector: ParameterVector, evaluation: Evaluation
    ) -> Iterator[tuple[slice, Linearisation, Iterator[tuple[Adjoints, Tensor]]]]:
        """Yields, chunk by chunk, the samples, the network and weighted pseudo-residuals z with their Jacobians."""
        ready = evaluation.linearisation
        for part, linearisation in [(slice(None), ready)] if ready else self._chunks(vector):
            root_share = self.share_of(part) ** 0.5
            scale = root_share if isinstance(root_share, float) else root_share[:, None]
            pseudo = self.loss.pseudo_residuals(linearisation.output, self.y[part])
            yield part, linearisation, ((linearisation.adjoints(root * scale), z * root_share) for root, z in pseudo)

    def restart(self, vector: ParameterVector) -> Evaluation:
        """Weighs the roughness by the present sensitivity of the output to every subnode, and evaluates."""
        self.roughness.measure([], [])
        vector.centres = [None] * len(vector.centres)
        evaluation = self.evaluate(vector)
        evaluation = self._measure(vector, evaluation)
        slots = [slot for slot in vector.slots if slot.kind == "weight"]
        if not self.roughness.is_on or not slots:
            return evaluation
        squares = [self.features.new_zeros(()) for _ in vector.model.layers]
        sizes = [self.features.new_zeros(()) for _ in vector.model.layers]
        for _, linearisation, parts in self.linearised(vector, evaluation):
            for i, record in enumerate(linearisation.records):
                if record.basis is not None:
                    sizes[i] = sizes[i] + record.basis.abs().sum(0)
            for adjoints, _ in parts:
                for i, leaves in enumerate(adjoints.leaves):
                    squares[i] = squares[i] + leaves.subnodes.square().sum(0)
        pairs = [(slot.layer, *vector.edge_pairs(slot)) for slot in slots]
        weights = [squares[layer][target] for layer, target, _ in pairs]
        self.roughness.measure(weights, [sizes[layer][source] for layer, _, source in pairs])
        return replace(evaluation, objective=evaluation.objective + self.roughness.value(vector))

    def _measure(self, vector: ParameterVector, evaluation: Evaluation) -> Evaluation:
        # Gives the vector its natural units; some of the samples are enough to know them.
        every = -(-len(self) // MEASURED)
        seen = evaluation.linearisation if every == 1 else None
        seen = seen or Linearisation(vector, self.features[::every])
        vector.sizes = natural_sizes(seen)
        centres = natural_centres(seen)
        if all(centre is None or not bool(centre.any()) for centre in centres):
            return evaluation
        vector.centres = centres
        return self.evaluate(vector)

    @torch.no_grad()
    def output(self, model: Network) -> Float[Tensor, "batch output"]:
        """Returns the outputs at all samples."""
        nodes, basis = self.features, self._first_basis(model)
        for i, layer in enumerate(model.layers):
            if i == 0 and basis is not None and layer.numeric is not None:
                subnodes = basis.flatten(1) @ layer.numeric.masked_weight.flatten(1).T
                if layer.symbolic is not None:
                    subnodes = subnodes + layer.symbolic(nodes, layer.spec.n_subnodes)
                nodes = layer.nodes(subnodes)
            else:
                nodes = chunked(layer, nodes)
        return nodes

    def residuals(self, model: Network) -> list[Float[Tensor, " batch"]]:
        """Returns the weighted residuals of a squared error, in the order of `NormalEquations.residuals`."""
        root_share = self.share_of(slice(None)) ** 0.5
        return [z * root_share for _, z in self.loss.pseudo_residuals(self.output(model), self.y)]

    def is_whole(self, vector: ParameterVector) -> bool:
        """Whether all samples fit into one chunk."""
        return len(self) <= self._chunk_rows(vector)

    def _chunk_rows(self, vector: ParameterVector) -> int:
        layers = vector.model.layers
        width = sum(layer.numeric.weight[0].numel() for layer in layers if layer.numeric is not None)
        return max(64, CHUNK_ENTRIES // max(1, vector.size, width))

    def _chunks(self, vector: ParameterVector) -> Iterator[tuple[slice, Linearisation]]:
        rows = self._chunk_rows(vector)
        if len(self) <= rows:
            yield slice(None), Linearisation(vector, self.features, self._first_basis(vector.model))
            return
        for start in range(0, len(self), rows):
            part = slice(start, start + rows)
            yield part, Linearisation(vector, self.features[part])

    def _first_basis(self, model: Network) -> Tensor | None:
        # The samples do not move, so the first layer's basis is worth keeping for as long as its grid stays.
        edges = model.layers[0].numeric
        if edges is None or len(self) * edges.weight[0].numel() > CHUNK_ENTRIES:
            return None
        if self._first is None or self._first[0] is not edges.basis:
            with torch.no_grad():
                self._first = (edges.basis, plain_features(edges.expansion, self.features))
        return self._first[1]

    def _penalty(self, model: Network, moments: Moments) -> Tensor:
        layers = [(i, layer.numeric) for i, layer in enumerate(model.layers) if layer.numeric is not None]
        with torch.no_grad():
            scales = [edge_scales(edges, moments.covariance(i)) for i, edges in layers]
            return self.penalty(scales, [edges.masked_weight[..., int(edges.has_base) :] for _, edges in layers])

    def scale_slopes(self, vector: ParameterVector, evaluation: Evaluation) -> dict[int, Tensor]:
        """Returns for every numeric layer the derivative of the penalty with respect to half each squared scale."""
        if not self.penalty.lamb or evaluation.moments is None:
            return {}
        layers = {i: layer.numeric for i, layer in enumerate(vector.model.layers) if layer.numeric is not None}
        with torch.no_grad():
            scales = [edge_scales(edges, evaluation.moments.covariance(i)) for i, edges in layers.items()]
        scales = [s.requires_grad_() for s in scales]
        slopes = torch.autograd.grad(self.penalty(scales), scales) if scales else ()
        return {i: slope / scale.detach() for i, slope, scale in zip(layers, slopes, scales)}

    def upstream(
        self, part: slice, linearisation: Linearisation, evaluation: Evaluation, ratios: dict[int, Tensor]
    ) -> Tensor:
        """Returns half the penalty's gradient over some samples with respect to layers that move later activations."""
        vector, moments, share = linearisation.vector, evaluation.moments, self.share_of(part)
        assert moments is not None
        of_features: dict[int, Tensor] = {}
        for i, ratio in ratios.items():
            record = linearisation.records[i]
            if i and record.basis is not None:
                centred = (record.basis - moments.mean(i)).transpose(0, 1)
                weight = record.weight.view(-1, *record.basis.shape[1:]).transpose(0, 1)
                values = centred @ weight.mT * ratio.T[:, None]
                found = (values @ weight).transpose(0, 1) / 2
                of_features[i] = found * (share[:, None, None] if isinstance(share, Tensor) else share)
        if not of_features:
            return linearisation.output.new_zeros(vector.size)
        adjoints = linearisation.adjoints(torch.zeros_like(linearisation.output), of_features)
        return adjoints.pull(linearisation.output.new_ones(len(linearisation.output)))

    def penalty_blocks(
        self, vector: ParameterVector, evaluation: Evaluation, ratios: dict[int, Tensor]
    ) -> Iterator[tuple[Slot, Tensor, Tensor]]:
        """Yields what the penalties add to half the gradient (edge, feature) and half the curvature of slots."""
        moments = evaluation.moments
        slots = [s for s in vector.slots if s.kind == "weight"] if ratios else []
        numbers = vector.read()
        for slot in slots:
            assert moments is not None
            target, source = vector.edge_pairs(slot)
            covariance = moments.covariance(slot.layer)[source]
            # A share's entropy can fall as an edge grows; a negative slope gives a gradient but no curvature.
            ratio = ratios[slot.layer][target, source] / 2
            weight = vector.edge_weights(slot, numbers)
            rise = ratio[:, None] * torch.einsum("efg,eg->ef", covariance, weight)
            curvature = ratio.clamp_min(0)[:, None, None] * covariance
            if self.penalty.coef or self.penalty.smooth:
                edges: Any = vector.model.layers[slot.layer].numeric
                start = int(edges.has_base)
                extra, bend = self.penalty.coefficient_terms(weight[:, start:])
                rise[:, start:] += extra / 2
                curvature[:, start:, start:] += bend / 2
            yield slot, rise, curvature
        for term in self.roughness.terms(vector):
            yield term.slot, *term.slopes(vector.edge_weights(term.slot, numbers))


class Sensitivity(Protocol):
    """The Jacobian of one residual, as products with vectors."""

    def push(self, v: Tensor) -> Tensor: ...
    def pull(self, w: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class NormalEquations:
    """Half the Gauss-Newton matrix and half the gradient of an objective.

    Attributes:
        gram: (parameter, parameter).
        gradient: (parameter,).
        residuals: weighted residuals of a squared error, where all samples fit into one chunk; otherwise empty.
        sensitivities: their Jacobians.
    """

    gram: Tensor
    gradient: Tensor
    sensitivities: Sequence["Sensitivity"]
    residuals: list[Tensor]
