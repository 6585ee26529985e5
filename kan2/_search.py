"""The search of networks behind `kan2.discover`: train, prune, refine, symbolify, snap, and start again if that fails.

Each *attempt* trains a network from another random start, prunes it to the smallest that still fits, refines it and
replaces its splines by functions. Every other attempt starts from one node fewer than the last one was left with, or,
where that was a single node that no function was found for, from nodes of the other kind: a product is also a sum of
logarithms, but what reads the sum is a function of an exponential, for which no library may have a name. An attempt
has succeeded when no spline is left, what is left of the targets is *noise*, either nothing at all or errors that do
not resemble those of the nearest samples, the formula explains more than the mean of the targets does, and there are
seven rows for each number that is not simple. If numbers are left that are not simple, a second success must confirm
it; of both, the lower information criterion wins. Without success, the network with the lowest information criterion of
all attempts is returned.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import torch

from kan2.core.data import Dataset
from kan2.core.spec import parse_width
from kan2.discovery.pareto import ParetoTable
from kan2.discovery.progress import Reporter
from kan2.discovery.symbolic_report import SymbolicReport
from kan2.errors import Kan2Error, TrainingError
from kan2.interrupts import Interruptible, OutOfTime, is_late, time_limit
from kan2.laws.front.noise import is_law
from kan2.multkan import MultKAN
from kan2.symbolic.snap import snap_constants
from kan2.training.spread import rmse

COARSE = 0.03  # errors above this share of the targets' spread call for a finer grid before pruning
FINEST = 40  # intervals of the finest grid
FLOOR = 1e-3  # errors below this share count as equal when the network is pruned
SAMPLES_A_PARAMETER = 2
CONFIRMATIONS = 2  # successes after which the search ends although numbers are left that are not simple
SEARCH = 0.85  # share of the limit of seconds after which the search ends; the rest is for exact numbers
HIDDEN = [2, 1]  # sums and products of the hidden layer where no width is given


@dataclass(frozen=True)
class Outcome:
    """What a search of networks ended with.

    Attributes:
        model: the best network with its report; None where it was ended before one was trained.
        interrupted: whether Ctrl-C ended it.
        out_of_time: whether a limit of time did.
    """

    model: MultKAN | None
    interrupted: bool = False
    out_of_time: bool = False


def search(
    samples: Dataset,
    width: Sequence[int | Sequence[int]] | None,
    *,
    mult_arity: int | Sequence[Sequence[int]],
    library: Sequence[str] | None,
    attempts: int,
    grid: int,
    steps: int,
    seed: int,
    seconds: float | None,
    tell: Reporter,
    loss: Any = None,
    has_other: bool = False,
    **passed_on: Any,
) -> Outcome:
    """Returns the best network, see the module; `kan2.discover` says what the arguments are.

    Args:
        tell: told of every stage.
        loss: to train by; None for squares.
        has_other: whether the caller has something to return where this is ended before a network is trained.
    """
    search = _Search(samples, tell)
    given = smaller = _width(samples) if width is None else width, mult_arity
    fit = {"loss": loss, "sample_weight": passed_on["sample_weight"] if loss is None else None}
    late = False
    with Interruptible() as block:  # whose end is outside the limit
        block.has_result = has_other
        with time_limit(None if seconds is None else SEARCH * seconds):
            for attempt in range(attempts):
                if (has_other or search.trained is not None) and (late := is_late()):
                    break
                search.tell.begin(attempt + 1)
                try:
                    start = smaller if attempt % 2 else given
                    model = search.trained = _trained(samples, *start, grid, steps, seed + attempt, fit)
                except TrainingError:
                    search.tell("cannot be trained")
                    continue
                block.has_result = True
                search.tell("pruning")
                model = search.trained = model.auto_prune(floor=FLOOR)
                smaller = _one_node_fewer(model)
                if any(layer.numeric is not None for layer in model.layers):
                    search.tell("refining")
                    present = max(layer.basis.grid for layer in model.spec.layers)
                    finer = _finer(model, len(samples), present)
                    model.fit(samples, grids=[present, *finer], steps=steps, **fit)
                search.tell("looking for functions")
                model = model.auto_symbolic(library=library, **passed_on)
                is_found = search.add(model)
                smaller = smaller or (None if is_found else _other_kind(model, *given)) or given
                if is_found and (not _n_free(model) or search.n_found == CONFIRMATIONS):
                    break
            else:
                late = is_late()
    late, interrupted = late or block.out_of_time, block.interrupted and not block.out_of_time
    if search.trained is None:
        if late or interrupted:
            return Outcome(None, interrupted, late)
        raise TrainingError("discover: expected a network that can be trained, got none. Look at the data.")
    best = search.best()
    if late and best.is_formula and best.report.snap is None and passed_on["snap"]:
        best = _with_exact_numbers(best, samples, (1 - SEARCH) * (seconds or 0.0))
    best.report.pareto, best.report.found = search.table, _is_found(best, samples)
    best.report.out_of_time, best.report.interrupted = late, interrupted
    return Outcome(best, interrupted, late)


@dataclass(frozen=True)
class _Ended:
    """What an attempt ended with; the first in order is the best."""

    rank: tuple[bool, float]
    model: MultKAN


class _Search:
    """All attempts, and the network that is trained at present."""

    def __init__(self, samples: Dataset, tell: Reporter) -> None:
        self.samples, self.tell = samples, tell
        self.ended: list[_Ended] = []
        self.table = ParetoTable(len(samples))
        self.trained: MultKAN | None = None

    @property
    def n_found(self) -> int:
        return sum(not entry.rank[0] for entry in self.ended)

    def add(self, model: MultKAN) -> bool:
        """Adds what an attempt has ended with and returns whether it is a formula by the criterion of the module."""
        report: SymbolicReport = model.report
        if self.ended:
            self.table.rows += report.pareto.rows
        else:
            self.table = report.pareto
        is_found, error = _is_found(model, self.samples), rmse(model, self.samples)
        row = ParetoTable(len(self.samples), report.pareto.floor).add(model, error)
        entry = _Ended((not is_found, row.criterion if row else inf), model)
        is_best = all(entry.rank < other.rank for other in self.ended)
        self.ended.append(entry)
        self.tell.found(model, error, is_found, is_best)
        return is_found

    def best(self) -> MultKAN:
        """Returns the best of the attempts that ended or, where none did, the network as far as it has come."""
        if self.ended:
            return min(self.ended, key=lambda entry: entry.rank).model
        assert self.trained is not None
        error = rmse(self.trained, self.samples)
        self.table.add(self.trained, error)
        self.trained.report = SymbolicReport(error)
        return self.trained


def _width(samples: Dataset) -> list[Any]:
    n = len(samples.feature_names)
    return [n, 1 if n == 1 else HIDDEN, samples.y.shape[1]]


def _with_exact_numbers(model: MultKAN, samples: Dataset, seconds: float) -> MultKAN:
    # The search was ended before its numbers were looked at.
    try:
        with time_limit(seconds):
            snapped = snap_constants(model, samples)
    except (Kan2Error, OutOfTime):
        return model
    snapped.data, snapped.objective = model.data, model.objective
    snapped.report, report = model.report, snapped.report
    snapped.report.snap = report
    return snapped


def _trained(
    data: Dataset, width: Sequence[Any], mult_arity: Any, grid: int, steps: int, seed: int, fit: dict[str, Any]
) -> MultKAN:
    # What a coarse grid cannot resolve traps it in a local minimum: a finer one starts afresh.
    spread = float(data.y.std(unbiased=False))
    best: tuple[float, MultKAN] | None = None
    first = grid
    while best is None or grid <= FINEST:
        model = MultKAN(width, mult_arity, grid=grid, seed=seed)
        if best is not None and SAMPLES_A_PARAMETER * model.n_parameters > len(data):
            break
        history = model.fit(data, steps=steps, grids=None if grid == first else [grid], **fit)
        error = rmse(model, data) if history.rmse is None else history.rmse
        if best is None or error < best[0]:
            best = error, model
        if error <= COARSE * spread:
            break
        grid *= 2
    return best[1]


def _one_node_fewer(model: MultKAN) -> tuple[list[list[int]], list[list[int]]] | None:
    # Pruning ends where no single edge or node can go; a network that never had them may do without several.
    width, arities = model.width, [[], *(list(layer.arities) for layer in model.spec.layers)]
    hidden = range(1, len(width) - 1)
    if not hidden or max(sum(width[i]) for i in hidden) < 2:
        return None
    largest = max(hidden, key=lambda i: sum(width[i]))
    if width[largest][0]:
        width[largest][0] -= 1
    else:
        width[largest][1] -= 1
        arities[largest].pop()
    return width, arities


def _other_kind(
    model: MultKAN, width: Sequence[Any], mult_arity: Any
) -> tuple[list[list[int]], list[list[int]]] | None:
    # The width to start from without the kind of nodes that is left, sums or products, where pruning took all of the
    # other kind away. Of ten seeds of 1/sqrt(1 - v^2/c^2) from [3, [1, 1], 1], two ended five times each as splines of
    # log v - log c; from the product alone all are found.
    given = parse_width(width, mult_arity)
    nodes, arities = [[n_sum, len(arity)] for n_sum, arity in given], [list(arity) for _, arity in given]
    if len(model.width) != len(given):
        return None
    for i, (n_sum, n_mult) in enumerate(model.width[:-1]):
        if i and all(nodes[i]) and not n_mult:
            nodes[i][0] = 0
        elif i and all(nodes[i]) and not n_sum:
            nodes[i][1], arities[i] = 0, []
    return None if nodes == [[n_sum, len(arity)] for n_sum, arity in given] else (nodes, arities)


def _finer(model: MultKAN, n: int, present: int) -> list[int]:
    fine = 2 * max(present, 5)
    return [fine] if fine <= FINEST and 2 * SAMPLES_A_PARAMETER * model.n_parameters <= n else []


def _n_free(model: MultKAN) -> int:
    return sum(int(layer.symbolic.free.sum()) for layer in model.layers if layer.symbolic is not None)


@torch.no_grad()
def _is_found(model: MultKAN, data: Dataset) -> bool:
    if not model.is_formula:
        return False
    y = data.y.to(model.like)
    return is_law(data.X, model(data.X) - y, y.std(0, correction=0), _n_free(model))
