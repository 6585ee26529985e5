"""From unknown functions to formulas: candidates for each, put into the theory, fitted again with it, and judged.

A candidate is judged by the rows, not by the curve: the whole theory is fitted with it, and it is taken if it leaves no
more than the spline does, by an F test, and if Bayes' information criterion prefers it to all others. Then its numbers
are tried at simple values.

References: Schwarz (1978), doi:10.1214/aos/1176344136; Seber, Wild, Nonlinear Regression (1989), section 5.8.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from numpy import ndarray
from scipy import stats

from kan2.core.theory import Parameter
from kan2.expressions.symbols import symbol
from kanpiler.errors import CompileError
from kanpiler.theory.finding.candidates import Candidate, candidates, u, variants
from kanpiler.theory.fitting.fit import pinned_at
from kanpiler.theory.fitting.model import Model, pieces
from kanpiler.theory.fitting.problem import Problem
from kanpiler.theory.fitting.solve import Minimum
from kanpiler.theory.form import Form

TRIED = 8
"""Candidates nearest to the curve that are put into the theory."""
NEAR, OFF = 30.0, 5.0
"""Distances from the curve, in units of the least and of the curve's standard error, beyond which none is tried."""
SURE = 1e-3
"""Level of the test that a formula leaves more than the spline."""
STEPS = 200
WIDTH, CHANCE, LARGEST = 3.0, 0.3, 10
"""Standard errors within which a number may be a simple one, the chance that one is there, and the largest."""
SIMPLER = 1e-3
"""What an operation counts where two formulas are the same on the rows: u**p before sign(u)*Abs(u)**p."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A theory with formulas in place of some functions, fitted.

    Attributes:
        form: what it says.
        problem: with the curves of the other functions.
        minimum: the fit.
        formulas: by name of the function, what stands in its place, in `u`.
    """

    form: Form
    problem: Problem
    minimum: Minimum
    formulas: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_numbers(self) -> int:
        """How many numbers the data determine."""
        return len(self.minimum.x) - len(self.problem.pins)

    @property
    def squares(self) -> float:
        """The sum of squares of the weighted residuals of the data, no less than rounding leaves."""
        n = self.problem.rows.y.size
        own = self.minimum.residuals[:n]
        return max(float(own @ own), n * (1e-13 * self.problem.spread) ** 2)

    def score(self, is_absolute: bool) -> float:
        """Returns Bayes' information criterion, up to a constant."""
        n = self.problem.rows.y.size
        fit = self.squares if is_absolute else n * math.log(self.squares / n)
        return fit + self.n_numbers * math.log(n) if math.isfinite(fit) else math.inf

    def is_as_good_as(self, spline: "Trial") -> bool:
        """Tells whether it leaves no more than a spline, but for noise."""
        n, k, more = self.problem.rows.y.size, self.n_numbers, spline.n_numbers
        if more <= k or n <= more:
            return self.squares <= spline.squares * (1 + 1e-6)
        ratio = (self.squares - spline.squares) / (more - k) / (spline.squares / (n - more))
        return bool(ratio <= stats.f.isf(SURE, more - k, n - more))


def symbolified(trial: Trial, name: str, is_absolute: bool) -> Trial | None:
    """Returns the theory with a formula in place of one function, or None where no family is as good as its spline."""
    model = trial.problem.model
    at = model.slices()[1]
    curve, w = model.curves[name], trial.minimum.x[at[name]]
    freedoms = [pin.kind for pin in trial.problem.pins]
    near = candidates(curve, w)
    # The curve itself is off by the noise that it has taken up, and on one interval it is a polynomial.
    bar = NEAR * near[0].error if near else 0.0
    bar = max(bar, OFF * noise_of_curve(trial, name), 1e-12 * float(np.abs(w).max(initial=0.0)))
    within = [one for one in near if one.error <= bar]
    chosen, simple = within[:TRIED], [one for one in within[TRIED:] if len(one.numbers) <= 3]
    best: Trial | None = None
    best_score = math.inf
    for one in [c for candidate in (*chosen, *simple) for c in variants(candidate, freedoms)]:
        found = _with(trial, name, one)
        if found is None or not found.is_as_good_as(trial):
            continue
        score = found.score(is_absolute) + SIMPLER * float(one.expression.count_ops())
        if best is None or score < best_score:
            best, best_score = found, score
    if best is None:
        return None
    own = {one.name for one in best.problem.model.parameters if one.of == name}
    return renumbered(simplified(best, own, is_absolute), name)


