"""Five toy functions of KAN 1.0 (figures 2.3 and 3.1): how fast the error falls with the count of parameters.

System. A Bessel function, exp(sin(pi x) + y^2), x y, a function of four variables that needs three layers, and one of a
hundred variables; uniform samples of [-1, 1]^d, as many as `TOYS` says, 2,000 others for the test.

Learned. KANs of the paper's shapes on finer and finer grids, from random starts, no edge touched by hand. Beside them
MLPs of several depths and widths, by LBFGS, Adam and Levenberg-Marquardt; together they have the processor time of the
KAN, and at least two seconds each.

Judged. By the test RMSE. Beside it the exponent a of RMSE ~ n^-a, least squares through the logarithms: for a KAN n is
the number of grid intervals, over the grids that resolve the function (RMSE below a tenth of the spread), for the MLPs
the number of parameters, over those that none beats with fewer; open where these are less than three. Theory says 4 for
cubic splines. All times are processor times.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch import Tensor

import kan2
from case_studies._base import CaseResult, Trial, row_of_trials, run_as_script
from case_studies._baselines import MLP, Candidate, Point, front
from case_studies._judging import rmse
from case_studies._toys import bessel, exp_of_sine, hundred, three_layers


@dataclass(frozen=True)
class Toy:
    """One function with its network, its staircase, and the test RMSE that it is held against."""

    name: str
    f: Callable[[Tensor], Tensor]
    width: list[int]
    n: int
    grids: list[int]
    bar: float
    restarts: int = 1
    steps: int = 200

    def draw(self, seed: int) -> kan2.Dataset:
        """Returns the samples, with 2,000 others for the test."""
        return kan2.sample_function(self.f, [(-1, 1)] * self.width[0], n=self.n, n_test=2000, seed=seed)


TOYS = (
    Toy(
        "J0(20x)",
        lambda x: bessel(x[:, 0]),
        [1, 1],
        3000,
        [5, 10, 20, 50, 100, 200, 500],
        1e-8,
    ),
    Toy(
        "exp(sin(pi x) + y^2)",
        exp_of_sine,
        [2, 1, 1],
        3000,
        [3, 5, 10, 20, 50, 100, 200],
        5e-9,
    ),
    Toy("x y", lambda x: x[:, 0] * x[:, 1], [2, 2, 1], 3000, [3, 10], 1e-10),
    Toy(
        "exp((sin(pi r1^2) + sin(pi r2^2))/2)",
        three_layers,
        [4, 2, 1, 1],
        5000,
        [3, 5, 10, 20, 50],
        1e-6,
        restarts=24,
        steps=60,
    ),
    Toy(
        "exp(mean of 100 sin^2(pi x_i/2))",
        hundred,
        [100, 1, 1],
        6000,
        [3, 10, 20],
        1e-6,
    ),
)
QUICK = ("J0(20x)", "exp(sin(pi x) + y^2)")
MLPS = (
    *(Candidate(hidden, "silu", "LBFGS") for hidden in ((5, 5), (10, 10), (20, 20), (50, 50), (20, 20, 20))),
    Candidate((50, 50), "tanh", "Adam"),
    Candidate((10, 10), "tanh", "LM"),
)
STAIRCASE = "exp(sin(pi x) + y^2)"


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Learns five functions on finer and finer grids, beside MLPs."""
    result, start = CaseResult("toy_functions"), time.process_time()
    result.references.append("Liu et al., KAN (arXiv 2404.19756), sections 2.4 and 3.1, figures 2.3 and 3.1")
    chosen = [toy for toy in TOYS if full or toy.name in QUICK]
    curves: dict[str, tuple[list[Point], list[Point]]] = {}
    for toy in chosen:
        trials = []
        for seed in range(seeds or (3 if full else 1)):
            begin, data = time.process_time(), toy.draw(seed)
            kan, history = climb(toy, data, seed)
            budget = time.process_time() - begin
            mlps = rivals(data, max(budget, 2.0 * len(MLPS)) if full else 1.5, seed, MLPS if full else MLPS[2::2])
            best = min(mlps, key=lambda name: mlps[name][1])
            points = list(mlps.values())
            if toy.name not in curves:
                curves[toy.name] = kan, points
            if toy.name == STAIRCASE and seed == 0:
                result.figures["staircase"] = _staircase_figure(history)
            size, error = kan[-1]
            by_grid = [(grid, error) for grid, (_, error) in zip(toy.grids, kan)]
            found = (
                f"KAN {toy.width}, {size} parameters, exponent {_exponent(by_grid, float(data.y.std()) / 10)}\n"
                f"{best}, {mlps[best][0]} parameters: {mlps[best][1]:.1e}, exponent {_exponent(front(points))}"
            )
            met = error <= min(toy.bar, mlps[best][1])
            trials.append(Trial(found, error, met, time.process_time() - begin))
        target = f"<= {toy.bar:.0e}, <= MLP here"
        result.rows.append(row_of_trials(toy.name, trials, "test rmse", target, "figure only"))
    result.metrics["(parameters, test rmse) of the first seed: KAN, MLPs"] = curves
    result.figures["scaling"] = _scaling_figure(curves)
    result.seconds = time.process_time() - start
    return result


