"""What the training loop needs of an optimiser, so that it need not know which one it has."""

from typing import Any, Protocol

from kan2.training.problem import Evaluation


class Solver(Protocol):
    """An optimiser of one network on one problem.

    Attributes:
        evaluation: the objective where the network is; for solvers that draw batches, before the last step.
        message: why `step` returned False.
        lowers: whether every step lowers the objective of all samples, so that a small fall means convergence.
        damping: Marquardt's parameter, for the record; None for solvers without.
    """

    evaluation: Evaluation
    message: str
    lowers: bool

    @property
    def damping(self) -> float | None: ...

    def begin_stage(self) -> None:
        """Gets ready for another grid, whose landscape is another one."""

    def restart(self) -> None:
        """Reads the network anew, after it has changed from outside."""

    def step(self) -> bool:
        """Makes one step; returns False if there is none to make."""
        ...

    def finish(self) -> bool:
        """Makes sure that `evaluation` is where the network is; returns whether it was not."""
        ...

    def state(self) -> dict[str, Any]:
        """Returns what a later run needs, beside the network, to go on exactly here."""
        ...

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes over what `state` returned."""
