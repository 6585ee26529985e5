"""Levenberg-Marquardt on the exact layered Jacobian, with geodesic acceleration.

Each step solves (J'J + R + mu D) v = -(J'r + g), where R and g belong to the penalties and D is Marquardt's scaling,
the decaying maximum of the diagonal. The residuals' second derivative along v, taken from one more evaluation, bends
the step into a parabola, v + a/2, which follows the curved valleys that gauge freedoms of deep networks make. A step
that does not lower the objective is undone and mu grows; the better a step agrees with its model, the more mu falls.

References: Marquardt (1963), doi:10.1137/0111030; Nielsen, Damping parameter in Marquardt's method (1999); Transtrum,
Sethna, Improvements to the Levenberg-Marquardt algorithm (2012), arXiv 1201.5885.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kan2.core.network import Network
from kan2.training._equations import LEAST_DAMPING, Equations, Evaluator, GeneralEvaluator, Solve, array
from kan2.training.compact.equations import CompactEvaluator
from kan2.training.compact.evaluator import can_compact
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Evaluation, Problem

LARGEST_DAMPING = 1e12
CALM = 1e-2  # damping above which steps are not bent
PROBE = 0.1  # how far along v the second derivative is measured
# Largest accepted ratio 2 |a| / |v|. The bend pays for its evaluation: on [2, 5, 1] and asin(x1 sin(x2)) 400 steps end
# at 2e-6 with it and at 4e-6 without, on [2, 2, 1] and x1 x2 at 1e-14 and at 1e-8.
LARGEST_BEND = 1.5
QUIETLY = np.errstate(all="ignore")  # a trial step may overflow; it is refused then


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

    @QUIETLY
    def restart(self) -> None:
        """Forgets the scaling and reads the network anew, after it has changed from outside."""
        self.vector = ParameterVector(self.model)
        self.scale: np.ndarray | None = None
        self._numbers = array(self.vector.read())
        self._evaluator: Evaluator
        self.evaluation: Evaluation
        if can_compact(self.problem, self.vector):
            self._evaluator = compact = CompactEvaluator(self.problem, self.vector)
            compact.measure(self._numbers)
            self.evaluation = compact.evaluate(self._numbers)
        else:
            self.evaluation = self.problem.restart(self.vector)
            self._evaluator = GeneralEvaluator(self.problem, self.vector)
            self._numbers = array(self.vector.read())
        self._squared_sizes = array(self.vector.sizes) ** 2

    @QUIETLY
    def step(self) -> bool:
        """Makes one step that lowers the objective; returns False, the network unchanged, if there is none."""
        if not self.vector.size:
            self.message = "nothing to train"
            return False
        system = self._evaluator.equations(self._numbers, self.evaluation)
        diagonal = system.diagonal
        if not math.isfinite(diagonal.sum() + system.gradient.sum()):
            self.message = "the derivatives are not finite here"
            return False
        # A parameter without influence must not get an unbounded step; influence is that of a change of its own size.
        floor = 1e-12 * max(float((diagonal * self._squared_sizes).max()), 1e-300) / self._squared_sizes
        diagonal = np.maximum(diagonal, floor)
        self.scale = diagonal if self.scale is None else np.maximum(self.scale * 0.9, diagonal)
        try:
            return self._search(system, self.scale)
        except BaseException:
            # An interrupt must not leave the network at a trial point.
            self._evaluator.put(self._numbers)
            raise

    def _search(self, system: Equations, scale: np.ndarray) -> bool:
        # Tries steps with growing damping until one lowers the objective.
        growth, gradient, old, present = 2.0, system.gradient, self._numbers, self.evaluation.objective
        damped, self.damping = system.scaled(scale), max(self.damping, system.least_damping)
        while self.damping < LARGEST_DAMPING:
            solve = damped(self.damping)
            if solve is not None:
                delta = solve(-gradient)
                if (np.abs(delta) <= 1e-16 * np.abs(old)).all():
                    break
                bend = self._bend(system, scale, delta, solve)
                numbers = old + delta if bend is None else old + delta + bend
                trial = self._evaluator.evaluate(numbers)
                if trial.objective < present:
                    # What the quadratic model says: -2 g'v - v' J'J v, by the equations that v solves.
                    predicted = self.damping * float(delta @ (scale * delta)) - float(gradient @ delta)
                    ratio = (present - trial.objective) / predicted if predicted > 0 else 0.0
                    self.damping = max(self.damping * max(0.1, 1 - (2 * min(ratio, 1.0) - 1) ** 3), LEAST_DAMPING)
                    self._numbers, self.evaluation = numbers, trial
                    self._evaluator.put(numbers)
                    return True
            self.damping *= growth
            growth *= 2
        self._evaluator.put(old)
        self.damping = 1e-2
        self.message = "no step lowers the loss"
        return False

    def _bend(self, system: Equations, scale: np.ndarray, delta: np.ndarray, solve: Solve) -> np.ndarray | None:
        # Half the geodesic acceleration; None where it is not known or too large to be trusted.
        # Under heavy damping the step follows the gradient, and a parabola tangent to it leads astray.
        if self.damping > CALM:
            return None
        force = system.second(delta, PROBE)
        if force is None or not math.isfinite(force.sum()):
            return None
        acceleration = solve(-force)
        sizes = [math.sqrt(v @ (scale * v)) for v in (acceleration, delta)]
        return acceleration / 2 if 2 * sizes[0] <= LARGEST_BEND * sizes[1] else None

    def state(self) -> dict[str, Any]:
        """Returns what a later run needs, beside the network, to go on exactly here."""
        return {
            "damping": self.damping,
            "scale": None if self.scale is None else torch.from_numpy(self.scale),
            "roughness": self.problem.roughness.state(),
            "centres": self.vector.centres,
            "sizes": self.vector.sizes,
        }

    @QUIETLY
    def set_state(self, state: dict[str, Any]) -> None:
        """Takes over what `state` returned."""
        self.restart()
        scale: Tensor | None = state["scale"]
        self.damping, self.scale = state["damping"], None if scale is None else array(scale)
        self.problem.roughness.set_state(state["roughness"])
        self.vector.centres, self.vector.sizes = state["centres"], state["sizes"]
        self._numbers, self._squared_sizes = array(self.vector.read()), array(self.vector.sizes) ** 2
        self._evaluator.read_terms()
        self.evaluation = self._evaluator.evaluate(self._numbers)
