"""Reading a table from what is typed: a file, standard input, or a table that comes with the library."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kan2.cli._errors import Refusal
from kan2.errors import DataError

if TYPE_CHECKING:
    from kan2.tables.table import Table

PREFIX = "datasets:"


@dataclass(frozen=True)
class Source:
    """A table, and what is known of it.

    Attributes:
        table: the columns.
        outputs: those that the table is there to explain; empty where nobody said so.
        description: a line about it; empty where there is none.
    """

    table: "Table"
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
    from kan2.tables.read import read

    try:
        table = read(source)
    except DataError as error:
        if source != "-" and not Path(source).is_file():
            raise Refusal(str(error).partition(": ")[2]) from error
        raise
    return Source(table, description=" ".join(table.comments[:1]))


def _of_library(name: str) -> Source:
    from kan2.datasets import describe, load, table

    return Source(table(name), load(name).outputs, describe(name).title)
