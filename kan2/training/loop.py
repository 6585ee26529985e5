"""The training loop: stages of finer and finer grids, each a sequence of solver steps.

After every step the loop lets grids follow the activations, records a row of history, looks at the validation loss,
calls the callbacks and decides whether to go on. A move of a grid may cost accuracy; the best state of a stage is
never lost to it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import Any, Protocol

import torch
from torch import Tensor

from kan2.core.data import Dataset
from kan2.core.layer import chunked
from kan2.core.network import Network
from kan2.errors import TrainingError
from kan2.training.first_order import FirstOrder
from kan2.training.grids import Snapshot, fit_grids_, holds, supported_grid
from kan2.training.history import History
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.problem import Evaluation, Problem

WINDOW = 5  # steps over which progress is measured
LARGEST_MOVES = 15  # moves of grids in one stage
REST = 3  # steps between two of them
LARGEST_IDLE = 2  # moves in one stage between which the objective has not fallen by a fifth
COARSE = 10  # how many times the tolerance before the last grid is the last one
GOOD_USAGE = 0.75  # the least share of a grid's range in use when a stage begins
FAIR_USAGE = 0.4  # the same between steps
WORTH = 0.8  # of two states of a network the one with the better place of its grids may have 1/0.8 of the objective
MARGIN_WORTH = 0.4  # the same where grids were given a margin
MARGIN = 0.01  # room at either end of a grid when a stage ends, as a share of its range
OVERHANG = 0.02  # how far activations may leave a grid between steps, as a share of its range

Callback = Callable[[Any, History], Any]
"""Called with the network and the history after each step."""


class Solver(Protocol):
    """What the loop needs of an optimiser."""

    evaluation: Evaluation
    message: str

    @property
    def damping(self) -> float | None: ...

    def restart(self) -> None: ...
    def step(self) -> bool: ...
    def state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Options:
    """How long the loop runs and what it watches.

    Attributes:
        steps: largest number of steps on each grid.
        tolerance: a stage ends when the objective falls by less than this share over `WINDOW` steps; ten times as much
            before the last grid. 0 never ends a stage early.
        update_grid: whether grids follow the activations.
        patience: steps without a lower validation loss after which training ends; None for no end.
        callbacks: called with the network and the history after each step; a true result ends training.
        after_step: called after each step, for progress bars and checkpoints.
    """

    steps: int
    tolerance: float = 1e-3
    update_grid: bool = True
    patience: int | None = None
    callbacks: Sequence[Callback] = ()
    after_step: Sequence[Callable[["Training"], None]] = ()


class Training:
    """One run of the loop.

    Attributes:
        work: the network, trained in place.
        history: one row a step.
    """

    def __init__(
        self,
        work: Network,
        problem: Problem,
        solver: Solver,
        options: Options,
        test: Dataset | None = None,
        validation: Problem | None = None,
    ) -> None:
        self.work, self.problem, self.options = work, problem, options
        self.test, self.validation = test, validation
        self.history = History()
        self.solver = solver
        self.stage, self.step_in_stage = 0, 0
        self.trail: list[float] = []
        self.n_moves, self.n_idle, self.last_move, self.is_settled = 0, 0, 0, False
        self.kept: tuple[float, Snapshot] | None = None
        self.best: tuple[float, int, Snapshot] | None = None
        self.start = time.perf_counter()

    def run(self, grids: Sequence[int | None]) -> None:
        """Goes through the stages; on an interrupt from the keyboard, keeps what has been reached."""
        try:
            for stage in range(self.stage, len(grids)):
                self.stage = stage
                if not len(self.trail) or not self.step_in_stage:
                    self._enter(grids[stage])
                go_on = self._train(is_last=self.stage == len(grids) - 1)
                self._leave()
                if not go_on:
                    break
        except KeyboardInterrupt:
            self.history.message = "interrupted"
            self._leave()
        if self.best is not None:
            self.best[2].restore_(self.work)

    def advance(self, steps: int) -> None:
        """Goes on for so many steps on the present grid."""
        self.options = replace(self.options, steps=self.step_in_stage + steps)
        self._train(is_last=True)

    @property
    def objective(self) -> float:
        """The lowest objective of the present stage."""
        present = self.solver.evaluation.objective
        present = present if isfinite(present) else float("inf")
        return present if self.kept is None else min(present, self.kept[0])

    def _enter(self, grid: int | None) -> None:
        features = self.problem.features
        if self.options.update_grid or grid is not None:
            # A grid that shall stay may be meant for more than these samples.
            grid = supported_grid(self.work, features, grid)
        before = Snapshot.of(self.work)
        moved = fit_grids_(self.work, features, grid, usage=GOOD_USAGE if self.options.update_grid else float("-inf"))
        if isinstance(self.solver, LevenbergMarquardt):
            self.solver.damping = min(self.solver.damping, 1e-2)
        self.solver.restart()
        if not isfinite(self.solver.evaluation.objective):
            raise TrainingError(
                f"fit: expected a finite loss at the start, got {self.solver.evaluation.objective}. A symbolic edge is "
                "probably outside its domain (see model.trace(X), or unfix it), or the loss is not defined there."
            )
        self.kept = self._known_better(before) if moved and grid is None else None
        self.trail = [self.solver.evaluation.objective]
        self.n_moves, self.n_idle, self.last_move, self.is_settled = 0, 0, 0, False
        if not len(self.history):
            self._record()

    def _known_better(self, before: Snapshot) -> tuple[float, Snapshot] | None:
        # A network that was trained before may lose to new grids what it had; then it keeps the old ones, or, where
        # these cannot hold the samples, the state it came with for the end of the stage.
        moved, objective = Snapshot.of(self.work), self.solver.evaluation.objective
        before.restore_(self.work)
        self.solver.restart()
        known, first = self.solver.evaluation.objective, self.work.layers[0].numeric
        is_better = isfinite(known) and known <= WORTH * objective
        if not is_better or not (first is None or holds(first.basis.grid, self.problem.features, 0.0, 0.0)):
            moved.restore_(self.work)
            self.solver.restart()
        return (known, before) if is_better else None

    def _train(self, is_last: bool) -> bool:
        # Returns whether the next stage shall begin.
        options, history = self.options, self.history
        tolerance = options.tolerance if is_last else COARSE * options.tolerance
        while self.step_in_stage < options.steps:
            if not self.solver.step():
                history.message = self.solver.message
                if self._settles():
                    continue
                return True
            self.step_in_stage += 1
            if is_last and self.step_in_stage == options.steps - WINDOW:
                self.is_settled = False
                self._settles()
            elif options.update_grid and self.step_in_stage - self.last_move >= REST:
                self._follow()
            self.trail.append(self.solver.evaluation.objective)
            self._record()
            if self._has_stopped():
                return False
            if self._is_exact():
                history.message = "the loss is zero to rounding"
            elif isinstance(self.solver, LevenbergMarquardt) and self._has_converged(tolerance):
                history.message = "converged"
            else:
                continue
            if not self._settles():
                return True
        history.message = "reached the number of steps"
        return True

    def _has_converged(self, tolerance: float) -> bool:
        if len(self.trail) <= WINDOW:
            return False
        before = self.trail[-1 - WINDOW]
        return before - self.trail[-1] < tolerance * abs(before)

    def _settles(self) -> bool:
        # Before a stage ends, and a few steps before the last one, activations at the rim of their grids get a margin,
        # for the samples of tomorrow.
        if self.is_settled or not self.options.update_grid or not isinstance(self.solver, LevenbergMarquardt):
            return False
        self.is_settled = True
        if all(holds(*pair, -MARGIN, 0.0) for pair in self._activations()):
            return False
        self._move(FAIR_USAGE, -MARGIN)
        return True

    def _follow(self) -> None:
        # Grids that no longer fit their activations move; what they held is kept until the stage ends.
        activations = list(self._activations())
        if not all(bool(torch.isfinite(nodes.sum())) for _, nodes in activations):
            return
        if self.n_moves >= LARGEST_MOVES or self.n_idle >= LARGEST_IDLE:
            return
        if all(holds(*pair, OVERHANG, FAIR_USAGE) for pair in activations):
            return
        # Activations may leave every grid that they are given, and each move costs what the steps before it won.
        if self.kept is not None and self.solver.evaluation.objective > WORTH * self.kept[0]:
            self.n_idle += 1
        self._move(FAIR_USAGE, 0.0)
        self.n_moves += 1

    def _move(self, usage: float, overhang: float) -> None:
        before = Snapshot.of(self.work)
        if self.kept is None or self.solver.evaluation.objective < self.kept[0]:
            self.kept = (self.solver.evaluation.objective, before)
        fit_grids_(self.work, self.problem.features, usage=usage, overhang=overhang)
        self.solver.restart()
        if not isfinite(self.solver.evaluation.objective):
            before.restore_(self.work)
            self.solver.restart()
        self.last_move = self.step_in_stage
        self.trail = []

    def _activations(self) -> Iterator[tuple[Tensor, Tensor]]:
        # The grid of every numeric layer but the first, whose samples do not move, with what it reads.
        ready = self.solver.evaluation.linearisation
        nodes, layers = self.problem.features, self.work.layers
        for i, layer in enumerate(layers):
            if i and layer.numeric is not None:
                yield layer.numeric.basis.grid, nodes if ready is None else ready.records[i].inputs
            if ready is None and i + 1 < len(layers):
                with torch.no_grad():
                    nodes = chunked(layer, nodes)

    def _is_exact(self) -> bool:
        if not self.problem.loss.is_squares:
            return False
        return self.solver.evaluation.objective <= 16 * torch.finfo(torch.float64).eps ** 2 * self.problem.scale

    def _has_stopped(self) -> bool:
        if self.validation is not None and self.options.patience is not None and self.best is not None:
            waited = len(self.history) - 1 - self.best[1]
            if waited >= self.options.patience:
                self.history.message = f"no lower validation loss in {waited} steps"
                return True
        for callback in self.options.callbacks:
            if callback(self.work, self.history):
                self.history.message = "stopped by a callback"
                return True
        for hook in self.options.after_step:
            hook(self)
        return False

    def _leave(self) -> None:
        # A grid that moved may have cost more than the steps after it won back. A margin may: 1.1 times the range has
        # 1.1^4 times the error.
        worth = MARGIN_WORTH if self.is_settled else WORTH
        rounding = 16 * torch.finfo(torch.float64).eps ** 2 * self.problem.scale
        if self.kept is not None and self.kept[0] < worth * self.solver.evaluation.objective - 100 * rounding:
            self.kept[1].restore_(self.work)
            self.solver.restart()
            self._record()
        elif isinstance(self.solver, FirstOrder):
            self.solver.finish()
            self._record()
        self.step_in_stage, self.kept = 0, None

    @torch.no_grad()
    def _record(self) -> None:
        evaluation, is_squares = self.solver.evaluation, self.problem.loss.is_squares
        row: dict[str, Any] = {"val_loss": None, "test_rmse": None}
        if self.validation is not None:
            output = self.validation.output(self.work)
            row["val_loss"] = float(self.validation.mean_loss(output))
            if isfinite(row["val_loss"]) and (self.best is None or row["val_loss"] < self.best[0]):
                self.best = (row["val_loss"], len(self.history), Snapshot.of(self.work))
        if self.test is not None and self.test.X_test is not None and is_squares:
            difference = self.work(self.test.X_test) - self.test.y_test
            row["test_rmse"] = sqrt(float(difference.square().mean()))
        self.history.append(
            step=len(self.history),
            loss=evaluation.loss + evaluation.penalty,
            rmse=sqrt(evaluation.loss) if is_squares else None,
            penalty=evaluation.penalty,
            damping=self.solver.damping,
            grid=max((layer.spec.basis.grid for layer in self.work.layers if layer.numeric is not None), default=None),
            seconds=time.perf_counter() - self.start,
            **row,
        )


def minimise(model: Network, problem: Problem, steps: int, damping: float = 1e-2) -> None:
    """Makes up to `steps` Levenberg-Marquardt steps in place, with grids as they are and no record.

    Args:
        model: the network, of type float64.
        problem: what is minimised.
        steps: largest number of steps.
        damping: Marquardt's parameter at the start.
    """
    solver = LevenbergMarquardt(model, problem, damping)
    solver.restart()
    Training(model, problem, solver, Options(0, update_grid=False)).advance(steps)
