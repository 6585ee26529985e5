"""Units of measure: what training does so that its result does not depend on them.

An untrained network begins where its samples are: its grids lie on the columns, its base functions see the range of
every column as [-1, 1], and its outputs vary like the targets. While a network trains, units of outputs stand in
the scales of its last nodes, so that all weights are of ordinary size; at the end they go back into the weights. That
scale is a power of two, which costs no digit.

Reference: LeCun, Bottou, Orr, Müller, Efficient BackProp (1998), section 4.3.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.layer import KANLayer
from kan2.core.network import Network
from kan2.training.losses import CallableLoss, CrossEntropy, Loss

START = 0.5  # spreads of the targets that random outputs vary by
# Of 96 starts so many end in a poor minimum, [2, 1, 1] on exp(sin(pi x) + y^2) and sin(3 (x - y^2)): 44 with 1, 32 with
# 0.5, 34 with 0.1; 38 without any scaling.


@torch.no_grad()
def begin_(
    work: Network, features: Float[Tensor, "batch feature"], units: tuple[Tensor, Tensor] | None, follows: bool
) -> None:
    """Puts an untrained network where its samples are, in place.

    Args:
        work: the network.
        features: what its first layer reads.
        units: mean and standard deviation of the targets; None where outputs are not measured like them.
        follows: whether grids follow the samples; otherwise they stay, and base functions see their ranges.
    """
    first, last = work.layers[0], work.layers[-1]
    if first.numeric is not None:
        if follows:
            first.place_(features)
        else:
            grid = first.numeric.basis.grid
            first.set_home_(grid[:, 0], grid[:, -1])
    if units is not None and last.numeric is not None:
        size, mean = _size_and_constant(last, *units)
        _multiply(last, size)
        last.node_bias.copy_(mean)


@torch.no_grad()
def begin_outputs_(candidate: Network, units: tuple[Tensor, Tensor] | None) -> None:
    """Gives random outputs the size of the targets, in units of the scales of the last nodes.

    Args:
        candidate: a network whose edges were drawn anew, see `ordinary_size`.
        units: mean and standard deviation of the targets; None where outputs are not measured like them.
    """
    last = candidate.layers[-1]
    if units is not None and last.numeric is not None:
        _multiply(last, _size_and_constant(last, *units)[0] / last.node_scale)


def _size_and_constant(last: KANLayer, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    # A product cannot take back a constant that is added to it.
    is_sum = torch.arange(last.spec.n_out, device=mean.device) < last.spec.n_sum
    size = START * torch.where(is_sum, spread, torch.hypot(mean, spread))
    return size, torch.where(is_sum, mean, 0.0)


@contextmanager
def ordinary_size(work: Network, spread: Float[Tensor, " output"] | None) -> Iterator[None]:
    """Within it, the units of the outputs stand in the scales of the last nodes.

    Args:
        work: trained in place meanwhile.
        spread: standard deviation of every output; None leaves the network as it is.
    """
    if spread is None:
        yield
        return
    size = 2.0 ** spread.log2().round()
    _multiply(work.layers[-1], 1 / size)
    with torch.no_grad():
        work.layers[-1].node_scale.mul_(size)
    try:
        yield
    finally:
        with torch.no_grad():
            work.layers[-1].node_scale.div_(size)
        _multiply(work.layers[-1], size)


@torch.no_grad()
def _multiply(layer: KANLayer, factor: Float[Tensor, " output"]) -> None:
    # Multiplies every node by way of the edges into it; those of the first factor, where it is a product.
    subnodes = layer.subnode_bias.new_ones(layer.spec.n_subnodes)
    subnodes[[group[0] for group in layer.spec.groups]] = factor
    if layer.numeric is not None:
        layer.numeric.weight.mul_(subnodes[:, None, None])
    if layer.symbolic is not None:
        layer.symbolic.affine[:, 2:].mul_(subnodes[layer.symbolic.target, None])
    layer.subnode_bias.mul_(subnodes)


def measures_outputs(loss: Loss, y: Float[Tensor, "batch column"], n_output: int) -> bool:
    """Tells whether outputs are measured in the unit of the targets: whether a loss sees their difference alone."""
    if isinstance(loss, CrossEntropy) or y.shape[1] != n_output:
        return False
    if not isinstance(loss, CallableLoss):
        return True
    try:
        with torch.no_grad():
            step = y.std(correction=0) + 1
            here, moved = loss.values(y + 0.3 * step, y)[0], loss.values(y + 1.3 * step, y + step)[0]
    except Exception:  # a loss that is defined for some targets only is not one of differences
        return False
    return bool(torch.isfinite(here)) and bool((here - moved).abs() <= 1e-9 * here.abs())
