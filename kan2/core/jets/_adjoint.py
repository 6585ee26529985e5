"""Hessians of networks with few outputs: gradients carried forward, adjoints carried back.

With G the gradient of the nodes that a layer reads and w the *adjoint* of its subnodes, the derivative of the output
with respect to them, the layer's edges add G' diag(c) G to the Hessian, where c_s sums w_t phi''[t, s] over targets.
So no second derivative of a node is ever formed; the work is that of a few gradients for each output.

Reference: Gower, Mello, A new framework for the computation of Hessians (2012), doi:10.1080/10556788.2011.580098.
"""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.jets._forward import JetLayer, Layered


@dataclass(frozen=True)
class _Record:
    # One layer on its way forward. The gradient of the inputs themselves is None, the identity.
    layer: JetLayer
    inputs: Float[Tensor, "batch source"]
    gradient: Float[Tensor, "batch input source"] | None
    slopes: Float[Tensor, "batch target source"]
    subnodes: Float[Tensor, "batch subnode"]
    subnode_gradient: Float[Tensor, "batch input subnode"]


def hessian_of_few_outputs(
    model: Layered, x: Float[Tensor, "batch input"]
) -> tuple[
    Float[Tensor, "batch output"], Float[Tensor, "batch output input"], Float[Tensor, "batch output input input"]
]:
    """Returns value, gradient and Hessian of a network without auxiliary variables."""
    records: list[_Record] = []
    nodes, gradient = x, None
    for layer in model.layers:
        record = _forward(layer, nodes, gradient)
        records.append(record)
        nodes, gradient = _nodes(record)
    hessians = []
    for output in range(nodes.shape[1]):
        adjoint = torch.zeros_like(nodes)
        adjoint[:, output] = 1
        hessian = x.new_zeros(x.shape[0], x.shape[1], x.shape[1])
        for record in reversed(records):
            adjoint, added = _backward(record, adjoint)
            hessian = hessian + added
        hessians.append(hessian)
    assert gradient is not None
    return nodes, gradient.mT, torch.stack(hessians, 1)


def _forward(layer: JetLayer, nodes: Tensor, gradient: Tensor | None) -> _Record:
    slopes = layer.edge_derivatives(nodes, 1)[0]
    carried = slopes.mT if gradient is None else gradient @ slopes.mT
    subnodes = torch.addcmul(layer.subnode_bias, layer.subnodes(nodes), layer.subnode_scale)
    return _Record(layer, nodes, gradient, slopes, subnodes, carried * layer.subnode_scale)


def _nodes(record: _Record) -> tuple[Tensor, Tensor]:
    layer, values, gradient = record.layer, record.subnodes, record.subnode_gradient
    if layer.spec.arities:
        n_sum = layer.spec.n_sum
        products, slopes = [], []
        for group in layer.spec.groups[n_sum:]:
            products.append(values[:, group].prod(1))
            others = torch.stack([_others(values, group, (i,)) for i in group], 1)
            slopes.append((gradient[..., group] * others[:, None]).sum(-1))
        values = torch.cat([values[:, :n_sum], torch.stack(products, 1)], 1)
        gradient = torch.cat([gradient[..., :n_sum], torch.stack(slopes, -1)], -1)
    return torch.addcmul(layer.node_bias, values, layer.node_scale), gradient * layer.node_scale


def _backward(record: _Record, adjoint: Float[Tensor, "batch node"]) -> tuple[Tensor, Tensor]:
    # The adjoint of what the layer reads, and what the layer adds to the Hessian.
    layer, values, gradient = record.layer, record.subnodes, record.subnode_gradient
    adjoint = adjoint * layer.node_scale
    curvature = None
    if layer.spec.arities:
        n_sum = layer.spec.n_sum
        columns = list(adjoint[:, :n_sum].unbind(1))
        for node, group in enumerate(layer.spec.groups[n_sum:], n_sum):
            columns += [adjoint[:, node] * _others(values, group, (i,)) for i in group]
            for n, i in enumerate(group):
                for j in group[n + 1 :]:
                    factor = adjoint[:, node] * _others(values, group, (i, j))
                    mixed = (factor[:, None] * gradient[..., i])[:, :, None] * gradient[:, None, :, j]
                    curvature = mixed + mixed.mT if curvature is None else curvature + mixed + mixed.mT
        adjoint = torch.stack(columns, 1)
    adjoint = adjoint * layer.subnode_scale
    bend = layer.source_derivative(record.inputs, adjoint, 2)
    if record.gradient is None:
        added = bend.diag_embed()
    else:
        added = (record.gradient * bend[:, None]) @ record.gradient.mT
    return (adjoint[:, None] @ record.slopes)[:, 0], added if curvature is None else added + curvature


def _others(values: Float[Tensor, "batch subnode"], group: tuple[int, ...], left_out: tuple[int, ...]) -> Tensor:
    rest = [values[:, i] for i in group if i not in left_out]
    return prod(rest[1:], start=rest[0]) if rest else torch.ones_like(values[:, 0])