def without(trial: Trial, name: str, is_absolute: bool) -> Trial | None:
    """Returns the theory with a constant, or nothing, in place of an unknown function where the rows allow that."""
    zero = _refitted(trial, name, sympy.Integer(0), [])
    constant = _with(trial, name, Candidate(symbol("c0") + 0 * u, (symbol("c0"),), (0.0,), 0.0))
    found = [one for one in (zero, constant) if one is not None and one.is_as_good_as(trial)]
    return min(found, key=lambda one: one.score(is_absolute), default=None)


def _with(trial: Trial, name: str, candidate: Candidate) -> Trial | None:
    taken = {one.name for one in trial.problem.model.parameters} | set(trial.form.names)
    names: dict[Any, Any] = {}
    parameters = []
    for number, value in zip(candidate.numbers, candidate.start):
        fresh = next(t for i in range(1, 100) if (t := f"{name}_{i}") not in taken)
        taken.add(fresh)
        names[number] = symbol(fresh)
        parameters.append(Parameter(value, name=fresh, of=name))
    return _refitted(trial, name, candidate.expression.xreplace(names), parameters)


def _refitted(trial: Trial, name: str, formula: Any, new: list[Parameter]) -> Trial | None:
    form = trial.form.with_formula(name, u, formula)
    problem, x = trial.problem, trial.minimum.x
    at, of_curves, _ = problem.model.slices()
    curves = {n: curve for n, curve in problem.model.curves.items() if n != name}
    start = np.concatenate(
        [
            *(x[at[one.name]] for one in problem.model.parameters if not one.fixed),
            [one.start for one in new],
            *(x[of_curves[n]] for n in curves),
        ]
    )
    try:
        compiled = pieces(form, False, 10.0)
    except CompileError:
        return None
    parameters = (*problem.model.parameters, *new)
    model = Model(form, *compiled, parameters, curves, problem.model.solved_for)
    moved = replace(problem, model=model, pins=(), roughness={})
    with np.errstate(all="ignore"):
        r, J = moved.residuals(start, True)
    if not np.isfinite(r).all() or J is None or not np.isfinite(J).all():
        return None
    if curves:
        moved = replace(moved, pins=pinned_at(moved, start))
    moved, minimum = moved.solve(start, STEPS, math.inf)
    formulas = {**trial.formulas, name: formula}
    return Trial(form, moved, minimum, formulas) if math.isfinite(minimum.cost) else None


def simplified(trial: Trial, names: Collection[str], is_absolute: bool, only_zero: bool = False) -> Trial:
    """Returns the theory with simple values for some parameters, where the rows allow that.

    Args:
        trial: fitted.
        names: of the parameters that may become simple numbers.
        is_absolute: whether the errors of the data are known.
        only_zero: whether zero is the only one.
    """
    while True:
        simple = _simple_values(trial, names)
        found = [with_value(trial, one, value) for one, value in simple if not (only_zero and value)]
        scores = [(one.score(is_absolute), i) for i, one in enumerate(found) if one is not None]
        if not scores or min(scores)[0] >= trial.score(is_absolute):
            return trial
        trial = found[min(scores)[1]]  # type: ignore[assignment]


def noise_of_curve(trial: Trial, name: str) -> float:
    """Returns the standard error of a curve, root mean square over its range."""
    model = trial.problem.model
    curve, at = model.curves[name], model.slices()[1][name]
    points = np.linspace(curve.low, curve.high, 50)
    B = curve.values(points)
    return float(np.sqrt(np.mean(np.einsum("ij,jk,ik->i", B, covariance_of(trial)[at, at], B).clip(0))))


def covariance_of(trial: Trial) -> ndarray:
    """Returns the covariance of all numbers; what is free to move adds nothing."""
    J = trial.minimum.jacobian
    size = np.linalg.norm(J, axis=0)
    size = np.where(size > 0, size, 1.0)
    free = max(trial.problem.rows.y.size - len(trial.minimum.x), 1)
    inverse = np.linalg.pinv((J / size).T @ (J / size), rcond=1e-12)
    return inverse * (trial.squares / free) / np.outer(size, size)


