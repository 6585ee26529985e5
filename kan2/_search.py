"""The search behind `kan2.discover`: train, prune, refine, symbolify, snap, and start again where that fails.

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import options
from kan2.core.data import Dataset, as_dataset
from kan2.core.spec import parse_width
from kan2.discovery.pareto import ParetoTable
from kan2.discovery.progress import Progress, Reporter
from kan2.discovery.symbolic_report import SymbolicReport
from kan2.errors import Kan2Error, TrainingError
from kan2.interrupts import Interruptible, OutOfTime, is_late, time_limit
from kan2.multkan import MultKAN
from kan2.symbolic.snap import snap_constants
from kan2.symbolic.suggest import checked_library, checked_weight
from kan2.training.spread import rmse
from treeconv.calibration import nearest_neighbours

COARSE = 0.03  # errors above this share of the targets' spread call for a finer grid before pruning
FINEST = 40  # intervals of the finest grid
FLOOR = 1e-3  # errors below this share count as equal when the network is pruned
SAMPLES_A_PARAMETER = 2
EXACT = 1e-9  # share of the targets' spread that counts as rounding
CONFIRMATIONS = 2  # successes after which the search ends although numbers are left that are not simple
DEVIATIONS = 3.5  # standard deviations beyond which neighbouring errors are called alike
# Rows a free number must have before errors that look like noise say anything; rules of thumb for regressions ask for 5
# to 10 (doi:10.1093/aje/kwk052). Of ten lines of hydrogen a formula with five numbers leaves nothing but noise, and so
# does one with four of 25 pressures of Boyle, and neither is the law; Kepler's has one number on eight planets.
ROWS_A_NUMBER, ROWS_A_NUMBER_EXACT = 7, 2
SEARCH = 0.85  # share of the limit of seconds after which the search ends; the rest is for exact numbers
HIDDEN = [2, 1]  # sums and products of the hidden layer where no width is given


def search(
    data: Any,
    width: Sequence[int | Sequence[int]] | None,
    *,
    target: str | Sequence[str] | None,
    mult_arity: int | Sequence[Sequence[int]],
    library: Sequence[str] | None,
    attempts: int,
    grid: int,
    steps: int,
    seed: int,
    names: Sequence[str] | None,
    seconds: float | None,
    progress: Callable[[Progress], object] | None,
    **passed_on: Any,
) -> MultKAN:
    """Returns what `kan2.discover` does, which says what the arguments are."""
    library = checked_library("discover", library)
    _check(passed_on, attempts, grid, steps, seed, seconds, progress)
    samples = as_dataset(data, names, target)
    search = _Search(samples, Reporter(attempts, progress))
    given = smaller = _width(samples) if width is None else width, mult_arity
    late = False
    with Interruptible() as block:  # noqa: SIM117  # whose end is outside the limit
        with time_limit(None if seconds is None else SEARCH * seconds):
            for attempt in range(attempts):
                if search.trained is not None and (late := is_late()):
                    break
                search.tell.begin(attempt + 1)
                try:
                    start = smaller if attempt % 2 else given
                    model = search.trained = _trained(samples, *start, grid, steps, seed + attempt)
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
                    model.fit(samples, grids=[present, *_finer(model, len(samples), present)], steps=steps)
                search.tell("looking for functions")
                model = model.auto_symbolic(library=library, **passed_on)
                is_found = search.add(model)
                smaller = smaller or (None if is_found else _other_kind(model, *given)) or given
                if is_found and (not _n_free(model) or search.n_found == CONFIRMATIONS):
                    break
            else:
                late = is_late()
    if search.trained is None:
        raise TrainingError("discover: expected a network that can be trained, got none. Look at the data.")
    best = search.best()
    late = late or block.out_of_time
    if late and best.is_formula and best.report.snap is None and passed_on["snap"]:
        best = _with_exact_numbers(best, samples, (1 - SEARCH) * (seconds or 0.0))
    best.report.pareto, best.report.found = search.table, _is_found(best, samples)
    best.report.out_of_time, best.report.interrupted = late, block.interrupted and not block.out_of_time
    return best


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


def _check(given: dict[str, Any], attempts: Any, grid: Any, steps: Any, seed: Any, seconds: Any, progress: Any) -> None:
    # What is passed on comes to its function after minutes of training, too late to say what is wrong with it.
    options.whole("discover", "attempts", attempts, error=TrainingError)
    options.whole("discover", "grid", grid, error=TrainingError)
    options.whole("discover", "steps", steps, 0, error=TrainingError)
    options.seed("discover", seed, error=TrainingError)
    if seconds is not None:
        options.number("discover", "seconds", seconds, 0, error=TrainingError, remedy="None is no limit.")
    if progress is not None and not callable(progress):
        raise TrainingError(f"discover: expected progress as a function of one record, got {progress!r}.")
    checked_weight("discover", given["weight_simple"])
    options.number("discover", "max_growth", given["max_growth"], 1, error=TrainingError)
    options.whole("discover", "tries", given["tries"], error=TrainingError)
    options.flag("discover", "snap", given["snap"], error=TrainingError)
    options.number("discover", "accuracy", given["accuracy"], 0, error=TrainingError)


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


def _trained(data: Dataset, width: Sequence[Any], mult_arity: Any, grid: int, steps: int, seed: int) -> MultKAN:
    # What a coarse grid cannot resolve traps it in a local minimum: a finer one starts afresh.
    spread = float(data.y.std(unbiased=False))
    best: tuple[float, MultKAN] | None = None
    first = grid
    while best is None or grid <= FINEST:
        model = MultKAN(width, mult_arity, grid=grid, seed=seed)
        if best is not None and SAMPLES_A_PARAMETER * model.n_parameters > len(data):
            break
        error = model.fit(data, steps=steps, grids=None if grid == first else [grid]).rmse
        assert error is not None  # squares
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
    error = model(data.X) - data.y.to(model.like)
    if float(error.square().mean().sqrt()) <= EXACT * float(data.y.std(unbiased=False)):
        return len(data) > ROWS_A_NUMBER_EXACT * _n_free(model)
    if len(data) < ROWS_A_NUMBER * _n_free(model) or not _explains(error, data.y, _n_free(model)):
        return False
    return looks_like_noise(data.X, error)


def _explains(error: Float[Tensor, "batch output"], y: Float[Tensor, "batch output"], n_numbers: int) -> bool:
    # Whether the mean of the targets has a higher Bayesian information criterion, for every output. Targets that do not
    # depend on the inputs, or that the network does not follow, leave errors that look like noise as well.
    ratio = error.square().mean(0) / y.to(error).var(0, correction=0).clamp_min(1e-300)
    return bool((len(y) * ratio.log() + max(1, n_numbers) * log(len(y)) < 0).all())


def looks_like_noise(x: Float[Tensor, "batch input"], error: Float[Tensor, "batch output"]) -> bool:
    """Tells whether errors at neighbouring samples are unrelated, as those of a measurement are.

    Args:
        x: samples; distances are in standard deviations of each column.
        error: what is left of the targets.

    Example:
        >>> x = torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
        >>> noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> looks_like_noise(x, noise), looks_like_noise(x, noise + 3 * x)
        (True, False)
    """
    if len(x) < 2:
        return True
    neighbour = torch.from_numpy(nearest_neighbours(x.detach().double().cpu().numpy())).to(x.device)
    error = error - error.mean(0)
    similarity = (error * error[neighbour]).mean(0) / error.square().mean(0).clamp_min(1e-300)
    return bool((similarity <= DEVIATIONS / len(x) ** 0.5).all())
