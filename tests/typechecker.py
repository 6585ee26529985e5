"""The checker that the tests put around every function of the packages: types and shapes of arguments and results.

jaxtyping compares the axis names of one call with each other, beartype the types. An int may stand for a float, as
type checkers hold it. Left to pyright are `Self`, which beartype knows in decorated classes alone (jaxtyping decorates
the methods), and protocols that are not `runtime_checkable`.
"""

import random
from collections.abc import Callable
from typing import Any, Self, get_args
from unittest.mock import patch

import sympy

# Of a list, beartype checks one random item. Numbers of its own keep tests repeatable and Python's generator still.
with patch("random.getrandbits", random.Random(0).getrandbits):
    from beartype import BeartypeConf, FrozenDict, beartype

# beartype cannot read classes of SymPy functions, whose names lack the module.
_INSTEAD = {Self: Any, sympy.Function: sympy.Expr, sympy.Piecewise: sympy.Expr}
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict(_INSTEAD)))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that checks its arguments and its result; jaxtyping hands in a stand-in of each function."""
    hints = function.__annotations__
    function.__annotations__ = {name: Any if _is_static(hint) else hint for name, hint in hints.items()}
    return _beartype(function)


def _is_static(hint: object) -> bool:
    if any(map(_is_static, get_args(hint))):
        return True
    return getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)
