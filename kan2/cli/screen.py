"""Tables that fit the terminal: no word is ever broken across lines.

Every column is at least as wide as its longest word. Where the words of all columns do not fit side by side, the rows
are *stacked*: one line for each cell, under each other, each behind the name of its column. A word longer than the
terminal itself stands on a line of its own, for the terminal to continue.
"""

import re
import shutil
import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

_PADDING = 2  # blanks between two columns
_BLANKS = r"[ \t\n\r\v\f]+"  # where lines may be broken, as of textwrap
_GLUE = "\u00a0"  # a blank where they may not


def show(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    right: Collection[str] = (),
    console: "Console | None" = None,
) -> None:
    """Prints a table.

    Args:
        columns: names.
        rows: cells of each row, text that may have several lines.
        title: a line above.
        right: names of the columns to be aligned on the right, as numbers are.
        console: where to; by default stdout.
    """
    for line in lines(columns, rows, _width(console), title=title, right=right):
        _print(line, console)


def _width(console: "Console | None") -> int:
    return shutil.get_terminal_size().columns if console is None else console.width


def _print(line: str, console: "Console | None") -> None:
    if console is None:
        typer.echo(line)
    else:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    title: str | None = None,
    right: Collection[str] = (),
) -> list[str]:
    """Returns the lines of a table that is at most so many characters wide, but for words that are longer.

    Example:
        >>> print("\\n".join(lines(["name", "what it is"], [["a", "a semi-major axis"]], 16)))
        name  what it is
        ----  ----------
        a     a
              semi-major
              axis
    """
    # A number and its % stay on one line.
    rows = [[re.sub(r"(?<=\d) (?=%)", _GLUE, cell) for cell in row] for row in rows]
    return [line.replace(_GLUE, " ") for line in _lines(columns, rows, width, title, right)]


def _lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, title: str | None, right: Collection[str]
) -> list[str]:
    widths = _widths(columns, rows, width)
    top = [] if title is None else _wrapped(title, width)
    if widths is None:
        return top + _stacked(columns, rows, width)
    found = [*top, *_row(columns, widths, columns, right), "  ".join("-" * w for w in widths)]
    blocks = [_row(row, widths, columns, right) for row in rows]
    # Where the first cell does not show that a row begins, an empty line does.
    is_loose = any(not row[0].strip() or len(_wrapped(row[0], widths[0])) > 1 for row in rows if row)
    is_loose = is_loose and any(len(block) > 1 for block in blocks)
    for i, block in enumerate(blocks):
        found += [*([""] if i and is_loose else []), *block]
    return found


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    # None where the longest words do not fit side by side.
    cells = [[column, *(row[i] for row in rows)] for i, column in enumerate(columns)]
    least = [max((len(word) for cell in column for word in re.split(_BLANKS, cell)), default=1) for column in cells]
    most = [max((len(line) for cell in column for line in cell.split("\n")), default=1) for column in cells]
    left = width - sum(least) - _PADDING * (len(columns) - 1)
    if left < 0:
        return None
    found = [max(1, size) for size in least]
    while left > 0 and any(a < b for a, b in zip(found, most)):
        # What is furthest from its longest line gets the next character.
        i = max(range(len(found)), key=lambda i: most[i] / found[i])
        found[i] += 1
        left -= 1
    return found


def _row(cells: Sequence[str], widths: Sequence[int], columns: Sequence[str], right: Collection[str]) -> list[str]:
    wrapped = [_wrapped(cell, width) for cell, width in zip(cells, widths)]
    found = []
    for k in range(max(map(len, wrapped), default=0)):
        parts = [column[k] if k < len(column) else "" for column in wrapped]
        aligned = [p.rjust(w) if name in right else p.ljust(w) for p, w, name in zip(parts, widths, columns)]
        found.append((" " * _PADDING).join(aligned).rstrip())
    return found


def _stacked(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    found: list[str] = []
    for i, row in enumerate(rows):
        found += [""] if i else []
        for column, cell in zip(columns, row):
            text = re.sub(_BLANKS, " ", cell).strip()
            if text:
                found += textwrap.wrap(
                    f"{column}: {text}", max(width, 4), subsequent_indent="  ", break_long_words=False,
                    break_on_hyphens=False,
                )  # fmt: skip
    return found


def _wrapped(text: str, width: int) -> list[str]:
    found: list[str] = []
    for line in text.split("\n"):
        found += textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
    return found


def pairs(rows: Sequence[tuple[str, Any]], console: "Console | None" = None) -> None:
    """Prints names with what they stand for, one under the other; what is None is left out."""
    width = _width(console)
    known = [(name, str(value)) for name, value in rows if value is not None]
    column = max((len(name) for name, _ in known), default=0) + 2
    for name, value in known:
        indent = column if column + 20 <= width else 2
        for k, line in enumerate(value.split("\n")):
            head = f"{name}:".ljust(column) if not k else " " * indent
            text = textwrap.wrap(
                head + line, max(width, 4), subsequent_indent=" " * indent, break_long_words=False,
                break_on_hyphens=False, drop_whitespace=True,
            )  # fmt: skip
            for part in text or [head.rstrip()]:
                _print(part, console)
