"""Data as users have them, made into one checked record.

A `Dataset` holds samples X (one row each) and targets y, optional test samples, the names of the columns, and the
definitions of *auxiliary variables*: features that are computed from the inputs, such as gamma = 1/sqrt(1 - (v/c)^2),
and offered to the network beside them.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.features import compute_features
from kan2.core.spec import default_names
from kan2.errors import DataError, DataWarning, ShapeError, warn

DataLike: TypeAlias = "Dataset | tuple[Any, Any] | Mapping[str, Any]"
"""A Dataset, a pair (X, y) of arrays, tensors or data frames, or a dict with train_input and train_label."""


@dataclass(frozen=True, repr=False)
class Dataset:
    """Samples with names; immutable.

    Attributes:
        X: (batch, input) samples.
        y: (batch, output) targets.
        inputs: names of the columns of X.
        outputs: names of the columns of y; empty where unknown.
        auxiliary: (name, definition) of the injected features.
        X_test: test samples, or None.
        y_test: test targets, or None.
        description: what the data are and where they come from.
        units: (name, unit of measure) of inputs and outputs, where they are known.
    """

    X: Float[Tensor, "batch input"]
    y: Float[Tensor, "batch output"]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    auxiliary: tuple[tuple[str, str], ...] = ()
    X_test: Float[Tensor, "test input"] | None = None
    y_test: Float[Tensor, "test output"] | None = None
    description: str = ""
    units: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return self.X.shape[0]

    def __repr__(self) -> str:
        outputs = ", ".join(self.outputs) or f"{self.y.shape[1]} outputs"
        auxiliary = "".join(f", {name} = {text}" for name, text in self.auxiliary)
        test = "" if self.X_test is None else f", {len(self.X_test)} test samples"
        return f"Dataset({len(self)} samples, {', '.join(self.inputs)} -> {outputs}{auxiliary}{test})"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the inputs and of the auxiliary variables."""
        return self.inputs + tuple(name for name, _ in self.auxiliary)

    @property
    def features(self) -> Float[Tensor, "batch feature"]:
        """The inputs with the auxiliary variables beside them."""
        return compute_features(self.X, self.inputs, self.auxiliary, self.feature_names)

    def to(self, like: Tensor) -> "Dataset":
        """Returns the data with the type and device of `like`.

        Raises:
            DataError: the type holds numbers as large as these, or as small, for infinite or zero.
        """
        given = {n: t for n in ("X", "y", "X_test", "y_test") if (t := getattr(self, n)) is not None}
        moved = {n: t.to(like) for n, t in given.items()}
        if any(t.dtype != like.dtype for t in given.values()):
            for name, table in given.items():
                _check_fits(name, table, moved[name])
        return replace(self, **moved)


def as_dataset(data: Any, names: Sequence[str] | None = None) -> Dataset:
    """Reads data in any of the usual forms.

    Args:
        data: a Dataset; a pair (X, y); or a mapping with `train_input` and `train_label` and, optionally, `test_input`
            and `test_label`. X is (batch, input); y is (batch,) or (batch, output).
        names: names of the inputs; by default the column names of a data frame, or x1, x2, ...

    Raises:
        DataError: no rows, values that are not finite, or another kind of object.
        ShapeError: X is not a table, or y has another number of rows.

    Example:
        >>> as_dataset(([[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0])).y.shape
        torch.Size([2, 1])
    """
    if isinstance(data, Dataset):
        if names is None:
            return data
        if len(names) != len(data.inputs):
            raise ShapeError(
                f"data: expected {len(data.inputs)} names of inputs, got {len(names)}: {', '.join(names)}."
            )
        return replace(data, inputs=tuple(names))
    test: tuple[Any, Any] | None = None
    if isinstance(data, Mapping):
        if missing := [key for key in ("train_input", "train_label") if key not in data]:
            raise DataError(
                f"data: expected a dict with train_input and train_label, got the keys {', '.join(map(str, data))} "
                f"without {' and '.join(missing)}. Pass (X, y) instead, or rename the keys."
            )
        x, y = data["train_input"], data["train_label"]
        if "test_input" in data and "test_label" in data:
            test = data["test_input"], data["test_label"]
    elif isinstance(data, tuple | list) and len(data) == 2:
        x, y = data
    else:
        raise DataError(f"data: expected (X, y), a Dataset or a dict with train_input, got {type(data).__name__}.")
    inputs = tuple(names) if names is not None else _column_names(x)
    outputs = _column_names(y) or ((str(y.name),) if getattr(y, "name", None) is not None else ())
    X, Y = _table(x, "X"), _targets(y, len(x), "y")
    inputs = inputs or default_names("x", X.shape[1])
    if len(inputs) != X.shape[1]:
        raise ShapeError(f"data: expected {len(inputs)} columns ({', '.join(inputs)}), got {X.shape[1]}.")
    result = Dataset(X, Y, inputs, outputs)
    if test is None:
        return result
    X_test, y_test = _table(test[0], "test_input"), _targets(test[1], len(test[0]), "test_label")
    if X_test.shape[1] != X.shape[1] or y_test.shape[1] != Y.shape[1]:
        raise ShapeError(
            f"data: expected test data with {X.shape[1]} inputs and {Y.shape[1]} outputs like the training data, "
            f"got {X_test.shape[1]} and {y_test.shape[1]}."
        )
    return replace(result, X_test=X_test, y_test=y_test)


