"""Levenberg-Marquardt on the exact layered Jacobian.

Minimises mean((f(x) - y)^2) + penalty. Each step solves (J'J + R + mu D) delta = -(J'r + gradient of the penalty), with
Marquardt's scaling D, the largest diagonal seen so far, and R the curvature of a quadratic that touches the penalty
from above. A step that does not lower the objective is undone and mu grows; a good step lowers mu. J'J is accumulated
in chunks of samples, so memory does not grow with their number.

References: Marquardt (1963), doi:10.1137/0111030; Nielsen, Damping parameter in Marquardt's method (1999).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.linalg import solve_damped
from kan2.network import MultKAN
from kan2.penalties import Penalty, edge_scales, feature_covariance
from kan2.training.parameters import ParameterVector

CHUNK_ENTRIES = 4_000_000  # numbers of the Jacobian held at once


@dataclass(frozen=True)
class Problem:
    """What is minimised: weighted mean squares over samples and outputs, plus a penalty.

    Attributes:
        features: (batch, feature) samples as the first layer reads them.
        y: (batch, output) targets.
        weight: (batch, output) non-negative weights with mean 1, or None.
        penalty: the sparsity penalty.
    """

    features: Float[Tensor, "batch feature"]
    y: Float[Tensor, "batch output"]
    weight: Float[Tensor, "batch output"] | None = None
    penalty: Penalty = Penalty()

    @torch.no_grad()
    def evaluate(self, model: MultKAN) -> tuple[float, float, float]:
        """Returns the objective, the mean square and the penalty."""
        nodes, scales = self.features, []
        for layer in model.layers:
            if self.penalty.lamb and layer.numeric is not None:
                scales.append(edge_scales(layer.numeric, feature_covariance(layer.numeric.features(nodes))))
            nodes = layer(nodes)
        square = (nodes - self.y) ** 2
        mean = float((square if self.weight is None else square * self.weight).mean())
        penalty = float(self.penalty(scales)) if scales else 0.0
        return mean + penalty, mean, penalty

    def normal_equations(self, model: MultKAN, vector: ParameterVector) -> tuple[Tensor, Tensor]:
        """Returns J'J and J'r, both divided by the number of residuals, with the penalty's share added."""
        gram = self.y.new_zeros(vector.size, vector.size)
        gradient = self.y.new_zeros(vector.size)
        n = self.features.shape[0]
        rows = max(1, CHUNK_ENTRIES // max(1, vector.size))
        covariances: list[Tensor | None] = [None] * len(model.layers)
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            output, jacobians, bases = vector.linearise(self.features[part])
            for i, jacobian in enumerate(jacobians):
                residual = output[:, i] - self.y[part, i]
                if self.weight is not None:
                    root = self.weight[part, i].sqrt()
                    jacobian, residual = jacobian * root[:, None], residual * root
                gram.addmm_(jacobian.T, jacobian, alpha=1 / self.y.numel())
                gradient.addmv_(jacobian.T, residual, alpha=1 / self.y.numel())
            if self.penalty.lamb:
                share = bases[0].shape[0] / n if bases[0] is not None else 1.0
                for i, basis in enumerate(bases):
                    if basis is not None:
                        c = share * feature_covariance(basis)
                        covariances[i] = c if covariances[i] is None else covariances[i] + c
        if self.penalty.lamb:
            self._add_penalty(model, vector, covariances, gram, gradient)
        return gram, gradient

    def _add_penalty(
        self, model: MultKAN, vector: ParameterVector, covariances: list[Tensor | None], gram: Tensor, gradient: Tensor
    ) -> None:
        slots = [s for s in vector.slots if s.kind == "weight"]
        with torch.no_grad():
            scales = [edge_scales(model.layers[s.layer].numeric, covariances[s.layer]) for s in slots]
        scales = [s.requires_grad_() for s in scales]
        slopes = torch.autograd.grad(self.penalty(scales), scales) if scales else ()
        for slot, scale, slope in zip(slots, scales, slopes):
            target, source = vector.pairs[slot.layer].T
            covariance = covariances[slot.layer][source]
            scale, slope = scale.detach()[target, source], slope[target, source]
            weight = model.layers[slot.layer].numeric.weight.detach()[target, source]
            n_edges, n_features = weight.shape
            # The objective has no factor 1/2, J'J and J'r stand for half its derivatives: so does this share.
            block = gradient[slot.start : slot.stop].view(n_edges, n_features)
            block += 0.5 * (slope / scale)[:, None] * torch.einsum("efg,eg->ef", covariance, weight)
            # Curvature of the quadratic in the weights that touches the penalty at this scale from above.
            curvature = 0.5 * (slope.clamp_min(0) / scale)[:, None, None] * covariance
            rows = torch.arange(slot.start, slot.stop, device=gram.device).view(n_edges, n_features)
            gram[rows[:, :, None], rows[:, None, :]] += curvature


@dataclass
class LevenbergMarquardt:
    """The state of a run; `step` makes one accepted step, or finds that there is none.

    Attributes:
        model: trained in place.
        problem: what is minimised.
        damping: Marquardt's parameter mu, relative to the scaling.
        objective: the present value.
    """

    model: MultKAN
    problem: Problem
    damping: float = 1e-2
    objective: float = float("inf")

    def restart(self) -> None:
        """Forgets the scaling and reads the parameters anew, after the model has changed from outside."""
        self.vector = ParameterVector(self.model)
        self.scale: Tensor | None = None
        self.objective, self.mean_square, self.penalty = self.problem.evaluate(self.model)

    def step(self, max_tries: int = 12) -> bool:
        """Makes one step that lowers the objective; returns False, the model unchanged, if there is none."""
        old = self.vector.read()
        gram, gradient = self.problem.normal_equations(self.model, self.vector)
        if not bool(torch.isfinite(gram).all() and torch.isfinite(gradient).all()):
            return False
        diagonal = gram.diagonal().clone()
        # A parameter without influence must not get an unbounded step.
        diagonal = diagonal.clamp_min(1e-12 * max(float(diagonal.amax()), 1e-300))
        self.scale = diagonal if self.scale is None else torch.maximum(self.scale * 0.9, diagonal)
        growth = 2.0
        for _ in range(max_tries):
            delta = solve_damped(gram, -gradient, self.damping, self.scale)
            self.vector.write(old + delta)
            objective, mean_square, penalty = self.problem.evaluate(self.model)
            if objective < self.objective:
                predicted = -float(2 * gradient @ delta + delta @ (gram @ delta))
                ratio = (self.objective - objective) / predicted if predicted > 0 else 0.0
                self.damping = max(self.damping * max(1 / 10, 1 - (2 * min(ratio, 1.0) - 1) ** 3), 1e-15)
                self.objective, self.mean_square, self.penalty = objective, mean_square, penalty
                return True
            self.damping *= growth
            growth *= 2
        self.vector.write(old)
        return False


def run(
    solver: LevenbergMarquardt,
    steps: int,
    after_step: Callable[[int], None],
    *,
    tolerance: float = 1e-5,
    window: int = 10,
) -> str:
    """Makes up to `steps` steps and says why it stopped.

    Args:
        solver: restarted and ready.
        steps: largest number of accepted steps.
        after_step: called with the step's number after each; it may move grids and restart the solver.
        tolerance: stop when the objective fell by less than this share over `window` steps.
        window: see tolerance.
    """
    trail = [solver.objective]
    for step in range(1, steps + 1):
        if not solver.step():
            return "no step lowers the loss"
        after_step(step)
        trail.append(solver.objective)
        if solver.objective == 0:
            return "the loss is zero"
        if len(trail) > window and trail[-1 - window] - trail[-1] < tolerance * trail[-1 - window]:
            return "converged"
    return "reached the number of steps"
