"""A network in a file and back: `save` and `load`, and in which order what is read is checked.

First the sizes, then the spec against the header, then the checksum and the numbers; a network is built last.

Reference: https://huggingface.co/docs/safetensors
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from kan2 import functions
from kan2.core.network import AnyNetwork, Network
from kan2.core.spec import NetworkSpec
from kan2.core.spec_json import network_fields, with_known_functions
from kan2.core.strict_json import JSONError, list_of, read_json, string
from kan2.errors import Kan2Error, OptionError, SerializationError, named_options
from kan2.options import network as check_network
from kan2.serialize import container, place
from kan2.serialize.container import Entry, Header
from kan2.serialize.layout import check_layout, check_numbers, check_types, dtype_of
from kan2.serialize.own_functions import describe, is_built_in, read_rows, registered

FORMAT = "kan2 network 1"

_KEYS = {"format", "spec", "functions", "frozen"}


@named_options
def save(model: Network, path: str | os.PathLike[str]) -> None:
    """Writes a network to one file, all at once: a crash leaves the old file or the new one.

    Links are followed; an existing file keeps its mode.

    Args:
        model: the network.
        path: of the file; an existing one is replaced.

    Raises:
        FileError: there is no such folder, the path is no plain file or may not be written, or the disk is full.
        SerializationError: it is no network, a registered function cannot be written as a formula, or a number is not
            finite.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "net.kan"
        >>> from kan2 import MultKAN
        >>> save(MultKAN([2, 1]), path)
        >>> MultKAN.load(path).width
        [[2, 0], [1, 0]]
    """
    check_network("save", model, error=SerializationError)
    path = _path(path, "save")
    names = sorted({term.function for layer in model.spec.layers for term in layer.terms})
    own = [row for row in map(functions.get, names) if not is_built_in(row)]
    known = {*functions.BUILT_IN, *(row.name for row in own)}
    tensors = {name: _plain(name, tensor) for name, tensor in model.state_dict().items()}
    try:
        metadata = {
            "format": FORMAT,
            "spec": model.spec.to_json(),
            "functions": json.dumps([describe(row, known) for row in own], allow_nan=False),
            "frozen": json.dumps([name for name, p in model.named_parameters() if not p.requires_grad]),
        }
        # What load would refuse is not written.
        if NetworkSpec.from_json(metadata["spec"]).to_json() != metadata["spec"]:
            raise SerializationError("a spec that reads back as another one.")
        read_rows(metadata["functions"], is_old=False)
        entries = {name: Entry.of(tensor) for name, tensor in tensors.items()}
        check_types(entries)
        check_numbers(tensors)
    except (Kan2Error, JSONError, TypeError, ValueError) as error:
        if str(error).startswith("save:"):
            raise
        raise SerializationError(f"save: expected a network that can be read again, got: {error}") from error
    metadata["checksum"] = container.checksum(
        metadata, ((n, entries[n].dtype, entries[n].shape, container.as_bytes(t)) for n, t in tensors.items())
    )
    place.write(path, [to_bytes(tensors, metadata)])


@named_options
def load(
    cls: type[AnyNetwork], path: str | os.PathLike[str], map_location: torch.device | str | None = None
) -> AnyNetwork:
    """Reads a network that `save` wrote; it is the same bit for bit.

    Args:
        cls: the class to build.
        path: of the file.
        map_location: device of the network; by default the CPU.

    Raises:
        MissingFileError: no such file; it is a `FileNotFoundError` too.
        FileError: it is no plain file, or may not be read.
        OptionError: there is no such device here.
        SerializationError: not a file of a network, a damaged one, or one of a version that is not known.
    """
    path, device = _path(path, "load"), _device(map_location)
    with place.opened(path) as (file, size):
        try:
            header = container.read_header(file, size)
            if header.metadata.get("format") != FORMAT:
                raise SerializationError(
                    f"load: expected a file of format {FORMAT!r}, got {header.metadata.get('format')!r} in "
                    f"{path.name!r}. Write it with kan2.save of this version."
                )
            model = _read(cls, header, file)
        except (Kan2Error, JSONError, OSError, MemoryError) as error:
            if str(error).startswith("load:"):
                raise
            raise SerializationError(f"load: expected a complete network in {path.name!r}, got: {error}") from error
    return model.to(device) if device is not None else model


def _path(path: Any, where: str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"{where}: expected the path of a file, got a {type(path).__name__}.")
    return Path(path)


def _device(given: torch.device | str | None) -> torch.device | None:
    if given is None:
        return None
    try:
        device = torch.device(given)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise OptionError(
            f"load: expected map_location to be a device of this machine, got {given!r}: {reason}. Try 'cpu'."
        ) from error
    return device


def _plain(name: str, tensor: Tensor) -> Tensor:
    if tensor.device.type == "meta":
        raise SerializationError(f"save: expected a network with numbers, got {name} on the meta device.")
    return tensor.detach().cpu().contiguous().clone()


def _read(cls: type[AnyNetwork], header: Header, file: Any) -> AnyNetwork:
    metadata = header.metadata
    # A damaged name of the checksum must not make the file one that has none.
    if set(metadata) not in (_KEYS, _KEYS | {"checksum"}):
        raise SerializationError(f"texts called {', '.join(sorted(metadata))} in its header.")
    is_old = "checksum" not in metadata
    raw = read_json(metadata["spec"])
    fields = network_fields(raw)
    # Written before base functions had a coordinate: a network just built has the one they were seen in.
    lacks_homes = is_old and not any("outside" in layer["basis"] for layer in raw["layers"])
    rows = read_rows(metadata["functions"], is_old)
    names = {*functions.names(), *(row.name for row in rows)}
    for term in (term for layer in fields["layers"] for term in layer["terms"]):
        if term["function"] not in names:
            functions.get(term["function"])  # another name of a row, or the refusal
    frozen = set(list_of(string)(read_json(metadata["frozen"])))
    check_layout(fields, header.entries, lacks_homes)
    spec = NetworkSpec.from_fields(with_known_functions(fields) if rows else fields)
    data = file.read(header.n_data)
    if len(data) < header.n_data:
        raise SerializationError("a file that was cut off while it was read.")
    _check_sum(header, data)
    tensors = _tensors(header, data)
    check_numbers(tensors)
    with registered(rows):
        model = cls.from_spec(NetworkSpec.from_fields(fields) if rows else spec)
        for i, layer in enumerate(model.layers):
            layer.to(dtype_of(header.entries, i))
        _assign(model, tensors)
        parameters = dict(model.named_parameters())
        if unknown := sorted(frozen - set(parameters)):
            raise SerializationError(f"frozen parameters that it does not have: {', '.join(unknown[:5])}.")
        for name, parameter in parameters.items():
            parameter.requires_grad_(name not in frozen)
    return model


def _check_sum(header: Header, data: bytes) -> None:
    expected, view = header.metadata.get("checksum"), memoryview(data)
    parts = ((n, e.dtype, e.shape, view[e.start : e.stop]) for n, e in header.entries.items())
    if expected is not None and container.checksum(header.metadata, parts) != expected:
        raise SerializationError("a damaged file: its checksum is not that of its content. Take another copy.")


def _tensors(header: Header, data: bytes) -> dict[str, Tensor]:
    view = memoryview(data)
    found = {}
    for name, entry in header.entries.items():
        flat = torch.frombuffer(bytearray(view[entry.start : entry.stop]), dtype=container.DTYPES[entry.dtype])
        # Copies, which lie in memory as tensors of torch do: sums of products depend on that in the last bit.
        found[name] = flat.clone().reshape(entry.shape)
    return found


def _assign(model: Network, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name in parameters:
            parameters[name].data = tensor
            continue
        # Buffers of a grid depend in shape on whether it is uniform, which the spec does not say.
        owner, _, attribute = name.rpartition(".")
        module: nn.Module = model.get_submodule(owner)
        setattr(module, attribute, tensor)
