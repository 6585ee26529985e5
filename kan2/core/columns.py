"""Tables for scikit-learn: named columns as Arrow tables of numbers, targets apart, what is no number refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kan2.core.data import Columns, columns_named, inputs_of
from kan2.core.tensors import missing_column, open_table
from kan2.errors import DataError, NumberError
from kan2.tables.frames import arrow_of, named_columns, numbers


def samples_and_targets(X: Any, y: Any, target: Columns | None, where: str) -> tuple[Any, Any]:
    """Returns samples as scikit-learn reads them, and targets; a table as a whole is taken apart.

    Args:
        X: an array, a frame or the path of a table.
        y: targets or labels, where X has none.
        target: name of the column of them in a table as a whole, or several.
        where: for messages.

    Raises:
        DataError: targets come twice, or a column holds no numbers.
        UnknownNameError: a column is missing.
    """
    if target is None:
        return with_columns(X, None, where), y
    if y is not None:
        raise DataError(f"{where}: expected y or target=, got both. Leave one out.")
    columns = named_columns(open_table(X))
    outputs = columns_named(columns, target, where)
    assert columns is not None
    y = np.asarray(columns[target]) if isinstance(target, str) else arrow_of(columns, outputs, where)
    return arrow_of(columns, inputs_of(columns, outputs), where), y


def names_of_targets(y: Any, target: Columns | None) -> tuple[str, ...]:
    """Returns the names that targets have: as asked for, of the columns of a frame, or of a series; else none."""
    if target is not None:
        return (target,) if isinstance(target, str) else tuple(target)
    name = getattr(y, "name", None)
    return tuple(named_columns(y) or ((name,) if isinstance(name, str) else ()))


def with_columns(X: Any, names: Sequence[str] | None, where: str) -> Any:
    """Returns the named columns of a frame as an Arrow table of numbers, in this order; arrays as they are.

    Args:
        X: an array, a frame or the path of a table.
        names: of the columns to take; None takes all of them.
        where: for messages.

    Raises:
        NumberError: a column holds no numbers.
        UnknownNameError: a column is missing.
    """
    X = open_table(X)
    columns = named_columns(X)
    if columns is None:
        return array_of(X, where)
    for name in names or ():
        if name not in columns:
            raise missing_column(where, name, names or (), tuple(columns))
    return arrow_of(columns, tuple(columns if names is None else names), where)


def array_of(values: Any, where: str) -> Any:
    """Returns an array of numbers; what scikit-learn refuses in words that its checks ask for is left as it is.

    That is sparse matrices and objects of any class. Text, dates, categories, masks and complex numbers, which it would
    read as numbers or cut, are refused here.

    Raises:
        NumberError: these are no numbers.
    """
    if isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "iufb":
        return np.ascontiguousarray(values)
    try:
        found = numbers(values, where)
    except NumberError as error:
        if error.kind.endswith(("objects", "sparse columns")):
            return values
        raise
    except DataError:
        return values
    return found if found.ndim else values
