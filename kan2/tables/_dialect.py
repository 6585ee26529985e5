"""How a text file writes its table, found in its first 64 kB: encoding, delimiter, decimal sign, header, units.

What can be read in two ways is refused, with the argument that decides it.

Reference: RFC 4180; van den Burg, Nazabal, Sutton, Wrangling messy CSV files (arXiv 1811.11242).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase

from kan2.errors import DataError, DataWarning, warn
from kan2.tables._cells import NUMBERS, Kind, is_comment, kind_of, shown
from kan2.tables._encodings import decoded, encoding_of
from kan2.tables._sources import MAX_LINE, long_line
from kan2.tables._titles import count_titles, delimiter_line, width_of
from kan2.tables.headers import split_names, unit_of_row

SAMPLE = 2**16
_CELLS = 1000  # of a row that tell whether a delimiter makes numbers
_LISTED = 10  # names in a message
_ROWS = 200  # of the sample that are looked at
SPACES = " "
_CANDIDATES = ("\t", ";", ",", "|", SPACES)


@dataclass(frozen=True)
class Options:
    """What the caller of `read` says about a text file; None is found.

    Attributes:
        delimiter: one character; a space stands for any number of spaces and tabs.
        decimal: "." or ",".
        encoding: a name that Python knows.
        comment: what a line of comment begins with; empty where there are none.
        header: whether the first row are names.
        names: the names of the columns, in place of those in the file.
        units: whether names and a second row tell units.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    comment: str = "#"
    header: bool | None = None
    names: tuple[str, ...] | None = None
    units: bool = True


@dataclass(frozen=True)
class Dialect:
    """How a text file writes its table.

    Attributes:
        encoding: of the text behind a byte order mark.
        bom: number of bytes of that mark.
        delimiter: between values; a space stands for any number of spaces and tabs.
        decimal: sign before decimals.
        names: of the columns, without units.
        units: by name.
        comments: lines of comment at the top, without their sign.
        start: number of characters before the first row of values.
        first_line: number of the line in which that row begins, from 1.
        has_quotes: whether the values in the sample have quotation marks.
        raw_names: as they are in the file.
        has_extra: whether the rows end with a delimiter that the names lack; the last of `names` is of that column.
    """

    encoding: str
    bom: int
    delimiter: str
    decimal: str
    names: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    start: int = 0
    first_line: int = 1
    has_quotes: bool = False
    raw_names: tuple[str, ...] = ()
    has_extra: bool = False


@dataclass(frozen=True)
class _Record:
    text: str
    start: int  # characters before it
    line: int
    end: int


def sniff(stream: BufferedIOBase, name: str, options: Options) -> Dialect:
    """Finds how a text file writes its table, from its beginning.

    Args:
        stream: the bytes, at their beginning.
        name: of the file, for messages.
        options: what is known.

    Raises:
        DataError: no text, no row, a line without end, or a table that can be read in two ways.
    """
    prefix, is_whole = _prefix(stream, name)
    if not prefix.strip():
        raise DataError(f"read: expected a table, got {name}, which is empty.")
    encoding, bom = encoding_of(prefix, is_whole, name, options.encoding)
    text = decoded(prefix[bom:], encoding, is_whole, name)
    comments, records = _split(text, options.comment)
    if not is_whole and len(records) > 1:
        records = records[:-1]  # which may be cut
    told = delimiter_line(records[0].text) if records and records[0].line == 1 else None
    if told is not None:
        records = records[1:]
    if not records:
        raise DataError(f"read: expected a table, got {name}, which has comments alone.")
    texts = [record.text for record in records]
    delimiter = options.delimiter or told or _delimiter(texts, options.decimal)
    rows = [fields(line, delimiter) for line in texts]
    if options.header is None and (n_titles := _titles(rows, records, delimiter, name)):
        comments += [" ".join(text.split()) for text in texts[:n_titles]]
        records, rows = records[n_titles:], rows[n_titles:]
    decimal = options.decimal or _decimal(rows, delimiter, name)
    has_names = _has_names(rows, options.header, name)
    raw = [" ".join(cell.split()) for cell in rows[0]] if has_names else []
    has_extra = has_names and delimiter != SPACES and _have_extra(rows[1:], len(raw))
    if has_extra:
        rows = [rows[0], *(row[:-1] for row in rows[1:])]
    # What lies before the first row of values: as many rows as are no values.
    n_before = int(has_names)
    units: dict[str, str] = {}
    second = None
    if has_names and options.units and (second := _row_of_units(rows)) is not None:
        n_before = 2
    if len(records) <= n_before:
        raise DataError(f"read: expected rows below the names, got only a header in {name}: {_listed(raw)}.")
    if not has_names:
        raw = _names_without_header(rows, records, text, delimiter, options, name)
    raw = [cell or f"column{i}" for i, cell in enumerate(raw, 1)]
    if options.names is not None:
        if len(options.names) != len(raw):
            raise DataError(
                f"read: expected {len(raw)} names for the columns of {name}, got {len(options.names)}: "
                f"{_listed(options.names)}."
            )
        names = list(options.names)
    elif options.units:
        names, units = split_names(raw)
    else:
        names = raw
    if second is not None:
        units |= {name: unit for name, unit in zip(names, second) if unit}
    check_names(names, name)
    if has_extra:
        extra = next(title for i in range(1, len(names) + 2) if (title := f"column{len(names) + i}") not in names)
        names, raw = [*names, extra], [*raw, extra]
    first = records[n_before]
    return Dialect(
        encoding, bom, delimiter, decimal, tuple(names), units, tuple(comments), first.start, first.line,
        '"' in text[first.start :], tuple(raw), has_extra,
    )  # fmt: skip


