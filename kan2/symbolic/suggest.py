"""Which functions an edge may be: candidates from the library fitted to it, ranked.

The network is only read. Ranking weighs accuracy against complexity: score = log10(1 - R2 + noise) + `weight_simple` *
(complexity + half the count of free numbers) + cancellation. Noise is the share of the edge's variance that the
network's own error leaves undetermined; cancellation counts the decades by which c f exceeds what is left of it after
adding d, as when a parabola is imitated by the top of a huge cosine. The lowest score is best.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log10
from typing import Any

import torch
from torch import Tensor

from kan2 import functions, options
from kan2.core.data import Columns
from kan2.core.network import Network
from kan2.core.tensors import warn_of_rows
from kan2.core.verbs import verb
from kan2.errors import DataError
from kan2.symbolic.curves import WEIGHT_SIMPLE, CurveFit, canonical, fit_curves, grid_points
from kan2.types import EdgeIndex


@dataclass(frozen=True)
class Suggestions:
    """Functions for one edge, best first; prints as a table.

    Attributes:
        edge: (layer, target, source).
        rows: the fits, by score.
        scores: of each, see the module docstring; lower is better.
    """

    edge: EdgeIndex
    rows: tuple[CurveFit, ...]
    scores: tuple[float, ...]

    def __getitem__(self, index: int) -> CurveFit:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = [f"edge {self.edge}", "function        1 - R2    complexity  score   a, b, c, d"]
        for row, score in zip(self.rows, self.scores):
            numbers = ", ".join(f"{v:.4g}" for v in row.affine) + (f"; p = {row.shape:.4g}" if row.shape else "")
            lines.append(f"{row.function:14}  {1 - row.r2:8.1e}  {row.complexity:10}  {score:6.2f}  {numbers}")
        return "\n".join(lines)


@verb
def suggest_symbolic(
    model: Network,
    edge: EdgeIndex,
    data: Any = None,
    *,
    library: Sequence[str] | None = None,
    weight_simple: float | None = None,
    top: int | None = None,
    target: Columns | None = None,
) -> Suggestions:
    """Ranks the functions of a library for one edge; the network is only read.

    Args:
        model: the network.
        edge: (layer, target, source).
        data: samples that say over which range the edge is used; by default those of the last fit, or the grid.
        library: names of functions; by default `functions.DEFAULT_LIBRARY`.
        weight_simple: how many decades of 1 - R2 one unit of complexity must buy; by default 0.35.
        top: return only this many.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: an option is of the wrong type or out of range.
        EdgeError: no such edge, or it carries nothing.
        UnknownNameError: a function of the library is unknown.
    """
    where = "suggest_symbolic"
    options.network(where, model)
    edge = model.spec.check_edge(edge, where)
    library, weight_simple = checked_library(where, library), checked_weight(where, weight_simple)
    top = None if top is None else options.whole(where, "top", top)
    table = suggest_all(model, [edge], data, library=library, weight_simple=weight_simple)[edge]
    return replace(table, rows=table.rows[:top], scores=table.scores[:top])


def checked_library(where: str, library: Any) -> list[str] | None:
    """Returns the names of functions to try, as the table has them; None for None.

    Raises:
        DataError: this is no list, or it is empty.
        UnknownNameError: a function is unknown.

    Example:
        >>> checked_library("auto_symbolic", ["ln", "sin"])
        ['log', 'sin']
    """
    if library is None:
        return None
    members = options.listed(where, "library", library, "names of functions", "['sin', 'exp']")
    if not members:
        raise DataError(
            f"{where}: expected at least one function in library, got none. Leave it out for the usual ones."
        )
    return [functions.get(name).name for name in members]


def checked_weight(where: str, weight_simple: Any) -> float | None:
    """Returns how many decades of 1 - R2 one unit of complexity must buy, >= 0; None for None."""
    return None if weight_simple is None else options.number(where, "weight_simple", weight_simple, 0)


@torch.no_grad()
def suggest_all(
    model: Network,
    edges: Sequence[EdgeIndex],
    data: Any = None,
    *,
    library: Sequence[str] | None = None,
    weight_simple: float | None = None,
    noise: float = 1e-12,
) -> dict[EdgeIndex, Suggestions]:
    """Ranks functions for several edges at once; see `suggest_symbolic`."""
    library = [functions.get(name).name for name in (functions.DEFAULT_LIBRARY if library is None else library)]
    weight_simple = WEIGHT_SIMPLE if weight_simple is None else weight_simple
    for edge in edges:
        model.spec.check_edge(edge, "suggest_symbolic", may_be_empty=True)
    ranges = edge_ranges(model, data)
    low = torch.stack([ranges[layer][0][source] for layer, _, source in edges])
    high = torch.stack([ranges[layer][1][source] for layer, _, source in edges])
    curves = []
    for (index, target, source), left, right in zip(edges, low, high):
        layer = model.layers[index]
        x = (left + right) / 2 + (right - left) / 2 * grid_points().to(model.like)
        nodes = x[:, None].expand(-1, layer.spec.n_in)
        curves.append(layer.edge_values(nodes)[:, target, source].double().cpu())
    fits = fit_curves(torch.stack(curves), low.double().cpu(), high.double().cpu(), library)
    result = {}
    for edge, rows, curve in zip(edges, fits, curves):
        ends = float(curve.amin()), float(curve.amax())
        scored = sorted((_score(row, ends, noise, weight_simple), i) for i, row in enumerate(rows))
        best = tuple(
            replace(rows[i], affine=canonical(rows[i].function, rows[i].affine, rows[i].shape)) for _, i in scored
        )
        result[edge] = Suggestions(edge, best, tuple(score for score, _ in scored))
    return result


def _score(row: CurveFit, ends: tuple[float, float], noise: float, weight_simple: float) -> float:
    # ends: the lowest and the highest value of the edge
    free = functions.get(row.function).free
    cost = weight_simple * (row.complexity + 0.5 * len(free))
    low, high = ends
    if "c" in free and "b" in free and high > low:
        d = row.affine[3]
        cost += max(0.0, log10(max(high - d, d - low) / (high - low)))
    return log10(max(1 - row.r2, 0.0) + noise) + cost


def edge_ranges(model: Network, data: Any = None, where: str = "suggest_symbolic") -> list[tuple[Tensor, Tensor]]:
    """Returns for each layer the (source,) lower and upper ends of what its edges read.

    They come from samples where there are any, and from the grids otherwise.
    """
    if data is None and model.data is None:
        ranges = []
        for layer in model.layers:
            grid = (
                layer.numeric.basis.grid
                if layer.numeric is not None
                else layer.node_scale.detach().new_tensor([[-1.0, 1.0]]).expand(layer.in_features, 2)
            )
            ranges.append((grid[:, 0], grid[:, -1]))
        return ranges
    with torch.no_grad():
        trace = model.trace(model.samples(data, where, skips=True).X)
    ranges = []
    finite = [torch.isfinite(record.inputs).all(1) for record in trace.layers]
    if not bool(finite[-1].any()):
        raise DataError(f"{where}: expected samples on which activations are finite, got none. Pass others.")
    if not bool(finite[-1].all()):
        warn_of_rows(finite[-1], where, "on which some activation is nan or infinity")
    for record, rows in zip(trace.layers, finite):
        inputs = record.inputs[rows]
        low, high = inputs.amin(0), inputs.amax(0)
        size = torch.maximum(low.abs(), high.abs())
        # A constant gets a range of its own size.
        margin = torch.where(high - low > 1e-12 * size, 0.0, torch.where(size > 0, size, 1.0))
        ranges.append((low - margin, high + margin))
    return ranges
