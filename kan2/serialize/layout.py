"""Which tensors a network has, compared with those of a file: first by name, type and shape, then by their numbers.

Shapes come from the spec alone: of a network nothing but a basis of one source is built.

Reference: `kan2.core.layer.KANLayer`, which has these tensors.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kan2.core.bases import BASE_FUNCTIONS, make_basis
from kan2.core.bases.coordinate import check_home
from kan2.core.spec import BasisSpec
from kan2.errors import SerializationError, unknown_name
from kan2.serialize.container import DTYPES, Entry

Shapes = tuple[tuple[int, ...], ...]
"""The shapes that a tensor may have."""


def expected_shapes(fields: Mapping[str, Any]) -> dict[str, Shapes]:
    """Returns name and possible shapes of every tensor of a network with these fields, see `network_fields`.

    Raises:
        UnknownNameError: a basis or a base function is not known.
    """
    layers = {
        f"layers.{i}.{name}": shapes
        for i, layer in enumerate(fields["layers"])
        for name, shapes in _of_layer(layer).items()
    }
    parameters = (fields.get("theory") or {}).get("parameters", ())
    return layers | {f"constants.{i}": ((max(1, len(one["levels"])),),) for i, one in enumerate(parameters)}


def _of_layer(layer: Mapping[str, Any]) -> dict[str, Shapes]:
    n_in, n_subnodes = layer["n_in"], layer["n_sum"] + sum(layer["arities"])
    n_nodes, n_terms = layer["n_sum"] + len(layer["arities"]), len(layer["terms"])
    found: dict[str, Shapes] = {}
    if layer["numeric"]:
        spec = BasisSpec(**layer["basis"])
        if spec.base_fun not in BASE_FUNCTIONS:
            raise unknown_name("base_fun", "base function", spec.base_fun, BASE_FUNCTIONS)
        low = torch.zeros(1, dtype=torch.float64, device="cpu")
        basis = make_basis(spec, low, low + 1)
        n_features = basis.n_basis + (BASE_FUNCTIONS[spec.base_fun] is not None)
        found["numeric.weight"] = ((n_subnodes, n_in, n_features),)
        for name, buffer in basis.state_dict().items():
            found[f"numeric.basis.{name}"] = ((n_in, *buffer.shape[1:]),)
        if "numeric.basis.pieces" in found:
            # The table of uniform grids serves all sources and intervals; whether they are uniform no spec says.
            table = (spec.k + 1, spec.k + 1)
            found["numeric.basis.pieces"] = ((1, 1, *table), (n_in, spec.grid, *table))
    if n_terms:
        found |= {"symbolic.affine": ((n_terms, 4),), "symbolic.shape": ((n_terms,),)}
    for name, n in (("subnode", n_subnodes), ("node", n_nodes)):
        found |= {f"{name}_scale": ((n,),), f"{name}_bias": ((n,),)}
    return found


def check_layout(fields: Mapping[str, Any], entries: Mapping[str, Entry], lacks_homes: bool) -> None:
    """Compares what a header says of tensors with what a network of these fields has.

    Args:
        fields: checked fields of the spec.
        entries: what the header says.
        lacks_homes: whether homes may be missing.

    Raises:
        SerializationError: a tensor is missing, unknown, or of another type or shape.
    """
    expected = expected_shapes(fields)
    missing = {name for name in expected if name not in entries and not (lacks_homes and name.endswith(".basis.home"))}
    if wrong := sorted(missing | (set(entries) - set(expected))):
        listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise SerializationError(f"other tensors than the spec asks for: {listed}.")
    for name, entry in entries.items():
        if entry.shape not in expected[name]:
            wanted = " or ".join(map(str, expected[name]))
            raise SerializationError(f"{name} of shape {entry.shape}, not {wanted}.")
    check_types(entries)


def check_types(entries: Mapping[str, Entry]) -> None:
    """Checks that the tensors of each layer have one type of floating-point numbers.

    Raises:
        SerializationError: they have not.
    """
    for name, entry in entries.items():
        layer = name.split(".")[:2] if name.startswith("layers.") else ("layers", "0")
        wanted = entries[".".join((*layer, "node_scale"))].dtype
        if entry.dtype not in DTYPES or entry.dtype != wanted:
            raise SerializationError(
                f"{name} of type {entry.dtype}. A layer has one type, here {wanted}, of {', '.join(DTYPES)}."
            )


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
