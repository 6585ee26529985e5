"""How long the command `kan2` takes, and what it says: its help, and `kan2 discover` on nine tables of measurements.

Every run is a new process on one thread, with nothing but the names of the table and of its target.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

from benchmarks._timing import machine
from case_studies._results import table
from kan2 import datasets

ROUNDS = 7
HELP, LIMIT = 0.5, 30.0  # seconds, the aims
TARGETS = {
    "planets": "T",
    "balmer": "wavelength",
    "boyle_1662": "pressure",
    "cherry_trees": "volume",
    "hubble_1929": "velocity",
    "hudson_bay": "hare_rate",
    "mercury_vapour_pressure": "pressure",
    "puromycin": "rate",
    "stopping_distance": "distance",
}
DIGITS = 90  # characters of a formula that are shown


def run(*words: str) -> tuple[float, float, str, int]:
    """Returns seconds of the clock and of the processor, what a command wrote on stdout, and its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "kan2", *words], env=environment, stdout=subprocess.PIPE, text=True)
    end, after = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        end - start,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        done.stdout,
        done.returncode,
    )


def main(names: tuple[str, ...] = tuple(TARGETS)) -> str:
    """Runs the commands and returns their section."""
    help_seconds = statistics.median(run("--help")[0] for _ in range(ROUNDS + 1))
    rows = []
    for name in names:
        # What is not measured is no input of a rate.
        inputs = ["--inputs", "hare,lynx"] if name == "hudson_bay" else []
        words = ["discover", f"datasets:{name}", "--target", TARGETS[name], *inputs, "--json", "--quiet"]
        clock, processor, text, code = run(*words)
        found = json.loads(text)
        formula = str(found["formula"] or "splines").replace("|", "\\|")
        shown = formula if len(formula) <= DIGITS else formula[: DIGITS - 3] + "..."
        law = datasets.describe(name).law.partition(";")[0].replace("|", "\\|")
        rows.append([name, f"{clock:.1f}", f"{processor:.1f}", {0: "yes", 3: "no"}[code], f"`{shown}`", f"`{law}`"])
        print(*rows[-1], flush=True)
    header = ["table", "s, clock", "s, processor", "law found", "formula printed", "accepted law"]
    return (
        "## The command line\n\n"
        f"`kan2 --help`: {help_seconds:.2f} s (aim {HELP}), median of {ROUNDS + 1} fresh processes. "
        f"`kan2 discover datasets:NAME --target ...` on the nine tables (aim {LIMIT:.0f} s each), without a limit of "
        f"seconds, one thread. {machine()}\n\n"
        f"{table(header, rows)}\n"
    )
