"""Compilation of loops by numba, for the modules that hold them."""

import gc
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def collector_paused() -> Iterator[None]:
    """Leaves cyclic garbage alone for a while, as far as that was not so before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# numba makes so many objects as it loads that the collector walks all of them and those of torch several times, for
# nothing: 0.52 s become 0.33 s.
with collector_paused():
    import numba


def compile_loop(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Has numba compile a function when it is called first, and keep the result on disk where it may write."""
    loop = inspect.unwrap(loop)  # numba reads the code itself, not that of a wrapper such as a checker of types
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # no folder to write to
        return numba.njit(**options)(loop)
