"""Tables as theories read them: columns of numbers, columns of labels, what was measured, and how well.

Several tables, as a list or a dictionary, are data sets of one fit: one table with a column `set` of labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from kan2.core.data import Columns, Dataset
from kan2.core.tensors import open_table
from kan2.errors import DataError, DataWarning, ShapeError, unknown_name, warn
from kan2.tables.frames import named_columns, numbers
from kanpiler.theory.fitting.model import Rows

SET = "set"
"""Name of the column that says which of several tables a row is from."""


class Read:
    """What a fit has read.

    Attributes:
        rows: those that can be used.
        levels: the labels of each column of labels, in the order of the codes.
        weights: (batch, output) one over the error of each number; None where errors are not known.
        kept: (row,) which rows of the table these are.
    """

    def __init__(
        self, rows: Rows, levels: dict[str, tuple[str, ...]], weights: ndarray | None, names: Any, kept: ndarray
    ) -> None:
        self.rows, self.levels, self.weights, self.kept = rows, levels, weights, kept
        self.outputs: tuple[str, ...] = names


def columns_of(data: Any, where: str, columns: Sequence[str], outputs: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the columns of data by name.

    Args:
        data: a table, the path of one, a Dataset, a pair (X, y), an array, or several tables.
        where: name of the verb.
        columns: names for the columns of arrays.
        outputs: names for those of targets.
    """
    if isinstance(data, Dataset):
        data = (dict(zip(data.inputs, data.X.T)), data.y)
    if isinstance(data, tuple) and len(data) == 2:
        X, y = data
        found = columns_of(X, where, columns)
        y = np.asarray(_plain(y), float)
        y = y[:, None] if y.ndim == 1 else y
        if y.ndim != 2 or y.shape[1] != len(outputs):
            raise ShapeError(f"{where}: expected y with {len(outputs)} columns ({', '.join(outputs)}), got {y.shape}.")
        return found | dict(zip(outputs, y.T))
    if isinstance(data, list) and data and all(not np.isscalar(one) and _is_table(one) for one in data):
        data = {str(i + 1): one for i, one in enumerate(data)}
    if isinstance(data, Mapping) and data and all(_is_table(one) for one in data.values()):
        own = [name for name in columns if name != SET]
        return _stacked({str(name): columns_of(one, where, own, outputs) for name, one in data.items()}, where)
    table = open_table(data)
    found = None if isinstance(table, torch.Tensor | list | tuple) else named_columns(table)
    if found is not None:
        return dict(found)
    X = np.asarray(numbers(_plain(table), where), float)
    X = X[:, None] if X.ndim == 1 else X
    if X.ndim != 2 or X.shape[1] != len(columns):
        raise ShapeError(f"{where}: expected {len(columns)} columns ({', '.join(columns)}), got shape {X.shape}.")
    return dict(zip(columns, X.T))


def numeric_columns(columns: Mapping[str, Any], kept: ndarray) -> dict[str, Float[ndarray, " batch"]]:
    """Returns those columns that hold finite numbers on all rows that were kept."""
    found = {}
    for name, column in columns.items():
        try:
            values = np.asarray(numbers(_plain(column), "data", name), float).reshape(-1)
        except DataError:
            continue
        if len(values) == len(kept) and np.isfinite(values[kept]).all():
            found[name] = values[kept]
    return found


