"""Levenberg-Marquardt on the exact layered Jacobian, with geodesic acceleration.

Each step solves (J'J + R + mu D) v = -(J'r + g), where R and g belong to the penalties and D is Marquardt's scaling,
the decaying maximum of the diagonal. The residuals' second derivative along v, taken from one more evaluation, bends
the step into a parabola, v + a/2, which follows the curved valleys that gauge freedoms of deep networks make. A step
that does not lower the objective is undone and mu grows; the better a step agrees with its model, the more mu falls.

References: Marquardt (1963), doi:10.1137/0111030; Nielsen, Damping parameter in Marquardt's method (1999); Transtrum,
Sethna, Improvements to the Levenberg-Marquardt algorithm (2012), arXiv 1201.5885.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kan2.core.network import Network
from kan2.training._matrix_free import LARGEST_DENSE, MatrixFreeEquations
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Evaluation, NormalEquations, Problem

LARGEST_DAMPING = 1e12
CALM = 1e-2  # damping above which steps are not bent
PROBE = 0.1  # how far along v the second derivative is measured
LARGEST_BEND = 1.5  # largest accepted ratio 2 |a| / |v|


class LevenbergMarquardt:
    """The state of a run; after `restart`, each `step` makes one accepted step, or finds that there is none.

    Attributes:
        model: trained in place.
        problem: what is minimised.
        damping: Marquardt's parameter mu, relative to the scaling.
        evaluation: the objective at the present point.
        message: why `step` returned False.
    """

    lowers = True

    def __init__(self, model: Network, problem: Problem, damping: float = 1e-2) -> None:
        self.model, self.problem, self.damping = model, problem, damping
        self.message = ""

    def begin_stage(self) -> None:
        """Gets ready for another grid: damping that an earlier stage ended with would make its steps too small."""
        self.damping = min(self.damping, CALM)
        self.restart()

    def finish(self) -> bool:
        """Returns False: `evaluation` is where the network is after every step."""
        return False

    def restart(self) -> None:
        """Forgets the scaling and reads the network anew, after it has changed from outside."""
        self.vector = ParameterVector(self.model)
        self.scale: Tensor | None = None
        self.evaluation: Evaluation = self.problem.restart(self.vector)

    def step(self) -> bool:
        """Makes one step that lowers the objective; returns False, the network unchanged, if there is none."""
        if not self.vector.size:
            self.message = "nothing to train"
            return False
        old, present = self.vector.read(), self.evaluation
        if self.vector.size > LARGEST_DENSE and self.problem.has_products:
            system: Any = MatrixFreeEquations(self.problem, self.vector, present)
        else:
            system = self.problem.normal_equations(self.vector, present)
        diagonal = system.diagonal.clone()
        if not bool(torch.isfinite(diagonal.sum() + system.gradient.sum())):
            self.message = "the derivatives are not finite here"
            return False
        # A parameter without influence must not get an unbounded step; influence is that of a change of its own size.
        square = self.vector.sizes.square()
        floor = 1e-12 * max(float((diagonal * square).amax()), 1e-300) / square
        diagonal = torch.maximum(diagonal, floor)
        self.scale = diagonal if self.scale is None else torch.maximum(self.scale * 0.9, diagonal)
        try:
            return self._search(old, present, system)
        except BaseException:
            # An interrupt must not leave the network at a trial point.
            self.vector.write(old)
            raise

    def _search(self, old: Tensor, present: Evaluation, system: NormalEquations | MatrixFreeEquations) -> bool:
        # Tries steps with growing damping until one lowers the objective.
        assert self.scale is not None
        growth = 2.0
        while self.damping < LARGEST_DAMPING:
            solve = system.solver(self.damping, self.scale)
            if solve is not None:
                delta = solve(-system.gradient)
                if bool((delta.abs() <= 1e-16 * old.abs()).all()):
                    break
                bend = self._bend(old, delta, system, solve)
                self.vector.write(old + delta if bend is None else old + delta + bend)
                trial = self.problem.evaluate(self.vector)
                if trial.objective < present.objective:
                    predicted = system.predicted(delta)
                    ratio = (present.objective - trial.objective) / predicted if predicted > 0 else 0.0
                    self.damping = max(self.damping * max(0.1, 1 - (2 * min(ratio, 1.0) - 1) ** 3), 1e-15)
                    self.evaluation = trial
                    return True
            self.damping *= growth
            growth *= 2
        self.vector.write(old)
        self.damping = 1e-2
        self.message = "no step lowers the loss"
        return False

    def _bend(
        self,
        old: Tensor,
        delta: Tensor,
        system: NormalEquations | MatrixFreeEquations,
        solve: Callable[[Tensor], Tensor],
    ) -> Tensor | None:
        # Half the geodesic acceleration; None where it is not known or too large to be trusted.
        # Under heavy damping the step follows the gradient, and a parabola tangent to it leads astray.
        if not system.residuals or self.damping > CALM:
            return None
        self.vector.write(old + PROBE * delta)
        force = torch.zeros_like(delta)
        for near, here, jacobian in zip(self.problem.residuals(self.model), system.residuals, system.sensitivities):
            force += jacobian.pull(2 / PROBE * ((near - here) / PROBE - jacobian.push(delta)))
        if not bool(torch.isfinite(force.sum())):
            return None
        acceleration = solve(-force)
        assert self.scale is not None
        sizes = [float((v * v * self.scale).sum()) ** 0.5 for v in (acceleration, delta)]
        return acceleration / 2 if 2 * sizes[0] <= LARGEST_BEND * sizes[1] else None

    def state(self) -> dict[str, Any]:
        """Returns what a later run needs, beside the network, to go on exactly here."""
        return {
            "damping": self.damping,
            "scale": self.scale,
            "roughness": self.problem.roughness.state(),
            "centres": self.vector.centres,
            "sizes": self.vector.sizes,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes over what `state` returned."""
        self.restart()
        self.damping, self.scale = state["damping"], state["scale"]
        self.problem.roughness.set_state(state["roughness"])
        self.vector.centres, self.vector.sizes = state["centres"], state["sizes"]
        self.evaluation = self.problem.evaluate(self.vector)
