"""One edge made a symbolic function, and made a spline again. Both return a new network.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch

from kan2 import functions, options
from kan2.core.data import Columns
from kan2.core.linalg import lstsq
from kan2.core.network import AnyNetwork
from kan2.core.spec import SymbolicTerm
from kan2.core.verbs import verb
from kan2.edits.rewire import TermNumbers, rewire, terms_of
from kan2.errors import EdgeError
from kan2.symbolic.curves import grid_points
from kan2.symbolic.suggest import edge_ranges, suggest_all
from kan2.types import EdgeIndex


@verb
def fix_symbolic(
    model: AnyNetwork,
    edge: EdgeIndex,
    function: str,
    data: Any = None,
    *,
    affine: Sequence[float] | None = None,
    shape: float | None = None,
    fit: bool = True,
    target: Columns | None = None,
) -> AnyNetwork:
    """Returns the network with one edge set to a symbolic function.

    Args:
        model: left as it is.
        edge: (layer, target, source).
        function: a name in `kan2.functions`.
        data: samples that say over which range to fit; by default those of the last fit, or the grid.
        affine: the numbers a, b, c, d; by default they are fitted to what the edge does now.
        shape: the shape parameter, where the function has one.
        fit: False starts from c f(a x + b) + d = f(x) instead of fitting.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        EdgeError: no such edge, or the function cannot be fitted over its range.
        UnknownNameError: no such function.
    """
    row = functions.get(function)
    options.network("fix_symbolic", model, error=EdgeError)
    edge = model.spec.check_edge(edge, "fix_symbolic", may_be_empty=True)
    fit = options.flag("fix_symbolic", "fit", fit, error=EdgeError)
    shape = None if shape is None else options.number("fix_symbolic", "shape", shape, error=EdgeError)
    if affine is not None:
        if isinstance(affine, torch.Tensor):
            affine = affine.tolist()
        affine = options.listed("fix_symbolic", "affine", affine, "four numbers", "(a, b, c, d)", error=EdgeError)
        affine = [options.number("fix_symbolic", "each of affine", value, error=EdgeError) for value in affine]
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


@verb
@torch.no_grad()
def unfix_symbolic(
    model: AnyNetwork, edge: EdgeIndex, data: Any = None, *, target: Columns | None = None
) -> AnyNetwork:
    """Returns the network with a symbolic edge turned back into a spline that follows it.

    Args:
        model: left as it is.
        edge: (layer, target, source).
        data: samples that say over which range; by default those of the last fit, or the grid. Where they go beyond
            the grid of the source, the grid is widened, and its other splines are carried over.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        EdgeError: no such edge, it is not symbolic, or its function is nowhere finite.
    """
    options.network("unfix_symbolic", model, error=EdgeError)
    edge = model.spec.check_edge(edge, "unfix_symbolic")
    index, row, source = edge
    layer = model.layers[index]
    if not any((t.target, t.source) == (row, source) for t in layer.spec.terms):
        raise EdgeError(f"unfix_symbolic: expected a symbolic edge, got the numeric edge {tuple(edge)}.")
    new = _replace_edge(model, edge, [], True)
    edges = new.layers[index].numeric
    assert edges is not None
    low, high = edge_ranges(model, data, "unfix_symbolic")[index]
    steps = torch.linspace(0, 1, edges.basis.n_intervals + 1, dtype=low.dtype, device=low.device)
    grid = edges.basis.grid
    if layer.numeric is None:
        edges.basis = edges.basis.on_grid(low[:, None] + (high - low)[:, None] * steps)
        edges.basis.set_home_(low, high)
    elif low[source] < grid[source, 0] or high[source] > grid[source, -1]:
        first, last = torch.minimum(low, grid[:, 0])[source], torch.maximum(high, grid[:, -1])[source]
        grid = grid.clone()
        grid[source] = first + (last - first) * steps
        edges = new.layers[index].numeric = edges.with_basis(new.layers[index].spec, edges.basis.on_grid(grid))
    grid = edges.basis.grid
    t = (grid_points().to(grid) + 1) / 2
    x = (grid[:, :1] + (grid[:, -1:] - grid[:, :1]) * t).T
    wanted = layer.edge_values(x)[:, row, source]
    # Sources that are splines themselves may leave the domain of a function by a little.
    defined = torch.isfinite(wanted)
    if not defined.any():
        raise EdgeError(
            f"unfix_symbolic: expected a function that is finite somewhere between {float(x[0, source]):.4g} and "
            f"{float(x[-1, source]):.4g}, got none on edge {tuple(edge)}. Pass samples inside its domain."
        )
    start = int(edges.has_base)
    edges.weight[row, source] = 0
    edges.weight[row, source, start:] = lstsq(edges.basis(x)[defined, source], wanted[defined, None])[:, 0]
    return new


def _replace_edge(model: AnyNetwork, edge: EdgeIndex, terms: Sequence[TermNumbers], numeric: bool) -> AnyNetwork:
    index, target, source = edge
    layers = [copy.deepcopy(layer) for i, layer in enumerate(model.layers) if i != index]
    old = model.layers[index]
    pairs = [pair for pair in old.spec.numeric_pairs if pair != (target, source)]
    kept = [t for t in terms_of(old) if (t.term.target, t.term.source) != (target, source)]
    layers.insert(index, rewire(old, [*pairs, (target, source)] if numeric else pairs, [*kept, *terms]))
    new = type(model).from_layers(model.spec, layers)
    return new.inherit_(model)
