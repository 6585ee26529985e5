"""Data as users have them, made into one checked record.

A `Dataset` holds samples X (one row each) and targets y, optional test samples, the names of the columns, and the
definitions of *auxiliary variables*: features that are computed from the inputs, such as gamma = 1/sqrt(1 - (v/c)^2),
and offered to the network beside them.

Frames are read by the names of their columns; what is a number is said in `kan2.tables.frames`, for all kinds of data.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.features import compute_features
from kan2.core.spec import default_names
from kan2.core.tensors import check_fits, is_default, open_table, to_tensor, warn_of_rows
from kan2.errors import DataError, DataWarning, NumberError, ShapeError, named_options, unknown_name, warn
from kan2.options import names as checked_names
from kan2.tables.frames import is_frame, matrix, named_columns, numbers

DataLike: TypeAlias = "Dataset | tuple[Any, Any] | Mapping[str, Any] | str | os.PathLike[str]"
"""A Dataset; a pair (X, y) of arrays, tensors or frames; a dict with train_input and train_label; a table or a path."""
Columns: TypeAlias = str | Sequence[str]
"""The name of a column, or several."""


@named_options
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
        has_names: whether the names of the inputs came with the data. Those of arrays are made up, x1, x2, ..., and
            their columns go by position.
        classes: the two labels that the targets 0 and 1 stand for, where they are labels; else empty.
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
    has_names: bool = True
    classes: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("inputs", "outputs"):
            object.__setattr__(self, kind, different_names("Dataset", kind, getattr(self, kind)))
        for x, y, where in ((self.X, self.y, ""), (self.X_test, self.y_test, "_test")):
            if x is None and y is None and where:
                continue
            if not isinstance(x, Tensor) or not isinstance(y, Tensor):
                raise DataError(
                    f"Dataset: expected tensors X{where} and y{where}, got {type(x).__name__} and {type(y).__name__}. "
                    "Dataset.of reads arrays, frames and files."
                )
            shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
            if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
                raise ShapeError(
                    f"Dataset: expected X{where} (samples, inputs) and y{where} (samples, outputs), got {shapes}. "
                    "One column is reshape(-1, 1)."
                )
            if x.shape[1] != len(self.inputs) or (self.outputs and y.shape[1] != len(self.outputs)):
                raise ShapeError(
                    f"Dataset: expected a name for each column of X{where} and y{where}, got shapes {shapes} with the "
                    f"names {', '.join(self.inputs)} and {', '.join(self.outputs)}."
                )

        if self.classes and not (len(self.classes) == 2 and bool(((self.y == 0) | (self.y == 1)).all())):
            raise DataError(
                f"Dataset: expected two classes and targets 0 and 1, got {len(self.classes)} classes and targets from "
                f"{float(self.y.min()):g} to {float(self.y.max()):g}. Leave classes out where targets are numbers."
            )

    @classmethod
    def of(cls, data: Any, names: Sequence[str] | None = None, target: Columns | None = None) -> "Dataset":
        """Reads arrays, frames, dicts and files, see `as_dataset` of this file.

        Args:
            data: (X, y); a dict with train_input and train_label; a frame or the path of a table, with `target`.
            names: names of the inputs, of a frame those to take.
            target: name of the column of targets in a frame or file, or several.

        Raises:
            DataError, ShapeError, UnknownNameError: these are no data.

        Example:
            >>> Dataset.of({"T": [1.0, 2.0], "V": [3.0, 4.0]}, target="V")
            Dataset(2 samples, T -> V)
        """
        return as_dataset(data, names, target)

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
                check_fits(name, table, moved[name])
        return replace(self, **moved)


def as_dataset(data: Any, names: Sequence[str] | None = None, target: Columns | None = None) -> Dataset:
    """Reads data in any of the usual forms.

    Args:
        data: a Dataset; a pair (X, y); a mapping with `train_input` and `train_label` and, optionally, `test_input`
            and `test_label`; or, with `target`, a table as a whole: a frame, a dict of columns, or the path of a file
            that `kan2.tables.read` reads. X is (batch, input), y is (batch,) or (batch, output).
        names: names of the inputs. Of frames these columns are taken, in this order; by default all of them, in a
            table as a whole all that hold numbers and are not targets. Arrays are x1, x2, ... by default.
        target: name of the column of targets in a table as a whole, or several.

    Raises:
        DataError: no rows, values that are not finite or no numbers, or another kind of object.
        ShapeError: X is not a table, or y has another number of rows.
        UnknownNameError: a column is not there.

    Example:
        >>> as_dataset(([[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0])).y.shape
        torch.Size([2, 1])
        >>> as_dataset({"T": [1.0, 2.0], "p": [3.0, 4.0], "V": [5.0, 6.0]}, target="V")
        Dataset(2 samples, T, p -> V)
    """
    return _finite(read_dataset(data, names, target))


def read_dataset(data: Any, names: Sequence[str] | None = None, target: Columns | None = None) -> Dataset:
    """Returns what `as_dataset` does, also where numbers are missing or infinite."""
    wanted = None if names is None else different_names("data", "names", names)
    if wanted == ():
        raise DataError("data: expected names of inputs, got an empty list. Leave it out to take all columns.")
    if isinstance(data, Dataset):
        _refuse_target(target, "a Dataset")
        return data if wanted is None else replace(data, inputs=_as_many(wanted, len(data.inputs)), has_names=True)
    if isinstance(data, Mapping) and {"train_input", "train_label"} & set(data):
        _refuse_target(target, "a dict with train_input")
        return _of_dict(data, wanted)
    if isinstance(data, tuple | list) and len(data) == 2:
        _refuse_target(target, "a pair (X, y)")
        return _of_pair(data[0], data[1], wanted, ("X", "y"))
    data = open_table(data)
    if is_frame(data):
        return _of_table(data, wanted, target)
    raise DataError(
        "data: expected (X, y), a Dataset, a dict with train_input, or a table with target=, got "
        f"{type(data).__name__}."
    )


def _refuse_target(target: Columns | None, kind: str) -> None:
    if target is not None:
        raise DataError(
            f"data: expected target= beside a table as a whole, got it beside {kind}, which has targets. Leave it out."
        )


def _of_dict(data: Mapping[str, Any], names: tuple[str, ...] | None) -> Dataset:
    if missing := [key for key in ("train_input", "train_label") if key not in data]:
        raise DataError(
            f"data: expected a dict with train_input and train_label, got the keys {', '.join(map(str, data))} "
            f"without {' and '.join(missing)}. Pass (X, y) instead, or rename the keys."
        )
    known = ("train_input", "train_label", "test_input", "test_label")
    for key in map(str, data):
        if key not in known and get_close_matches(key, known, cutoff=0.8):
            raise unknown_name("data", "key", key, known)
    result = _of_pair(data["train_input"], data["train_label"], names, ("X", "y"))
    if ("test_input" in data) != ("test_label" in data):
        raise DataError("data: expected test_input and test_label, got one of them. Add the other, or leave both out.")
    if "test_input" not in data:
        return result
    X, y = data["test_input"], data["test_label"]
    columns = None if isinstance(X, Tensor) else named_columns(X)
    test = _of_pair(X, y, result.inputs if columns else None, ("test_input", "test_label"), result.outputs)
    if test.X.shape[1] != result.X.shape[1] or test.y.shape[1] != result.y.shape[1]:
        raise ShapeError(
            f"data: expected test data with {result.X.shape[1]} inputs and {result.y.shape[1]} outputs like the "
            f"training data, got {test.X.shape[1]} and {test.y.shape[1]}."
        )
    return replace(result, X_test=test.X, y_test=test.y)


def _as_many(names: tuple[str, ...], n: int) -> tuple[str, ...]:
    if len(names) != n:
        raise ShapeError(f"data: expected {n} names of inputs, got {len(names)}: {', '.join(names)}.")
    return names


def _of_pair(
    x: Any, y: Any, names: tuple[str, ...] | None, where: tuple[str, str], outputs: tuple[str, ...] = ()
) -> Dataset:
    columns = None if isinstance(x, Tensor) else named_columns(x)
    if columns is None:
        X = to_tensor(x, where[0]).detach()
        if X.ndim != 2:
            raise ShapeError(
                f"{where[0]}: expected a table (samples, variables), got shape {tuple(X.shape)}. "
                "One variable is a column: reshape(-1, 1)."
            )
        inputs = default_names("x", X.shape[1]) if names is None else names
        if len(inputs) != X.shape[1]:
            raise ShapeError(f"data: expected {len(inputs)} columns ({', '.join(inputs)}), got {X.shape[1]}.")
    else:
        inputs = tuple(columns) if names is None else names
        X = torch.from_numpy(matrix(columns, inputs, where[0])) if inputs else torch.empty(len(x), 0)
    labels = None if isinstance(y, Tensor) else named_columns(y)
    name = getattr(y, "name", None)
    own = tuple(labels or ()) or ((name,) if isinstance(name, str) else ())
    # Test targets in the order of the others.
    outputs = outputs if labels and set(outputs) == set(own) else own
    Y = torch.from_numpy(matrix(labels, outputs, where[1])) if labels else to_tensor(y, where[1]).detach()
    if Y.ndim not in (1, 2) or Y.shape[0] != X.shape[0]:
        n = X.shape[0]
        raise ShapeError(f"{where[1]}: expected {n} targets, shape ({n},) or ({n}, outputs), got {tuple(Y.shape)}.")
    Y = Y[:, None] if Y.ndim == 1 else Y
    return Dataset(X, Y, inputs, outputs, has_names=columns is not None or names is not None)


def _of_table(table: Any, names: tuple[str, ...] | None, target: Columns | None) -> Dataset:
    columns = named_columns(table)
    if columns is None:
        raise DataError("data: expected a table with names of columns, got one without. Pass (X, y) instead.")
    if target is None:
        raise DataError(
            f"data: expected target=, the name of the column to explain, got a table of {', '.join(columns)} without."
        )
    outputs = columns_named(columns, target, "data")
    for name in names or ():
        if name not in columns:
            raise unknown_name("data", "column", name, columns)
    if both := [name for name in outputs if name in (names or ())]:
        raise DataError(f"data: expected inputs without the target, got {', '.join(both)} among them. Leave it out.")
    inputs = names if names is not None else inputs_of(columns, outputs)
    X, y = (torch.from_numpy(matrix(columns, chosen, "data")) for chosen in (inputs, outputs))
    units = getattr(table, "units", {})
    known = tuple((name, units[name]) for name in (*inputs, *outputs) if name in units)
    return Dataset(X, y, inputs, outputs, units=known)


def different_names(where: str, kind: str, value: Any) -> tuple[str, ...]:
    """Returns a list of names of which none occurs twice.

    Raises:
        DataError: it is none.
    """
    found = checked_names(where, kind, value)
    if len(set(found)) < len(found):
        raise DataError(f"{where}: expected different names as {kind}, got {', '.join(found)}. Name each column once.")
    return found


def columns_named(columns: Mapping[str, Any] | None, target: Columns, where: str) -> tuple[str, ...]:
    """Returns the names of the targets in a table.

    Raises:
        DataError: these are no names, or the table has none.
        UnknownNameError: there is no such column.
    """
    if columns is None:
        raise DataError(f"{where}: expected a table with names of columns, got one without. Pass X and y instead.")
    outputs = (target,) if isinstance(target, str) else different_names(where, "target", target)
    if not outputs:
        raise DataError(f"{where}: expected target as the name of a column, got an empty list.")
    for name in outputs:
        if name not in columns:
            raise unknown_name(where, "column", name, columns)
    return outputs


def inputs_of(columns: Mapping[str, Any], outputs: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the columns that hold numbers and are no outputs, with a warning where others are left out.

    Raises:
        DataError: there are none.
    """
    kept, left_out = [], []
    for name in (name for name in columns if name not in outputs):
        try:
            numbers(columns[name], "data", name)
            kept.append(name)
        except NumberError as error:
            left_out.append((name, error))
    if not kept:
        raise DataError(
            f"data: expected a column of numbers beside the target {', '.join(outputs)}, got none. "
            + (str(left_out[0][1]) if left_out else "Add a column.")
        )
    if left_out:
        reasons = ", ".join(f"{name!r} ({error.kind})" for name, error in left_out)
        warn(f"data: left out what holds no numbers: {reasons}. Name the inputs to choose others.", DataWarning)
    return tuple(kept)


def finite_rows(data: Dataset, where: str) -> Dataset:
    """Returns data without the samples that hold nan or infinity, with a warning that says how many these are.

    Args:
        data: the data.
        where: name of the verb, for messages.

    Raises:
        DataError: no sample is finite.

    Example:
        >>> import warnings
        >>> data = read_dataset(([[1.0], [float("nan")]], [2.0, 3.0]))
        >>> with warnings.catch_warnings(record=True, action="always") as caught:
        ...     finite_rows(data, "plot").X.tolist(), str(caught[0].message)
        ([[1.0]], 'plot: ignored 1 of 2 samples, which hold nan or infinity.')
    """
    kept = torch.isfinite(data.X).all(1) & torch.isfinite(data.y).all(1)
    if bool(kept.all()):
        return data
    warn_of_rows(kept, where, "which hold nan or infinity")
    return replace(data, X=data.X[kept], y=data.y[kept])


def _finite(data: Dataset) -> Dataset:
    for where, table, names in (
        ("X", data.X, data.inputs),
        ("y", data.y, data.outputs),
        ("test_input", data.X_test, data.inputs),
        ("test_label", data.y_test, data.outputs),
    ):
        if table is None:
            continue
        if table.numel() == 0:
            raise DataError(f"{where}: expected at least one sample and one column, got shape {tuple(table.shape)}.")
        if not bool(torch.isfinite(table).all()):
            row, column = (~torch.isfinite(table)).nonzero()[0].tolist()
            name = f" ({names[column]})" if names and not is_default(names, "x") else ""
            raise DataError(
                f"{where}: expected finite numbers, got {float(table[row, column])} in row {row}, column {column}"
                f"{name}. Remove or impute such rows."
            )
    return data
