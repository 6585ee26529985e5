"""A KAN layer by loops over edges and products: slow and obvious."""

from math import prod

import torch
from reference.base_reference import slow_base

from kan2 import functions
from kan2.core.layer import KANLayer


def slow_forward(layer: KANLayer, x: torch.Tensor) -> torch.Tensor:
    """Returns the nodes of a layer for (batch, source) inputs."""
    spec = layer.spec
    subnodes = [torch.zeros_like(x[:, 0]) for _ in range(spec.n_subnodes)]
    if layer.numeric is not None:
        base = slow_base(layer.numeric, x) if layer.numeric.has_base else None
        basis = layer.numeric.basis(x)
        for target, source in spec.numeric_pairs:
            weight = layer.numeric.weight[target, source]
            if base is not None:
                subnodes[target] = subnodes[target] + weight[0] * base[:, source]
                weight = weight[1:]
            for i in range(len(weight)):
                subnodes[target] = subnodes[target] + weight[i] * basis[:, source, i]
    for i, term in enumerate(spec.terms):
        a, b, c, d = layer.symbolic.affine[i]
        value = functions.get(term.function)(a * x[:, term.source] + b, layer.symbolic.shape[i])
        subnodes[term.target] = subnodes[term.target] + c * value + d
    subnodes = [layer.subnode_scale[i] * s + layer.subnode_bias[i] for i, s in enumerate(subnodes)]
    nodes = [prod(subnodes[i] for i in group) for group in spec.groups]
    return torch.stack([layer.node_scale[i] * n + layer.node_bias[i] for i, n in enumerate(nodes)], 1)
