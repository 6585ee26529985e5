"""Columns of text that are numbers after all: thousands apart, another decimal sign, a minus of typographers.

A column is made into numbers only where every value of it can be read, and in one way.
"""

import re
from typing import Any

from kan2.errors import DataError, DataWarning, warn
from kan2.tables._arrow import kernels
from kan2.tables._cells import (
    COMMA,
    GROUPED_COMMA,
    GROUPED_DOT,
    GROUPED_SPACE,
    NUMBERS,
    PLAIN,
    Kind,
    kind_of,
    shown,
)

_LOOK = 200  # values that are looked at before a column is gone through
_NUMBERS = 0.9  # share of a column from which it is one of numbers, with text by mistake
_BETWEEN = "[ \u00a0\u202f\u2009'\u2019]"


def numbers_in_text(table: Any, decimal: str, is_given: bool, where: str) -> Any:
    """Returns a pyarrow table in which columns of text that are numbers have become numbers.

    Args:
        table: a pyarrow.Table.
        decimal: the decimal sign of the file.
        is_given: whether the caller said so; else values such as 1,234 are refused.
        where: the file, for messages.

    Raises:
        DataError: all values of a column are numbers, but may be read in two ways.
    """
    import pyarrow

    for i, column in enumerate(table.columns):
        if pyarrow.types.is_null(column.type):
            table = table.set_column(i, table.column_names[i], column.cast(pyarrow.float64()))
        elif pyarrow.types.is_string(column.type) and (found := _converted(column, decimal, is_given, where, table, i)):
            table = table.set_column(i, table.column_names[i], found[0])
    return table


def text_among_numbers(column: Any) -> str | None:
    """Tells which text makes a column of numbers one of text, such as "'Mean' in row 21"; None if it is no such column.

    Such a column holds numbers in nine of ten rows, or everywhere but in the last row. Rows count from 1.

    Args:
        column: a pyarrow.ChunkedArray of text.
    """
    head = column.drop_null().slice(0, _LOOK).to_pylist()
    # A column of words is not gone through.
    if sum(kind_of(text) in NUMBERS for text in head) < 0.5 * len(head):
        return None
    rows = [(row, text) for row, text in enumerate(column.to_pylist(), 1) if text is not None]
    odd = [(row, text) for row, text in rows if kind_of(text) not in NUMBERS]
    if not odd or len(rows) < 3:
        return None
    is_footer = len(odd) == 1 and odd[0] == rows[-1]
    if not is_footer and len(odd) > (1 - _NUMBERS) * len(rows):
        return None
    more = f" (and in {len(odd) - 1} more)" if len(odd) > 1 else ""
    return f"{shown(odd[0][1])!r} in row {odd[0][0]}{more}"


def warn_of_text(table: Any, where: str) -> None:
    """Warns of columns that would be numbers, were it not for a few texts."""
    import pyarrow

    found = []
    for name, column in zip(table.column_names, table.columns):
        if pyarrow.types.is_string(column.type) and (text := text_among_numbers(column)) is not None:
            found.append(f"{shown(name)!r} has {text}")
    if found:
        more = f", and {len(found) - 3} columns more" if len(found) > 3 else ""
        warn(
            f"read: columns of numbers in {where} became text: {', '.join(found[:3])}{more}. Leave such rows out, "
            "or leave these cells empty if they are missing values.",
            DataWarning,
        )


def _converted(column: Any, decimal: str, is_given: bool, where: str, table: Any, i: int) -> list[Any] | None:
    import pyarrow

    compute = kernels()

    head = [text.strip() for text in column.drop_null().slice(0, _LOOK).to_pylist()]
    if not head or not all(any(p.fullmatch(text) for p in _PATTERNS) for text in head):
        return None
    texts = column.drop_null().to_pylist()
    marks = {_mark(text.strip(), decimal) for text in texts}
    if None in marks:
        return None
    marks -= {"plain"}
    if len(marks - {"either"}) > 1 or (marks == {"either"} and not is_given):
        example = next(text.strip() for text in texts if _mark(text.strip(), decimal) != "plain")
        raise DataError(
            f"read: expected numbers that can be read in one way, got such as {shown(example)!r} in column "
            f"{shown(table.column_names[i])!r} of {where}. Pass decimal='.' or decimal=',', or write the numbers "
            "without signs between thousands."
        )
    comma = "comma" in marks or (not marks - {"either"} and decimal == ",")
    clean = compute.replace_substring_regex(column, pattern=_BETWEEN, replacement="")
    clean = compute.replace_substring(clean, "\u2212", "-")
    clean = compute.replace_substring(clean, "." if comma else ",", "")
    if comma:
        clean = compute.replace_substring(clean, ",", ".")
    clean = compute.replace_substring_regex(clean, pattern="[dD]", replacement="e")
    try:
        return [clean.cast(pyarrow.float64())]
    except pyarrow.ArrowInvalid:
        return None


_PATTERNS = (PLAIN, COMMA, GROUPED_COMMA, GROUPED_DOT, GROUPED_SPACE)


def _mark(text: str, decimal: str) -> str | None:
    """Tells which decimal sign a number has: "comma", "point", "either", "plain" for none; None if it is no number."""
    if re.fullmatch(r"[+\-\u2212]?\d{1,3}(\.\d{3})+", text) and decimal == "," and text.count(".") > 0:
        return "comma" if text.count(".") > 1 else "either"
    kind = kind_of(text)
    if kind is Kind.EITHER:
        return "either"
    if kind is Kind.COMMA:
        return "comma"
    if kind is Kind.GROUPED:
        return "point"
    if kind is not Kind.NUMBER:
        return None
    if GROUPED_SPACE.fullmatch(text) and "," in text:
        return "comma"
    if GROUPED_DOT.fullmatch(text) and text.count(".") > 1:
        return "comma"
    return "point" if "." in text else "plain"
