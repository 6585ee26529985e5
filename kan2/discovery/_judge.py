"""Whether a network that was found explains as much as the one it replaces: on samples that neither has seen.

The samples kept aside are the test samples of the data. Without these, a fifth of the rows is kept aside in turn until
each has been (of many rows one fifth is enough), and copies of both networks are trained for a few more steps on the
others. A residual has no rows to keep aside: it is compared at its own points. What is compared is the loss that was
trained, sample by sample.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.training.objective import LossDifference, Objective
from kan2.training.refit import train_on

FOLDS = 5
MANY = 3000  # rows of which one fold tells enough
FEWEST = 30  # rows, by weight, below which all are compared as they are: the others would not do to train on
STEPS = 10  # of training without the rows kept aside


class Judge:
    """Compares networks with the one they are to replace.

    Args:
        model: the network to replace; left as it is.
        data: the samples it was trained on.
        objective: what it was trained for.
        tolerance: difference of the mean loss that means nothing; of squares, in units of the spread of each output.
    """

    def __init__(self, model: Network, data: Dataset, objective: Objective, tolerance: float = 0.0) -> None:
        self.data, self.objective, self.tolerance, self._model = data, objective, tolerance, model

    def is_worse(self, model: Network) -> bool:
        """Tells whether a network explains less, beyond noise and a small share; it is left as it is."""
        return self.difference(model).is_worse(self.tolerance)

    def difference(self, model: Network) -> LossDifference:
        """Returns by how much more a network loses than the one it is to replace."""
        return LossDifference.of(self._before, self._values(model), self._constant, self._weight)

    @property
    def explained(self) -> float:
        """What the network to replace gains over a constant, on the samples kept aside."""
        return LossDifference.of(self._before, self._before, self._constant, self._weight).explained

    @cached_property
    def _before(self) -> Tensor:
        return self._values(self._model)

    @cached_property
    def _constant(self) -> Tensor:
        return torch.cat([objective.constant_values(self._model, held) for held, objective, _ in self._folds()])

    @cached_property
    def _weight(self) -> Tensor | None:
        weights = [objective.sample_weight for _, objective, _ in self._folds()]
        return None if weights[0] is None else torch.cat(weights)

    def _values(self, model: Network) -> Tensor:
        values = []
        for held, objective, rest in self._folds():
            work = model
            if rest is not None:
                work = copy.deepcopy(model)
                train_on(work, _rows(self.data, rest), self.objective.rows(rest), STEPS, update_grid=False)
            values.append(objective.values(work, held))
        return torch.cat(values)

    def _folds(self) -> Iterator[tuple[Dataset, Objective, Tensor | None]]:
        # Samples kept aside, the objective on them, and the rows to train on, where there is something to train.
        data, objective = self.data, self.objective
        if objective.residual is not None:
            yield data, objective, None
        elif data.X_test is not None and data.y_test is not None:
            held = replace(data, X=data.X_test, y=data.y_test, X_test=None, y_test=None)
            yield held, replace(objective, sample_weight=None), None
        elif len(parts := self._parts()) == 1:
            yield data, objective, None
        else:
            for i in range(FOLDS if len(data) < MANY else 1):
                held = parts[i].sort().values
                rest = torch.cat([*parts[:i], *parts[i + 1 :]]).sort().values
                yield _rows(data, held), objective.rows(held), rest

    def _parts(self) -> Sequence[Tensor]:
        order = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(0)).to(self.data.X.device)
        count = float(len(order))
        if (weight := self.objective.sample_weight) is not None:
            order = order[weight.to(order.device)[order] > 0]  # samples that do not count cannot judge
            count = float(weight.sum())  # as in training: a row of weight 2 is the same row twice
        return [order] if count < FEWEST or len(order) < 2 * FOLDS else order.tensor_split(FOLDS)


def _rows(data: Dataset, rows: Tensor) -> Dataset:
    return replace(data, X=data.X[rows], y=data.y[rows], X_test=None, y_test=None)
