"""`fit_residual`: from a residual, such as that of a differential equation, to a trained network.

A residual is a callable that takes the network, evaluates it by `model(x)`, `model.jet(x)`, `model.laplacian(x)`, and
returns what must vanish; see `residuals`.
"""

import copy
from collections.abc import Mapping, Sequence

import torch

from kan2.core.data import Dataset
from kan2.core.network import Network
from kan2.training._own_type import in_own_type, report_kept_residual
from kan2.training._preparation import commit
from kan2.training._progress import shown
from kan2.training._threads import few_threads
from kan2.training.history import History
from kan2.training.levenberg_marquardt import LevenbergMarquardt
from kan2.training.loop import Options, Training, handed_over
from kan2.training.objective import Objective
from kan2.training.residuals import Residual, ResidualProblem


@torch.enable_grad()
def fit_residual(
    model: Network,
    residual: Residual,
    weights: Mapping[str, float] | Sequence[float] | None = None,
    *,
    options: Options,
    grids: Sequence[int] | None = None,
    progress: bool = False,
) -> History:
    """Trains a network in place by Levenberg-Marquardt to lower the mean squares of residuals.

    Args:
        model: the network; unchanged if anything fails.
        residual: maps the network to what must vanish: a tensor, a sequence of tensors, or a dict of them by name.
        weights: weights of the mean squares of these terms, by name or in order.
        options: how long training runs and what it watches.
        grids: numbers of grid intervals to go through, each from the last solution; by default the network's own.
        progress: show a progress bar.

    The network remembers the residual and, as its data, the points at which the residual evaluates it.

    Returns:
        the history of the run, one row a step; after Ctrl-C as for `fit`.

    Raises:
        ShapeError: the residual returns something else than tensors.
        TrainingError: it is not finite at the start, or does not evaluate the network.

    Example:
        >>> from kan2 import MultKAN
        >>> x = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None]
        >>> history = fit_residual(MultKAN([1, 1]), lambda f: f(x) - x**3, options=Options(steps=50))
        >>> history.rmse < 1e-6
        True
    """
    work = copy.deepcopy(model).double()
    problem = ResidualProblem(work, residual, weights)
    run = Training(work, problem, LevenbergMarquardt(work, problem), options)

    def hand_over() -> None:
        kept = in_own_type(work, model.like.dtype)
        if kept is not work:
            report_kept_residual(run, kept)
        commit(model, kept)
        with torch.no_grad():
            points = problem.points.to(model.like)
            model.data = Dataset(points, model(points), model.spec.inputs)
        model.objective = Objective(residual=residual, residual_weights=weights)

    work_of_step = len(problem) * work.n_parameters**2
    bar = shown(run, progress, 1 if grids is None else len(grids))
    with few_threads(work_of_step), handed_over(run, hand_over), bar:
        run.run([None] if grids is None else grids)
    run.log_end()
    return run.history
