"""Numbers of any kind as tensors: the way from arrays, frames and files into torch, and what is said of bad rows."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kan2.errors import DataError, DataWarning, UnknownNameError, unknown_name, warn
from kan2.tables.frames import numbers


def to_tensor(values: Any, where: str) -> Tensor:
    """Converts arrays, lists, frames and tensors of numbers to a floating-point tensor.

    Raises:
        DataError: these are no numbers, see `kan2.tables.frames`.
    """
    if not isinstance(values, Tensor):
        return torch.from_numpy(numbers(values, where))
    if values.is_complex() or values.layout != torch.strided:
        kind = "complex numbers" if values.is_complex() else f"a tensor of layout {values.layout}"
        raise DataError(
            f"{where}: expected numbers, got {kind}. Pass the real and the imaginary part as two columns, or "
            "tensor.to_dense()."
        )
    return values if values.is_floating_point() else values.double()


def open_table(data: Any) -> Any:
    """Returns the table that stands in a file, where data are its path, or in a stream; anything else as it is."""
    if hasattr(data, "read_all") and hasattr(data, "schema"):  # of pyarrow, which can be read once
        return data.read_all()
    if isinstance(data, str | os.PathLike):
        from kan2.tables.read import read

        return read(data)
    return data


def missing_column(where: str, name: str, wanted: Sequence[str], there: Sequence[str]) -> UnknownNameError:
    """Builds the error for a column that a network reads and a table has not."""
    hint = unknown_name(where, "column", name, there).args[0].partition("Did you mean ")[2].partition("?")[0]
    return UnknownNameError(
        f"{where}: expected the columns {', '.join(wanted)}, got {', '.join(there)}, without {name!r}. "
        + (f"Did you mean {hint}? " if hint else "")
        + "Rename the columns, or pass an array to go by position."
    )


def is_default(names: Sequence[str], stem: str) -> bool:
    """Whether these are the names that columns without names get: y, or x1, x2, ..."""
    return all(name in (stem, f"{stem}{i + 1}") for i, name in enumerate(names))


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


def check_fits(name: str, given: Tensor, kept: Tensor) -> None:
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
