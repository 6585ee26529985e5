"""Time to suggest functions for all edges of a network, and to draw one: how long a notebook user waits."""

import statistics
from collections.abc import Callable

import torch

from benchmarks._timing import machine, process_seconds
from kan2 import MultKAN, functions, sample_function
from kan2.symbolic.suggest import suggest_all

ELEMENTARY = [name for name in functions.ELEMENTARY_ROWS if name != "0"]
WHOLE = [name for name in functions.BUILT_IN if name != "0"]


def median_seconds(run: Callable[[], object]) -> float:
    """Returns the median processor time of five runs."""
    return statistics.median(process_seconds(run) for _ in range(5))


def main() -> str:
    """Runs the measurements and returns their section."""
    torch.set_num_threads(1)
    data = sample_function("x1**2 + sin(3*x2) + x3*x4", [(-1, 1)] * 4, n=1000)
    model = MultKAN([4, 5, 1], grid=5)
    model.fit(data, steps=20)
    edges = [e.index for e in model.spec.edges()]
    first = process_seconds(lambda: suggest_all(model, edges, library=WHOLE))
    whole = median_seconds(lambda: suggest_all(model, edges, library=WHOLE))
    elementary = median_seconds(lambda: suggest_all(model, edges, library=ELEMENTARY))
    usual = median_seconds(lambda: suggest_all(model, edges))
    wide = MultKAN([4, 9, 1], grid=5)
    wide.plot(data)
    drawn = median_seconds(lambda: wide.plot(data))
    return (
        "## Suggesting and drawing\n\n"
        f"All {len(edges)} edges of [4,5,1], 1,000 samples: the whole library of {len(WHOLE)} functions {whole:.2f} s "
        f"({first:.1f} s the first time, when tables are made), "
        f"the {len(ELEMENTARY)} elementary ones {elementary:.2f} s, "
        f"the default library of {len(functions.DEFAULT_LIBRARY)} {usual:.2f} s. The diagram of [4,9,1] {drawn:.2f} s. "
        f"Processor seconds, medians of five. {machine()}\n"
    )
