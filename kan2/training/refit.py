"""A few more training steps after an edit, and the error that is left.

What decides by trying, such as pruning and symbolification, calls `refit` for every network that it tries.
"""

from dataclasses import replace
from math import inf, isfinite, sqrt
from typing import Any

import torch
from torch import Tensor

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.errors import TrainingError
from kan2.interrupts import Interruptible
from kan2.training.fit import fit
from kan2.training.history import History


def refit(
    model: Network, data: Dataset, steps: int, sample_weight: Any = None, *, hopeless: float = inf, patience: int = 6
) -> float:
    """Trains in place for a few steps and returns the error, root mean square; infinity where it cannot start.

    Args:
        model: trained in place.
        data: training samples.
        steps: largest number of steps.
        sample_weight: (batch,) non-negative weights.
        hopeless: training is given up if the error is above this after `patience` steps.
        patience: see `hopeless`.

    Raises:
        KeyboardInterrupt: on Ctrl-C, since an error from half a training would be taken for that of a whole one.
    """

    def give_up(_: Network, history: History) -> bool:
        return len(history) > patience and history.rmse is not None and history.rmse > hopeless

    try:
        with Interruptible():
            data = replace(data, X_test=None, y_test=None)
            # A network that fits already would lose by a move of its grids what made it fit.
            fits = isfinite(hopeless) and rmse(model, data, sample_weight) <= hopeless
            fit(
                model,
                data,
                steps=steps,
                sample_weight=sample_weight,
                tolerance=1e-2,
                callbacks=(give_up,),
                update_grid=not fits,
            )
    except TrainingError:
        return inf
    return rmse(model, data, sample_weight)


@torch.no_grad()
def rmse(model: Network, data: Dataset, sample_weight: Any = None) -> float:
    """Returns the root mean square error, weighted if asked."""
    return weighted_rms(model(data.X) - data.y, sample_weight)


def weighted_rms(values: Tensor, sample_weight: Any = None) -> float:
    """Returns the root mean square of (batch, output) values, weighted by samples if asked."""
    square = values**2
    if sample_weight is not None:
        weight = torch.as_tensor(sample_weight, dtype=square.dtype, device=square.device)
        square = square * (weight / weight.mean())[:, None]
    return sqrt(float(square.mean()))
