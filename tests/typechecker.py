"""The checker that the tests put around every function of the packages: types and shapes of arguments and results.

jaxtyping compares the axis names of one call with each other, beartype the types. An int may stand for a float, as
type checkers hold it. Left to pyright are `Self`, which beartype knows in decorated classes alone (jaxtyping decorates
the methods), and protocols that are not `runtime_checkable`.
"""

import functools
import random
from collections.abc import Callable
from inspect import isclass
from types import FunctionType
from typing import Any, Self, get_args
from unittest.mock import patch

import jaxtyping
import sympy
from jaxtyping import AbstractArray, TypeCheckError, config, install_import_hook, jaxtyped

# Of a list, beartype checks one random item. Numbers of its own keep tests repeatable and Python's generator still.
with patch("random.getrandbits", random.Random(0).getrandbits):
    from beartype import BeartypeConf, FrozenDict, beartype

# beartype cannot read classes of SymPy functions, whose names lack the module.
_INSTEAD = {Self: Any, sympy.Function: sympy.Expr, sympy.Piecewise: sympy.Expr}
_beartype = beartype(
    conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict(_INSTEAD), violation_type=TypeCheckError)
)


def install(packages: list[str]) -> None:
    """Puts the checker around every function of the packages, which must not have been imported yet."""
    jaxtyping.jaxtyped = _jaxtyped  # what the hook writes above each function
    install_import_hook(packages, f"{__name__}.checked")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that checks its arguments and its result; jaxtyping hands in a stand-in of each function."""
    hints = function.__annotations__
    function.__annotations__ = {name: Any if _is_static(hint) else hint for name, hint in hints.items()}
    try:
        return _beartype(function)
    finally:
        function.__annotations__ = hints


def _jaxtyped(*, typechecker: Callable[..., Any]) -> Callable[[Any], Any]:
    # Left out is what made a search for a law nine times as slow: functions within functions, which would be
    # compiled anew at every call of the outer one, and jaxtyping's binding of arguments where no axes are named.
    def decorate(function: Any) -> Any:
        if isclass(function):
            # Options of a class are checked by `named_options`, around its __init__.
            has_wrapped = hasattr(function.__init__, "__wrapped__")
            return function if has_wrapped else jaxtyped(function, typechecker=typechecker)
        if "<locals>" in function.__qualname__:
            return function
        if _has_axes(function):
            return jaxtyped(function, typechecker=typechecker)
        return functools.wraps(function)(_switch(function, typechecker(function)))

    return decorate


def _with_switch(function: Callable[..., Any], checks: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **options: Any) -> Any:
        return (function if config.jaxtyping_disable else checks)(*args, **options)

    return wrapped


# Warnings point at the first line outside of the packages and of jaxtyping: in its name stands this function.
_switch = FunctionType(_with_switch.__code__, {**globals(), "__name__": "jaxtyping"})


def _has_axes(function: Callable[..., Any]) -> bool:
    return any(isinstance(hint, str) or _names_axes(hint) for hint in function.__annotations__.values())


def _names_axes(hint: object) -> bool:
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(_names_axes, get_args(hint)))


def _is_static(hint: object) -> bool:
    if any(map(_is_static, get_args(hint))):
        return True
    return getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)
