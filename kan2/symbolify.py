"""From splines to symbols, edge by edge: rank functions, fix one, take it back.

`suggest_symbolic` only reads; `fix_symbolic` and `unfix_symbolic` return a new network. Ranking weighs accuracy against
complexity: score = log10(1 - R2 + noise) + `weight_simple` * (complexity + half the count of free numbers) +
cancellation. Noise is the share of the edge's variance that the network's own error leaves undetermined; cancellation
counts the decades by which c f exceeds what is left of it after adding d, as when a parabola is imitated by the top of
a huge cosine. The lowest score is best.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log10
from typing import Any

import torch
from torch import Tensor

from kan2 import functions
from kan2.edits.rewire import TermNumbers, rewire, terms_of
from kan2.errors import EdgeError
from kan2.linalg import lstsq
from kan2.network import MultKAN
from kan2.spec import SymbolicTerm
from kan2.symbolic_fit import WEIGHT_SIMPLE, CurveFit, canonical, fit_curves, grid_points
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


def suggest_symbolic(
    model: MultKAN,
    edge: EdgeIndex,
    data: Any = None,
    *,
    library: Sequence[str] | None = None,
    weight_simple: float | None = None,
    top: int | None = None,
) -> Suggestions:
    """Ranks the functions of a library for one edge; the network is only read.

    Args:
        model: the network.
        edge: (layer, target, source).
        data: samples that say over which range the edge is used; by default those of the last fit, or the grid.
        library: names of functions; by default `functions.DEFAULT_LIBRARY`.
        weight_simple: how many decades of 1 - R2 one unit of complexity must buy; by default 0.35.
        top: return only this many.

    Raises:
        EdgeError: no such edge.
        UnknownNameError: a function of the library is unknown.
    """
    table = suggest_all(model, [edge], data, library=library, weight_simple=weight_simple)[edge]
    return replace(table, rows=table.rows[:top], scores=table.scores[:top])


@torch.no_grad()
def suggest_all(
    model: MultKAN,
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
        check_edge(model, edge, "suggest_symbolic")
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


def edge_ranges(model: MultKAN, data: Any = None) -> list[tuple[Tensor, Tensor]]:
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
        trace = model.trace(model.samples(data, "suggest_symbolic").X)
    ranges = []
    for record in trace.layers:
        low, high = record.inputs.amin(0), record.inputs.amax(0)
        flat = high - low <= 1e-12 * torch.maximum(low.abs(), high.abs())
        ranges.append((torch.where(flat, low - 1, low), torch.where(flat, high + 1, high)))
    return ranges


def check_edge(model: MultKAN, edge: EdgeIndex, where: str) -> None:
    """Raises EdgeError unless (layer, target, source) exists and carries something."""
    if not (isinstance(edge, tuple | list) and len(edge) == 3):
        raise EdgeError(f"{where}: expected an edge (layer, target, source), got {edge!r}.")
    layer, target, source = edge
    if not 0 <= layer < len(model.layers):
        raise EdgeError(f"{where}: expected a layer below {len(model.layers)}, got {layer} in edge {tuple(edge)}.")
    spec = model.spec.layers[layer]
    if not (0 <= target < spec.n_subnodes and 0 <= source < spec.n_in):
        raise EdgeError(
            f"{where}: expected a target below {spec.n_subnodes} and a source below {spec.n_in} in layer {layer}, "
            f"got edge {tuple(edge)}. An edge is (layer, target, source)."
        )


def fix_symbolic(
    model: MultKAN,
    edge: EdgeIndex,
    function: str,
    data: Any = None,
    *,
    affine: Sequence[float] | None = None,
    shape: float | None = None,
    fit: bool = True,
) -> MultKAN:
    """Returns the network with one edge set to a symbolic function.

    Args:
        model: left as it is.
        edge: (layer, target, source).
        function: a name in `kan2.functions`.
        data: samples that say over which range to fit; by default those of the last fit, or the grid.
        affine: the numbers a, b, c, d; by default they are fitted to what the edge does now.
        shape: the shape parameter, where the function has one.
        fit: False starts from c f(a x + b) + d = f(x) instead of fitting.

    Raises:
        EdgeError: no such edge, or the function cannot be fitted over its range.
        UnknownNameError: no such function.
    """
    row = functions.get(function)
    check_edge(model, edge, "fix_symbolic")
    if affine is None and fit:
        table = suggest_all(model, [edge], data, library=[row.name])[edge]
        if not len(table):
            raise EdgeError(
                f"fix_symbolic: expected a function that is finite over the range of edge {tuple(edge)}, "
                f"got {row.name!r} on {row.domain}. Choose another function, or give affine=(a, b, c, d)."
            )
        affine, shape = table[0].affine, table[0].shape if shape is None else shape
    numbers = (1.0, 0.0, 1.0, 0.0) if affine is None else tuple(float(v) for v in affine)
    if len(numbers) != 4:
        raise EdgeError(f"fix_symbolic: expected affine=(a, b, c, d), got {len(numbers)} numbers.")
    term = SymbolicTerm(edge[1], edge[2], row.name)
    return _replace_edge(model, edge, [TermNumbers(term, numbers, row.shape or 0.0 if shape is None else shape)], False)


@torch.no_grad()
def unfix_symbolic(model: MultKAN, edge: EdgeIndex, data: Any = None) -> MultKAN:
    """Returns the network with a symbolic edge turned back into a spline that follows it.

    Args:
        model: left as it is.
        edge: (layer, target, source).
        data: samples that say over which range; by default those of the last fit, or the grid. Where they go beyond
            the grid of the source, the grid is widened, and its other splines are carried over.

    Raises:
        EdgeError: no such edge, it is not symbolic, or its function is nowhere finite.
    """
    check_edge(model, edge, "unfix_symbolic")
    index, target, source = edge
    layer = model.layers[index]
    if not any((t.target, t.source) == (target, source) for t in layer.spec.terms):
        raise EdgeError(f"unfix_symbolic: expected a symbolic edge, got the numeric edge {tuple(edge)}.")
    new = _replace_edge(model, edge, [], True)
    edges = new.layers[index].numeric
    assert edges is not None
    low, high = edge_ranges(model, data)[index]
    steps = torch.linspace(0, 1, edges.basis.n_intervals + 1, dtype=low.dtype, device=low.device)
    grid = edges.basis.grid
    if layer.numeric is None:
        edges.basis = type(edges.basis)(low[:, None] + (high - low)[:, None] * steps, edges.basis.k)
    elif low[source] < grid[source, 0] or high[source] > grid[source, -1]:
        first, last = torch.minimum(low, grid[:, 0])[source], torch.maximum(high, grid[:, -1])[source]
        grid = grid.clone()
        grid[source] = first + (last - first) * steps
        edges = new.layers[index].numeric = edges.with_basis(
            new.layers[index].spec, type(edges.basis)(grid, edges.basis.k)
        )
    grid = edges.basis.grid
    t = (grid_points().to(grid) + 1) / 2
    x = (grid[:, :1] + (grid[:, -1:] - grid[:, :1]) * t).T
    wanted = layer.edge_values(x)[:, target, source]
    # Sources that are splines themselves may leave the domain of a function by a little.
    defined = torch.isfinite(wanted)
    if not defined.any():
        raise EdgeError(
            f"unfix_symbolic: expected a function that is finite somewhere between {float(x[0, source]):.4g} and "
            f"{float(x[-1, source]):.4g}, got none on edge {tuple(edge)}. Pass samples inside its domain."
        )
    start = int(edges.has_base)
    edges.weight[target, source] = 0
    edges.weight[target, source, start:] = lstsq(edges.basis(x)[defined, source], wanted[defined, None])[:, 0]
    return new


def _replace_edge(model: MultKAN, edge: EdgeIndex, terms: Sequence[TermNumbers], numeric: bool) -> MultKAN:
    index, target, source = edge
    layers = [copy.deepcopy(layer) for i, layer in enumerate(model.layers) if i != index]
    old = model.layers[index]
    pairs = [pair for pair in old.spec.numeric_pairs if pair != (target, source)]
    kept = [t for t in terms_of(old) if (t.term.target, t.term.source) != (target, source)]
    layers.insert(index, rewire(old, [*pairs, (target, source)] if numeric else pairs, [*kept, *terms]))
    new = type(model).from_layers(model.spec, layers)
    new.data = model.data
    return new
