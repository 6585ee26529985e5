"""Losses as sums of squares: what Levenberg-Marquardt needs to know about the distance between outputs and targets.

A loss gives a value for every sample and, at given outputs, *pseudo-residuals*: pairs (root, z) such that the gradient
of the sample's value with respect to the outputs is 2 sum root z, and its Gauss-Newton matrix is 2 sum root root'. For
squares the roots are unit vectors and z are the residuals; for cross-entropy root_j = sqrt(p_j) (e_j - p), since the
matrix diag(p) - p p' is the sum of their outer products.

Reference: Martens, New Insights on the Natural Gradient Method (2020), section 8.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kan2.errors import DataError, ShapeError, TrainingError, unknown_name

PseudoResiduals = list[tuple[Tensor, Tensor]]

STRAIGHT = 1e-5  # curvature, relative to the largest one, that counts as none
FLATTEST = 1e-6  # the least curvature of a sample, likewise: where a loss is flat, steps are held by this
MET = 0.1  # share of the median distance from the targets below which a sample counts as met
EXACT = 1e-9  # the same in units of the targets, where most are met exactly
OUTLYING = 20.0  # medians above which a sample tells nothing of progress: squares beyond three standard deviations


class Loss(Protocol):
    """A distance between outputs and targets, sample by sample."""

    @property
    def is_squares(self) -> bool:
        """Whether this is the squared error."""
        ...

    def values(self, output: Float[Tensor, "batch output"], y: Tensor) -> Float[Tensor, " batch"]:
        """Returns one value a sample, differentiable in the outputs."""
        ...

    def pseudo_residuals(self, output: Float[Tensor, "batch output"], y: Tensor) -> PseudoResiduals:
        """Returns (batch, output) roots with (batch,) factors z."""
        ...


@dataclass(frozen=True, eq=False)
class SquaredError:
    """The mean over outputs of the squared difference.

    Attributes:
        units: (output,) what differences are measured in, > 0; None for 1.
    """

    units: Tensor | None = None
    is_squares: bool = True

    def squares(self, output: Tensor, y: Tensor) -> Float[Tensor, "batch output"]:
        """Returns the square of each difference, in these units."""
        return self._scaled(output - y).square()

    def root(self, squares: Float[Tensor, " output"]) -> float:
        """Returns the root mean square of all outputs, in the units of the targets, of mean squares in these units."""
        if self.units is None:
            return float(squares.mean().sqrt())
        # The largest is taken out, so that units of 1e-200 and 1e200 have finite squares.
        largest = self.units.amax()
        return float(largest * (squares * (self.units / largest).square()).mean().sqrt())

    def values(self, output: Tensor, y: Tensor) -> Tensor:
        return self.squares(output, y).mean(1)

    def pseudo_residuals(self, output: Tensor, y: Tensor) -> PseudoResiduals:
        n_output = output.shape[1]
        if n_output == 1 and self.units is None:
            return [(torch.ones_like(output), (output - y)[:, 0])]
        roots = self._scaled(torch.eye(n_output, dtype=output.dtype, device=output.device)) / n_output**0.5
        residual = self._scaled(output - y) / n_output**0.5
        return [(roots[i].expand_as(output), residual[:, i]) for i in range(n_output)]

    def _scaled(self, difference: Tensor) -> Tensor:
        return difference if self.units is None else difference / self.units


@dataclass(frozen=True)
class CrossEntropy:
    """Minus the log-likelihood of classes: of two classes for one output, a logit; else of one class an output."""

    is_squares: bool = False

    def values(self, output: Tensor, y: Tensor) -> Tensor:
        if output.shape[1] == 1:
            return F.binary_cross_entropy_with_logits(output, y, reduction="none")[:, 0]
        return -(y * output.log_softmax(1)).sum(1)

    def pseudo_residuals(self, output: Tensor, y: Tensor) -> PseudoResiduals:
        # Halves and square roots of two: pseudo-residuals describe half the derivatives.
        tiny = torch.finfo(output.dtype).tiny ** 0.5
        if output.shape[1] == 1:
            p = output.sigmoid()
            root = (p * (1 - p)).clamp_min(tiny).sqrt() / 2**0.5
            return [(root, ((p - y) / (2 * root))[:, 0])]
        p = output.softmax(1)
        units = torch.eye(output.shape[1], dtype=output.dtype, device=output.device)
        result = []
        for j in range(output.shape[1]):
            root = p[:, j].clamp_min(tiny).sqrt() / 2**0.5
            # sum_j y_j (p - e_j) is the gradient, so z_j = -y_j / (2 root) serves.
            result.append((root[:, None] * (units[j] - p), -y[:, j] / (2 * root)))
        return result


@dataclass(frozen=True, eq=False)
class CallableLoss:
    """A user's loss(output, y), a mean over samples; its curvature is the absolute Hessian of each sample.

    Where the loss is straight, as the absolute value is everywhere and a robust loss beyond its bend, the Hessian says
    nothing. There |slope| / |output - y| is the curvature of the parabola that touches the loss from above.

    Attributes:
        function: maps (batch, output) outputs and targets to a number.
        units: (output,) what differences of outputs and targets are measured in, > 0; None where outputs are numbers of
            their own, such as logits, whose unit is 1. Slopes and curvatures are compared in it, and so the curvature
            does not depend on the unit of the targets.

    Reference: Hunter, Lange, A Tutorial on MM Algorithms (2004), for the parabolas.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    units: Tensor | None = None
    is_squares: bool = False

    def values(self, output: Tensor, y: Tensor) -> Tensor:
        value = self.function(output, y)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ShapeError("fit: expected loss(output, y) to return one number, a mean over samples.")
        return value.reshape(1).expand(output.shape[0])

    @torch.no_grad()
    def size(self, y: Float[Tensor, "batch output"]) -> float:
        """Returns the loss of outputs that are off by one unit, 1 for squares; 1 where outputs have no unit."""
        found = 1.0 if self.units is None else abs(float(self.values(y + self.units, y)[0]))
        return found if isfinite(found) and found > 0 else 1.0

    def pseudo_residuals(self, output: Tensor, y: Tensor) -> PseudoResiduals:
        gradient, hessian = self._derivatives(output, y)
        own = hessian.diagonal(dim1=1, dim2=2)
        # A slope over a unit and a curvature are of one kind; a slope alone is another number in another unit.
        steep = gradient.abs().amax(0) / (1.0 if self.units is None else self.units)
        if self.units is not None:
            is_straight = own.abs() <= STRAIGHT * torch.maximum(own.abs().amax(0), steep)
            own.copy_(torch.where(is_straight, self._touching(gradient, output - y), own))
        # In units in which the largest curvature of each output is 1, what is next to none is the same in all.
        largest = torch.maximum(own.abs().amax(0), steep).clamp_min(1e-300)
        width = largest.rsqrt()
        values, vectors = torch.linalg.eigh((hessian + hessian.mT) / 2 * width[:, None] * width)
        values = values.abs().clamp_min(FLATTEST)
        result = []
        for i in range(output.shape[1]):
            factor = (values[:, i] / 2).sqrt()
            root = vectors[:, :, i] / width * factor[:, None]
            z = (vectors[:, :, i] * width * gradient).sum(1) / 2 / factor
            result.append((root, z))
        return result

    def typical(self, output: Float[Tensor, "batch output"], y: Tensor) -> float:
        """Returns the mean, without what few samples dominate it by, of how far the loss of each sample may fall.

        What an outlier adds to a mean loss stays there whatever a network does, and tells nothing of its progress.
        """
        if self.units is None:
            squares = torch.stack([z.square() for _, z in self.pseudo_residuals(output, y)], 1).sum(1)
        else:
            # For squares these are the squares, for the absolute value half of it.
            gradient, _ = self._derivatives(output, y, order=1)
            squares = (gradient * (output - y)).abs().sum(1) / 2
        return float(squares.clamp_max(OUTLYING * squares.median()).mean())

    def _derivatives(self, output: Tensor, y: Tensor, order: int = 2) -> tuple[Tensor, Tensor]:
        # (batch, output) gradient and (batch, output, output) Hessian of the loss of each sample.
        n, n_output = output.shape
        hessian = output.new_zeros(n, n_output, n_output)
        with torch.enable_grad():
            leaf = output.detach().requires_grad_()
            total = n * self.values(leaf, y)[0]
            (gradient,) = torch.autograd.grad(total, leaf, create_graph=order > 1)
            if order > 1 and gradient.requires_grad:
                for i in range(n_output):
                    (row,) = torch.autograd.grad(gradient[:, i].sum(), leaf, retain_graph=True, allow_unused=True)
                    if row is not None:
                        hessian[:, i] = row
        return gradient.detach(), hessian

    def _touching(self, slope: Tensor, difference: Tensor) -> Tensor:
        # The parabola of a sample that is met exactly is infinitely steep.
        assert self.units is not None
        distance = difference.abs()
        return slope.abs() / torch.maximum(distance, torch.maximum(MET * distance.median(0).values, EXACT * self.units))


