"""How long `kan2.tables.read` takes for a CSV of a million rows, beside pyarrow's reader with its defaults.

One thread each, taking turns in one process, the file in memory of the system. What pyarrow cannot read as it is (runs
of spaces, comments between the rows) is set beside its time for the same numbers in plain CSV.
"""

import gzip
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import csv, parquet

from benchmarks._timing import machine, process_seconds
from case_studies._results import table
from kan2.tables import read

TARGET = 1.5
ROUNDS = 5


def write(folder: Path, rows: int, columns: int) -> dict[str, Path]:
    """Writes the same numbers in several ways; returns the files by what they are."""
    values = np.random.default_rng(0).normal(size=(rows, columns))
    names = [f"c{i}" for i in range(columns)]
    numbers = pyarrow.table(dict(zip(names, values.T)))
    files = {name: folder / name for name in ("plain.csv", "units.csv", "commas.csv", "comments.csv", "spaces.dat")}
    files |= {name: folder / name for name in ("plain.csv.gz", "plain.parquet")}
    csv.write_csv(numbers, files["plain.csv"])
    text = files["plain.csv"].read_text()
    head, _, body = text.partition("\n")
    units = ",".join(f"{name} [m/s]" for name in names)
    files["units.csv"].write_text(f"# measured in May\n{units}\n{body}")
    files["commas.csv"].write_text(f"{head}\n{body}".replace(",", ";").replace(".", ","))
    lines = body.splitlines(keepends=True)
    middle = len(lines) // 2
    files["comments.csv"].write_text("".join([head, "\n", *lines[:middle], "# a pause\n", *lines[middle:]]))
    files["spaces.dat"].write_text(f"{' '.join(names)}\n{body}".replace(",", "  "))
    with gzip.open(files["plain.csv.gz"], "wt", compresslevel=1) as packed:
        packed.write(text)
    parquet.write_table(numbers, files["plain.parquet"])
    return files


def candidates(files: dict[str, Path]) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Returns what is compared: by `read`, and by pyarrow."""
    plain = str(files["plain.csv"])
    semicolons = {
        "parse_options": csv.ParseOptions(delimiter=";"),
        "convert_options": csv.ConvertOptions(decimal_point=","),
    }
    return {
        "plain CSV": (lambda: read(plain), lambda: csv.read_csv(plain)),
        "units in the header, a comment at the top": (
            lambda: read(files["units.csv"]),
            lambda: csv.read_csv(files["units.csv"], read_options=csv.ReadOptions(skip_rows=1)),
        ),
        "decimal commas, semicolons": (
            lambda: read(files["commas.csv"]),
            lambda: csv.read_csv(files["commas.csv"], **semicolons),
        ),
        "a comment between the rows": (lambda: read(files["comments.csv"]), lambda: csv.read_csv(plain)),
        "runs of spaces": (lambda: read(files["spaces.dat"]), lambda: csv.read_csv(plain)),
        "gzip": (lambda: read(files["plain.csv.gz"]), lambda: csv.read_csv(files["plain.csv.gz"])),
        "Parquet": (lambda: read(files["plain.parquet"]), lambda: parquet.read_table(files["plain.parquet"])),
    }


def main(rows: int = 1_000_000, columns: int = 10) -> str:
    """Runs the comparison and returns its section."""
    before = pyarrow.cpu_count(), pyarrow.io_thread_count()
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    found = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, (ours, theirs) in candidates(write(Path(folder), rows, columns)).items():
                rounds = [(process_seconds(ours), process_seconds(theirs)) for _ in range(ROUNDS + 1)][1:]
                mine, other = (1e3 * statistics.median(times) for times in zip(*rounds))
                found.append([name, f"{mine:.0f}", f"{other:.0f}", f"{mine / other:.2f}"])
                print(*found[-1], flush=True)
    finally:
        pyarrow.set_cpu_count(before[0])
        pyarrow.set_io_thread_count(before[1])
    header = ["file", "kan2.tables.read, ms", "pyarrow, ms", "ratio"]
    return (
        "## Reading tables\n\n"
        f"{rows:,} rows of {columns} numbers, processor time on one thread, medians of {ROUNDS}. The first row "
        f"is to stay below {TARGET}. pyarrow {pyarrow.__version__}. {machine()}\n\n"
        f"{table(header, found)}\n"
    )
