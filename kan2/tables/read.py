"""One way into every table: text files, Parquet, Arrow, JSON, packed or not, and the frames of other packages.

What a file says of itself is found: encoding, delimiter, decimal sign, header, units, comments, missing values. What
can be read in two ways is refused with the argument that decides it. Files of numbers are read by pyarrow.

Reference: RFC 4180; https://arrow.apache.org/docs/python/csv.html
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kan2 import options as checks
from kan2.errors import DataError, named_options, unknown_name
from kan2.tables._columnar import read_arrow, read_json, read_parquet, units_in_fields
from kan2.tables._csv import read_text
from kan2.tables._dialect import Options, check_names
from kan2.tables._foreign import from_frame, is_foreign
from kan2.tables._sources import Source, open_source
from kan2.tables.headers import split_names
from kan2.tables.table import Table

FORMATS = ("csv", "parquet", "arrow", "json")
"""Formats that `read` knows; "csv" is any text with one row a line."""

_BY_SUFFIX = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "csv", ".dat": "csv", ".parquet": "parquet", ".pq": "parquet",
    ".feather": "arrow", ".arrow": "arrow", ".ipc": "arrow", ".arrows": "arrow", ".json": "json", ".jsonl": "json",
    ".ndjson": "json",
}  # fmt: skip
_BY_CONTENT = {b"PAR1": "parquet", b"ARROW1": "arrow", b"FEA1": "arrow", b"\xff\xff\xff\xff": "arrow"}
_ALIASES = {
    "tsv": "csv",
    "txt": "csv",
    "text": "csv",
    "feather": "arrow",
    "ipc": "arrow",
    "jsonl": "json",
    "ndjson": "json",
}
_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " ", "whitespace": " ", r"\s+": " ", "comma": ",",
               "semicolon": ";"}  # fmt: skip


@named_options
def read(
    source: Any,
    *,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    comment: str | None = "#",
    header: bool | None = None,
    units: bool = True,
    max_bytes: int | None = None,
) -> Table:
    """Reads a table from a file, a stream or a frame.

    Args:
        source: a path, "-" for standard input, a file object, bytes; or a frame of pandas, polars, pyarrow or xarray, a
            structured array, a dict of columns, a matrix.
        columns: names of those to read, by default all.
        names: names for all columns, in place of those in a text file.
        format: one of "csv", "parquet", "arrow", "json"; by default that of the content, then of the suffix.
        delimiter: between values of a text file; " " stands for any number of spaces and tabs. By default found among
            comma, semicolon, tab, | and spaces.
        decimal: "." or ",". By default found.
        encoding: of a text file, such as "utf-8" or "cp1252". By default found among UTF-8, UTF-16, UTF-32 and cp1252.
        comment: what a line of comment begins with, None where there are none.
        header: whether the first row are names. By default it is where its values are no numbers.
        units: whether to look for units, in names as `v [m/s]`, `v (m/s)`, `T / K`, and in a second row of a header.
        max_bytes: how much may be read, unpacked; by default 8 GiB, and of packed files nothing that grows a
            hundredfold.

    Raises:
        DataError: there is no such file, it is damaged or no table, its rows differ in length, names occur twice, or it
            can be read in two ways; says which and what to do.
        UnknownNameError: there is no such column, or no such format.

    Example:
        >>> import io
        >>> table = read(io.StringIO("# measured in May\\nt [s];x [m]\\n0;1,5\\n1;2,25\\n"))
        >>> table, table["x"].tolist(), table.comments
        (Table(2 rows: t [s], x [m]), [1.5, 2.25], ('measured in May',))
    """
    options = _options(delimiter, decimal, encoding, comment, header, names, units)
    max_bytes = None if max_bytes is None else checks.whole("read", "max_bytes", max_bytes)
    format = None if format is None else checks.text("read", "format", format)
    if columns is not None and not isinstance(columns, str):
        columns = checks.listed("read", "columns", columns, "names", "['x', 'y']", in_order=True)
        if bad := [name for name in columns if not (isinstance(name, str) or checks.is_whole(name))]:
            raise DataError(f"read: expected columns as a list of names, got {bad[0]!r:.80} in it. Pass text.")
    if isinstance(source, Table):
        return source if columns is None else source.select(columns)
    if is_foreign(source):
        arrow, known = from_frame(source, columns, max_bytes)
        return _table(arrow, options, known, (), "")
    if not (hasattr(source, "read") or hasattr(source, "__fspath__") or isinstance(source, str | bytes | bytearray)):
        raise DataError(
            f"read: expected a path, a file object or a frame, got {type(source).__name__}. Pass a dict of columns, or "
            "an array of rows and columns."
        )
    opened = open_source(source, max_bytes)
    try:
        return _read(opened, _format(opened, format), options, columns, max_bytes)
    finally:
        opened.close()


def _read(opened: Source, kind: str, options: Options, columns: Sequence[str] | None, max_bytes: int | None) -> Table:
    if kind == "csv":
        if options.delimiter is None and opened.suffix in (".tsv", ".tab"):
            options = replace(options, delimiter="\t")
        arrow, dialect = read_text(opened, options, columns)
        kept = {name: unit for name, unit in dialect.units.items() if name in arrow.column_names}
        return Table(arrow, kept, dialect.comments, opened.name)
    if kind == "json":
        arrow = read_json(opened, columns)
    else:
        arrow = (read_parquet if kind == "parquet" else read_arrow)(opened, columns, max_bytes)
    return _table(arrow, options, units_in_fields(arrow.schema), (), opened.name)


def _table(arrow: Any, options: Options, known: dict[str, str], comments: tuple[str, ...], source: str) -> Table:
    if arrow.num_columns == 0 or arrow.num_rows == 0:
        what = "columns" if arrow.num_columns == 0 else "rows"
        raise DataError(f"read: expected a table, got {source or 'a frame'} without {what}.")
    raw = list(arrow.column_names)
    names, units = split_names(raw) if options.units else (raw, {})
    if options.names is not None:
        if len(options.names) != len(raw):
            raise DataError(f"read: expected {len(raw)} names of columns, got {len(options.names)}.")
        names, units = list(options.names), {}
    check_names(names, source or "the frame")
    units |= {new: known[old] for old, new in zip(raw, names) if old in known}
    return Table(arrow.rename_columns(names).replace_schema_metadata(None), units, comments, source)


def _format(source: Source, given: str | None) -> str:
    if given is not None:
        kind = _ALIASES.get(str(given).lower().lstrip("."), str(given).lower().lstrip("."))
        if kind not in FORMATS:
            raise unknown_name("read", "format", given, FORMATS)
        return kind
    if not source.head:
        raise DataError(f"read: expected a table, got {source.name}, which is empty.")
    for magic, kind in _BY_CONTENT.items():
        if source.head.startswith(magic):
            return kind
    kind = _BY_SUFFIX.get(source.suffix)
    if kind in ("parquet", "arrow"):
        shown = {"parquet": "Parquet", "arrow": "Arrow"}[kind]
        raise DataError(
            f"read: expected a whole {shown} file, got {source.name}, which does not begin as one. Fetch it again, or "
            "pass format= if it is another."
        )
    if kind is None and source.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return "json"
    return kind or "csv"


def _options(
    delimiter: str | None,
    decimal: str | None,
    encoding: str | None,
    comment: str | None,
    header: bool | None,
    names: Sequence[str] | None,
    units: bool,
) -> Options:
    if delimiter is not None:
        given = checks.text("read", "delimiter", delimiter)
        delimiter = _DELIMITERS.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '\r\n"' or ord(delimiter) > 127:
            raise DataError(f"read: expected a delimiter of one character such as ',' or ';', got {given!r}.")
    if decimal is not None and checks.text("read", "decimal", decimal) not in (".", ","):
        raise DataError(f"read: expected decimal '.' or ',', got {decimal!r}.")
    if decimal is not None and decimal == delimiter:
        raise DataError(f"read: expected another delimiter than the decimal sign, got {decimal!r} for both.")
    if isinstance(names, str):
        raise DataError(f"read: expected a list of names, got the text {names!r}. Pass [{names!r}].")
    names = None if names is None else checks.names("read", "names", names)
    return Options(
        delimiter,
        decimal,
        None if encoding is None else checks.text("read", "encoding", encoding),
        "" if comment is None else checks.text("read", "comment", comment),
        None if header is None else checks.flag("read", "header", header),
        names,
        checks.flag("read", "units", units),
    )
