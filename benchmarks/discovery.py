"""How many laws of physics, chemistry, biology, engineering and finance `kan2.discover` finds exactly in their rows.

Four sets of laws, see `case_studies/data/README.md`: the 120 equations of AI Feynman in their own ranges and in SI
units, the 14 right-hand sides of ODE-Strogatz, and 30 laws from textbooks. Each law is looked for in a process of its
own, on one thread, within 60 seconds of processor time. Runs that are done are kept in `out/discovery.jsonl`, and a
second call goes on from there. `--operon` sets Operon beside it, on the laws that no setting was chosen on.

    python -m benchmarks discovery --sets strogatz textbook --jobs 2
    python -m benchmarks discovery --laws 'B.*' 'I.4?.*' --part development --seconds 20 --tag mine
    python -m benchmarks discovery --sets feynman_si --part held-out --operon --seconds 30
    python -m benchmarks discovery --sets feynman --units --noise 0.01
    python -m benchmarks discovery --show

What was asked for in part is printed, and does not replace the section of docs/results.md.
"""

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmarks._discovery_cache import Processes, Run, collect, key, stored, tag_of_packages
from benchmarks._discovery_operon import installed
from benchmarks._discovery_run import Job
from benchmarks._discovery_section import reasons, section
from case_studies._base import Parser, count
from case_studies._laws import ROWS, laws

OUT = Path("out")
FILE = "discovery.jsonl"
SECONDS = 60.0
PARTS = {"all": (True, False), "development": (True,), "held-out": (False,)}
NO_OPERON = "pyoperon is not installed: pip install -e '.[bench]'."


def options(argv: Sequence[str]) -> tuple[dict[str, Any], bool]:
    """Returns the arguments of `main` that a command line gives, and whether that is the whole comparison."""
    parser = Parser(
        prog="benchmarks discovery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=list(ROWS), default=list(ROWS), help="by default all")
    parser.add_argument("--laws", nargs="+", metavar="PATTERN", default=["*"], help="names, with * and ?")
    parser.add_argument("--part", choices=list(PARTS), default="all", help="every third law is for development")
    parser.add_argument("--seed", type=int, default=0, help="of the rows and of the search")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the processor, for each law")
    parser.add_argument("--jobs", type=count, default=1, help="how many run at once")
    parser.add_argument("--operon", action="store_true", help="Operon too, on laws that are not for development")
    parser.add_argument("--noise", type=float, default=0.0, help="errors of the target, as a share of its deviation")
    parser.add_argument("--units", action="store_true", help="tell kan2 the units; only the equations of AI Feynman")
    parser.add_argument("--tag", help="name of the state of the packages; by default its commit")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=f"where {FILE} is kept")
    parser.add_argument("--fresh", action="store_true", help="run again what the file has")
    parser.add_argument("--show", action="store_true", help="run nothing, show what the file has")
    chosen = vars(parser.parse_args(argv))
    if chosen["units"] and chosen["sets"] != ["feynman"]:
        parser.error("expected --sets feynman with --units, the one set whose units were entered.")
    whole = {"sets": list(ROWS), "laws": ["*"], "part": "all", "show": False, "noise": 0.0, "units": False}
    return chosen, all(chosen[name] == value for name, value in whole.items())


def wanted(
    sets: Sequence[str],
    patterns: Sequence[str],
    part: str,
    solver: str,
    seed: int,
    seconds: float,
    noise: float = 0.0,
    units: bool = False,
) -> list[Job]:
    """Returns the jobs of a solver; Operon gets none of the laws that settings are chosen on."""
    return [
        Job(of, law.index, solver, seed, seconds, noise, units and solver == "kan2")
        for of in ROWS
        if of in sets
        for law in laws(of)
        if law.is_for_settings in PARTS[part]
        and any(fnmatchcase(law.name, pattern) for pattern in patterns)
        and not (solver == "operon" and law.is_for_settings)
    ]


def main(
    out: Path | None = None,
    sets: Sequence[str] = tuple(ROWS),
    laws: Sequence[str] = ("*",),
    part: str = "all",
    seed: int = 0,
    seconds: float = SECONDS,
    jobs: int = 1,
    operon: bool = False,
    noise: float = 0.0,
    units: bool = False,
    tag: str | None = None,
    fresh: bool = False,
    show: bool = False,
    run: Run | None = None,
) -> str:
    """Runs the comparison and returns its section; `run` takes the place of a process for each law."""
    tag, cache = tag or tag_of_packages(), (out or OUT) / FILE
    solvers, remark = ["kan2"], ""
    if operon and installed():
        solvers.append("operon")
        remark = (
            f"Operon: pyoperon {installed()}, the same rows and seconds; columns divided by powers "
            "of ten, its constants fitted again in float64. It claims nothing, so nothing of it is printed as found."
        )
    elif operon:
        remark = NO_OPERON
        print(remark, flush=True)
    asked = [job for solver in solvers for job in wanted(sets, laws, part, solver, seed, seconds, noise, units)]
    if show:
        known = stored(cache)
        results = {job: known[key(job, tag)] for job in asked if key(job, tag) in known}
    else:
        results = collect(asked, run or Processes(), cache, tag=tag, n_jobs=jobs, fresh=fresh)
    return section(results, seconds, tag, remark, reasons())
