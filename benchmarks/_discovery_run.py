"""One law in a process of its own: `python -m benchmarks._discovery_run JOB` looks for it and prints what it found.

The search gets so many seconds of processor time and is then interrupted as by Ctrl-C, on which `kan2.discover` returns
the best it has. Who does not end then is ended by the system.
"""

import contextlib
import json
import math
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import kan2
from benchmarks._discovery_judge import judge, judge_noisy
from case_studies._laws import ROWS, Law, laws

GRACE = 30  # seconds of processor time after the interrupt
LOOKS = 0.1  # seconds of processor time between two looks at the clock
LATE = "interrupted before there was a formula"


@dataclass(frozen=True)
class Job:
    """A law, who looks for it, and with what."""

    of: str
    index: int
    solver: str = "kan2"
    seed: int = 0
    seconds: float = 60.0
    noise: float = 0.0
    units: bool = False

    @property
    def law(self) -> Law:
        """The law that is looked for."""
        return laws(self.of)[self.index]

    def rows(self) -> tuple[NDArray, NDArray]:
        """Returns the columns and the target, with normal errors of a share of its standard deviation."""
        x, y = self.law.rows(ROWS[self.of], self.seed)
        errors = np.random.default_rng([self.seed, self.index, 7]).standard_normal(len(y))
        return x, y + self.noise * y.std() * errors


@contextlib.contextmanager
def processor_limit(seconds: float) -> Iterator[None]:
    """Raises KeyboardInterrupt in the block, once, when this process has computed for so many seconds in it.

    The timer counts what is computed outside of the system, since `kan2` has use for the one that counts all; when it
    rings, the clock of both is read. Python drops exceptions in finalizers: then the interrupt comes again.
    """
    end, hook = time.process_time() + seconds, sys.unraisablehook
    raised = False

    def ring(_signal: int, _frame: object) -> None:
        nonlocal raised
        if not raised and time.process_time() >= end:
            raised = True
            raise KeyboardInterrupt

    def again(unraisable: Any) -> None:
        nonlocal raised
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            raised = False
        else:
            hook(unraisable)

    before = signal.signal(signal.SIGVTALRM, ring)
    sys.unraisablehook = again
    signal.setitimer(signal.ITIMER_VIRTUAL, LOOKS, LOOKS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        sys.unraisablehook = hook


def answer(law: Any) -> tuple[Any, bool]:
    """Returns the formula of what `kan2.discover` gives, None where there is none, and whether it claims the law.

    A network has its formula as a method, and what it claims in its report.
    """
    if hasattr(law, "found"):
        return law.formula, bool(law.found)
    try:
        return law.symbolic_formula(), bool(law.report.found)
    except kan2.Kan2Error:
        return None, False


def by_kan2(job: Job, x: NDArray, y: NDArray) -> tuple[Any, bool]:
    """Looks for a law with `kan2.discover` and its defaults."""
    law = job.law
    table = {**dict(zip(law.names, x.T)), law.output: y}
    units = law.units if job.units else None
    # On a busy machine the clock must not be what ends the search.
    return answer(kan2.discover(table, target=law.output, seed=job.seed, seconds=20 * job.seconds, units=units))


def by_operon(job: Job, x: NDArray, y: NDArray) -> tuple[Any, bool]:
    """Looks for a law with Operon, which claims nothing."""
    from benchmarks._discovery_operon import search

    return search(x, y, job.law.names, job.seconds, job.seed), False


Solver = Callable[[Job, NDArray, NDArray], tuple[Any, bool]]
SOLVERS: dict[str, Solver] = {"kan2": by_kan2, "operon": by_operon}


def attempt(job: Job, solve: Solver) -> dict[str, Any]:
    """Looks for a law and returns seconds of the processor, formula, what was claimed, and why there is no formula."""
    x, y = job.rows()
    formula, found, reason, start = None, False, "", time.process_time()
    try:
        # Operon ends by itself, and what it has is lost with an interrupt.
        with warnings.catch_warnings(), processor_limit(math.inf if job.solver == "operon" else job.seconds):
            warnings.simplefilter("ignore")
            formula, found = solve(job, x, y)
    except KeyboardInterrupt:
        reason = LATE
    except Exception as failure:
        reason = f"{type(failure).__name__}: {failure}".partition("\n")[0]
    result = {"seconds": round(time.process_time() - start, 2), "found": found, "reason": reason}
    return {"raw": formula, "formula": None if formula is None else str(formula), **result}


def main(text: str) -> None:
    """Runs a job and prints its result as JSON, first without and then with the judgement."""
    torch.set_num_threads(1)
    job = Job(**json.loads(text))
    limit = math.ceil(time.process_time() + job.seconds + GRACE)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    result = attempt(job, SOLVERS[job.solver])
    formula = result.pop("raw")
    print(json.dumps({**result, "exact": False, "error": None, "finite": None}), flush=True)
    if formula is not None:
        is_noisy = job.noise > 0
        judged = asdict(
            judge_noisy(formula, job.law, *job.rows(), job.seed) if is_noisy else judge(formula, job.law, job.seed)
        )
        judged["error"] = judged["error"] if np.isfinite(judged["error"]) else None
        print(json.dumps({**result, **judged}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
