"""Exact derivatives of a network with respect to its inputs, carried forward layer by layer.

A *jet* holds the value of every node together with its first, second and third derivatives with respect to d
*directions*, the inputs by default. Through an edge phi the derivatives follow the chain rule, with phi', phi'', phi'''
from the basis or from the function; through a product they follow Leibniz' rule. Second derivatives live in a space of
symmetric forms: all pairs i <= j of directions, or just their trace, which gives the Laplacian at the cost of a
gradient. Everything stays differentiable with respect to the parameters and the inputs.

References: Faa di Bruno's formula; Griewank, Walther, Evaluating Derivatives (2008), chapter 13.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.jets._adjoint import hessian_of_few_outputs
from kan2.core.jets._forward import Forms, Layered, pair_numbers, propagate, triples
from kan2.core.tensors import to_tensor
from kan2.errors import Kan2Error, ShapeError, SpecError, named_options
from kan2.options import is_whole, network
from kan2.types import ArrayLike

FEW = 2  # outputs up to which Hessians are cheaper by adjoints than forward


@dataclass(frozen=True)
class Jet:
    """Values and derivatives of a network on samples; None for orders that were not asked for.

    Attributes:
        value: (batch, output).
        gradient: (batch, output, direction).
        hessian: (batch, output, direction, direction), symmetric.
        third: (batch, output, direction, direction, direction), symmetric.
    """

    value: Float[Tensor, "batch output"]
    gradient: Float[Tensor, "batch output direction"] = None  # type: ignore[assignment]
    hessian: Float[Tensor, "batch output direction direction"] = None  # type: ignore[assignment]
    third: Float[Tensor, "batch output direction direction direction"] = None  # type: ignore[assignment]


@named_options
def jet(model: Layered, x: ArrayLike, order: int = 2) -> Jet:
    """Returns the value of a network and its derivatives with respect to its inputs.

    Args:
        model: the network; auxiliary variables are differentiated through.
        x: (batch, input) points.
        order: highest derivative, 0 to 3.

    Raises:
        ShapeError: x is not a table.
        SpecError: the order is out of range.

    Example:
        >>> from kan2 import MultKAN
        >>> model = MultKAN([2, 3, 1], seed=0)
        >>> jet(model, torch.zeros(10, 2)).hessian.shape
        torch.Size([10, 1, 2, 2])
    """
    if not is_whole(order, 0, 3):
        raise SpecError(f"jet: expected an order of 0, 1, 2 or 3, got {order!r}.")
    x = _table(model, x, "jet")
    if order == 2 and len(model.spec.outputs) <= FEW and model.spec.features == model.spec.inputs:
        return Jet(*hessian_of_few_outputs(model, x))
    return _unpack(propagate(model, x, None, order, Forms.full(x.shape[1], x.device)), x.shape[1])


@named_options
def directional(model: Layered, x: ArrayLike, v: ArrayLike, order: int = 2) -> Jet:
    """Returns the derivatives of t -> model(x + t v) at t = 0, without a full gradient or Hessian.

    Args:
        model: the network.
        x: (batch, input) points.
        v: (input,) or (batch, input) directions.
        order: highest derivative, 0 to 3.

    Returns:
        a jet with one direction: gradient is (batch, output, 1), hessian (batch, output, 1, 1), and so on.

    Example:
        >>> from kan2 import MultKAN
        >>> directional(MultKAN([2, 1]), torch.zeros(10, 2), [1.0, 0.0]).gradient.shape
        torch.Size([10, 1, 1])
    """
    if not is_whole(order, 0, 3):
        raise SpecError(f"directional: expected an order of 0, 1, 2 or 3, got {order!r}.")
    x = _table(model, x, "directional")
    try:
        direction = to_tensor(v, "directional").to(x)
    except Kan2Error:
        raise
    except (TypeError, ValueError, IndexError, RuntimeError):  # such as a dict of single numbers, which is no table
        raise ShapeError(
            f"directional: expected a direction of shape {tuple(x.shape[1:])} or {tuple(x.shape)}, got "
            f"{type(v).__name__}. Pass a list or an array of numbers."
        ) from None
    if direction.shape not in (x.shape, x.shape[1:]):
        raise ShapeError(
            f"directional: expected a direction of shape {tuple(x.shape[1:])} or {tuple(x.shape)}, "
            f"got {tuple(direction.shape)}."
        )
    seed = direction.expand_as(x)[:, None]
    return _unpack(propagate(model, x, seed, order, Forms.full(1, x.device)), 1)


@named_options
def laplacian(model: Layered, x: ArrayLike) -> Float[Tensor, "batch output"]:
    """Returns the sum of the second derivatives with respect to all inputs, without the full Hessian.

    Example:
        >>> from kan2 import MultKAN
        >>> laplacian(MultKAN([2, 1]), torch.zeros(10, 2)).shape
        torch.Size([10, 1])
    """
    x = _table(model, x, "laplacian")
    return propagate(model, x, None, 2, Forms.trace())[2][:, 0]


def _table(model: Layered, x: ArrayLike, where: str) -> Tensor:
    network(where, model, error=SpecError)
    x = model.prepare(x)
    if x.ndim != 2:
        raise ShapeError(f"{where}: expected a table (samples, variables), got shape {tuple(x.shape)}.")
    return x


def _unpack(state: list[Tensor], d: int) -> Jet:
    parts, device = list(state), state[0].device
    if len(state) > 1:
        parts[1] = state[1].mT
    if len(state) > 2:
        parts[2] = state[2].mT[..., pair_numbers(d, device)]
    if len(state) > 3:
        a, b, c = triples(d, device)
        triple = torch.empty(d, d, d, dtype=torch.long, device=device)
        for i, j, k in ((a, b, c), (a, c, b), (b, a, c), (b, c, a), (c, a, b), (c, b, a)):
            triple[i, j, k] = torch.arange(a.numel(), device=device)
        parts[3] = state[3].mT[..., triple]
    return Jet(*parts)
