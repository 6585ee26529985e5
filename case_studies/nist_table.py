"""Builds the table of NIST's problems of nonlinear regression from the files that NIST publishes.

`python -m case_studies.nist_table FOLDER` reads FOLDER/*.dat and writes the `nist.json` that ships with the project.
Numbers stay as NIST prints them; of the model only the way of writing changes.

Reference: NIST/ITL, Statistical Reference Datasets, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parents[1] / "kan2" / "datasets" / "data" / "nist.json"
"""The 27 problems, as `kan2.datasets.nist` reads them."""

_BELOW_HEADER = 60  # lines; then rows follow, in every file


def read_problem(path: Path) -> dict[str, Any]:
    """Reads a file of NIST: model, two starts, certified values, columns.

    Raises:
        ValueError: there are other numbers of rows or parameters than the header says, or this is no file of NIST.
    """
    lines = path.read_text(encoding="ascii").splitlines()
    header, rows = lines[:_BELOW_HEADER], [line.split() for line in lines[_BELOW_HEADER:] if line.strip()]
    text = "\n".join(header)
    target, formula = _model(text)
    numbers = [line.replace("=", " ").split() for line in header if re.match(r"\s+b\d+ =", line)]
    columns = header[-1].removeprefix("Data:").split()
    problem = {
        "level": _after(r"(\w+) Level of Difficulty", text).lower(),
        "source": " ".join(_after(r"Reference:((?:.|\n)*?)\n\s*\n+Data:", text).split()),
        "target": target,
        "formula": formula,
        "starts": [{row[0]: float(row[i]) for row in numbers} for i in (1, 2)],
        "certified": {row[0]: float(row[3]) for row in numbers},
        "standard_errors": {row[0]: float(row[4]) for row in numbers},
        "residual_sum_of_squares": float(_after(r"Residual Sum of Squares:\s+(\S+)", text)),
        "residual_standard_deviation": float(_after(r"Residual Standard Deviation:\s+(\S+)", text)),
        # Not what the file says: that of Rat43 says 9, where 15 rows, 4 parameters and both residuals make it 11.
        "degrees_of_freedom": len(rows) - len(numbers),
        "columns": {name: [float(row[i]) for row in rows] for i, name in enumerate(columns)},
    }
    n_rows, n_parameters = int(_after(r"Number of Observations:\s+(\d+)", text)), int(_after(r"(\d+) Parameters", text))
    if (len(rows), len(numbers)) != (n_rows, n_parameters):
        raise ValueError(
            f"read_problem: expected {n_rows} rows and {n_parameters} parameters in {path.name}, got {len(rows)} and "
            f"{len(numbers)}. Take the file from NIST again."
        )
    return problem


def _model(text: str) -> tuple[str, str]:
    """Returns the name of the response and the formula of a model, in Python's way of writing.

    Example:
        >>> _model("2 Parameters (b1 and b2)\\n\\n   log[y] = b1 * exp[ -b2*x ]\\n   - x/b1  +  e\\n\\n\\n")
        ('log_y', 'b1*exp(-b2*x) - x/b1')
    """
    left, right = _after(r"Parameters \(.*\)\s+(?:pi = \S+\s+)?((?:.|\n)*?)\+\s*e\s*\n", text).split("=")
    formula = "".join(right.split()).replace("[", "(").replace("]", ")").replace("arctan", "atan")
    formula = re.sub(r"(?<!\d)\.(?=\d)", "0.", formula)
    spaced, depth = "", 0
    for at, character in enumerate(formula):
        depth += (character == "(") - (character == ")")
        spaced += f" {character} " if character in "+-" and depth == 0 and at else character
    return left.strip().replace("log[y]", "log_y"), spaced


def _after(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"read_problem: expected {pattern!r} in a header, got none. Take the file from NIST again.")
    return found[1]


def write(problems: dict[str, dict[str, Any]], path: Path = SHIPPED) -> None:
    """Writes problems as JSON, each part of one on a line of its own."""
    told = []
    for name, problem in problems.items():
        parts = (f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in problem.items())
        told.append(f"{json.dumps(name)}: {{\n" + ",\n".join(parts) + "\n}")
    path.write_text("{\n" + ",\n".join(told) + "\n}\n", encoding="ascii")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="case_studies.nist_table", description="Builds the table of NIST's problems.")
    parser.add_argument("folder", type=Path, help="where NIST's files are, such as Misra1a.dat")
    write({path.stem: read_problem(path) for path in sorted(parser.parse_args().folder.glob("*.dat"))})
