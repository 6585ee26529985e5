"""Symbolification of a whole network: choose, retrain, keep what holds, roll back what hurts.

Spline edges are visited from the inputs upwards, the clearest of a layer first. The best few functions are tried on
each; the whole network is retrained after each choice, and the first choice that holds the error within a stated
factor of the splines' is kept. Where none does, the edge stays a spline. At last numbers become exact, see `kan2.snap`.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kan2.auto_prune import ranked_edges, refit, rmse, try_without, weighted_rms
from kan2.data import Dataset
from kan2.errors import DataError
from kan2.network import MultKAN
from kan2.snap import SnapReport, snap_constants
from kan2.symbolify import fix_symbolic, suggest_all
from kan2.types import EdgeIndex

IDLE = 0.03  # share of a subnode below which an edge is tried without


@dataclass(frozen=True)
class Choice:
    """What was decided for one edge: the function, or None where it stays a spline, and the error afterwards."""

    edge: EdgeIndex
    function: str | None
    rmse: float


@dataclass
class SymbolicReport:
    """What `auto_symbolic` did; prints as a table.

    Attributes:
        rmse_before: training error of the splines, root mean square.
        choices: in the order they were made.
        snap: what became of the numbers; None where splines are left, or snapping was switched off.
    """

    rmse_before: float
    choices: list[Choice] = field(default_factory=list)
    snap: SnapReport | None = None

    def __str__(self) -> str:
        lines = [f"splines: rmse {self.rmse_before:.3g}"]
        lines += [f"edge {c.edge}: {c.function or 'spline'}, rmse {c.rmse:.3g}" for c in self.choices]
        if self.snap is not None:
            lines.append(f"constants: rmse {self.snap.rmse_before:.3g} -> {self.snap.rmse_after:.3g}")
        return "\n".join(lines)


def auto_symbolic(
    model: MultKAN,
    data: Any = None,
    *,
    library: Sequence[str] | None = None,
    weight_simple: float | None = None,
    max_growth: float = 2.0,
    tries: int = 4,
    steps: int = 40,
    snap: bool = True,
    sample_weight: Any = None,
    accuracy: float = 0.0,
) -> MultKAN:
    """Returns the network with its splines replaced by functions; `report` of the result says what was done.

    An edge keeps its spline where no function of the library holds the error within `max_growth` of the splines'.

    Args:
        model: left as it is.
        data: training samples; by default those of the last fit.
        library: names of the functions to try; by default `functions.DEFAULT_LIBRARY`.
        weight_simple: how many decades of 1 - R2 one unit of complexity must buy; by default 0.35.
        max_growth: largest factor by which the error may exceed that of the splines, >= 1.
        tries: how many functions are tried on an edge before it is left a spline.
        steps: training steps after each choice.
        snap: turn numbers into simple ones where the data allow it.
        sample_weight: (batch,) non-negative weights.
        accuracy: how well the data can be trusted, as a share of the targets; errors below it count as none.

    Raises:
        DataError: there are no targets to train on.
    """
    data = model.samples(data, "auto_symbolic")
    if not isinstance(data, Dataset) or len(data.y) != len(data.X):
        raise DataError("auto_symbolic: expected samples with targets (X, y), got none. Pass the training data.")
    scale = float(data.y.std(unbiased=False)) or 1.0
    limit = max(rmse(model, data, sample_weight), 1e-13 * scale, accuracy * weighted_rms(data.y, sample_weight))
    report = SymbolicReport(limit)
    model = _drop_idle_edges(model, data, max_growth * limit, steps, sample_weight, report)
    model = _straighten(model, data, max_growth * limit, steps, sample_weight, report)
    left: list[EdgeIndex] = []
    progressed = True
    while True:
        edges = [(e.layer, e.target, e.source) for e in model.spec.edges() if e.is_numeric]
        if not edges:
            break
        candidates = [edge for edge in edges if edge not in left]
        if not candidates:
            # Edges that resisted get another chance after their neighbours have become functions.
            if not progressed:
                break
            left, progressed = [], False
            continue
        noise = max((rmse(model, data, sample_weight) / scale) ** 2, 1e-14)
        tables = suggest_all(model, candidates, data, library=library, weight_simple=weight_simple, noise=noise)
        edge = min(candidates, key=lambda e: (e[0], tables[e].scores[0] if tables[e].scores else float("inf")))
        chosen = None
        for row in tables[edge].rows[:tries]:
            trial = fix_symbolic(model, edge, row.function, affine=row.affine, shape=row.shape)
            if refit(trial, data, steps, sample_weight) <= max_growth * limit:
                chosen, model, progressed = row.function, trial, True
                break
        report.choices.append(Choice(edge, chosen, rmse(model, data, sample_weight)))
        if chosen is None:
            left.append(edge)
    if any(e.is_numeric for e in model.spec.edges()):
        return _with_report(model, data, report)
    model = copy.deepcopy(model)
    refit(model, data, 200, sample_weight)
    if snap:
        model = snap_constants(model, data, sample_weight=sample_weight, accuracy=accuracy)
        report.snap = model.report
    return _with_report(model, data, report)


def _with_report(model: MultKAN, data: Dataset, report: SymbolicReport) -> MultKAN:
    model.data, model.report = data, report
    return model


def _drop_idle_edges(
    model: MultKAN, data: Dataset, limit: float, steps: int, sample_weight: Any, report: SymbolicReport
) -> MultKAN:
    # An edge that hardly contributes to its subnode is dropped first, if the others can do without it.
    while model.spec.n_edges > 1:
        for share, edge in ranked_edges(model, data):
            trial = try_without(model, [edge], data, limit, steps, sample_weight) if share < IDLE else None
            if trial is not None:
                model = trial
                report.choices.append(Choice(edge, "0", rmse(model, data, sample_weight)))
                break
        else:
            return model
    return model


def _straighten(
    model: MultKAN, data: Dataset, limit: float, steps: int, sample_weight: Any, report: SymbolicReport
) -> MultKAN:
    # What a spline reads may be bent at will if the spline unbends it: the only edge of an addition node entirely, one
    # factor of a product up to a power. Such edges become straight lines first, and the others lose their freedom.
    for index, layer in enumerate(model.spec.layers[:-1]):
        for node, group in enumerate(layer.groups):
            readers = [e for e in model.spec.edges() if e.layer == index + 1 and e.source == node]
            feeding = [[s for t, s in layer.active_pairs if t == target] for target in group]
            if any(not e.is_numeric or e.functions for e in readers) or any(len(f) != 1 for f in feeding):
                continue
            numeric = set(layer.numeric_pairs)
            edges = [(index, t, f[0]) for t, f in zip(group, feeding) if (t, f[0]) in numeric]
            if len(edges) < len(group) or not edges:
                continue
            tables = suggest_all(model, edges, data, library=["x"])
            for edge in sorted(edges, key=lambda e: -tables[e][0].r2):
                trial = fix_symbolic(model, edge, "x", affine=tables[edge][0].affine)
                error = refit(trial, data, steps, sample_weight)
                if error <= limit:
                    model = trial
                    report.choices.append(Choice(edge, "x", error))
                    break
    return model
