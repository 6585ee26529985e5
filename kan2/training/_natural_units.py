"""The natural units of a network's numbers, so that a solver works the same in metres and in light years.

In a term c f(a x + b) + d over x from 2000 to 2020, a and b can hardly be told apart: what the samples determine is
b' = b + a m, with the *centre* m of the samples, and a. And a number counts as small or large beside its *size*: a
beside 1 / (spread of x), b beside 1, d beside the spread of the subnode that it is added to. Where a is fixed, as in
c (x + b)^2, b has the unit of a x, and counts beside its spread.

Reference: Seber, Wild, Nonlinear Regression (1989), section 3.4.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kan2 import functions
from kan2.core.network import Network
from kan2.training._linearisation import LayerRecord, Linearisation
from kan2.training.parameters import ParameterVector, Slot

FAR = 4.0  # spreads between zero and the samples from which a term is centred; nearer, nothing is lost without it


@torch.no_grad()
def natural_centres(linearisation: Linearisation) -> list[Float[Tensor, " term"] | None]:
    """Returns for every layer the centre of each term's source; 0 where it is near, or where b may not follow a."""
    found: list[Tensor | None] = []
    for record in linearisation.records:
        terms = record.layer.symbolic
        if terms is None:
            found.append(None)
            continue
        mean, spread = record.inputs.mean(0), record.inputs.std(0, correction=0)
        is_far = (mean.abs() > FAR * spread)[terms.source] & _moves_along(record)
        found.append(torch.where(is_far & torch.isfinite(mean[terms.source]), mean[terms.source], 0.0))
    return found


def _moves_along(record: LayerRecord) -> Bool[Tensor, " term"]:
    # Whether b may follow a: it is free, or c stands for it, as in c exp(a x + b).
    terms = record.layer.symbolic
    assert terms is not None
    stands_in = [functions.get(term.function).gauge == "shift" for term in record.layer.spec.terms]
    free = terms.free
    return free[:, 0] & (free[:, 1] | (free[:, 2] & torch.tensor(stands_in, device=free.device)))


@torch.no_grad()
def natural_sizes(linearisation: Linearisation) -> Float[Tensor, " parameter"]:
    """Returns the size beside which a change of each number counts, > 0."""
    vector = linearisation.vector
    parts = [linearisation.output.new_ones(0)]
    for slot in vector.slots:
        record = linearisation.records[slot.layer]
        subnode = _spread(record.subnodes)
        if slot.kind == "weight":
            assert record.basis is not None
            parts.append(weight_sizes(vector, slot, record.subnodes, record.basis))
        elif slot.kind == "term":
            assert record.layer.symbolic is not None
            parts.append(_term_sizes(record, subnode)[record.layer.symbolic.free])
        elif slot.kind.endswith("scale"):
            parts.append(subnode.new_ones(slot.stop - slot.start))
        else:
            parts.append(subnode if slot.kind == "subnode_bias" else _spread(record.outputs))
    return torch.cat(parts)


@torch.no_grad()
def weight_sizes(
    vector: ParameterVector,
    slot: Slot,
    subnodes: Float[Tensor, "batch subnode"],
    features: Float[Tensor, "batch source feature"],
) -> Float[Tensor, " weight"]:
    """Returns the sizes of the weights of numeric edges, from the values of their layer."""
    target, source = vector.edge_pairs(slot)
    return (_spread(subnodes)[target, None] / _feature_sizes(features)[source]).flatten()


@torch.no_grad()
def term_units(model: Network, features: Float[Tensor, "batch feature"]) -> list[tuple[Tensor, Tensor]]:
    """Returns for the `affine` of every symbolic layer the sizes of its numbers, rounded to powers of two."""
    found = []
    for record in Linearisation(ParameterVector(model), features).records:
        terms = record.layer.symbolic
        if terms is not None:
            sizes = _term_sizes(record, _spread(record.subnodes))[:, :4]
            usable = torch.isfinite(sizes) & (sizes > 0)
            found.append((terms.affine, 2.0 ** torch.where(usable, sizes, 1.0).log2().round()))
    return found


def _term_sizes(record: LayerRecord, subnode: Tensor) -> Float[Tensor, "term 5"]:
    terms = record.layer.symbolic
    assert terms is not None
    f, target = record.term_values, subnode[terms.target]
    one, spread = torch.ones_like(target), _spread(record.inputs)[terms.source]
    shift = torch.where(terms.free[:, 0], one, terms.affine[:, 0].abs() * spread)
    sizes = [1 / spread, torch.where(shift > 0, shift, one), target / _spread(f), target, one]
    return torch.stack(sizes, -1)


def _feature_sizes(features: Float[Tensor, "batch source feature"]) -> Float[Tensor, "source feature"]:
    # Splines are at most 1; the base function far from its home is as large as what it reads.
    largest = features.abs().amax(0)
    return torch.where(torch.isfinite(largest), largest, 1.0).clamp_min(1.0)


def _spread(values: Float[Tensor, "batch column"]) -> Float[Tensor, " column"]:
    # What does not vary counts beside its neighbours, or beside its own magnitude.
    spread = values.std(0, correction=0)
    magnitude = values.abs().amax(0)
    varies = torch.isfinite(spread) & (spread > 1e-12 * magnitude)
    others = spread[varies].amax() if bool(varies.any()) else spread.new_ones(())
    still = torch.where(torch.isfinite(magnitude) & (magnitude > 0), magnitude, others)
    return torch.where(varies, spread, still)
