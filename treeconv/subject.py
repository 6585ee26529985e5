"""The subject of a study: a model, the samples it is asked about, and what is known of its error.

Every public function takes the same five arguments, `f, x, names, y, error`. They are checked and prepared here and
nowhere else; what follows takes the record.

Words: a *target* is what the model should have answered at a sample; an *error* is a root mean square in the unit of
the output.

Reference: the array protocol of NumPy, C. R. Harris et al., Nature 585, 357 (2020), for what counts as a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from treeconv.derivatives import Array, Function, as_functions
from treeconv.errors import SampleError

MIN_SAMPLES = 10

ErrorLike: TypeAlias = ArrayLike | Sequence[float | None] | None
"""One root mean square error, or one an output, as numbers, arrays or tensors; None where it is not known."""


@dataclass(frozen=True)
class Subject:
    """A model with its samples, checked.

    Attributes:
        functions: The model, one function an output.
        x: Samples (batch, n), finite.
        names: One name a column, all different.
        targets: What the model should have answered, (batch, outputs), or None.
        errors: One root mean square error an output, at least 0, or None where it is not known.
    """

    functions: tuple[Function, ...]
    x: Array
    names: tuple[str, ...]
    targets: Array | None
    errors: tuple[float | None, ...]

    @classmethod
    def of(
        cls,
        f: Any,
        x: Any,
        names: Sequence[str] | None = None,
        y: Any = None,
        error: ErrorLike = None,
        *,
        one_output: bool = False,
    ) -> Subject:
        """Checks and prepares what users pass.

        Args:
            f: The model, as in `convert`.
            x: Samples (batch, n), at least 10: tensor, array or data frame.
            names: One name a column; by default those of the data frame, or x1, x2, ...
            y: Targets (batch,) or (batch, outputs).
            error: Root mean square error in the unit of the output, at least 0, or one number an output.
            one_output: Whether the model must have one output only.

        Returns:
            The record.

        Raises:
            TreeTypeError: If `f` cannot be called.
            SampleError: If samples, names, targets, errors and outputs do not fit together.

        Example:
            >>> subject = Subject.of(lambda x: x[:, 0] * x[:, 1], np.random.default_rng(0).normal(size=(20, 2)))
            >>> subject.names, len(subject.functions), subject.errors
            (('x1', 'x2'), 1, (None,))
        """
        if names is None and hasattr(x, "columns"):
            names = [str(column) for column in x.columns]
        samples = _samples(x)
        labels = _labels(names, samples.shape[1])
        functions = tuple(as_functions(f, samples, labels))
        if one_output and len(functions) > 1:
            raise SampleError(
                f"treeconv: expected a model of one output, got {len(functions)}. Wrap it: lambda x: model(x)[:, 0]."
            )
        targets = None if y is None else _targets(y, len(samples), len(functions))
        return cls(functions, samples, labels, targets, _errors(error, len(functions)))


def _array(data: Any) -> Any:
    return data.detach().cpu().numpy() if hasattr(data, "detach") else data


def _numbers(data: Any, what: str) -> Array:
    try:
        return np.asarray(_array(data), dtype=float)
    except (TypeError, ValueError) as error:
        raise SampleError(
            f"convert: expected numbers as {what}, got others: {error}. Pass an array of floats."
        ) from None


def _samples(x: Any) -> Array:
    samples = _numbers(x, "the samples x")
    if samples.ndim != 2 or len(samples) < MIN_SAMPLES or samples.shape[1] < 1:
        raise SampleError(
            f"convert: expected samples of shape (batch >= {MIN_SAMPLES}, n), got {samples.shape}. "
            "Pass one row a sample."
        )
    if not np.isfinite(samples).all():
        raise SampleError("convert: expected finite samples, got NaN or infinity. Drop those rows first.")
    return samples


def _labels(names: Any, n: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"x{i + 1}" for i in range(n))
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise SampleError(f"convert: expected {n} different names, got {names!r}. Give a list, one name a column of x.")
    labels = tuple(names)
    if not all(isinstance(label, str) for label in labels) or not len(set(labels)) == len(labels) == n:
        raise SampleError(f"convert: expected {n} different names, got {labels}. Give one name a column of x.")
    return labels


def _targets(y: Any, n_samples: int, n_outputs: int) -> Array:
    targets = _numbers(y, "the targets y")
    if targets.ndim == 0 or targets.size != n_samples * n_outputs or len(targets) != n_samples:
        raise SampleError(
            f"convert: expected targets y of shape ({n_samples}, {n_outputs}), got {targets.shape}. "
            "Give one row a sample and one column an output."
        )
    return targets.reshape(n_samples, n_outputs)


def _errors(error: Any, n_outputs: int) -> tuple[float | None, ...]:
    error = _array(error)
    errors = tuple(error) if np.ndim(error) else (error,) * n_outputs
    if len(errors) != n_outputs:
        raise SampleError(f"convert: expected {n_outputs} errors, got {len(errors)}. Give one number an output.")
    return tuple(None if one is None else _size(one) for one in errors)


def whole(where: str, name: str, value: Any, low: int) -> int:
    """Returns a whole number, at least `low`.

    Example:
        >>> whole("convert", "n_samples", np.int64(100), 10)
        100
    """
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= low:
        return int(value)
    raise SampleError(f"{where}: expected {name} as a whole number >= {low}, got {value!r}.")


def number(where: str, name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> float:
    """Returns a finite number within bounds.

    Example:
        >>> number("anatomy", "threshold", 0, 0, 1)
        0.0
    """
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    if is_real and np.isfinite(float(value)) and low <= float(value) <= high:
        return float(value)
    bounds = "" if low == -np.inf else f" from {low:g} to {high:g}"
    raise SampleError(f"{where}: expected {name} as a finite number{bounds}, got {value!r}.")


def flag(where: str, name: str, value: Any) -> bool:
    """Returns True or False.

    Example:
        >>> flag("plot", "evidence", True)
        True
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise SampleError(f"{where}: expected {name} as True or False, got {value!r}.")


def _size(error: Any) -> float:
    size = _numbers(error, "the error")
    if size.ndim:
        raise SampleError(f"convert: expected one error an output, got an array of shape {size.shape}. Give numbers.")
    size = float(size)
    if not 0 <= size < np.inf:
        raise SampleError(
            f"convert: expected a finite error >= 0, got {size}. Give the model's RMSE in the unit of the output."
        )
    return size
