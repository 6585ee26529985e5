"""The declared domain of a formula, and samples in it.

A *domain* maps names to intervals (low, high). Inputs without one are sampled in several boxes, and points at which the
formula is not finite and real do not count.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from kanpiler.errors import CompileError

Domain = Mapping[str, tuple[float, float]]

DEFAULT_BOXES = ((0.2, 0.9), (1.0, 3.0), (-1.0, 1.0), (-3.0, 3.0))
"""Where inputs without a declared interval are sampled."""


def check_domain(domain: Mapping[Any, Any] | None, inputs: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Checks names and intervals and returns them as floats.

    Raises:
        CompileError: a name is not an input, or an interval is not (low, high) with low < high.

    Example:
        >>> check_domain({"x": (0, 1)}, ["x", "y"])
        {'x': (0.0, 1.0)}
    """
    checked = {}
    if domain is not None and not isinstance(domain, Mapping):
        raise CompileError(
            f"compile: expected domain as a dict of names to (low, high), got {domain!r}. Pass "
            f"domain={{{(*inputs, 'x')[0]!r}: (low, high)}}."
        )
    for key, interval in (domain or {}).items():
        name = getattr(key, "name", key)
        if name not in inputs:
            raise CompileError(f"compile: domain names {name!r}, which is not an input. Inputs: {', '.join(inputs)}.")
        try:
            if isinstance(interval, str | bytes) or any(isinstance(end, bool | str) for end in interval):
                raise TypeError("an end is no number")
            low, high = (float(end) for end in interval)
        except (TypeError, ValueError):
            low, high = 1.0, 0.0
        if not (np.isfinite([low, high]).all() and low < high):
            raise CompileError(f"compile: expected domain[{name!r}] = (low, high) with low < high, got {interval!r}.")
        checked[name] = (low, high)
    return checked


def sample(domain: Domain, inputs: Sequence[str], n: int, seed: int = 0) -> Float[NDArray, "sample input"]:
    """Draws points from the domain; a quarter of them from each default box for inputs without an interval."""
    unit = np.random.default_rng(seed).random((n, len(inputs)))
    columns = []
    for i, name in enumerate(inputs):
        if name in domain:
            low, high = domain[name]
            columns.append(low + (high - low) * unit[:, i])
        else:
            boxes = np.array([DEFAULT_BOXES[j * len(DEFAULT_BOXES) // n] for j in range(n)]).reshape(n, 2)
            columns.append(boxes[:, 0] + (boxes[:, 1] - boxes[:, 0]) * unit[:, i])
    return np.stack(columns, -1)


def sample_far(domain: Domain, inputs: Sequence[str], n: int, seed: int = 1) -> Float[NDArray, "sample input"]:
    """Draws points for formulas that are undefined near zero: inputs without an interval of any size, 1e-3 to 1e4.

    In a quarter of the points all these inputs are positive, in a quarter negative; in the others signs are mixed.
    """
    generator = np.random.default_rng(seed)
    columns = []
    quarter = np.arange(n) * 4 // n
    for name in inputs:
        unit, sign = generator.random(n), generator.choice([-1.0, 1.0], n)
        if name in domain:
            low, high = domain[name]
            columns.append(low + (high - low) * unit)
        else:
            columns.append(10 ** (7 * unit - 3) * np.where(quarter == 0, 1.0, np.where(quarter == 1, -1.0, sign)))
    return np.stack(columns, -1)
