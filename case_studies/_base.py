"""What every case study gives back, and how it is shown: figures, `report.json`, one table."""

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from math import isfinite
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any, NoReturn

from matplotlib.figure import Figure
from rich.console import Console

from case_studies._results import study_section, write_section
from kan2.cli.screen import show
from kan2.interrupts import Interruptible


@dataclass(frozen=True)
class Row:
    """One line of a study's table.

    Attributes:
        task: what was asked.
        found: what came out, a formula or a figure.
        error: the error that judges it, in the unit that `measure` names; of several seeds the worst.
        measure: what the error is.
        target: what the error was held against.
        passed: whether the target was met.
        seconds: wall-clock time; of several seeds the median.
        paper: the figure of the paper, or of the notebook that goes with it, for the same task.
        median: median error over the seeds, or None.
        n_met, n_seeds: how many seeds met the target.
    """

    task: str
    found: str
    error: float
    measure: str
    target: str
    passed: bool
    seconds: float
    paper: str = ""
    median: float | None = None
    n_met: int | None = None
    n_seeds: int | None = None


@dataclass(frozen=True)
class Trial:
    """What one seed gave: what was found, its error, whether it met the target, and the seconds it took."""

    found: str
    error: float
    met: bool
    seconds: float


def row_of_trials(task: str, trials: Sequence[Trial], measure: str, target: str, paper: str = "") -> Row:
    """Returns the line of a task that was tried with several seeds; it passes where every seed did.

    The line shows what the first seed found that missed the target, or what the first seed found.
    """
    shown = next((trial for trial in trials if not trial.met), trials[0])
    errors = [trial.error for trial in trials]
    return Row(
        task,
        shown.found,
        max(errors),
        measure,
        target,
        all(trial.met for trial in trials),
        median(trial.seconds for trial in trials),
        paper,
        median(errors),
        sum(trial.met for trial in trials),
        len(trials),
    )


_folder: ContextVar[Path | None] = ContextVar("folder", default=None)
"""Where the study that runs as a script puts its files."""
_started: ContextVar["CaseResult | None"] = ContextVar("started", default=None)
"""The results of the study that runs, for a script that is interrupted."""
INTERRUPTED = 130  # what shells expect of a script that Ctrl-C ended


@dataclass
class CaseResult:
    """Results of a study, collected while it runs.

    Attributes:
        name: the study.
        rows: lines of the table.
        metrics: everything measured, by name.
        formulas: everything found, by name, as text.
        figures: matplotlib figures, or anything with `svg()` and `png()`, by file name without ending.
        told: longer texts by title, such as fronts of formulas; printed below the table.
        references: where the task and the figures beside ours come from.
        interrupted: whether Ctrl-C ended the study before its last line.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    formulas: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    def __post_init__(self) -> None:
        _started.set(self)

    @property
    def passed(self) -> bool:
        """Whether every target was met."""
        return not self.interrupted and all(row.passed for row in self.rows)

    @property
    def report(self) -> dict[str, Any]:
        """Everything but the figures, as it is written into `report.json`."""
        return {
            "study": self.name,
            "passed": self.passed,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 2),
            "table": [vars(row) for row in self.rows],
            "metrics": self.metrics,
            "formulas": self.formulas,
            "told": self.told,
            "references": self.references,
        }

    @cached_property
    def folder(self) -> Path:
        """The folder of a script's results, for files that a study reads again; else a new temporary one."""
        return _folder.get() or Path(mkdtemp(prefix=f"{self.name}-"))

    def table(self, name: str, columns: Mapping[str, Any]) -> Path:
        """Writes columns as `name`.csv, with all digits, and returns the path."""
        path = self.folder / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    def write(self, out: Path) -> None:
        """Writes figures (SVG and PNG) and `report.json` into a directory, which is made if need be."""
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in self.figures.items():
            if isinstance(figure, Figure):
                figure.savefig(out / f"{name}.svg", bbox_inches="tight")
                figure.savefig(out / f"{name}.png", dpi=160, bbox_inches="tight")
            else:
                (out / f"{name}.svg").write_text(figure.svg())
                (out / f"{name}.png").write_bytes(figure.png())
        (out / "report.json").write_text(json.dumps(_strict(self.report), indent=2, allow_nan=False) + "\n")

    def show(self, console: Console | None = None) -> None:
        """Prints the table."""
        rows = []
        for row in self.rows:
            error = f"{row.error:.1e}\n{row.measure}"
            if row.n_seeds is not None and row.n_seeds > 1:
                error = f"worst {row.error:.1e}\nmedian {row.median:.1e}\n{row.measure}"
            met = "yes" if row.passed else "NO"
            if row.n_seeds is not None and row.n_seeds > 1:
                met += f"\n{row.n_met} of {row.n_seeds}"
            rows.append([row.task, row.found, error, row.paper, row.target, met, f"{row.seconds:.1f} s"])
        columns = ["task", "found", "error", "paper", "target", "met", "time"]
        show(columns, rows, title=f"{self.name}: {self.seconds:.1f} s", console=console)
        for title, text in self.told.items():
            # Formulas have brackets, which are no markup.
            (console or Console()).print(f"\n{title}\n{text}", markup=False, highlight=False, soft_wrap=True)


