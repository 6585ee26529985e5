"""JSON of which nothing is believed: what it holds is checked against a description before anything is made of it.

`read_json` reads text without numbers that are not finite and without objects that name a key twice. A *check* takes a
value and returns it, or raises `JSONError`; `record`, `list_of` and the others build large checks from small ones. An
error tells where in the text the value stands, as `layers[0].basis.grid`.

Reference: https://www.rfc-editor.org/rfc/rfc8259, sections 4 and 6.
"""

import json
import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], Any]

LONGEST = 60
"""Characters of a wrong value that a message shows."""

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong = 2, LONGEST, LONGEST


class JSONError(ValueError):
    """A text is not the JSON that was asked for; `inside` tells where."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message, self.place = message, ""

    def inside(self, step: str) -> "JSONError":
        """Returns the error as seen one level further out."""
        self.place = f"{step}{'' if not self.place or self.place[0] == '[' else '.'}{self.place}"
        return self

    def __str__(self) -> str:
        return f"{self.message} at {self.place}" if self.place else self.message


def wrong(expected: str, value: Any) -> JSONError:
    """Builds the error for a value that is not what was expected."""
    return JSONError(f"expected {expected}, got {shown(value)}")


def shown(value: Any) -> str:
    """Returns a value as a message shows it: short, however large or deep it is."""
    return _SHORT.repr(value)


def read_json(text: str | bytes) -> Any:
    """Reads JSON text.

    Raises:
        JSONError: the text is not JSON, holds NaN or an infinite number, names a key twice, or is nested too deeply.

    Example:
        >>> read_json('{"a": [1, 2.5]}')
        {'a': [1, 2.5]}
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except RecursionError:
        raise JSONError("expected JSON, got one nested too deeply") from None
    except JSONError:
        raise
    except (TypeError, ValueError) as error:
        raise JSONError(f"expected JSON, got {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"another text: {error.msg} in line {error.lineno}, column {error.colno}"
    return f"{'bytes that are no text' if isinstance(error, UnicodeError) else str(error)}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise wrong("different keys", name)
        found[name] = value
    return found


def _constant(text: str) -> float:
    raise JSONError(f"expected finite numbers, got {text}")


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise JSONError(f"expected numbers within the range of float64, got {text[:LONGEST]}")
    return value


def string(value: Any) -> str:
    """Checks for text that UTF-8 can write."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeError:
            raise wrong("text", value) from None
        return value
    raise wrong("text", value)


def flag(value: Any) -> bool:
    """Checks for true or false."""
    if isinstance(value, bool):
        return value
    raise wrong("true or false", value)


def number(value: Any) -> float:
    """Checks for a number within the range of float64; a whole number stays one."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1.7e308:
        return value
    raise wrong("a number", value)


def integer(low: int, high: int) -> Check:
    """Makes a check for whole numbers from low to high."""

    def check(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise wrong(f"a whole number from {low} to {high}", value)

    return check


def nullable(check: Check) -> Check:
    """Makes a check that lets null pass as well."""
    return lambda value: None if value is None else check(value)


def one_of(*values: Any) -> Check:
    """Makes a check for one of a few texts."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in values:
            return value
        raise wrong(" or ".join(map(repr, values)), value)

    return check


def list_of(check: Check, length: int | None = None) -> Check:
    """Makes a check for lists, which it returns as tuples.

    Example:
        >>> list_of(integer(0, 9), length=2)([1, 2])
        (1, 2)
    """

    def check_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or length not in (None, len(value)):
            raise wrong("a list" if length is None else f"a list of {length}", value)
        found = []
        for i, item in enumerate(value):
            try:
                found.append(check(item))
            except JSONError as error:
                raise error.inside(f"[{i}]") from None
        return tuple(found)

    return check_all


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """Makes a check for objects with these keys and no others.

    Example:
        >>> record({"n": integer(0, 9)}, {"name": string})({"n": 3})
        {'n': 3}
    """
    checks = {**required, **(optional or {})}

    def check_all(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong("an object", value)
        if missing := [name for name in required if name not in value]:
            raise JSONError(f"expected the keys {', '.join(required)}, got none called {', '.join(missing)}")
        found = {}
        for name, item in value.items():
            if name not in checks:
                raise wrong(f"the keys {', '.join(checks)}", name)
            try:
                found[name] = checks[name](item)
            except JSONError as error:
                raise error.inside(name) from None
        return found

    return check_all
