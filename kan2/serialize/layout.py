"""Which tensors a network has, compared with those of a file: first by name, type and shape, then by their numbers.

Names and shapes come from the network itself, built where tensors have shapes and no numbers.

Reference: https://docs.pytorch.org/docs/stable/meta.html
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kan2.core.bases.coordinate import check_home
from kan2.core.network import Network
from kan2.core.spec import NetworkSpec
from kan2.core.spec_json import skeleton
from kan2.errors import SerializationError
from kan2.serialize.container import DTYPES, Entry


def check_layout(cls: type[Network], fields: Mapping[str, Any], entries: Mapping[str, Entry], is_old: bool) -> None:
    """Compares what a header says of tensors with what a network of these fields has; nothing is built.

    Args:
        cls: class of the network.
        fields: checked fields of the spec.
        entries: what the header says.
        is_old: whether homes may be missing.

    Raises:
        SerializationError: a tensor is missing, unknown, or of another type or shape.
    """
    try:
        blank = cls.from_spec(NetworkSpec.from_fields(skeleton(dict(fields))), device="meta")
    except (RuntimeError, OverflowError, TypeError) as error:  # more numbers than torch can count
        raise SerializationError("a spec with larger tensors than there can be.") from error
    expected = {name: tuple(tensor.shape) for name, tensor in blank.state_dict().items()}
    missing = {name for name in expected if name not in entries and not (is_old and name.endswith(".basis.home"))}
    if wrong := sorted(missing | (set(entries) - set(expected))):
        listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise SerializationError(f"other tensors than the spec asks for: {listed}.")
    types = {name: entry.dtype for name, entry in entries.items() if name.endswith("node_scale")}
    for name, entry in entries.items():
        layer = ".".join(name.split(".")[:2])
        shapes = [expected[name]]
        if name.endswith(".basis.pieces"):
            # The table of a uniform grid serves all intervals; whether a grid is uniform the spec does not say.
            basis, n_in = (fields["layers"][int(name.split(".")[1])][key] for key in ("basis", "n_in"))
            shapes.append((n_in, basis.get("grid", 5), *expected[name][2:]))
        if entry.shape not in shapes:
            raise SerializationError(f"{name} of shape {entry.shape}, not {' or '.join(map(str, shapes))}.")
        if entry.dtype != (dtype := types[f"{layer}.node_scale"]):
            raise SerializationError(f"{name} of type {entry.dtype}, where others of its layer have {dtype}.")


def check_numbers(tensors: Mapping[str, Tensor]) -> None:
    """Checks what every trained network has: finite numbers, grids that increase, homes that are ranges.

    Raises:
        SerializationError: one of them does not hold.
    """
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise SerializationError(f"numbers that are not finite in {name}.")
        if name.endswith(".basis.grid") and not bool((tensor.diff() > 0).all()):
            raise SerializationError(f"points that do not increase in {name}.")
        if name.endswith(".basis.home"):
            check_home(tensor, len(tensor), name)


def dtype_of(entries: Mapping[str, Entry], layer: int) -> torch.dtype:
    """Returns the type of a layer."""
    return DTYPES[entries[f"layers.{layer}.node_scale"].dtype]
