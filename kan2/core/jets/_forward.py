"""Derivatives carried forward through a network, layer by layer.

The *state* after a layer is the list of values (batch, node) and derivatives (batch, component, node) of order 1 to 3.
Through an edge they follow the chain rule, through a product Leibniz' rule. *Forms* say how symmetric derivatives are
stored: packed as all pairs i <= j of directions, or as their trace alone.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapter 13.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import torch
from torch import Tensor

from kan2.core.spec import LayerSpec, NetworkSpec
from kan2.types import ArrayLike


class JetLayer(Protocol):
    """What jets need of a layer; a `KANLayer`, or something that looks like one and keeps a record."""

    @property
    def spec(self) -> LayerSpec: ...
    @property
    def subnode_scale(self) -> Tensor: ...
    @property
    def subnode_bias(self) -> Tensor: ...
    @property
    def node_scale(self) -> Tensor: ...
    @property
    def node_bias(self) -> Tensor: ...

    def subnodes(self, x: Tensor) -> Tensor: ...
    def edge_derivatives(self, x: Tensor, order: int) -> list[Tensor]: ...
    def source_derivative(self, x: Tensor, adjoint: Tensor, order: int) -> Tensor: ...


class Layered(Protocol):
    """What jets need of a network."""

    spec: NetworkSpec

    @property
    def layers(self) -> Iterable[JetLayer]: ...

    def prepare(self, x: ArrayLike) -> Tensor: ...
    def features(self, x: ArrayLike) -> Tensor: ...


@dataclass(frozen=True)
class Forms:
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
    def full(cls, d: int, device: torch.device) -> "Forms":
        i, j = torch.triu_indices(d, d, device=device)
        a, b, c = triples(d, device)
        pair = pair_numbers(d, device)
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
    def trace(cls) -> "Forms":
        return cls(lambda g, h: (g * h).sum(-2, keepdim=True))


def triples(d: int, device: torch.device) -> Tensor:
    """Returns all directions i <= j <= k, (3, number of them), in the order in which they are packed."""
    return torch.combinations(torch.arange(d, device=device), 3, with_replacement=True).T


def pair_numbers(d: int, device: torch.device) -> Tensor:
    """Returns the (d, d) positions of pairs of directions in the packed order, that of `torch.triu_indices`."""
    i, j = torch.triu_indices(d, d, device=device)
    numbers = torch.empty(d, d, dtype=torch.long, device=device)
    numbers[i, j] = numbers[j, i] = torch.arange(i.numel(), device=device)
    return numbers


def propagate(model: Layered, x: Tensor, seed: Tensor | None, order: int, forms: Forms) -> list[Tensor]:
    """Returns the state after the last layer.

    Args:
        model: the network.
        x: (batch, input) points.
        seed: (batch, direction, input), the directions; None for the inputs themselves.
        order: highest derivative.
        forms: how second and third derivatives are stored.
    """
    if seed is None:
        # The same for all samples: kept without a batch axis, which saves most of the work of the first layer.
        seed = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    state: list[Tensor | None] = [x, seed, None, None][: order + 1]
    if model.spec.features != model.spec.inputs:
        state = _features(model, x, seed, order, forms)
    for layer in model.layers:
        state = _nodes(layer, _subnodes(layer, state, forms), forms)
    return [part for part in state if part is not None]


def _subnodes(layer: JetLayer, state: list[Tensor | None], forms: Forms) -> list[Tensor]:
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


def _nodes(layer: JetLayer, state: list[Tensor], forms: Forms) -> list[Tensor | None]:
    state = _affine(state, layer.subnode_scale, layer.subnode_bias)
    if layer.spec.arities:
        factors = [[part[..., i : i + 1] for part in state] for i in range(layer.spec.n_subnodes)]
        nodes = [reduce(lambda a, b: _product(a, b, forms), [factors[i] for i in group]) for group in layer.spec.groups]
        state = [torch.cat([node[r] for node in nodes], -1) for r in range(len(state))]
    return [*_affine(state, layer.node_scale, layer.node_bias)]


def _affine(state: list[Tensor], scale: Tensor, bias: Tensor) -> list[Tensor]:
    return [torch.addcmul(bias, state[0], scale), *(part * scale for part in state[1:])]


def _product(a: list[Tensor], b: list[Tensor], forms: Forms) -> list[Tensor]:
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


def _features(model: Layered, x: Tensor, seed: Tensor, order: int, forms: Forms) -> list[Tensor | None]:
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
        a, b, c = triples(third.shape[1], x.device)
        found.append(third[:, a, b, c])
    return found


def _slope(column: Tensor, point: Tensor) -> Tensor:
    if not column.requires_grad:
        return torch.zeros_like(point)
    (slope,) = torch.autograd.grad(column.sum(), point, create_graph=True, allow_unused=True)
    return torch.zeros_like(point) if slope is None else slope
