"""Reading a table from what is typed: a file, standard input, or a table that comes with the library."""

import csv
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kan2.errors import DataError, unknown_name


@dataclass(frozen=True)
class Plain:
    cells: dict[str, list[str]]
    units: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.cells)

    def __len__(self) -> int:
        return len(next(iter(self.cells.values()), []))

    def __getitem__(self, name: str) -> Any:
        if name not in self.cells:
            raise unknown_name("table", "column", name, self.cells)
        try:
            return np.array([float(c) if c else np.nan for c in self.cells[name]])
        except ValueError:
            raise DataError(f"table: expected numbers, got text in column {name!r}.") from None

    def _rows(self, kept: Any) -> "Plain":
        return Plain({n: [c for c, k in zip(cells, kept) if k] for n, cells in self.cells.items()}, self.units)

    def where(self, condition: str) -> "Plain":
        name, sign, value = condition.split()
        column = self[name]
        kept = {">": column > float(value), "<": column < float(value)}[sign]
        return self._rows(kept)

    def drop_missing(self, columns: Any = None) -> "Plain":
        return self._rows(np.isfinite(np.stack([self[n] for n in columns or self.columns])).all(0))


def read_table(source: str) -> Any:
    """Reads the table that is typed as `source`."""
    text = sys.stdin.read() if source == "-" else Path(source).read_text()
    lines = [line for line in io.StringIO(text) if line.strip() and not line.startswith("#")]
    if not lines:
        raise DataError(f"table: expected rows, got an empty file {source!r}.")
    names, *rows = csv.reader(lines)
    return Plain({name: [row[i] for row in rows] for i, name in enumerate(names)})
