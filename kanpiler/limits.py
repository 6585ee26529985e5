"""A time limit on SymPy, whose integrals and simplifications may run for ever.

The limit works in any thread and on any platform: a profile function looks at the clock at every Python call.

Reference: https://docs.python.org/3/library/sys.html#sys.setprofile
"""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import CO_GENERATOR
from types import FrameType


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

    def look(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_call") and time.monotonic() > end and not _would_be_lost(frame):
            sys.setprofile(None)
            raise _TimeUp

    previous = sys.getprofile()
    sys.setprofile(look)
    try:
        yield
    except _TimeUp:
        raise TimeoutError(f"took longer than {seconds:g} s") from None
    finally:
        sys.setprofile(previous)


def _would_be_lost(frame: FrameType | None) -> bool:
    # Python drops an exception in a generator that is just being closed, in a finalizer and in what the garbage
    # collector calls; the limit would be lost with it.
    if frame is not None and frame.f_code.co_flags & CO_GENERATOR:
        return True
    callbacks = [getattr(callback, "__code__", None) for callback in gc.callbacks]
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code in callbacks:
            return True
        frame = frame.f_back
    return False
