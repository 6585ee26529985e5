"""The record of a run as it grows, and the best state it has had on samples that were held out."""

import time
from math import isfinite, sqrt

import torch

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.training.grids import Snapshot
from kan2.training.history import History
from kan2.training.problem import Problem
from kan2.training.solver import Solver


class Recorder:
    """Writes a row of history after each step.

    Args:
        work: the network in training.
        test: data whose test samples are reported on.
        validation: samples that are held out, and their loss.

    Attributes:
        history: the rows.
        best: (validation loss, row, state) of the lowest validation loss, if any.
        start: when the run began, on the clock of `time.perf_counter`.
    """

    def __init__(self, work: Network, test: Dataset | None = None, validation: Problem | None = None) -> None:
        self.work, self.test, self.validation = work, test, validation
        self.history = History()
        self.best: tuple[float, int, Snapshot] | None = None
        self.start = time.perf_counter()

    @property
    def waited(self) -> int:
        """Number of rows since the lowest validation loss; 0 without validation."""
        return 0 if self.best is None else len(self.history) - 1 - self.best[1]

    @torch.no_grad()
    def record(self, problem: Problem, solver: Solver) -> None:
        """Adds a row for the present state."""
        evaluation, is_squares = solver.evaluation, problem.loss.is_squares
        test_rmse = val_loss = None
        if self.validation is not None:
            val_loss = float(self.validation.mean_loss(self.validation.output(self.work)))
            if isfinite(val_loss) and (self.best is None or val_loss < self.best[0]):
                self.best = (val_loss, len(self.history), Snapshot.of(self.work))
        if self.test is not None and self.test.X_test is not None and is_squares:
            difference = self.work(self.test.X_test) - self.test.y_test
            test_rmse = sqrt(float(difference.square().mean()))
        self.history.append(
            step=len(self.history),
            loss=evaluation.loss + evaluation.penalty,
            rmse=problem.rmse(evaluation),
            val_loss=val_loss,
            test_rmse=test_rmse,
            penalty=evaluation.penalty,
            damping=solver.damping,
            grid=max((layer.spec.basis.grid for layer in self.work.layers if layer.numeric is not None), default=None),
            seconds=time.perf_counter() - self.start,
        )

    def finish(self) -> None:
        """Puts the network into its best state on the samples that were held out, if there are any."""
        if self.best is not None:
            self.best[2].restore_(self.work)