def _plain(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def _is_table(one: Any) -> bool:
    if isinstance(one, str):
        return False
    is_pair = isinstance(one, tuple) and len(one) == 2
    return is_pair or isinstance(one, Dataset | Mapping) or hasattr(one, "columns") or hasattr(one, "column_names")


def _stacked(tables: Mapping[str, Mapping[str, Any]], where: str) -> dict[str, Any]:
    first = next(iter(tables.values()))
    shared = [name for name in first if all(name in one for one in tables.values())]
    if SET in shared:
        raise DataError(f"{where}: expected tables without a column {SET!r}, which says the table. Rename it.")
    sizes = {name: len(np.asarray(_plain(one[shared[0]]))) for name, one in tables.items()} if shared else {}
    if not sizes:
        raise DataError(f"{where}: expected tables with columns in common, got none.")
    found = {name: np.concatenate([np.asarray(_plain(one[name])) for one in tables.values()]) for name in shared}
    return found | {SET: np.concatenate([np.full(n, name, dtype=object) for name, n in sizes.items()])}


def read_rows(
    data: Any,
    target: Columns | None,
    columns: Sequence[str],
    labels: Mapping[str, tuple[str, ...]],
    outputs: Sequence[str],
    errors: Any,
    solved_for: str,
    where: str = "fit",
) -> Read:
    """Reads a table for a fit.

    Args:
        data: see `columns_of`.
        target: names of the columns that were measured; by default those of the outputs.
        columns: that the formulas read.
        labels: columns of labels, with the labels that are known already.
        outputs: names of the outputs.
        errors: standard deviation of each measured number: a column's name, an array, or None.
        solved_for: the column that equations are solved for, or "".
        where: name of the verb.

    Raises:
        DataError: no row is left, or a column holds no numbers.
        UnknownNameError: a column is not there.
    """
    names = (target,) if isinstance(target, str) else tuple(outputs if target is None else target)
    if len(names) != len(outputs):
        raise ShapeError(f"{where}: expected {len(outputs)} targets ({', '.join(outputs)}), got {', '.join(names)}.")
    arrays = (*columns, *labels)
    found = columns_of(data, where, arrays, names)
    for name in (*columns, *labels, *names):
        if name not in found:
            raise unknown_name(where, "column", name, list(found))
    values = {
        name: np.asarray(numbers(_plain(found[name]), where, name), float).reshape(-1) for name in {*columns, *names}
    }
    n_rows = {name: len(column) for name, column in values.items()}
    if len(set(n_rows.values())) > 1:
        told = ", ".join(f"{name} with {n}" for name, n in n_rows.items())
        raise ShapeError(f"{where}: expected columns with as many rows as each other, got {told}.")
    y = np.stack([values[name] for name in names], 1)
    coded, levels = {}, {}
    for name, known in labels.items():
        coded[name], levels[name] = _codes(found[name], name, known, where)
    weights = _weights(errors, found, y, where)
    n = len(y)
    kept: Any = np.isfinite(np.stack([*values.values()], 1)).all(1)
    if weights is not None:
        kept &= (np.isfinite(weights) & (weights > 0)).all(1)
    for code in coded.values():
        kept &= code >= 0
    if not kept.any():
        raise DataError(f"{where}: expected rows of finite numbers, got none among {n}.")
    if not kept.all():
        warn(f"{where}: left out {n - int(kept.sum())} of {n} rows, in which a number is missing.", DataWarning)
    rows = Rows(
        {name: np.ascontiguousarray(values[name][kept]) for name in columns},
        {name: code[kept] for name, code in coded.items()},
        y[kept],
    )
    return Read(rows, levels, None if weights is None else weights[kept], names, kept)


def _codes(values: Any, name: str, known: tuple[str, ...], where: str) -> tuple[ndarray, tuple[str, ...]]:
    given = np.asarray(_plain(values), dtype=object).reshape(-1)
    labels = [None if _is_missing(value) else label_of(value) for value in given]
    there = {label for label in labels if label is not None}
    levels = known or _sorted(there)
    at: dict[str | None, int] = {label: i for i, label in enumerate(levels)} | {None: -1}
    if new := sorted(there - set(levels)):
        raise unknown_name(where, f"label of {name}", new[0], levels)
    return np.array([at[label] for label in labels]), levels


def _sorted(labels: set[str]) -> tuple[str, ...]:
    # Numbers by their size: 3 before 10.
    try:
        return tuple(sorted(labels, key=float))
    except ValueError:
        return tuple(sorted(labels))


def _is_missing(value: Any) -> bool:
    is_nan = isinstance(value, float | np.floating) and bool(np.isnan(value))
    return value is None or is_nan or str(value) in ("NaT", "<NA>")


def label_of(value: Any) -> str:
    # 1 and 1.0 are one label.
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _weights(errors: Any, columns: Mapping[str, Any], y: ndarray, where: str) -> Float[ndarray, "batch output"] | None:
    if errors is None:
        return None
    if isinstance(errors, str) or (isinstance(errors, list | tuple) and all(isinstance(e, str) for e in errors)):
        names = [errors] if isinstance(errors, str) else list(errors)
        for name in names:
            if name not in columns:
                raise unknown_name(where, "column of errors", name, list(columns))
        errors = np.stack([numbers(_plain(columns[name]), where, name) for name in names], 1)
    given = np.asarray(_plain(errors), float)
    if given.ndim == 1 and len(given) == len(y):
        given = given[:, None]
    try:
        given = np.broadcast_to(given, y.shape)
    except ValueError:
        raise ShapeError(f"{where}: expected errors of shape {y.shape}, got {given.shape}.") from None
    if (given <= 0).any():
        least = np.nanmin(given)
        raise DataError(f"{where}: expected errors > 0, standard deviations, got {least:g}. Leave such rows out.")
    return 1 / given
