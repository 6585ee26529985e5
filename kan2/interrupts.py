"""Ctrl-C in long calls: the outermost call ends with what it has, the calls inside it hand the interrupt on.

Training, pruning, symbolification and discovery call each other. Each puts its work into a *block*. An interrupt from
the keyboard leaves all blocks; the outermost one that has something to return keeps it and marks it as *interrupted*,
and a second interrupt, while that is tidied up, is raised. No signal handler is set: Python raises `KeyboardInterrupt`
in the main thread, and blocks of other threads know nothing of each other.

Reference: https://docs.python.org/3/library/signal.html#note-on-signal-handlers-and-exceptions
"""

from contextvars import ContextVar, Token
from types import TracebackType

_outermost: ContextVar["Interruptible | None"] = ContextVar("outermost", default=None)


class Interruptible:
    """A block of work that Ctrl-C ends.

    Attributes:
        has_result: set by the work as soon as there is something worth returning; a block that never sets it hands
            every interrupt on, and so do the blocks inside it.
        interrupted: whether the block was ended and the interrupt taken in, so that the caller gets the result.

    Example:
        >>> with Interruptible() as work:
        ...     work.has_result = True
        ...     raise KeyboardInterrupt
        >>> work.interrupted
        True
    """

    def __init__(self) -> None:
        self.has_result = self.interrupted = False
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
        if not isinstance(error, KeyboardInterrupt):
            return False
        outermost = self._outer or self
        # One that comes while another is dealt with is chained to it.
        is_second = isinstance(error.__context__, KeyboardInterrupt) or outermost._first not in (None, error)
        outermost._first = outermost._first or error
        self.interrupted = self._outer is None and self.has_result and not is_second
        return self.interrupted
