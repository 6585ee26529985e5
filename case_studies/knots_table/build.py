"""Builds the table of knots: one line a knot into a file that a later run continues, then one compressed table.

`python -m case_studies.knots_table.build --crossings 13` (extra `knots`) makes the table that ships with the project.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from case_studies.knots_table import SHIPPED
from case_studies.knots_table.census import describe, is_hyperbolic, prime_knots

INTEGERS = ("crossings", "hyperbolic_torsion_degree", "hyperbolic_adjoint_torsion_degree", "signature")
TEXTS = ("name", "symmetry_group")


def build(crossings: int, out: Path, console: Console | None = None) -> dict[str, np.ndarray]:
    """Writes the table of all hyperbolic knots up to a number of crossings, and returns it.

    Args:
        crossings: largest number of crossings, 3 to 15.
        out: the table, a .npz; beside it grows OUT.csv, which a later run continues.
        console: where the progress bar goes.
    """
    lines = out.with_suffix(".csv")
    done = _finished_names(lines)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with lines.open("a", newline="") as file, Progress(*columns, console=console) as progress:
        writer = csv.writer(file)
        for n in range(3, crossings + 1):
            census = prime_knots(n)
            for exterior in progress.track(census, total=len(census), description=f"{n} crossings"):
                if exterior.name() in done or not is_hyperbolic(exterior):
                    continue
                record = describe(exterior)
                if not done:
                    writer.writerow(record)
                writer.writerow(record.values())
                file.flush()
                done.add(record["name"])
    table: dict[str, Any] = pack(lines)
    np.savez_compressed(out, **table)
    return table


def pack(lines: Path) -> dict[str, np.ndarray]:
    """Reads the lines of a build into columns: texts, small integers and float32."""
    with lines.open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: _census_order(row["name"]))
    table: dict[str, Any] = {}
    for name in rows[0]:
        kind = np.bytes_ if name in TEXTS else np.int8 if name in INTEGERS else np.float32
        table[name] = np.array([row[name] for row in rows]).astype(kind)
    return table


def _census_order(name: str) -> tuple[int, str, int]:
    # K13n4145: crossings, alternating or not, number.
    kind = "a" if "a" in name else "n"
    crossings, number = name.removeprefix("K").split(kind)
    return int(crossings), kind, int(number)


def compare_with_knotinfo(table: dict[str, np.ndarray]) -> tuple[int, int]:
    """Returns how many knots KnotInfo knows too, and of how many it gives another signature."""
    from database_knotinfo import link_list  # type: ignore[import-not-found]

    known = {row["dt_name"].replace("_", ""): row["signature"] for row in link_list()[1:] if row["signature"]}
    pairs = [
        (known[name], str(value))
        for name, value in zip((n.decode().removeprefix("K") for n in table["name"]), table["signature"])
        if name in known
    ]
    return len(pairs), sum(one != other for one, other in pairs)


def _finished_names(lines: Path) -> set[str]:
    if not lines.exists():
        return set()
    text = lines.read_text()
    # A run that was killed may have left half a line.
    lines.write_text(text[: text.rfind("\n") + 1])
    with lines.open(newline="") as file:
        return {row["name"] for row in csv.DictReader(file)}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--crossings", type=int, default=13, help="largest number of crossings, 3 to 15")
    parser.add_argument("--out", type=Path, default=None, help="default: the shipped table for 13, else knots_N.npz")
    parser.add_argument("--check", action="store_true", help="compare signatures with KnotInfo (up to 13 crossings)")
    arguments = parser.parse_args()
    out = arguments.out or (SHIPPED if arguments.crossings == 13 else Path(f"knots_{arguments.crossings}.npz"))
    console = Console()
    table = build(arguments.crossings, out, console)
    console.print(f"{len(table['name'])} knots in {out}")
    if arguments.check:
        common, different = compare_with_knotinfo(table)
        console.print(f"{common} of them are in KnotInfo; {different} signatures differ")


if __name__ == "__main__":
    main()
