"""Units of measure: what training does so that its result does not depend on them.

An untrained network begins where its samples are: its grids lie on the columns, its base functions see the range of
every column as [-1, 1], and its outputs vary like the targets. While a network trains, units of outputs stand in
the scales of its last nodes, so that all weights are of ordinary size; at the end they go back into the weights. That
scale is a power of two, which costs no digit.

Reference: LeCun, Bottou, Orr, Müller, Efficient BackProp (1998), section 4.3.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite, nan
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.layer import KANLayer
from kan2.core.network import Network
from kan2.training.losses import CallableLoss, CrossEntropy, Loss, SquaredError
from kan2.training.spread import moments, robust_moments

Units: TypeAlias = tuple[Loss, tuple[Tensor, Tensor] | None]

SAME = 1e-6  # change of a loss, as a share of it, from which outputs move it
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


def measured(loss: Loss, y: Float[Tensor, "batch column"], n_output: int, weight: Tensor | None = None) -> Units:
    """Returns a loss in the units of the outputs, with their means and units; None where outputs have none.

    Outputs are measured in the unit of the targets where a loss sees their difference alone, or where it is a power of
    the unit, as relative errors are. Whoever passes such a loss that is not squares may have outliers: there the unit
    is a robust one.

    Args:
        loss: as it was passed to `fit`.
        y: targets, as the loss reads them.
        n_output: number of outputs.
        weight: (batch,) non-negative weights, or None.
    """
    if isinstance(loss, CrossEntropy) or y.shape[1] != n_output:
        return loss, None
    if not isinstance(loss, CallableLoss):
        units = moments(y, weight)
        return SquaredError(units[1]), units
    units = robust_moments(y)
    return (replace(loss, units=units[1]), units) if _sees_the_unit(loss, y, units[1]) else (loss, None)


@torch.no_grad()
def _sees_the_unit(loss: CallableLoss, y: Tensor, unit: Tensor) -> bool:
    # Whether outputs move the loss in this unit at all, and then with the targets, or in proportion to them.
    values = [_value(loss, y + step * unit, y) for step in (0.0, 0.3, 3.0)]
    if not all(map(isfinite, values)) or max(values) - min(values) <= SAME * max(map(abs, values)):
        return False
    moved = _value(loss, y + 1.3 * unit, y + unit)
    # Targets far from zero have few digits for differences.
    rounding = 64 * torch.finfo(y.dtype).eps * float((y.abs().amax(0) / unit).amax())
    if abs(values[1] - moved) <= (1e-9 + rounding) * abs(values[1]):
        return True
    near, far = (_value(loss, 2 * (y + step * unit), 2 * y) for step in (0.3, 3.0))
    return abs(near * values[2] - far * values[1]) <= 1e-9 * abs(near * values[2])


def _value(loss: CallableLoss, output: Tensor, y: Tensor) -> float:
    try:
        return float(loss.values(output, y)[0])
    except Exception:  # a loss that is defined for some targets only
        return nan