def climb(toy: Toy, data: kan2.Dataset, seed: int) -> tuple[list[Point], kan2.History]:
    """Trains a KAN through its grids; returns its (parameters, test RMSE) at the end of each, and the history."""
    model = kan2.MultKAN(toy.width, grid=toy.grids[0], seed=seed)
    history = model.fit(data, grids=toy.grids, restarts=toy.restarts, steps=toy.steps, seed=seed)
    last = {row["grid"]: row["test_rmse"] for row in history.rows}
    per_edge = model.n_parameters // model.spec.n_edges - toy.grids[-1]
    return [(model.spec.n_edges * (grid + per_edge), error) for grid, error in last.items()], history


def rivals(data: kan2.Dataset, seconds: float, seed: int, candidates: Sequence[Candidate]) -> dict[str, Point]:
    """Trains MLPs in a budget of processor time altogether; returns their (parameters, test RMSE) by name."""
    assert data.X_test is not None
    assert data.y_test is not None
    x, y, points = data.X.numpy(), data.y[:, 0].numpy(), {}
    for candidate in candidates:
        mlp = MLP(candidate, x, y, seed)
        mlp.train(x, y, seconds / len(candidates))
        points[str(candidate)] = mlp.n_parameters, rmse(mlp.predict(data.X_test.numpy()), data.y_test.numpy())
    return points


def _exponent(points: Sequence[Point], below: float = np.inf) -> str:
    used = [point for point in points if point[1] < below]
    if len(used) < 3:
        return "open"
    x, y = np.log(np.array(used)).T
    return f"{-np.polyfit(x, y, 1)[0]:.1f}"


def _scaling_figure(curves: dict[str, tuple[list[Point], list[Point]]]) -> Figure:
    figure = Figure(figsize=(3.0 * len(curves), 3.2), layout="constrained")
    for axes, (name, (kan, mlps)) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items()):
        axes.loglog(*zip(*kan), "o-", ms=4, label="KAN, finer grids")
        axes.loglog(*zip(*mlps), "v", ms=5, label="MLPs")
        size, error = kan[min(2, len(kan) - 1)]
        line = np.array([kan[0][0], kan[-1][0]])
        axes.loglog(line, error * (line / size) ** -4.0, ":", color="0.5", label="parameters^-4")
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_minor_formatter(NullFormatter())  # on less than two decades its labels overlap
    figure.supxlabel("parameters", fontsize=9)
    figure.supylabel("test RMSE", fontsize=9)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _staircase_figure(history: kan2.History) -> Figure:
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogy(history["rmse"], label="training")
    axes.semilogy(history["test_rmse"], "--", label="test")
    grids = history["grid"]
    for step in [i for i, grid in enumerate(grids) if i == 0 or grid != grids[i - 1]]:
        axes.axvline(step, color="0.88", lw=0.8, zorder=0)
        axes.annotate(f"{grids[step]}", (step, 1.01), xycoords=("data", "axes fraction"), fontsize=7, color="0.35")
    axes.set(xlabel="step (above: grid intervals)", ylabel="RMSE")
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
