"""Symbolification of a whole network: choose, retrain, keep what holds, roll back what hurts.

First the likeliest functions are tried for all spline edges together. Where that fails, the edges are visited from the
inputs upwards, the clearest of a layer first: the best few functions are tried, the whole network is retrained after
each, and the first that holds the error within a stated factor of the splines' is kept; then the edges that are left
are tried together again. An edge for which no function holds stays a spline. At last numbers become exact, and the
result is held against the original network in the loss that was trained, see `_finish` and `_judge`; functions by
which it explains less are given up. Every network that was tried enters the Pareto table, see `kan2.discovery.pareto`.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

import copy
import logging
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Any, Generic

from kan2 import options
from kan2.core.data import Columns, Dataset
from kan2.core.network import AnyNetwork, Network
from kan2.core.verbs import verb
from kan2.discovery._compose import compose
from kan2.discovery._constant import constant
from kan2.discovery._criteria import Criteria
from kan2.discovery._finish import settled, suggestions, unshifted
from kan2.discovery._judge import Judge
from kan2.discovery._reroute import parallels, reroute
from kan2.discovery.pareto import ParetoTable, complexity
from kan2.discovery.prune import ranked_edges, try_without, without
from kan2.discovery.symbolic_report import Choice, SymbolicReport
from kan2.errors import TrainingError
from kan2.interrupts import Interruptible
from kan2.symbolic.fix import fix_symbolic
from kan2.symbolic.snap import snap_constants
from kan2.symbolic.suggest import Suggestions, checked_library, checked_weight
from kan2.training.objective import Objective, objective_of
from kan2.training.spread import rmse, rounding, size_in_spreads
from kan2.types import EdgeIndex

LOG = logging.getLogger("kan2.discovery")
IDLE = 0.03  # share of a subnode below which an edge is tried without
# How far a formula may be from the outputs of its network, in units of what the loss cannot tell apart: a network may
# be further from the truth than that, and the judge tells. The next where edges resist, or the formula is refused.
TIGHTER = (10.0, 1.0, 0.2)
LAST = 4  # times as many functions are tried on the last spline
TOGETHER = 4  # combinations of functions that are tried for all edges together


@verb
def auto_symbolic(
    model: AnyNetwork,
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
    target: Columns | None = None,
) -> AnyNetwork:
    """Returns the network with its splines replaced by functions; `report` of the result says what was done.

    An edge keeps its spline where no function of the library holds the error within `max_growth` of the splines', or
    where the result explains less than the network did on samples kept aside: the test samples, or a fifth of the
    rows. After a loss other than squares, or a residual, functions are fitted to the outputs, each sample weighted by
    the curvature of the loss; the result is trained on that loss, and judged by it.

    Args:
        model: left as it is.
        data: training samples; by default those of the last fit.
        library: names of the functions to try; by default `functions.DEFAULT_LIBRARY`.
        weight_simple: how many decades of 1 - R2 one unit of complexity must buy; by default 0.35.
        max_growth: largest factor by which the error may exceed that of the splines, >= 1.
        tries: how many functions are tried on an edge before it is left a spline.
        steps: training steps after each choice.
        snap: turn numbers into simple ones where the data allow it.
        sample_weight: (batch,) non-negative weights; by default those of the last fit, with its data.
        accuracy: how well the data can be trusted, as a share of the targets; errors below it count as none.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Returns:
        the network; after Ctrl-C the best that had been accepted, and `report.interrupted` is true.

    Raises:
        DataError: there are no targets to train on.
        TrainingError: weights beside a loss that takes none, or a number is of the wrong type or out of range.
        UnknownNameError: a function of the library is unknown.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> model = MultKAN([1, 1])
        >>> history = model.fit(sample_function("exp(-2*x)", {"x": (0, 1)}, n=100))
        >>> print(auto_symbolic(model).report.pareto.recommended.formula)
        exp(-2*x)
    """
    where = "auto_symbolic"
    options.network(where, model, error=TrainingError)
    library, weight_simple = checked_library(where, library), checked_weight(where, weight_simple)
    max_growth = options.number(where, "max_growth", max_growth, 1, error=TrainingError)
    tries = options.whole(where, "tries", tries, error=TrainingError)
    steps = options.whole(where, "steps", steps, 0, error=TrainingError)
    snap = options.flag(where, "snap", snap, error=TrainingError)
    accuracy = options.number(where, "accuracy", accuracy, 0, error=TrainingError)
    samples, objective = objective_of(model, data, "auto_symbolic", sample_weight=sample_weight, needs_targets=True)
    if objective.is_squares and (equal := constant(model, samples, objective)) is not None:
        return _without_search(equal, samples, objective, rmse(model, samples, objective.sample_weight), snap)
    model = objective.normalised(model)
    near, weight, trusted = objective.surrogate(model, samples)
    start = copy.deepcopy(model)
    start.data, start.objective = near, Objective(sample_weight=weight)
    error, size = rmse(model, near, weight), size_in_spreads(near, weight)
    judge = Judge(model, samples, objective, tolerance=(max_growth * accuracy * size) ** 2)
    if not objective.is_squares:
        # What other losses explain has no unit of its own.
        judge.tolerance = (max_growth * accuracy) ** 2 * judge.explained
    best: AnyNetwork = start
    search: _Search[AnyNetwork] | None = None
    with Interruptible() as block:
        block.has_result = True
        for share in (1.0,) if objective.is_squares else TIGHTER:
            near_enough = max(accuracy, min(share, 1.0) * trusted / size if size else 0.0)
            floor = max(1e-13, near_enough * size, rounding(near))
            limit = max_growth * max(error, floor, share * trusted)
            penalty = objective.penalty
            criteria = Criteria(near, limit, steps, weight, penalty, library, weight_simple, tries, near_enough)
            search = _Search(start, error, criteria, ParetoTable(len(near), floor))
            search.drop_idle_edges()
            search.straighten()
            search.choose_all()
            search.simplify()
            found = settled(search.trail, criteria, search.report, judge, snap)
            if best is start or _n_splines(found) < _n_splines(best):
                best = found
            if found.is_formula or not (found.report.refused or share > 1):
                break
    if block.interrupted and best is start:
        # Of what was accepted for squares to the targets, the last is the best; else the network is not judged yet.
        best = copy.deepcopy(model if search is None or not objective.is_squares else search.model)
        best.report = SymbolicReport(error) if search is None else search.report
        best.data, best.objective = samples, objective
    best.report.interrupted = block.interrupted
    LOG.info("auto_symbolic: %d edges, %d splines left", best.spec.n_edges, _n_splines(best))
    return best


def _without_search(model: AnyNetwork, data: Dataset, objective: Objective, error: float, snap: bool) -> AnyNetwork:
    report = SymbolicReport(error, pareto=ParetoTable(len(data), rounding(data)))
    if snap:
        model = snap_constants(model, data, sample_weight=objective.sample_weight)
        model.data, model.objective, report.snap = data, objective, model.report
    report.pareto.add(model, rmse(model, data, objective.sample_weight))
    model.report = report
    return model


def _n_splines(model: Network) -> int:
    return sum(edge.is_numeric for edge in model.spec.edges())


class _Search(Generic[AnyNetwork]):
    """The network so far, what is asked of it, and the report.

    Attributes:
        model: the best network so far; never trained in place.
        error: its training error, in spreads of the targets.
        trail: the network before the search, and after every step that was accepted.
        criteria: what is asked of it.
        report: what has been done.
    """

    def __init__(self, model: AnyNetwork, error: float, criteria: Criteria, pareto: ParetoTable) -> None:
        self.model, self.error, self.criteria = model, error, criteria
        self.trail = [model]
        self.report = SymbolicReport(max(error, pareto.floor), pareto=pareto)
        pareto.add(model, error)

    def choose_all(self) -> None:
        """Goes on until every edge is a function, or resists."""
        left: list[EdgeIndex] = []
        if self._choose_together(TOGETHER):
            return
        while edges := self._spline_edges():
            candidates = [edge for edge in edges if edge not in left]
            if not candidates:
                return
            if self._choose_one(candidates, left):
                # Edges that resisted get another chance when their neighbours have become functions.
                left = []
                if self._choose_together(max(1, TOGETHER // 2)):
                    return

    def _choose_together(self, n: int) -> bool:
        edges = self._spline_edges()
        if not edges:
            return False
        tables = self._suggestions(edges)
        for ranks in _combinations([tables[edge].scores[: self.criteria.tries] for edge in edges], n):
            rows = {edge: tables[edge].rows[rank] for edge, rank in zip(edges, ranks)}
            trial = self.model
            for edge, row in rows.items():
                trial = fix_symbolic(trial, edge, row.function, affine=row.affine, shape=row.shape)
            if self._try(trial):
                for edge, row in rows.items():
                    self._note(edge, row.function)
                return True
        return False

    def _choose_one(self, candidates: list[EdgeIndex], left: list[EdgeIndex]) -> bool:
        tables = self._suggestions(candidates)
        edge = min(candidates, key=lambda e: (e[0], tables[e].scores[0] if tables[e].scores else float("inf")))
        # The last spline may be a poor curve, which a function far down its list explains better than it does itself.
        tries = self.criteria.tries * (LAST if len(self._spline_edges()) == 1 else 1)
        for row in [*tables[edge].rows[:tries], *unshifted(self.model, edge, self.criteria)]:
            if self._try(fix_symbolic(self.model, edge, row.function, affine=row.affine, shape=row.shape)):
                self._note(edge, row.function)
                return True
        left.append(edge)
        self._note(edge, None)
        return False

    def simplify(self) -> None:
        """Replaces edges by simpler ones as long as that lowers the information criterion."""
        progressed = not self._spline_edges()
        while progressed:
            progressed = False
            present = ParetoTable(self.report.pareto.n, self.report.pareto.floor).add(self.model, self.error)
            for trial, edge, function in self._simpler():
                if present is None or complexity(trial) >= present.complexity:
                    continue
                error = self.criteria.refit(trial)
                found = self.report.pareto.add(trial, error)
                if found is not None and found.criterion < present.criterion:
                    self._accept(trial, error)
                    progressed = True
                    self._note(edge, function)
                    break

    def _simpler(self) -> Iterator[tuple[AnyNetwork, EdgeIndex, str]]:
        # Networks, yet untrained, in which one edge is missing, or a straight line from another source, or has another
        # function.
        for _, edge in ranked_edges(self.model, self.criteria.data):
            trial = without(self.model, [edge], self.criteria.data)
            if trial is not None:
                yield trial, edge, "0"
        for edge, source, affine in parallels(self.model, self.criteria.data):
            yield reroute(self.model, edge, source, affine), edge, "x"
        edges = [e.index for e in self.model.spec.edges() if len(e.functions) == 1]
        tables = self._suggestions(edges) if edges else {}
        for edge in edges:
            for row in tables[edge].rows[: self.criteria.tries]:
                trial = fix_symbolic(self.model, edge, row.function, affine=row.affine, shape=row.shape)
                yield trial, edge, row.function

    def _try(self, trial: AnyNetwork) -> bool:
        # Retrains a network of our own; it becomes the model if its error is accepted.
        error = self.criteria.refit(trial)
        self.report.pareto.add(trial, error)
        if LOG.isEnabledFor(logging.DEBUG):
            changed = [(e.index, *e.functions) for e in trial.spec.edges() if e not in list(self.model.spec.edges())]
            LOG.debug("tried %s: error %.3g, %.3g allowed", changed, error, self.criteria.limit)
        if error > self.criteria.limit:
            return False
        self._accept(trial, error)
        return True

    def _note(self, edge: EdgeIndex, function: str | None) -> None:
        self.report.choices.append(Choice(edge, function, self.error))
        LOG.info("edge %s: %s, error %.3g", edge, function or "no function of the library", self.error)

    def _accept(self, model: AnyNetwork, error: float) -> None:
        self.model, self.error = model, error
        self.trail.append(model)

    def _suggestions(
        self, edges: list[EdgeIndex], library: Sequence[str] | None = None, model: AnyNetwork | None = None
    ) -> dict[EdgeIndex, Suggestions]:
        return suggestions(model or self.model, edges, self.criteria, self.error, library)

    def _spline_edges(self) -> list[EdgeIndex]:
        return [e.index for e in self.model.spec.edges() if e.is_numeric]

    def drop_idle_edges(self) -> None:
        """Drops edges that hardly contribute to their subnode, if the others can do without them."""
        progressed = True
        while progressed and self.model.spec.n_edges > 1:
            progressed = False
            for share, edge in ranked_edges(self.model, self.criteria.data):
                if share >= IDLE:
                    return
                trial = try_without(self.model, [edge], self.criteria)
                if trial is not None:
                    self._accept(trial, self.criteria.error(trial))
                    self._note(edge, "0")
                    self.report.pareto.add(trial, self.error)
                    progressed = True
                    break

    def straighten(self) -> None:
        """Turns edges into straight lines whose bends another edge can take over.

        What a spline reads may be bent at will if the spline unbends it: the only edge of an addition node entirely,
        the factors of a product up to a common power. Such edges become straight lines first, and the others lose
        their freedom.
        """
        for index, layer in enumerate(self.model.spec.layers[:-1]):
            for node, group in enumerate(layer.groups):
                readers = [e for e in self.model.spec.edges() if e.layer == index + 1 and e.source == node]
                feeding = [[s for t, s in layer.active_pairs if t == target] for target in group]
                if not readers or any(not e.is_numeric or e.functions for e in readers):
                    continue
                numeric = set(layer.numeric_pairs)
                edges = [(index, t, f[0]) for t, f in zip(group, feeding) if len(f) == 1 and (t, f[0]) in numeric]
                reader = [e.index for e in readers]
                if len(group) == 1 and edges:
                    self._shorten(edges[0], reader)
                elif len(group) > 1 and len(reader) == 1 and self._straighten_one(reader):
                    continue
                elif len(edges) == len(group):
                    self._straighten_one(edges)

    def _shorten(self, edge: EdgeIndex, readers: list[EdgeIndex]) -> None:
        # A composition may be too much for its grid, but not for a function.
        composed = compose(self.model, edge, self.criteria.data)
        trials: list[tuple[AnyNetwork, str | None]] = [(copy.deepcopy(composed), None)]
        if len(readers) == 1:
            rows = self._suggestions(readers, model=composed)[readers[0]].rows[:2]
            for row in rows:
                trial = fix_symbolic(composed, readers[0], row.function, affine=row.affine, shape=row.shape)
                trials.append((trial, row.function))
        for trial, function in trials:
            if self._try(trial):
                self._note(edge, "x")
                if function is not None:
                    self._note(readers[0], function)
                return

    def _straighten_one(self, edges: list[EdgeIndex]) -> bool:
        tables = self._suggestions(edges, ["x"])
        for edge in sorted(edges, key=lambda e: -tables[e][0].r2):
            if self._try(fix_symbolic(self.model, edge, "x", affine=tables[edge][0].affine)):
                self._note(edge, "x")
                return True
        return False


def _combinations(scores: Sequence[Sequence[float]], n: int) -> Iterator[tuple[int, ...]]:
    # The n tuples of ranks with the lowest sums of scores, the lowest first.
    if not all(scores):
        return
    start: tuple[int, ...] = tuple(0 for _ in scores)
    queue, seen = [(0.0, start)], {start}
    while queue and n:
        total, ranks = heappop(queue)
        yield ranks
        n -= 1
        for i, rank in enumerate(ranks):
            following = (*ranks[:i], rank + 1, *ranks[i + 1 :])
            if rank + 1 < len(scores[i]) and following not in seen:
                seen.add(following)
                heappush(queue, (total + scores[i][rank + 1] - scores[i][rank], following))
