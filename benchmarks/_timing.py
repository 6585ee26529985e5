"""Side-by-side timing and peak memory of callables in one process.

Times are processor time of this process: on one thread that is what a clock shows on an idle machine, and it does not
count the moments in which other programs have the processor. Candidates take turns in short blocks, so that whatever
slows the machine for a while slows all of them. Peak memory is the growth of the resident set, read from Linux.
"""

import ctypes
import gc
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


def process_seconds(run: Callable[[], object]) -> float:
    """Returns the processor time of one run."""
    start = time.process_time()
    run()
    return time.process_time() - start


def medians(candidates: Mapping[str, Callable[[], object]], rounds: int = 24, block: int = 4) -> dict[str, float]:
    """Returns the median time of each candidate in milliseconds, over at least `rounds` runs after warm-up."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        for _ in range(3):
            run()
    for _ in range(-(-rounds // block)):
        for name, run in candidates.items():
            run()
            for _ in range(block):
                times[name].append(process_seconds(run))
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def peak_mib(run: Callable[[], object]) -> float:
    """Returns how far one run raises the resident set, in MiB; not a number where the system does not tell."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        run()
        return (_status("VmHWM") - before) / 1024
    except OSError:
        return float("nan")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def machine() -> str:
    """Says what the numbers were measured on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{model}, {torch.get_num_threads()} thread, torch {torch.__version__}, Python {platform.python_version()}"


def training_step(module: torch.nn.Module, x: torch.Tensor, seed: torch.Tensor) -> Callable[[], None]:
    """Returns one forward and backward pass, gradients of parameters and of x if it asks for them."""

    def run() -> None:
        module.zero_grad(set_to_none=True)
        x.grad = None
        module(x).backward(seed)

    return run
