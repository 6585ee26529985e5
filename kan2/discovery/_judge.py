"""Whether a network that was found explains as much as the one it replaces: on samples that neither has seen.

The samples kept aside are the test samples of the data, or else a fifth of the rows; without these, copies of both
networks are trained for a few more steps before they are compared. A residual has no rows to keep aside: it is compared
at its own points. What is compared is the loss that was trained, sample by sample.
"""

import copy
from dataclasses import replace
from functools import cached_property

import torch

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.training.objective import LossDifference, Objective
from kan2.training.refit import train_on

KEPT_ASIDE = 0.2  # share of the rows
FEWEST = 30  # rows below which all are compared, since a fifth of them says nothing
STEPS = 20  # of training without the rows kept aside


class Judge:
    """Compares networks with the one they are to replace.

    Args:
        model: the network to replace; left as it is.
        data: the samples it was trained on.
        objective: what it was trained for.
        tolerance: difference of the mean loss that means nothing; of squares, in units of the spread of each output.
    """

    def __init__(self, model: Network, data: Dataset, objective: Objective, tolerance: float = 0.0) -> None:
        self.data, self.objective, self.tolerance = data, objective, tolerance
        self.held, self.held_objective = data, objective
        self.rest: tuple[Dataset, Objective] | None = None
        if objective.residual is None and data.X_test is not None and data.y_test is not None:
            self.held = replace(data, X=data.X_test, y=data.y_test, X_test=None, y_test=None)
            self.held_objective = replace(objective, sample_weight=None)
        elif objective.residual is None and len(data) >= FEWEST:
            self._split(data)
        self._model = model

    @cached_property
    def before(self) -> Network:
        """The network to replace, trained without the samples kept aside."""
        return self._without_rows_kept_aside(self._model)

    def is_worse(self, model: Network) -> bool:
        """Tells whether a network explains less, beyond noise and a small share; it is left as it is."""
        return self.difference(model).is_worse(self.tolerance)

    def difference(self, model: Network) -> LossDifference:
        """Returns by how much more a network loses than the one it is to replace."""
        return self.held_objective.compare(self.before, self._without_rows_kept_aside(model), self.held)

    def _split(self, data: Dataset) -> None:
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).to(data.X.device)
        if (weight := self.objective.sample_weight) is not None:
            # Samples that do not count cannot judge.
            counts = weight.to(data.X.device)[order] > 0
            order = torch.cat([order[counts], order[~counts]])
            n_held = round(KEPT_ASIDE * int(counts.sum()))
        else:
            n_held = round(KEPT_ASIDE * len(data))
        if n_held:
            held, rest = order[:n_held].sort().values, order[n_held:].sort().values
            self.held, self.held_objective = _rows(data, held), self.objective.rows(held)
            self.rest = _rows(data, rest), self.objective.rows(rest)

    def _without_rows_kept_aside(self, model: Network) -> Network:
        model = copy.deepcopy(model)
        if self.rest is not None:
            train_on(model, *self.rest, STEPS, update_grid=False)
        return model


def _rows(data: Dataset, rows: torch.Tensor) -> Dataset:
    return replace(data, X=data.X[rows], y=data.y[rows], X_test=None, y_test=None)
