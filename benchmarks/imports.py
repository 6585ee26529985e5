"""How long fresh interpreters take from nothing to a first network, beside `import torch` alone.

Every run is a new process, which has the files of the packages in memory and the compiled loops of numba on disk.
"""

import os
import resource
import statistics
import subprocess
import sys
import time

from benchmarks._timing import machine
from case_studies._results import table

ROUNDS = 7
FORWARD = "import torch, kan2; model = kan2.MultKAN([2, 5, 1]); model(torch.rand(100, 2, dtype=torch.float64))"
CANDIDATES = {
    "`import torch`": "import torch",
    "`import kan2`": "import torch, kan2",
    "`kan2.MultKAN([2, 5, 1])`": "import torch, kan2; kan2.MultKAN([2, 5, 1])",
    "and its first forward pass": FORWARD,
    'and `kanpiler.compile("x*sin(y)")`': f"{FORWARD}; import kanpiler; kanpiler.compile('x*sin(y)')",
    "`import kanpiler`": "import torch, kanpiler",
    "`import treeconv`": "import torch, treeconv",
    "`import sympy`": "import torch, sympy",
}


def seconds(code: str) -> tuple[float, float, float]:
    """Returns seconds of the processor and of the clock until the code is done, and of the processor to the exit."""
    ends = "; import time; print(time.process_time(), time.monotonic())"  # one clock for all processes
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-c", code + ends], check=True, env=environment, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor, end = map(float, done.stdout.split())
    return processor, end - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> str:
    """Runs the comparison and returns its section."""
    for code in CANDIDATES.values():
        seconds(code)  # warm-up: files are read, loops compiled
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CANDIDATES}
    for _ in range(ROUNDS):
        for name, code in CANDIDATES.items():
            runs[name].append(seconds(code))
    medians = {name: [statistics.median(column) for column in zip(*values)] for name, values in runs.items()}
    alone = medians["`import torch`"]
    rows = [
        [name, *(f"{t:.2f}" for t in times), *(f"{t - t0:.2f}" for t, t0 in zip(times, alone))]
        for name, times in medians.items()
    ]
    header = ["after `import torch`", "processor", "clock", "with exit", "added: processor", "clock", "with exit"]
    return (
        "## Imports\n\n"
        f"Seconds of fresh interpreters, medians of {ROUNDS} runs, candidates taking turns: of the processor and on "
        "the clock until the code is done, then of the processor with the end of the interpreter; added is what goes "
        f"beyond `import torch` alone. {machine()}\n\n"
        f"{table(header, rows)}\n"
    )
