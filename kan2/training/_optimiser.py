"""Which optimiser trains, and with what settings."""

from collections.abc import Callable
from dataclasses import dataclass

from kan2.core.network import Network
from kan2.errors import TrainingError, unknown_name
from kan2.options import whole
from kan2.training.first_order import FirstOrder
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.problem import Problem
from kan2.training.solver import Solver

DEFAULT_STEPS = {"LM": 200, "LBFGS": 200, "Adam": 1000}


@dataclass(frozen=True)
class Optimiser:
    """The choice of an optimiser.

    Attributes:
        name: "LM", "LBFGS" or "Adam".
        lr: learning rate of LBFGS and Adam, or a map from the number of a step to it; None for its own.
        batch: samples a step for LBFGS and Adam; None for all.
        seed: seed of the generator that draws batches.
    """

    name: str
    lr: float | Callable[[int], float] | None = None
    batch: int | None = None
    seed: int = 0

    @classmethod
    def of(
        cls, opt: str, lr: float | Callable[[int], float] | None = None, batch: int | None = None, seed: int = 0
    ) -> "Optimiser":
        """Reads the name in upper or lower case.

        Raises:
            UnknownNameError: no such optimiser.

        Example:
            >>> Optimiser.of("adam").name
            'Adam'
        """
        for known in DEFAULT_STEPS if isinstance(opt, str) else ():
            if opt.lower() == known.lower():
                return cls(known, lr, batch, seed)
        raise unknown_name("fit", "optimiser", opt, DEFAULT_STEPS)

    def steps(self, steps: int | None) -> int:
        """Returns the number of steps, checked; the optimiser's own default for None.

        Raises:
            TrainingError: it is not a whole number of 0 or more.
        """
        if steps is None:
            return DEFAULT_STEPS[self.name]
        return whole("fit", "steps", steps, 0, error=TrainingError)

    def solver(self, work: Network, problem: Problem) -> Solver:
        """Returns a solver that trains a network in place."""
        if self.name == "LM":
            return LevenbergMarquardt(work, problem)
        return FirstOrder(work, problem, self.name, self.lr, self.batch, self.seed)