def fields(line: str, delimiter: str) -> list[str]:
    """Splits a row into its values.

    Example:
        >>> fields('1;"a;b"', ";"), fields("  1   2", " ")
        (['1', 'a;b'], ['1', '2'])
    """
    if delimiter == SPACES:
        if '"' not in line:
            return line.split()
        lines = line.replace("\t", " ").strip().splitlines(keepends=True)
        return next(csv.reader(lines, delimiter=" ", skipinitialspace=True), [])
    try:
        return next(csv.reader(line.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:  # a field beyond the limit of that module
        return line.split(delimiter)


def check_names(names: Sequence[str], where: str) -> None:
    """Refuses names of columns that occur twice."""
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        told = [
            f"{shown(name)!r} (columns {_listed([str(i) for i, n in enumerate(names, 1) if n == name])})"
            for name in repeated[:5]
        ]
        raise DataError(
            f"read: expected different names of columns, got {'; '.join(told)} in {where}. Rename them in the "
            "file, or pass names= with one for each column."
        )


def _prefix(stream: BufferedIOBase, name: str) -> tuple[bytes, bool]:
    # Enough for three lines at least, where lines are long.
    prefix = b""
    while True:
        wanted = max(SAMPLE, len(prefix))
        block = stream.read(wanted)
        prefix += block
        if len(block) < wanted:
            # A stream may hand out less than it was asked for before its end.
            rest = stream.read(1)
            if not rest:
                _check_lines(prefix, name)
                return prefix, True
            prefix += rest
        if prefix.count(b"\n") + prefix.count(b"\r") >= 6:
            _check_lines(prefix, name)
            return prefix, False
        if len(prefix) > MAX_LINE and b"\n" not in prefix[-MAX_LINE:]:
            raise long_line(name)
        if len(prefix) > 4 * MAX_LINE:
            _check_lines(prefix, name)
            return prefix, False


def _check_lines(prefix: bytes, name: str) -> None:
    # Before anything is made of them, since that takes long.
    if len(prefix) > MAX_LINE and max(map(len, re.split(rb"[\r\n]", prefix))) > MAX_LINE:
        raise long_line(name)


def _listed(names: Sequence[str]) -> str:
    more = [] if len(names) <= _LISTED else [f"and {len(names) - _LISTED} more"]
    return ", ".join([*map(shown, names[:_LISTED]), *more])


def _split(text: str, comment: str) -> tuple[list[str], list[_Record]]:
    comments: list[str] = []
    records: list[_Record] = []
    lines = _lines(text)
    for number, start, line in lines:
        bare = line.strip()
        if not bare:
            continue
        if is_comment(bare, comment):
            if not records:
                comments.append(bare.removeprefix(comment).strip())
            continue
        end, record = start + len(line), line
        while _is_open(record) and record.count("\n") < 50 and (more := next(lines, None)) is not None:
            record += more[2]
            end += len(more[2])
        records.append(_Record(record.rstrip("\r\n"), start, number, end))
        if len(records) > _ROWS:
            break
    return comments, records


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    start = 0
    # Not splitlines, which also splits at form feeds and at what Unicode calls ends of lines.
    for number, match in enumerate(re.finditer(r"[^\r\n]*(?:\r\n|\n|\r|\Z)", text), 1):
        if match.group():
            yield number, start, match.group()
        start = match.end()


def _is_open(record: str) -> bool:
    # A quotation mark inside a value, as that of inches, opens nothing.
    return record.count('"') % 2 == 1 and re.search(r'(?:^|[,;\t| ])"', record) is not None


def _delimiter(lines: list[str], decimal: str | None) -> str:
    best, best_score = ",", (0.5, 0.0, 0)
    for rank, candidate in enumerate(reversed(_CANDIDATES)):
        if candidate == "," and decimal == ",":
            continue
        rows = [fields(line, candidate) for line in lines]
        counts = Counter(len(row) for row in rows if len(row) > 1)
        if not counts:
            continue
        share = counts.most_common(1)[0][1] / len(rows)
        kinds = [kind_of(cell) for row in (rows[1:] or rows) for cell in row[:_CELLS]]
        values = sum(kind in NUMBERS or kind in (Kind.MISSING, Kind.DATE) for kind in kinds) / max(1, len(kinds))
        # Between spaces everything is words: they only count where they make the most of it.
        score = (round(share, 2), round(values, 2), rank)
        if candidate == SPACES and values == 0 and best_score[0] > 0.5:
            continue
        if share > 0.5 and score > best_score:
            best, best_score = candidate, score
    return best


def _decimal(rows: list[list[str]], delimiter: str, name: str) -> str:
    kinds = Counter(kind_of(cell) for row in rows for cell in row if "," in cell)
    if kinds[Kind.GROUPED] or not (kinds[Kind.COMMA] or kinds[Kind.EITHER]):
        return "."
    n_points = sum(
        re.fullmatch(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*", cell) is not None for row in rows for cell in row
    )
    if n_points > kinds[Kind.COMMA]:
        return "."
    if kinds[Kind.COMMA]:
        return ","
    example = next(cell.strip() for row in rows for cell in row if kind_of(cell) is Kind.EITHER)
    example = shown(example)
    raise DataError(
        f"read: expected a decimal sign that can be told, got {example!r} in {name}, which is "
        f"{example.replace(',', '')} or {example.replace(',', '.')}. Pass decimal=',' or decimal='.'."
    )


def _titles(rows: list[list[str]], records: list[_Record], delimiter: str, name: str) -> int:
    found = count_titles(rows)
    if found is None:
        remedy = " With decimal commas, pass delimiter=';' and decimal=','." if delimiter == "," else ""
        raise DataError(
            f"read: expected names for {width_of(rows)} columns in the first row, as many as values below, got "
            f"{shown(records[0].text.strip())!r} in line {records[0].line} of {name}. If this is a title, begin the "
            f"title lines with # or delete them; else name every column.{remedy}"
        )
    if found:
        warn(
            f"read: took {shown(records[0].text.strip())!r} at the top of {name} for a title, and the names from line "
            f"{records[found].line}: {_listed(rows[found])}. Begin title lines with # to say so.",
            DataWarning,
        )
    return found


def _have_extra(rows: list[list[str]], width: int) -> bool:
    # Rows that end with a delimiter below names that do not.
    return bool(rows) and all(len(row) == width + 1 and not row[-1].strip() for row in rows)


def _has_names(rows: list[list[str]], header: bool | None, name: str) -> bool:
    if header is not None:
        return header
    kinds = [kind_of(cell) for cell in rows[0]]
    values = [kind in NUMBERS or kind is Kind.DATE for kind in kinds]
    if Kind.TEXT not in kinds:
        return not any(values)
    if not any(values):
        return True
    # Names such as 400 beside others: below a name that is text, there must be numbers.
    for column, kind in enumerate(kinds):
        below = [kind_of(row[column]) for row in rows[1:20] if column < len(row)]
        if kind is Kind.TEXT and any(k in NUMBERS for k in below):
            return True
    raise DataError(
        f"read: expected a first row of names or of numbers, got {_listed(rows[0])} in {name}. Pass header=True "
        "where these are names, header=False where they are values."
    )


def _row_of_units(rows: list[list[str]]) -> list[str] | None:
    # Clearly so: below names, above numbers, and nothing else in it.
    if len(rows) < 3 or len(rows[1]) != len(rows[0]) or len(rows[2]) != len(rows[0]):
        return None
    found = [unit_of_row(cell) for cell in rows[1]]
    units = [unit for unit in found if unit is not None]
    if len(units) < len(found) or not any(units):
        return None
    below = [kind_of(cell) in NUMBERS or kind_of(cell) is Kind.MISSING for cell in rows[2]]
    return units if all(number for unit, number in zip(units, below) if unit) else None


def _names_without_header(
    rows: list[list[str]], records: list[_Record], text: str, delimiter: str, options: Options, name: str
) -> list[str]:
    count = Counter(len(row) for row in rows).most_common(1)[0][0]
    if options.names is not None:
        return [""] * count
    if options.header is None and options.comment:
        lines = [line.strip() for line in text[: records[0].start].splitlines() if line.strip()]
        if lines:
            cells = [cell.strip() for cell in fields(lines[-1].removeprefix(options.comment).strip(), delimiter)]
            if len(cells) == count > 1 and all(re.match(r"[^\W\d]", cell) for cell in cells):
                warn(
                    f"read: took the names of the columns from the last comment above the numbers of {name}: "
                    f"{_listed(cells)}. Pass header=False or names= for others.",
                    DataWarning,
                )
                return cells
    names = [f"x{i}" for i in range(1, count + 1)]
    if options.header is None:
        warn(
            f"read: {name} has numbers in its first row and no names; the columns are called {names[0]}"
            f"{f' to {names[-1]}' if count > 1 else ''}. Pass names=, or header=False if that is as it should be.",
            DataWarning,
        )
    return names
