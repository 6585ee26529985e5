"""The safetensors container: its header is read and checked here, before a tensor is.

A file holds the length of the header in eight bytes, the header as JSON, and the numbers of all tensors without gaps.
The *checksum* is SHA-256 of everything that is said: the metadata beside it, and name, type, shape and numbers of every
tensor, in the order of their names. It does not depend on the order or the spaces of the file.

Reference: https://huggingface.co/docs/safetensors, section Format.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import torch
from torch import Tensor

from kan2.core.strict_json import JSONError, integer, list_of, one_of, read_json, record, string, wrong
from kan2.errors import SerializationError

MAX_HEADER = 100_000_000
"""Bytes of a header, as safetensors itself limits them."""

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""The types that tensors of a network may have, by the names that the header gives them."""

NAMES = {dtype: name for name, dtype in DTYPES.items()}

_size = integer(0, 2**62)
_entry = record({"dtype": one_of(*DTYPES), "shape": list_of(_size), "data_offsets": list_of(_size, length=2)})


@dataclass(frozen=True)
class Entry:
    """What the header says of a tensor: its type, its shape, and from where to where its bytes lie in the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    stop: int = 0

    @classmethod
    def of(cls, tensor: Tensor) -> "Entry":
        """Returns what a header would say of a tensor."""
        return cls(NAMES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))


@dataclass(frozen=True)
class Header:
    """A checked header: texts by name, tensors by name, and how many bytes of data must follow."""

    metadata: dict[str, str]
    entries: dict[str, Entry]
    n_data: int


def read_header(file: BinaryIO, size: int) -> Header:
    """Reads the header from the beginning of a file of so many bytes; the data come next.

    Raises:
        SerializationError: it is not a file of safetensors, or the sizes in it contradict each other.
    """
    first = file.read(8)
    n = int.from_bytes(first, "little")
    if size < 10 or len(first) < 8 or not 2 <= n <= size - 8:
        raise SerializationError(f"expected a file written by save, got {_kind(first, size)}.")
    if n > MAX_HEADER:
        raise SerializationError(f"expected a header of at most {MAX_HEADER} bytes, got {n}.")
    text = file.read(n)
    try:
        if len(text) < n or text[:1] != b"{":
            raise JSONError("expected an object of JSON, got another text")
        return _checked(read_json(text), size - 8 - n)
    except JSONError as error:
        raise SerializationError(f"expected a file written by save: in its header, {error}.") from error


def _kind(first: bytes, size: int) -> str:
    if size == 0:
        return "an empty file"
    if first[:4] == b"PK\x03\x04":
        return "a zip file, perhaps of torch.save. Read that with torch.load, if you trust it"
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle. Read it with pickle, if you trust it"
    return f"{size} bytes of something else, or a file that was cut off"


def _checked(data: object, n_data: int) -> Header:
    if not isinstance(data, dict):
        raise wrong("an object", data)
    parts = dict(data)
    texts = parts.pop("__metadata__", {})
    if not isinstance(texts, dict):
        raise wrong("an object of texts", texts).inside("__metadata__")
    metadata = record({str(name): string for name in texts})(texts)
    entries = {string(name): _read_entry(name, part) for name, part in parts.items()}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != end:
            raise JSONError(f"expected the bytes of {name} from {end} on, got {entry.start}")
        end = entry.stop
    if end != n_data:
        raise JSONError(f"expected {end} bytes of numbers after the header, got {n_data}: the file was cut off or "
                        "something was added")  # fmt: skip
    return Header(metadata, entries, n_data)


def _read_entry(name: str, part: object) -> Entry:
    try:
        found = _entry(part)
    except JSONError as error:
        raise error.inside(name) from None
    start, stop = found["data_offsets"]
    if math.prod(found["shape"]) * DTYPES[found["dtype"]].itemsize != stop - start:
        raise JSONError(f"expected as many bytes as {name} of shape {list(found['shape'])} takes, got {stop - start}")
    return Entry(found["dtype"], found["shape"], start, stop)


def checksum(metadata: Mapping[str, str], tensors: Iterable[tuple[str, str, tuple[int, ...], memoryview]]) -> str:
    """Returns the checksum of what a file says, as hexadecimal digits.

    Args:
        metadata: texts by name; one called "checksum" is left out.
        tensors: name, type, shape and bytes of every tensor.

    Example:
        >>> checksum({}, [])[:8] == checksum({"checksum": "?"}, [])[:8]
        True
    """
    digest = hashlib.sha256()

    def add(part: bytes | memoryview) -> None:
        # With its length before it, so that nothing can move from one part to the next.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)

    for name, text in sorted(metadata.items()):
        if name != "checksum":
            add(name.encode())
            add(text.encode())
    digest.update(b"tensors")
    for name, dtype, shape, numbers in sorted(tensors, key=lambda tensor: tensor[0]):
        add(f"{name} {dtype} {list(shape)}".encode())
        add(numbers)
    return digest.hexdigest()


def as_bytes(tensor: Tensor) -> memoryview:
    """Returns the bytes of a contiguous tensor on the CPU."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
