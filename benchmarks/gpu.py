"""Layers, Levenberg-Marquardt steps and a million rows on a CUDA device; smaller, on the CPU where there is none."""

import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks._timing import machine, peak_mib, process_seconds, training_step
from case_studies._results import table
from kan2 import KANLayer, MultKAN, chunked
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.problem import Problem

N_INPUTS = 8


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        layers: (batch, nodes) of square layers.
        steps: (samples, hidden nodes) of Levenberg-Marquardt steps of [8, hidden, 1].
        rows: rows that pass through [8, 10, 1].
        repeats: runs of each, after two that warm up; the median counts.
    """

    layers: tuple[tuple[int, int], ...]
    steps: tuple[tuple[int, int], ...]
    rows: int
    repeats: int


ON_GPU = Sizes(
    ((1_024, 64), (8_192, 256), (65_536, 256), (8_192, 1_024)), ((10_000, 4), (1_000_000, 12)), 1_000_000, 20
)
ON_CPU = Sizes(((256, 64), (1_024, 128)), ((1_000, 4), (10_000, 12)), 200_000, 5)


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Returns the time of one run: between two events on a GPU, processor time on the CPU."""
    if device.type != "cuda":
        return process_seconds(run)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    start.record()
    run()
    end.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1e3


def median_seconds(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Returns the median time of some runs, after two that warm up."""
    return statistics.median([seconds(run, device) for _ in range(repeats + 2)][2:])


def peak(run: Callable[[], object], device: torch.device) -> float:
    """Returns how far one run raises memory, in MiB: of the tensors on a GPU, of the process on the CPU."""
    if device.type != "cuda":
        return peak_mib(run)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def uniform(n: int, columns: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Returns (n, columns) uniform samples of [-1, 1], the same on every device."""
    x = torch.rand(n, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (2 * x - 1).to(device, dtype)


def layer_rows(sizes: Sizes, device: torch.device) -> list[list[str]]:
    """Compares layers n -> n with matrices 3 n -> 3 n, which have as many parameters, forward and backward."""
    rows = []
    for batch, n in sizes.layers:
        with torch.random.fork_rng(devices=[]):
            linear = nn.Linear(3 * n, 3 * n, bias=False)
        kan = KANLayer(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
        found = []
        for module, width in ((kan, n), (linear, 3 * n)):
            x = uniform(batch, width, device, torch.float32).requires_grad_()
            run = training_step(module.to(device), x, torch.ones(batch, width, device=device))
            found.append((1e3 * median_seconds(run, device, sizes.repeats), peak(run, device)))
        (mine, my_memory), (other, memory) = found
        cells = [f"{mine:.3f}", f"{other:.3f}", f"{mine / other:.1f}", f"{my_memory:.0f}", f"{memory:.0f}"]
        rows.append([f"{batch:,}", str(n), f"{9 * n * n:,}", *cells])
    return rows


def step_rows(sizes: Sizes, device: torch.device) -> list[list[str]]:
    """Times accepted steps on samples of a smooth function, in float64."""
    rows = []
    for n, hidden in sizes.steps:
        x = uniform(n, N_INPUTS, device, torch.float64)
        y = torch.sin(torch.pi * x[:, :2]).sum(1, keepdim=True) + (x[:, 2:] ** 2).mean(1, keepdim=True)
        model = MultKAN([N_INPUTS, hidden, 1], seed=0, device=device)
        solver = LevenbergMarquardt(model.double(), Problem(x, y, roughness=1e-10))
        solver.restart()
        time = median_seconds(solver.step, device, min(3, sizes.repeats))
        rows.append([f"{n:,}", f"{solver.vector.size:,}", f"{1e3 * time:.1f}", f"{peak(solver.step, device):.0f}"])
    return rows


def throughput_rows(sizes: Sizes, device: torch.device) -> list[list[str]]:
    """Passes many rows through [8, 10, 1], without gradients and with them."""
    rows = []
    for dtype in (torch.float32, torch.float64):
        model = MultKAN([N_INPUTS, 10, 1], seed=0, dtype=dtype, device=device)
        x = uniform(sizes.rows, N_INPUTS, device, dtype)

        @torch.no_grad()
        def forward(model: MultKAN = model, x: torch.Tensor = x) -> None:
            model(x)

        def backward(model: MultKAN = model, x: torch.Tensor = x) -> None:
            model.zero_grad(set_to_none=True)
            chunked(model, x, rows=65_536).square().mean().backward()

        for name, run in (("forward", forward), ("forward and backward, `chunked`", backward)):
            time = median_seconds(run, device, sizes.repeats)
            kind = str(dtype).removeprefix("torch.")
            rows.append([name, kind, f"{sizes.rows:,}", f"{sizes.rows / time:,.0f}", f"{peak(run, device):.0f}"])
    return rows


def main(sizes: Sizes | None = None) -> str:
    """Runs the measurements on the first CUDA device, else on the CPU, and returns their section."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if sizes is None:
        sizes = ON_GPU if device.type == "cuda" else ON_CPU
    where = machine()
    if device.type == "cuda":
        where = f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}, Python {platform.python_version()}"
    of_layers = ["batch", "n", "parameters", "KANLayer ms", "nn.Linear ms", "ratio", "KANLayer MiB", "nn.Linear MiB"]
    return f"""## Layers, steps and rows on a GPU, or what stands in for it

Medians of {sizes.repeats} runs, memory is what a run adds at its peak. {where}

`KANLayer(n, n)` beside `nn.Linear(3 n, 3 n)` of as many parameters, forward and backward with the gradient of inputs,
float32:

{table(of_layers, layer_rows(sizes, device))}

A Levenberg-Marquardt step of [8, h, 1], float64:

{table(["samples", "parameters", "ms", "MiB"], step_rows(sizes, device))}

[8, 10, 1]:

{table(["", "type", "rows", "rows/s", "MiB"], throughput_rows(sizes, device))}
"""


if __name__ == "__main__":
    print(main())
