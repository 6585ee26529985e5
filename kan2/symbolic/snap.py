"""Snapping: numbers of a symbolic network that are a simple number within their own uncertainty become that number.

Standard errors come from the Jacobian at the fit: covariance = s^2 (J'J)^-1 with s^2 the residual variance. A candidate
must lie within three standard errors, and must be simple enough not to be there by chance. The *chance* of a
coincidence is the share of its own size that lies within the errors, times how many numbers as simple as the candidate
lie there; for 0, it is the error in natural units (see `kan2.symbolic.natural`). Neither depends on the unit of
measure: 1.5e-7 is as simple as 1.5. The least accidental number is snapped first, the others are refitted, and the
choice is kept only if the error does not grow by more than noise explains. Zeros come before all others, and squares
c (x + b)^2 + d are multiplied out where that leaves a constant of 0.

References: Seber, Wild, Nonlinear Regression (1989), section 2.1; for 0, Kass, Raftery, Bayes Factors (1995).
"""

import copy
from dataclasses import dataclass, replace
from math import isfinite, pi, sqrt
from typing import Any

import sympy
import torch

from kan2.core.data import Columns
from kan2.core.network import AnyNetwork, Network
from kan2.core.verbs import verb
from kan2.errors import FormulaError
from kan2.expressions.constants import SimpleNumber, decimal_candidates
from kan2.options import number
from kan2.symbolic.gauge import fix_gauge
from kan2.symbolic.natural import EPS, minimise, standard_errors
from kan2.symbolic.shifts import tied_shifts, with_round_shifts
from kan2.symbolic.simpler import can_vanish, multiplied_out, with_number
from kan2.training.losses import SquaredError
from kan2.training.objective import objective_of
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Problem
from kan2.training.spread import size_in_spreads, spreads

ZERO = SimpleNumber(0.0, sympy.Integer(0), 0)
MAX_CHANCE = 0.1  # of a coincidence that is accepted
PRIOR = 0.1  # odds that a number is just any number rather than 0
STEPS = 60  # of a fit


@dataclass(frozen=True)
class Constant:
    """One free number of a symbolic network.

    Attributes:
        layer: which layer.
        term: index of the term in the layer's spec.
        letter: a, b, c, d or p (shape).
        function: the term's function.
        value: what was fitted.
        error: its standard error; infinite where the network has an infinite slope at a sample.
        size: how large a change of it is felt as one natural unit, see `kan2.symbolic.natural`.
        form: the exact number it was snapped to, or None.
    """

    layer: int
    term: int
    letter: str
    function: str
    value: float
    error: float
    size: float
    form: sympy.Expr | None = None

    @property
    def place(self) -> tuple[int, int, str]:
        """(layer, term, letter)."""
        return self.layer, self.term, self.letter


@dataclass(frozen=True)
class SnapReport:
    """What `snap_constants` did: the numbers as fitted, with their errors and exact forms, and the error around it."""

    constants: tuple[Constant, ...]
    rmse_before: float
    rmse_after: float


@verb
def uncertainties(
    model: Network, data: Any = None, *, sample_weight: Any = None, accuracy: float = 0.0, target: Columns | None = None
) -> tuple[Constant, ...]:
    """Returns the free numbers of a symbolic network with their standard errors.

    Args:
        model: all edges symbolic.
        data: the samples it was fitted to; by default those of the last fit.
        sample_weight: (batch,) non-negative weights, as in the fit.
        accuracy: how well the data can be trusted, as a share of the targets; residuals below it prove nothing.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        FormulaError: some edges are still splines.
        DataError: there are no samples.
    """
    _check("uncertainties", model)
    accuracy = number("uncertainties", "accuracy", accuracy, 0)
    problem, accuracy = _problem("uncertainties", model, data, sample_weight, accuracy)
    return _constants(model, problem, _floor(problem, accuracy))


def fit_numbers(
    model: AnyNetwork, data: Any = None, *, sample_weight: Any = None, accuracy: float = 0.0, steps: int = STEPS
) -> tuple[AnyNetwork, tuple[Constant, ...]]:
    """Returns the network in the agreed form, fitted for a few steps, and its free numbers as in `uncertainties`.

    Args:
        model: left as it is; all edges symbolic.
        data: the samples to fit; by default those of the last fit.
        sample_weight: (batch,) non-negative weights, as in the fit.
        accuracy: how well the data can be trusted, as a share of the targets.
        steps: largest number of Levenberg-Marquardt steps, >= 0.

    Raises:
        FormulaError: some edges are still splines.
        DataError: there are no samples.
    """
    _check("fit_numbers", model)
    model = fix_gauge(model).double()
    problem, accuracy = _problem("fit_numbers", model, data, sample_weight, accuracy)
    minimise(model, problem, steps)
    return model, _constants(model, problem, _floor(problem, accuracy))


