"""Multilayer perceptrons that stand beside KANs: how they are made, and how they are trained.

Reference: Marquardt, An algorithm for least-squares estimation of nonlinear parameters, J. SIAM 11, 431 (1963).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

TRIES = 12  # dampings that a step of Levenberg-Marquardt tries
LEAST_DAMPING = 1e-15


def perceptron(sizes: Sequence[int], activation: Callable[[], nn.Module], seed: int) -> nn.Sequential:
    """Returns an MLP in float64 with the weights that torch draws for a seed.

    Args:
        sizes: numbers of nodes, inputs first.
        activation: what stands between the linear maps.
        seed: of the weights; torch's own generator stays as it is.

    Example:
        >>> perceptron([2, 3, 1], nn.Tanh, seed=0)(torch.zeros(5, 2, dtype=torch.float64)).shape
        torch.Size([5, 1])
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*parts[:-1]).double()


def state_of(module: nn.Module, vector: Tensor) -> dict[str, Tensor]:
    """Returns the parameters of a module by name, read off one vector, for `torch.func.functional_call`."""
    names, shapes = zip(*((name, p.shape) for name, p in module.named_parameters()))
    parts = vector.split([shape.numel() for shape in shapes])
    return {name: part.reshape(shape) for name, part, shape in zip(names, parts, shapes)}


def descend(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor], steps: int = 1) -> Tensor:
    """Takes steps of one of torch's optimisers; returns the loss before the last one."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    last = torch.tensor(float("nan"))
    for _ in range(steps):
        last = torch.as_tensor(optimizer.step(closure))  # type: ignore[arg-type]
    return last.detach()


@torch.no_grad()
def levenberg_marquardt(
    vector: Tensor,
    residual: Callable[[Tensor], Tensor],
    jacobian: Callable[[Tensor], Tensor],
    damping: float,
    least_diagonal: float | None = None,
) -> tuple[Tensor, float, bool]:
    """Takes one step towards the least sum of squares, damped as much as it takes to go down.

    Args:
        vector: (parameter,) where the step begins.
        residual: maps a vector to (row,) residuals.
        jacobian: maps a vector to their (row, parameter) derivatives.
        damping: share of the diagonal of J'J that is added to it at first, above 0.
        least_diagonal: what the diagonal has at least where it is damped, for parameters on which no residual
            depends; by default 1e-12 of its largest entry.

    Returns:
        the new vector, the damping to begin the next step with, and whether the step went down. Where no damping
        does, the vector stays as it is.
    """
    j, r = jacobian(vector), residual(vector)
    before, normal, gradient = r.square().sum(), j.T @ j, j.T @ r
    diagonal = normal.diagonal()
    least = 1e-12 * diagonal.max() if least_diagonal is None else least_diagonal
    for _ in range(TRIES):
        change, failed = torch.linalg.solve_ex(normal + damping * torch.diag(diagonal + least), gradient)
        if not failed:
            trial = vector - change
            if residual(trial).square().sum() < before:
                return trial, max(damping / 5, LEAST_DAMPING), True
        damping *= 4
    return vector, damping, False
