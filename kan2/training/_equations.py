"""What Levenberg-Marquardt asks of an objective, for every network and device: values, and equations for steps.

Vectors of numbers are NumPy arrays here, in float64 on the CPU: the solver's own operations on them would cost more
than a small network in any other form. `compact` answers the same questions for small networks of splines.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kan2.core.linalg import DampedSystem
from kan2.training._matrix_free import MatrixFreeEquations, is_large
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Evaluation, NormalEquations, Problem

Solve = Callable[[np.ndarray], np.ndarray]
LEAST_DAMPING = 1e-15


class Equations(Protocol):
    """Half the Gauss-Newton matrix and half the gradient of an objective at one point.

    Attributes:
        gradient, diagonal: (parameter,), the latter that of the matrix.
        least_damping: below which the equations are not solved.
    """

    gradient: np.ndarray
    diagonal: np.ndarray
    least_damping: float

    def scaled(self, scale: np.ndarray) -> Callable[[float], Solve | None]:
        """Returns the map from damping to the map from b to the solution of (matrix + damping diag(scale)) x = b."""
        ...

    def second(self, delta: np.ndarray, far: float) -> np.ndarray | None:
        """Returns J' times the second derivative of the residuals along delta, None where it is not known.

        Args:
            delta: a step from the point.
            far: the share of it after which the derivative is measured.
        """
        ...


class Evaluator(Protocol):
    """An objective as a function of a vector of numbers."""

    def evaluate(self, numbers: np.ndarray) -> Evaluation:
        """Returns the objective; the network may be left there."""
        ...

    def equations(self, numbers: np.ndarray, evaluation: Evaluation) -> Equations:
        """Returns the equations at a point and what `evaluate` returned there; the network stands at the point."""
        ...

    def put(self, numbers: np.ndarray) -> None:
        """Puts the network there, wherever it is."""
        ...

    def read_terms(self) -> None:
        """Takes note that the problem's roughness is another one."""


class GeneralEvaluator:
    """Any network, loss and device.

    Args:
        problem: what is minimised.
        vector: the network.
    """

    def __init__(self, problem: Problem, vector: ParameterVector) -> None:
        self.problem, self.vector = problem, vector

    def evaluate(self, numbers: np.ndarray) -> Evaluation:
        self.put(numbers)
        return self.problem.evaluate(self.vector)

    def equations(self, numbers: np.ndarray, evaluation: Evaluation) -> Equations:
        if is_large(self.vector) and self.problem.has_products:
            return _MatrixFree(MatrixFreeEquations(self.problem, self.vector, evaluation))
        return _Dense(self, numbers, self.problem.normal_equations(self.vector, evaluation))

    def put(self, numbers: np.ndarray) -> None:
        self.vector.write(torch.from_numpy(numbers).to(self.vector.sizes))

    def read_terms(self) -> None:
        pass  # asked for at every evaluation


class _Dense:
    least_damping = LEAST_DAMPING

    def __init__(self, evaluator: GeneralEvaluator, numbers: np.ndarray, system: NormalEquations) -> None:
        self.evaluator, self.numbers, self.system = evaluator, numbers, system
        self.gradient, self.diagonal = array(system.gradient), array(system.gram.diagonal())

    def scaled(self, scale: np.ndarray) -> Callable[[float], Solve | None]:
        return DampedSystem(self.system.gram, scale).solver

    def second(self, delta: np.ndarray, far: float) -> np.ndarray | None:
        system, evaluator = self.system, self.evaluator
        if not system.residuals:
            return None
        evaluator.put(self.numbers + far * delta)
        along = torch.from_numpy(delta).to(system.gradient)
        force = torch.zeros_like(along)
        near = evaluator.problem.residuals(evaluator.vector.model)
        for there, here, jacobian in zip(near, system.residuals, system.sensitivities):
            force += jacobian.pull(2 / far * ((there - here) / far - jacobian.push(along)))
        return array(force)


class _MatrixFree:
    least_damping = LEAST_DAMPING

    def __init__(self, system: MatrixFreeEquations) -> None:
        self.system = system
        self.gradient, self.diagonal = array(system.gradient), array(system.diagonal)

    def scaled(self, scale: np.ndarray) -> Callable[[float], Solve | None]:
        like = self.system.gradient
        there = torch.from_numpy(scale).to(like)

        def solver(damping: float) -> Solve:
            solve = self.system.solver(damping, there)
            return lambda b: array(solve(torch.from_numpy(b).to(like)))

        return solver

    def second(self, delta: np.ndarray, far: float) -> np.ndarray | None:
        return None


def array(values: Tensor) -> np.ndarray:
    """Returns a vector of numbers as the solver takes it."""
    return values.detach().cpu().numpy()
