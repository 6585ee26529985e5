"""What commands write: files that are looked at before the work, and all at once; JSON that every program reads."""

import json
import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import typer

from kan2.cli._errors import Refusal

PICTURES = (".svg", ".png", ".pdf")


def check_output(path: Path | None, force: bool, suffixes: tuple[str, ...] = ()) -> None:
    """Refuses a file that cannot or should not be written, before anything is computed for it.

    Args:
        path: the file, or None.
        force: whether an existing one may be replaced.
        suffixes: endings that it may have; empty for any.

    Raises:
        Refusal: it exists, has another ending, is a folder, or its folder does not exist.
        PermissionError: it cannot be written there.
    """
    if path is None:
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise Refusal(f"expected a file that ends in {', '.join(suffixes)}, got {str(path)!r}. Rename it.")
    if path.is_dir():
        raise Refusal(f"expected a file after -o, got the folder {str(path)!r}. Add the name of a file.")
    if path.exists() and not force:
        raise Refusal(f"the file {str(path)!r} exists. Add --force to replace it, or give another name after -o.")
    folder = path.parent
    if not folder.is_dir():
        raise Refusal(f"no folder {str(folder)!r} for the file after -o. Make it first, or give another path.")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise PermissionError(13, "permission denied", str(path))


def write_at_once(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file by a function of a path; a crash leaves the old file or the new one, never half of it."""
    # The ending stays, by which matplotlib tells the format.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def echo_json(document: dict[str, Any]) -> None:
    """Prints a document as JSON; numbers that are not finite become null."""
    typer.echo(json.dumps(_strict(document), indent=2, allow_nan=False, ensure_ascii=False))


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)
    return number if isfinite(number) else None


def note(text: str, quiet: bool = False) -> None:
    """Says something beside the result, on stderr."""
    if not quiet:
        typer.echo(text, err=True)


def percent(share: float) -> str:
    """Writes a share with two digits, as 0.081 %.

    Example:
        >>> percent(0.000806), percent(0.61), percent(1.0), percent(0.0)
        ('0.081 %', '61 %', '100 %', '0 %')
    """
    return f"{100 * share:.0f} %" if 0.995 <= share < 1e4 else f"{100 * share:.2g} %"
