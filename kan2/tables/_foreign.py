"""Frames of other packages, as pyarrow tables: pandas, polars, xarray, NumPy, and what has Arrow's interface.

Reference: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kan2.errors import DataError
from kan2.tables._csv import chosen
from kan2.tables._sources import MAX_BYTES
from kan2.tables.frames import named_columns
from kan2.tables.headers import name_and_unit


def is_foreign(source: Any) -> bool:
    """Tells whether an object is a frame, and no path or file."""
    marks = ("__arrow_c_stream__", "__dataframe__", "data_vars", "coords", "iloc", "collect_schema")
    if any(hasattr(source, mark) for mark in marks):
        return True
    return isinstance(source, np.ndarray | dict) or (hasattr(source, "__array__") and not hasattr(source, "read"))


def from_frame(source: Any, columns: Sequence[str] | None, limit: int | None) -> tuple[Any, dict[str, str]]:
    """Returns the columns of a frame as a pyarrow.Table, and the units that the frame knows.

    Args:
        source: a frame; a lazy one of polars is collected.
        columns: names of those to take; others are not looked at.
        limit: of bytes; a grid of xarray grows when it is written row by row.

    Raises:
        DataError: this is no frame, or a column holds what no table can.
    """
    import pyarrow

    if hasattr(source, "collect_schema") and hasattr(source, "collect"):
        source = source.collect()
    units: dict[str, str] = {}
    if hasattr(source, "data_vars") or hasattr(source, "coords"):
        source, units = _of_grid(source, limit)
    elif getattr(source, "name", None) is not None and hasattr(source, "iloc") and not hasattr(source, "columns"):
        source = {str(source.name): source}
    elif hasattr(source, "iloc") and hasattr(source, "columns"):
        source = _with_index(source)
    found = named_columns(source)
    if found is None:
        found = _by_position(source)
    bare = [name_and_unit(name)[0] for name in found]
    if columns is not None:
        asked = [columns] if isinstance(columns, str) else list(columns)
        asked = [list(found)[bare.index(c)] if c not in found and bare.count(c) == 1 else c for c in asked]
        found = {name: found[name] for name in chosen(list(found), asked)}
    if not found:
        raise DataError(f"read: expected a table, got {type(source).__name__} without columns.")
    arrays = {name: _array(column, name) for name, column in found.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"read: expected columns of one length, got {lengths}.")
    return pyarrow.table(arrays), units


def _array(column: Any, name: str) -> Any:
    import pyarrow

    if isinstance(column, pyarrow.ChunkedArray | pyarrow.Array):
        array = column
    else:
        try:
            if hasattr(column, "iloc"):
                array = pyarrow.Array.from_pandas(column)
            elif hasattr(column, "to_arrow"):
                array = column.to_arrow()
            else:
                if hasattr(column, "detach"):  # of torch
                    column = column.detach().cpu()
                values = column if isinstance(column, list | tuple) else np.asarray(column)
                if isinstance(values, np.ndarray) and values.ndim != 1:
                    raise DataError(
                        f"read: expected columns of one axis, got shape {values.shape} in {name!r}. Give each of its "
                        "columns a name of its own."
                    )
                if isinstance(column, np.ma.MaskedArray):
                    array = pyarrow.array(column.data, mask=np.ma.getmaskarray(column))
                else:
                    array = pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, TypeError, OverflowError) as error:
            text = " ".join(str(error).split())[:120].rstrip(".")
            kind = getattr(column, "dtype", type(column).__name__)
            remedy = (
                "Pass its real and imaginary part as two columns."
                if "complex" in str(kind)
                else ("Give it one kind of values, or leave it out: columns=.")
            )
            raise DataError(
                f"read: expected a column of numbers, text or dates, got {kind} in {name!r} ({text}). {remedy}"
            ) from None
    if pyarrow.types.is_string_view(array.type):
        array = array.cast(pyarrow.string())
    elif pyarrow.types.is_null(array.type):
        array = array.cast(pyarrow.float64())
    return array


def _with_index(frame: Any) -> Any:
    # An index with a name is a column; one without counts the rows.
    names = [name for name in frame.index.names if name is not None]
    return frame.reset_index() if names and len(names) == len(frame.index.names) else frame


def _by_position(source: Any) -> dict[str, Any]:
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return {f"x{i}": source.iloc[:, i - 1] for i in range(1, source.shape[1] + 1)}
    if isinstance(source, dict):
        raise DataError("read: expected columns by name, got a dict without names that are text.")
    if hasattr(source, "to_frame"):
        return {getattr(source, "name", None) or "x1": source}
    if hasattr(source, "detach"):
        source = source.detach().cpu()
    try:
        array = np.asarray(source)
    except (TypeError, ValueError) as error:
        raise DataError(f"read: expected a path, a file or a frame, got {type(source).__name__} ({error}).") from None
    if array.ndim == 1 and array.dtype.kind != "O":
        array = array[:, None]
    if array.ndim != 2:
        raise DataError(f"read: expected a table of rows and columns, got an array of shape {array.shape}.")
    return {f"x{i}": array[:, i - 1] for i in range(1, array.shape[1] + 1)}


def _of_grid(source: Any, limit: int | None) -> tuple[dict[str, Any], dict[str, str]]:
    # A Dataset or DataArray of xarray, one row for each point of its grid.
    if not hasattr(source, "data_vars"):
        name = source.name if isinstance(source.name, str) else "values"
        source = source.rename(name).to_dataset()
    dims = tuple(source.sizes)
    rows = int(np.prod([source.sizes[d] for d in dims], dtype=np.float64)) if dims else 1
    names = [*(d for d in dims if d in source.coords), *source.data_vars]
    limit = MAX_BYTES if limit is None else limit
    if 8 * rows * max(1, len(names)) > limit:
        raise DataError(
            f"read: expected at most {limit:,} bytes, got a grid of {rows:,} points with {len(names)} columns. Select "
            "a part of it, or pass max_bytes= to read more."
        )
    columns = {
        str(n): np.asarray(source[n].broadcast_like(source).transpose(*dims)).reshape(-1) if dims else
        np.asarray(source[n]).reshape(-1) for n in names
    }  # fmt: skip
    units = {str(n): str(source[n].attrs["units"]) for n in names if source[n].attrs.get("units")}
    return columns, units
