"""Rows per second and memory of [8, 10, 1] on ten thousand to ten million rows, without and with gradients."""

from collections.abc import Sequence

import torch

from benchmarks._timing import machine, peak_mib, process_seconds
from case_studies._results import table
from kan2 import MultKAN, chunked

WIDTH = [8, 10, 1]
ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
TOTAL = 4_000_000  # rows that are timed of each size, so that small batches are timed more often


def samples(n: int) -> torch.Tensor:
    """Returns (n, 8) uniform samples of [-1, 1] in float64."""
    x = torch.rand(n, WIDTH[0], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x.mul_(2).sub_(1)


def forward(model: MultKAN, x: torch.Tensor, seed: torch.Tensor) -> None:
    """Evaluates without gradients."""
    with torch.no_grad():
        model(x)


def backward(model: MultKAN, x: torch.Tensor, seed: torch.Tensor) -> None:
    """Evaluates some rows at a time, and takes the gradient of all parameters for that of the outputs."""
    model.zero_grad(set_to_none=True)
    chunked(model, x).backward(seed)


WAYS = {"forward, no gradients": forward, "`chunked`, forward and backward": backward}


def measure(model: MultKAN, n: int, total: int = TOTAL) -> list[tuple[float, float]]:
    """Returns for each way the processor nanoseconds a row, and the MiB beyond input and output at the peak."""
    x, seed = samples(n), torch.ones(n, WIDTH[-1], dtype=torch.float64)
    found = []
    for run in WAYS.values():
        run(model, x[: 1 + n // 10], seed[: 1 + n // 10])
        times = sorted(process_seconds(lambda run=run: run(model, x, seed)) for _ in range(max(1, total // n)))
        peak = peak_mib(lambda run=run: run(model, x, seed)) - n * WIDTH[-1] * x.element_size() / 2**20
        found.append((1e9 * times[len(times) // 2] / n, peak))
    return found


def main(rows: Sequence[int] = ROWS, total: int = TOTAL) -> str:
    """Runs the measurements and returns their section."""
    torch.set_num_threads(1)
    model = MultKAN(WIDTH, seed=0)
    lines, per_row = [], []
    for n in rows:
        found = measure(model, n, total)
        per_row.append([time for time, _ in found])
        lines.append([f"{n:,}"])
        for time, peak in found:
            lines[-1] += [f"{1e9 / time:,.0f}", f"{time:.0f}", f"{peak:.0f}"]
        print(lines[-1], flush=True)
    header = ["rows", *(cell for name in WAYS for cell in (f"{name}: rows/s", "ns a row", "MiB"))]
    spread = ", ".join(f"{max(times) / min(times):.2f} ({name})" for name, times in zip(WAYS, zip(*per_row)))
    return (
        "## Many rows\n\n"
        f"{WIDTH}, G = 5, k = 3, float64, processor time, median; memory beyond input and output at the peak. "
        f"{machine()}\n\n{table(header, lines)}\n\nLargest over smallest time a row: {spread}. Up to "
        "16,384 rows are one chunk, which is not computed again.\n"
    )


if __name__ == "__main__":
    print(main())
