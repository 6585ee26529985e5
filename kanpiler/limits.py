"""A time limit on SymPy, whose integrals and simplifications may run for ever.

The limit works in any thread and on any platform: a profile function looks at the clock at every Python call.

Reference: https://docs.python.org/3/library/sys.html#sys.setprofile
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import unwrap
from types import FrameType
from typing import Any


class _TimeUp(BaseException):
    """Not an `Exception`, so that no handler inside SymPy swallows it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `TimeoutError` when the block has run for so many seconds.

    Args:
        seconds: the limit; it is noticed at the next call of a Python function.

    Example:
        >>> with time_limit(5):
        ...     1 + 1
        2
    """
    end = time.monotonic() + seconds
    up = _TimeUp()

    def look(_frame: FrameType, event: str, _arg: object) -> None:
        if event in ("call", "c_call") and time.monotonic() > end:
            sys.setprofile(None)
            raise up

    def again(unraisable: Any) -> None:
        # Python drops exceptions in finalizers, in callbacks of weak references and of the garbage collector, and in
        # generators that are just being closed. The limit would be lost with it; so it is raised at the next call.
        if unraisable.exc_value is up:
            sys.setprofile(look)
        else:
            hook(unraisable)

    # Bare functions, without what a checker of types may put around them: what it called would be interrupted as well.
    look, again = unwrap(look), unwrap(again)
    previous, hook = sys.getprofile(), sys.unraisablehook
    sys.unraisablehook = again
    sys.setprofile(look)
    try:
        yield
    except _TimeUp:
        raise TimeoutError(f"took longer than {seconds:g} s") from None
    finally:
        sys.setprofile(previous)
        if sys.unraisablehook is again:
            sys.unraisablehook = hook
