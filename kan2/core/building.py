"""What a network is built from: a spec, one layer after the other, and the numbers of symbolic layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kan2.core.spec import NetworkSpec
from kan2.core.tensors import to_tensor
from kan2.errors import ShapeError, SpecError


@dataclass(frozen=True)
class LayerValues:
    """The numbers of one symbolic layer, for `Network.from_values`; None stands for the identity.

    Attributes:
        affine: (term, 4), the numbers a, b, c, d of each term of the spec, in its order.
        shape: (term,), the shape parameters; entries of functions without one are ignored.
        subnode_scale, subnode_bias: (subnode,).
        node_scale, node_bias: (node,).
    """

    affine: Any = None
    shape: Any = None
    subnode_scale: Any = None
    subnode_bias: Any = None
    node_scale: Any = None
    node_bias: Any = None


def check_spec(where: str, spec: Any) -> None:
    """Refuses what is no spec of a network.

    Raises:
        SpecError: it is something else.
    """
    if not isinstance(spec, NetworkSpec):
        raise SpecError(f"{where}: expected spec as a NetworkSpec, got {spec!r:.80}. Pass model.spec.")


def members(where: str, name: str, given: Any, kind: type) -> list[Any]:
    """Returns the members of a list, one a layer.

    Args:
        where: name of the function.
        name: of the argument.
        given: what was passed, in any form that can be walked through.
        kind: class of each.

    Raises:
        SpecError: one is something else.
    """
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes | Tensor) else [given]
    for member in found:
        if not isinstance(member, kind):
            raise SpecError(
                f"{where}: expected {name} as a list of {kind.__name__}, one a layer, got {type(member).__name__}."
            )
    return found


def assign(parameter: Tensor, values: Any, where: str) -> None:
    """Writes given numbers into a parameter; None leaves it as it is.

    Raises:
        ShapeError: it has another shape.
    """
    if values is None:
        return
    values = to_tensor(values, where).detach().to(parameter)
    if values.shape != parameter.shape:
        raise ShapeError(f"{where}: expected shape {tuple(parameter.shape)}, got {tuple(values.shape)}.")
    with torch.no_grad():
        parameter.copy_(values)