def _strict(value: Any) -> Any:
    # JSON has no infinity: what is not finite becomes text, which `float` reads.
    if isinstance(value, dict):
        return {str(key): _strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)
    return number if isfinite(number) else str(number)


class Stopwatch:
    """Counts the seconds since it was made or last read."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()

    def lap(self) -> float:
        """Returns the seconds since the last lap."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        return seconds

    def total(self) -> float:
        """Returns the seconds since the start."""
        return time.perf_counter() - self.start


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one line."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, and ends with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def count(text: str) -> int:
    """Reads a whole number of at least 1 from the command line.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}.")
    return int(text)


def hint(name: str, known: Collection[str]) -> str:
    """Returns what follows the refusal of an unknown name: the closest known one, and all.

    Example:
        >>> hint("pede", ["pde", "knots"])
        " Did you mean 'pde'? Known: pde, knots."
    """
    close = get_close_matches(name, known, n=1)
    return (f" Did you mean {close[0]!r}?" if close else "") + f" Known: {', '.join(known)}."


def make_places(parser: Parser, out: Path, results: Path | None) -> None:
    """Makes the folders into which results go, so that what cannot be written is refused before the work."""
    for option, folder in (("--out", out), ("--results", results.parent if results else out)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"argument {option}: expected a folder that can be made, got {folder} ({error.strerror}).")
    if results is not None and results.is_dir():
        parser.error(f"argument --results: expected a page, got the folder {results}.")


def options(name: str, what: str) -> Parser:
    """Returns the parser of the options that every study takes."""
    parser = Parser(prog=name, description=what)
    parser.add_argument("--full", action="store_true", help="the full size instead of the quick one")
    parser.add_argument("--seeds", type=count, default=None, help="number of seeds")
    parser.add_argument("--out", type=Path, default=None, help="where figures and report go, default out/NAME")
    parser.add_argument("--results", type=Path, default=None, help="page into which the table goes as a section")
    return parser


def run_as_script(study: Callable[..., CaseResult], argv: list[str] | None = None) -> int:
    """Runs one study from the command line: [--full] [--seeds N] [--out DIR] [--results PAGE]; returns the status."""
    name = (
        study.__module__.rsplit(".", 1)[-1] if study.__module__ != "__main__" else Path(study.__code__.co_filename).stem
    )
    parser = options(name, (study.__doc__ or name).splitlines()[0])
    arguments = parser.parse_args(argv)
    out = arguments.out or Path("out") / name
    make_places(parser, out, arguments.results)
    _folder.set(out)
    result = _run(study, arguments.full, arguments.seeds)
    if result is None:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    result.write(out)
    result.show()
    if arguments.results is not None:
        write_section(study_section(result.report, arguments.full, arguments.seeds), arguments.results)
    Console().print(f"Figures and report.json are in {out}/")
    if result.interrupted:
        print(f"{name}: interrupted after {len(result.rows)} lines of the table", file=sys.stderr)
        return INTERRUPTED
    return 0 if result.passed else 1


def _run(study: Callable[..., CaseResult], full: bool, seeds: int | None) -> CaseResult | None:
    # The lines that an interrupted study had, marked as such; None where it had none.
    _started.set(None)
    clock = Stopwatch()
    try:
        # A fit that is interrupted must not hand what it has to a study that goes on.
        with Interruptible():
            return study(full=full, seeds=seeds)
    except KeyboardInterrupt:
        result = _started.get()
        if result is None or not result.rows:
            return None
        result.interrupted, result.seconds = True, clock.total()
        return result
