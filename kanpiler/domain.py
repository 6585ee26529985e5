"""The declared domain of a formula, samples in it, and reference values.

A *domain* maps names to intervals (low, high). Inputs without one are sampled in several boxes, and points at which the
formula is not finite and real do not count.

Reference: https://docs.sympy.org/latest/modules/utilities/lambdify.html
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy
from jaxtyping import Float
from numpy.exceptions import ComplexWarning
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
    for key, interval in (domain or {}).items():
        name = getattr(key, "name", key)
        if name not in inputs:
            raise CompileError(f"compile: domain names {name!r}, which is not an input. Inputs: {', '.join(inputs)}.")
        try:
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


def reference_values(
    expressions: Sequence[sympy.Expr], inputs: Sequence[str], x: Float[NDArray, "sample input"]
) -> Float[NDArray, "sample output"]:
    """Evaluates expressions through SymPy's `lambdify`; the result is not a number where not finite and real.

    NumPy and SciPy do the work; where they lack a function, mpmath does, point by point. NumPy takes a comparison with
    an undefined value as false; here the whole is undefined there.
    """
    dummies = [sympy.Dummy(f"x{i}") for i in range(len(inputs))]
    replacement = {sympy.Symbol(name): dummy for name, dummy in zip(inputs, dummies)}
    values = np.empty((len(x), len(expressions)))
    for i, expression in enumerate(expressions):
        replaced: Any = expression.xreplace(replacement)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", ComplexWarning)
                function = sympy.lambdify(dummies, replaced, modules=["scipy", "numpy"], cse=True)
                column: Any = np.broadcast_to(np.asarray(function(*x.T)), (len(x),))
            column = np.where(np.abs(column.imag) <= 1e-12 * np.abs(column), column.real, np.nan).astype(float)
        except Exception:  # generated code fails in ways as many as there are functions
            column = np.array([_precise_value(dummies, replaced, row) for row in x])
        relations: Any = expression.atoms(sympy.core.relational.Relational)
        sides = sorted({r.lhs - r.rhs for r in relations if r.free_symbols}, key=str)
        if sides:
            column = column + 0 * reference_values(sides, inputs, x).sum(axis=1)
        values[:, i] = np.where(np.isfinite(column), column, np.nan)
    return values


def _precise_value(symbols: Any, expression: Any, row: Any) -> float:
    try:
        function = sympy.lambdify(symbols, expression, "mpmath")
        value = mpmath.mpmathify(function(*(mpmath.mpf(float(v)) for v in row)))
        return float(value.real) if abs(value.imag) <= 1e-12 * abs(value) else float("nan")
    except Exception:
        return float("nan")
