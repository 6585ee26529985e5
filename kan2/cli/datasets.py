"""`kan2 datasets`: the tables that come with the library."""

from pathlib import Path
from typing import Annotated

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE


def datasets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them.")] = None,
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write it as CSV.")] = None,
    force: options.Force = False,
    json: options.Json = False,
) -> int:
    """Lists the tables that come with kan2.

    With a name it describes that one. Any command reads one as datasets:NAME.
    """
    return DONE
