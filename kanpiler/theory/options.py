"""Parameters and unknown functions as users name them, checked.

Reference: `kan2.core.theory`, for what is known of each.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import sympy

from kan2.core.theory import SHAPES, Parameter, Unknown
from kan2.errors import SpecError
from kan2.expressions.parse import ExpressionError, parse_expression
from kanpiler.errors import CompileError, ConstraintError


def checked_parameters(given: Any) -> dict[str, Parameter]:
    """Returns parameters by name.

    Args:
        given: names; or a mapping name -> start, (start, low, high) or `Parameter`.

    Raises:
        CompileError: these are no parameters.
        ConstraintError: a start is no number or outside its bounds.

    Example:
        >>> checked_parameters({"k": (0.1, 0, None)})["k"].bounds
        (0.0, inf)
    """
    found = {}
    for key, value in _mapping(given, "parameters", "start", 1.0).items():
        name = key.name if isinstance(key, sympy.Symbol) else key
        if not isinstance(name, str) or not name:
            raise CompileError(f"compile: expected names of parameters, got {key!r}.")
        found[name] = _parameter(name, value)
    return found


def _mapping(given: Any, kind: str, what: str, value: Any) -> Mapping[Any, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, Iterable):
        raise CompileError(f"compile: expected {kind} as names or a mapping name -> {what}, got {given!r}.")
    names = given.replace(",", " ").split() if isinstance(given, str) else list(given)
    if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
        raise CompileError(f"compile: expected each name once in {kind}, got {repeated[0]} twice.")
    return dict.fromkeys(names, value)


def _parameter(name: str, value: Any) -> Parameter:
    try:
        if isinstance(value, Parameter):
            return replace(value, name=name)
        if isinstance(value, Real) and not isinstance(value, bool):
            return Parameter(float(value), name=name)
        if isinstance(value, tuple | list) and len(value) == 3:
            start, low, high = value
            return Parameter(start, low, high, name=name)
    except SpecError as error:
        raise ConstraintError(str(error)) from None
    raise ConstraintError(
        f"parameter {name}: expected a start, (start, low, high) or kanpiler.Parameter(...), got {value!r}. None is no "
        "bound."
    )


_BETWEEN = re.compile(r"between (.+) and (.+)")


def checked_unknown(given: Any) -> dict[str, Unknown]:
    """Returns unknown functions by name.

    Args:
        given: names; or a mapping name -> words such as "increasing, zero at 0, period 2*pi", or `Unknown`.

    Raises:
        CompileError: these are no functions.
        ConstraintError: a word is not known, or two contradict each other.

    Example:
        >>> checked_unknown({"f": "increasing, zero at 0"})["f"].zeros
        (0.0,)
    """
    found = {}
    for key, value in _mapping(given, "unknown", "what is known", None).items():
        name = str(getattr(key, "__name__", getattr(key, "name", key)))
        if value is None:
            value = Unknown()
        elif isinstance(value, str) or (isinstance(value, tuple | list) and all(isinstance(v, str) for v in value)):
            value = _of_words(name, value if isinstance(value, str) else ", ".join(value))
        elif not isinstance(value, Unknown):
            raise ConstraintError(f"unknown function {name}: expected words or kanpiler.Unknown(...), got {value!r}.")
        found[name] = replace(value, name=name)
    return found


def _of_words(name: str, text: str) -> Unknown:
    options: dict[str, Any] = {"shape": (), "zeros": ()}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        if part in SHAPES:
            options["shape"] += (part,)
        elif part.startswith("zero at "):
            options["zeros"] += (_number(name, part[8:]),)
        elif part.startswith("period "):
            options["period"] = _number(name, part[7:])
        elif match := _BETWEEN.fullmatch(part):
            options["low"], options["high"] = (_number(name, one) for one in match.groups())
        else:
            raise ConstraintError(
                f"unknown function {name}: expected {', '.join(SHAPES)}, 'zero at 0', 'period 2*pi' or 'between 0 and "
                f"1', got {part!r}."
            )
    try:
        return Unknown(name=name, **options)
    except SpecError as error:
        raise ConstraintError(str(error)) from None


def _number(name: str, text: str) -> float:
    try:
        return float(parse_expression(text, []))
    except (ExpressionError, TypeError):
        raise ConstraintError(f"unknown function {name}: expected a number, got {text!r}.") from None
