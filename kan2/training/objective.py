"""What a network was last trained to lower, remembered so that every verb after `fit` is judged by it.

An objective is a loss of outputs and targets with weights of samples, or a residual that must vanish. Verbs that try
many networks do so on squares, which are quick to minimise. Where something else was trained they use a *surrogate*:
squares to the network's own outputs, each sample weighted by the curvature of the loss there. To second order a change
d of the outputs adds slope d + curvature d^2 / 2 to the loss of a sample. A change *counts as none* where the mean of
the second is below twice the standard error of the mean of the first.

References: Martens, New Insights on the Natural Gradient Method (2020), section 8; Hunter, Lange, A Tutorial on MM
Algorithms (2004), for quadratics that touch losses without curvature from above.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.data import Dataset
from kan2.core.network import AnyNetwork, Network
from kan2.errors import ShapeError, TrainingError
from kan2.training._preparation import targets, weights
from kan2.training._scaling import measured
from kan2.training.logits import without_common_part
from kan2.training.losses import CallableLoss, CrossEntropy, Loss, make_loss
from kan2.training.penalties import Penalty
from kan2.training.residuals import Residual, residual_terms
from kan2.training.spread import spreads, weighted_mean

SHARE = 1e-3  # share of what a network explains that another one may lose and still count as equal
DEVIATIONS = 2.0  # standard errors of the paired differences of losses that count as noise
FLAT = 1e-3  # least weight of a sample in a surrogate, relative to the mean one


@dataclass(frozen=True)
class LossDifference:
    """How much more a second network loses than a first one, on the same samples.

    Attributes:
        mean: mean difference of the losses.
        error: its standard error, from differences sample by sample.
        explained: what the first network gains over a constant.
    """

    mean: float
    error: float
    explained: float

    @classmethod
    def of(cls, first: Tensor, second: Tensor, constant: Tensor, weight: Tensor | None = None) -> "LossDifference":
        """Returns the difference of (row,) losses of two networks and of a constant, weighted by rows if asked."""
        difference = second - first
        mean = weighted_mean(difference, weight)
        scatter = (difference - mean).square()
        if weight is None:
            error = scatter.mean() / max(len(scatter) - 1, 1)
        else:
            error = (weight.square() * scatter).sum() / weight.sum().square()
        return cls(float(mean), sqrt(float(error)), float(weighted_mean(constant - first, weight)))

    def is_worse(self, tolerance: float = 0.0) -> bool:
        """Tells whether the second network loses more than noise and a small share explain.

        Args:
            tolerance: difference that means nothing, >= 0.
        """
        return not self.mean <= max(DEVIATIONS * self.error, SHARE * self.explained, tolerance)


@dataclass(frozen=True, eq=False)
class Objective:
    """What training lowers; a network keeps that of its last fit as `Network.objective`.

    Attributes:
        loss: as it was passed to `fit`.
        sample_weight: (batch,) non-negative weights, or None.
        penalty: the penalty of the fit.
        residual: what must vanish, where that was trained in place of a loss.
        residual_weights: weights of its terms.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> model = MultKAN([1, 1], grid=3)
        >>> history = model.fit(sample_function("x", {"x": (-1, 1)}, n=50), loss=torch.nn.HuberLoss())
        >>> model.objective.loss, model.objective.is_squares
        (HuberLoss(), False)
    """

    loss: Any = "mse"
    sample_weight: Any = None
    penalty: Penalty = field(default_factory=Penalty)
    residual: Residual | None = None
    residual_weights: Mapping[str, float] | Sequence[float] | None = None

    @property
    def is_squares(self) -> bool:
        """Whether this is a mean squared error of outputs."""
        return self.residual is None and make_loss(self.loss).is_squares

    def weighted(self, sample_weight: Any, data: Dataset, where: str) -> "Objective":
        """Returns this objective with other weights of samples.

        Raises:
            TrainingError: the loss or residual takes no weights.
        """
        if sample_weight is not None and (self.residual is not None or self._is_callable()):
            raise TrainingError(
                f"{where}: expected no sample_weight beside a callable loss or a residual, got one. Let it weigh its "
                "samples itself."
            )
        return replace(self, sample_weight=weights(sample_weight, data))

    def rows(self, rows: Tensor) -> "Objective":
        """Returns this objective for some of the samples."""
        weight = self.sample_weight
        return self if weight is None else replace(self, sample_weight=weight[rows.to(weight.device)])

    def normalised(self, model: AnyNetwork) -> AnyNetwork:
        """Returns a network that is as good, in which nothing is left that the loss does not see; see `logits`."""
        if self.residual is None and len(model.spec.outputs) > 1 and isinstance(make_loss(self.loss), CrossEntropy):
            return without_common_part(model)
        return model

    @torch.no_grad()
    def values(self, model: Network, data: Dataset) -> Float[Tensor, " row"]:
        """Returns the loss sample by sample; their weighted mean is the mean loss.

        Squares are in units of the spread of each output. A residual has one row for each row of each of its terms.
        """
        if self.residual is not None:
            terms = residual_terms(self.residual, model, self.residual_weights)
            total = sum(len(values) for *_, values in terms)
            return torch.cat([w * values.double().square().mean(1) * (total / len(values)) for _, w, values in terms])
        output = model(data.X).double()
        if self.is_squares:
            y = targets(data.y, output.shape[1], make_loss(self.loss))
            return ((output - y) / spreads(data, self.sample_weight)).square().mean(1)
        return self.losses(output, data.y)

    @torch.no_grad()
    def losses(self, output: Float[Tensor, "row output"], y: Float[Tensor, "row column"]) -> Float[Tensor, " row"]:
        """Returns the loss of each row of outputs and targets; of squares, in the square of their unit."""
        distance, output = make_loss(self.loss, output.shape[1]), output.double()
        return _row_values(distance, output, targets(y.double(), output.shape[1], distance))

    def mean(self, model: Network, data: Dataset) -> float:
        """Returns the mean loss of a network; of squares, in units of the spread of each output."""
        return float(weighted_mean(self.values(model, data), None if self.residual is not None else self.sample_weight))

    @torch.no_grad()
    def compare(self, before: Network, after: Network, data: Dataset) -> LossDifference:
        """Compares two networks sample by sample.

        Args:
            before: the network that is to be replaced.
            after: what may replace it.
            data: samples with targets; a residual brings its own points.
        """
        weight = None if self.residual is not None else self.sample_weight
        first, second = self.values(before, data), self.values(after, data)
        return LossDifference.of(first, second, self.constant_values(before, data), weight)

    @torch.no_grad()
    def constant_values(self, model: Network, data: Dataset) -> Float[Tensor, " row"]:
        """Returns the loss sample by sample of the network with the mean of its outputs in place of them."""
        return self.values(_constant(model, data), data)

    @torch.no_grad()
    def surrogate(self, model: Network, data: Dataset) -> tuple[Dataset, Float[Tensor, " batch"] | None, float]:
        """Returns samples and weights whose squares stand for this objective near a network, and what may be trusted.

        Args:
            model: the trained network.
            data: samples with the targets it was trained on.

        Returns:
            the samples, their weights, and a root mean square error, in spreads of the outputs, that does not count.
        """
        if self.is_squares:
            return data, self.sample_weight, 0.0
        output = model(data.X)
        own = replace(data, y=output, X_test=None, y_test=None)
        if self.residual is not None:
            explained = self.mean(_constant(model, data), data)
            return own, None, sqrt(min(1.0, self.mean(model, data) / max(explained, 1e-300)))
        output, distance = output.double(), make_loss(self.loss, output.shape[1])
        y = targets(data.y.double(), output.shape[1], distance)
        slope, curvature = _slope_and_curvature(measured(distance, y, output.shape[1])[0], output, y)
        # A curvature counts over the spread of its output; and there are as many samples as there were.
        weight = (curvature * spreads(own).square()).mean(1)
        weight = weight.clamp_min(FLAT * float(weight.mean()))
        known = torch.ones_like(weight) if self.sample_weight is None else self.sample_weight.to(weight)
        weight = weight / weighted_mean(weight, known) * known
        count = (known / known.mean())[:, None]
        size = spreads(own, weight)
        scatter = float(((slope * size * count).square().sum(1)).mean().sqrt()) / sqrt(len(output))
        bend = float(weighted_mean((curvature * size.square()).sum(1), self.sample_weight))
        return own, weight, 2 * scatter / max(bend, 1e-300)

    def _is_callable(self) -> bool:
        return isinstance(make_loss(self.loss, 2), CallableLoss)


def objective_of(
    model: Network, data: Any, where: str, *, sample_weight: Any = None, needs_targets: bool = False
) -> tuple[Dataset, Objective]:
    """Returns samples for a verb and what a network is to be judged by on them.

    Args:
        model: the network.
        data: what the caller gave, see `Network.samples`; None for the data of the last fit, with its weights.
        where: name of the verb, for error messages.
        sample_weight: what the caller gave.
        needs_targets: refuse samples without targets.

    Raises:
        DataError: there are no samples, or no targets.
        ShapeError: the targets of squares are not those of the outputs.
        TrainingError: weights beside a loss that takes none.
    """
    samples = model.samples(data, where, needs_targets)
    objective: Objective = model.objective or Objective()
    if data is None and sample_weight is None:
        return samples, objective
    if objective.residual is not None or not (data is None or isinstance(data, Dataset | tuple | list | dict)):
        objective = Objective()  # what was given is to be followed: targets, or the network's own outputs
    n_outputs = len(model.spec.outputs)
    if objective.is_squares and samples.y.shape[1] != n_outputs:
        raise ShapeError(f"{where}: expected targets with {n_outputs} columns, got {samples.y.shape[1]}.")
    return samples, objective.weighted(sample_weight, samples, where)


def _row_values(distance: Loss, output: Tensor, y: Tensor) -> Tensor:
    if not isinstance(distance, CallableLoss):
        return distance.values(output, y)
    function: Any = distance.function
    if isinstance(function, torch.nn.Module) and getattr(function, "reduction", None) == "mean":
        each: Any = copy.copy(function)
        each.reduction = "none"
        found = each(output, y)
        if found.shape[:1] == output.shape[:1]:
            return found.reshape(len(output), -1).mean(1)
    rows = [distance.function(output[i : i + 1], y[i : i + 1]).reshape(()) for i in range(len(output))]
    values = torch.stack(rows)
    expected = float(distance.function(output, y))
    if not abs(float(values.mean()) - expected) <= 1e-6 * float(values.abs().mean()) + 1e-300:
        raise TrainingError(
            f"objective: expected a loss that is a mean over samples, got {expected:g} for all samples and a mean of "
            f"{float(values.mean()):g} for each of them alone. Fit again with a loss of single samples first."
        )
    return values


def _slope_and_curvature(distance: Loss, output: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    # (batch, output) first and second derivatives of the loss of each sample.
    pairs = distance.pseudo_residuals(output, y)
    slope = 2 * torch.stack([root * z[:, None] for root, z in pairs]).sum(0)
    curvature = 2 * torch.stack([root.square() for root, _ in pairs]).sum(0)
    return slope, curvature


def _constant(model: Network, data: Dataset) -> Network:
    # The network with the mean of its outputs in place of them.
    mean = model(data.X).mean(0)
    flat = copy.deepcopy(model)
    flat.layers[-1].node_scale.zero_()
    flat.layers[-1].node_bias.copy_(mean)
    return flat
