"""What is told of a data set: its title, where it is from, what is accepted to hold, and its columns."""

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Description:
    """What a data set is.

    Attributes:
        name: by which it is loaded.
        title: one sentence.
        source: where it was published.
        law: what is accepted to hold, as text.
        inputs: names of the columns that are given.
        outputs: names of those that are asked for.
        units: (name, unit of measure), where they are known.
        rows: number of rows; None for a formula, which has as many as one asks for.
        ranges: (name, low, high) of the inputs of a formula.
        columns: names of all columns of the table.
    """

    name: str
    title: str
    source: str
    law: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    units: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    ranges: tuple[tuple[str, float, float], ...] = ()
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        units = dict(self.units)
        given, asked = ([f"{n} [{units[n]}]" if n in units else n for n in ns] for ns in (self.inputs, self.outputs))
        ranges = ", ".join(f"{name} in [{low:g}, {high:g}]" for name, low, high in self.ranges)
        rows = f"Rows: {self.rows}" if self.rows is not None else f"Ranges: {ranges}"
        return (
            f"{self.name}: {self.title}\nColumns: {', '.join(given)} -> {', '.join(asked)}\n{rows}\n"
            f"Accepted law: {self.law}\nSource: {self.source}"
        )

    def _repr_html_(self) -> str:
        return "".join(f"<div>{escape(line)}</div>" for line in str(self).splitlines())
