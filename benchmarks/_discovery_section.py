"""The section on the discovery of laws: how many are found in each set, and one line for each that is not."""

import csv
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks._discovery_cache import Result
from benchmarks._discovery_run import Job
from benchmarks._timing import machine
from case_studies._laws import ROWS, TITLES
from case_studies._results import table

REASONS = Path(__file__).with_name("discovery_reasons.csv")
DIGITS = 90  # characters of a formula that are shown


def reasons(path: Path = REASONS) -> dict[tuple[str, str], str]:
    """Reads the table kept by hand that says why laws are missed: set, law, reason."""
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["set"], row["law"]): row["reason"] for row in csv.DictReader(file)}


def section(
    results: Mapping[Job, Result], seconds: float, tag: str, remark: str, why: Mapping[tuple[str, str], str]
) -> str:
    """Returns the section; sets of which nothing was run are left out.

    Args:
        results: of kan2 and, maybe, Operon.
        seconds: of the processor, that each law had.
        tag: the state of the packages.
        remark: what else is to be said, as that Operon is not installed.
        why: reasons for what is missed, by set and law.
    """
    ours = {job: result for job, result in results.items() if job.solver == "kan2"}
    theirs = {job: result for job, result in results.items() if job.solver == "operon"}
    sets = [of for of in ROWS if any(job.of == of for job in results)]
    header = ["set", "rows", "exact", "of these not for settings", "median s", "wrong, printed as found"]
    header += ["kan2 where Operon ran", "Operon there", "median s"] * bool(theirs)
    lines = []
    for of in sets:
        mine = {job: result for job, result in ours.items() if job.of == of}
        other = {job: result for job, result in theirs.items() if job.of == of}
        cells = [TITLES[of], f"{ROWS[of]:,}", _share(mine.values())]
        cells += [_share([result for job, result in mine.items() if not job.law.is_for_settings])]
        cells += [_median(mine.values()), str(sum(map(_is_wrong, mine.values())))]
        if theirs:
            both = {(job.index, job.seed) for job in other}
            cells += [_share([result for job, result in mine.items() if (job.index, job.seed) in both])]
            cells += [_share(other.values()), _median(other.values())]
        lines.append(cells)
    wrong = sum(map(_is_wrong, ours.values()))
    noise = max((job.noise for job in ours), default=0.0)
    has_units = any(job.units for job in ours)
    data = f"noise of {noise:.3g} deviations of the target" if noise else "no noise"
    data += ", units of measure given" if has_units else ", no units of measure"
    header[2] = "right" if noise else "exact"
    right = (
        "Right: fitted again to rows without noise the formula is exact, none of its numbers moves by more than three "
        "standard errors thereby, and it has no more of them than the law. "
    )
    text = (
        f"## Discovery of laws{': ' * bool(noise or has_units)}{data * bool(noise or has_units)}\n\n"
        f"`kan2.discover(table, target=...)` with its defaults, one process and one thread a law, {seconds:g} "
        f"processor seconds, {data}. {right * bool(noise)}Exact: on 1,000 new rows, from ranges that go on upwards by "
        "half their width (by half a decade where logarithmic), the formula is finite on 99 % and off by at most 1e-6 "
        "standard deviations, root mean square. Settings are chosen on every third law, marked *. "
        f"Packages: {tag}. {machine()}\n\n{table(header, lines)}\n\n"
        f"Wrong formulas printed as found: {wrong} of {len(ours)}."
    )
    text += f" {remark}" * bool(remark)
    for of in sets:
        missed = [(job, r) for job, r in ours.items() if job.of == of and not r["exact"]]
        if missed:
            rows = [_missed(job, result, why.get((of, job.law.name), "")) for job, result in missed]
            header = ["missed", "columns", "formula printed", "as found", "error", "s", "why"]
            text += f"\n\n### {TITLES[of]}\n\n{table(header, rows)}"
    return text + "\n"


def _missed(job: Job, result: Result, why: str) -> list[str]:
    formula = str(result["formula"] or "")
    shown = f"`{shortened(formula)}`" if formula else f"none: {shortened(result['reason'])}".removesuffix(": ")
    error = "" if result["error"] is None else f"{result['error']:.1e}"
    name = job.law.name + "\\*" * job.law.is_for_settings
    cells = [name, str(len(job.law.columns)), shown, "YES" if _is_wrong(result) else "no", error]
    return [cell.replace("|", "\\|") for cell in [*cells, f"{result['seconds']:.1f}", why]]


def shortened(text: str) -> str:
    """Returns a text on one line, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= DIGITS else text[: DIGITS - 3] + "..."


def _is_wrong(result: Result) -> bool:
    return bool(result["found"] and not result["exact"])


def _share(results: Iterable[Result]) -> str:
    values = list(results)
    return f"{sum(result['exact'] for result in values)} of {len(values)}" if values else ""


def _median(results: Iterable[Result]) -> str:
    values = [result["seconds"] for result in results]
    return f"{statistics.median(values):.1f}" if values else ""
