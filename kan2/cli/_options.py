"""Options that several commands share, each under one name with one meaning."""

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from kan2.cli._complete import columns, data_files, model_files
from kan2.cli._errors import Refusal


def finite(value: float | None) -> float | None:
    """Refuses infinity and nan, which options that take numbers would take too."""
    if value is None or math.isfinite(value):
        return value
    raise Refusal(f"expected a finite number, got {value}.")


def _limit(value: float | None) -> float | None:
    if value is None or math.isfinite(value):
        return value
    raise Refusal(f"expected a number of --seconds, got {value}. Leave the option out for no limit.")


DATA = "a file, - for standard input, or datasets:NAME (see kan2 datasets)"

Data = Annotated[str, typer.Argument(metavar="DATA", help=f"The table: {DATA}.", autocompletion=data_files)]
OptionalData = Annotated[
    str | None, typer.Argument(metavar="[DATA]", help=f"A table: {DATA}.", autocompletion=data_files)
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The file of a network, as -o writes it.", autocompletion=model_files)
]
Target = Annotated[
    list[str] | None,
    typer.Option("--target", "-t", metavar="NAME", help="The column to explain; several: a,b.", autocompletion=columns),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--inputs", "-i", metavar="NAMES", autocompletion=columns,
        help="The columns it depends on, as a,b or -i a -i b. By default all others that hold numbers.",
    ),
]  # fmt: skip
Where = Annotated[
    str | None,
    typer.Option(metavar="CONDITION", help='Only the rows for which it holds: "T > 300 and a < 5".'),
]
DropMissing = Annotated[
    bool, typer.Option("--drop-missing", help="Leave out the rows in which a chosen column has no value.")
]
Augment = Annotated[
    list[str] | None,
    typer.Option(metavar="'NAME = FORMULA'", help='A new input made of others: "beta = v/c". May be repeated.'),
]
Width = Annotated[
    str | None,
    typer.Option(
        metavar="LAYERS",
        help="The hidden layers: 5 is one of five sums, 2+1 one of two sums and a product, 5,2+1 both. none has none.",
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="S", help="Limit of time; the best so far is kept.", callback=_limit),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the random starts.")]
Library = Annotated[
    list[str] | None,
    typer.Option(metavar="NAMES", help="The functions to try, as sin,exp,x^2. By default the usual ones."),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the file that -o names, if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no warnings on stderr.")]


def pieces(text: str) -> list[str]:
    """Returns the parts of a text between commas, but not of those in backquotes; the backquotes stay.

    Example:
        >>> pieces("a,`b,c`, d")
        ['a', '`b,c`', 'd']
    """
    found = re.findall(r"(?:`(?:[^`]|``)*`|[^,])+", text)
    return [part.strip() for part in found if part.strip()]


def bare(name: str) -> str:
    """Returns a name without the backquotes that formulas have around it."""
    is_quoted = len(name) > 2 and name[0] == name[-1] == "`"
    return name[1:-1].replace("``", "`") if is_quoted else name


def names(given: list[str] | None) -> list[str] | None:
    """Returns the names of an option that may be repeated and may hold several, separated by commas."""
    if not given:
        return None
    return [bare(part) for text in given for part in pieces(text)] or None
