"""Where the bytes of a table come from: paths, standard input, file objects; unpacked on the way, within a limit.

A compressed file says nothing true about its size, so what comes out is counted as it comes. Nothing is unpacked that
grows a hundredfold beyond the first 64 MiB, unless the caller names a limit of their own: text of numbers shrinks by a
factor of 2 to 10, and by 50 where columns repeat.
"""

import codecs
import io
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO

from kan2.errors import DataError

MAX_BYTES = 8 * 2**30
MAX_LINE = 16 * 2**20
_FREE = 64 * 2**20  # what may come out of any file before its ratio is looked at
_RATIO = 100
_IN_MEMORY = 64 * 2**20
_CHUNK = 2**20

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz"}
_SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zstd": "zstd", ".xz": "xz"}
_REFUSED = {
    b"PK\x03\x04": ("a zip archive", "Unpack it first, and read the file inside."),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "Save the sheet as CSV."),
    b"\x89HDF": ("an HDF5 file", "Open it with h5py or xarray, and pass the frame."),
    b"CDF": ("a netCDF file", "Open it with xarray, and pass the Dataset."),
    b"\x93NUMPY": ("a NumPy file", "Pass numpy.load(path)."),
    b"SQLite": ("an SQLite database", "Query it with pandas.read_sql, and pass the frame."),
    b"%PDF": ("a PDF", "Save the table as CSV."),
    b"Rar!": ("a rar archive", "Unpack it first."),
    b"7z\xbc\xaf": ("a 7z archive", "Unpack it first."),
}


@dataclass(frozen=True)
class Source:
    """Bytes that can be read from their beginning more than once.

    Attributes:
        name: for messages.
        suffix: of the name, in lower case and without that of a compression, such as ".csv"; empty where unknown.
        open: returns the unpacked bytes from the beginning.
        path: of a file that is not compressed, which pyarrow may open itself.
        head: the first bytes, unpacked.
    """

    name: str
    suffix: str
    open: Callable[[], BinaryIO]
    path: Path | None
    head: bytes


class Limited(io.RawIOBase):
    """Unpacked bytes, counted; raises DataError beyond the limit, or where they grow absurdly."""

    def __init__(self, stream: Any, name: str, limit: int, packed: BinaryIO, ratio: bool) -> None:
        self._stream, self._name, self._limit, self._packed, self._ratio = stream, name, limit, packed, ratio
        self._count = 0

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._packed.close()  # which the stream leaves open
        super().close()

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._stream.read(len(buffer))
        except Exception as error:  # each packer has its own
            raise DataError(
                f"read: expected a whole file, got {self._name}, which is cut short or damaged ({error}). "
                "Fetch or pack it again."
            ) from None
        self._count += len(block)
        if self._count > self._limit:
            raise DataError(
                f"read: expected at most {self._limit:,} bytes, got more in {self._name}. Pass max_bytes= to read more."
            )
        if self._ratio and self._count > max(_FREE, _RATIO * self._packed.tell()):
            raise DataError(
                f"read: expected a table, got {self._name}, which grows to more than {_RATIO} times its size when it "
                f"is unpacked ({self._count:,} bytes and more). If it is meant to, pass max_bytes= with a limit."
            )
        buffer[: len(block)] = block
        return len(block)


def open_source(source: Any, max_bytes: int | None) -> Source:
    """Returns the bytes of a path, of "-" for standard input, of bytes or of a file object.

    Raises:
        DataError: there is no such file, it cannot be read, or is of a kind that is no table.
    """
    limit = MAX_BYTES if max_bytes is None else max_bytes
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        return _packed("bytes", "", lambda: io.BytesIO(data), None, limit, max_bytes is None)
    if isinstance(source, str | os.PathLike) and source != "-":
        path = _checked_path(source)
        if not path.is_file():  # a pipe or a device
            with _opened(path) as stream:
                return _spooled(stream, path.name, limit)
        suffix = path.suffix.lower()
        inner = Path(path.stem).suffix.lower() if suffix in _SUFFIXES else suffix
        return _packed(path.name, inner, lambda: _opened(path), path, limit, max_bytes is None)
    stream = sys.stdin.buffer if isinstance(source, str) else source
    name = "standard input" if isinstance(source, str) else str(getattr(source, "name", "the file object"))
    return _spooled(stream, Path(name).name, limit, ratio=max_bytes is None)


def _checked_path(source: Any) -> Path:
    text = os.fspath(source)
    text = os.fsdecode(text)
    if "\n" in text or len(text) > 4096:
        what = "several lines" if "\n" in text else f"{len(text):,} characters"
        raise DataError(f"read: expected a path, got text of {what}. Pass io.StringIO(text) to read the text.")
    if text.split("://")[0] in ("http", "https", "ftp", "s3", "gs"):
        raise DataError(f"read: expected a path, got the address {text!r}. Fetch the file first.")
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            raise DataError(f"read: expected a file, got the folder {text!r}.{_inside(path)}")
        if path.exists():
            return path
        folder = path.parent
        if not folder.is_dir():
            raise DataError(f"read: no such file: {text!r}; there is no folder {str(folder)!r}.")
        close = get_close_matches(path.name, sorted(os.listdir(folder))[:10_000], n=2, cutoff=0.6)
    except DataError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"read: expected a file that can be read, got {text!r}: {reason}.") from None
    hint = f" Did you mean {' or '.join(repr(str(folder / c)) for c in close)}?" if close else ""
    raise DataError(f"read: no such file: {text!r}.{hint}")


