"""The training loop: stages of finer and finer grids, each a sequence of solver steps.

After every step the loop lets grids follow the activations, records a row of history, calls the callbacks and decides
whether to go on. What moves grids is in `_following`, what writes the history in `_recorder`.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import torch

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.errors import TrainingError, TrainingWarning, warn
from kan2.interrupts import Interruptible
from kan2.training._following import GridFollower
from kan2.training._recorder import Recorder
from kan2.training.history import INTERRUPTED, History
from kan2.training.problem import Problem
from kan2.training.solver import Solver
from kan2.training.spread import check_sizes

LOG = logging.getLogger("kan2.training")
WINDOW = 5  # steps over which progress is measured
STOPPED, OUT_OF_TIME = "stopped by a callback", "reached the limit of seconds"
ALL_STEPS = "reached the number of steps"
HOPELESS = 1.01  # mean square error in units of the spread of the targets that is no better than none
FIRST, MIDDLE = 10, 100  # how many times the last tolerance the first of several grids has, and those between them
# On the first grid the minimum is decided. With 100 between, the staircase of [2, 1, 1] takes two thirds of the time
# that it takes with 10, and ends as low; with 100 on the first one, one more start of eight of [4, 2, 1, 1] was stuck.

Callback = Callable[[Any, History], Any]
"""Called with the network and the history after each step; a true result ends training."""


@dataclass(frozen=True)
class Options:
    """How long the loop runs and what it watches.

    Attributes:
        steps: largest number of steps on each grid; in all, where the grids are those that `fit` chose itself.
        tolerance: a stage ends when the objective falls by less than this share over `WINDOW` steps, not counting what
            outliers add to a robust loss; more before the last grid. 0 never ends a stage early.
        update_grid: whether grids follow the activations.
        patience: steps without a lower validation loss after which training ends; None for no end.
        callbacks: called with the network and the history after each step; a true result ends training.
        after_step: called after each step, for progress bars and checkpoints.
        deadline: on the clock of `time.perf_counter`, after which no step begins.
    """

    steps: int
    tolerance: float = 1e-3
    update_grid: bool = True
    patience: int | None = None
    callbacks: Sequence[Callback] = ()
    after_step: Sequence[Callable[["Training"], None]] = ()
    deadline: float = inf

    @property
    def is_late(self) -> bool:
        """Whether the time is over."""
        return time.perf_counter() >= self.deadline


class Training:
    """One run of the loop.

    Attributes:
        work: the network, trained in place.
        grids: what moves its grids.
        recorder: what writes the history.
        stage, step: where the run is: number of the grid, and of the step on it.
        limit: number of steps after which the stage ends.
        trail: the objective after each step since grids last moved.
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
        if test is not None:
            check_sizes(test, work.spec.inputs, work.spec.outputs)
        self.work, self.problem, self.solver, self.options = work, problem, solver, options
        self.grids = GridFollower(work, problem, solver, options.update_grid)
        self.recorder = Recorder(work, test, validation)
        self.stage, self.step, self.limit = 0, 0, options.steps
        self.trail: list[float] = []
        self._logs_steps = LOG.isEnabledFor(logging.DEBUG)

    @property
    def history(self) -> History:
        """One row a step."""
        return self.recorder.history

    @property
    def objective(self) -> float:
        """The lowest objective of the present stage."""
        present, kept = self.solver.evaluation.objective, self.grids.kept
        present = present if isfinite(present) else float("inf")
        return present if kept is None else min(present, kept[0])

    def run(self, grids: Sequence[int | None], in_all: int | None = None) -> None:
        """Goes through the stages.

        Args:
            grids: number of intervals of each stage; None keeps the present ones.
            in_all: largest number of steps of all stages together, half of them before the last one; by default each
                stage has the steps of the options.

        Raises:
            KeyboardInterrupt: as it came; the network is in the best state it had reached if there is any history.
        """
        try:
            for stage in range(self.stage, len(grids)):
                self.stage = stage
                is_last = stage == len(grids) - 1
                if in_all is None:
                    self.limit = self.options.steps
                else:
                    # The history has a row for the start, and one for each step.
                    before = max(0, len(self.history) - 1 - self.step)
                    self.limit = in_all - before if is_last else in_all // 2
                if not self.trail or not self.step:
                    self._begin_stage(grids[stage])
                go_on = self._train(is_last)
                self._end_stage()
                if not go_on:
                    if in_all is not None and not is_last and self.history.message == OUT_OF_TIME:
                        # The coarse grid was not asked for, and is not to be what remains.
                        self._begin_stage(grids[-1])
                        self._record()
                    break
        except KeyboardInterrupt:
            if len(self.history):
                self.history.message = INTERRUPTED
                self.grids.recover()
                self.solver.restart()
                self.grids.end_stage(self._rounding)
                self.solver.finish()
                self._record()
                self.recorder.finish()
            raise
        self.recorder.finish()

    def warn_where_hopeless(self) -> None:
        """Says that a run has failed if it ended further from the targets than their mean is; who stopped it knows."""
        loss = self.solver.evaluation.loss
        if self.history.message in ("nothing to train", STOPPED, INTERRUPTED, OUT_OF_TIME):
            return
        if self.problem.loss.is_squares and self.problem.has_targets and loss > HOPELESS:
            share = loss**0.5
            self.history.message = f"failed: the error is {share:.3g} times the spread of the targets"
            warn(f"fit: {self.history.message}. Look at the data, or start from another seed.", TrainingWarning)

    def run_again(self, steps: int) -> None:
        """Goes on after the network has been changed from outside, on its present grids and into the same history."""
        self.stage = self.step = 0
        self._begin_stage(None)
        self._record()
        self.run([None], in_all=len(self.history) - 1 + steps)

    def advance(self, steps: int) -> None:
        """Goes on for so many steps on the present grid."""
        self.limit = self.step + steps
        self._train(is_last=True)

    def _begin_stage(self, grid: int | None) -> None:
        self.grids.begin_stage(grid)
        if not isfinite(self.solver.evaluation.objective):
            raise TrainingError(
                f"fit: expected a finite loss at the start, got {self.solver.evaluation.objective}. A symbolic edge is "
                "probably outside its domain (see model.trace(X), or unfix it), or the loss is not defined there."
            )
        self.trail = [self.solver.evaluation.objective]
        LOG.info("stage %d: grid %s, objective %.6g", self.stage, "as it is" if grid is None else grid, self.trail[0])
        if not len(self.history):
            self._record()

    def _train(self, is_last: bool) -> bool:
        # Returns whether the next stage is to begin.
        options, history = self.options, self.history
        tolerance = options.tolerance * (1 if is_last else MIDDLE if self.stage else FIRST)
        while self.step < self.limit:
            if options.is_late:
                history.message = OUT_OF_TIME
                return False
            if not self.solver.step():
                history.message = self.solver.message
                if self._settle():
                    continue
                return True
            self.step += 1
            if is_last and self.step == self.limit - WINDOW:
                self.grids.moves.is_settled = False
                self._settle()
            elif self.grids.follow(self.step):
                self.trail = []
            self.trail.append(self.solver.evaluation.objective)
            self._record()
            if self._has_stopped():
                return False
            if self._is_exact():
                history.message = "the loss is zero to rounding"
            elif self.solver.lowers and self._has_converged(tolerance):
                history.message = "converged"
            else:
                continue
            if not self._settle():
                return True
        history.message = ALL_STEPS
        return True

    def _settle(self) -> bool:
        # Before a stage ends, and a few steps before the last one, grids are given a margin.
        moved = self.grids.settle(self.step)
        if moved:
            self.trail = []
        return moved

    def _has_converged(self, tolerance: float) -> bool:
        if len(self.trail) <= WINDOW:
            return False
        before = self.trail[-1 - WINDOW]
        gain = before - self.trail[-1]
        if gain >= tolerance * abs(before):
            return False
        # Nearly all of the objective may be what an outlier adds to it, of which no step gains a share.
        return gain < tolerance * abs(before - self.problem.unreachable(self.work, self.solver.evaluation))

    def _is_exact(self) -> bool:
        return self.problem.loss.is_squares and self.solver.evaluation.objective <= self._rounding

    @property
    def _rounding(self) -> float:
        # Mean squares below this are rounding; other losses are not in the square of the unit of the targets.
        return 16 * torch.finfo(torch.float64).eps ** 2 * self.problem.scale if self.problem.loss.is_squares else 0.0

    def _has_stopped(self) -> bool:
        patience, waited = self.options.patience, self.recorder.waited
        if patience is not None and self.recorder.best is not None and waited >= patience:
            self.history.message = f"no lower validation loss in {waited} steps"
            return True
        for callback in self.options.callbacks:
            if callback(self.work, self.history):
                self.history.message = STOPPED
                return True
        for hook in self.options.after_step:
            hook(self)
        return False

    def _end_stage(self) -> None:
        if self.grids.end_stage(self._rounding) or self.solver.finish():
            self._record()
        self.step = 0

    def _record(self) -> None:
        self.recorder.record(self.problem, self.solver)
        if self._logs_steps:
            row = self.history.rows[-1]
            LOG.debug("step %d: loss %.6g, damping %s, grid %s", row["step"], row["loss"], row["damping"], row["grid"])

    def log_end(self) -> None:
        """Tells the log how the run ended."""
        if rows := self.history.rows:
            text = "fit: %s after %d steps, loss %.6g, grid %s, %.2f s"
            last = rows[-1]
            LOG.info(text, self.history.message, last["step"], last["loss"], last["grid"], last["seconds"])


@contextmanager
def handed_over(run: Training, hand_over: Callable[[], None]) -> Iterator[None]:
    """Hands over what a run has reached when the block ends, also after Ctrl-C if there has been a step.

    Args:
        run: made in the block.
        hand_over: gives the caller's network what the run has reached.
    """
    with Interruptible() as block:
        try:
            yield
        except KeyboardInterrupt:
            if len(run.history):
                hand_over()
                block.has_result = True
            raise
        hand_over()
        block.has_result = True
