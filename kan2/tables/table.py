"""A table: columns of one length with names, and the units they are measured in.

The numbers lie in a `pyarrow.Table`, so that a table costs no copy on its way to other frames, and text and dates stay
what they are until a number is asked of them.

Reference: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from kan2.errors import DataError, NumberError, unknown_name
from kan2.tables._arrow import kernels
from kan2.tables._cells import shown
from kan2.tables._texts import text_among_numbers
from kan2.tables.frames import numbers
from kan2.tables.headers import name_and_unit

if TYPE_CHECKING:
    import pyarrow

_SHOWN = 12  # columns that a repr lists


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Named columns; immutable.

    Attributes:
        arrow: the columns as a pyarrow.Table.
        units: by name of the column, where they are known.
        comments: lines of comment from the top of the file.
        source: name of the file, empty where there is none.

    Example:
        >>> import pyarrow
        >>> table = Table(pyarrow.table({"T": [280.0, 310.0, 350.0], "p": [1.0, 2.0, None]}), {"T": "K"})
        >>> table
        Table(3 rows: T [K], p (1 missing))
        >>> table.where("T > 300")["T"]
        array([310., 350.])
    """

    arrow: "pyarrow.Table"
    units: dict[str, str] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    source: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.arrow.column_names)

    def __len__(self) -> int:
        return self.arrow.num_rows

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns the (row,) numbers of a column; missing ones are nan.

        Raises:
            UnknownNameError: there is no such column.
            DataError: it holds text, dates or other things that are no numbers.
        """
        name = self._name(name, "table")
        column = self.arrow[name]
        try:
            return numbers(column, "table", name)
        except NumberError as error:
            # Whoever takes a column for numbers wants to know what is not.
            is_text = error.kind == "text" and self._kind(name) == "text"
            if not is_text or (text := text_among_numbers(column)) is None:
                raise
            odd = NumberError(
                f"table: expected numbers, got text such as {text} of column {shown(name)!r}. Leave such rows out, as "
                "head() does at the end, or mend them in the file."
            )
            odd.kind = error.kind
        raise odd

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        parts = []
        for name in self.columns[:_SHOWN]:
            kind, missing = self._kind(name), self.missing(name)
            notes = [*([kind] if kind != "number" else []), *([f"{missing} missing"] if missing else [])]
            unit = f" [{self.units[name]}]" if name in self.units else ""
            parts.append(f"{shown(name)}{unit}" + (f" ({', '.join(notes)})" if notes else ""))
        if len(self.columns) > _SHOWN:
            parts.append(f"and {len(self.columns) - _SHOWN} more")
        return f"Table({len(self)} row{'s' * (len(self) != 1)}: {', '.join(parts)})"

    def _repr_html_(self) -> str:
        rows = []
        for name in self.columns[:50]:
            cells = [
                name,
                self.units.get(name, ""),
                self._kind(name),
                str(self.missing(name) or ""),
                self._example(name),
            ]
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
        head = "".join(f"<th>{title}</th>" for title in ("column", "unit", "type", "missing", "first values"))
        more = len(self.columns) - 50
        below = f"<p>and {more} more columns</p>" if more > 0 else ""
        title = f"{len(self)} rows, {len(self.columns)} columns" + (f" of {escape(self.source)}" if self.source else "")
        return f"<table><caption>{title}</caption><tr>{head}</tr>{''.join(rows)}</table>{below}"

    def missing(self, name: str) -> int:
        """Returns how many values of a column are missing, or nan."""
        import pyarrow

        compute = kernels()

        column = self.arrow[self._name(name, "missing")]
        if pyarrow.types.is_floating(column.type):
            return int(compute.sum(compute.is_null(column, nan_is_null=True)).as_py() or 0)
        return column.null_count

    def select(self, names: Sequence[str]) -> "Table":
        """Returns the named columns, in the order of the names.

        Raises:
            UnknownNameError: there is no such column.
        """
        wanted = [self._name(name, "select") for name in ([names] if isinstance(names, str) else names)]
        units = {name: self.units[name] for name in wanted if name in self.units}
        return replace(self, arrow=self.arrow.select(wanted), units=units)

    def head(self, n: int = 5) -> "Table":
        """Returns the first n rows, or all where there are fewer."""
        if n < 0:
            raise DataError(f"head: expected n >= 0, got {n}.")
        return replace(self, arrow=self.arrow.slice(0, n))

    def where(self, condition: str) -> "Table":
        """Returns the rows for which a condition holds.

        Comparisons of formulas in the columns, joined by `and`, `or` and `not`. A name that is no word stands in
        backquotes, text in quotes: ``"T > 300 and (`flow rate` < 5 or element == 'Fe')"``. Dates are compared with
        text such as '2020-01-31'. A row whose values are missing fulfils no comparison.

        Raises:
            UnknownNameError: the condition names no column of the table.
            DataError: it is no condition, or compares text with numbers.
            ExpressionError: a side of a comparison is no formula.
        """
        from kan2.tables._conditions import rows_where

        return replace(self, arrow=self.arrow.filter(rows_where(self.arrow, condition)))

    def drop_missing(self, columns: Sequence[str] | None = None) -> "Table":
        """Returns the rows in which no value is missing or nan.

        How many rows went is `len(table) - len(table.drop_missing())`; that none is left is refused.

        Args:
            columns: names of the columns to look at, by default all.

        Raises:
            UnknownNameError: there is no such column.
            DataError: no row is left; names the column that misses most.
        """
        import pyarrow

        compute = kernels()

        looked_at = list(self.columns) if columns is None else list(self.select(columns).columns)
        kept = pyarrow.chunked_array([np.ones(len(self), dtype=bool)])
        for name in looked_at:
            is_float = pyarrow.types.is_floating(self.arrow[name].type)
            kept = compute.and_(kept, compute.invert(compute.is_null(self.arrow[name], nan_is_null=is_float)))
        arrow = self.arrow.filter(kept)
        if len(arrow) == 0 and len(self):
            worst = max(looked_at, key=self.missing)
            raise DataError(
                f"drop_missing: expected rows in which nothing is missing, got none of {len(self)}; {shown(worst)!r} "
                f"misses {self.missing(worst)}. Name the columns to look at, or leave that one out with select()."
            )
        return replace(self, arrow=arrow)

    def describe(self) -> "Table":
        """Returns a table of one row a column: unit, type, missing values, of numbers also range, mean and spread."""
        import pyarrow

        rows = []
        for name in self.columns:
            row: dict[str, Any] = {
                "column": name,
                "unit": self.units.get(name, ""),
                "type": self._kind(name),
                "missing": self.missing(name),
            }
            values = self[name] if row["type"] in ("number", "truth value") else np.empty(0)
            values = values[np.isfinite(values)]
            for title, statistic in (("min", np.min), ("max", np.max), ("mean", np.mean), ("std", np.std)):
                row[title] = float(statistic(values)) if len(values) else None
            rows.append(row)
        return Table(pyarrow.Table.from_pylist(rows), source=self.source)

    def to_columns(self) -> Mapping[str, np.ndarray]:
        """Returns the columns that are numbers, by name; others are left out."""
        return {name: self[name] for name in self.columns if self._kind(name) in ("number", "truth value")}

    def _name(self, name: str, where: str) -> str:
        if isinstance(name, str) and self.arrow.schema.get_field_index(name) >= 0:
            return name
        # As it is written in the file, with its unit.
        bare, unit = name_and_unit(name) if isinstance(name, str) else ("", "")
        if unit and self.units.get(bare) == unit:
            return bare
        raise unknown_name(where, "column", shown(str(name)), map(shown, self.columns))

    def _kind(self, name: str) -> str:
        import pyarrow

        kind, t = self.arrow[name].type, pyarrow.types
        if t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind):
            return "number"
        if t.is_boolean(kind):
            return "truth value"
        if t.is_date(kind) or t.is_timestamp(kind):
            return "date"
        if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
            return "text"
        return "category" if t.is_dictionary(kind) else str(kind)

    def _example(self, name: str) -> str:
        values = self.arrow[name].slice(0, 3).to_pylist()
        texts = ["" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in values]
        return ", ".join(text if len(text) <= 30 else f"{text[:29]}…" for text in texts)
