"""Ctrl-C in long calls: the outermost call ends with what it has, the calls inside it hand the interrupt on.

Training, pruning, symbolification and discovery call each other. Each puts its work into a *block*. An interrupt from
the keyboard leaves all blocks; the outermost one that has something to return keeps it and marks it as *interrupted*,
and a second interrupt, while that is tidied up, is raised. No signal handler is set: Python raises `KeyboardInterrupt`
in the main thread, and blocks of other threads know nothing of each other.

A *time limit* ends work in the same way, with one difference: who is out of time has not asked for the end of
everything, so the innermost block that has a result keeps it, and its caller goes on with that result. Work that takes
long asks `check_time` between its steps.

Reference: https://docs.python.org/3/library/signal.html#note-on-signal-handlers-and-exceptions
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from math import inf
from types import TracebackType

_outermost: ContextVar["Interruptible | None"] = ContextVar("outermost", default=None)
_deadline: ContextVar[float] = ContextVar("deadline", default=inf)


class OutOfTime(KeyboardInterrupt):
    """The time limit around this work is over; what ends on Ctrl-C ends on this as well."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Limits the work inside to so many seconds of wall-clock time; the earlier of nested limits holds.

    Args:
        seconds: >= 0; None for no limit of this block's own.

    Example:
        >>> with time_limit(0.0):
        ...     is_late()
        True
    """
    token = _deadline.set(min(_deadline.get(), inf if seconds is None else time.perf_counter() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def deadline() -> float:
    """Returns when the time is over, on the clock of `time.perf_counter`; infinite without a limit."""
    return _deadline.get()


def is_late() -> bool:
    """Whether the time is over."""
    return time.perf_counter() >= _deadline.get()


def check_time() -> None:
    """Ends the work where the time is over.

    Raises:
        OutOfTime: it is.
    """
    if is_late():
        raise OutOfTime


class Interruptible:
    """A block of work that Ctrl-C ends.

    Attributes:
        has_result: set by the work as soon as there is something worth returning; a block that never sets it hands
            every interrupt on, and so do the blocks inside it.
        interrupted: whether the block was ended and the interrupt taken in, so that the caller gets the result.
        out_of_time: whether that was a time limit, not Ctrl-C.

    Example:
        >>> with Interruptible() as work:
        ...     work.has_result = True
        ...     raise KeyboardInterrupt
        >>> work.interrupted
        True
    """

    def __init__(self) -> None:
        self.has_result = self.interrupted = self.out_of_time = False
        self._first: BaseException | None = None
        self._outer: Interruptible | None = None
        self._token: Token[Interruptible | None] | None = None

    def __enter__(self) -> "Interruptible":
        self._outer = _outermost.get()
        if self._outer is None:
            self._token = _outermost.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._token is not None:
            _outermost.reset(self._token)
        if isinstance(error, OutOfTime):
            self.interrupted = self.out_of_time = self.has_result
            return self.interrupted
        if not isinstance(error, KeyboardInterrupt):
            return False
        outermost = self._outer or self
        # One that comes while another is dealt with is chained to it.
        is_second = isinstance(error.__context__, KeyboardInterrupt) or outermost._first not in (None, error)
        outermost._first = outermost._first or error
        self.interrupted = self._outer is None and self.has_result and not is_second
        return self.interrupted
