"""The MLP that studies hold a KAN against: several depths, widths and optimisers, the best by validation.

Inputs and targets are standardised, numbers are float64, and the *budget* is processor time, the same as the KAN had.
Half of it goes into trying the candidates on four fifths of the samples; the one with the lowest error on the last
fifth is trained with the other half on all samples. LBFGS and Adam are torch's. "LM" is Levenberg-Marquardt, which
trains the KAN by default: with it, a difference is one of networks alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from case_studies._judging import rmse
from case_studies._perceptrons import descend, levenberg_marquardt, perceptron, state_of

Point = tuple[int, float]
"""Parameters, test RMSE."""


@dataclass(frozen=True)
class Candidate:
    """What is tried: hidden layers, activation ("tanh" or "silu"), optimiser ("LBFGS", "Adam" or "LM")."""

    hidden: tuple[int, ...]
    activation: str = "tanh"
    opt: str = "LBFGS"

    def __str__(self) -> str:
        return f"MLP {list(self.hidden)}, {self.activation}, {self.opt}"


CANDIDATES = (
    Candidate((20, 20), "tanh", "LBFGS"),
    Candidate((50, 50), "silu", "LBFGS"),
    Candidate((50, 50), "tanh", "Adam"),
    Candidate((10, 10), "tanh", "LM"),
    Candidate((10, 10), "silu", "LM"),
    Candidate((12, 12, 12), "tanh", "LM"),
)


class MLP:
    """A perceptron with its scales, trained piece by piece.

    Attributes:
        candidate: what it is.
        seconds: processor time spent on it so far.
    """

    def __init__(self, candidate: Candidate, x: np.ndarray, y: np.ndarray, seed: int = 0) -> None:
        self.candidate, self.seconds, self.damping = candidate, 0.0, 1e-2
        activation = nn.Tanh if candidate.activation == "tanh" else nn.SiLU
        self.net = perceptron([x.shape[1], *candidate.hidden, 1], activation, seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.shift, self.scale = x.mean(0), x.std(0) + 1e-300
        self.mean, self.spread = y.mean(), y.std() + 1e-300
        self.optimiser: torch.optim.Optimizer | None = None

    @property
    def n_parameters(self) -> int:
        """Returns the count of numbers that are trained."""
        return sum(p.numel() for p in self.net.parameters())

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns (batch,) predictions."""
        with torch.no_grad():
            out = self.net(self._read(x))[:, 0]
        return out.numpy() * self.spread + self.mean

    def train(self, x: np.ndarray, y: np.ndarray, seconds: float) -> None:
        """Goes on for so much processor time on (batch, input), (batch,) samples."""
        inputs, targets = self._read(x), torch.as_tensor((y - self.mean) / self.spread)
        start = time.process_time()
        step = {"LBFGS": self._lbfgs, "Adam": self._adam, "LM": self._levenberg_marquardt}[self.candidate.opt]
        self.optimiser = None  # the samples may be others than before
        while (elapsed := time.process_time() - start) < seconds:
            if not step(inputs, targets, elapsed / seconds):
                break
        self.seconds += time.process_time() - start

    def _read(self, x: np.ndarray) -> Tensor:
        return torch.as_tensor((x - self.shift) / self.scale)

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.net(x)[:, 0] - y).square().mean()

    def _lbfgs(self, x: Tensor, y: Tensor, share: float) -> bool:
        if self.optimiser is None:
            self.optimiser = torch.optim.LBFGS(
                self.net.parameters(),
                max_iter=20,
                history_size=50,
                tolerance_grad=0,
                tolerance_change=0,
                line_search_fn="strong_wolfe",
            )
        return bool(torch.isfinite(descend(self.optimiser, lambda: self._loss(x, y))))

    def _adam(self, x: Tensor, y: Tensor, share: float) -> bool:
        if self.optimiser is None:
            self.optimiser = torch.optim.Adam(self.net.parameters())
        for group in self.optimiser.param_groups:
            group["lr"] = 1e-2 * 1e-3**share
        for rows in torch.randperm(len(x), generator=self.generator).split(256):
            descend(self.optimiser, lambda rows=rows: self._loss(x[rows], y[rows]))
        return True

    def _levenberg_marquardt(self, x: Tensor, y: Tensor, share: float) -> bool:
        def output(vector: Tensor, x: Tensor) -> Tensor:
            return functional_call(self.net, state_of(self.net, vector), x)[:, 0]

        row = vmap(grad(lambda vector, point: output(vector, point[None])[0]), in_dims=(None, 0))
        vector, self.damping, moved = levenberg_marquardt(
            parameters_to_vector(self.net.parameters()).detach(),
            lambda vector: output(vector, x) - y,
            lambda vector: row(vector, x),
            self.damping,
        )
        vector_to_parameters(vector, self.net.parameters())
        return moved


def tuned_mlp(
    x: np.ndarray, y: np.ndarray, seconds: float, seed: int = 0, candidates: Sequence[Candidate] = CANDIDATES
) -> tuple[MLP, list[MLP]]:
    """Trains candidates within a budget of processor time; returns the best, and all.

    Args:
        x: (batch, input) samples.
        y: (batch,) targets.
        seconds: processor time for all of it.
        seed: of the starts and of the fifth that is held out.
        candidates: what is tried.
    """
    held = np.random.default_rng(seed).permutation(len(x)) < len(x) // 5
    tried = [MLP(candidate, x, y, seed) for candidate in candidates]
    for mlp in tried:
        mlp.train(x[~held], y[~held], seconds / 2 / len(tried))
    best = min(tried, key=lambda mlp: rmse(mlp.predict(x[held]), y[held]))
    best.train(x, y, seconds / 2)
    return best, tried


def front(points: Sequence[Point]) -> list[Point]:
    """Returns the points that no other beats with as few parameters, by their count."""
    kept: list[Point] = []
    for point in sorted(points):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept
