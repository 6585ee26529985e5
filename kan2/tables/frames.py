"""One rule for what is a number, and one way into the columns of any frame.

Numbers are integers, floats, decimals and fractions, and truth values as 0 and 1. Everything else is refused with what
to do about it: dates and durations, complex numbers, text (also such as reads as a number), categories, masked and
missing entries. The rule is the same for samples, targets and single arrays, whatever object they come in.

Reference: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from kan2.errors import DataError, NumberError, unknown_name

# What is no number, and what to do about it; {0} is the name of the column in code.
_REMEDIES = {
    "dates": "Pass the time since a start in a unit of yours, as ({0} - {0}.min()) / np.timedelta64(1, 's').",
    "times of day": "Pass the time since midnight in a unit of yours.",
    "durations": "Divide by a unit: {0} / np.timedelta64(1, 's').",
    "complex numbers": "Complex data not supported: take {0}.real, {0}.imag, or both as two columns.",
    "text": "Convert what are numbers, as {0}.astype(float); give each of a few words a column of 0 and 1.",
    "categories": "Give each category a column of 0 and 1, as pandas.get_dummies does, or take codes that are ordered.",
    "masked values": "Leave such rows out, or fill them: {0}.filled(...).",
    "sparse columns": "Make them dense, as {0}.toarray().",
    "nested values": "Give each part a column of its own.",
}
_KINDS = {"M": "dates", "m": "durations", "c": "complex numbers", "U": "text", "S": "text", "T": "text"}

_CLASSES = {
    "datetime": "dates", "Timestamp": "dates", "date": "dates", "datetime64": "dates", "timedelta": "durations",
    "Timedelta": "durations", "timedelta64": "durations", "time": "times of day",
}  # fmt: skip


def named_columns(values: Any) -> dict[str, Any] | None:
    """Returns the columns of a frame by name, as they are, or None where there are no names.

    Labels that are numbers, as pandas gives to columns without names, are no names.

    Args:
        values: any object.

    Raises:
        DataError: names occur twice, or some are text and some are not.

    Example:
        >>> list(named_columns({"T": [1.0, 2.0], "p": [3.0, 4.0]}))
        ['T', 'p']
        >>> named_columns([[1.0, 2.0]]) is None
        True
    """
    pairs = list(_labelled(values))
    labels = [label for label, _ in pairs]
    is_text = [isinstance(label, str) for label in labels]
    if all(isinstance(label, Real) and not isinstance(label, bool | np.bool_) for label in labels):
        return None
    if not all(is_text):
        other = next(label for label in labels if not isinstance(label, str))
        raise DataError(
            f"table: expected names of columns that are text, got {other!r} of type {type(other).__name__}. Rename the "
            "columns, as table.columns = [str(name) for name in table.columns]."
        )
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise DataError(
            f"table: expected different names of columns, got {', '.join(map(repr, repeated))} more than once. Rename "
            "them, or leave some out."
        )
    return dict(pairs)


def is_frame(values: Any) -> bool:
    """Whether an object has columns, with names or without."""
    return next(iter(_labelled(values)), None) is not None


def _labelled(values: Any) -> Iterator[tuple[Any, Any]]:
    # (label, column) of everything that is known to have columns; nothing for arrays, lists and numbers.
    if isinstance(values, np.ndarray):
        yield from ((name, values[name]) for name in values.dtype.names or ())
    elif hasattr(values, "data_vars"):
        yield from _of_grid(values)
    elif hasattr(values, "collect_schema") and hasattr(values, "collect"):
        raise DataError("table: expected a frame, got a query that has not been run. Call its .collect() first.")
    elif hasattr(values, "toarray"):  # sparse matrices, of which some kinds are dicts
        return
    elif isinstance(values, Mapping):
        yield from values.items()
    elif hasattr(values, "coords") and hasattr(values, "dims"):
        yield from _of_labelled_array(values)
    elif hasattr(values, "iloc") and hasattr(values, "columns"):
        yield from ((label, values.iloc[:, i]) for i, label in enumerate(values.columns))
    elif hasattr(values, "column_names") or (hasattr(values, "__arrow_c_stream__") and not hasattr(values, "dtype")):
        table = _arrow(values)
        yield from zip(table.column_names, table.columns) if hasattr(table, "column_names") else ()
    elif hasattr(values, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        table = from_dataframe(values)
        yield from zip(table.column_names, table.columns)


def _arrow(values: Any) -> Any:
    import pyarrow

    if isinstance(values, pyarrow.Table | pyarrow.RecordBatch):
        return values
    if isinstance(values, pyarrow.Array | pyarrow.ChunkedArray) or not hasattr(values, "__arrow_c_stream__"):
        return None
    try:
        return pyarrow.table(values)
    except (TypeError, ValueError, pyarrow.ArrowInvalid):
        return None  # a single column, as a series of polars


def _of_grid(values: Any) -> Iterator[tuple[Any, Any]]:
    # The variables of an xarray Dataset, one row a point of their grid, the coordinates of the grid beside them.
    dims = tuple(values.sizes)
    names = [*values.coords, *values.data_vars]
    for name in names:
        yield name, np.asarray(values[name].broadcast_like(values).transpose(*dims)).reshape(-1)


def _of_labelled_array(values: Any) -> Iterator[tuple[Any, Any]]:
    # A table of xarray whose columns have labels.
    if len(values.dims) == 2 and values.dims[1] in values.coords and values.coords[values.dims[1]].dtype.kind in "UO":
        yield from zip(values.coords[values.dims[1]].values.tolist(), np.asarray(values).T)


def numbers(values: Any, where: str, name: str | None = None) -> np.ndarray:
    """Returns an array of float64 numbers of one column or of an array of any shape; missing numbers become nan.

    Args:
        values: an array, a list, or a column of a frame.
        where: for messages, such as the name of the verb.
        name: of the column, for messages.

    Raises:
        DataError: these are no numbers.

    Example:
        >>> numbers([True, 2, 0.5], "X").tolist()
        [1.0, 2.0, 0.5]
        >>> numbers(np.array([1 + 2j]), "X", "z")
        Traceback (most recent call last):
            ...
        kan2.errors.NumberError: X: expected numbers, got complex numbers in column 'z'. Complex data not supported: \
take z.real, z.imag, or both as two columns.
    """
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise _no_numbers("masked values", where, name)
        values = values.data
    if hasattr(values, "detach"):  # a tensor in a dict of columns
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
    if hasattr(values, "toarray"):  # of scipy.sparse
        raise _no_numbers("sparse columns", where, name)
    if is_frame(values):
        return _of_frame(values, where)
    if not hasattr(values, "iloc") and (hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")):
        if (kind := _arrow_kind(values)) is not None:
            raise _no_numbers(kind, where, name)
        values = _of_arrow(values)
    dtype = getattr(values, "dtype", None)
    if "ategor" in type(dtype).__name__ or str(dtype) == "category":
        raise _no_numbers("categories", where, name)
    if (kind := _KINDS.get(getattr(dtype, "kind", ""))) is not None:
        raise _no_numbers(kind, where, name)
    if hasattr(values, "iloc") and getattr(dtype, "kind", "O") in "iufb":
        return np.array(values.to_numpy(dtype=np.float64, na_value=np.nan))  # a copy that may be written to
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise _not_an_array(values, where, name, error) from error
    if array.dtype.kind in "iufb":
        # A copy, as of everything else: what the caller does to the array later is no matter of ours.
        return array.astype(np.float64)
    if (kind := _KINDS.get(array.dtype.kind)) is not None:
        raise _no_numbers(kind, where, name)
    entries = [_entry(entry, where, name) for entry in array.reshape(-1).tolist()]
    try:
        return np.array(entries, dtype=np.float64).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise _not_an_array(values, where, name, error) from error


def matrix(columns: Mapping[str, Any], names: Sequence[str], where: str) -> np.ndarray:
    """Returns (row, name) numbers of the named columns, in the order of the names; others are left alone.

    Raises:
        UnknownNameError: a column is missing.
        DataError: a column holds something else than numbers, or has another length.
    """
    for name in names:
        if name not in columns:
            raise unknown_name(where, "column", name, columns)
    found = [numbers(columns[name], where, name) for name in names]
    found = [column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column for column in found]
    if scalar := next((name for name, column in zip(names, found) if column.ndim != 1), None):
        raise DataError(f"{where}: expected a list of values in {scalar!r}, got shape {np.shape(columns[scalar])}.")
    lengths = {name: column.shape for name, column in zip(names, found)}
    if odd := next((n for n, shape in lengths.items() if shape != found[0].shape), None):
        raise DataError(
            f"{where}: expected columns of equal length, got shape {tuple(lengths[odd])} in {odd!r} beside "
            f"{tuple(found[0].shape)} in {names[0]!r}."
        )
    return np.stack(found, 1)


def arrow_of(columns: Mapping[str, Any], names: Sequence[str], where: str) -> Any:
    """Returns a pyarrow.Table of the numbers in the named columns, for libraries that know no other frames.

    Raises:
        UnknownNameError, DataError: as `matrix`.

    Example:
        >>> arrow_of({"a": [1, 2], "b": [3, 4]}, ["b"], "X").to_pydict()
        {'b': [3.0, 4.0]}
    """
    import pyarrow

    return pyarrow.table(dict(zip(names, matrix(columns, names, where).T)))


def _of_frame(values: Any, where: str) -> np.ndarray:
    # A frame whose columns have no names, or as a whole: by position.
    columns = [numbers(column, where, str(label)) for label, column in _labelled(values)]
    return np.stack(columns, 1) if columns else np.empty((len(values), 0))


def _of_arrow(values: Any) -> np.ndarray:
    import pyarrow

    if isinstance(values, pyarrow.ChunkedArray | pyarrow.Array):
        if pyarrow.types.is_boolean(values.type) or pyarrow.types.is_decimal(values.type):
            return np.array(values.to_pylist(), dtype=object)
        # A chunked array whose chunks hold missing entries becomes floats with nan.
        return values.to_numpy() if isinstance(values, pyarrow.ChunkedArray) else values.to_numpy(zero_copy_only=False)
    return np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)


def _arrow_kind(values: Any) -> str | None:
    import pyarrow

    kind = getattr(values, "type", None)
    if not isinstance(kind, pyarrow.DataType):
        return _polars_kind(str(getattr(values, "dtype", "")))
    t = pyarrow.types
    tests = {
        "dates": lambda: t.is_timestamp(kind) or t.is_date(kind),
        "times of day": lambda: t.is_time(kind),
        "durations": lambda: t.is_duration(kind) or t.is_interval(kind),
        "categories": lambda: t.is_dictionary(kind),
        "text": lambda: any((t.is_string(kind), t.is_large_string(kind), t.is_string_view(kind), t.is_binary(kind))),
        "nested values": lambda: t.is_nested(kind),
    }
    return next((name for name, test in tests.items() if test()), None)


def _polars_kind(dtype: str) -> str | None:
    starts = {
        "Datetime": "dates", "Date": "dates", "Time": "times of day", "Duration": "durations", "String": "text",
        "Categorical": "categories", "Enum": "categories", "List": "nested values", "Struct": "nested values",
    }  # fmt: skip
    return next((kind for start, kind in starts.items() if dtype.startswith(start)), None)


def _entry(entry: Any, where: str, name: str | None) -> float:
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        return float("nan")
    if isinstance(entry, Real | Decimal) or hasattr(entry, "__float__"):
        if isinstance(entry, complex):
            raise _no_numbers("complex numbers", where, name)
        try:
            return float(entry)
        except OverflowError:
            return float("inf")
        except (TypeError, ValueError):
            pass  # such as a symbol of SymPy
    if isinstance(entry, complex):
        raise _no_numbers("complex numbers", where, name)
    if isinstance(entry, str | bytes):
        raise _no_numbers("text", where, name, repr(entry))
    kind = type(entry).__name__
    raise _no_numbers(_CLASSES.get(kind, f"{kind} objects"), where, name)


def _no_numbers(kind: str, where: str, name: str | None, example: str | None = None) -> NumberError:
    column = "" if name is None else f" in column {name!r}"
    code = name if name is not None and name.isidentifier() else "column"
    remedy = _REMEDIES.get(kind, "Pass an array, a list or a frame of numbers.").replace("{0}", code)
    shown = "" if example is None else f" such as {example[:40]}"
    error = NumberError(f"{where}: expected numbers, got {kind}{shown}{column}. {remedy}")
    error.kind = kind
    return error


def _not_an_array(values: Any, where: str, name: str | None, error: Exception) -> DataError:
    column = "" if name is None else f" in column {name!r}"
    return DataError(f"{where}: expected numbers, got {type(values).__name__}{column} ({error}).")
