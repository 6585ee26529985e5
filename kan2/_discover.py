"""From data to a formula in one call: train, prune, refine, symbolify, snap, and start again where that fails.

Each *attempt* trains a network from another random start, prunes it to the smallest that still fits, refines it and
replaces its splines by functions. Every other attempt starts from one node fewer than the last one was left with, or,
where that was a single node that no function was found for, from nodes of the other kind: a product is also a sum of
logarithms, but what reads the sum is a function of an exponential, for which no library may have a name. An attempt
has succeeded when no spline is left and what is left of the targets is *noise*: either nothing at all, or
errors that do not resemble those of the nearest samples. If numbers are left that are not simple, a second success must
confirm it; of both, the lower information criterion wins. Without success, the network with the lowest information
criterion of all attempts is returned.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.data import Dataset, as_dataset
from kan2.core.spec import parse_width
from kan2.discovery.pareto import ParetoTable
from kan2.discovery.symbolic_report import SymbolicReport
from kan2.errors import TrainingError
from kan2.interrupts import Interruptible
from kan2.multkan import MultKAN
from kan2.training.spread import rmse
from treeconv.calibration import nearest_neighbours

COARSE = 0.03  # errors above this share of the targets' spread call for a finer grid before pruning
FINEST = 40  # intervals of the finest grid
FLOOR = 1e-3  # errors below this share count as equal when the network is pruned
SAMPLES_A_PARAMETER = 2
EXACT = 1e-9  # share of the targets' spread that counts as rounding
CONFIRMATIONS = 2  # successes after which the search ends although numbers are left that are not simple
DEVIATIONS = 3.5  # standard deviations beyond which neighbouring errors are called alike


def discover(
    data: Any,
    width: Sequence[int | Sequence[int]],
    *,
    mult_arity: int | Sequence[Sequence[int]] = 2,
    library: Sequence[str] | None = None,
    attempts: int = 5,
    grid: int = 5,
    steps: int = 40,
    seed: int = 0,
    **options: Any,
) -> MultKAN:
    """Returns the network that is found to be the formula behind data; `symbolic_formula()` of it prints it.

    `report.pareto` of the result holds the networks of all attempts.

    Args:
        data: (X, y), a Dataset (with auxiliary variables, if it was made by `augment`), or a dict.
        width: the network to start from, with as many or more nodes than the formula needs; see `MultKAN`.
        mult_arity: number of factors of products, see `MultKAN`.
        library: names of the functions to try; by default `functions.DEFAULT_LIBRARY`.
        attempts: largest number of random starts, >= 1.
        grid: number of grid intervals at the start.
        steps: training steps on each grid.
        seed: seed of the starts.
        options: passed on to `auto_symbolic`.

    Returns:
        the network. After Ctrl-C the best of the attempts that had ended, or, in the first attempt, the network as far
        as it had come, maybe with splines; `report.interrupted` is true.

    Raises:
        TrainingError: no attempt could be trained.
        KeyboardInterrupt: Ctrl-C came before the first network was trained.

    Example:
        >>> from kan2 import sample_function
        >>> data = sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=300)
        >>> discover(data, [2, [1, 1], 1]).symbolic_formula()
        x*y
    """
    samples = as_dataset(data)
    models: list[tuple[bool, float, MultKAN]] = []
    table: ParetoTable | None = None
    given = smaller = width, mult_arity
    trained: MultKAN | None = None
    with Interruptible() as block:
        for attempt in range(attempts):
            try:
                start = smaller if attempt % 2 else given
                model = _trained(samples, *start, grid, steps, seed + attempt)
            except TrainingError:
                continue
            trained, block.has_result = model, True
            trained = model = model.auto_prune(floor=FLOOR)
            smaller = _one_node_fewer(model)
            if any(layer.numeric is not None for layer in model.layers):
                present = max(layer.basis.grid for layer in model.spec.layers)
                model.fit(samples, grids=[present, *_finer(model, len(samples), present)], steps=steps)
            model = model.auto_symbolic(library=library, **options)
            report: SymbolicReport = model.report
            if table is None:
                table = report.pareto
            else:
                table.rows += report.pareto.rows
            is_found = _is_found(model, samples)
            smaller = smaller or (None if is_found else _other_kind(model, *given)) or given
            row = ParetoTable(len(samples), report.pareto.floor).add(model, rmse(model, samples))
            models.append((not is_found, row.criterion if row else inf, model))
            if is_found and (not _n_free(model) or sum(not missed for missed, _, _ in models) == CONFIRMATIONS):
                break
    if block.interrupted and not models and trained is not None:
        error = rmse(trained, samples)
        table = ParetoTable(len(samples))
        table.add(trained, error)
        trained.report = SymbolicReport(error)
        models.append((True, inf, trained))
    if table is None:
        raise TrainingError("discover: expected a network that can be trained, got none. Look at the data.")
    best = min(models, key=lambda entry: entry[:2])[2]
    best.report.pareto, best.report.interrupted = table, block.interrupted
    return best


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
        return True
    return looks_like_noise(data.X, error)


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