def _simple_values(trial: Trial, names: Collection[str]) -> list[tuple[Parameter, Fraction]]:
    model, x = trial.problem.model, trial.minimum.x
    at = model.slices()[0]
    errors = np.sqrt(np.maximum(np.diag(covariance_of(trial)), 0))
    found = []
    for one in model.parameters:
        if one.name not in names or one.name not in at or len(one.levels) > 1:
            continue
        i = at[one.name].start
        value, error = float(x[i]), float(errors[i]) + 1e-12 * abs(float(x[i]))
        if abs(value) <= WIDTH * error:
            found.append((one, Fraction(0)))
            continue
        for denominator in (1, 2, 3, 4):
            near = Fraction(round(value * denominator), denominator)
            # Where errors are as wide as the simple numbers are apart, one is always near.
            is_telling = 2 * WIDTH * error * denominator <= CHANCE
            if is_telling and abs(near) <= LARGEST and abs(float(near) - value) <= WIDTH * error:
                found.append((one, near))
                break
    return found


def with_value(trial: Trial, one: Parameter, value: Fraction) -> Trial | None:
    """Returns the theory with a number in place of a parameter, fitted again."""
    exact = sympy.Rational(value.numerator, value.denominator)
    known = {symbol(one.name): exact}
    form = trial.form
    expressions = tuple(expression.xreplace(known) for expression in form.expressions)
    if any(e.has(sympy.zoo, sympy.nan, sympy.oo) for e in expressions):
        return None
    calls = tuple(replace(call, argument=call.argument.xreplace(known)) for call in form.calls)
    form = replace(form, expressions=expressions, calls=calls, names=tuple(n for n in form.names if n != one.name))
    form = form.retold()
    problem, x = trial.problem, trial.minimum.x
    at = problem.model.slices()[0]
    start = np.delete(x, np.arange(at[one.name].start, at[one.name].stop))
    try:
        compiled = pieces(form, False, 10.0)
    except CompileError:
        return None
    parameters = tuple(p for p in problem.model.parameters if p.name != one.name)
    gone = {p.name for p in parameters} - set(form.names)
    if gone:
        # 0*f_1 takes other numbers with it.
        index = [i for p in parameters if p.name in gone and not p.fixed for i in _places(problem, p, one)]
        start = np.delete(start, index)
        parameters = tuple(p for p in parameters if p.name not in gone)
    model = replace(problem.model, form=form, outputs=compiled[0], arguments=compiled[1], parameters=parameters)
    moved = replace(problem, model=model, roughness={})
    with np.errstate(all="ignore"):
        r, J = moved.residuals(start, True)
    if not np.isfinite(r).all() or J is None or not np.isfinite(J).all():
        return None
    moved, minimum = moved.solve(start, STEPS, math.inf)
    formulas = {name: formula.xreplace(known) for name, formula in trial.formulas.items()}
    return Trial(form, moved, minimum, formulas) if math.isfinite(minimum.cost) else None


def renumbered(trial: Trial, name: str) -> Trial:
    """Returns the theory with the numbers of a formula counted from 1, without gaps."""
    model = trial.problem.model
    own = [one.name for one in model.parameters if one.of == name]
    new = dict(zip(own, (f"{name}_{i + 1}" for i in range(len(own)))))
    if all(old == fresh for old, fresh in new.items()) or (set(new.values()) - set(own)) & set(trial.form.names):
        return trial
    # Through names that nobody has: f_3 may become f_1 where f_1 becomes f_2.
    between = {symbol(old): sympy.Dummy() for old in own}
    after = {between[symbol(old)]: symbol(fresh) for old, fresh in new.items()}

    def renamed(expression: Any) -> Any:
        return expression.xreplace(between).xreplace(after)

    form = trial.form.renamed(renamed)
    parameters = tuple(replace(one, name=new.get(one.name, one.name)) for one in model.parameters)
    outputs, arguments = pieces(form, False, 10.0)
    model = replace(model, form=form, outputs=outputs, arguments=arguments, parameters=parameters)
    formulas = {key: renamed(formula) for key, formula in trial.formulas.items()}
    return replace(trial, form=form, problem=replace(trial.problem, model=model), formulas=formulas)


def _places(problem: Problem, p: Parameter, without: Parameter) -> range:
    at = problem.model.slices()[0]
    own, other = at[p.name], at[without.name]
    shift = other.stop - other.start if own.start > other.start else 0
    return range(own.start - shift, own.stop - shift)
