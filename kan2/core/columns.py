"""Tables for scikit-learn: named columns as Arrow tables of numbers, targets apart, what is no number refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kan2.core.data import Columns, inputs_of
from kan2.core.tensors import missing_column, open_table
from kan2.errors import DataError, NumberError, unknown_name
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
    table = open_table(X)
    columns, outputs = named_columns(table) or {}, (target,) if isinstance(target, str) else tuple(target)
    for name in outputs:
        if name not in columns:
            raise unknown_name(where, "column", name, columns)
    y = np.asarray(columns[target]) if isinstance(target, str) else arrow_of(columns, outputs, where)
    return arrow_of(columns, inputs_of(columns, outputs), where), y


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
        return X if is_array(X) else numbers(X, where)
    for name in names or ():
        if name not in columns:
            raise missing_column(where, name, names or (), tuple(columns))
    return arrow_of(columns, tuple(columns if names is None else names), where)


def is_array(values: Any) -> bool:
    # What it reads, or refuses in words of its own: numbers, complex ones, sparse matrices, objects of any class.
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    return not isinstance(values, np.ma.MaskedArray) and (
        kind in "iufb" or hasattr(values, "toarray") or not _is_refused(values)
    )


def _is_refused(values: Any) -> bool:
    try:
        numbers(values, "")
    except NumberError as error:
        return not error.kind.endswith(("objects", "sparse columns"))
    except DataError:
        pass
    return False
