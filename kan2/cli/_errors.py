"""How a command ends: its status, and one line on stderr that says what is wrong and what to do.

Statuses: 0 done, or a law was found; 1 an error; 2 what was typed is wrong, so another command line mends it; 3 no law
was found, and the best approximation is printed; 130 Ctrl-C before there was anything to print.
"""

import errno
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from kan2.cli._words import counted, of_a_column, of_the_shell
from kan2.cli._words import one_line as _one_line
from kan2.errors import FileError, Kan2Error, NumberError, OptionError, UnknownNameError

DONE, ERROR, USAGE, NO_LAW, INTERRUPTED = 0, 1, 2, 3, 130
_OURS = ("kan2", "kanpiler", "treeconv")


class Refusal(Kan2Error):
    """What was typed is wrong; the message says what was expected, what came, and what to type."""


class Group(TyperGroup):
    """The command `kan2`: whatever a command raises becomes a status and one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command line and exits with its status; `--debug`, anywhere, shows tracebacks."""
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        options = words[: words.index("--")] if "--" in words else words
        is_debugged = "--debug" in options
        if is_debugged:
            words.remove("--debug")
        command = next((word for word in words if word in self.commands), None)
        status: Any = None
        try:
            with _warnings_in_one_line(command, "--quiet" in options or "-q" in options):
                status = super().main(words, "kan2", complete_var, standalone_mode=False, **extra)
                sys.stdout.flush()
        except (KeyboardInterrupt, typer.Abort):
            # After the result is out, its status stands.
            status = INTERRUPTED if status is None else status
        except BrokenPipeError:
            _close_stdout()
            status = DONE
        except Exception as error:
            if is_debugged:
                raise
            typer.echo(_line(command, error), err=True)
            status = status_of(error)
        status = status if isinstance(status, int) else DONE
        if status == INTERRUPTED:
            typer.echo(_one_line(f"{_name(command)}: interrupted before there was a result."), err=True)
        sys.exit(status)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command; a reader such as `head` that has seen enough ends it quietly."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            _close_stdout()
            return DONE


def status_of(error: Exception) -> int:
    """Returns the status that an error ends a command with."""
    if hasattr(error, "format_message"):  # of typer: an unknown option, a missing argument
        return USAGE
    wrong = Refusal, UnknownNameError, OptionError, FileNotFoundError, FileExistsError, IsADirectoryError
    return USAGE if isinstance(error, wrong) else ERROR


def _name(command: str | None) -> str:
    return "kan2" if command is None else f"kan2: {command}"


def _line(command: str | None, error: Exception) -> str:
    if hasattr(error, "format_message"):
        text = error.format_message()  # pyright: ignore[reportAttributeAccessIssue]
        text = re.sub(r"\b(?:int|integer)(?: range)?\b", "whole number", re.sub(r"\bfloat range\b", "number", text))
        text = text[:1].lower() + text[1:]
        text = text if text.endswith(("?", ".")) else f"{text}."
        called = "kan2" if command is None else f"kan2 {command}"
        return _one_line(f"{_name(command)}: {text} See {called} --help.")
    if isinstance(error, NumberError):
        return f"{_name(command)}: {of_the_shell(of_a_column(str(error), error.kind))}"
    if isinstance(error, Kan2Error):
        # Before OSError: the errors of files are both, and say more than the number that the system gives.
        remedy = f" {_remedy(error)}" if isinstance(error, FileError) and str(error).count(". ") == 0 else ""
        return f"{_name(command)}: {counted(of_the_shell(str(error)))}{remedy}"
    if isinstance(error, OSError) and error.filename is not None:
        reason = (error.strerror or type(error).__name__).lower()
        return _one_line(f"{_name(command)}: {reason}: {str(error.filename)!r}. {_remedy(error)}")
    if isinstance(error, FileNotFoundError) or type(error).__module__.startswith(_OURS):
        return f"{_name(command)}: {of_the_shell(str(error))}"
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _one_line(f"{_name(command)}: {what.rstrip('.')}. Add --debug to see where.")


def _remedy(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "Look at the path."
    if isinstance(error, IsADirectoryError | NotADirectoryError):
        return "Give the path of a file."
    return "Look at the permissions of the file and of its folder."


def _close_stdout() -> None:
    # The interpreter flushes stdout at its end, and would complain.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _warnings_in_one_line(command: str | None, is_quiet: bool) -> Iterator[None]:
    seen: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        line = f"{_name(command)}: warning: {of_the_shell(str(message))}"
        if category.__module__.startswith(_OURS) and not is_quiet and line not in seen:
            seen.add(line)
            typer.echo(line, err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield
