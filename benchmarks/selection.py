"""How often the inputs that matter are found: which of 100 inputs matter for the sum of x_i^2 / 2^i.

The inputs fade by factors of two, so the true order is known: whoever keeps x_k must keep all before it.
"""

import time
import warnings

import torch

from benchmarks._timing import machine
from case_studies._results import table
from kan2 import Dataset, MultKAN

SEEDS = range(10)
N_INPUTS = 100


def data(seed: int, n: int = 2000) -> Dataset:
    """Returns samples of sum of x_i^2 / 2^i, uniform in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, N_INPUTS, generator=generator, dtype=torch.float64) - 1
    y = (x**2 / 2.0 ** torch.arange(N_INPUTS, dtype=torch.float64)).sum(1, keepdim=True)
    return Dataset(x, y, tuple(f"x{i}" for i in range(1, N_INPUTS + 1)))


def run(seed: int) -> tuple[list[int], list[int], float, float]:
    """Returns the inputs kept by the noise floor and by a threshold, the noise floor, and processor seconds."""
    torch.set_num_threads(1)
    samples = data(seed)
    start = time.process_time()
    model = MultKAN([N_INPUTS, 1, 1], grid=3, seed=seed, inputs=samples.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(samples, steps=40)
        found = model.relevance(steps=30)
    kept = sorted(int(name[1:]) for name in found.relevant)
    pruned = sorted(int(name[1:]) for name in model.prune_input(threshold=1e-2).spec.features)
    return kept, pruned, max(found.floors.values()), time.process_time() - start


def is_leading(kept: list[int]) -> bool:
    """Tells whether exactly the first few inputs were kept, at least five."""
    return len(kept) >= 5 and kept == list(range(1, len(kept) + 1))


def main() -> str:
    """Runs the comparison and returns its section."""
    rows, right = [], 0
    for seed in SEEDS:
        kept, pruned, floor, seconds = run(seed)
        is_right = is_leading(kept) and is_leading(pruned)
        right += is_right
        shown = [
            f"x1 to x{len(part)}" if is_leading(part) else ", ".join(f"x{i}" for i in part) for part in (pruned, kept)
        ]
        rows.append([str(seed), *shown, f"{floor:.1e}", f"{seconds:.1f}", "yes" if is_right else "no"])
        print(rows[-1], flush=True)
    header = ["seed", "prune_input", "above the noise floor", "noise floor", "seconds", "right"]
    return (
        "## Selection of inputs\n\n"
        f"Sum of x_i^2 / 2^(i-1), {N_INPUTS} inputs, 2,000 samples, [{N_INPUTS},1,1]: what `prune_input` keeps by "
        "default, and what scores above the noise floor. Right: exactly the first few inputs, at least "
        f"five. pykan's notebook keeps x1 to x5 and x65. {machine()}\n\n"
        f"{table(header, rows)}\n\n"
        f"Right in {right} of {len(SEEDS)} seeds.\n"
    )
