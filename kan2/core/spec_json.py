"""What the JSON of a network description may hold; `NetworkSpec.from_json` makes the description of it.

Nothing is built here, so that a text can be checked, and compared with the numbers beside it, in little time.

Reference: `NetworkSpec.to_json`, which writes it.
"""

from typing import Any

from kan2.core.strict_json import (
    JSONError,
    flag,
    integer,
    list_of,
    number,
    one_of,
    record,
    shown,
    string,
    wrong,
)
from kan2.core.theory import theory_fields
from kan2.options import LARGEST_LAYER

FORMAT = 1
MAX_NODES = LARGEST_LAYER
"""Nodes and subnodes of a layer that a text may name; where it names no inputs, so many names are made up at most."""

_count = integer(0, MAX_NODES)
_pair = list_of(_count, length=2)
_term = record({"target": _count, "source": _count, "function": string}, {"free": string})
_basis = record(
    {},
    {
        "kind": string,
        "grid": integer(1, 100_000),
        "k": integer(0, 5),
        "base_fun": string,
        "grid_eps": number,
        "margin": number,
        "outside": one_of("tangent", "base"),
    },
)


def _numeric(value: Any) -> Any:
    return "all" if value == "all" else list_of(_pair)(value)


_layer = record(
    {
        "n_in": integer(1, MAX_NODES),
        "n_sum": _count,
        "arities": list_of(integer(1, MAX_NODES)),
        "numeric": _numeric,
        "terms": list_of(_term),
        "basis": _basis,
        "affine_trainable": flag,
    }
)
_network = record(
    {"format": integer(FORMAT, FORMAT), "layers": list_of(_layer), "auxiliary": list_of(list_of(string, length=2))},
    {"inputs": list_of(string), "outputs": list_of(string), "features": list_of(string), "theory": theory_fields},
)


def network_fields(data: Any) -> dict[str, Any]:
    """Returns the checked fields of a network, lists as tuples, without the number of the format.

    Args:
        data: what `read_json` made of the text.

    Raises:
        JSONError: something is missing, unknown, of the wrong type or out of range, or the format is not known.
    """
    version = data.get("format", FORMAT) if isinstance(data, dict) else FORMAT
    if type(version) is not int or version != FORMAT:
        raise JSONError(f"expected format {FORMAT}, got {shown(version)}. Read it with a newer kan2")
    found = _network(data)
    del found["format"]
    for i, layer in enumerate(found["layers"]):
        if (n := layer["n_sum"] + sum(layer["arities"])) > MAX_NODES:
            raise wrong(f"at most {MAX_NODES} subnodes", n).inside(f"layers[{i}]")
        # Before there was a choice, base functions went on as they are.
        layer["basis"].setdefault("outside", "base")
    return found


def with_known_functions(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields with the identity for every function: a spec of the same shape that needs no table."""
    layers = [
        {**layer, "terms": tuple({**term, "function": "x"} for term in layer["terms"])} for layer in fields["layers"]
    ]
    return {**fields, "layers": tuple(layers)}
