"""Targets that are all equal are a formula already: the constant that they are."""

from dataclasses import replace

import torch

from kan2.core.data import Dataset
from kan2.core.network import AnyNetwork
from kan2.core.spec import LayerSpec, SymbolicTerm
from kan2.training.objective import Objective
from kan2.training.spread import CONSTANT, weighted_mean


@torch.no_grad()
def constant(model: AnyNetwork, data: Dataset, objective: Objective) -> AnyNetwork | None:
    """Returns a network of constants, which remembers data and objective; None where some target varies.

    Args:
        model: tells the inputs and outputs; left as it is.
        data: samples with targets.
        objective: squares; samples without weight do not count.
    """
    weight = objective.sample_weight
    y, counts = data.y, weight
    if weight is not None:
        counts = torch.as_tensor(weight, dtype=y.dtype, device=y.device)
        y, counts = y[counts > 0], counts[counts > 0]
    if bool((y.amax(0) - y.amin(0) > CONSTANT * y.abs().amax(0)).any()):
        return None
    # The mean of equal numbers may differ from them in its last digit.
    values = y[0] + weighted_mean(y - y[0], counts)
    terms = tuple(SymbolicTerm(i, 0, "0", "d") for i in range(len(values)))
    layer = LayerSpec(len(model.spec.features), len(values), numeric=(), terms=terms)
    found = (
        type(model)
        .from_spec(replace(model.spec, layers=(layer,)), dtype=model.like.dtype, device=model.like.device)
        .inherit_(model)
    )
    symbolic = found.layers[0].symbolic
    assert symbolic is not None
    symbolic.affine[:, 3] = values.to(symbolic.affine)
    found.is_fresh, found.data, found.objective = False, data, objective
    return found
