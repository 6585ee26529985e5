"""A limit on processor time for SymPy, whose integrals, powers and simplifications may run for ever.

In the main thread a timer of the operating system ends the work, which costs nothing before. In other threads, on
platforms without such a timer, and where a profiler has taken it, a profile function looks at the clock now and then,
which makes the work two to three times slower. Limits may be nested: the work ends at the first one that is over.

References:
    https://docs.python.org/3/library/signal.html#signal.setitimer
    https://docs.python.org/3/library/sys.html#sys.setprofile
"""

import signal
import sys
import threading
import time
from inspect import unwrap
from types import FrameType, TracebackType
from typing import Any

_AGAIN = 0.25  # seconds of processor time; by then an exception that nothing has swallowed is long out of the block
_PAUSE = 0.01  # while a module is imported, which must not be left half done
_EVERY = 16  # calls seen by a profile function between two looks at the clock


class _TimeUp(BaseException):
    """Not an `Exception`, so that no handler inside SymPy swallows it."""


class time_limit:
    """Raises `TimeoutError` when this thread has computed for so many seconds in the block.

    Time in which the thread sleeps or other programs run does not count. The limit is noticed at the next line of
    Python code: a single operation on huge numbers, or a function in C, runs to its end.

    Args:
        seconds: the limit, of processor time.

    Raises:
        TimeoutError: the time is over. Where an outer limit is over, it is the outer block that raises.

    Example:
        >>> with time_limit(5):
        ...     1 + 1
        2
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.up = _TimeUp()
        self.end = self.next_alarm = float("inf")
        self.is_lost = False

    def __enter__(self) -> None:
        self.end = self.next_alarm = time.thread_time() + self.seconds
        watches: list[_Watch] = _watches()
        if not watches:
            watches.append(_Watch())
        watches[0].limits.append(self)
        watches[0].arm()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        watches = _watches()
        watches[0].limits.remove(self)
        if watches[0].limits:
            watches[0].arm()
        else:
            watches.pop().stop()
        # On a machine with more work than processors a timer may ring later than a short limit.
        if error is self.up or (error is None and (self.is_lost or time.thread_time() > self.end)):
            raise TimeoutError(f"took longer than {self.seconds:g} s") from None


_of_thread = threading.local()


def _watches() -> "list[_Watch]":
    """Returns the watch of this thread, in a list that is empty where no limit is set."""
    if not hasattr(_of_thread, "watches"):
        _of_thread.watches = []
    return _of_thread.watches


def time_left() -> float:
    """Returns how many seconds of processor time the limits around the caller leave; infinity without a limit.

    Example:
        >>> with time_limit(5):
        ...     4 < time_left() <= 5
        True
    """
    watches = _watches()
    return min(limit.end for limit in watches[0].limits) - time.thread_time() if watches else float("inf")


class _Watch:
    """Looks at the clock for all limits of one thread."""

    def __init__(self) -> None:
        self.limits: list[time_limit] = []
        self.events = 0
        # Bare functions, without what a checker of types may put around them: what it called would be interrupted too.
        self.look, self.ring, self.again = (unwrap(f).__get__(self) for f in (_look, _ring, _again))
        self.has_timer = (
            hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGPROF) == signal.SIG_DFL
            and signal.getitimer(signal.ITIMER_PROF)[0] == 0
        )
        self.hook, self.profile = sys.unraisablehook, sys.getprofile()
        sys.unraisablehook = self.again
        if self.has_timer:
            signal.signal(signal.SIGPROF, self.ring)
        else:
            sys.setprofile(self.look)

    def arm(self) -> None:
        """Sets the alarm for the limit that is over first."""
        if self.has_timer:
            first = min(limit.next_alarm for limit in self.limits)
            # Never 0, which would switch the timer off, nor more than a timer holds.
            signal.setitimer(signal.ITIMER_PROF, min(max(1e-3, first - time.thread_time()), 1e6))
        else:
            sys.setprofile(self.look)

    def stop(self) -> None:
        """Leaves everything as it was before the first limit."""
        if self.has_timer:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
        else:
            sys.setprofile(self.profile)
        if sys.unraisablehook == self.again:
            sys.unraisablehook = self.hook

    def over(self) -> time_limit | None:
        """Returns the outermost limit that is over and whose exception is not on its way."""
        now = time.thread_time()
        return next((limit for limit in self.limits if limit.next_alarm <= now), None)


def _may_not_stop(frame: FrameType | None) -> bool:
    """Says whether a module is being imported, loops are being compiled, or a block is being left."""
    depth = 0
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") or (depth < 4 and code.co_name == "__exit__"):
            return True
        # Left in the midst of its work, numba compiles nothing any more until Python ends.
        if frame.f_globals.get("__name__", "").startswith("numba."):
            return True
        frame, depth = frame.f_back, depth + 1
    return False


def _ring(self: _Watch, _signal: int, frame: FrameType | None) -> None:
    limit = self.over()
    if limit is None:
        self.arm()
    elif _may_not_stop(frame):
        signal.setitimer(signal.ITIMER_PROF, _PAUSE)
    else:
        limit.next_alarm = time.thread_time() + _AGAIN
        self.arm()
        raise limit.up


def _look(self: _Watch, frame: FrameType, event: str, _arg: object) -> None:
    if event not in ("call", "c_call"):
        return
    self.events += 1
    if self.events % _EVERY:
        return
    limit = self.over()
    if limit is not None and not _may_not_stop(frame):
        limit.next_alarm = time.thread_time() + _AGAIN
        sys.setprofile(None)
        raise limit.up


def _again(self: _Watch, unraisable: Any) -> None:
    # Python drops exceptions in finalizers, in callbacks of weak references and of the garbage collector, and in
    # generators that are just being closed. The limit would be lost with it; so it is raised again soon, or at the
    # end of the block.
    lost = next((limit for limit in self.limits if limit.up is unraisable.exc_value), None)
    if lost is None:
        self.hook(unraisable)
        return
    lost.next_alarm, lost.is_lost = lost.end, True
    self.arm()
