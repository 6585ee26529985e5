"""The five toy functions of KAN 1.0, Figure 3.1, from random starts: no edge is touched by hand."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.special import j0
from torch import Tensor

from benchmarks._timing import machine, table
from kan2 import MultKAN, sample_function


@dataclass(frozen=True)
class Toy:
    """One function with its network and its staircase."""

    name: str
    f: Callable[[Tensor], Tensor]
    width: list[int]
    n: int
    grids: list[int]
    restarts: int = 1
    steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


def _four(x: Tensor) -> Tensor:
    a, b = x[:, 0] ** 2 + x[:, 1] ** 2, x[:, 2] ** 2 + x[:, 3] ** 2
    return torch.exp((torch.sin(torch.pi * a) + torch.sin(torch.pi * b)) / 2)


TOYS = [
    Toy(
        "J0(20x)",
        # SciPy's J0: torch.special.bessel_j0 is off by up to 4e-7.
        lambda x: torch.from_numpy(j0(20 * x[:, 0].numpy())),
        [1, 1],
        3000,
        [5, 10, 20, 50, 100, 200, 500],
    ),
    Toy(
        "exp(sin(pi x) + y^2)",
        lambda x: torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2),
        [2, 1, 1],
        3000,
        [3, 5, 10, 20, 50, 100, 200],
    ),
    Toy("x y", lambda x: x[:, 0] * x[:, 1], [2, 2, 1], 3000, [3, 10]),
    Toy("exp((sin(pi r1^2) + sin(pi r2^2))/2)", _four, [4, 2, 1, 1], 5000, [3, 5, 10, 20, 50], restarts=24, steps=60),
    Toy(
        "exp(mean of 100 sin^2(pi x_i/2))",
        lambda x: torch.exp(torch.sin(torch.pi * x / 2).square().mean(1)),
        [100, 1, 1],
        6000,
        [3, 10, 20],
    ),
]


def run(toy: Toy, seed: int) -> tuple[float, float]:
    """Returns test RMSE and processor seconds."""
    data = sample_function(toy.f, [(-1, 1)] * toy.width[0], n=toy.n, n_test=2000, seed=seed)
    start = time.process_time()
    history = MultKAN(toy.width, grid=toy.grids[0], seed=seed).fit(
        data, grids=toy.grids, restarts=toy.restarts, steps=toy.steps, seed=seed
    )
    assert history.test_rmse is not None
    return history.test_rmse, time.process_time() - start


def main() -> str:
    """Runs the comparison and returns its section."""
    rows = []
    for toy in TOYS:
        found = [run(toy, seed) for seed in toy.seeds]
        errors, seconds = [e for e, _ in found], [s for _, s in found]
        print(toy.name, [f"{e:.1e} in {s:.1f} s" for e, s in found], flush=True)
        rows.append(
            [
                toy.name,
                str(toy.width),
                str(len(toy.seeds)),
                f"{toy.grids[0]} to {toy.grids[-1]}",
                f"{statistics.median(errors):.1e}",
                f"{max(errors):.1e}",
                f"{statistics.median(seconds):.1f}",
                f"{max(seconds):.1f}",
            ]
        )
    header = [
        "function",
        "width",
        "starts",
        "grids",
        "median test RMSE",
        "worst test RMSE",
        "median seconds",
        "longest",
    ]
    return (
        "## Toy functions of KAN 1.0, Figure 3.1\n\n"
        f"Random starts, uniform samples of [-1, 1]^d, processor seconds. {machine()}\n\n"
        f"{table(header, rows)}\n"
    )
