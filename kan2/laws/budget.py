"""Work that a search may spend, counted in operations: the same on every machine, so that a seed gives one law."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

from kan2.interrupts import check_time

# Seconds of one core at 3 GHz, fitted to singular value decompositions of 40 x 10 to 500 x 150; only ratios matter.
CALL, OPERATION = 3e-4, 1.2e-9

_left: ContextVar[list[float] | None] = ContextVar("left", default=None)


class Exhausted(Exception):
    """The work of the innermost budget is done; the search goes on elsewhere."""


@contextmanager
def budget(seconds: float) -> Iterator[None]:
    """Limits the work inside to what takes about so many seconds; the block ends there, quietly."""
    outer = _left.get() or [inf]
    own = [min(seconds, outer[0])]
    token, start = _left.set(own), own[0]
    try:
        yield
    except Exhausted:
        if outer[0] - start <= 0 and outer[0] < inf:
            raise
    finally:
        _left.reset(token)
        outer[0] -= start - own[0]


def work_left() -> float:
    """Returns what is left of the innermost budget; infinite without one."""
    left = _left.get()
    return inf if left is None else left[0]


def spend(rows: int, columns: int, calls: int = 1) -> None:
    """Counts a decomposition of a matrix.

    Raises:
        Exhausted: the budget is spent.
        OutOfTime: so is the time of the whole search.
    """
    check_time()
    left = _left.get()
    if left is None:
        return
    left[0] -= calls * (CALL + OPERATION * rows * columns * columns)
    if left[0] < 0:
        raise Exhausted
