"""Reading a table from what is typed: a file, standard input, or a table that comes with the library."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kan2.cli._errors import Refusal
from kan2.cli._options import names
from kan2.cli._reading import current
from kan2.errors import DataError

if TYPE_CHECKING:
    from kan2.tables.table import Table

PREFIX = "datasets:"


@dataclass(frozen=True)
class Source:
    """A table, and what is known of it.

    Attributes:
        table: the columns.
        inputs: those that explain; empty where nobody said so.
        outputs: those that are explained.
        description: a line about it; empty where there is none.
    """

    table: "Table"
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    description: str = ""


def read_source(source: str) -> Source:
    """Reads the table that is typed as `source`.

    Raises:
        Refusal: there is no such file.
        UnknownNameError: there is no such data set.
        DataError: the file is no table.
    """
    if source.startswith(PREFIX):
        return _of_library(source.removeprefix(PREFIX))
    if is_model(source):
        raise Refusal(f"expected a table, got {source!r}, which is a network. Networks are read where MODEL stands.")
    from kan2.tables.read import read

    reading = dict(vars(current()))
    reading |= {"names": names([reading["names"]]) if reading["names"] else None}
    try:
        table = read(source, **reading)
    except DataError as error:
        if source != "-" and not Path(source).is_file():
            raise Refusal(str(error).partition(": ")[2]) from error
        if reading["names"] and re.search(r"expected \d+ names ", str(error)):
            raise Refusal(f"--names: {str(error).partition(': ')[2]}") from error
        raise
    return Source(table, description=" ".join(table.comments[:1]))


def is_model(path: Path | str) -> bool:
    """Whether a file is a network, by its first bytes: a length, and JSON in braces."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except (OSError, ValueError):
        return False
    return len(head) == 9 and head[8:] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 2**32


def with_unit(name: str, unit: str | None) -> str:
    """Returns the header of a column, from which every reader of ours takes name and unit again.

    Example:
        >>> with_unit("v", "m/s"), with_unit("v", None), with_unit("v [m/s]", "m/s")
        ('v [m/s]', 'v', 'v [m/s]')
    """
    from kan2.tables.read import split_names

    if unit is None or name.endswith(f"[{unit}]"):
        return name
    header = f"{name} [{unit}]"
    return header if split_names([header]) == ([name], {name: unit}) else name


def _of_library(name: str) -> Source:
    from kan2.datasets import describe, load, table
    from kan2.tables.read import read

    data, about = load(name), describe(name)
    if about.rows is not None and {*data.inputs, *data.outputs} <= set(about.columns):
        whole = table(name)
    else:
        # A formula has no table, and what is computed from its columns, as rates are, stands in none.
        columns = dict(zip([*data.inputs, *data.outputs], [*data.X.T.numpy(), *data.y.T.numpy()]))
        whole = replace(read(columns), units=dict(data.units))
    return Source(whole, data.inputs, data.outputs, about.title)
