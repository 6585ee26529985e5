"""Exact derivatives of a network with respect to its inputs, carried forward layer by layer.

A *jet* holds the value of every node together with its first, second and third derivatives with respect to d
*directions*, the inputs by default. Through an edge phi the derivatives follow the chain rule, with phi', phi'', phi'''
from the basis or from the function; through a product they follow Leibniz' rule. Second derivatives live in a space of
symmetric forms: all pairs i <= j of directions, or just their trace, which gives the Laplacian at the cost of a
gradient. Everything stays differentiable with respect to the parameters and the inputs.

References: Faa di Bruno's formula; Griewank, Walther, Evaluating Derivatives (2008), chapter 13.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.errors import ShapeError, SpecError
from kan2.layers import KANLayer

if TYPE_CHECKING:
    from kan2.network import MultKAN
    from kan2.types import ArrayLike


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
    gradient: Float[Tensor, "batch output direction"] | None = None
    hessian: Float[Tensor, "batch output direction direction"] | None = None
    third: Float[Tensor, "batch output direction direction direction"] | None = None


def jet(model: "MultKAN", x: "ArrayLike", order: int = 2) -> Jet:
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
    if order not in (0, 1, 2, 3):
        raise SpecError(f"jet: expected an order of 0, 1, 2 or 3, got {order!r}.")
    x = _table(model, x, "jet")
    return _unpack(_propagate(model, x, None, order, _Forms.full(x.shape[1], x.device)), x.shape[1])


def directional(model: "MultKAN", x: "ArrayLike", v: "ArrayLike", order: int = 2) -> Jet:
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
    if order not in (0, 1, 2, 3):
        raise SpecError(f"directional: expected an order of 0, 1, 2 or 3, got {order!r}.")
    x = _table(model, x, "directional")
    direction = torch.as_tensor(v).to(x)
    if direction.shape not in (x.shape, x.shape[1:]):
        raise ShapeError(
            f"directional: expected a direction of shape {tuple(x.shape[1:])} or {tuple(x.shape)}, "
            f"got {tuple(direction.shape)}."
        )
    seed = direction.expand_as(x)[:, None]
    return _unpack(_propagate(model, x, seed, order, _Forms.full(1, x.device)), 1)


def laplacian(model: "MultKAN", x: "ArrayLike") -> Float[Tensor, "batch output"]:
    """Returns the sum of the second derivatives with respect to all inputs, without the full Hessian.

    Example:
        >>> from kan2 import MultKAN
        >>> laplacian(MultKAN([2, 1]), torch.zeros(10, 2)).shape
        torch.Size([10, 1])
    """
    x = _table(model, x, "laplacian")
    return _propagate(model, x, None, 2, _Forms.trace())[2][:, 0]


@dataclass(frozen=True)
class _Forms:
    """How derivatives are stored: each is (batch, component, node), packed where it is symmetric.

    Attributes:
        outer: (g, h) -> the components of the symmetric form (g h' + h g') / 2 of two gradients.
        cube: gradient -> its third power; None where third derivatives are not wanted.
        mixed: (gradient, second) -> the sum over the three ways of pairing directions.
    """

    outer: Callable[[Tensor, Tensor], Tensor]
    cube: Callable[[Tensor], Tensor] | None = None
    mixed: Callable[[Tensor, Tensor], Tensor] | None = None

    @classmethod
    def full(cls, d: int, device: torch.device) -> "_Forms":
        i, j = torch.triu_indices(d, d, device=device)
        a, b, c = _triples(d, device)
        pair = _pair_numbers(d, device)
        bc, ac, ab = pair[b, c], pair[a, c], pair[a, b]

        def take(part: Tensor, index: Tensor) -> Tensor:
            return part.index_select(-2, index)

        def outer(g: Tensor, h: Tensor) -> Tensor:
            if g is h:
                return take(g, i) * take(g, j)
            return (take(g, i) * take(h, j) + take(g, j) * take(h, i)) / 2

        def cube(g: Tensor) -> Tensor:
            return take(g, a) * take(g, b) * take(g, c)

        def mixed(g: Tensor, second: Tensor) -> Tensor:
            return take(g, a) * take(second, bc) + take(g, b) * take(second, ac) + take(g, c) * take(second, ab)

        return cls(outer, cube, mixed)

    @classmethod
    def trace(cls) -> "_Forms":
        return cls(lambda g, h: (g * h).sum(-2, keepdim=True))


def _triples(d: int, device: torch.device) -> Tensor:
    return torch.combinations(torch.arange(d, device=device), 3, with_replacement=True).T


def _pair_numbers(d: int, device: torch.device) -> Tensor:
    # The position of each pair of directions in the packed order of triu_indices.
    i, j = torch.triu_indices(d, d, device=device)
    numbers = torch.empty(d, d, dtype=torch.long, device=device)
    numbers[i, j] = numbers[j, i] = torch.arange(i.numel(), device=device)
    return numbers


def _propagate(model: "MultKAN", x: Tensor, seed: Tensor | None, order: int, forms: _Forms) -> list[Tensor]:
    # The value (batch, node) and the derivatives of order 1, 2, ..., each (batch, component, node).
    if seed is None:
        # The same for all samples: kept without a batch axis, which saves most of the work of the first layer.
        seed = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    state: list[Tensor | None] = [x, seed, None, None][: order + 1]
    if model.spec.features != model.spec.inputs:
        state = _features(model, x, seed, order, forms)
    for layer in model.layers:
        state = _nodes(layer, _subnodes(layer, state, forms), forms)
    return [part for part in state if part is not None]


def _subnodes(layer: KANLayer, state: list[Tensor | None], forms: _Forms) -> list[Tensor]:
    # None among the incoming derivatives stands for zero. slopes[r - 1]: the r-th derivatives, (batch, source, target).
    x, order = state[0], len(state) - 1
    assert x is not None
    slopes = [d.mT for d in layer.edge_derivatives(x, order)]
    sums = [layer.subnodes(x)]
    if order == 0:
        return sums
    gradient, second, third = (*state[1:], None, None)[:3]
    assert gradient is not None
    first = [part for part in (gradient, second, third) if part is not None]
    found = [*(torch.cat(first, -2) @ slopes[0]).split([part.shape[-2] for part in first], -2), 0, 0][:3]
    if order >= 2:
        found[1] = found[1] + forms.outer(gradient, gradient) @ slopes[1]
    if order >= 3:
        assert forms.cube is not None
        assert forms.mixed is not None
        found[2] = found[2] + forms.cube(gradient) @ slopes[2]
        if second is not None:
            found[2] = found[2] + forms.mixed(gradient, second) @ slopes[1]
    return [*sums, *found[:order]]  # type: ignore[list-item]


def _nodes(layer: KANLayer, state: list[Tensor], forms: _Forms) -> list[Tensor | None]:
    state = _affine(state, layer.subnode_scale, layer.subnode_bias)
    if layer.spec.arities:
        factors = [[part[..., i : i + 1] for part in state] for i in range(layer.spec.n_subnodes)]
        nodes = [reduce(lambda a, b: _product(a, b, forms), [factors[i] for i in group]) for group in layer.spec.groups]
        state = [torch.cat([node[r] for node in nodes], -1) for r in range(len(state))]
    return [*_affine(state, layer.node_scale, layer.node_bias)]


def _affine(state: list[Tensor], scale: Tensor, bias: Tensor) -> list[Tensor]:
    return [torch.addcmul(bias, state[0], scale), *(part * scale for part in state[1:])]


def _product(a: list[Tensor], b: list[Tensor], forms: _Forms) -> list[Tensor]:
    u, v = a[0], b[0]
    found = [u * v]
    u, v = u[:, None], v[:, None]
    if len(a) > 1:
        found.append(u * b[1] + v * a[1])
    if len(a) > 2:
        found.append(u * b[2] + v * a[2] + 2 * forms.outer(a[1], b[1]))
    if len(a) > 3:
        assert forms.mixed is not None
        found.append(u * b[3] + v * a[3] + forms.mixed(a[1], b[2]) + forms.mixed(b[1], a[2]))
    return found


def _features(model: "MultKAN", x: Tensor, seed: Tensor, order: int, forms: _Forms) -> list[Tensor | None]:
    # Auxiliary variables are functions of several inputs: their derivatives with respect to the inputs come from
    # automatic differentiation, and are then contracted with the directions.
    tracked = torch.is_grad_enabled()
    with torch.enable_grad():
        point = x if tracked and x.requires_grad else x.detach().requires_grad_()
        levels = [model.features(point)]
        for _ in range(order):
            last = levels[-1]
            columns = last.flatten(1).unbind(1)
            levels.append(torch.stack([_slope(c, point) for c in columns], 1).view(*last.shape, x.shape[1]))
    if not tracked:
        levels = [level.detach() for level in levels]
    seed = seed.expand(x.shape[0], -1, -1)
    found: list[Tensor | None] = [levels[0]]
    if order > 0:
        found.append(torch.einsum("nfi,nai->naf", levels[1], seed))
    if order > 1:
        second = torch.einsum("nfij,nai->njaf", levels[2], seed)
        # Summing outer(second[j], seed[j]) over inputs j gives the packed form of seed' H seed.
        parts = [forms.outer(second[:, j], seed[:, :, j, None].expand_as(second[:, j])) for j in range(x.shape[1])]
        found.append(torch.stack(parts).sum(0))
    if order > 2:
        third = torch.einsum("nfijk,nai,nbj,nck->nabcf", levels[3], seed, seed, seed)
        a, b, c = _triples(third.shape[1], x.device)
        found.append(third[:, a, b, c])
    return found


def _slope(column: Tensor, point: Tensor) -> Tensor:
    if not column.requires_grad:
        return torch.zeros_like(point)
    (slope,) = torch.autograd.grad(column.sum(), point, create_graph=True, allow_unused=True)
    return torch.zeros_like(point) if slope is None else slope


def _table(model: "MultKAN", x: "ArrayLike", where: str) -> Tensor:
    x = model.prepare(x)
    if x.ndim != 2:
        raise ShapeError(f"{where}: expected a table (samples, variables), got shape {tuple(x.shape)}.")
    return x


def _unpack(state: list[Tensor], d: int) -> Jet:
    parts, device = list(state), state[0].device
    if len(state) > 1:
        parts[1] = state[1].mT
    if len(state) > 2:
        parts[2] = state[2].mT[..., _pair_numbers(d, device)]
    if len(state) > 3:
        a, b, c = _triples(d, device)
        triple = torch.empty(d, d, d, dtype=torch.long, device=device)
        for i, j, k in ((a, b, c), (a, c, b), (b, a, c), (b, c, a), (c, a, b), (c, b, a)):
            triple[i, j, k] = torch.arange(a.numel(), device=device)
        parts[3] = state[3].mT[..., triple]
    return Jet(*parts)
