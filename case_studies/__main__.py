"""`python -m case_studies list | NAME | all [--full] [--seeds N] [--out DIR] [--results PAGE]`."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Lock

from case_studies import STUDIES
from case_studies._base import INTERRUPTED, count, hint, make_places, options, run_as_script
from case_studies._results import study_section, write_section


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns the exit status: 0 where every target was met."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("list", "-h", "--help"):
        print(__doc__)
        for name, what in STUDIES.items():
            print(f"  {name:24} {what}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "all":
        return run_all(rest)
    if name not in STUDIES:
        print(f"case_studies: unknown study {name!r}.{hint(name, STUDIES)}", file=sys.stderr)
        return 2
    return run_as_script(import_module(f"case_studies.{name}").run, rest)


def run_all(argv: list[str]) -> int:
    """Runs every study in a process of its own, so that one that breaks does not take the others with it."""
    parser = options("all", "every study, one after the other or several at once")
    parser.add_argument("--jobs", type=count, default=1, help="how many run at once")
    arguments = parser.parse_args(argv)
    out, turn = arguments.out or Path("out"), Lock()
    running: list[subprocess.Popen[str]] = []
    make_places(parser, out, arguments.results)
    passed_on = ["--full"] * arguments.full + (["--seeds", str(arguments.seeds)] if arguments.seeds else [])

    def run(name: str) -> int:
        report = out / name / "report.json"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "case_studies", name, *passed_on, "--out", str(out / name)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as study:
            running.append(study)
            told, refused = study.communicate()
        with turn:
            print(told, flush=True)
            print(refused, file=sys.stderr, flush=True)
            # A study that broke has left no report.
            if arguments.results is not None and report.exists():
                found = json.loads(report.read_text())
                write_section(study_section(found, arguments.full, arguments.seeds), arguments.results)
        return study.returncode

    with ThreadPoolExecutor(arguments.jobs) as pool:
        try:
            # The longest ones come last in the list; started first, they leave no worker idle at the end.
            return max(pool.map(run, reversed(STUDIES)))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            # Ctrl-C on a terminal has reached the studies as well; a signal to this process alone has not.
            end_all(running)
            return INTERRUPTED


def end_all(running: list[subprocess.Popen[str]], patience: float = 0.7) -> None:
    """Waits a moment for processes to end by themselves, and ends those that do not.

    Args:
        running: the processes; those that have ended may be among them.
        patience: seconds for all of them together.
    """
    end = time.monotonic() + patience
    while time.monotonic() < end and any(study.poll() is None for study in running):
        time.sleep(0.02)
    for study in running:
        if study.poll() is None:
            study.terminate()


if __name__ == "__main__":
    sys.exit(main())
