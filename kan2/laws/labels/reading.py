"""Which targets are labels, and their two classes: words, categories and truth values; numbers where this is asked for.

The labels become 0 and 1 in the order of the classes, which are sorted and stay with the data.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kan2.core.data import Columns, Dataset, as_dataset, columns_named
from kan2.errors import DataError, TrainingError
from kan2.tables.frames import named_columns

MOST = 20  # different words; what has more is text, which is refused as text is


def with_labels(data: Any, names: Sequence[str] | None, target: Columns | None, is_asked: bool) -> Dataset | None:
    """Returns data whose one target are labels, with 0 and 1 in their place; None where it is something else.

    Args:
        data: as for `as_dataset`, a table in a file opened.
        names, target: see `as_dataset`.
        is_asked: whether numbers are labels too.

    Raises:
        DataError: there are several targets, a label is missing, or there are not two classes.
        TrainingError: numbers are asked for as labels that are none.

    Example:
        >>> data = with_labels({"x": [1.0, 2.0, 3.0], "seen": ["yes", "no", "yes"]}, None, "seen", False)
        >>> data.classes, data.y[:, 0].tolist()
        (('no', 'yes'), [1.0, 0.0, 1.0])
    """
    if isinstance(data, Dataset):
        if data.classes:
            return as_dataset(data, names, target)
        values = [(_name(data.outputs, j), data.y[:, j]) for j in range(data.y.shape[1])]
        found = _codes(values, is_asked)
        return None if found is None else _ended(as_dataset(replace(data, y=_column(found[0])), names, target), found)
    if isinstance(data, tuple | list) and len(data) == 2:
        found = _codes(_of_targets(data[1]), is_asked)
        if found is None:
            return None
        read = as_dataset((data[0], found[0]), names, target)
        return _ended(replace(read, outputs=(found[2],) if found[2] else ()), found)
    if isinstance(data, dict) and "train_label" in data:
        found = _codes(_of_targets(data["train_label"]), is_asked)
        known = {key: value for key, value in data.items() if not key.startswith("test_")}
        return None if found is None else _ended(as_dataset({**known, "train_label": found[0]}, names, target), found)
    if target is None or (columns := named_columns(data)) is None:
        return None
    found = _codes([(name, columns[name]) for name in columns_named(columns, target, "data")], is_asked)
    if found is None:
        return None
    read = as_dataset({**columns, found[2]: found[0]}, names, target)
    units = getattr(data, "units", {})
    return _ended(replace(read, units=tuple((name, units[name]) for name in read.inputs if name in units)), found)


def are_labels(values: Any) -> bool:
    """Tells whether a column holds labels without being asked for: words, categories or truth values.

    Example:
        >>> are_labels([True, None, False]), are_labels(["a", "b"]), are_labels([0, 1])
        (True, True, False)
    """
    return _labels(values, False) is not None


_Found = tuple[np.ndarray, tuple[Any, Any], str]  # codes, classes and the name of a target


def _ended(data: Dataset, found: _Found) -> Dataset:
    return replace(data, classes=found[1])


def _column(codes: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(codes)[:, None]


def _name(outputs: Sequence[str], j: int) -> str:
    return outputs[j] if outputs else ""


def _of_targets(y: Any) -> list[tuple[str, Any]]:
    columns = None if hasattr(y, "detach") else named_columns(y)
    if columns:
        return list(columns.items())
    name = getattr(y, "name", "")
    name = name if isinstance(name, str) else ""
    array = y if _is_column(y) else _array(y)
    if getattr(array, "ndim", 1) == 2:
        return [(name, array[:, j]) for j in range(array.shape[1])]
    return [(name, array)]


def _is_column(values: Any) -> bool:
    return hasattr(values, "iloc") or hasattr(values, "__arrow_c_stream__")


def _codes(targets: list[tuple[str, Any]], is_asked: bool) -> _Found | None:
    kinds = [(name, found) for name, values in targets if (found := _labels(values, is_asked)) is not None]
    if not kinds:
        return None
    if len(targets) > 1:
        raise DataError(
            f"discover: expected labels as the only target, got {len(targets)} targets. Look for the law of each by "
            "itself."
        )
    (name, labels), where = kinds[0], f" in {kinds[0][0]!r}" * bool(kinds[0][0])
    if (row := next((i for i, label in enumerate(labels) if label is None), None)) is not None:
        raise DataError(f"discover: expected a label in every row, got none in row {row}{where}. Leave such rows out.")
    try:
        classes = sorted(set(labels))
    except TypeError as error:
        kinds_of = sorted({type(label).__name__ for label in labels})
        raise DataError(
            f"discover: expected labels of one kind, got {' and '.join(kinds_of)}{where}. Write them all as text."
        ) from error
    if len(classes) > MOST:
        raise TrainingError(
            f"discover: expected labels beside a cross-entropy, got {len(classes)} different values{where}. Take a "
            "loss of numbers, or KANClassifier where these are classes."
        )
    if len(classes) != 2:
        column = name if name.isidentifier() else "labels"
        one = f" ({classes[0]!r}), which there is nothing to tell from. Add rows of the other." if classes else "."
        many = (
            f" ({', '.join(map(repr, classes[:3]))}{', ...' * (len(classes) > 3)}). Look for one law a class, each "
            f"against the rest, with a column of truth values as the target: {column} == {classes[0]!r}."
        )
        kind = "text with " if any(isinstance(label, str) for label in classes) else ""
        raise DataError(
            f"discover: expected numbers or labels of two classes, got {kind}{len(classes)}{where}"
            + (many if len(classes) > 2 else one)
        )
    return np.array([classes.index(label) for label in labels], float), (classes[0], classes[1]), name


def _labels(values: Any, is_asked: bool) -> list[Any] | None:
    """Returns labels, None where one is missing; None where these are none."""
    if isinstance(values, np.ma.MaskedArray) or hasattr(values, "toarray"):
        return None  # refused as they are elsewhere
    array = _array(values)
    if array is None or array.ndim != 1:
        return None
    if array.dtype.kind in "iuf":
        return [_number(value) for value in array.tolist()] if is_asked else None
    if array.dtype.kind not in "bUSTO":
        return None
    found = [None if _is_missing(value) else _plain(value) for value in array.tolist()]
    there = {type(value) for value in found} - {type(None)}
    if there == {bool}:
        return found
    if str in there:
        # What is no list of a few words is refused as text is, with what to do about it.
        return found if len(set(map(str, found))) <= MOST else None
    return [None if value is None else _number(value) for value in found] if is_asked and there else None


def _array(values: Any) -> Any:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        return None


def _is_missing(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _plain(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _number(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None
    return int(value) if isinstance(value, int | float) and float(value).is_integer() else value
