"""Gauss-Newton equations without the matrix, for networks with more parameters than a dense matrix serves well.

Products with J'J cost one pass over the samples; the damped equations are solved by conjugate gradients with the
diagonal as preconditioner.

Reference: Martens, Deep learning via Hessian-free optimization (2010), section 4.4 for when a solution is good enough.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from kan2.core.linalg import conjugate_gradients
from kan2.training._linearisation import Adjoints
from kan2.training.parameters import ParameterVector, Slot
from kan2.training.problem import Evaluation, Problem

LARGEST_DENSE = 4000  # parameters up to which the matrix is formed
STEPS = 100  # products for one solution
LEAST_PROGRESS = 5e-4  # mean share of the fall of the quadratic model, a product, below which a solution is good enough


def is_large(vector: ParameterVector) -> bool:
    """Whether a network has more parameters than a dense matrix serves well."""
    return vector.size > LARGEST_DENSE


class MatrixFreeEquations:
    """Half the Gauss-Newton matrix, as products with vectors, and half the gradient of an objective.

    Args:
        problem: what is minimised.
        vector: the network at the point.
        evaluation: what the problem's `evaluate` returned there.

    Attributes:
        point: (parameter,), where the matrix is that of the problem.
        gradient: (parameter,).
        diagonal: (parameter,), that of the matrix.
    """

    def __init__(self, problem: Problem, vector: ParameterVector, evaluation: Evaluation) -> None:
        self.problem, self.vector, self.evaluation = problem, vector, evaluation
        self.point = vector.read()
        self.gradient = problem.features.new_zeros(vector.size)
        self.diagonal = problem.features.new_zeros(vector.size)
        self._kept: list[Adjoints] = []
        ratios = problem.scale_slopes(vector, evaluation)
        for part, linearisation, parts in problem.linearised(vector, evaluation):
            for adjoints, z in parts:
                self.gradient += adjoints.pull(z)
                self.diagonal += adjoints.pull(torch.ones_like(z), power=2)
                if evaluation.linearisation is not None:
                    self._kept.append(adjoints)
            if ratios:
                self.gradient += problem.upstream(part, linearisation, evaluation, ratios)
        self.blocks: list[tuple[Slot, Tensor]] = []
        for slot, rise, curvature in problem.penalty_blocks(vector, evaluation, ratios):
            self.gradient[slot.part] += rise.flatten()
            self.diagonal[slot.part] += curvature.diagonal(dim1=1, dim2=2).flatten()
            self.blocks.append((slot, curvature))

    def apply(self, v: Tensor) -> Tensor:
        """Returns the product of the matrix with a vector."""
        result = torch.zeros_like(v)
        for adjoints in self._adjoints():
            result += adjoints.pull(adjoints.push(v))
        for slot, curvature in self.blocks:
            part = v[slot.part].view(curvature.shape[:2])
            result[slot.part] += torch.einsum("efg,eg->ef", curvature, part).flatten()
        return result

    def solver(self, damping: float, scale: Tensor) -> Callable[[Tensor], Tensor]:
        """Returns the map from b to an approximate solution of (matrix + damping diag(scale)) x = b."""
        shift = damping * scale
        preconditioner = (self.diagonal + shift).clamp_min(1e-300)
        return lambda b: conjugate_gradients(
            lambda v: self.apply(v) + shift * v, b, preconditioner, STEPS, LEAST_PROGRESS
        )

    def _adjoints(self) -> Iterator[Adjoints]:
        if self._kept:
            yield from self._kept
        else:
            # Several chunks: evaluated anew for each product, so that memory stays bounded. Meanwhile the network may
            # have moved to a trial point.
            present = self.vector.read()
            self.vector.write(self.point)
            try:
                for *_, parts in self.problem.linearised(self.vector, self.evaluation):
                    for adjoints, _ in parts:
                        yield adjoints
            finally:
                self.vector.write(present)