@verb
def snap_constants(
    model: AnyNetwork,
    data: Any = None,
    *,
    sample_weight: Any = None,
    accuracy: float = 0.0,
    max_chance: float = MAX_CHANCE,
    target: Columns | None = None,
) -> AnyNetwork:
    """Returns the network with its numbers in the agreed form and, where the data allow, exact.

    `report` of the result is a `SnapReport`.

    Args:
        model: left as it is; all edges symbolic.
        data: the samples to fit; by default those of the last fit.
        sample_weight: (batch,) non-negative weights, as in the fit.
        accuracy: how well the data can be trusted, as a share of the targets; errors below it count as none.
        max_chance: largest chance of a coincidence that is accepted, 0 to 1.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        FormulaError: some edges are still splines.
        DataError: there are no samples.
    """
    _check("snap_constants", model)
    accuracy = number("snap_constants", "accuracy", accuracy, 0)
    max_chance = number("snap_constants", "max_chance", max_chance, 0, 1)
    model = fix_gauge(model).double()
    problem, accuracy = _problem("snap_constants", model, data, sample_weight, accuracy)
    assert isinstance(problem.loss, SquaredError)
    assert problem.loss.units is not None
    unit = float(problem.loss.units.square().mean().sqrt())
    before = minimise(model, problem, STEPS)
    search = _Search(model, problem, _floor(problem, accuracy), max_chance)
    search.snap(zeros=True)
    while search.multiply_out():
        search.snap(zeros=True)
    search.snap()
    model = search.model
    after = minimise(model, problem, STEPS)
    model = with_round_shifts(model, problem.features)
    model.report = SnapReport(tuple(search.fitted), unit * sqrt(before), unit * sqrt(after))
    return model


