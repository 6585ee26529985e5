"""Where files lie: opened only if they are plain files, replaced all at once, without leftovers of killed writers.

A new file is written beside the old one under a name of its own and then takes its place. The writer holds a lock on
it, which ends with the process, however that ends; so the next writer can tell what is left over from what is in use.

Reference: https://man7.org/linux/man-pages/man2/rename.2.html and flock.2.html
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from kan2.errors import FileError, MissingFileError

try:
    import fcntl
except ImportError:  # Windows, which does not let go of files that are open
    fcntl = None

MAX_LISTED = 10_000
"""Files of a folder among which similar names are looked for."""

_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


def _failed(where: str, path: object, error: Exception, rest: str = "") -> FileError:
    reason = getattr(error, "strerror", None) or str(error)
    kind = MissingFileError if isinstance(error, FileNotFoundError) else FileError
    failure = kind(f"{where}: expected a file that can be {'read' if where == 'load' else 'written'}, "
                   f"got {str(path)!r}: {reason}.{rest}")  # fmt: skip
    failure.errno, failure.filename = getattr(error, "errno", None), str(path)
    return failure


def _check_kind(where: str, path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no plain file")
        raise FileError(f"{where}: expected a plain file, got {kind}: {str(path)!r}.")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a plain file for reading, and gives it with its size.

    Raises:
        MissingFileError: no such file.
        FileError: it is a folder, a device or a pipe, or may not be read.
    """
    try:
        _check_kind("load", path, os.stat(path).st_mode)
        # Not waiting for the other end, should it have become a pipe just now.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except FileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise _failed("load", path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _check_kind("load", path, found.st_mode)
        yield file, found.st_size


def _missing(path: Path) -> MissingFileError:
    if path.is_symlink():
        hint = f" It is a link to {os.readlink(path)!r}."
    elif not path.parent.is_dir():
        hint = f" There is no folder {str(path.parent)!r}."
    else:
        close = get_close_matches(path.name, [*_listed(path.parent)], n=2, cutoff=0.6)
        hint = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    error = MissingFileError(f"load: expected a file that save wrote, got no file {str(path)!r}.{hint}")
    error.filename = str(path)
    return error


def _listed(folder: Path) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for i, entry in enumerate(entries):
            if i == MAX_LISTED:
                return
            if not entry.name.startswith(".") and not entry.is_dir():
                yield entry.name


def write(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Puts a file in place, all at once: after a failure the old one is as it was, and nothing lies beside it.

    Links are followed; a file that was there keeps its mode, a new one has what the umask leaves.

    Raises:
        FileError: the path is no plain file or may not be written, or the disk is full.
    """
    untouched = ""
    try:
        target, old = _target(path)
        untouched = " The old file is as it was." if old is not None else ""
        _remove_leftovers(target)
        descriptor, temporary = _create(target, 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                if old is not None:
                    _take_over(temporary, old)
                os.fsync(descriptor)
                # While the lock is held: nobody takes it for left over.
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except FileError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise _failed("save", path, error, untouched) from error


def _target(path: Path) -> tuple[Path, os.stat_result | None]:
    try:
        old = os.stat(path)
    except FileNotFoundError:
        old = None
    target = Path(os.path.realpath(path))
    if old is None:
        if not target.name:
            raise FileError(f"save: expected the name of a file, got {str(path)!r}.")
        os.stat(target.parent)
        return target, None
    _check_kind("save", path, old.st_mode)
    if not os.access(target, os.W_OK):
        raise PermissionError(13, "it is protected against writing")
    return target, old


def _stem(target: Path) -> str:
    # Of bounded length, whatever the name, and of this target alone.
    return f".{target.name[:32]}.{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}."


def _create(target: Path, mode: int) -> tuple[int, Path]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = target.with_name(f"{_stem(target)}{secrets.token_hex(6)}.tmp")
        descriptor = os.open(temporary, flags, mode)
        _lock(descriptor, waits=True)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # another writer took it for left over before it was locked


def _lock(descriptor: int, waits: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except OSError:  # in use, or a file system without locks
        return False
    return True


def _remove_leftovers(target: Path) -> None:
    stem = _stem(target)
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if not (entry.name.startswith(stem) and entry.name.endswith(".tmp")):
                continue
            with contextlib.suppress(OSError):
                descriptor = os.open(entry.path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
                try:
                    if _lock(descriptor, waits=False):
                        os.unlink(entry.path)
                finally:
                    os.close(descriptor)


def _take_over(temporary: Path, old: os.stat_result) -> None:
    with contextlib.suppress(OSError, AttributeError):  # only those who may give files away
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(temporary, old.st_uid, old.st_gid)
    os.chmod(temporary, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system knows it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
