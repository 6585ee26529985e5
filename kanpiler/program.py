"""A symbolic network as a straight-line program: one tensor operation after the other, and nothing that does nothing.

A layer evaluates all its terms at once, which is right for training; for a small compiled network on a large batch most
of that is moving data. A `Program` works on columns, skips what is the identity (a = 1, b = 0, one factor, ...), and
holds the numbers as they were when it was made. Gradients flow to the inputs, not to the numbers.

Reference: funsor, `funsor.ops.program`, for the same idea on probabilistic programs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add, mul
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import MultKAN, functions
from kanpiler.errors import CompileError


@dataclass(frozen=True)
class _Term:
    source: int
    function: Callable[[Tensor], Tensor]
    a: float
    b: float
    c: float

    def __call__(self, columns: list[Tensor]) -> Tensor:
        u = columns[self.source]
        return _affine(self.function(_affine(u, self.a, self.b)), self.c, 0.0)


@dataclass(frozen=True)
class _Node:
    factors: tuple[tuple[tuple[_Term, ...], float, float], ...]
    scale: float
    bias: float

    def __call__(self, columns: list[Tensor]) -> Tensor:
        values = []
        for terms, scale, bias in self.factors:
            total = reduce(add, (term(columns) for term in terms)) if terms else torch.zeros_like(columns[0])
            values.append(_affine(total, scale, bias))
        return _affine(reduce(mul, values), self.scale, self.bias)


class Program:
    """A symbolic network, unrolled for evaluation.

    Args:
        network: all its edges are symbolic.

    Raises:
        CompileError: some edges are splines, or the network has auxiliary variables.

    Example:
        >>> import kanpiler
        >>> program = Program(kanpiler.compile("x*sin(y) + 1"))
        >>> program(torch.tensor([[2.0, 0.0]]))
        tensor([[1.]])
    """

    def __init__(self, network: MultKAN) -> None:
        if any(edge.is_numeric for edge in network.spec.edges()) or network.spec.features != network.spec.inputs:
            raise CompileError("Program: expected a network of symbolic edges without auxiliary variables, got others.")
        self.n_inputs = len(network.spec.inputs)
        self.layers = [_unroll(layer) for layer in network.layers]

    def __call__(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch output"]:
        """Evaluates the program on (..., inputs)."""
        if x.shape[-1] != self.n_inputs:
            raise CompileError(f"Program: expected {self.n_inputs} columns, got shape {tuple(x.shape)}.")
        columns = list(x.unbind(-1))
        for nodes in self.layers:
            columns = [node(columns) for node in nodes]
        return columns[0].unsqueeze(-1) if len(columns) == 1 else torch.stack(columns, -1)


def _unroll(layer: Any) -> list[_Node]:
    spec = layer.spec
    terms: list[list[_Term]] = [[] for _ in range(spec.n_subnodes)]
    constants = [0.0] * spec.n_subnodes
    if spec.terms:
        affine, shapes = layer.symbolic.affine.tolist(), layer.symbolic.shape.tolist()
        for term, (a, b, c, d), p in zip(spec.terms, affine, shapes):
            terms[term.target].append(_Term(term.source, _function(term.function, p), a, b, c))
            constants[term.target] += d
    scale, bias = layer.subnode_scale.tolist(), layer.subnode_bias.tolist()
    factors = [(tuple(t), s, s * d + b) for t, s, d, b in zip(terms, scale, constants, bias)]
    ends = zip(spec.groups, layer.node_scale.tolist(), layer.node_bias.tolist())
    return [_Node(tuple(factors[i] for i in group), s, b) for group, s, b in ends]


def _function(name: str, shape: float) -> Callable[[Tensor], Tensor]:
    row = functions.get(name)
    if row.shape is None:
        return row.torch
    if name == "power":
        return lambda u: u.pow(shape)
    return lambda u: row(u, shape)


def _affine(u: Tensor, scale: float, bias: float) -> Tensor:
    if scale == -1.0 and bias != 0.0:
        return bias - u
    if scale != 1.0:
        u = u * scale
    return u + bias if bias != 0.0 else u
