"""Equal formulas of different shape, and the choice of the smallest network among them.

`x y + x` is three edges and a pass-through as it stands and two edges as `x (y + 1)`. The compiler takes formulas as
they are written; asked to optimise, it tries rewritings that are equal for all real values and keeps the best.

Reference: https://docs.sympy.org/latest/tutorials/intro-tutorial/simplification.html
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sympy

from kanpiler.catalog import row_of
from kanpiler.errors import CompileError
from kanpiler.limits import REWRITING, share_of_time, time_limit
from kanpiler.plan import build_plan
from kanpiler.schedule import Schedule, schedule

GOALS: dict[str, Callable[[Schedule], tuple[int, ...]]] = {
    "depth": lambda s: (s.depth, s.n_edges, s.n_nodes),
    "width": lambda s: (s.width, s.n_edges, s.depth),
    "edges": lambda s: (s.n_edges, s.n_nodes, s.depth),
}
SHARE = 0.5
"""Of the time that is left; the best formula found by then is taken."""
LOG = logging.getLogger("kanpiler")

_REWRITINGS: tuple[Callable[[Any], Any], ...] = (
    sympy.factor_terms,
    sympy.expand_mul,
    sympy.powsimp,
    sympy.together,
    sympy.factor,
    lambda e: sympy.expand(e, power_exp=True),
    sympy.horner,
)


def best_schedule(normal: Sequence[sympy.Expr], inputs: Sequence[str], goal: str | None) -> Schedule:
    """Schedules formulas in normal form, rewritten where that helps.

    Args:
        normal: one formula for each output.
        inputs: names of the inputs.
        goal: "depth", "width" or "edges"; None takes the formulas as they are.

    Raises:
        CompileError: no such goal.
    """
    as_written = schedule(build_plan(normal, inputs))
    if goal is None:
        return as_written
    if not isinstance(goal, str) or goal not in GOALS:
        raise CompileError(f"compile: expected optimize among {', '.join(GOALS)}, got {goal!r}.")
    best = as_written
    try:
        with time_limit(share_of_time(SHARE)):
            for trial in _trials(normal, inputs, goal):
                if GOALS[goal](trial) < GOALS[goal](best):
                    best = trial
    except TimeoutError:  # the best found by then is equal to the formula as well
        pass
    return best


def _trials(normal: Sequence[sympy.Expr], inputs: Sequence[str], goal: str) -> Iterator[Schedule]:
    """Yields schedules of rewritten formulas, each rewriting on top of those that made the network smaller."""
    current, smallest = tuple(normal), GOALS[goal](schedule(build_plan(normal, inputs)))
    for i in range(len(current)):
        for rewriting in _REWRITINGS:
            candidate = _rewritten(current[i], rewriting)
            if candidate is None:
                continue
            formulas = (*current[:i], candidate, *current[i + 1 :])
            trial = schedule(build_plan(formulas, inputs))
            if GOALS[goal](trial) < smallest:
                current, smallest = formulas, GOALS[goal](trial)
                LOG.debug("compile: output %d is smaller as %s", i, candidate)
            yield trial


def _rewritten(expression: Any, rewriting: Callable[[Any], Any]) -> Any:
    """Applies a rewriting; None where it fails, takes long, or leaves what has edges."""
    try:
        with time_limit(share_of_time(REWRITING)):
            candidate = rewriting(expression)
    except Exception:  # SymPy's simplifiers fail in many ways; the formula as written is always there
        return None
    if candidate == expression or candidate.has(sympy.I):
        return None
    nodes: Any = sympy.preorder_traversal(candidate)
    known = all(n.is_number or n.is_Atom or n.is_Add or n.is_Mul or row_of(n) is not None for n in nodes)
    return candidate if known else None
