"""What a fit knows of its numbers: standard errors, correlations, profiles, and errors of what follows from them.

The covariance is that of linearised least squares, s^2 (J'J)^-1, along directions in which no bound or shape stands. A
profile goes beyond: one parameter is held at values around its minimum and all others are fitted again.

References: Seber, Wild, Nonlinear Regression (1989), chapter 5; Bates, Watts, Nonlinear Regression Analysis (1988),
section 6.1, for profiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan, sqrt
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from kan2.core.theory import Parameter
from kan2.errors import OptionError, unknown_name
from kanpiler.theory.fitting.gauges import RANK, null_space, scaled, undetermined
from kanpiler.theory.fitting.problem import Fitted, Problem
from kanpiler.theory.fitting.solve import CLOSE

LOST = 1e-4
TAKEN = 1e-3
"""Share of the squared influence of a parameter that no curve takes up, below which that is told. In the ten theories
of `benchmarks theories` it is 0.005 to 1, and their constants are covered."""


@dataclass(frozen=True)
class Estimate:
    """What is known of one number.

    Attributes:
        name: of the parameter.
        level: label of the data set, where the parameter has a value for each.
        value: the estimate.
        error: its standard error; nan where it is fixed, at a bound or not determined.
        note: "fixed", "held" by a convention, "at its lower bound", "at its upper bound", "not determined", or "".
        unit: unit of measure, as it was given.
    """

    name: str
    level: str
    value: float
    error: float
    note: str = ""
    unit: str = ""

    @property
    def label(self) -> str:
        """The name, with the label of the data set in brackets."""
        return f"{self.name}[{self.level}]" if self.level else self.name


def covariance(fitted: Fitted) -> Float[ndarray, "number number"]:
    """Returns the covariance of all numbers; what bounds and shapes hold, and what is not determined, adds nothing."""
    free = fitted.free_directions()
    A, size = scaled(fitted.jacobian @ free)
    _, s, Vt = np.linalg.svd(A, full_matrices=False)
    kept = s > RANK * max(float(s.max(initial=0.0)), 1e-300)
    root = (Vt[kept].T / s[kept]) / size[:, None]
    half = free @ root * sqrt(fitted.variance) if fitted.variance >= 0 else free @ root * nan
    return half @ half.T


def estimates(fitted: Fitted) -> tuple[tuple[Estimate, ...], Float[ndarray, "estimate estimate"], tuple[str, ...]]:
    """Returns the estimates of all parameters, their correlations, and sentences on what is not determined."""
    at, _, _ = fitted.model.slices()
    C = covariance(fitted)
    names, positions = [], []
    for one in fitted.model.parameters:
        levels = one.levels or ("",)
        for i, level in enumerate(levels):
            names.append((one, level))
            positions.append(None if one.fixed else at[one.name].start + i)
    n_free = sum(position is not None for position in positions)
    labels = [f"{one.name}[{level}]" if level else one.name for one, level in names if not one.fixed]
    lost, said = undetermined(fitted.jacobian, fitted.x[:n_free], labels, [_elsewhere(fitted, n_free)])
    held = {one.name for one in fitted.conventions if one.kind == "value"}
    said = (*said, *_taken_up(fitted, labels, lost))
    found, values, units = [], fitted.values(), fitted.units()
    for (one, level), position in zip(names, positions):
        i = one.levels.index(level) if level else 0
        value = float(values[one.name][i])
        label = f"{one.name}[{level}]" if level else one.name
        unit = 0.0 if position is None else float(units[position])
        note, error = _note(one, value, label in lost, unit), nan
        if not note and one.name in held and i == 0:
            note = "held"
        if not note and position is not None:
            error = sqrt(max(C[position, position], 0.0)) if np.isfinite(C[position, position]) else nan
        found.append(Estimate(one.name, level, value, error, note, one.unit))
    keep = [i for i, position in enumerate(positions) if position is not None]
    R = np.eye(len(positions))
    if keep:
        own = C[np.ix_([positions[i] for i in keep], [positions[i] for i in keep])]  # type: ignore[arg-type]
        size = np.sqrt(np.diag(own))
        with np.errstate(all="ignore"):
            R[np.ix_(keep, keep)] = np.where(size[:, None] * size > 0, own / (size[:, None] * size), 0.0)
        R[keep, keep] = 1.0
    return tuple(found), R, said


def _taken_up(fitted: Fitted, labels: Sequence[str], lost: Sequence[str]) -> tuple[str, ...]:
    """Returns sentences on parameters that unknown functions take up but for a small part."""
    curves = fitted.model.slices()[1]
    if not curves:
        return ()
    J = fitted.jacobian[: fitted.n_data]
    held = {one.name for one in fitted.conventions if one.kind == "value"}
    own = np.concatenate([J[:, part] for part in curves.values()], 1)
    found = []
    for i, label in enumerate(labels):
        column = J[:, i]
        total = float(column @ column)
        if label in lost or label in held or not total > 0:
            continue
        rest = column - own @ np.linalg.lstsq(own, column, rcond=1e-12)[0]
        share = float(rest @ rest) / total
        if share < TAKEN:
            found.append(
                f"{label}: {', '.join(curves)} can take up all but {100 * share**0.5:.1g} % of what it does, so that "
                "its value says little. Fix it, or say more of the function"
            )
    return tuple(found)


def _elsewhere(fitted: Fitted, n_free: int) -> tuple[ndarray, ndarray]:
    # The Jacobian at other values of the parameters: A + B and A*B look alike where A = B.
    x = fitted.x.copy()
    x[:n_free] = np.where(x[:n_free] != 0, x[:n_free] * np.linspace(0.9, 1.1, n_free), np.linspace(0.05, 0.1, n_free))
    with np.errstate(all="ignore"):
        _, J = fitted.model.predict(x, fitted.fixed, fitted.rows, True)
    assert J is not None
    J = J.reshape(-1 if J.size else J.shape[0] * J.shape[1], J.shape[-1])
    return (J, x[:n_free]) if np.isfinite(J).all() else (fitted.jacobian, fitted.x[:n_free])


def _note(one: Parameter, value: float, is_lost: bool, unit: float) -> str:
    if one.fixed:
        return "fixed"
    low, high = one.bounds
    close = max(1e-12 * abs(value), CLOSE * unit)
    if value <= low + close:
        return "at its lower bound"
    if value >= high - close:
        return "at its upper bound"
    return "not determined" if is_lost else ""


def derived(fitted: Fitted, expression: sympy.Expr) -> tuple[float, float]:
    """Returns the value of an expression in the parameters, and its standard error.

    Raises:
        UnknownNameError: it holds something that is no parameter.
        OptionError: a parameter in it has a value for each data set.
    """
    values, (at, _, size) = fitted.values(), fitted.model.slices()
    known = {one.name: one for one in fitted.model.parameters}
    symbols: list[Any] = sorted(expression.free_symbols, key=str)
    for one in symbols:
        name = getattr(one, "name", str(one))
        if name not in known:
            raise unknown_name("derived", "parameter", name, list(known))
        if len(values[name]) > 1:
            raise OptionError(
                f"derived: expected parameters with one value, got {name} with {len(values[name])}, one for each "
                f"{known[name].per}. Read them from estimates()."
            )
    numbers = {one: float(values[one.name][0]) for one in symbols}  # type: ignore[attr-defined]
    value = float(expression.subs(numbers))
    slope = np.zeros(size)
    for one in symbols:
        name = one.name  # type: ignore[attr-defined]
        if not known[name].fixed:
            slope[at[name].start] = float(sympy.diff(expression, one).subs(numbers))
    free = fitted.free_directions()
    A, unit = scaled(fitted.jacobian @ free)
    # What the data do not determine has no error.
    lost = (slope @ free / unit) @ null_space(A)
    if np.linalg.norm(lost) > LOST * np.linalg.norm(slope @ free / unit):
        return value, nan
    return value, sqrt(max(float(slope @ covariance(fitted) @ slope), 0.0))


@dataclass(frozen=True, eq=False)
class Profile:
    """One parameter held at values, all others fitted.

    Attributes:
        name: of the parameter.
        values: at which it was held.
        sums: of squares there, in units of the variance, less the least.
        low: lower end of the interval of confidence; -inf where the profile does not rise that far.
        high: upper end.
        level: of confidence.
    """

    name: str
    values: Float[ndarray, " point"]
    sums: Float[ndarray, " point"]
    low: float
    high: float
    level: float


PROFILE_STEPS, PROFILE_STEP = 40, 0.5


def profile(problem: Problem, fitted: Fitted, name: str, level: float = 0.95) -> Profile:
    """Returns the profile of a parameter, which for curved theories is wider on one side than standard errors say.

    Args:
        problem: what was fitted.
        fitted: its solution.
        name: of a free parameter with one value.
        level: of confidence, between 0 and 1.

    Raises:
        UnknownNameError: no such parameter.
        OptionError: it is fixed, not determined, or has a value for each data set.
    """
    at, _, _ = fitted.model.slices()
    if name not in {one.name for one in fitted.model.parameters}:
        raise unknown_name("profile", "parameter", name, [one.name for one in fitted.model.parameters])
    if name not in at or at[name].stop - at[name].start > 1:
        raise OptionError(f"profile: expected a free parameter with one value, got {name}. Read its estimate instead.")
    if not 0 < level < 1:
        raise OptionError(f"profile: expected a level between 0 and 1, got {level!r}.")
    i = at[name].start
    error = derived(fitted, sympy.Symbol(name))[1]
    if not error > 0 or not np.isfinite(error):
        raise OptionError(
            f"profile: expected a parameter that the data determine, got {name}. Fix others that go with it."
        )
    one = next(p for p in fitted.model.parameters if p.name == name)
    dof = fitted.degrees_of_freedom
    limit = float(stats.chi2.ppf(level, 1) if fitted.is_absolute else stats.f.ppf(level, 1, max(dof, 1)))
    best = float(fitted.residuals @ fitted.residuals)
    low, high = one.bounds
    points: list[tuple[float, float]] = [(float(fitted.x[i]), 0.0)]
    ends = [-inf, inf]
    for side, sign in enumerate((-1, 1)):
        x, step = fitted.x.copy(), PROFILE_STEP * error
        before = (float(x[i]), 0.0)
        for _ in range(PROFILE_STEPS):
            value = float(np.clip(before[0] + sign * step, low, high))
            if value == before[0]:
                ends[side] = value
                break
            found = _held(problem, x, i, value)
            rise = (found[1] - best) / fitted.variance if fitted.variance > 0 else inf
            if not np.isfinite(rise):
                break
            points.append((value, rise))
            if rise >= limit:
                # The root of the rise is nearly a straight line.
                a, b = sqrt(max(before[1], 0.0)), sqrt(rise)
                ends[side] = before[0] + (value - before[0]) * (sqrt(limit) - a) / (b - a)
                break
            x, before = found[0], (value, rise)
            if rise < limit / 4:
                step *= 1.5
    points.sort()
    values, sums = (np.array(column) for column in zip(*points))
    return Profile(name, values, sums, ends[0], ends[1], level)


def _held(problem: Problem, x: ndarray, i: int, value: float) -> tuple[ndarray, float]:
    from kanpiler.theory.fitting.solve import Inequalities, minimise

    kept = np.delete(np.arange(len(x)), i)
    whole = problem.inequalities()

    def residuals(z: ndarray, with_jacobian: bool) -> tuple[ndarray, Any]:
        full = np.insert(z, i, value)
        r, J = problem.residuals(full, with_jacobian)
        return r, (None if J is None else J[:, kept])

    inner = Inequalities(whole.G[:, kept], whole.h - whole.G[:, i] * value)
    used = np.abs(inner.G).sum(1) > 0
    inner = Inequalities(inner.G[used], inner.h[used])
    found = minimise(residuals, x[kept], inner, steps=100)
    return np.insert(found.x, i, value), found.cost


def table(found: Sequence[Estimate], R: Float[ndarray, "estimate estimate"], said: Sequence[str]) -> str:
    """Returns the estimates as text: value, standard error, correlations above one half, and what is to be said."""
    if not found:
        return "\n".join(["no parameters", *(f"- {sentence}" for sentence in said)])
    rows = [("parameter", "value", "standard error", "relative", "correlation", "")]
    units = any(one.unit for one in found)
    for i, one in enumerate(found):
        strongest = sorted(
            ((abs(R[i, j]), j) for j in range(len(found)) if j != i and found[j].note == ""), reverse=True
        )
        text = ""
        if not one.note and strongest and strongest[0][0] >= 0.5:
            j = strongest[0][1]
            text = f"{R[i, j]:+.2f} {found[j].label}"
        has_error = np.isfinite(one.error)
        relative = f"{100 * abs(one.error / one.value):.2g} %" if has_error and one.value else ""
        note = f"{one.note}{'  ' if one.note and one.unit else ''}{one.unit if units else ''}"
        rows.append((one.label, f"{one.value:.7g}", f"{one.error:.2g}" if has_error else "-", relative, text, note))
    wide = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(wide[0]), *(row[c].rjust(wide[c]) for c in (1, 2, 3)), row[4].ljust(wide[4]), row[5]]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, *(f"- {sentence}" for sentence in said)])


def priors_scaled(problem: Problem, variance: float) -> Problem:
    """Returns the problem with priors weighed against data of this variance."""
    return replace(problem, prior_scale=sqrt(variance) if variance > 0 else 1.0)


def by_set(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values by name as plain numbers where there is one."""
    return {name: float(v[0]) if len(v) == 1 else [float(one) for one in v] for name, v in values.items()}
