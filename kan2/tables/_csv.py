"""Text files by pyarrow: untouched where they can be, changed line by line where they cannot.

pyarrow knows no comments between rows, no runs of spaces and no rows that differ in length; the file is given to it as
it is, and looked at again only where it stumbles.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kan2.errors import DataError, unknown_name
from kan2.tables._arrow import kernels
from kan2.tables._cells import MISSING, NO_COMMENT, is_comment, shown
from kan2.tables._dialect import SPACES, Dialect, Options, fields, sniff
from kan2.tables._encodings import fallback
from kan2.tables._sources import MAX_LINE, Lines, Source, long_line, wrong_encoding
from kan2.tables._texts import numbers_in_text, warn_of_text
from kan2.tables.headers import name_and_unit


@dataclass(frozen=True)
class _Way:
    """How pyarrow is called: what it stumbled over before is in here."""

    encoding: str
    comments: bool = False
    newlines: bool = False
    long_lines: bool = False


def read_text(source: Source, options: Options, columns: Sequence[str] | None) -> tuple[Any, Dialect]:
    """Reads a text file; returns a pyarrow.Table and how the file is written.

    Args:
        source: the file.
        options: what the caller says about it.
        columns: names of those to read, in order; None for all.

    Raises:
        DataError: this is no table, or can be read in two ways.
    """
    with source.open() as stream:
        dialect = sniff(stream, source.name, options)
    n_names = len(dialect.names) - dialect.has_extra
    wanted = chosen(dialect.names[:n_names], columns, dialect.raw_names[:n_names])
    way = _Way(dialect.encoding, newlines=dialect.has_quotes)
    # Each turn changes one thing, so that there are few.
    for _ in range(6):
        table, changed = _attempt(source, dialect, options, wanted, way)
        if changed is None:
            break
        way = changed
    if len(table) == 0:
        raise DataError(f"read: expected rows below the names, got none in {source.name}.")
    if dialect.has_extra:
        table, dialect = _without_extra(table, dialect, source.name)
    table = table.select(wanted) if columns is not None else _without_empty(table, dialect)
    table = numbers_in_text(table, dialect.decimal, bool(options.decimal) or dialect.decimal == ",", source.name)
    warn_of_text(table, source.name)
    return table, dialect


def chosen(names: Sequence[str], columns: Sequence[str] | None, raw: Sequence[str] = ()) -> list[str]:
    """Returns the names of the columns that are asked for, which may be given with their units.

    Raises:
        UnknownNameError: there is no such column.
    """
    if columns is None:
        return list(names)
    if isinstance(columns, str):
        columns = [columns]
    by_raw, known = dict(zip(raw, names)), set(names)
    found = []
    for column in columns:
        name = column if column in known else by_raw.get(column, name_and_unit(str(column))[0])
        if name not in known:
            raise unknown_name("read", "column", shown(str(column)), map(shown, names))
        found.append(name)
    return list(dict.fromkeys(found))


def _without_empty(table: Any, dialect: Dialect) -> Any:
    # Lines that end with a delimiter make a column without a name or a value.
    last = dialect.names[-1]
    nameless = dialect.raw_names and dialect.raw_names[-1] == f"column{len(dialect.names)}"
    if nameless and table[last].null_count == len(table) and table.num_columns > 1:
        return table.drop_columns([last])
    return table


def _without_extra(table: Any, dialect: Dialect, where: str) -> tuple[Any, Dialect]:
    column = table[dialect.names[-1]]
    n_names = len(dialect.names) - 1
    if column.null_count < len(column):
        row = column.is_valid().index(True).as_py()
        raise DataError(
            f"read: expected {n_names} values a row, as there are names, got {shown(str(column[row].as_py()))!r} as "
            f"one more in row {row + 1} of {where}. Give that column a name, or mend the row."
        )
    dialect = replace(dialect, names=dialect.names[:n_names], raw_names=dialect.raw_names[:n_names])
    return table.drop_columns([table.column_names[-1]]) if table.num_columns > n_names else table, dialect


def _attempt(
    source: Source, dialect: Dialect, options: Options, wanted: list[str], way: _Way
) -> tuple[Any, _Way | None]:
    """Returns a table, or another way in which to try."""
    import pyarrow
    from pyarrow import csv as arrow

    # The first column is always read: it shows comments between the rows.
    is_all = len(wanted) == len(dialect.names)
    extra = dialect.names[-1:] if dialect.has_extra else ()
    included = [] if is_all else list(dict.fromkeys([*wanted, dialect.names[0], *extra]))
    stream = _stream(source, dialect, options, way)
    try:
        table = arrow.read_csv(
            stream,
            read_options=arrow.ReadOptions(
                column_names=list(dialect.names), block_size=2 * MAX_LINE if way.long_lines else None
            ),
            parse_options=arrow.ParseOptions(
                delimiter="\t" if dialect.delimiter == SPACES else dialect.delimiter, newlines_in_values=way.newlines
            ),
            convert_options=arrow.ConvertOptions(
                null_values=list(MISSING), strings_can_be_null=True, decimal_point=dialect.decimal,
                include_columns=included,
            ),
        )  # fmt: skip
    except pyarrow.ArrowInvalid as error:
        return None, _another(source, dialect, options, way, str(error))
    except OSError as error:
        raise DataError(f"read: expected a file that can be read, got {source.name}: {error}.") from None
    finally:
        stream.close()
    if options.comment and not way.comments and _has_comments(table[dialect.names[0]], options.comment):
        return table, replace(way, comments=True)
    odd = next((c for c in table.columns if pyarrow.types.is_binary(c.type)), None)
    if odd is not None and way.encoding == "utf-8":
        value = next(v for v in odd.drop_null().to_pylist() if _is_odd(v))
        if options.encoding is not None:
            raise wrong_encoding(source.name, options.encoding, next(b for b in value if b > 127))
        return table, replace(way, encoding=fallback(value))
    return table, None


def _is_odd(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return True
    return False


def _has_comments(column: Any, comment: str) -> bool:
    import pyarrow

    compute = kernels()

    is_text = pyarrow.types.is_string(column.type)
    if is_text:
        column = compute.ascii_ltrim_whitespace(column)
    elif not pyarrow.types.is_binary(column.type):
        return False
    return bool(compute.any(compute.starts_with(column, pattern=comment if is_text else comment.encode())).as_py())


def _another(source: Source, dialect: Dialect, options: Options, way: _Way, message: str) -> _Way:
    if "straddl" in message or "block size" in message.lower():
        if way.long_lines:
            raise long_line(source.name)
        return replace(way, long_lines=True)
    if options.comment and not way.comments:
        return replace(way, comments=True)
    if not way.newlines:
        return replace(way, newlines=True)
    raise _ragged(source, dialect, options, way) or DataError(
        f"read: expected a table, got {source.name}: {' '.join(message.split())[:200]}."
    )


def _stream(source: Source, dialect: Dialect, options: Options, way: _Way) -> Any:
    import pyarrow

    change = _change(dialect, options, way)
    if change is None and way.encoding == "utf-8":
        stream = pyarrow.OSFile(str(source.path)) if source.path is not None else source.open()
        head = _head(source, dialect)
        if source.path is not None:
            stream.seek(head)
        else:
            _skip(stream, head)
        return stream
    raw = source.open()
    if way.encoding == "utf-8":
        _skip(raw, _head(source, dialect))
        return Lines(raw, way.encoding, 0, change, source.name)
    _skip(raw, dialect.bom)
    return Lines(raw, way.encoding, dialect.start, change, source.name)


def _head(source: Source, dialect: Dialect) -> int:
    # The number of bytes before the first row of values.
    with source.open() as stream:
        _skip(stream, dialect.bom)
        text = b""
        while len(text.decode(errors="ignore")) < dialect.start:
            text += stream.read(max(1, dialect.start - len(text.decode(errors="ignore"))))
    return dialect.bom + len(text.decode(errors="ignore")[: dialect.start].encode())


def _skip(stream: Any, count: int) -> None:
    while count > 0 and (block := stream.read(count)):
        count -= len(block)


def _change(dialect: Dialect, options: Options, way: _Way) -> Callable[[bytes], bytes] | None:
    steps: list[Callable[[bytes], bytes]] = []
    if way.comments and options.comment:
        sign = options.comment.encode()
        pattern = re.compile(rb"(?m)^[ \t]*" + NO_COMMENT.encode() + re.escape(sign) + rb"[^\n]*(?:\n|\Z)")
        steps += [_one_line_end, lambda block: pattern.sub(b"", block) if sign in block else block]
    if dialect.delimiter == SPACES:
        steps.append(_tabbed)
    if not steps:
        return None
    return lambda block: _through(steps, block)


def _through(steps: list[Callable[[bytes], bytes]], block: bytes) -> bytes:
    for step in steps:
        block = step(block)
    return block


def _one_line_end(block: bytes) -> bytes:
    # Only what is at the beginning of a line for `re` is one, and that is behind \n alone.
    return block if b"\r" not in block else block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _tabbed(block: bytes) -> bytes:
    if b'"' in block:
        rows = (fields(line, SPACES) for line in block.decode().splitlines())
        return "".join("\t".join(f'"{v.replace(chr(34), chr(34) * 2)}"' for v in row) + "\n" for row in rows).encode()
    block = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", block)
    return re.sub(rb"[ \t]+", b"\t", block)


def _ragged(source: Source, dialect: Dialect, options: Options, way: _Way) -> DataError | None:
    """Finds the first row with another number of values, and returns the error that names it."""
    expected = len(dialect.names)
    with source.open() as raw:
        _skip(raw, dialect.bom)
        stream = Lines(raw, way.encoding, dialect.start, None, source.name)
        line = dialect.first_line - 1
        for text in _text_lines(stream):
            line += 1
            bare = text.strip()
            if not bare or is_comment(bare, options.comment):
                continue
            got = fields(text.rstrip("\r\n"), dialect.delimiter)
            if len(got) != expected and text.count('"') % 2 == 0:
                return _ragged_error(source, dialect, line, got, bare)
    return None


def _text_lines(stream: Any) -> Any:
    import io

    with io.TextIOWrapper(io.BufferedReader(stream, 2**20), "utf-8", newline=None) as text:
        yield from text


def _ragged_error(source: Source, dialect: Dialect, line: int, got: list[str], text: str) -> DataError:
    remedy = "Mend this line, or pass delimiter=, decimal= or comment= if the file is written in another way."
    if dialect.delimiter == "," and len(got) > len(dialect.names) and re.fullmatch(r"[\s\d.,+\-eE]+", text):
        remedy = "With decimal commas, values must be apart by ; or a tab, or stand in quotation marks."
    known = {SPACES: "spaces", "\t": "tabs"}.get(dialect.delimiter, repr(dialect.delimiter))
    return DataError(
        f"read: expected {len(dialect.names)} values a row, as in the first one, got {len(got)} in line {line} of "
        f"{source.name}: {shown(text)!r} (values between {known}). {remedy}"
    )
