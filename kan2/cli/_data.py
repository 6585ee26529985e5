"""From options to samples: which rows, which columns, what is to be explained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kan2.cli._errors import Refusal
from kan2.cli._options import names
from kan2.errors import DataError, Kan2Error, unknown_name

if TYPE_CHECKING:
    from kan2.cli._table import Source
    from kan2.core.data import Dataset
    from kan2.tables.table import Table


@dataclass(frozen=True)
class Selection:
    """What the options say about the data.

    Attributes:
        source: file, "-" or "datasets:NAME".
        target: columns to explain; None for those that the data name themselves.
        inputs: columns that they depend on; None for all others of numbers.
        where: a condition that rows must satisfy.
        drop_missing: leave out rows without a value in a chosen column.
        augment: definitions of new inputs, as "beta = v/c".
    """

    source: str
    target: list[str] | None = None
    inputs: list[str] | None = None
    where: str | None = None
    drop_missing: bool = False
    augment: list[str] | None = None


@dataclass(frozen=True)
class Chosen:
    """The samples, and what was left out to get them.

    Attributes:
        samples: inputs and targets.
        units: of columns, where they are known.
        left_out: columns that hold no numbers.
        n_dropped: rows without a value.
    """

    samples: "Dataset"
    units: dict[str, str]
    left_out: tuple[str, ...]
    n_dropped: int

    @property
    def notes(self) -> list[str]:
        """What a reader should know, a line each."""
        columns = f"left out, because they hold no numbers: {', '.join(self.left_out)}"
        rows = f"left out {self.n_dropped} rows without a value"
        return [columns] * bool(self.left_out) + [rows] * bool(self.n_dropped)


def choose(selection: Selection) -> Chosen:
    """Reads the table and takes the samples out of it.

    Raises:
        Refusal: no target is named, or a definition is none.
        UnknownNameError: there is no such column.
        DataError: the table cannot be read, holds no numbers, or lacks values.
    """
    import numpy as np

    from kan2.cli._table import read_source
    from kan2.core.data import as_dataset
    from kan2.core.samples import augment

    definitions = _definitions(selection.augment)
    source = read_source(selection.source)
    table = source.table if selection.where is None else rows(source.table, selection.where)
    target = _targets(source, selection)
    left_out: tuple[str, ...] = ()
    inputs = selection.inputs
    if inputs is None and selection.target is None:
        inputs = list(source.inputs) or None
    if inputs is None:
        others = [name for name in table.columns if name not in target]
        inputs = [name for name in others if is_number(table, name)]
        left_out = tuple(name for name in others if name not in inputs)
    if both := [name for name in inputs if name in target]:
        raise Refusal(f"expected inputs other than the target, got {both[0]!r} as both. Take it out of --inputs.")
    if not inputs:
        raise Refusal(f"expected a column of numbers beside {', '.join(target)}, got none. Name one with --inputs.")
    for name in [*inputs, *target]:
        if name not in table.columns:
            raise unknown_name("table", "column", name, table.columns)
    n = len(table)
    missing = {name: int(np.isnan(table[name]).sum()) for name in [*inputs, *target]}
    if any(missing.values()):
        if not selection.drop_missing:
            name = next(name for name, count in missing.items() if count)
            raise Refusal(
                f"expected a value in every row, got {missing[name]} of {n} rows without one in {name!r}. Add "
                "--drop-missing to leave such rows out."
            )
        table = table.drop_missing([*inputs, *target])
    for name in [*inputs, *target]:
        if not np.isfinite(table[name]).all():
            raise DataError(
                f"table: expected finite numbers, got infinity in {name!r}. Leave the row out with --where."
            )
    samples = as_dataset(table, inputs, target)
    if definitions:
        samples = augment(samples, definitions)
    return Chosen(samples, dict(table.units), left_out, n - len(table))


def is_number(table: "Table", name: str) -> bool:
    """Whether a column holds numbers."""
    try:
        table[name]
    except DataError:
        return False
    return True


def held_out(samples: "Dataset", share: float, seed: int) -> "Dataset":
    """Returns the samples with a share of the rows, drawn at random, as test samples."""
    import torch

    n = len(samples)
    n_held = round(share * n)
    if n_held == 0:
        return samples
    if n - n_held < 2:
        raise Refusal(f"expected rows to train on, got {n - n_held} of {n}. Choose a smaller --held-out.")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    held, kept = order[:n_held].sort().values, order[n_held:].sort().values
    return replace(samples, X=samples.X[kept], y=samples.y[kept], X_test=samples.X[held], y_test=samples.y[held])


def is_model(path: Path | str) -> bool:
    """Whether a file is a network, by its first bytes: a length, and JSON in braces."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError:
        return False
    return len(head) == 9 and head[8:] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 2**32


def _targets(source: "Source", selection: Selection) -> list[str]:
    columns = source.table.columns
    if selection.target is not None:
        for name in selection.target:
            if name not in columns:
                raise unknown_name("table", "column", name, columns)
        return selection.target
    if source.outputs:
        return list(source.outputs)
    raise Refusal(f"expected --target NAME with the column to explain, got none. Columns: {', '.join(columns)}.")


def rows(table: "Table", condition: str) -> "Table":
    """Returns the rows for which a condition holds.

    Raises:
        Refusal: it is no condition, or holds for no row.
    """
    try:
        kept = table.where(condition)
    except Kan2Error as error:
        raise Refusal(str(error).replace("where: ", "--where: ")) from error
    if not len(kept):
        raise Refusal(f"expected rows for which {condition!r} holds, got none of {len(table)}. Change --where.")
    return kept


def _definitions(texts: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or ():
        name, sign, formula = (part.strip() for part in text.partition("="))
        if not (sign and name and formula):
            raise Refusal(f"expected --augment 'NAME = FORMULA', got {text!r}.")
        found[name] = formula
    return found


def selection_of(
    source: str,
    target: list[str] | None,
    inputs: list[str] | None,
    where: str | None,
    drop_missing: bool,
    augment: list[str] | None = None,
) -> Selection:
    """Collects options as they come from the command line."""
    return Selection(source, names(target), names(inputs), where, drop_missing, augment)
