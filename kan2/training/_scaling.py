"""Scaling of inputs and outputs to zero mean and unit variance, folded into the network.

Scaled inputs become auxiliary variables, z = (x - mean) / deviation, which formulas resolve to the original names;
the scale of the outputs goes into the affine of the last nodes.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.network import Network
from kan2.errors import SpecError


def scale_inputs_(model: Network, x: Float[Tensor, "batch input"]) -> None:
    """Makes an untrained network read standardised inputs, in place.

    Raises:
        SpecError: the network has auxiliary variables already.
    """
    spec = model.spec
    if spec.auxiliary or spec.features != spec.inputs:
        raise SpecError(
            "fit: expected scale_inputs with a network without auxiliary variables. Scale the data instead."
        )
    means, deviations = _moments(x)
    names = tuple(f"{name}_scaled" for name in spec.inputs)
    texts = (f"({name} - ({m!r}))/{s!r}" for name, m, s in zip(spec.inputs, means.tolist(), deviations.tolist()))
    model.spec = replace(spec, features=names, auxiliary=tuple(zip(names, texts)))


@torch.no_grad()
def scale_outputs_(model: Network, y: Float[Tensor, "batch output"]) -> None:
    """Replaces the function f of an untrained network by mean + deviation f, in place."""
    means, deviations = _moments(y)
    last = model.layers[-1]
    last.node_scale.mul_(deviations)
    last.node_bias.mul_(deviations).add_(means)


def _moments(table: Tensor) -> tuple[Tensor, Tensor]:
    deviations = table.std(0, correction=0)
    return table.mean(0), torch.where(deviations > 0, deviations, torch.ones_like(deviations))