class _Search:
    """The network so far, and what was found about its numbers.

    Attributes:
        model: the network, fitted.
        fitted: every number as it was fitted, with its exact form where it has one.
    """

    def __init__(self, model: Network, problem: Problem, floor: float, max_chance: float) -> None:
        self.model: Any = model
        self.problem, self.floor, self.max_chance = problem, floor, max_chance
        self.refused: set[tuple[Any, ...]] = set()
        self.snapped: list[Constant] = []

    @property
    def fitted(self) -> list[Constant]:
        """The numbers that became exact, in that order, and those that are still free."""
        return [*self.snapped, *_constants(self.model, self.problem, self.floor)]

    def snap(self, zeros: bool = False) -> None:
        """Makes numbers exact, or only 0, the least accidental first, until none is left that may be."""
        while True:
            self.model = with_round_shifts(self.model, self.problem.features)
            constants = _constants(self.model, self.problem, self.floor)
            options = [option for constant in constants for option in self._options(constant)]
            options = [option for option in options if not (zeros and option[2].value)]
            if not options:
                return
            _, constant, number = min(options, key=lambda option: option[0])
            if not self._try(with_number(self.model, *constant.place, number.value), len(constants)):
                self.refused.add((*constant.place, number.value, self.model.spec.n_edges))
                continue
            self._note(constant, number)

    def _note(self, constant: Constant, number: SimpleNumber) -> None:
        layer, term, letter = constant.place
        if letter == "p" and number.value == 1:
            self.snapped = []  # with a straight line in place of a power, the agreed form is another one
        if letter == "c" and not number.value:
            rest = [c for c in self.snapped if (c.layer, c.term) != (layer, term)]
            self.snapped = [replace(c, term=c.term - (c.layer == layer and c.term > term)) for c in rest]
        self.snapped.append(replace(constant, form=number.form))

    def multiply_out(self) -> bool:
        """Multiplies out shifted squares if that leaves a constant of 0; returns whether it has."""
        for trial, (layer, term) in multiplied_out(self.model):
            minimise(trial, self.problem, STEPS)
            constants = _constants(trial, self.problem, self.floor)
            constant = next(c for c in constants if c.place == (layer, term, "d"))
            if chance_of_zero(constant) > self.max_chance:
                continue
            if self._try(with_number(trial, layer, term, "d", 0.0), len(constants)):
                self.snapped.append(replace(constant, form=ZERO.form))
                return True
        return False

    def _try(self, trial: Any, n_free: int) -> bool:
        # A true simple number raises the sum of squares like one degree of freedom: 9 is three standard deviations.
        present = self.problem.evaluate(ParameterVector(self.model)).loss
        freedom = max(1, self.problem.y.numel() - n_free)
        if not minimise(trial, self.problem, STEPS // 2) <= max(present * (1 + 9 / freedom), self.floor):
            return False
        self.model = trial
        return True

    def _options(self, constant: Constant) -> list[tuple[float, Constant, SimpleNumber]]:
        # (chance, number, what it may be)
        value, result = abs(constant.value), []
        if not isfinite(constant.error):
            return []
        tolerance = max(3 * constant.error, 1e-9 * value)
        can_be_zero = constant.letter in "bd" or (
            constant.letter == "c" and can_vanish(self.model, constant.layer, constant.term)
        )
        if can_be_zero:
            result.append((chance_of_zero(constant), ZERO))
        if value and not self._is_tied(constant):
            found = decimal_candidates(constant.value, tolerance)
            result += [(2 * tolerance / value * number.rivals, number) for number in found]
        tried = self.model.spec.n_edges
        return [
            (chance, constant, number)
            for chance, number in result
            if chance <= self.max_chance and (*constant.place, number.value, tried) not in self.refused
        ]

    def _is_tied(self, constant: Constant) -> bool:
        # A fit of c exp(a x + b) with c fixed would move the shift; c becomes exact when a is.
        places = [(layer, term, "c") for layer, term, _, _ in tied_shifts(self.model)]
        return constant.place in places


def chance_of_zero(constant: Constant) -> float:
    """Returns the odds that a number of natural size is fitted so near to 0; 1 where it is not near."""
    # Rounding of the natural size is no evidence.
    error = max(constant.error, 1e-12 * constant.size)
    return PRIOR * sqrt(2 * pi) * error / constant.size if abs(constant.value) < 3 * error else 1.0


def _check(caller: str, model: Network) -> None:
    if not isinstance(model, Network):
        raise FormulaError(f"{caller}: expected a MultKAN, got {type(model).__name__}.")
    if not model.is_formula:
        splines = sum(edge.is_numeric for edge in model.spec.edges())
        raise FormulaError(
            f"{caller}: expected symbolic edges only, got {splines} splines. Run auto_symbolic() or discover() first."
        )


def _problem(caller: str, model: Network, data: Any, sample_weight: Any, accuracy: float) -> tuple[Problem, float]:
    # What stands for the objective of the network as squares, and how well its targets can be trusted.
    precise = copy.deepcopy(model).double()
    samples, objective = objective_of(model, data, caller, sample_weight=sample_weight)
    near, weight, trusted = objective.surrogate(precise, samples.to(precise.like))
    weight = None if weight is None else weight.to(near.y)
    if trusted:
        accuracy = max(accuracy, trusted / size_in_spreads(near, weight))
    with torch.no_grad():
        features = precise.features(near.X)
    return Problem(features, near.y, weight, loss=SquaredError(spreads(near, weight))), accuracy


def _floor(problem: Problem, accuracy: float) -> float:
    # The mean square, in spreads of the targets, that counts as no error at all: a share of them, and rounding.
    return max(accuracy**2 * problem.scale, 1e-24, (8 * EPS) ** 2 * problem.scale)


def _constants(model: Network, problem: Problem, floor: float) -> tuple[Constant, ...]:
    vector = ParameterVector(model)
    if not vector.size:
        return ()
    assert isinstance(problem.loss, SquaredError)
    assert problem.loss.units is not None
    n = problem.y.numel()
    freedom = max(1, n - vector.size)
    variance = max(problem.evaluate(vector).loss * n / freedom, floor) / n
    natural, errors = standard_errors(model, vector, problem, variance)
    values, sizes = vector.read(), natural.sizes.clone()
    for (layer, term, _), i in natural.places.items():
        if layer == len(model.layers) - 1 and _function(model, layer, term) == "0":
            # A constant output, which may be 0, is measured like its targets.
            target = model.spec.layers[layer].terms[term].target
            sizes[i] = problem.loss.units[target] if target < model.spec.layers[layer].n_sum else sizes[i]
    return tuple(
        Constant(
            layer, term, letter, _function(model, layer, term), float(values[i]), float(errors[i]), float(sizes[i])
        )
        for (layer, term, letter), i in natural.places.items()
    )


def _function(model: Network, layer: int, term: int) -> str:
    return model.spec.layers[layer].terms[term].function