def _inside(folder: Path) -> str:
    try:
        files = sorted(p.name for p in folder.iterdir() if p.is_file())[:1000]
    except OSError:
        return ""
    tables = [name for name in files if Path(name).suffix.lower() in (".csv", ".tsv", ".txt", ".dat", ".parquet")]
    return f" Name a file in it, such as {tables[0]!r}." if tables else " Name a file in it."


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"read: expected a file that can be read, got {str(path)!r}: {error.strerror}.") from None


def _spooled(stream: Any, name: str, limit: int, ratio: bool = True) -> Source:
    # What comes only once is kept, since a table may have to be looked at twice: in memory, beyond 64 MiB on disk.
    kept = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # open as long as the source
    count = in_line = 0
    try:
        while block := stream.read(_CHUNK):
            block = block.encode() if isinstance(block, str) else block
            count += len(block)
            # A line that never ends is noticed before it fills the disk; compressed bytes have no lines.
            end = block.rfind(b"\n")
            in_line = in_line + len(block) if end < 0 else len(block) - end
            if count > limit:
                raise DataError(
                    f"read: expected at most {limit:,} bytes, got more in {name}. Pass max_bytes= to read more."
                )
            if in_line > 16 * MAX_LINE:
                raise long_line(name)
            kept.write(block)
    except (OSError, UnicodeError, AttributeError, TypeError) as error:
        raise DataError(
            f"read: expected a file object that can be read, got {type(stream).__name__}: {error}."
        ) from None

    def again() -> BinaryIO:
        kept.seek(0)
        return io.BufferedReader(_Shared(kept))

    return _packed(name, Path(name).suffix.lower(), again, None, limit, ratio)


class _Shared(io.RawIOBase):
    # Reads what is kept, and leaves it open when a reader is done.
    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._kept.seek(offset, whence)
        return self._kept.tell()

    def tell(self) -> int:
        return self._kept.tell()

    def readinto(self, buffer: Any) -> int:
        block = self._kept.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


def _packed(name: str, suffix: str, raw: Callable[[], BinaryIO], path: Path | None, limit: int, ratio: bool) -> Source:
    with raw() as stream:
        start = stream.read(16)
    kind = next((kind for magic, kind in _COMPRESSED.items() if start.startswith(magic)), None)
    for magic, (what, remedy) in _REFUSED.items():
        if start.startswith(magic):
            if suffix in (".xlsx", ".xlsm", ".ods", ".xls"):
                what, remedy = "a workbook", "Save the sheet as CSV, or pass pandas.read_excel(path)."
            raise DataError(f"read: expected a table, got {name}, {what}. {remedy}")
    if kind is None:
        return Source(name, suffix, raw, path, start)
    if suffix in _SUFFIXES:
        suffix = Path(Path(name).stem).suffix.lower()

    def unpacked() -> BinaryIO:
        packed = raw()
        return io.BufferedReader(Limited(_unpack(packed, kind), name, limit, packed, ratio), _CHUNK)

    with unpacked() as stream:
        head = stream.read(16)
    return Source(name, suffix, unpacked, None, head)


def _unpack(packed: BinaryIO, kind: str) -> Any:
    import bz2
    import gzip
    import lzma

    if kind == "zstd":
        import pyarrow

        return pyarrow.CompressedInputStream(pyarrow.PythonFile(packed, mode="r"), "zstd")
    if kind == "gzip":
        return gzip.GzipFile(fileobj=packed)
    return bz2.BZ2File(packed) if kind == "bz2" else lzma.LZMAFile(packed)


def long_line(name: str) -> DataError:
    """Returns the error for a line without an end."""
    return DataError(
        f"read: expected lines of at most {MAX_LINE // 2**20} MB, got a longer one in {name}. Is it a table of text, "
        "with one row a line?"
    )


class Lines(io.RawIOBase):
    """Text made into UTF-8 and changed on the way, whole lines at a time.

    Args:
        stream: the bytes.
        encoding: of the bytes.
        skip: number of characters of the text to leave out at the beginning.
        change: from whole lines, as UTF-8, to what is read instead.
        name: for messages.
    """

    def __init__(
        self, stream: BinaryIO, encoding: str, skip: int, change: Callable[[bytes], bytes] | None, name: str
    ) -> None:
        self._stream, self._skip, self._change, self._name = stream, skip, change, name
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready, self._rest, self._done = b"", b"", False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._done:
            self._fill()
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def _fill(self) -> None:
        block = self._stream.read(_CHUNK)
        self._done = not block
        try:
            text = self._decoder.decode(block, final=self._done)
        except UnicodeDecodeError as error:
            raise wrong_encoding(self._name, self._encoding, error.object[error.start]) from None
        left, self._skip = text[self._skip :], max(0, self._skip - len(text))
        whole = self._rest + left.encode()
        end = len(whole) if self._done else 1 + whole.rfind(b"\n")
        if self._change is None:
            self._ready, self._rest = whole, b""
            return
        if len(whole) - end > MAX_LINE:
            raise long_line(self._name)
        self._ready, self._rest = self._change(whole[:end]), whole[end:]


def wrong_encoding(name: str, encoding: str, byte: int) -> DataError:
    """Returns the error for bytes that are none of an encoding."""
    return DataError(
        f"read: expected text in {encoding}, got the byte 0x{byte:02x} in {name}. Pass encoding=, such as "
        f"{'cp1252' if encoding.lower().startswith('utf') else 'utf-8'!r}, or None to have it found."
    )
