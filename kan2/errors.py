"""Typed refusals: every error says where, what was expected, what came, and what to do.

All errors of the library derive from `Kan2Error`; those caused by a bad argument are also `ValueError`,
so that code which knows nothing of kan2 can still catch them.
"""

import sys
import warnings
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, signature
from types import FrameType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# Besides our own modules those whose decorators stand around our functions.
_INSIDE = ("kan2", "kanpiler", "torch", "contextlib", "jaxtyping", "beartype")


class Kan2Error(Exception):
    """The parent of every error that kan2 raises on purpose."""


class SpecError(Kan2Error, ValueError):
    """A network description contradicts itself."""


class ShapeError(Kan2Error, ValueError):
    """An array has the wrong number of columns, rows or axes."""


class DataError(Kan2Error, ValueError):
    """Data is empty, not finite, or does not say what it should."""


class UnitError(DataError):
    """A unit of measure is missing or cannot be read, or what reads units is not installed."""


class UnknownNameError(Kan2Error, ValueError):
    """A function, optimiser, variable or option is not known under this name."""


class OptionError(Kan2Error, TypeError):
    """A function has no argument of this name."""


class EdgeError(Kan2Error, ValueError):
    """An edge, node or layer does not exist or is of the wrong kind for this operation."""


class FormulaError(Kan2Error):
    """The network has no exact formula, for instance because some edges are still splines."""


class TrainingError(Kan2Error, RuntimeError):
    """Training cannot start or cannot go on; the model is as it was before the call."""


class SerializationError(Kan2Error, ValueError):
    """A file is not a saved kan2 model, or was saved by an incompatible version."""


class NumberError(DataError):
    """A column holds something else than numbers; `kind` says what, such as "dates"."""

    kind = "something else"


class FileError(SerializationError, OSError):
    """A file cannot be read or written here: it is no plain file, may not be touched, or the disk is full."""

    def __str__(self) -> str:
        # OSError would print number and name of the file alone.
        return str(self.args[0]) if self.args else ""


class MissingFileError(FileError, FileNotFoundError):
    """There is no such file or folder."""


class DataWarning(UserWarning):
    """Some samples were left out, because numbers that belong to them are not finite."""


class GridWarning(UserWarning):
    """A grid was changed to what the data can support."""


class TrainingWarning(UserWarning):
    """Training has ended where its result is no better than the mean of the targets."""


def unknown_name(where: str, kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Builds the error for a name that is not in a table, with the closest known names.

    Example:
        >>> unknown_name("fit", "optimiser", "adma", ["LM", "Adam"]).args[0]
        "fit: unknown optimiser 'adma'. Did you mean 'Adam'? Known: LM, Adam."
    """
    known = list(known)
    lowered = {k.lower(): k for k in known}
    close = [lowered[m] for m in get_close_matches(str(name).lower(), lowered, n=2, cutoff=0.5)]
    hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    return UnknownNameError(f"{where}: unknown {kind} {name!r}.{hint} Known: {', '.join(known)}.")


def check_options(where: str, given: Iterable[str], known: Iterable[str] | Callable[..., Any]) -> None:
    """Refuses options that a function does not have, with the closest that it has.

    Args:
        where: name of the function that was called.
        given: names of the options.
        known: what it has, or the function that they are passed on to.

    Raises:
        OptionError: one is not known.

    Example:
        >>> check_options("fit", ["stpes"], ["steps", "seed"])
        Traceback (most recent call last):
            ...
        kan2.errors.OptionError: fit: unknown option 'stpes'. Did you mean 'steps'? Known: steps, seed.
    """
    known = _names(known) if callable(known) else list(known)
    for name in given:
        if name not in known:
            raise OptionError(unknown_name(where, "option", name, known).args[0])


def named_options(function: F) -> F:
    """Makes a function, or a class, refuse options that it does not have by `OptionError`, before anything else.

    Example:
        >>> @named_options
        ... def shift(x, *, by=1):
        ...     return x + by
        >>> shift(1, bye=2)
        Traceback (most recent call last):
            ...
        kan2.errors.OptionError: shift: unknown option 'bye'. Did you mean 'by'? Known: x, by.
    """
    if isinstance(function, type):
        function.__init__ = named_options(function.__init__)
        return function  # type: ignore[return-value]
    names = _names(function)
    known, shown = frozenset(names), [name for name in names if name != "model"]
    is_open = Parameter.VAR_KEYWORD in {parameter.kind for parameter in signature(function).parameters.values()}
    title = function.__name__ if function.__name__ != "__init__" else function.__qualname__.split(".")[-2]

    @wraps(function)
    def door(*args: Any, **options: Any) -> Any:
        if not is_open and not options.keys() <= known:
            check_options(title, (name for name in options if name not in known), shown)
        return function(*args, **options)

    return door  # type: ignore[return-value]


def _names(function: Callable[..., Any]) -> list[str]:
    # Those that a caller may write: neither the object of a method, nor what collects others.
    kinds = Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY
    return [
        name for name, p in signature(function).parameters.items() if p.kind in kinds and name not in ("self", "cls")
    ]


def warn(message: str, category: type[Warning]) -> None:
    """Warns at the line of the caller's own code that led here, however deep in the library that was found."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
