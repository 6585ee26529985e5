"""Compilation of loops by numba, for the modules that hold them."""

import inspect
from collections.abc import Callable
from typing import Any

import numba


def compile_loop(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Has numba compile a function when it is called first, and keep the result on disk where it may write."""
    loop = inspect.unwrap(loop)  # numba reads the code itself, not that of a wrapper such as a checker of types
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # no folder to write to
        return numba.njit(**options)(loop)
