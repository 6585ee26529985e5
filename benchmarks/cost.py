"""What a Levenberg-Marquardt step costs, against samples and parameters, and how much memory two million rows need."""

import math
import statistics
from collections.abc import Sequence

import torch

from benchmarks._timing import machine, peak_mib, process_seconds
from case_studies._results import table
from kan2 import MultKAN
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.problem import Problem

N_INPUTS = 8
SAMPLES = (1_000, 10_000, 100_000, 1_000_000)
HIDDEN = (1, 4, 12, 37)  # times 81 parameters
MANY = 2_000_000


def samples(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns uniform samples of [-1, 1]^8 and a smooth function of them."""
    x = 2 * torch.rand(n, N_INPUTS, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    return x, torch.sin(torch.pi * x[:, :2]).sum(1, keepdim=True) + (x[:, 2:] ** 2).mean(1, keepdim=True)


def step_time(n: int, hidden: int, repeats: int = 3) -> tuple[int, float]:
    """Returns the number of parameters and the median processor seconds of a step, after a first one."""
    x, y = samples(n)
    model = MultKAN([N_INPUTS, hidden, 1], grid=5, seed=0)
    solver = LevenbergMarquardt(model.double(), Problem(x, y, roughness=1e-10))
    solver.restart()
    times = [process_seconds(solver.step) for _ in range(repeats + 1)]
    return solver.vector.size, statistics.median(times[1:])


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns the slope of a least-squares line through log y against log x."""
    a, b = [math.log(v) for v in x], [math.log(v) for v in y]
    middle, level = statistics.fmean(a), statistics.fmean(b)
    return sum((p - middle) * (q - level) for p, q in zip(a, b)) / sum((p - middle) ** 2 for p in a)


def memory() -> tuple[float, float]:
    """Returns by how many MiB one step of `fit` on many rows raises memory, and the size of the rows in MiB."""
    x, y = samples(MANY)
    model = MultKAN([N_INPUTS, 2, 1], grid=5, seed=0)
    return peak_mib(lambda: model.fit((x, y), steps=1)), (x.nbytes + y.nbytes) / 2**20


def main() -> str:
    """Runs the measurements and returns their section."""
    torch.set_num_threads(1)
    by_samples = [step_time(n, 2, 3 if n < 1_000_000 else 1)[1] for n in SAMPLES]
    print(by_samples, flush=True)
    found = [step_time(1_000, hidden) for hidden in HIDDEN]
    sizes, by_size = [p for p, _ in found], [t for _, t in found]
    print(by_size, flush=True)
    peak, rows = memory()
    linear, power = exponent(list(SAMPLES), by_samples), exponent(sizes, by_size)
    last = math.log(by_samples[-1] / by_samples[-2]) / math.log(SAMPLES[-1] / SAMPLES[-2])
    samples_table = [[f"{n:,}", f"{1e3 * t:.1f}"] for n, t in zip(SAMPLES, by_samples)]
    sizes_table = [[f"{p:,}", f"{1e3 * t:.1f}"] for p, t in zip(sizes, by_size)]
    return (
        "## Cost of a Levenberg-Marquardt step\n\n"
        f"[8, h, 1], G = 5, k = 3, processor milliseconds of one accepted step. {machine()}\n\n"
        f"{table(['samples (162 parameters)', 'ms'], samples_table)}"
        f"\n\nTime grows like samples^{linear:.2f} over the whole range, ^{last:.2f} in the last decade.\n\n"
        f"{table(['parameters (1,000 samples)', 'ms'], sizes_table)}"
        f"\n\nTime grows like parameters^{power:.2f}.\n\n"
        f"`fit` on {MANY:,} rows of {N_INPUTS} inputs: {peak / 1024:.2f} GiB at the peak beyond the "
        f"{rows / 1024:.2f} GiB of the rows themselves.\n"
    )
