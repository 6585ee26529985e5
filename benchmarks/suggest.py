"""Suggesting functions for all edges of a network, and drawing one: how long a notebook user waits."""

import statistics
import time

import torch

from benchmarks._timing import machine
from kan2 import MultKAN, functions, sample_function
from kan2.functions.special import SPECIAL
from kan2.symbolic.suggest import suggest_all

ELEMENTARY = [name for name in functions.BUILT_IN if name != "0"]
WHOLE = [*ELEMENTARY, *SPECIAL]


def seconds(run: object, rounds: int = 5) -> float:
    """Returns the median processor time of a callable."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()  # type: ignore[operator]
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> str:
    """Runs the measurements and returns their section."""
    torch.set_num_threads(1)
    data = sample_function("x1**2 + sin(3*x2) + x3*x4", [(-1, 1)] * 4, n=1000)
    model = MultKAN([4, 5, 1], grid=5)
    model.fit(data, steps=20)
    edges = [e.index for e in model.spec.edges()]
    start = time.process_time()
    suggest_all(model, edges, library=WHOLE)
    first = time.process_time() - start
    whole = seconds(lambda: suggest_all(model, edges, library=WHOLE))
    elementary = seconds(lambda: suggest_all(model, edges, library=ELEMENTARY))
    usual = seconds(lambda: suggest_all(model, edges))
    wide = MultKAN([4, 9, 1], grid=5)
    wide.plot(data)
    drawn = seconds(lambda: wide.plot(data))
    return (
        "## Suggesting and drawing\n\n"
        f"All {len(edges)} edges of [4,5,1], 1,000 samples: the whole library of {len(WHOLE)} functions {whole:.2f} s "
        f"({first:.1f} s the first time, when tables are made), "
        f"the {len(ELEMENTARY)} elementary ones {elementary:.2f} s, "
        f"the default library of {len(functions.DEFAULT_LIBRARY)} {usual:.2f} s. The diagram of [4,9,1] {drawn:.2f} s. "
        f"Processor seconds, medians of five. {machine()}\n"
    )
