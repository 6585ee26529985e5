"""Runs that are done, one JSON line each in a file, so that a comparison of hours goes on where it stopped.

A line is found again by its law (set, name, formula and ranges), solver, seed, seconds and tag. The tag of kan2 is the
last commit that changed the packages, with a mark of what is not committed; that of Operon is its version.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks._discovery_operon import installed
from benchmarks._discovery_run import Job

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("kan2", "kanpiler", "treeconv")
CLOCK = 5  # seconds of the clock for each second of the processor, at least
LEAST_CLOCK = 300
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Result = dict[str, Any]
Run = Callable[[Job], Result]


def tag_of_packages() -> str:
    """Returns what names the state of the packages: a commit, and seven digits where there is more than that."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    try:
        commit, changes = git("log", "-1", "--format=%h", "--", *PACKAGES), git("diff", "HEAD", "--", *PACKAGES)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+{_digest(changes)}" if changes else commit


def key(job: Job, tag: str) -> str:
    """Returns what a line of the file is found by."""
    law = job.law
    said = _digest(f"{law.formula} {law.columns}")
    mark = f"operon {installed()}" if job.solver == "operon" else tag
    more = (f"noise {job.noise:g}",) * (job.noise > 0) + ("units",) * job.units
    return "|".join((law.of, law.name, said, job.solver, str(job.seed), f"{job.seconds:g}", mark, *more))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:7]


def stored(cache: Path) -> dict[str, Result]:
    """Returns the results in a file by their keys; of two with one key the later, and none of a line cut short."""
    found: dict[str, Result] = {}
    for line in cache.read_text().splitlines() if cache.exists() else ():
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[result["key"]] = result
    return found


def collect(
    jobs: Iterable[Job], run: Run, cache: Path, *, tag: str, n_jobs: int = 1, fresh: bool = False
) -> dict[Job, Result]:
    """Returns the results of all jobs, those that the file has from there, and appends each new one when it is done.

    Args:
        jobs: what is asked for.
        run: gives the result of a job; called from several threads, and not for what the file has. Where it can be
            stopped, as `Processes`, it is when this is interrupted.
        cache: the file, which need not exist.
        tag: of the state of the packages, see `key`.
        n_jobs: how many run at once.
        fresh: whether what the file has for these jobs counts for nothing.
    """
    jobs, known, lock = list(jobs), {} if fresh else stored(cache), threading.Lock()

    def one(job: Job) -> tuple[Job, Result]:
        result = known.get(key(job, tag))
        if result is None:
            law, result = job.law, run(job)
            result = {"key": key(job, tag), "set": law.of, "law": law.name, **asdict(job), "tag": tag, **result}
            with lock:
                cache.parent.mkdir(parents=True, exist_ok=True)
                with cache.open("a") as file:
                    file.write(json.dumps(result) + "\n")
                verdict = (
                    ("right" if job.noise else "exact")
                    if result["exact"]
                    else "wrong"
                    if result["formula"]
                    else "nothing"
                )
                print(job.solver, law.of, law.name, verdict, f"{result['seconds']} s", result["formula"], flush=True)
        return job, result

    with ThreadPoolExecutor(n_jobs) as pool:
        try:
            return dict(pool.map(one, jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(run, Processes):
                run.stop()
            raise


class Processes:
    """Runs jobs, each in a process of its own, until it is stopped."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[str]] = set()
        self.is_stopped = False

    def stop(self) -> None:
        """Ends all processes; their jobs have no result."""
        self.is_stopped = True
        for process in list(self.running):
            process.kill()

    def __call__(self, job: Job) -> Result:
        """Returns the last line that the process of a job prints, or why there is none."""
        command = [sys.executable, "-m", "benchmarks._discovery_run", json.dumps(asdict(job))]
        # A session of its own: Ctrl-C is for the comparison, and what a search makes of it would count as a result.
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.running.add(process)
        reason = ""
        try:
            out, error = process.communicate(timeout=max(LEAST_CLOCK, CLOCK * job.seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            out, error = process.communicate()
            reason = "no end by the clock"
        self.running.discard(process)
        if self.is_stopped:
            raise KeyboardInterrupt
        if out:
            return json.loads(out.splitlines()[-1])
        if not reason and process.returncode < 0:
            reason = f"no end after the interrupt, signal {-process.returncode}"
        reason = reason or (error.strip().splitlines() or ["no result"])[-1]
        nothing = {"formula": None, "found": False, "exact": False, "error": None, "finite": None}
        return {**nothing, "seconds": job.seconds, "reason": reason}
