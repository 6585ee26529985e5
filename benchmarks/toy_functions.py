"""Test error and time on the five toy functions of KAN 1.0, Figure 3.1, from random starts, nothing set by hand."""

import statistics
import time

from benchmarks._timing import machine
from case_studies._results import table
from case_studies.toy_functions import TOYS, Toy
from kan2 import MultKAN

SEEDS = range(5)


def run(toy: Toy, seed: int) -> tuple[float, float]:
    """Returns test RMSE and processor seconds."""
    data = toy.draw(seed)
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
        found = [run(toy, seed) for seed in SEEDS]
        errors, seconds = [e for e, _ in found], [s for _, s in found]
        print(toy.name, [f"{e:.1e} in {s:.1f} s" for e, s in found], flush=True)
        rows.append(
            [
                toy.name,
                str(toy.width),
                str(len(SEEDS)),
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