LOSSES: dict[str, type] = {"mse": SquaredError, "cross_entropy": CrossEntropy}


def make_loss(loss: Any, n_output: int = 1) -> Loss:
    """Returns the loss of this name, or wraps a callable.

    Args:
        loss: a name, one of torch's losses, or a callable loss(output, y).
        n_output: number of outputs; a binary cross-entropy of several is one of several labels.

    Raises:
        TrainingError: a cross-entropy of torch with options.
        UnknownNameError: neither a known name nor a callable.
    """
    if isinstance(loss, str):
        name = loss.lower().replace("-", "_")
        if name not in LOSSES:
            raise unknown_name("fit", "loss", loss, LOSSES)
        return LOSSES[name]()
    if isinstance(loss, torch.nn.CrossEntropyLoss):
        if loss.weight is not None or loss.label_smoothing or loss.ignore_index != -100 or loss.reduction != "mean":
            raise TrainingError(
                "fit: expected CrossEntropyLoss() without options, got some. Pass sample_weight, probabilities as "
                "targets, or a callable loss(output, y)."
            )
        return CrossEntropy()
    is_plain = getattr(loss, "reduction", None) == "mean"
    if isinstance(loss, torch.nn.BCEWithLogitsLoss) and is_plain and loss.weight is None and loss.pos_weight is None:
        return CrossEntropy() if n_output == 1 else CallableLoss(loss)
    if isinstance(loss, torch.nn.MSELoss) and is_plain:
        return SquaredError()
    if not callable(loss):
        raise unknown_name("fit", "loss", loss, LOSSES)
    function: Any = loss
    return CallableLoss(function)


def class_targets(y: Float[Tensor, "batch column"], n_output: int) -> Float[Tensor, "batch output"]:
    """Returns targets of cross-entropy: class numbers become unit vectors, probabilities stay.

    Raises:
        DataError: class numbers outside 0 to n_output - 1, or probabilities outside 0 to 1.
        ShapeError: neither one column nor one column an output.
    """
    if y.shape[1] == 1 and n_output > 1:
        labels = y[:, 0].round().long()
        if not bool((labels == y[:, 0]).all()) or int(labels.min()) < 0 or int(labels.max()) >= n_output:
            raise DataError(
                f"fit: expected class numbers 0 to {n_output - 1}, one for each output, got values from "
                f"{float(y.min()):g} to {float(y.max()):g}."
            )
        return F.one_hot(labels, n_output).to(y)
    if y.shape[1] != n_output:
        raise ShapeError(f"fit: expected one column of class numbers or {n_output} of probabilities, got {y.shape[1]}.")
    if not bool(((y >= 0) & (y <= 1)).all()):
        raise DataError(f"fit: expected labels between 0 and 1, got {float(y.min()):g} to {float(y.max()):g}.")
    return y
