"""How often trees of trained networks are right, and what a network gains that is wired like its tree.

Thirty Feynman equations of 3 to 5 variables, 2,000 samples each, targets exact and with 1 % noise. On 1,600 samples a
KAN and an MLP are trained as people would; the other 400, with the noise they have, are all that `convert` knows of
the error of a network. A tree is *right* when it is the tree of the equation. Where it is not, a network wired like it
shows whether the data could tell: the tree *fits no worse* when that network errs no more than the one it came from.

Reference: Z. Liu et al., KAN 2.0, arXiv:2408.10205 (2024), section 4.2.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

import kan2
import treeconv
from benchmarks.trees import as_torch, feynman, samples
from case_studies._perceptrons import descend, perceptron
from case_studies._results import table

N_EQUATIONS = 30
NOISES = (0.0, 0.01)
N_SAMPLES, N_TRAIN, N_TEST = 2000, 1600, 2000
KINDS = ("KAN", "MLP")


class Standardise(torch.nn.Module):
    """Subtracts one constant and divides by another."""

    def __init__(self, centre: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.centre, self.scale = centre, scale

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.scale


def train_mlp(x: Tensor, y: Tensor, seed: int = 0) -> torch.nn.Module:
    """An MLP as people train it: inputs and output standardised, two tanh layers of 50, Adam, then LBFGS."""
    body = perceptron([x.shape[1], 50, 50, 1], torch.nn.Tanh, seed)
    read, write = Standardise(x.mean(0), x.std(0)), Standardise(-y.mean() / y.std(), 1 / y.std())
    inputs, targets = read(x), ((y - y.mean()) / y.std())[:, None]

    def loss() -> Tensor:
        return (body(inputs) - targets).square().mean()

    descend(torch.optim.Adam(body.parameters(), lr=1e-2), loss, steps=200)
    lbfgs = torch.optim.LBFGS(body.parameters(), max_iter=300, history_size=30, line_search_fn="strong_wolfe")
    descend(lbfgs, loss)
    return torch.nn.Sequential(read, body, write)


@dataclass(frozen=True)
class Outcome:
    """One network: its error, its tree, and the network wired like the tree."""

    equation: str
    noise: float
    kind: str
    error: float
    is_right: bool
    informed_error: float
    plain_error: float

    @property
    def fits(self) -> bool:
        """Whether the tree is right, or a network wired like it errs no more than the one it came from."""
        return self.is_right or self.informed_error <= self.error


def study(name: str, expression: Any, box: dict[str, tuple[float, float]], noise: float) -> list[Outcome]:
    """Trains the networks of one equation once and returns what their trees are worth."""
    names, law = list(box), as_torch(expression, list(box))
    truth = treeconv.structure(treeconv.convert(law, samples(box), names))
    x, fresh = torch.tensor(samples(box, N_SAMPLES, seed=1)), torch.tensor(samples(box, N_TEST, seed=2))
    clean, wanted = law(x), law(fresh)
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    y = clean + noise * clean.std() * torch.randn(len(x), generator=generator, dtype=torch.float64)
    train, held = (x[:N_TRAIN], y[:N_TRAIN]), (x[N_TRAIN:], y[N_TRAIN:])

    def error(model: Any) -> float:
        with torch.no_grad():
            return float((model(fresh).reshape(-1) - wanted).square().mean().sqrt() / wanted.std())

    plain = kan2.MultKAN([len(names), 2 * len(names) + 1, 1], grid=5, inputs=names, seed=0)
    plain.fit(train, steps=20)
    informed: dict[Any, float] = {}
    outcomes = []
    for kind, model in zip(KINDS, (plain, train_mlp(*train))):
        tree = treeconv.convert(model, held[0], names, y=held[1])
        found = treeconv.structure(tree)
        if found not in informed:
            wired = kan2.from_tree(tree)
            wired.fit(train, grids=[5, 15], steps=15, restarts=4, validation=held)
            informed[found] = error(wired)
        outcomes.append(Outcome(name, noise, kind, error(model), found == truth, informed[found], error(plain)))
    return outcomes


def trained(n_equations: int = N_EQUATIONS) -> list[Outcome]:
    """Studies every other equation of 3 to 5 variables, in the order of the table, and reports each to stderr."""
    chosen = [row for row in feynman() if 3 <= len(row[2]) <= 5][::2][:n_equations]
    outcomes: list[Outcome] = []
    start = time.process_time()
    for name, expression, box in chosen:
        for noise in NOISES:
            for one in study(name, expression, box, noise):
                verdict = "right" if one.is_right else "fits no worse" if one.fits else "WRONG"
                errors = f"{one.kind} errs {one.error:.1e}, wired like its tree {one.informed_error:.1e}"
                clock = f"{time.process_time() - start:4.0f} s"
                print(f"{clock}  {name:9s} noise {noise:.0%}  {errors}: {verdict}", file=sys.stderr, flush=True)
                outcomes.append(one)
    return outcomes


def main() -> str:
    """Trains the networks and returns the section of the results."""
    outcomes = trained()
    n = len({one.equation for one in outcomes})
    trees, gains = [], []
    for noise, kind in product(NOISES, KINDS):
        part = [one for one in outcomes if (one.noise, one.kind) == (noise, kind)]
        others = ", ".join(one.equation for one in part if not one.fits) or "none"
        right, fit = sum(one.is_right for one in part), sum(one.fits for one in part)
        median = np.median([one.error for one in part])
        trees.append([f"{noise:.0%}", kind, f"{median:.1e}", f"{right} of {n}", f"{fit} of {n}", others])
        ratios = np.array([one.informed_error / one.plain_error for one in part])
        low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
        spread = [f"{middle:.2g}", f"{low:.2g} to {high:.2g}", f"{ratios.max():.2g}"]
        gains.append([f"{noise:.0%}", kind, *spread, f"{int(np.sum(ratios < 1))} of {n}"])
    return (
        "## Trees of trained networks\n\n"
        f"{n} AI-Feynman equations of 3 to 5 variables, {N_TRAIN:,} training samples; a KAN (n, 2n + 1, 1) with 5 "
        "grid intervals and an MLP of 50 + 50 tanh units. All that is known of their errors comes from "
        f"{N_SAMPLES - N_TRAIN} more samples of the same noise. A tree fits no worse when a network wired like it "
        "errs no more than the network it came from. Errors are root mean squares on clean samples over the law's "
        "spread.\n\n"
        f"{table(['noise', 'network', 'median error', 'right trees', 'right, or fits no worse', 'others'], trees)}\n\n"
        "Test error of the network wired like the tree, trained on grids 5 and 15, over that of the plain KAN:\n\n"
        f"{table(['noise', 'tree from', 'median', 'quartiles', 'worst', 'better in'], gains)}\n"
    )


if __name__ == "__main__":
    print(main())
