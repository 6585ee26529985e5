"""What the text of one cell is: a number, and how it is written, a date, or missing."""

import re
from enum import Enum, auto

_ERRORS = ("#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NUM!", "#NAME?", "#NULL!")
MISSING = ("", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "-nan", "-NaN", "null", "NULL", "None", "-", "--", *_ERRORS)
"""How missing values are written, the errors of spreadsheets among them."""

NO_COMMENT = rf"(?!(?:{'|'.join(map(re.escape, _ERRORS))})[ \t]*(?:[,;|\t\r\n]|\Z))"
"""Pattern of what a line of comment does not begin with: an error of a spreadsheet in the first column."""

_SHOWN = 60  # characters of a name or a value in a message

_EXPONENT = r"(?:[eEdD][+-]?\d+)?"
_SIGN = r"[+\-\u2212]?"
PLAIN = re.compile(rf"{_SIGN}(?:(?:\d+\.?\d*|\.\d+){_EXPONENT}|(?i:inf(?:inity)?))")
COMMA = re.compile(rf"{_SIGN}(?:\d*|\d{{1,3}}(?:\.\d{{3}})+),\d+{_EXPONENT}")
GROUPED_COMMA = re.compile(rf"{_SIGN}\d{{1,3}}(?:,\d{{3}})+(?:\.\d*)?")
GROUPED_DOT = re.compile(rf"{_SIGN}\d{{1,3}}(?:\.\d{{3}})+(?:,\d*)?")
GROUPED_SPACE = re.compile(rf"{_SIGN}\d{{1,3}}(?:[ \u00a0\u202f\u2009'\u2019]\d{{3}})+(?:[.,]\d+)?")
_EITHER = re.compile(rf"{_SIGN}[1-9]\d{{0,2}}[.,]\d{{3}}")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?\b.*|\d\d?[./]\d\d?[./]\d{2,4}\b.*|\d\d?:\d\d(:\d\d(\.\d+)?)?")


class Kind(Enum):
    """What a cell may be.

    Members:
        EITHER: a number such as 1,234, which is 1234 or 1.234.
        COMMA: a number with a decimal comma.
        GROUPED: a number with commas between thousands.
        NUMBER: any other number.
    """

    MISSING = auto()
    NUMBER = auto()
    COMMA = auto()
    GROUPED = auto()
    EITHER = auto()
    DATE = auto()
    TEXT = auto()


NUMBERS = frozenset({Kind.NUMBER, Kind.COMMA, Kind.GROUPED, Kind.EITHER})


def shown(text: str) -> str:
    """Returns a name or a value for a message, cut where it is long.

    Example:
        >>> shown("speed"), len(shown(1000 * "x"))
        ('speed', 60)
    """
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def is_comment(line: str, sign: str) -> bool:
    """Tells whether a line, without space before it, is a comment; an error of a spreadsheet in front is none.

    Example:
        >>> is_comment("# by me", "#"), is_comment("#DIV/0!,3", "#"), is_comment("# by me", "")
        (True, False, False)
    """
    return bool(sign) and line.startswith(sign) and re.match(NO_COMMENT, line) is not None


def kind_of(cell: str) -> Kind:
    """Returns what a cell is.

    Example:
        >>> [kind_of(cell).name for cell in ("1.5e3", "1,5", "1,234", "1,234,567", "-", "2020-01-01", "Fe")]
        ['NUMBER', 'COMMA', 'EITHER', 'GROUPED', 'MISSING', 'DATE', 'TEXT']
    """
    text = cell.strip()
    if text in MISSING:
        return Kind.MISSING
    if GROUPED_SPACE.fullmatch(text):
        return Kind.COMMA if "," in text else Kind.NUMBER
    if "," in text:
        if _EITHER.fullmatch(text):
            return Kind.EITHER
        if COMMA.fullmatch(text):
            return Kind.COMMA
        return Kind.GROUPED if GROUPED_COMMA.fullmatch(text) else Kind.TEXT
    if PLAIN.fullmatch(text):
        return Kind.NUMBER
    if GROUPED_DOT.fullmatch(text) and text.count(".") > 1:
        return Kind.NUMBER
    return Kind.DATE if _DATE.fullmatch(text) else Kind.TEXT
