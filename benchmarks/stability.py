"""How often training fails: ten functions, ten random starts, two precisions, two sample sizes; 400 fits in all.

Counted are runs that raise an exception, numbers that are not finite, and runs that reach 1e-4 of the deviation of the
targets. pykan is not run: it takes minutes for each of the functions here.
"""

import time
import warnings

import torch

from benchmarks._timing import machine
from case_studies._results import table
from kan2 import MultKAN, sample_function

FUNCTIONS = {
    "x*y": 1.0,
    "exp(sin(pi*x) + y**2)": 1.0,
    "sin(pi*x) + y**2": 1.0,
    "(x + y)/(1 + x*y)": 0.9,
    "sqrt(1 + x**2 + y**2)": 1.0,
    "exp(-x**2 - y**2)": 1.0,
    "x/(1 + y**2)": 1.0,
    "log(2.5 + x + y)": 1.0,
    "tanh(3*x + y)": 1.0,
    "1/(1 + 25*x**2) + y": 1.0,
}
SEEDS = range(10)
TYPES = {"float32": torch.float32, "float64": torch.float64}
SAMPLES = (100, 1000)
WIDTH = [2, 2, 1]
GRIDS = {100: [3, 5], 1000: [3, 10, 20]}
STEPS = 30
GOAL = 1e-4  # of the standard deviation of the targets


def run(expression: str, limit: float, dtype: torch.dtype, n: int, seed: int) -> tuple[float, float]:
    """Returns training and test RMSE over the standard deviation of the training targets; raises what `fit` raises."""
    data = sample_function(expression, {"x": (-limit, limit), "y": (-limit, limit)}, n=n, n_test=1000, seed=seed)
    model = MultKAN(WIDTH, grid=GRIDS[n][0], seed=seed, dtype=dtype)
    model.fit(data, grids=GRIDS[n], steps=STEPS)
    spread = float(data.y.std())
    assert data.X_test is not None
    assert data.y_test is not None
    with torch.no_grad():
        train, test = (
            float((model(x.to(dtype)).double() - y.double()).square().mean().sqrt()) / spread
            for x, y in ((data.X, data.y), (data.X_test, data.y_test))
        )
    return train, test


def main() -> str:
    """Runs the matrix and returns its section."""
    torch.set_num_threads(1)
    rows, n_errors, n_bad = [], 0, 0
    totals = {(name, n): 0 for name in TYPES for n in SAMPLES}
    start = time.process_time()
    for expression, limit in FUNCTIONS.items():
        cells = []
        for name, dtype in TYPES.items():
            for n in SAMPLES:
                good = [0, 0]
                for seed in SEEDS:
                    try:
                        with warnings.catch_warnings():
                            warnings.simplefilter("error")
                            errors = run(expression, limit, dtype, n, seed)
                    except Exception as error:
                        print(expression, name, n, seed, repr(error), flush=True)
                        n_errors += 1
                        continue
                    n_bad += sum(error != error or error == float("inf") for error in errors)
                    good = [count + (error <= GOAL) for count, error in zip(good, errors)]
                totals[name, n] += good[0]
                cells.append(f"{good[0]} / {good[1]}")
        rows.append([f"`{expression}`", *cells])
        print(rows[-1], f"{time.process_time() - start:.0f} s", flush=True)
    count = len(FUNCTIONS) * len(SEEDS)
    shares = "; ".join(f"{name}, {n:,} samples: {100 * total / count:.0f} %" for (name, n), total in totals.items())
    grids = "; ".join(f"{', '.join(map(str, stages))} for {n:,} samples" for n, stages in GRIDS.items())
    return (
        "## Stability of training\n\n"
        f"{len(FUNCTIONS)} functions, {WIDTH}, {len(SEEDS)} random starts, no restarts, at most {STEPS} steps on each "
        f"grid ({grids}); {4 * count} fits in {time.process_time() - start:.0f} processor seconds. Of {len(SEEDS)} "
        "runs, how many reach 1e-4 of the deviation of the targets on training samples / on test samples. "
        f"{machine()}\n\n"
        f"{table(['function', *[f'{name}, {n:,} samples' for name in TYPES for n in SAMPLES]], rows)}\n\n"
        f"Exceptions or warnings: {n_errors}; errors that are not finite: {n_bad}. On training samples: {shares}.\n"
    )
