"""Training on any residual: differential equations, conservation laws, whatever is built from a network's derivatives.

A residual is a callable that takes the network, evaluates it by `model(x)`, `model.jet(x)`, `model.laplacian(x)`, and
returns one or several tensors that must vanish: a tensor, a sequence, or a dict by name. The objective is
sum over terms of weight * mean(residual^2) plus penalties.

Reference: Raissi, Perdikaris, Karniadakis, Physics-informed neural networks (2019), doi:10.1016/j.jcp.2018.10.045.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kan2.core.linalg import gram_matrix
from kan2.core.network import Network
from kan2.errors import ShapeError, TrainingError
from kan2.training._probes import Probe, dense_jacobian, pull
from kan2.training.losses import SquaredError
from kan2.training.parameters import ParameterVector
from kan2.training.penalties import Penalty
from kan2.training.problem import Evaluation, NormalEquations, Problem

Residual = Callable[[Any], Any]


def residual_terms(
    residual: Residual, model: Any, weights: Mapping[str, float] | Sequence[float] | None = None
) -> list[tuple[str, float, Tensor]]:
    """Returns (name, weight, (row, column) values) of every term of a residual.

    Args:
        residual: maps the network to what must vanish.
        model: the network, or what stands in for it.
        weights: weight of each term, by name or in order; all 1 by default.

    Raises:
        ShapeError: it returns something else than tensors, or the weights are those of other terms.
    """
    found = residual(model)
    if isinstance(found, Tensor):
        found = {"residual": found}
    elif not isinstance(found, Mapping | Sequence):
        raise ShapeError(
            f"fit: expected residual(model) to return a tensor, a sequence or a dict of tensors, got "
            f"{type(found).__name__}. Return what must vanish."
        )
    elif not isinstance(found, Mapping):
        found = {str(i): value for i, value in enumerate(found)}
    if weights is None:
        weights = {}
    elif not isinstance(weights, Mapping):
        if len(weights) != len(found):
            raise ShapeError(f"fit: expected {len(found)} weights of residuals, got {len(weights)}.")
        weights = dict(zip(found, weights))
    if unknown := set(weights) - set(found):
        raise ShapeError(f"fit: expected weights of {', '.join(found)}, got {', '.join(map(str, unknown))}.")
    terms = []
    for name, values in found.items():
        if not isinstance(values, Tensor) or values.ndim == 0 or values.numel() == 0:
            raise ShapeError(f"fit: expected residual term {name} to be a tensor with one row a sample.")
        terms.append((str(name), float(weights.get(name, 1.0)), values.reshape(values.shape[0], -1)))
    return terms


class DenseSensitivity:
    """A Jacobian held as a matrix, with the interface of `Adjoints`."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def push(self, v: Tensor) -> Tensor:
        """Returns J v."""
        return self.matrix @ v

    def pull(self, w: Tensor) -> Tensor:
        """Returns J' w."""
        return self.matrix.T @ w


class ResidualProblem(Problem):
    """Residuals of a network, with the interface of `Problem`.

    Args:
        model: the network, for a first look at what the residual evaluates.
        residual: maps the network to what must vanish.
        weights: weight of each term, by name or in order; all 1 by default.
        penalty: the sparsity penalty.

    Raises:
        ShapeError: the residual returns something else than tensors.
        TrainingError: it returns NaN or infinity at the start, or does not evaluate the network.

    Attributes:
        points: (batch, input) where it evaluates the network, each once.
    """

    has_products = False
    has_targets = False

    def __init__(
        self,
        model: Network,
        residual: Residual,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        penalty: Penalty = Penalty(),  # noqa: B008
    ) -> None:
        self.residual, self.weights = residual, weights
        self.is_rowwise: bool | None = None
        probe = Probe(model)
        with torch.no_grad():
            terms = self._terms(probe)
        self.points = probe.points()
        features = probe.first_inputs()
        if not len(features):
            raise TrainingError("fit: expected residual(model) to evaluate the model it is given, and it does not.")
        super().__init__(features, features.new_zeros(features.shape[0], 1), penalty=penalty, loss=SquaredError())
        for name, _, values in terms:
            if not bool(torch.isfinite(values).all()):
                bad = int((~torch.isfinite(values)).sum())
                raise TrainingError(
                    f"fit: expected a finite residual at the start, got nan or infinity in {bad} of {values.numel()} "
                    f"values of term {name}. Check its points and divisions, or start from another network."
                )

    def _terms(self, model: Any) -> list[tuple[str, float, Tensor]]:
        return residual_terms(self.residual, model, self.weights)

    def _columns(self, model: Any) -> Iterator[Tensor]:
        # Residuals scaled such that the objective is the sum of their squares.
        for _, weight, values in self._terms(model):
            for column in values.unbind(1):
                yield column * (weight / values.numel()) ** 0.5

    @torch.no_grad()
    def evaluate(self, vector: ParameterVector) -> Evaluation:
        loss = sum(float(column.square().sum()) for column in self._columns(vector.model))
        rough = self.roughness.value(vector)
        return Evaluation(loss + rough, loss, 0.0, None)

    def restart(self, vector: ParameterVector) -> Evaluation:
        return self.evaluate(vector)

    @torch.no_grad()
    def residuals(self, model: Network) -> list[Tensor]:
        return list(self._columns(model))

    def normal_equations(self, vector: ParameterVector, evaluation: Evaluation) -> NormalEquations:
        gram = self.features.new_zeros(vector.size, vector.size)
        gradient = self.features.new_zeros(vector.size)
        probe = Probe(vector.model)
        sensitivities, residuals = [], []
        with torch.enable_grad():
            columns = list(self._columns(probe if self.is_rowwise is not False else vector.model))
        for column in columns:
            jacobian = self._jacobian(probe, vector, column)
            value = column.detach()
            gram += gram_matrix(jacobian)
            gradient.addmv_(jacobian.T, value)
            sensitivities.append(DenseSensitivity(jacobian))
            residuals.append(value)
        self.is_rowwise = self.is_rowwise is not False
        return NormalEquations(gram, gradient, sensitivities, residuals)

    def _jacobian(self, probe: Probe, vector: ParameterVector, column: Tensor) -> Tensor:
        if not column.requires_grad:
            return column.new_zeros(column.shape[0], vector.size)
        if self.is_rowwise is not False:
            jacobian = None
            if not any(layer.spec.affine_trainable for layer in vector.model.layers):
                jacobian = probe.jacobian(vector, column)
            if jacobian is not None and (self.is_rowwise or self._agrees(vector, column, jacobian)):
                return jacobian
            self.is_rowwise = False
        return dense_jacobian(vector, column)

    def _agrees(self, vector: ParameterVector, column: Tensor, jacobian: Tensor) -> bool:
        # Automatic differentiation knows of every dependence, the rowwise formula only of those within a row.
        generator = torch.Generator().manual_seed(0)
        w = torch.randn(column.shape[0], dtype=torch.float64, generator=generator).to(column)
        expected = pull(vector, column, w)
        return bool((jacobian.T @ w - expected).abs().amax() <= 1e-8 * expected.abs().amax())
