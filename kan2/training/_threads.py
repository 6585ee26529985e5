"""One thread for small problems: several share out work that one does faster, and wait for each other.

On a busy machine of two cores a fit of [2, 1, 1] on 1,000 samples took fifteen times as long with two threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch

LARGE = 5e8
"""Multiplications of a step from which several threads pay: samples times parameters squared, or, for first-order
steps, samples times parameters. That is some ten milliseconds on one thread."""


@contextmanager
def few_threads(work: float) -> Iterator[None]:
    """Within it torch and the linear algebra of NumPy and SciPy run on one thread where there is little to do.

    Args:
        work: multiplications of a step.
    """
    before = torch.get_num_threads()
    if work >= LARGE or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _controller() -> Any:
    # Looking for the libraries takes some milliseconds; the one of SciPy is there once `scipy.linalg` is.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
