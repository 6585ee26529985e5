"""Laws with the ranges of their columns: the sets on which `kan2.discover` is measured, and draws of rows from them.

A set is a table in `case_studies/data`, one law a line: its name, the letter of what it gives, the formula, the columns
and where it stands. Columns are written `name:low:high` where draws are uniform, as in the table of AI Feynman, and
`name~low:high` where their logarithm is, and parted by semicolons. The tables are in a checkout, not in the wheel.

References: Udrescu and Tegmark, AI Feynman (arXiv 1905.11481); Matsubara et al., Rethinking symbolic regression
datasets (arXiv 2206.10540), which draws these equations from ranges of physics; La Cava et al., Inference of compact
nonlinear dynamic models by epigenetic local search (2016) and Contemporary symbolic regression methods and their
relative performance (arXiv 2107.14351).
"""

import csv
import math
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import sympy
from jaxtyping import Float
from numpy.typing import NDArray

from kan2.datasets import feynman
from kan2.expressions.parse import parse_expression
from kan2.expressions.reference_values import reference_values

DATA = Path(__file__).parent / "data"
ROWS = {"feynman": 1000, "feynman_si": 400, "strogatz": 300, "textbook": 500}
"""The sets, and how many rows each of their laws is looked for in."""
TITLES = {
    "feynman": "The 120 equations of AI Feynman in the ranges of their authors",
    "feynman_si": "The same 120 in SI units, columns log-uniform over physical ranges",
    "strogatz": "The 14 right-hand sides of ODE-Strogatz",
    "textbook": "30 laws of chemistry, biology, engineering and finance",
}
EVERY = 3  # settings are chosen on laws number 0, 3, 6, ... of each set
LEAST = 0.02  # share of draws, below which a law has no rows to speak of


@dataclass(frozen=True)
class Column:
    """A variable with its range, and whether its logarithm is drawn uniformly rather than itself."""

    name: str
    low: float
    high: float
    is_log: bool = False

    def draw(self, n: int, generator: np.random.Generator, prolonged: bool = False) -> Float[NDArray, " {n}"]:
        """Returns n values; `prolonged` lets the range go on upwards by half its width, or by half a decade."""
        high = self.high
        if prolonged:
            high = high * math.sqrt(10) if self.is_log else high + (high - self.low) / 2
        if self.is_log:
            return np.exp(generator.uniform(math.log(self.low), math.log(high), n))
        return generator.uniform(self.low, high, n)


@dataclass(frozen=True)
class Law:
    """A formula over columns, its place in its set, and where it stands.

    Attributes:
        of: name of the set.
        index: place in the set, from 0.
        name, output: of the law, and of what it gives.
        formula: text, physical constants as numbers.
        columns: all columns of its tables, also such as the formula is without.
        source: book or paper.
        note: what the ranges are of, and what is left out.
    """

    of: str
    index: int
    name: str
    output: str
    formula: str
    columns: tuple[Column, ...]
    source: str = ""
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def units(self) -> dict[str, str]:
        """The units of the columns and of the output, by name; empty where none were entered."""
        known = units().get(self.name, {}) if self.of.startswith("feynman") else {}
        return {name: unit for name, unit in known.items() if name in (*self.names, self.output)}

    @property
    def is_for_settings(self) -> bool:
        """Whether settings may be chosen by this law."""
        return self.index % EVERY == 0

    @cached_property
    def expression(self) -> sympy.Expr:
        """The formula as a SymPy expression in the names of the columns."""
        return parse_expression(self.formula, self.names)

    def values(self, x: Float[NDArray, "row column"]) -> Float[NDArray, " row"]:
        """Returns what the law gives, not a number where that is not finite and real."""
        return reference_values([self.expression], self.names, x)[:, 0]

    def draw(self, n: int, generator: np.random.Generator, prolonged: bool = False) -> Float[NDArray, "{n} column"]:
        """Returns n draws of the columns, also such as the law has no value at."""
        return np.stack([column.draw(n, generator, prolonged) for column in self.columns], 1)

    def rows(
        self, n: int, seed: int, prolonged: bool = False
    ) -> tuple[Float[NDArray, "{n} column"], Float[NDArray, " {n}"]]:
        """Returns n rows and their values; draws at which the law is not finite and real are left out.

        Args:
            n: number of rows.
            seed: of the draws; a law gets others than its neighbours, and prolonged ranges others than plain ones.
            prolonged: see `Column.draw`.

        Raises:
            ValueError: the law is not finite and real at nearly all draws.

        Example:
            >>> law = laws("strogatz")[0]
            >>> x, y = law.rows(5, seed=0)
            >>> x.shape, y.shape, law.names
            ((5, 2), (5,), ('x', 'y'))
        """
        generator = np.random.default_rng([seed, self.index, list(ROWS).index(self.of), int(prolonged)])
        found_x, found_y, drawn = [], [], 0
        while sum(map(len, found_y)) < n:
            if drawn * LEAST > n:
                raise ValueError(f"{self.name}: expected a law that is finite and real, got one that nowhere is.")
            x = self.draw(n, generator, prolonged)
            y = self.values(x)
            keep = np.isfinite(y)
            found_x.append(x[keep])
            found_y.append(y[keep])
            drawn += n
        return np.concatenate(found_x)[:n], np.concatenate(found_y)[:n]


@cache
def units() -> dict[str, dict[str, str]]:
    """Reads the units of the equations of AI Feynman: by name of the equation, then by name of the variable."""
    found: dict[str, dict[str, str]] = {}
    with (DATA / "feynman_units.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name"], {})[row["variable"]] = row["unit"]
    return found


@cache
def laws(of: str) -> tuple[Law, ...]:
    """Returns the laws of a set, `feynman`, `feynman_si`, `strogatz` or `textbook`, in the order of its table."""
    if of not in ROWS:
        raise ValueError(f"laws: expected one of {', '.join(ROWS)}, got {of!r}.")
    if of == "feynman":
        return tuple(
            Law(of, i, e.name, e.output, e.formula, tuple(Column(name, *ends) for name, ends in e.ranges.items()))
            for i, e in enumerate(feynman.with_units())
        )
    return read(DATA / f"{of}.csv")


def read(path: Path) -> tuple[Law, ...]:
    """Reads a table of laws; the name of the file is the name of the set.

    Raises:
        ValueError: a column is not written as `name:low:high` or `name~low:high` with low < high, above 0 where it is
            logarithmic.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            Law(
                path.stem,
                i,
                row["name"],
                row["output"],
                row["formula"],
                tuple(column(text) for text in row["variables"].split(";")),
                row.get("source", ""),
                row.get("note", ""),
            )
            for i, row in enumerate(csv.DictReader(file))
        )


def column(text: str) -> Column:
    """Reads a column.

    Example:
        >>> column("v~2.7e6:2.7e8")
        Column(name='v', low=2700000.0, high=270000000.0, is_log=True)
    """
    parts = re.fullmatch(r"(\w+)([:~])([^:~]+):([^:~]+)", text.strip())
    if parts:
        name, kind, *ends = parts.groups()
        low, high = map(float, ends)
        if low < high and (kind == ":" or low > 0):
            return Column(name, low, high, kind == "~")
    raise ValueError(f"column: expected name:low:high, or name~low:high above 0, with low < high, got {text!r}.")
