"""What commands write: files that are looked at before the work, and all at once; JSON that every program reads."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import typer

from kan2.cli._complete import DATA, MODELS
from kan2.cli._errors import Refusal
from kan2.errors import FileError

PICTURES = (".svg", ".png", ".pdf")
TABLES = (".csv", ".tsv", ".txt")
_NO_NETWORKS = frozenset({*DATA, *PICTURES, ".pq", ".jpg", ".jpeg", ".html", ".md", ".tex", ".py", ".xlsx"}) - {*MODELS}


def check_output(
    path: Path | None, force: bool, suffixes: tuple[str, ...] = (), inputs: Iterable[Path | str | None] = ()
) -> None:
    """Refuses a file that cannot or should not be written, before anything is computed for it.

    Args:
        path: the file, or None.
        force: whether an existing one may be replaced.
        suffixes: endings that it may have; empty for a network, which may have none and not that of another kind.
        inputs: files that are read, which are never replaced.

    Raises:
        Refusal: it exists, is read too, has another ending, is a folder, or its folder does not exist.
        PermissionError: it may not be written there.
        FileError: it cannot be written there.
    """
    if path is None:
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise Refusal(f"expected a file that ends in {', '.join(suffixes)}, got {str(path)!r}. Rename it.")
    if not suffixes and path.suffix.lower() in _NO_NETWORKS:
        raise Refusal(f"expected a network after -o, such as law.kan, got {str(path)!r}. End it in .kan.")
    if path.is_dir():
        raise Refusal(f"expected a file after -o, got the folder {str(path)!r}. Add the name of a file.")
    if any(_is_same(path, other) for other in inputs):
        raise Refusal(f"expected another file after -o than those that are read, got {str(path)!r}. Rename it.")
    if path.exists() and not force:
        raise Refusal(f"the file {str(path)!r} exists. Add --force to replace it, or give another name after -o.")
    if path.exists() and not path.is_file():
        raise Refusal(f"expected a plain file after -o, got {str(path)!r}, which is a device or a pipe.")
    folder = path.parent
    if not folder.is_dir():
        raise Refusal(f"no folder {str(folder)!r} for the file after -o. Make it first, or give another path.")
    # Links are followed: the file is made where they lead.
    place = Path(os.path.realpath(path))
    folder = place.parent
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise PermissionError(13, "permission denied", str(path))
    probe = folder / f".{os.getpid()}.try" if place.exists() else place
    # What may be written is not what can be: full disks, folders of the system, names that are too long.
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        probe.unlink()
    except OSError as error:
        raise _not_written(path, error) from error


def _is_same(path: Path, other: Path | str | None) -> bool:
    try:
        return other is not None and os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _not_written(path: Path, error: OSError) -> FileError:
    reason = os.strerror(error.errno).lower() if error.errno else "the system refuses"
    return FileError(f"{str(path)!r} cannot be written: {reason}. Give another path after -o.")


def write_at_once(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file by a function of a path; a crash leaves the old file or the new one, never half of it.

    Raises:
        FileError: it cannot be written.
    """
    # What is printed before stays, whatever happens here. The ending stays, by which matplotlib tells the format.
    sys.stdout.flush()
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.stem[:32]}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(temporary)
        temporary.replace(place)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        with suppress(OSError):
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
