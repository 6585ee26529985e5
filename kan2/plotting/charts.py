"""Charts about a network: one activation with its parts, the scores, the course of a training, what was tried."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kan2.analysis.attribution import attribute
from kan2.core.data import Columns
from kan2.core.network import Network
from kan2.core.verbs import verb
from kan2.discovery.pareto import ParetoRow, ParetoTable
from kan2.errors import DataError, named_options
from kan2.options import network
from kan2.plotting.curves import finite_range, layer_inputs
from kan2.training.history import History
from kan2.types import EdgeIndex

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_POINTS = 401
N_RUG = 200  # samples shown as ticks below an activation


@verb
@torch.no_grad()
def plot_edge(model: Network, edge: EdgeIndex, data: Any = None, *, target: Columns | None = None) -> "Figure":
    """Draws one activation, its parts, and where the samples lie.

    Args:
        model: the network.
        edge: (layer, target, source).
        data: samples, see `MultKAN.samples`; by default those of the last fit. Without any the range of the grid.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        EdgeError: there is nothing on this edge.

    Example:
        >>> from kan2 import MultKAN
        >>> [line.get_label() for line in plot_edge(MultKAN([2, 1]), (0, 0, 1)).axes[0].lines]
        ['activation', 'base', 'spline']
    """
    from kan2.plotting._figure import new_figure

    network("plot_edge", model)
    edge = model.spec.check_edge(edge, "plot_edge")
    index, row, source = edge
    layer, inputs = model.layers[index], layer_inputs(model, data, "plot_edge")[index]
    low, high = finite_range(inputs)
    t = torch.linspace(0, 1, N_POINTS, dtype=low.dtype, device=low.device)[:, None]
    nodes = low + (high - low) * t
    x = nodes[:, source]
    figure = new_figure(4.8, 3.4, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(_array(x), _array(layer.edge_values(nodes)[:, row, source]), color="black", lw=2, label="activation")
    parts: list[tuple[str, torch.Tensor]] = []
    if layer.numeric is not None and (row, source) in layer.spec.numeric_pairs:
        weighted = layer.numeric.features(nodes)[:, source] * layer.numeric.masked_weight[row, source]
        if layer.numeric.has_base:
            parts.append(("base", weighted[:, 0]))
        parts.append(("spline", weighted[:, int(layer.numeric.has_base) :].sum(1)))
    if layer.symbolic is not None:
        values = layer.symbolic.term_values(nodes)
        for i, term in enumerate(layer.spec.terms):
            if (term.target, term.source) == (row, source):
                parts.append((term.function, values[:, i]))
    if len(parts) > 1:
        for (name, part), style in zip(parts, ("--", ":", "-.", (0, (1, 3)))):
            axes.plot(_array(x), _array(part), ls=style, lw=1.3, label=name)
        axes.legend(frameon=False)
    if data is not None or model.data is not None:
        rug = _array(inputs[:N_RUG, source])
        axes.plot(rug, np.zeros_like(rug), "|", color="0.5", ms=6, transform=axes.get_xaxis_transform(), clip_on=False)
    name = model.spec.features[source] if index == 0 else f"node {source} of layer {index}"
    axes.set(xlabel=name, ylabel=f"into subnode {target} of layer {index + 1}", title=f"edge {tuple(edge)}")
    return figure


@verb
def plot_scores(model: Network, data: Any = None, *, target: Columns | None = None) -> "Figure":
    """Draws the attribution scores of features and of hidden nodes as bars.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.
    """
    from kan2.plotting._figure import new_figure

    network("plot_scores", model)
    scores = attribute(model, data)
    panels = [("features", list(scores.features), _array(scores.nodes[0]))]
    for i, nodes in enumerate(scores.nodes[1:-1], start=1):
        panels.append((f"nodes of layer {i}", [str(node) for node in range(len(nodes))], _array(nodes)))
    heights = [0.22 * max(3, len(values)) + 0.5 for _, _, values in panels]
    figure = new_figure(5.5, sum(heights) + 0.5, layout="constrained")
    grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
    for i, (title, names, values) in enumerate(panels):
        axes = figure.add_subplot(grid[i])
        places = np.arange(len(names))
        axes.barh(places, values, color="#3b5b8c", height=0.7)
        axes.set_yticks(places, names, fontsize=8)
        axes.set_ylim(max(3, len(names)) - 0.5, -0.5)
        axes.set_title(title, fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].set_xlabel("score")
    return figure


@named_options
def plot_history(history: History) -> "Figure":
    """Draws the errors of a training over its steps; dotted lines mark where the grid was refined.

    Args:
        history: what `fit` returned.
    """
    if not isinstance(history, History):
        raise DataError(f"plot_history: expected the History that fit returned, got {type(history).__name__}.")
    from kan2.plotting._figure import new_figure

    figure = new_figure(5.5, 3.6, layout="constrained")
    axes = figure.add_subplot()
    steps = history["step"]
    axes.plot(steps, history["rmse"], "-", color="black", label="training")
    if any(value is not None for value in history["test_rmse"]):
        test = [np.nan if value is None else value for value in history["test_rmse"]]
        axes.plot(steps, test, "--", color="#a6161c", label="test")
        axes.legend(frameon=False)
    grids = history["grid"]
    for step, before, after in zip(steps[1:], grids, grids[1:]):
        if before != after:
            axes.axvline(step, color="0.6", ls=":", lw=1)
            axes.text(
                step, 0.99, f" G={after}", transform=axes.get_xaxis_transform(), va="top", fontsize=8, color="0.4"
            )
    if any(value and value > 0 for value in history["rmse"]):
        axes.set_yscale("log")
    axes.set(xlabel="step", ylabel="rmse")
    return figure


@named_options
def plot_pareto(table: ParetoTable) -> "Figure":
    """Draws the networks that were tried by complexity and error; a line joins those that no other one beats.

    Args:
        table: `model.report.pareto` of a network that `auto_symbolic` or `discover` made.
    """
    from kan2.plotting._figure import new_figure

    if not isinstance(table, ParetoTable) or not table.rows:
        raise DataError(
            f"plot_pareto: expected a table of networks that were tried, got {type(table).__name__}. Pass "
            "model.report.pareto of a network that auto_symbolic made."
        )
    figure = new_figure(5.5, 3.6, layout="constrained")
    axes = figure.add_subplot()
    # Errors of zero are drawn at the rounding error.
    low = min((row.rmse for row in table.rows if row.rmse > 0), default=1e-16)

    def points(rows: list[ParetoRow]) -> tuple[list[int], list[float]]:
        return [row.complexity for row in rows], [max(row.rmse, low) for row in rows]

    axes.plot(*points(table.rows), "o", color="0.7", ms=4, label="tried")
    axes.plot(*points(table.front), "o-", color="black", ms=5, lw=1, label="front")
    axes.plot(*points([table.recommended]), "*", color="#a6161c", ms=13, label="recommended")
    axes.set_yscale("log")
    axes.set(xlabel="complexity", ylabel="rmse / spread")
    axes.legend(frameon=False)
    return figure


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
