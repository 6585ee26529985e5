"""The end of symbolification: other functions are tried once more, numbers become exact, and the result is judged.

A function that holds an edge within the limit need not be the best that does. What the functions of an edge are worth
shows when their numbers have become simple ones: a square root without shift or constant has one number, a logarithm
that imitates it has three. So the information criterion is compared after snapping.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Generic

from kan2 import functions
from kan2.core.network import AnyNetwork, Network
from kan2.discovery._criteria import Criteria
from kan2.discovery._judge import Judge
from kan2.discovery.symbolic_report import Choice, SymbolicReport
from kan2.symbolic.fix import fix_symbolic
from kan2.symbolic.snap import SnapReport, snap_constants
from kan2.symbolic.suggest import Suggestions, suggest_all
from kan2.training.objective import Objective
from kan2.training.refit import train_on
from kan2.types import EdgeIndex

TO_THE_END = 200  # steps of the last training
ON_THE_OBJECTIVE = 40  # steps of training on what the network was trained for
NEARLY_EXACT = 10.0  # errors below so many floors leave nothing to gain by another function of the same complexity


@dataclass(frozen=True, eq=False)
class Finished(Generic[AnyNetwork]):
    """A network trained to the end, with exact numbers where all its edges are functions.

    Attributes:
        model: the network.
        snap: what became of its numbers; None where splines are left, or snapping was switched off.
        error: its training error, in spreads of the targets.
        criterion: its information criterion, see `pareto`; infinite where splines are left.
    """

    model: AnyNetwork
    snap: SnapReport | None
    error: float
    criterion: float


def suggestions(
    model: Network, edges: Sequence[EdgeIndex], criteria: Criteria, error: float, library: Sequence[str] | None = None
) -> dict[EdgeIndex, Suggestions]:
    """Returns ranked functions of edges, as far as the error of the network lets them be told apart."""
    return suggest_all(
        model,
        edges,
        criteria.data,
        library=library or criteria.library,
        weight_simple=criteria.weight_simple,
        noise=max(error**2, 1e-14),
    )


def finished(model: AnyNetwork, criteria: Criteria, report: SymbolicReport, snap: bool) -> Finished[AnyNetwork]:
    """Returns a copy of a network trained to the end, with exact numbers; what comes about enters the Pareto table."""
    model = copy.deepcopy(model)
    model.data, model.objective = criteria.data, Objective(sample_weight=criteria.sample_weight)
    if not model.is_formula:
        return Finished(model, None, criteria.error(model), float("inf"))
    error = criteria.refit_to_the_end(model, TO_THE_END)
    row = report.pareto.add(model, error)
    done = None
    if snap:
        weight, accuracy = criteria.sample_weight, criteria.accuracy
        model = snap_constants(model, criteria.data, sample_weight=weight, accuracy=accuracy)
        done, error = model.report, criteria.error(model)
        row = report.pareto.add(model, error)
    return Finished(model, done, error, float("inf") if row is None else row.criterion)


def exchanged(
    model: AnyNetwork, first: Finished[AnyNetwork], criteria: Criteria, report: SymbolicReport, snap: bool
) -> Finished[AnyNetwork]:
    """Returns the network whose functions have the lowest information criterion once its numbers are exact.

    Args:
        model: a network of functions, before its numbers became exact.
        first: the same one finished.
        criteria: what is asked of it.
        report: told of every exchange.
        snap: turn numbers into simple ones.
    """
    best, progressed = first, True
    while progressed and best.error > NEARLY_EXACT * report.pareto.floor:
        progressed = False
        edges = [e.index for e in model.spec.edges() if len(e.functions) == 1]
        tables = suggestions(model, edges, criteria, best.error) if edges else {}
        present = {e.index: e.functions[0] for e in model.spec.edges() if len(e.functions) == 1}
        for edge in edges:
            for row in tables[edge].rows[: criteria.tries]:
                if row.function == present[edge]:
                    continue
                trial = fix_symbolic(model, edge, row.function, affine=row.affine, shape=row.shape)
                error = criteria.refit(trial)
                report.pareto.add(trial, error)
                if error > criteria.limit or _lowest_criterion(trial, error, report) >= best.criterion:
                    continue
                other = finished(trial, criteria, report, snap)
                if other.criterion < best.criterion:
                    model, best, progressed = trial, other, True
                    report.choices.append(Choice(edge, row.function, other.error))
                    break
            if progressed:
                break
    return best


def _lowest_criterion(model: Network, error: float, report: SymbolicReport) -> float:
    # What is left if every free number becomes an exact one.
    table = report.pareto
    size = sum(len(layer.arities) for layer in model.spec.layers)
    size += sum(functions.get(term.function).complexity for layer in model.spec.layers for term in layer.terms)
    return 2 * table.n * log(max(error, table.floor, 1e-300)) + size * log(table.n)


def settled(
    trail: Sequence[AnyNetwork], criteria: Criteria, report: SymbolicReport, judge: Judge, snap: bool
) -> AnyNetwork:
    """Returns the last network of a search that explains as much as the first one; the report says what it gives up.

    Args:
        trail: the network before the search, then after every step that was accepted.
        criteria: what was asked of each.
        report: what has been done.
        judge: compares with the first network.
        snap: turn numbers into simple ones.
    """
    objective, left = judge.objective, list(trail)
    while True:
        model = left.pop()
        result = finished(model, criteria, report, snap)
        if not report.refused and model.is_formula:
            result = exchanged(model, result, criteria, report, snap)
        found = result.model
        if not objective.is_squares:
            found = copy.deepcopy(found)
            train_on(found, judge.data, objective, ON_THE_OBJECTIVE)
        if not left or not judge.is_worse(found):
            break
        report.refused += 1
    report.snap = result.snap
    if report.refused:
        report.choices += [Choice(e.index, None, result.error) for e in found.spec.edges() if e.is_numeric]
    found.data, found.objective, found.report = judge.data, objective, report
    return found
