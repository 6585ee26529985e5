"""How studies judge what was learned: errors on samples that were not learned from, and formulas by the truth."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import sympy
import torch

import kan2
from case_studies._base import Stopwatch, Trial

EXACT = 1e-9  # RMSE up to which a formula counts as exact


def rmse(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the root mean square difference; infinity where it is not finite."""
    error = float(np.sqrt(np.mean((np.ravel(found) - np.ravel(expected)) ** 2)))
    return error if np.isfinite(error) else float("inf")


@torch.no_grad()
def rmse_on_test(model: Callable[[torch.Tensor], torch.Tensor], data: kan2.Dataset) -> float:
    """Returns the root mean square error of a model on the test samples of a data set."""
    assert data.X_test is not None
    assert data.y_test is not None
    return float((model(data.X_test) - data.y_test).square().mean().sqrt())


def law_trial(model: Any, data: kan2.Dataset, is_true: Callable[[sympy.Expr], bool], clock: Stopwatch) -> Trial:
    """Judges the formula of a network: it must be true, and the network exact on the test samples.

    Args:
        model: symbolic; if edges are still splines, the trial shows the refusal and is not met.
        data: has test samples.
        is_true: tells whether a formula is the one that made the data.
        clock: its lap is the time of the trial.
    """
    error = rmse_on_test(model, data)
    try:
        formula = model.symbolic_formula()
    except kan2.Kan2Error as refusal:
        return Trial(str(refusal), error, False, clock.lap())
    return Trial(str(formula), error, is_true(formula) and error <= EXACT, clock.lap())


def expression(text: str, names: Iterable[str] = ()) -> sympy.Expr:
    """Reads a formula of a study; what is named is a variable, even if SymPy knows it as a constant.

    Example:
        >>> expression("E*gamma + pi", ["E", "gamma"]).free_symbols == set(sympy.symbols("E gamma"))
        True
    """
    return sympy.parse_expr(text, {name: sympy.Symbol(name) for name in names})


def is_exact(formula: sympy.Expr, truth: str, ranges: Mapping[str, tuple[float, float]]) -> bool:
    """Tells whether a formula without floats equals the truth to 20 digits at five points of the ranges."""
    if formula.atoms(sympy.Float):
        return False
    difference = formula - expression(truth, ranges)
    for i in range(1, 6):
        shares = [sympy.Rational((7 * i + 5 * j) % 23 + 1, 25) for j in range(len(ranges))]
        limits = [[sympy.Rational(str(limit)) for limit in pair] for pair in ranges.values()]
        point = [
            (sympy.Symbol(name), low + share * (high - low)) for share, name, (low, high) in zip(shares, ranges, limits)
        ]
        if not abs(difference.subs(point).evalf(30)) < 1e-20:
            return False
    return True