def finite_rows(data: Any, where: str) -> Any:
    """Returns data without the samples that hold nan or infinity, with a warning that says how many these are.

    Args:
        data: a Dataset, (X, y), a dict with train_input and train_label, or X alone.
        where: name of the verb, for messages.

    Raises:
        DataError: no sample is finite.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True, action="always") as caught:
        ...     finite_rows(([[1.0], [float("nan")]], [2.0, 3.0]), "plot")[0].tolist(), str(caught[0].message)
        ([[1.0]], 'plot: ignored 1 of 2 samples, which hold nan or infinity.')
    """
    if isinstance(data, Dataset):
        columns = (data.X, data.y)
    elif isinstance(data, Mapping):
        columns = tuple(to_tensor(data[key], where) for key in ("train_input", "train_label") if key in data)
    elif isinstance(data, tuple | list) and len(data) == 2:
        columns = tuple(to_tensor(part, where) for part in data)
    else:
        columns = (to_tensor(data, where),)
    if any(part.ndim == 0 or len(part) != len(columns[0]) for part in columns):
        return data
    kept = torch.stack([torch.isfinite(part).flatten(1).all(1) if part.ndim > 1 else torch.isfinite(part)
                        for part in columns]).all(0)  # fmt: skip
    if bool(kept.all()):
        return data
    warn_of_rows(kept, where, "which hold nan or infinity")
    columns = tuple(part[kept] for part in columns)
    if isinstance(data, Dataset):
        return replace(data, X=columns[0], y=columns[1])
    if isinstance(data, Mapping):
        return {**data, **dict(zip(("train_input", "train_label"), columns))}
    return columns if len(columns) == 2 else columns[0]


def warn_of_rows(kept: Tensor, where: str, why: str) -> None:
    """Warns of samples that are left out.

    Args:
        kept: (batch,) for each sample whether it stays.
        where: name of the verb.
        why: what is wrong with the others.

    Raises:
        DataError: none stays.
    """
    n, bad = len(kept), int((~kept).sum())
    if bad == n:
        raise DataError(
            f"{where}: expected finite samples and activations, got nan or infinity in all {n} samples, {why}. Pass "
            "other samples, or look for a symbolic edge outside its domain."
        )
    if bad:
        warn(f"{where}: ignored {bad} of {n} samples, {why}.", DataWarning)


def to_tensor(values: Any, where: str) -> Tensor:
    """Converts arrays, lists, data frames and tensors to a floating-point tensor."""
    if isinstance(values, Tensor):
        return values if values.is_floating_point() else values.double()
    try:
        return torch.from_numpy(np.array(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: expected numbers, got {type(values).__name__} ({error}).") from error


def _column_names(table: Any) -> tuple[str, ...]:
    columns = getattr(table, "columns", None)
    return () if columns is None else tuple(str(c) for c in columns)


def _table(values: Any, where: str) -> Tensor:
    table = to_tensor(values, where)
    if table.ndim != 2:
        raise ShapeError(
            f"{where}: expected a table (samples, variables), got shape {tuple(table.shape)}. "
            "One variable is a column: reshape(-1, 1)."
        )
    return _checked(table, where)


def _targets(values: Any, n_rows: int, where: str) -> Tensor:
    table = to_tensor(values, where)
    if table.ndim not in (1, 2) or table.shape[0] != n_rows:
        raise ShapeError(
            f"{where}: expected {n_rows} targets, shape ({n_rows},) or ({n_rows}, outputs), got {tuple(table.shape)}."
        )
    return _checked(table[:, None] if table.ndim == 1 else table, where)


def _check_fits(name: str, given: Tensor, kept: Tensor) -> None:
    # Rows that are zero beside others are rounding; a column of nothing else is lost.
    largest, kept_largest = given.abs().amax(0), kept.abs().amax(0)
    lost = (largest > 0) & torch.isfinite(largest) & ((kept_largest == 0) | torch.isinf(kept_largest))
    if bool(lost.any()):
        column, info = int(lost.nonzero()[0, 0]), torch.finfo(kept.dtype)
        raise DataError(
            f"data: expected numbers that fit into {str(kept.dtype).removeprefix('torch.')}, from {info.tiny:.3g} to "
            f"{info.max:.3g}, got values up to {float(largest[column]):.3g} in {name}, column {column}. Make the "
            "network of dtype torch.float64, or scale inputs and targets to unit size."
        )


def _checked(table: Tensor, where: str) -> Tensor:
    if table.numel() == 0:
        raise DataError(f"{where}: expected at least one sample and one column, got shape {tuple(table.shape)}.")
    if not bool(torch.isfinite(table).all()):
        row, column = (~torch.isfinite(table)).nonzero()[0].tolist()
        raise DataError(
            f"{where}: expected finite numbers, got {float(table[row, column])} in row {row}, column {column}. "
            "Remove or impute such rows."
        )
    return table
