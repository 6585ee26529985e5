"""From options to samples: which rows, which columns, what is to be explained."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from kan2.cli._errors import Refusal
from kan2.cli._options import bare, pieces
from kan2.cli._words import closest, counted, without_carets
from kan2.errors import DataError, Kan2Error, UnknownNameError

if TYPE_CHECKING:
    from kan2.cli._table import Source
    from kan2.core.data import Dataset
    from kan2.tables.table import Table


@dataclass(frozen=True)
class Selection:
    """What the options say about the data.

    Attributes:
        source: file, "-" or "datasets:NAME".
        target: columns to explain, as they are typed; None for those that the data name themselves.
        inputs: columns that they depend on, as they are typed; None for all others of numbers.
        where: a condition that rows must satisfy.
        drop_missing: leave out rows without a value in a chosen column.
        augment: definitions of new inputs, as "beta = v/c".
        labels: whether a target of words or truth values is one of labels.
    """

    source: str
    target: list[str] | None = None
    inputs: list[str] | None = None
    where: str | None = None
    drop_missing: bool = False
    augment: list[str] | None = None
    labels: bool = False


@dataclass(frozen=True)
class Chosen:
    """The samples, and what was left out to get them.

    Attributes:
        samples: inputs and targets.
        units: of columns, where they are known.
        left_out: columns that hold no numbers.
        n_dropped: rows without a value.
        index: a column that only counts the rows.
    """

    samples: "Dataset"
    units: dict[str, str]
    left_out: tuple[str, ...]
    n_dropped: int
    index: str | None = None

    @property
    def notes(self) -> list[str]:
        """What a reader should know, a line each."""
        columns = f"left out, because they hold no numbers: {listed(self.left_out)}"
        rows = counted(f"left out {self.n_dropped} rows without a value")
        index = "left out the first column, which has no name and counts the rows; --inputs takes it"
        notes = [columns] * bool(self.left_out) + [rows] * bool(self.n_dropped) + [index] * bool(self.index)
        return [*notes, *self._twins(), *self.constants]

    @property
    def constants(self) -> list[str]:
        """Says of each target that does not change that there is nothing to explain."""
        y, n = self.samples.y, len(self.samples)
        return [
            f"{name} is {float(y[0, i]):.6g} in all {n} rows: there is nothing to explain"
            for i, name in enumerate(self.samples.outputs)
            if n > 1 and bool((y[:, i] == y[0, i]).all())
        ]

    def _twins(self) -> list[str]:
        x, names = self.samples.X, self.samples.inputs
        if len(x) < 2:
            return []
        seen: dict[bytes, str] = {}
        pairs = [(seen.setdefault(x[:, i].numpy().tobytes(), name), name) for i, name in enumerate(names)]
        twins = [(a, b) for a, b in pairs if a != b]
        return [
            f"{listed([a])} and {listed([b])} are equal in all rows: leave one of them out with --inputs"
            for a, b in twins
        ]


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

    definitions = _definitions(selection.augment)
    source = read_source(selection.source)
    table = source.table if selection.where is None else rows(source.table, selection.where)
    target = _targets(source, selection)
    left_out: tuple[str, ...] = ()
    index = None
    inputs = None if selection.inputs is None else columns_of(selection.inputs, table, "--inputs")
    if inputs is None and selection.target is None:
        inputs = list(source.inputs) or None
    if inputs is None:
        others = [name for name in table.columns if name not in target]
        inputs = [name for name in others if is_number(table, name)]
        left_out = tuple(name for name in others if name not in inputs)
        if len(inputs) > 1 and (index := _index(source.table)) in inputs:
            inputs.remove(index)
    if both := [name for name in inputs if name in target]:
        raise Refusal(f"expected inputs other than the target, got {both[0]!r} as both. Take it out of --inputs.")
    if not inputs:
        raise Refusal(f"expected a column of numbers beside {listed(target)}, got none. Name one with --inputs.")
    n = len(table)
    are_labels = selection.labels and any(_are_labels(table, name) for name in target)
    finite = inputs if are_labels else [*inputs, *target]
    missing = {name: int(np.isnan(table[name]).sum()) for name in finite}
    missing |= {name: table.missing(name) for name in target if are_labels}
    if any(missing.values()):
        if not selection.drop_missing:
            name = next(name for name, count in missing.items() if count)
            raise Refusal(
                f"expected a value in every row, got {missing[name]} of {n} rows without one in {name!r}. Add "
                "--drop-missing to leave such rows out."
            )
        table = table.drop_missing([*inputs, *target])
    for name in finite:
        if not np.isfinite(table[name]).all():
            raise DataError(
                f"table: expected finite numbers, got infinity in {name!r}. Leave the row out with --where."
            )
    samples = _labelled(table, inputs, target) if are_labels else as_dataset(table, inputs, target)
    if definitions:
        samples = _augmented(samples, definitions)
    return Chosen(samples, dict(table.units), left_out, n - len(table), index if index not in inputs else None)


def _are_labels(table: "Table", name: str) -> bool:
    from kan2.laws.labels.reading import are_labels

    return are_labels(table.arrow[name])


def _labelled(table: "Table", inputs: Sequence[str], target: Sequence[str]) -> "Dataset":
    from kan2.laws.labels.reading import with_labels

    samples = with_labels(table, inputs, target, False)
    assert samples is not None
    return samples


def _augmented(samples: "Dataset", definitions: dict[str, str]) -> "Dataset":
    from kan2.core.samples import augment
    from kan2.expressions.token import ExpressionError

    for name, formula in definitions.items():
        typed = f"--augment {f'{name} = {formula}'!r}"
        if name in (*samples.feature_names, *samples.outputs):
            raise Refusal(f"{typed}: expected a new name, got {name!r}, which the data have. Choose another name.")
        try:
            samples = augment(samples, {name: formula})
        except ExpressionError as error:
            used = [target for target in samples.outputs if re.search(rf"(?<!\w){re.escape(target)}(?!\w)", formula)]
            if used and "undeclared" in str(error):
                raise Refusal(
                    f"{typed}: the target {used[0]!r} may not be used, only inputs: {listed(samples.inputs)}."
                ) from error
            raise Refusal(f"{typed}: {_bare_message(error)}") from error
    return samples


def _bare_message(error: Exception) -> str:
    # Without the name of a function in front.
    return re.sub(r"^[a-z_]+: ", "", without_carets(str(error)))


def _index(table: "Table") -> str | None:
    # As pandas writes its index: a first column without a name that counts from 0.
    import numpy as np

    name = table.columns[0]
    if name not in ("column1", "__index_level_0__", "Unnamed: 0") or not is_number(table, name):
        return None
    return name if len(table) > 1 and np.array_equal(table[name], np.arange(len(table))) else None


def listed(names: Iterable[str]) -> str:
    """Returns names as they are written in formulas and options, odd ones in backquotes."""
    from kan2.expressions.symbols import quoted

    return ", ".join(map(quoted, names))


def unknown_column(name: str, table: "Table", where: str = "") -> UnknownNameError:
    """Builds the error for a column that a table does not have."""
    known = list(table.columns)
    near = get_close_matches(name.lower(), [other.lower() for other in known], n=2, cutoff=0.5)
    close = [other for other in known if other.lower() in near][:2]
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    shown = closest(name, known)
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    front = f"{where}: " if where else ""
    return UnknownNameError(f"{front}unknown column {name!r}.{hint} Known: {listed(shown)}{more}.")


def columns_of(texts: Sequence[str], table: "Table", option: str) -> list[str]:
    """Returns the columns that an option names: each text is a column, or several with commas between them.

    Names stand as in the table, or in backquotes, or as in the file, with the unit.

    Raises:
        UnknownNameError: there is no such column.
        Refusal: one is named twice.
    """
    found: list[str] = []
    for text in texts:
        whole = _column(text.strip(), table)
        parts = [whole] if whole is not None else pieces(text)
        for part in parts:
            name = _column(part, table)
            if name is None:
                raise unknown_column(bare(part), table)
            found.append(name)
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise Refusal(f"expected every column once after {option}, got {twice[0]!r} twice. Leave one out.")
    return found


def _column(text: str, table: "Table") -> str | None:
    for name in (text, bare(text)):
        if name in table.columns:
            return name
        try:
            return table.select([name]).columns[0]
        except UnknownNameError:
            continue
    return None


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


def _targets(source: "Source", selection: Selection) -> list[str]:
    if selection.target is not None:
        return columns_of(selection.target, source.table, "--target")
    if source.outputs:
        return list(source.outputs)
    raise Refusal(
        f"expected --target NAME with the column to explain, got none. Columns: {listed(source.table.columns)}."
    )


def rows(table: "Table", condition: str) -> "Table":
    """Returns the rows for which a condition holds.

    Raises:
        Refusal: it is no condition, or holds for no row.
    """
    try:
        kept = table.where(condition)
    except Kan2Error as error:
        raise Refusal(f"--where: {_bare_message(error)}") from error
    if not len(kept):
        raise Refusal(f"expected rows for which {condition!r} holds, got none of {len(table)}. Change --where.")
    return kept


def _definitions(texts: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or ():
        name, sign, formula = (part.strip() for part in text.partition("="))
        if not (sign and name and formula):
            raise Refusal(f"expected --augment 'NAME = FORMULA', got {text!r}.")
        if name in found:
            raise Refusal(f"expected --augment to define every name once, got {name!r} twice. Leave one out.")
        found[name] = formula
    return found


def selection_of(
    source: str,
    target: list[str] | None,
    inputs: list[str] | None,
    where: str | None,
    drop_missing: bool,
    augment: list[str] | None = None,
    labels: bool = False,
) -> Selection:
    """Collects options as they come from the command line."""
    return Selection(source, _given(target), _given(inputs), where, drop_missing, augment, labels)


def _given(texts: list[str] | None) -> list[str] | None:
    return [text for text in texts or () if text.strip(" ,")] or None
