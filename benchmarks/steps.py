"""What a Levenberg-Marquardt step costs beside its floor, and what many starts cost beside one.

The floor of a step is J'J by one `mm` and one Cholesky factorisation of that size, in the same run. A step is an
accepted one; tries that were refused are part of it.
"""

import statistics
from collections.abc import Callable

import torch

from benchmarks._timing import machine, process_seconds
from case_studies._results import table
from kan2 import MultKAN, sample_function
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.problem import Problem

SHAPES = ([2, 1, 1], [2, 5, 1], [4, 9, 1], [5, 10, 1])
N_SAMPLES = 1_000
WARM, STEPS = 3, 25
NOISY_SHAPE = [2, 5, 1]
NOISE_RUNS = 5
STARTS, START_STEPS = 32, 40
SEEDS = (0, 1, 2)


def milliseconds(run: Callable[[], object], repeats: int = 20) -> float:
    """Returns the median processor time of a call, after one that warms up."""
    run()
    return 1e3 * statistics.median(process_seconds(run) for _ in range(repeats))


def step(shape: list[int]) -> tuple[int, float, float]:
    """Returns the number of parameters, the milliseconds of an accepted step, and those of its floor."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(N_SAMPLES, shape[0], generator=generator, dtype=torch.float64) - 1
    y = torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:2] ** 2)
    solver = LevenbergMarquardt(MultKAN(shape, grid=5, seed=0), Problem(x, (y - y.mean()) / y.std(), roughness=1e-10))
    solver.restart()
    for _ in range(WARM):
        solver.step()

    def run() -> None:
        for _ in range(STEPS):
            assert solver.step(), solver.message

    seconds = process_seconds(run)
    jacobian = torch.randn(N_SAMPLES, solver.vector.size, generator=generator, dtype=torch.float64)
    gram = jacobian.T @ jacobian + torch.eye(solver.vector.size, dtype=torch.float64)
    floor = milliseconds(lambda: jacobian.T @ jacobian) + milliseconds(lambda: torch.linalg.cholesky(gram))
    return solver.vector.size, 1e3 * seconds / STEPS, floor


def starts() -> list[tuple[float, float, float]]:
    """Returns, by seed, processor seconds of one start and of many, and the error of the latter over the former."""
    data = sample_function("exp(sin(pi*x1) + x2^2)", {"x1": (-1, 1), "x2": (-1, 1)}, n=N_SAMPLES)
    MultKAN([2, 5, 1], seed=0).fit(data, steps=2, restarts=2)
    found = []
    for seed in SEEDS:
        seconds, errors = [], []
        for restarts in (1, STARTS):
            model = MultKAN([2, 5, 1], seed=seed)

            def run(model: MultKAN = model, restarts: int = restarts, seed: int = seed) -> None:
                model.fit(data, steps=START_STEPS, restarts=restarts, seed=seed)

            seconds.append(process_seconds(run))
            with torch.no_grad():
                errors.append(float((model(data.X) - data.y).square().mean().sqrt()))
        found.append((*seconds, errors[1] / errors[0]))
    return found


def main() -> str:
    """Runs the measurements and returns their section."""
    torch.set_num_threads(1)
    rows = []
    for shape in SHAPES:
        runs = [step(shape) for _ in range(3)]
        size, own, floor = runs[0][0], *(statistics.median(run[i] for run in runs) for i in (1, 2))
        ratio = statistics.median(run[1] / run[2] for run in runs)
        rows.append([str(shape), str(size), f"{own:.2f}", f"{floor:.2f}", f"{ratio:.1f}"])
        print(rows[-1], flush=True)
    noise = [own / floor for _, own, floor in (step(NOISY_SHAPE) for _ in range(NOISE_RUNS))]
    tried = starts()
    print(noise, tried, flush=True)
    one, many = (statistics.median(t[i] for t in tried) for i in (0, 1))
    times, errors = statistics.median(t[1] / t[0] for t in tried), ", ".join(f"{t[2]:.2f}" for t in tried)
    return (
        "## Levenberg-Marquardt steps beside their floor\n\n"
        f"{N_SAMPLES:,} samples, G = 5, k = 3, float64, processor milliseconds of an accepted step, refused tries "
        f"included, medians of three runs. Floor: one `mm` J'J and one Cholesky factorisation. {machine()}\n\n"
        f"{table(['network', 'parameters', 'step', 'floor', 'ratio'], rows)}\n\n"
        f"Noise: the ratio of {NOISY_SHAPE} five times, {min(noise):.1f} to {max(noise):.1f}.\n\n"
        f"`fit(restarts={STARTS})` of [2, 5, 1], {START_STEPS} steps: {many:.2f} s beside {one:.2f} s of one start, "
        f"{times:.1f} times (medians of {len(SEEDS)} seeds); the training error is {errors} times that of one start.\n"
    )
