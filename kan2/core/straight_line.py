"""Frozen symbolic networks as straight-line programs: one tensor operation after the other, none that does nothing.

A layer evaluates all its terms at once, which is right for training; for a small network of symbolic edges on a large
batch most of that is moving data. Where no number of the network wants a gradient, `Columns` unrolls it: what is the
identity (a = 1, b = 0, one factor, ...) is left out, and every other operation works on one contiguous column.
Gradients flow to the inputs. The numbers are looked up at every call, so that a changed number is never missed.

Reference: Griewank, Walther, Evaluating Derivatives (2008), section 2.2.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kan2 import functions
from kan2.core.bases.base import in_transform
from kan2.core.layer import KANLayer
from kan2.core.spec import LayerSpec

MAX_TERMS = 128
"""Beyond this many terms, one operation for all of them is quicker than many small ones."""


def can_unroll(layers: Iterable[KANLayer]) -> bool:
    """Tells whether layers are symbolic, small, on the CPU, and no number of them wants a gradient."""
    n_terms, with_gradient = 0, torch.is_grad_enabled()
    for layer in layers:
        if layer.numeric is not None or layer._forward_hooks or layer._forward_pre_hooks:
            return False
        own, symbolic = layer.node_scale, layer.symbolic
        if type(own) is not nn.Parameter or own.device.type != "cpu":
            return False
        if with_gradient and any(p is not None and p.requires_grad for p in layer._parameters.values()):
            return False
        if symbolic is not None and with_gradient and symbolic.wants_gradient:
            return False
        n_terms += len(layer.spec.terms)
    return n_terms <= MAX_TERMS and not torch.compiler.is_compiling() and not in_transform()


def read_numbers(layers: Iterable[KANLayer]) -> list[list[list[Any]]]:
    """Returns the numbers of each layer: affine and shape of its terms, then scales and biases of its nodes."""
    return [_numbers(layer.symbolic) + _numbers(layer) for layer in layers]


def _numbers(module: nn.Module | None) -> list[list[Any]]:
    # Not by attribute: a look-up through nn.Module takes longer than reading the numbers.
    return [[], []] if module is None else [p.tolist() for p in module._parameters.values() if p is not None]


_ODD_POLES = ("1/x", "1/x^3", "csch", "coth")
"""Functions whose value at 0 is an infinity that takes the sign of the zero."""


@dataclass(frozen=True)
class _Term:
    source: int
    function: Callable[[Tensor], Tensor] | None
    a: float
    b: float
    c: float


@dataclass(frozen=True)
class _Sum:
    terms: tuple[_Term, ...]
    scale: float
    bias: float

    def __call__(self, columns: list[Tensor]) -> Tensor:
        total: Tensor | None = None
        for term in self.terms:
            u = _affine(columns[term.source], term.a, term.b)
            value = u if term.function is None else term.function(u)
            total = _affine(value, term.c, 0.0) if total is None else torch.add(total, value, alpha=term.c)
        return torch.full_like(columns[0], self.bias) if total is None else _affine(total, self.scale, self.bias)


@dataclass(frozen=True)
class _Node:
    first: _Sum
    factors: tuple[_Sum, ...]
    divisors: tuple[_Sum, ...]
    scale: float
    bias: float
    is_denominator: bool = False

    def __call__(self, columns: list[Tensor]) -> Tensor:
        value = self.first(columns)
        for factor in self.factors:
            value = value * factor(columns)
        for divisor in self.divisors:
            value = value / divisor(columns)
        value = _affine(value, self.scale, self.bias)
        # -0.0, which products of zeros and negative numbers give, would have the infinity of the wrong sign.
        return value + 0.0 if self.is_denominator else value


class Columns:
    """Symbolic layers, unrolled for evaluation with the numbers they had.

    Args:
        layers: layers for which `can_unroll` holds.
        numbers: what `read_numbers` gives for them.

    Example:
        >>> import kanpiler
        >>> layers = kanpiler.compile("x*sin(y) + 1").layers
        >>> Columns(layers, read_numbers(layers))(torch.tensor([[2.0, 0.0]]))
        tensor([[1.]])
    """

    def __init__(self, layers: Iterable[KANLayer], numbers: list[list[list[Any]]]) -> None:
        self.numbers, self.specs = numbers, [layer.spec for layer in layers]
        self.revision = functions.revision()
        self.layers = [_unroll(spec, *values) for spec, values in zip(self.specs, numbers)]
        for nodes, spec in zip(self.layers, self.specs[1:]):
            for i in {term.source for term in spec.terms if term.function in _ODD_POLES}:
                nodes[i] = replace(nodes[i], is_denominator=True)

    def serves(self, layers: Iterable[KANLayer], numbers: list[list[list[Any]]]) -> bool:
        """Tells whether layers with these numbers are those that were unrolled."""
        is_same = self.numbers == numbers and self.specs == [layer.spec for layer in layers]
        return is_same and self.revision == functions.revision()

    def __call__(self, x: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch node"]:
        given = columns = list(x.unbind(-1))
        for nodes in self.layers:
            columns = [node(columns) for node in nodes]
        # An output that is an input shares no memory with it.
        is_new = len(columns) == 1 and all(columns[0] is not column for column in given)
        return columns[0].unsqueeze(-1) if is_new else torch.stack(columns, -1)


_KEPT: WeakKeyDictionary[nn.ModuleList, Columns] = WeakKeyDictionary()
"""What was unrolled last for the layers of a network that lives: a memo, of which the network itself knows nothing."""


def unrolled(layers: nn.ModuleList) -> Columns:
    """Returns the layers of a network, for which `can_unroll` holds, unrolled with the numbers they have now."""
    numbers, kept = read_numbers(layers), _KEPT.get(layers)  # type: ignore[arg-type]
    if kept is None or not kept.serves(layers, numbers):  # type: ignore[arg-type]
        kept = _KEPT[layers] = Columns(layers, numbers)  # type: ignore[arg-type]
    return kept


def _unroll(spec: LayerSpec, affine: list[list[float]], shapes: list[float], *affines: list[float]) -> list[_Node]:
    subnode_scale, subnode_bias, node_scale, node_bias = affines
    terms: list[list[_Term]] = [[] for _ in range(spec.n_subnodes)]
    constants = [0.0] * spec.n_subnodes
    for term, (a, b, c, d), p in zip(spec.terms, affine, shapes):
        terms[term.target].append(_Term(term.source, _function(term.function, p), a, b, c))
        constants[term.target] += d
    sums = [_Sum(tuple(t), s, s * d + b) for t, d, s, b in zip(terms, constants, subnode_scale, subnode_bias)]
    return [_node([sums[i] for i in g], s, b) for g, s, b in zip(spec.groups, node_scale, node_bias)]


def _node(factors: list[_Sum], scale: float, bias: float) -> _Node:
    """Divides by the argument of a reciprocal, rather than multiply by the reciprocal."""
    first, *others = sorted(factors, key=_is_reciprocal)
    divisors = [replace(f, terms=(replace(f.terms[0], function=None),)) for f in others if _is_reciprocal(f)]
    return _Node(first, tuple(f for f in others if not _is_reciprocal(f)), tuple(divisors), scale, bias)


def _is_reciprocal(factor: _Sum) -> bool:
    is_bare = len(factor.terms) == 1 and factor.terms[0].c == factor.scale == 1.0 and factor.bias == 0.0
    return is_bare and factor.terms[0].function is functions.get("1/x").torch


def _function(name: str, shape: float) -> Callable[[Tensor], Tensor] | None:
    row = functions.get(name)
    if row.name == "x":
        return None
    if row.shape is None:
        return row.torch
    return partial(torch.pow, exponent=shape) if row.name == "power" else partial(row, p=shape)


def _affine(u: Tensor, scale: float, bias: float) -> Tensor:
    if bias == 0.0:
        return u if scale == 1.0 else u * scale
    if scale == -1.0:
        return bias - u
    return u + bias if scale == 1.0 else u * scale + bias
