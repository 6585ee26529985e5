"""What may stand above the names of a table: a line that tells Excel the delimiter, and lines of title.

Titles are taken for such where it is clear: they have fewer values than the rows below them, and what follows are
names, one for each value of the rows, above numbers.

Reference: van den Burg, Nazabal, Sutton, Wrangling messy CSV files (arXiv 1811.11242).
"""

import re
from collections import Counter
from collections.abc import Sequence

from kan2.tables._cells import NUMBERS, Kind, kind_of
from kan2.tables.headers import unit_of_row

_SEP = re.compile(r'"?sep=(?P<sign>[^\r\n"])"?\s*', re.IGNORECASE)
_MOST = 30  # lines of title


def delimiter_line(line: str) -> str | None:
    """Returns the delimiter that a first line tells Excel, or None for any other line.

    Example:
        >>> delimiter_line("sep=;"), delimiter_line("sep,b")
        (';', None)
    """
    found = _SEP.fullmatch(line.rstrip("\r\n"))
    return None if found is None else found["sign"]


def width_of(rows: Sequence[Sequence[str]]) -> int:
    """Returns how many values most rows have; of numbers that occur equally often the largest."""
    return max(Counter(map(len, rows)).items(), key=lambda item: (item[1], item[0]))[0]


def count_titles(rows: Sequence[Sequence[str]]) -> int | None:
    """Returns how many rows at the top are titles; None where some may be, and cannot be told from names.

    Example:
        >>> count_titles([["My experiment"], ["x", "y"], ["1", "2"], ["3", "4"]])
        1
        >>> count_titles([["x"], ["1", "2"], ["3", "4"]]) is None
        True
        >>> count_titles([["x", "y"], ["1", "2"]])
        0
    """
    width = width_of(rows)
    count = next((i for i, row in enumerate(rows) if len(row) >= width), 0)
    # Rows of values that are too short are no titles.
    if count == 0 or any(kind_of(row[0]) in NUMBERS for row in rows[:count] if row):
        return 0
    is_clear = count <= _MOST and len(rows[count]) == width and _are_names(rows[count], rows[count + 1 : count + 3])
    # Above a row of units stand names, if there are several.
    if is_clear and (max(map(len, rows[:count])) == 1 or any(unit_of_row(cell) is None for cell in rows[count])):
        return count
    # One row of several values is a row of names, of which some are missing.
    return None if count > 1 or len(rows[0]) == 1 else 0


def _are_names(names: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    if any(kind_of(cell) is not Kind.TEXT for cell in names) or len({cell.strip() for cell in names}) < len(names):
        return False
    return any(len(row) == len(names) and any(kind_of(cell) in NUMBERS for cell in row) for row in below)
