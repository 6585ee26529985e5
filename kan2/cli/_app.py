"""The command line as a whole: its commands, and what it says of itself."""

import sys
from typing import Annotated

import typer
from typer.core import TyperCommand

from kan2.cli._errors import Group
from kan2.cli._reading import ReadingCommand
from kan2.cli.compile import compile_formula
from kan2.cli.datasets import datasets
from kan2.cli.discover import discover
from kan2.cli.explain import explain
from kan2.cli.fit import fit
from kan2.cli.formula import formula
from kan2.cli.info import info
from kan2.cli.plot import plot
from kan2.cli.predict import predict
from kan2.cli.tree import tree

EPILOG = (
    "Exit status: 0 done, or a law was found; 1 an error; 2 the command line is wrong; 3 no law was found, and the "
    "best approximation is printed; 130 interrupted before there was a result."
)

app = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, epilog=EPILOG)


def _version(asked: bool) -> bool:
    if asked:
        typer.echo(f"kan2 {sys.modules['kan2'].__version__}")
        raise typer.Exit
    return asked


@app.callback()
def kan2(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Kolmogorov-Arnold networks for science: from a table to a formula and back."""


READ_NO_TABLE = (compile_formula, datasets)

for command in (discover, fit, predict, formula, tree, plot, compile_formula, explain, info, datasets):
    kind = TyperCommand if command in READ_NO_TABLE else ReadingCommand
    app.command(command.__name__.removesuffix("_formula"), cls=kind, epilog=EPILOG)(command)
