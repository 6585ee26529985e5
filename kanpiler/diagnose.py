"""Where on the declared domain a formula stops being finite and real: logarithms of negative numbers, poles.

The plan is evaluated on samples, corners included, and the argument of every edge is held against what its function
accepts. Only nodes whose inputs all have a declared interval are judged.

Reference: https://dlmf.nist.gov, chapter 4, for principal branches and poles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, pi
from typing import Any

import numpy as np
import sympy
import torch

from kan2 import functions
from kanpiler.domain import Domain, sample
from kanpiler.plan import Plan, PlanEdge

_ACCEPTED: dict[str, tuple[float, float, bool]] = {
    "sqrt": (0, inf, True),
    "1/sqrt": (0, inf, False),
    "log": (0, inf, False),
    "asin": (-1, 1, True),
    "acos": (-1, 1, True),
    "atanh": (-1, 1, False),
    "acosh": (1, inf, True),
    "loggamma": (0, inf, False),
    "bessely": (0, inf, False),
    "besselk": (0, inf, False),
    "Ci": (0, inf, False),
    "Chi": (0, inf, False),
    "li": (0, inf, False),
    "expint": (0, inf, False),
    "uppergamma": (0, inf, False),
    "lowergamma": (0, inf, True),
    "LambertW": (-np.exp(-1), inf, True),
    "elliptic_k": (-inf, 1, False),
    "elliptic_e": (-inf, 1, True),
}
"""Interval of arguments with real values, and whether its finite ends belong to it."""

_POLES: dict[str, tuple[float, float]] = {
    "1/x": (0, inf), "1/x^2": (0, inf), "1/x^3": (0, inf), "csch": (0, inf), "coth": (0, inf), "zeta": (1, inf),
    "Ei": (0, inf), "tan": (pi / 2, pi), "sec": (pi / 2, pi), "cot": (0, pi), "csc": (0, pi),
}  # fmt: skip
"""One pole, and the distance to the next."""


@dataclass(frozen=True)
class Trouble:
    """One place where a formula is not finite and real.

    Attributes:
        function: name of the function of the edge.
        argument: what it is applied to.
        variables: the inputs the argument depends on.
        message: the whole story, in a sentence.
    """

    function: str
    argument: str
    variables: tuple[str, ...]
    message: str


def find_trouble(plan: Plan, domain: Domain, harmless: Sequence[Any] = ()) -> tuple[Trouble, ...]:
    """Finds the edges of a plan whose arguments leave the real domain of their function.

    Args:
        plan: the plan.
        domain: intervals of inputs.
        harmless: expressions that may be divided by zero, because the arctangent of the infinite result is right.

    Returns:
        One record for each function and argument in trouble.
    """
    if not domain:
        return ()
    x = torch.as_tensor(_points(plan, domain))
    values: list[Any] = [x[:, i] for i in range(len(plan.inputs))]
    depends: list[frozenset[int]] = [frozenset([i]) for i in range(len(plan.inputs))]
    found: dict[tuple[str, str], Trouble] = {}
    for node in plan.nodes[len(plan.inputs) :]:
        total = torch.ones(len(x), dtype=x.dtype)
        for factor in node.factors:
            value = torch.full((len(x),), factor.bias, dtype=x.dtype)
            for edge in factor.edges:
                u = edge.a * values[edge.source] + edge.b
                f = functions.get(edge.function)(u, edge.shape)
                value = value + edge.c * f
                names = tuple(plan.inputs[i] for i in sorted(depends[edge.source]))
                if all(name in domain for name in names) and not _is_harmless(plan, edge, harmless):
                    trouble = _judge(plan, edge, u, f, x, names, domain)
                    if trouble:
                        found.setdefault((trouble.function, trouble.argument), trouble)
            total = total * value
        values.append(total)
        depends.append(frozenset().union(*(depends[edge.source] for edge in node.edges)))
    return tuple(found.values())


def _is_harmless(plan: Plan, edge: PlanEdge, harmless: Sequence[Any]) -> bool:
    if edge.function != "1/x" or not harmless:
        return False
    source = plan.nodes[edge.source]
    value = edge.a * (sympy.Symbol(source.name, real=True) if source.name else source.expression) + edge.b
    differences = (sympy.expand(value - expression) for expression in harmless)
    return any(d.is_number and abs(float(d)) < 1e-12 for d in differences)


def _points(plan: Plan, domain: Domain) -> Any:
    points = sample(domain, plan.inputs, 512)
    if len(plan.inputs) <= 6:
        ends = [domain.get(name, (0.5, 0.5)) for name in plan.inputs]
        points = np.concatenate([points, np.array(list(product(*ends)))])
    return points


def _judge(
    plan: Plan,
    edge: PlanEdge,
    u: torch.Tensor,
    value: torch.Tensor,
    x: torch.Tensor,
    names: tuple[str, ...],
    domain: Domain,
) -> Trouble | None:
    """Holds the arguments of one edge against what its function accepts."""
    accepted, poles = _ACCEPTED.get(edge.function), _POLES.get(edge.function)
    if edge.function == "power" and edge.shape is not None:
        is_whole = edge.shape == round(edge.shape)
        accepted = None if is_whole else (0.0, inf, edge.shape > 0)
        poles = (0.0, inf) if is_whole and edge.shape < 0 else None
    finite = torch.isfinite(u)
    if not finite.any():
        return None
    low, high = float(u[finite].min()), float(u[finite].max())
    where = ", ".join(f"{name} in ({domain[name][0]:g}, {domain[name][1]:g})" for name in names)
    if edge.function in ("gamma", "polygamma") and low <= np.floor(min(high, 0.0)):
        poles = (float(np.floor(min(high, 0.0))), inf)
    if accepted is None and poles is None:
        lost = finite & ~torch.isfinite(value)
        if not lost.any():
            return None
        argument = _affine_text(edge, plan.nodes[edge.source].formula)
        spot = float(u[lost][0])
        text = f"{edge.function}({argument}) is not real and finite where {argument} = {spot:.6g}, for {where}."
        return Trouble(edge.function, argument, names, text)
    if poles is not None:
        first, period = poles
        pole = first if period == inf else first + period * np.ceil((low - first) / period)
        if not low <= pole <= high:
            return None
        argument = _affine_text(edge, plan.nodes[edge.source].formula)
        text = f"{edge.function} has a pole where {argument} = {pole:.6g}, which happens for {where}."
        return Trouble(edge.function, argument, names, text)
    assert accepted is not None
    start, stop, closed = accepted
    bad = finite & ((u < start) | (u > stop) if closed else (u <= start) | (u >= stop))
    if not bad.any():
        return None
    argument = _affine_text(edge, plan.nodes[edge.source].formula)
    label = f"({argument})**{edge.shape:g}" if edge.function == "power" else f"{edge.function}({argument})"
    ends = [(sign, end) for sign, end in ((">", start), ("<", stop)) if abs(end) < inf]
    needs = " and ".join(f"{argument} {sign}{'=' if closed else ''} {end:g}" for sign, end in ends)
    message = f"{label} is real and finite only for {needs}, but for {where} it runs from {low:.6g} to {high:.6g}"
    if len(names) == 1:
        spot = x[bad, plan.inputs.index(names[0])]
        message += f"; it fails for {names[0]} between about {float(spot.min()):.3g} and {float(spot.max()):.3g}"
    return Trouble(edge.function, argument, names, message + ".")


def _affine_text(edge: PlanEdge, formula: str) -> str:
    text = formula if edge.a == 1 else f"-({formula})" if edge.a == -1 else f"{edge.a:g}*({formula})"
    return text if edge.b == 0 else f"{text} {'+' if edge.b > 0 else '-'} {abs(edge.b):g}"
