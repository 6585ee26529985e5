"""Refusals of treeconv: each says where, what was expected, what came, and what to do.

All derive from `TreeError`, which is a `ValueError`, so code that knows nothing of treeconv can catch them too. What is
of the wrong type altogether (a class in place of a model, a list in place of a tree) is a `TypeError` as well.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class TreeError(ValueError):
    """The parent of what treeconv raises on purpose about a bad value."""


class SampleError(TreeError):
    """Samples, names, targets, errors or outputs are not finite, not numbers, or do not fit together."""


class ExpressionError(TreeError):
    """An expression is not arithmetic in the names of the inputs."""


class TreeTypeError(TreeError, TypeError):
    """What is given is of another type altogether: no tree, no model, or nothing that can be called."""


class OptionError(TreeError, TypeError):
    """A function has no argument of this name."""


def named_options(function: F) -> F:
    """Makes a function refuse options that it does not have by `OptionError`, before anything else.

    Example:
        >>> @named_options
        ... def shift(x, by=1):
        ...     return x + by
        >>> shift(1, bye=2)
        Traceback (most recent call last):
            ...
        treeconv.errors.OptionError: shift: unknown option 'bye'. Did you mean 'by'? Known: x, by.
    """
    names = list(signature(function).parameters)

    @wraps(function)
    def door(*args: Any, **options: Any) -> Any:
        for name in options:
            if name not in names:
                close = get_close_matches(name, names, n=2, cutoff=0.5)
                hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
                raise OptionError(f"{function.__name__}: unknown option {name!r}.{hint} Known: {', '.join(names)}.")
        return function(*args, **options)

    return door  # type: ignore[return-value]
