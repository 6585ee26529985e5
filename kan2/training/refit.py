"""A few more training steps after an edit, and the error that is left.

What decides by trying, such as pruning and symbolification, calls `refit` for every network that it tries: squares in
units of the spread of each output. What it found is trained by `train_on` for what the network was trained for.
"""

from dataclasses import replace
from math import inf, isfinite
from typing import Any

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.errors import TrainingError
from kan2.interrupts import Interruptible, check_time
from kan2.training.fit import fit
from kan2.training.history import History
from kan2.training.objective import Objective
from kan2.training.penalties import Penalty
from kan2.training.spread import rmse

TOLERANCE = 1e-2
# Error, in spreads, of a network that may be the right one before the damping has fallen: of x^2 on two equal columns,
# the spline of one stays at 8e-6 for five steps, and ends at 2e-16.
NEARLY = 1e-4


def refit(
    model: Network,
    data: Dataset,
    steps: int,
    sample_weight: Any = None,
    *,
    penalty: Penalty = Penalty(),  # noqa: B008
    hopeless: float = inf,
    patience: int = 6,
    update_grid: bool | None = None,
) -> float:
    """Trains in place for a few steps; returns the error, see `spread.rmse`, or infinity where it cannot start.

    Args:
        model: trained in place.
        data: training samples.
        steps: largest number of steps.
        sample_weight: (batch,) non-negative weights.
        penalty: that of the last fit; what it asks for in smoothness holds, what it asks for in sparsity does not:
            whoever tries networks decides that by the error.
        hopeless: training is given up if the error is above this after `patience` steps; a network that nearly fits
            may go on as long as the damping falls.
        patience: see `hopeless`.
        update_grid: let grids follow; by default where the network does not fit yet.

    Raises:
        KeyboardInterrupt: on Ctrl-C, and `OutOfTime` where a time limit is over, since an error from half a training
            would be taken for that of a whole one.
    """

    def give_up(_: Network, history: History) -> bool:
        row = history.rows[-1]
        square = row["loss"] - row["penalty"]
        if len(history) <= patience or square <= hopeless**2:
            return False
        # What few samples tell apart is found when the damping is lowest.
        falls = (row.get("damping") or 0.0) < (history.rows[-2].get("damping") or 0.0)
        return not (falls and square < NEARLY**2)

    data = replace(data, X_test=None, y_test=None)
    before = model.objective
    try:
        with Interruptible():
            if update_grid is None:
                # A network that fits already would lose by a move of its grids what made it fit.
                update_grid = not (isfinite(hopeless) and rmse(model, data, sample_weight) <= hopeless)
            fit(
                model,
                data,
                steps=steps,
                loss="mse",
                sample_weight=sample_weight,
                tolerance=TOLERANCE,
                callbacks=(give_up,),
                update_grid=update_grid,
                **_smoothness(penalty),
            )
            check_time()
    except TrainingError:
        return inf
    finally:
        model.data, model.objective = data, before
    return rmse(model, data, sample_weight)


def train_on(model: Network, data: Dataset, objective: Objective, steps: int, *, update_grid: bool = True) -> bool:
    """Trains in place for a few steps on what a network was trained for; returns whether it could start.

    Args:
        model: trained in place; it keeps these data and this objective.
        data: training samples; a residual brings its own points.
        objective: what is lowered.
        steps: largest number of steps.
        update_grid: let grids follow.
    """
    if objective.is_squares:
        error = refit(model, data, steps, objective.sample_weight, penalty=objective.penalty, update_grid=update_grid)
        model.data, model.objective = data, objective
        return error < inf
    options: dict[str, Any] = {"steps": steps, "tolerance": TOLERANCE, "update_grid": update_grid}
    try:
        with Interruptible():
            if objective.residual is not None:
                fit(model, residual=objective.residual, residual_weights=objective.residual_weights, **options)
            else:
                smooth = _smoothness(objective.penalty)
                weight = objective.sample_weight
                fit(model, data, loss=objective.loss, sample_weight=weight, **options, **smooth)
            check_time()
    except TrainingError:
        return False
    finally:
        model.data, model.objective = data, objective
    return True


def _smoothness(penalty: Penalty) -> dict[str, Any]:
    if not penalty.lamb or not (penalty.coef or penalty.smooth):
        return {}
    return {
        "lamb": penalty.lamb,
        "lamb_l1": 0.0,
        "lamb_entropy": 0.0,
        "lamb_coef": penalty.coef,
        "lamb_smooth": penalty.smooth,
    }
