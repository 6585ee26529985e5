"""The end of symbolification: other functions are tried once more, numbers become exact, and the result is judged.

A function that holds an edge within the limit need not be the best that does. What the functions of an edge are worth
shows when their numbers have become simple ones: a square root without shift or constant has one number, a logarithm
that imitates it has three. So the information criterion is compared after snapping.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, log
from typing import Generic

import torch

from kan2 import functions
from kan2.core.network import AnyNetwork, Network
from kan2.discovery._criteria import Criteria
from kan2.discovery._judge import Judge
from kan2.discovery.symbolic_report import Choice, SymbolicReport
from kan2.errors import EdgeError
from kan2.symbolic.candidates import POWERS
from kan2.symbolic.curves import CurveFit
from kan2.symbolic.fix import fix_symbolic, unfix_symbolic
from kan2.symbolic.polish import linear_part
from kan2.symbolic.snap import MAX_CHANCE, SnapReport, chance_of_zero, fit_numbers, snap_constants
from kan2.symbolic.suggest import Suggestions, suggest_all
from kan2.training.objective import Objective
from kan2.training.refit import train_on
from kan2.types import EdgeIndex

TO_THE_END = 200  # steps of the last training
QUICK = 10  # steps that tell which functions to train to the end
PROMISING = 12  # functions of an edge that are fitted to the data; all 22 gave the same laws in 54 fits with noise
ON_THE_OBJECTIVE = 40  # steps of training on what the network was trained for
NEARLY_EXACT = 10.0  # errors below so many floors leave nothing to gain by another function of the same complexity


@dataclass(frozen=True, eq=False)
class Finished(Generic[AnyNetwork]):
    """A network trained to the end, with exact numbers where all its edges are functions.

    Attributes:
        start: the network before that.
        model: the network.
        snap: what became of its numbers; None where splines are left, or snapping was switched off.
        error: its training error, in spreads of the targets.
        criterion: its information criterion, see `pareto`; infinite where splines are left.
    """

    start: AnyNetwork
    model: AnyNetwork
    snap: SnapReport | None
    error: float
    criterion: float


@dataclass(frozen=True, eq=False)
class Rival(Generic[AnyNetwork]):
    """A network with another function on one edge, its numbers fitted briefly.

    Attributes:
        model: the network.
        criterion: its information criterion, without the shifts and constants that the data do not need.
    """

    model: AnyNetwork
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
    start, model = model, copy.deepcopy(model)
    model.data, model.objective = criteria.data, Objective(sample_weight=criteria.sample_weight)
    if not model.is_formula:
        return Finished(start, model, None, criteria.error(model), inf)
    error = criteria.refit_to_the_end(model, TO_THE_END)
    row = report.pareto.add(model, error)
    done = None
    if snap:
        weight, accuracy = criteria.sample_weight, criteria.accuracy
        model = snap_constants(model, criteria.data, sample_weight=weight, accuracy=accuracy)
        done, error = model.report, criteria.error(model)
        row = report.pareto.add(model, error)
    return Finished(start, model, done, error, inf if row is None else row.criterion)


def exchanged(
    model: AnyNetwork, first: Finished[AnyNetwork], criteria: Criteria, report: SymbolicReport, snap: bool
) -> list[Finished[AnyNetwork]]:
    """Returns finished networks with other functions on some edges, the lowest information criterion first.

    Args:
        model: a network of functions, before its numbers became exact.
        first: the same one finished; it is among those that are returned.
        criteria: what is asked of them.
        report: told of every network that is tried.
        snap: turn numbers into simple ones.
    """
    found, best, seen = [first], first, set()
    progressed = True
    while progressed and best.error > NEARLY_EXACT * report.pareto.floor:
        progressed, pool = False, []
        for edge in [e.index for e in model.spec.edges() if len(e.functions) == 1]:
            # An edge is looked at again where the others have changed.
            others = edge, tuple((e.index, e.functions) for e in model.spec.edges() if e.index != edge)
            if others not in seen:
                seen.add(others)
                pool += rivals(model, edge, best.error, criteria, report)
        # Of all edges the best comes first: of x and log in place of a root, x would else become what mends the log.
        for rival in sorted(pool, key=lambda entry: entry.criterion)[: criteria.tries]:
            if _lowest_criterion(rival.model, criteria.error(rival.model), report) >= best.criterion:
                continue
            other = finished(rival.model, criteria, report, snap)
            if not other.error <= criteria.limit:
                continue
            found.append(other)
            if other.criterion < best.criterion:
                model, best, progressed = rival.model, other, True
    return sorted(found, key=lambda entry: entry.criterion)


def rivals(
    model: AnyNetwork, edge: EdgeIndex, error: float, criteria: Criteria, report: SymbolicReport
) -> list[Rival[AnyNetwork]]:
    """Returns networks with another function on one edge.

    What an edge may be is not told by the function that it is: a straight line looks like the flat part of anything.
    So the edge becomes a spline once more, trained with the functions of the others; the whole library is fitted to
    that spline, and to the present function where it is the better start, then the numbers of each network to the data.

    Args:
        model: a network of functions.
        edge: (layer, target, source).
        error: that of the model, in spreads of the targets.
        criteria: what is asked of the networks.
        report: told of every network that is tried.
    """
    (present,) = next(e.functions for e in model.spec.edges() if e.index == edge)
    starts: dict[tuple[str, bool], tuple[float, AnyNetwork]] = {}
    for base in (model, _as_spline(model, edge, criteria)):
        if base is None:
            continue
        table = suggestions(base, [edge], criteria, error)[edge]
        for row in [*table.rows, *unshifted(base, edge, criteria)]:
            if row.function == present:
                continue
            trial = fix_symbolic(base, edge, row.function, affine=row.affine, shape=row.shape)
            off, key = criteria.error(trial), (row.function, row.affine[1] == 0)
            if off < starts.get(key, (inf, model))[0]:
                starts[key] = off, trial
    result: list[Rival[AnyNetwork]] = []
    for _, start in sorted(starts.values(), key=lambda entry: entry[0])[:PROMISING]:
        weight, accuracy = criteria.sample_weight, criteria.accuracy
        trial, numbers = fit_numbers(start, criteria.data, sample_weight=weight, accuracy=accuracy, steps=QUICK)
        tried = report.pareto.add(trial, criteria.error(trial))
        if tried is None or not all(isfinite(number.error) for number in numbers):
            continue
        # A shift or constant that the data do not need will go.
        idle = sum(number.letter in "bd" and chance_of_zero(number) <= MAX_CHANCE for number in numbers)
        result.append(Rival(trial, tried.criterion - idle * log(report.pareto.n)))
    return result


def _as_spline(model: AnyNetwork, edge: EdgeIndex, criteria: Criteria) -> AnyNetwork | None:
    try:
        spline = unfix_symbolic(model, edge, criteria.data)
    except EdgeError:
        return None
    return spline if criteria.refit(spline) < inf else None


@torch.no_grad()
def unshifted(model: Network, edge: EdgeIndex, criteria: Criteria) -> list[CurveFit]:
    """Returns the power law without shift that fits an edge at the samples best, if the library has it.

    Shift, exponent and constant of laws such as x^0.75 make up for each other along so flat a valley that a search for
    all of them often ends far from the law without shift and constant.
    """
    x = model.trace(model.samples(criteria.data, "auto_symbolic").X).layers[edge[0]].inputs
    z = model.layers[edge[0]].edge_values(x)[:, edge[1], edge[2]].double().cpu()
    x = x[:, edge[2]].double().cpu()
    sign = 1.0 if bool((x > 0).all()) else -1.0
    library = functions.DEFAULT_LIBRARY if criteria.library is None else criteria.library
    if "power" not in [functions.get(name).name for name in library] or not bool((sign * x > 0).all()):
        return []
    row, shape = functions.get("power"), torch.tensor(POWERS, dtype=torch.float64)
    values = row(sign * x, shape[:, None])
    c, d = linear_part(values, z.expand_as(values))
    off = (c[:, None] * values + d[:, None] - z).square().mean(1).nan_to_num(inf, inf)
    best = int(off.argmin())
    if not isfinite(float(off[best])):
        return []
    affine = sign, 0.0, float(c[best]), float(d[best])
    return [CurveFit(row.name, affine, POWERS[best], 1 - float(off[best]) / float(z.var()), row.complexity)]


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
    left = list(trail)
    while True:
        model = left.pop()
        options = [finished(model, criteria, report, snap)]
        if not report.refused and model.is_formula:
            # The simplest may explain too little, and the next enough.
            options = exchanged(model, options[0], criteria, report, snap)[: criteria.tries]
        for result in options:
            found = _on_the_objective(result.model, judge)
            if not left or not judge.is_worse(found):
                return _told(found, result, model, report, judge)
            report.refused += 1


def _on_the_objective(model: AnyNetwork, judge: Judge) -> AnyNetwork:
    if judge.objective.is_squares:
        return model
    model = copy.deepcopy(model)
    train_on(model, judge.data, judge.objective, ON_THE_OBJECTIVE)
    return model


def _told(
    found: AnyNetwork, result: Finished[AnyNetwork], model: Network, report: SymbolicReport, judge: Judge
) -> AnyNetwork:
    before = {e.index: e.functions for e in model.spec.edges()}
    exchanged_edges = [e for e in result.start.spec.edges() if e.functions and e.functions != before[e.index]]
    report.choices += [Choice(e.index, e.functions[0], result.error) for e in exchanged_edges]
    report.snap = result.snap
    if report.refused:
        report.choices += [Choice(e.index, None, result.error) for e in found.spec.edges() if e.is_numeric]
    found.data, found.objective, found.report = judge.data, judge.objective, report
    return found
