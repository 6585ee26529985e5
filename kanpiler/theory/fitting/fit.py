"""Fits a theory to a table: parameters by least squares within their bounds, unknown functions as splines.

The splines begin on few intervals, from several starts; freedoms of theirs are found and fixed (`gauges`), and then
intervals are added as long as the corrected information criterion of Akaike falls. Where the numbers go to infinity or
the sum of squares does not settle, other starts are tried, with the parameters solved for in which it is linear.

References: Hurvich, Tsai (1989), doi:10.1093/biomet/76.2.297; Golub, Pereyra (1973), doi:10.1137/0710036.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.core.theory import Unknown
from kan2.errors import TrainingError
from kanpiler.theory.fitting.curves import Curve
from kanpiler.theory.fitting.gauges import Convention, conventions, null_space, scaled
from kanpiler.theory.fitting.model import linear_parameters
from kanpiler.theory.fitting.problem import Problem, start_of
from kanpiler.theory.fitting.solve import Minimum

GRIDS = (1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36)
"""Numbers of intervals that are tried for unknown functions."""
ROWS_A_NUMBER = 3
"""Rows there must be for each number of a spline, and no fewer."""
WORSE = 2
"""How many finer grids in a row may be worse before the search ends."""
FIRST_STEPS, KEPT, FINE_STEPS = 15, 3, 100
"""Steps from each start of unknown functions, how many of these go on, and steps on each grid from there."""
GENERIC = 4
"""Intervals, at least, where freedoms are looked for: with fewer a curve and its slope are hardly two functions."""
DRAWN = 2
"""How many starts are drawn beside three that are not."""
DRAWN_INSIDE = 20
"""How many are drawn where a function stands in another one, which has many minima."""
REGRIDS = 8
MOVED = 1e-3
"""A grid follows its arguments where they have moved by more than this share of their range."""
POOR = 0.05
"""Share of the spread of the targets that a fit of a settled theory leaves at most; beyond, other starts are tried."""
IDLE = 1e-12
"""Influence of a parameter, relative to the largest, below which it has run away: exp(-b x) with b = 1000."""
OTHER_STARTS, DECADES = 12, 2.0
STEPS = 1000


def fit_parameters(problem: Problem, start: ndarray, steps: int, deadline: float, seed: int) -> Minimum:
    """Fits a theory without unknown functions."""
    _, found = problem.solve(start, steps, deadline)
    if not _is_doubtful(found, problem):
        return found
    for other in _other_starts(problem, start, seed):
        if time.perf_counter() > deadline:
            break
        _, trial = problem.solve(other, steps, deadline)
        if _is_better(trial, found):
            found = trial
        if not _is_doubtful(found, problem):
            break
    return found


def _is_better(trial: Minimum, found: Minimum) -> bool:
    if not math.isfinite(trial.cost):
        return False
    return not math.isfinite(found.cost) or trial.cost < found.cost * (1 - 1e-9)


def _is_doubtful(found: Minimum, problem: Problem) -> bool:
    if not math.isfinite(found.cost) or not np.isfinite(found.jacobian).all():
        return True
    y = problem.rows.y * problem.weights
    spread = float(((y - y.mean(0)) ** 2).sum())
    if found.cost <= POOR * spread and found.has_converged:
        return False
    # A theory with all it can determine at a minimum may simply leave noise.
    influence = np.linalg.norm(found.jacobian, axis=0) * np.abs(found.x)
    is_flat = bool((influence < IDLE * influence.max(initial=0.0)).any()) or bool(
        null_space(scaled(found.jacobian)[0]).shape[1]
    )
    return is_flat or not found.has_converged or found.cost > spread


def _other_starts(problem: Problem, start: ndarray, seed: int) -> Iterator[ndarray]:
    model = problem.model
    at, _, _ = model.slices()
    free = [one for one in model.parameters if not one.fixed]
    linear = linear_parameters(model.form, [one.name for one in free])
    generator = np.random.default_rng(seed)
    for trial in range(OTHER_STARTS):
        x = start.copy()
        if trial:
            for one in free:
                if one.name not in linear:
                    low, high = one.bounds
                    factor = 10 ** generator.uniform(-DECADES, DECADES, at[one.name].stop - at[one.name].start)
                    x[at[one.name]] = np.clip(x[at[one.name]] * factor, low, high)
        yield _with_linear(problem, x, [i for name in linear for i in range(at[name].start, at[name].stop)])


def _with_linear(problem: Problem, x: ndarray, positions: Sequence[int]) -> ndarray:
    """Returns a start in which the parameters of which the theory is a linear function are solved for."""
    if not positions:
        return x
    r, J = problem.residuals(x, True)
    if J is None or not np.isfinite(r).all() or not np.isfinite(J).all():
        return x
    own = J[:, list(positions)]
    size = np.linalg.norm(own, axis=0)
    size = np.where(size > 0, size, 1.0)
    moved = x.copy()
    moved[list(positions)] -= np.linalg.lstsq(own / size, r, rcond=1e-12)[0] / size
    return moved


def fit_with_curves(
    problem: Problem, functions: Sequence[Unknown], steps: int, deadline: float, seed: int
) -> tuple[Problem, Minimum]:
    """Fits a theory with unknown functions: the best of several starts, then finer grids."""
    n = problem.rows.y.size
    most = max(1, n // (ROWS_A_NUMBER * len(functions)))
    grids = [grid for grid in GRIDS if grid + 3 <= most] or [1]
    coarse = min(3, grids[-1])
    problem = replace(problem, pins=_conventions(problem, functions, coarse, seed))
    best: tuple[Problem, Minimum] | None = None
    trials: list[tuple[Problem, Minimum]] = []
    for started, x in _starts(problem, functions, coarse, seed):
        if trials and time.perf_counter() > deadline:
            break
        x = _in_units_of_data(started, x)
        trials.append(started.solve(x, min(steps, FIRST_STEPS), deadline))
    trials.sort(key=lambda trial: trial[1].cost if math.isfinite(trial[1].cost) else math.inf)
    for trial in trials[:KEPT]:
        settled = _settled(trial[0], trial[1].x, min(steps, FINE_STEPS), deadline)
        if best is None or _is_better(settled[1], best[1]):
            best = settled
    assert best is not None
    if not math.isfinite(best[1].cost):
        raise TrainingError(
            "fit: expected a theory that is finite on all rows at the start, got numbers that are not. Move the starts "
            "of parameters, or look for logarithms and roots of what may be negative."
        )
    best = _directed(*best, steps, deadline)
    if all(one.grid for one in functions):
        return _settled(*_refined(*best, {one.name: one.grid or coarse for one in functions}), steps, deadline)
    chosen, chosen_score, waited = best, _score(best), 0
    current = best
    for grid in [grid for grid in grids if grid != coarse]:
        if time.perf_counter() > deadline or waited > WORSE:
            break
        trial = _settled(
            *_refined(*current, {one.name: one.grid or grid for one in functions}), min(steps, FINE_STEPS), deadline
        )
        score = _score(trial)
        waited = 0 if score < chosen_score else waited + (grid > coarse)
        if score < chosen_score:
            chosen, chosen_score = trial, score
        if grid > coarse:
            current = trial
    # Once more to the end, from where the choice was made.
    return chosen[0].solve(chosen[1].x, steps, deadline)


def _in_units_of_data(problem: Problem, x: ndarray) -> ndarray:
    """Returns a start whose curves are solved for, parameters held, where that lowers the sum of squares.

    Curves begin at sizes around 1. Where targets are of 1e-12, parameters would be the first to follow them.
    """
    first = len(start_of(replace(problem.model, curves={})))
    moved = _with_linear(problem, x, range(first, len(x)))
    costs = [float(np.sum(problem.residuals(one, False)[0] ** 2)) for one in (x, moved)]
    return moved if costs[1] < costs[0] else x


def _score(found: tuple[Problem, Minimum]) -> float:
    problem, minimum = found
    n = problem.rows.y.size
    k = minimum.jacobian.shape[1] - len(problem.pins)
    own = minimum.residuals[:n]
    cost = max(float(own @ own), (1e-14 * problem.spread) ** 2 * n)
    return math.inf if n - k - 2 <= 0 else n * math.log(cost / n) + 2 * (k + 1) * n / (n - k - 2)


def _starts(problem: Problem, functions: Sequence[Unknown], grid: int, seed: int) -> Iterator[tuple[Problem, ndarray]]:
    """Yields problems with curves, and numbers to begin with."""
    generator = np.random.default_rng(seed)
    inner = {call.value for call in problem.model.form.calls}
    moving = inner | {sympy.Symbol(one.name) for one in problem.model.parameters if not one.fixed}
    is_nested = any(call.argument.free_symbols & moving for call in problem.model.form.calls)
    drawn = [generator.normal(size=(len(functions), 3)) for _ in range(DRAWN_INSIDE if is_nested else DRAWN)]

    def parabola(c: ndarray) -> Any:
        return lambda t, i: c[i, 0] + c[i, 1] * t + c[i, 2] * t**2

    shapes: list[Any] = [lambda t, i: np.ones_like(t), lambda t, i: t + 1.0, lambda t, i: 1.5 - t]
    for shape in (*shapes, *map(parabola, drawn)):
        yield _start(problem, functions, grid, shape)


def _start(problem: Problem, functions: Sequence[Unknown], grid: int, shape: Any) -> tuple[Problem, ndarray]:
    # Arguments of outer functions need the inner ones: one after the other, as the calls are.
    current, x = problem.with_model(curves={}), start_of(problem.model)
    for i, one in enumerate(functions):
        low, high = _range_of(current, x, one.name)
        curve = Curve.on(one, low, high, one.grid or grid)
        u = np.linspace(low, high, 200)
        w = curve.fitted(u, shape((u - low) / (high - low if high > low else 1.0), i))
        current = current.with_model(curves={**current.model.curves, one.name: curve})
        x = np.r_[x, w]
    return current, x


def _range_of(problem: Problem, x: ndarray, name: str) -> tuple[float, float]:
    low, high = problem.model.ranges_at(x, problem.fixed, problem.rows)[name]
    if not math.isfinite(low) or not math.isfinite(high):
        raise TrainingError(
            f"fit: expected finite arguments of {name} on all rows, got {low:g} to {high:g}. Move the starts of "
            "parameters in it."
        )
    return low, high


def _settled(problem: Problem, x: ndarray, steps: int, deadline: float) -> tuple[Problem, Minimum]:
    """Minimises, and lets the grids follow arguments that have moved."""
    problem, found = problem.solve(x, steps, deadline)
    for _ in range(REGRIDS):
        if not np.isfinite(found.x).all() or time.perf_counter() > deadline:
            break
        moved = _regridded(problem, found.x)
        if moved is None:
            break
        problem, found = moved[0].solve(moved[1], steps, deadline)
    return problem, found


def _regridded(problem: Problem, x: ndarray, grids: Mapping[str, int] | None = None) -> tuple[Problem, ndarray] | None:
    """Returns the problem with grids where the arguments are now, or None where they are there already."""
    model = problem.model
    _, at, _ = model.slices()
    try:
        ranges = {name: _range_of(problem, x, name) for name in model.curves}
    except TrainingError:
        return None
    curves, numbers, has_moved = {}, [x[: len(x) - sum(c.size for c in model.curves.values())]], grids is not None
    for name, curve in model.curves.items():
        low, high = ranges[name]
        grid = _asked(curve) if grids is None else grids[name]
        new = Curve.on(curve.function, low, high, grid)
        size = curve.high - curve.low
        is_moved = max(abs(new.low - curve.low), abs(new.high - curve.high)) > MOVED * size
        if grids is None and not is_moved:
            new = curve
            numbers.append(x[at[name]])
        else:
            has_moved = True
            u = np.linspace(new.low, new.high, 40 * new.grid + 1)
            numbers.append(new.fitted(u, curve.values(u) @ x[at[name]]))
        curves[name] = new
    return (problem.with_model(curves=curves), np.concatenate(numbers)) if has_moved else None


def _asked(curve: Curve) -> int:
    # `Curve.on` multiplies the number that it is asked for.
    if curve.function.period is not None:
        return max(1, curve.grid // max(1, round((curve.high - curve.low) / curve.function.period)))
    return curve.grid // 2 if {"even", "odd"} & set(curve.function.shape) else curve.grid


def _refined(problem: Problem, found: Minimum, grids: Mapping[str, int]) -> tuple[Problem, ndarray]:
    moved = _regridded(problem, found.x, grids)
    return (problem, found.x) if moved is None else moved


def refined(problem: Problem, found: Minimum, grids: Mapping[str, int], steps: int = STEPS) -> tuple[Problem, Minimum]:
    """Fits again with so many intervals for each function, from where the fit was."""
    return _settled(*_refined(problem, found, grids), steps, math.inf)


def _conventions(problem: Problem, functions: Sequence[Unknown], grid: int, seed: int) -> tuple[Convention, ...]:
    """Finds the freedoms of unknown functions at a start like no other, and fixes them."""
    c = np.random.default_rng(seed).normal(size=(len(functions), 4))

    # No polynomial: the slope of a parabola is a line, and would be taken for a freedom.
    def waves(t: ndarray, i: int) -> ndarray:
        return c[i, 0] + c[i, 1] * t + c[i, 2] * np.sin(3 * t) + c[i, 3] * np.cos(5 * t)

    return pinned_at(*_start(problem, functions, max(grid, GENERIC), waves))


def pinned_at(problem: Problem, x: Float[ndarray, " number"]) -> tuple[Convention, ...]:
    """Returns conventions for the freedoms of unknown functions at a point."""
    model = problem.model
    J, moved = model.freedoms(x, problem.fixed, problem.rows)
    J = (J * problem.weights[:, :, None]).reshape(-1 if J.size else J.shape[0] * J.shape[1], J.shape[-1])
    if not np.isfinite(J).all():
        return ()
    of_parameters, at, _ = model.slices()
    # What is known of a parameter beside the data fixes freedoms as well as data do.
    known = [
        row
        for one in model.parameters
        if one.prior and not one.fixed
        for row in np.eye(J.shape[1])[of_parameters[one.name]]
    ]
    J = np.r_[J, np.reshape(known, (-1, J.shape[1])) * max(float(np.abs(J).max(initial=0.0)), 1e-300)]
    arguments = model.arguments_at(x, problem.fixed, problem.rows)
    joined = {name: np.concatenate(us) for name, us in arguments.items()}
    # A parameter with a value for each label is held by its first one.
    parameters = {name: part.start for name, part in of_parameters.items()}
    return conventions(J, moved, x, model.curves, at, joined, parameters)


def _directed(problem: Problem, found: Minimum, steps: int, deadline: float) -> tuple[Problem, Minimum]:
    """Decides the direction of monotone functions."""
    _, at, _ = problem.model.slices()
    directions = {}
    for name, curve in problem.model.curves.items():
        if "monotone" in curve.function.shape:
            ends = curve.values(np.array([curve.low, curve.high])) @ found.x[at[name]]
            directions[name] = 1 if ends[1] >= ends[0] else -1
    return (
        _settled(replace(problem, directions=directions), found.x, steps, deadline) if directions else (problem, found)
    )
