"""Grids that follow the activations of a network while it trains.

A move of a grid may cost accuracy. The best state of a stage is kept until the stage ends, so that it is never lost.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from kan2.core.layer import chunked
from kan2.core.network import Network
from kan2.training.grids import Snapshot, fit_grids_, holds, supported_grid
from kan2.training.problem import Problem
from kan2.training.solver import Solver

LOG = logging.getLogger("kan2.training")
LARGEST_MOVES = 15  # moves of grids in one stage
REST = 3  # steps between two of them
LARGEST_IDLE = 2  # moves in one stage between which the objective has not fallen by a fifth
GOOD_USAGE = 0.75  # the least share of a grid's range in use when a stage begins
FAIR_USAGE = 0.4  # the same between steps
WORTH = 0.8  # of two states of a network the one with the better place of its grids may have 1/0.8 of the objective
MARGIN_WORTH = 0.4  # the same where grids were given a margin
MARGIN = 0.01  # room at either end of a grid when a stage ends, as a share of its range
OVERHANG = 0.02  # how far activations may leave a grid between steps, as a share of its range


@dataclass
class Moves:
    """How grids have moved in the present stage.

    Attributes:
        n: number of moves.
        n_idle: moves between which the objective has not fallen enough.
        last: step of the stage at which grids moved last.
        is_settled: whether grids have been given their margin.
    """

    n: int = 0
    n_idle: int = 0
    last: int = 0
    is_settled: bool = False


class GridFollower:
    """Moves the grids of one network in training, and keeps its best state of a stage.

    Args:
        work: the network, changed in place.
        problem: what is minimised.
        solver: told whenever grids have moved.
        is_on: whether grids follow the activations at all.

    Attributes:
        moves: in the present stage.
        kept: (objective, state) of the best state that grids have moved away from, if any.
        rest: steps between two moves.
        overhang: how far activations may leave a grid between steps, as a share of its range.
        settles: whether grids get a margin when a stage ends.
    """

    def __init__(self, work: Network, problem: Problem, solver: Solver, is_on: bool) -> None:
        self.work, self.problem, self.solver, self.is_on = work, problem, solver, is_on
        self.moves, self.rest, self.overhang = Moves(), REST, OVERHANG
        self.settles = True
        self.kept: tuple[float, Snapshot] | None = None
        self._whole: Snapshot | None = None  # while grids move, the state to go to if that is cut short

    @property
    def objective(self) -> float:
        """The objective now."""
        return self.solver.evaluation.objective

    def begin_stage(self, grid: int | None) -> None:
        """Gives the network its grid for a stage, and restarts the solver there.

        Args:
            grid: number of intervals; None keeps the present numbers.
        """
        features = self.problem.features
        if self.is_on or grid is not None:
            # A grid that is to stay may be meant for more than these samples.
            grid = supported_grid(self.work, features, grid)
        self._whole = before = Snapshot.of(self.work)
        moved = fit_grids_(self.work, features, grid, usage=GOOD_USAGE if self.is_on else float("-inf"))
        self.solver.begin_stage()
        self.moves, self.kept = Moves(), None
        if moved and grid is None and isfinite(self.objective):
            self._compare(before)
        self._whole = None

    def recover(self) -> None:
        """Goes to the state before a move of grids, or to the one gone to, where an interrupt has cut that short."""
        if self._whole is not None:
            self._whole.restore_(self.work)
            self._whole = None

    def _compare(self, before: Snapshot) -> None:
        # A network that was trained before may lose to new grids what it had; then it keeps the old ones, or, where
        # these cannot hold the samples, the state it came with for the end of the stage.
        moved, objective = Snapshot.of(self.work), self.objective
        self._go_to(before)
        known, first = self.objective, self.work.layers[0].numeric
        lost = self._unreachable()
        is_better = isfinite(known) and known - lost <= WORTH * (objective - lost)
        if not is_better or not (first is None or holds(first.basis.grid, self.problem.features, 0.0, 0.0)):
            self._go_to(moved)
        if is_better:
            self.kept = known, before

    def follow(self, step: int) -> bool:
        """Moves grids that no longer fit their activations; returns whether any moved.

        Args:
            step: number of the step in the stage.
        """
        moves = self.moves
        if not self.is_on or step - moves.last < self.rest:
            return False
        activations = list(self._activations())
        if not all(bool(torch.isfinite(nodes.sum())) for _, nodes in activations):
            return False
        if moves.n >= LARGEST_MOVES or moves.n_idle >= LARGEST_IDLE:
            return False
        if all(holds(*pair, self.overhang, FAIR_USAGE) for pair in activations):
            return False
        # Activations may leave every grid that they are given, and each move costs what the steps before it won.
        lost = self._unreachable()
        if self.kept is not None and self.objective - lost > WORTH * (self.kept[0] - lost):
            moves.n_idle += 1
        self._move(step, overhang=0.0)
        moves.n += 1
        return True

    def settle(self, step: int) -> bool:
        """Gives activations at the rim of their grids a margin, for the samples of tomorrow, once a stage.

        Returns:
            whether any grid moved.
        """
        if self.moves.is_settled or not (self.is_on and self.settles and self.solver.lowers):
            return False
        self.moves.is_settled = True
        if all(holds(*pair, -MARGIN, 0.0) for pair in self._activations()):
            return False
        self._move(step, overhang=-MARGIN)
        return True

    def end_stage(self, rounding: float) -> bool:
        """Goes back to the state that was kept if it is worth it; returns whether it was.

        Args:
            rounding: differences of the objective that mean nothing.
        """
        # A grid that moved may have cost more than the steps after it won back. A margin may: 1.1 times the range has
        # 1.1^4 times the error.
        kept, self.kept = self.kept, None
        worth = MARGIN_WORTH if self.moves.is_settled else WORTH
        if kept is None:
            return False
        lost = self._unreachable()
        if not kept[0] - lost < worth * (self.objective - lost) - 100 * rounding:
            return False
        self._go_to(kept[1])
        return True

    def _unreachable(self) -> float:
        return self.problem.unreachable(self.work, self.solver.evaluation)

    def _move(self, step: int, overhang: float) -> None:
        self._whole = before = Snapshot.of(self.work)
        if self.kept is None or self.objective < self.kept[0]:
            self.kept = self.objective, before
        fit_grids_(self.work, self.problem.features, usage=FAIR_USAGE, overhang=overhang)
        self.solver.restart()
        if not isfinite(self.objective):
            self._go_to(before)
        self._whole = None
        self.moves.last = step
        LOG.debug("grids moved at step %d of the stage, objective %.6g", step, self.objective)

    def _go_to(self, state: Snapshot) -> None:
        outer, self._whole = self._whole, state
        state.restore_(self.work)
        self.solver.restart()
        self._whole = outer

    def _activations(self) -> Iterator[tuple[Tensor, Tensor]]:
        # The grid of every numeric layer but the first, whose samples do not move, with what it reads.
        ready = self.solver.evaluation.inputs
        nodes, layers = self.problem.features, self.work.layers
        for i, layer in enumerate(layers):
            if i and layer.numeric is not None:
                yield layer.numeric.basis.grid, nodes if ready is None else ready[i]
            if ready is None and i + 1 < len(layers):
                with torch.no_grad():
                    nodes = chunked(layer, nodes)
