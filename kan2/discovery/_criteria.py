"""What a network that is tried must satisfy, and with what means it may try."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.training.penalties import Penalty
from kan2.training.refit import refit
from kan2.training.spread import rmse

HOPELESS = 10.0  # how far above the limit a trial may be after a few steps before it is given up


@dataclass(frozen=True)
class Criteria:
    """The terms of a search for a smaller or simpler network; errors are in spreads of the targets.

    Attributes:
        data: training samples with targets, those of the surrogate where something else than squares was trained.
        limit: the largest training error that is accepted, root mean square.
        steps: training steps for each network that is tried.
        sample_weight: (batch,) non-negative weights, or None.
        penalty: that of the last fit.
        library: names of the functions to try; None for `functions.DEFAULT_LIBRARY`.
        weight_simple: how many decades of 1 - R2 one unit of complexity must buy; None for the default.
        tries: how many functions are tried on an edge.
        accuracy: how well the targets can be trusted, as a share of them.
    """

    data: Dataset
    limit: float
    steps: int
    sample_weight: Any = None
    penalty: Penalty = field(default_factory=Penalty)
    library: Sequence[str] | None = None
    weight_simple: float | None = None
    tries: int = 4
    accuracy: float = 0.0

    def error(self, model: Network) -> float:
        """Returns the training error of a network as it is."""
        return rmse(model, self.data, self.sample_weight)

    def refit(self, model: Network, hopeless: float | None = None) -> float:
        """Trains a network in place and returns its error.

        Args:
            model: trained in place.
            hopeless: error after a few steps above which it is given up; by default ten times the limit.
        """
        hopeless = HOPELESS * self.limit if hopeless is None else hopeless
        return self._refit(model, self.steps, hopeless)

    def refit_to_the_end(self, model: Network, steps: int) -> float:
        """Trains a network in place for as long as it gains, and returns its error."""
        return self._refit(model, steps, inf)

    def _refit(self, model: Network, steps: int, hopeless: float) -> float:
        return refit(model, self.data, steps, self.sample_weight, penalty=self.penalty, hopeless=hopeless)
