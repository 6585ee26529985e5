"""Options that say how a text file is written; every command that reads a table has them.

They are added to the commands in one place and kept for the time of one command, so that no command passes them on.
"""

import codecs
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kan2.cli._errors import Refusal

_DELIMITERS = ("tab", "space", "comma", "semicolon", r"\t")


@dataclass(frozen=True)
class Reading:
    """What the options say about text files; None is what `kan2.tables.read` finds by itself.

    Attributes:
        decimal: "." or ",".
        delimiter: between values.
        encoding: as Python names it.
        header: whether the first row are names.
        names: of all columns.
        comment: what a line of comment begins with; "" where there are none.
    """

    decimal: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    names: str | None = None
    comment: str | None = "#"

    def check(self) -> None:
        """Raises Refusal where a value cannot be one."""
        if self.decimal not in (None, ".", ","):
            raise Refusal(f"expected --decimal as . or as a comma, got {self.decimal!r}.")
        if self.delimiter is not None and len(self.delimiter) != 1 and self.delimiter not in _DELIMITERS:
            raise Refusal(
                f"expected --delimiter as one character, or as tab, space, comma or semicolon, got {self.delimiter!r}."
            )
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except (LookupError, ValueError):
                raise Refusal(
                    f"expected --encoding as utf-8, utf-16, cp1252 or another that Python knows, got {self.encoding!r}."
                ) from None


_current: ContextVar[Reading | None] = ContextVar("reading", default=None)


def current() -> Reading:
    """Returns what the options of the command that runs say."""
    return _current.get() or Reading()


class ReadingCommand(TyperCommand):
    """A command with the options of reading, which its function does not see."""

    def __init__(self, *words: Any, params: list[Any] | None = None, **options: Any) -> None:
        super().__init__(*words, params=[*(params or ()), *typer.main.get_command(_template).params], **options)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        reading = Reading(**{field.name: ctx.params.pop(field.name) for field in fields(Reading)})
        reading.check()
        token = _current.set(reading)
        try:
            return super().invoke(ctx)
        finally:
            _current.reset(token)


_template = typer.Typer(add_completion=False, rich_markup_mode=None)


@_template.command()
def _options(
    decimal: Annotated[str | None, typer.Option(metavar="SIGN", help="Reading text: the decimal sign, . or ,")] = None,
    delimiter: Annotated[
        str | None, typer.Option(metavar="SIGN", help="Reading text: what stands between values, as ; or tab.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(metavar="NAME", help="Reading text: utf-8, cp1252, ...")] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Reading text: whether the first row are names.")
    ] = None,
    names: Annotated[str | None, typer.Option(metavar="NAMES", help="Names for all columns, as a,b,c.")] = None,
    comment: Annotated[str, typer.Option(metavar="SIGN", help="Reading text: what begins a line of comment.")] = "#",
) -> None:
    """Only the options of this are used."""
