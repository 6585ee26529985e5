"""The page docs/results.md: sections that the commands of this repository write and replace."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HEADER = """# Results

Every figure on this page was printed by a command of this repository: `make bench` (comparisons, one thread, side by
side in one process) or `make reproduce` (case studies). Timings depend on the machine; ratios within one table compare
what ran side by side.
"""


def write_section(text: str, path: Path) -> None:
    """Puts a section, which starts with a heading of level two, in place of the one with the same heading."""
    page = path.read_text() if path.exists() else HEADER
    sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    heading = text.splitlines()[0]
    new = [text if section.splitlines()[:1] == [heading] else section for section in sections]
    if text not in new:
        new.append(text)
    path.write_text("\n".join(section.rstrip() + "\n" for section in new))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table.

    Example:
        >>> print(table(["x", "y"], [["1", "2"]]))
        | x | y |
        | --- | --- |
        | 1 | 2 |
    """
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *rows))


def study_section(report: dict[str, Any], full: bool, seeds: int | None = None) -> str:
    """Returns the section of a study from its report: one line a task, the paper's figure beside ours.

    Args:
        report: what `CaseResult.report` gives.
        full: whether the study ran in its full size.
        seeds: the number of seeds that was asked for, None where the study chose.
    """
    options = f"{' --full' if full else ''}{f' --seeds {seeds}' if seeds else ''}"
    rows = []
    for row in report["table"]:
        several = row["n_seeds"] is not None
        cells = [
            row["task"],
            row["found"],
            f"{float(row['error']):.1e} ({row['measure']})",
            f"{float(row['median']):.1e}" if several else "",
            f"{row['n_met']} of {row['n_seeds']}" if several else "",
            row["paper"],
            row["target"],
            "yes" if row["passed"] else "NO",
            f"{row['seconds']:.1f}",
        ]
        rows.append([_cell(cell) for cell in cells])
    header = ["task", "found", "worst error", "median", "seeds", "paper", "target", "met", "seconds"]
    command = f"`python -m case_studies {report['study']}{options}`, {report['seconds']:.0f} s."
    return f"## Case study: {report['study']}\n\n{command}\n\n{table(header, rows)}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("\n", "<br>")
