"""What a fit of a theory did, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy
from sympy.functions.elementary.trigonometric import TrigonometricFunction

from kan2.errors import TrainingWarning, warn
from kanpiler.theory.fitting.problem import Fitted

LITTLE = 0.2
"""Share of the variance of the targets below which a theory with a frequency is told to explain little."""


@dataclass(frozen=True)
class FitReport:
    """What a fit of a theory did.

    Attributes:
        message: why it ended.
        steps: of the last minimisation.
        seconds: that it took.
        rmse: root mean square error, in units of the target; of several outputs of all.
        r2: share of the variance of the targets that is explained.
        rows: number of rows that were used.
        sum_of_squares: of the residuals, weighted by the errors where they are known.
        degrees_of_freedom: residuals less the numbers that they determine.
        noise: standard deviation of one measurement as the residuals show it, by data set.
        conventions: by which freedoms of unknown functions were fixed, as sentences.
        grids: number of intervals of each unknown function.
    """

    message: str
    steps: int
    seconds: float
    rmse: float
    r2: float
    rows: int
    sum_of_squares: float
    degrees_of_freedom: int
    noise: Mapping[str, float]
    conventions: tuple[str, ...] = ()
    grids: Mapping[str, int] = field(default_factory=dict)


def report_of(fitted: Fitted, seconds: float, is_per_set: bool = False) -> FitReport:
    """Returns what a fit did.

    Warns:
        TrainingWarning: it did not converge, or explains little.
    """
    y, _ = fitted.model.predict(fitted.x, fitted.fixed, fitted.rows, False)
    measured = fitted.rows.y
    squares, total = float(np.sum((y - measured) ** 2)), float(np.sum((measured - measured.mean(0)) ** 2))
    r2 = 1 - squares / total if total > 0 else float(squares == 0)
    noise = {"": float(fitted.noise[0, 0])}
    if is_per_set and fitted.rows.codes:
        name, codes = next(iter(fitted.rows.codes.items()))
        levels = next(one.levels for one in fitted.model.parameters if one.per == name)
        noise = {level: float(fitted.noise[codes == i][0, 0]) for i, level in enumerate(levels)}
    if fitted.message not in ("converged", "out of time"):
        warn(f"fit: {fitted.message}. Look at the values, or move the starts of parameters.", TrainingWarning)
    elif total > 0 and r2 < LITTLE and _has_frequency(fitted):
        warn(
            f"fit: the theory explains {max(r2, 0):.0%} of the variance of the target. A frequency that starts off by "
            "more than a period over all rows leads to such minima: move its start.",
            TrainingWarning,
        )
    grids = {name: curve.grid for name, curve in fitted.model.curves.items()}
    return FitReport(
        fitted.message, fitted.steps, seconds, float(np.sqrt(np.mean((y - measured) ** 2))), r2, len(fitted.rows),
        fitted.sum_of_squares, fitted.degrees_of_freedom, noise, tuple(map(str, fitted.conventions)), grids,
    )  # fmt: skip


def _has_frequency(fitted: Fitted) -> bool:
    free = {sympy.Symbol(one.name) for one in fitted.model.parameters if not one.fixed}
    waves = [w for e in fitted.model.form.expressions for w in e.atoms(TrigonometricFunction)]
    return any(wave.free_symbols & free for wave in waves)
