"""Continual learning: what a network keeps of the first lesson after the fifth (KAN 1.0, section 3.4).

System. y = sum of exp(-300 (x - c)^2) over five centres c = -0.8, -0.4, 0, 0.4, 0.8, on -1 <= x <= 1.

Learned. One peak after the other: five phases of 100 evenly spaced samples, each from a fifth of the line, none seen
again. A KAN [1, 1] on a fixed grid changes only the coefficients that belong to the new samples: locality of splines.
For samples it has not seen the smoothness term of training must be off (`roughness=0`), or it would fill the gaps.

Judged. By the RMSE over the whole line after all phases, 2,001 points. Beside it an MLP, and the honest limit: in two
dimensions every function of y is shared by all strips of x, and a KAN forgets as an MLP does.
"""

import copy
import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import kan2
from case_studies._base import CaseResult, Row, Stopwatch, Trial, row_of_trials, run_as_script
from case_studies._judging import rmse
from case_studies._perceptrons import descend, perceptron

CENTRES = np.linspace(-0.8, 0.8, 5)
EDGES = np.linspace(-1, 1, 6)
LINE = np.linspace(-1, 1, 2001)[:, None]


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Learns five peaks one after the other, and measures what is left of each."""
    result, clock = CaseResult("continual_learning"), Stopwatch()
    result.references.append("Liu et al., KAN (arXiv 2404.19756), section 3.4, figure 3.4")
    n_seeds = seeds or (5 if full else 1)
    phases = [np.linspace(low, high, 100)[:, None] for low, high in pairwise(EDGES)]

    stages: dict[str, list[np.ndarray]] = {}
    for grid, limit, paper in ((200, 5e-6, "3.99e-6"), (400, 1e-6, "")):
        model = kan2.MultKAN([1, 1], grid=grid, base_fun="zero", noise_scale=0.0)
        predictions = learn(model, phases, peaks, LINE)
        error = rmse(predictions[-1], peaks(LINE))
        result.rows.append(
            Row(f"1-D, KAN [1, 1], G = {grid}", f"{grid + 3} parameters", error, "rmse, whole line", f"<= {limit:g}",
                error <= limit, clock.lap(), paper)
        )  # fmt: skip
        result.metrics[f"kan_{grid}_rmse_of_seen_part"] = seen_errors(predictions)
        stages["KAN [1, 1]"] = predictions
    trials = []
    for seed in range(n_seeds):
        predictions = learn_mlp(phases, peaks, LINE, seed, steps=3000 if full else 300)
        trials.append(Trial("10,401 parameters", rmse(predictions[-1], peaks(LINE)), True, clock.lap()))
        stages.setdefault("MLP [1, 100, 100, 1]", predictions)
        result.metrics.setdefault("mlp_rmse_of_seen_part", seen_errors(predictions))
    result.rows.append(
        row_of_trials("1-D, MLP [1, 100, 100, 1]", trials, "rmse, whole line", "shown beside", "forgets")
    )
    result.figures["phases"] = _phases_figure(stages)

    grid = 20 if full else 8
    strips, plane = _strips(400 if full else 100), _plane()
    together = np.concatenate(strips)
    joint, sequential = [], []
    for seed in range(n_seeds):
        model = kan2.MultKAN([2, [0, 5], 1], grid=grid, grid_range=(-1.0, 1.0), seed=seed)
        fresh = copy.deepcopy(model)
        restarts, steps = (8, 60) if full else (4, 20)
        model.fit((together, peaks_in_plane(together)), steps=steps, restarts=restarts, seed=seed)
        joint.append(Trial("all at once", rmse(model.predict(plane), peaks_in_plane(plane)), True, clock.lap()))
        last = learn(fresh, strips, peaks_in_plane, plane, roughness=1e-3)[-1]
        sequential.append(Trial("one after the other", rmse(last, peaks_in_plane(plane)), True, clock.lap()))
    task = f"2-D, KAN [2, [0, 5], 1], G = {grid}"
    result.rows.append(row_of_trials(task, joint, "rmse, whole square", "shown beside"))
    result.rows.append(row_of_trials(task, sequential, "rmse, whole square", "the honest limit", "no claim in 2-D"))
    result.seconds = clock.total()
    return result


def peaks(x: np.ndarray) -> np.ndarray:
    """Evaluates the five peaks at (n, 1) points."""
    return np.exp(-300 * (x - CENTRES) ** 2).sum(axis=1, keepdims=True)


def peaks_in_plane(x: np.ndarray) -> np.ndarray:
    """Evaluates five wider peaks on the diagonal of the square, at (n, 2) points."""
    squares = ((x[:, :, None] - CENTRES) ** 2).sum(axis=1)
    return np.exp(-30 * squares).sum(axis=1, keepdims=True)


def learn(
    model: kan2.MultKAN,
    phases: list[np.ndarray],
    target: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
    roughness: float = 0.0,
) -> list[np.ndarray]:
    """Trains phase after phase on grids that stay; returns what the network says of the points after each."""
    predictions = []
    for x in phases:
        with warnings.catch_warnings():
            # In two dimensions a lesson may end worse than its mean: that is what is shown.
            warnings.simplefilter("ignore", kan2.errors.TrainingWarning)
            model.fit((x, target(x)), steps=20, update_grid=False, roughness=roughness)
        predictions.append(model.predict(points))
    return predictions


def learn_mlp(
    phases: list[np.ndarray], target: Callable[[np.ndarray], np.ndarray], points: np.ndarray, seed: int, steps: int
) -> list[np.ndarray]:
    """The same for an MLP [1, 100, 100, 1] with tanh, by Adam at 1e-3."""
    mlp = perceptron([1, 100, 100, 1], nn.Tanh, seed)
    optimizer = torch.optim.Adam(mlp.parameters(), lr=1e-3)
    predictions = []
    for phase in phases:
        x, y = torch.as_tensor(phase), torch.as_tensor(target(phase))
        descend(optimizer, lambda x=x, y=y: (mlp(x) - y).square().mean(), steps)
        with torch.no_grad():
            predictions.append(mlp(torch.as_tensor(points)).numpy())
    return predictions


def seen_errors(predictions: list[np.ndarray]) -> list[float]:
    """Returns after each phase the RMSE on the part of the line that was seen so far."""
    parts = [LINE[:, 0] <= end for end in EDGES[1:]]
    return [rmse(found[part], peaks(LINE)[part]) for found, part in zip(predictions, parts)]


def _strips(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.stack([rng.uniform(a, b, n), rng.uniform(-1, 1, n)], 1) for a, b in pairwise(EDGES)]


def _plane() -> np.ndarray:
    side = np.linspace(-0.99, 0.99, 61)
    return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)


def _phases_figure(stages: dict[str, list[np.ndarray]]) -> Figure:
    figure = Figure(figsize=(9.5, 1.1 + 1.4 * len(stages)), layout="constrained")
    for row, (name, predictions) in zip(figure.subplots(len(stages), 5, sharex=True, sharey=True), stages.items()):
        for i, (axes, found) in enumerate(zip(row, predictions)):
            axes.axvspan(EDGES[i], EDGES[i + 1], color="0.93", lw=0)
            axes.plot(LINE, peaks(LINE), color="0.7", lw=1)
            axes.plot(LINE, found, color="C0" if name.startswith("KAN") else "C1", lw=1.2)
            axes.set(ylim=(-0.35, 1.35), xticks=[-1, 0, 1])
            if name == next(iter(stages)):
                axes.set_title(f"phase {i + 1}", fontsize=9)
        row[0].set_ylabel(name, fontsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
