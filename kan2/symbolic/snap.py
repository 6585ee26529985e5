"""Snapping: numbers of a symbolic network that are a simple number within their own uncertainty become that number.

Standard errors come from the Jacobian at the fit: covariance = s^2 (J'J)^-1 with s^2 the residual variance. A candidate
must lie within three standard errors, and must be simple enough not to be there by chance: the density of simple
numbers, times the width of the interval, is the *chance* of a coincidence. The least accidental number is snapped
first, the others are refitted, and the choice is kept only if the error does not grow by more than noise explains.

Reference: Seber, Wild, Nonlinear Regression (1989), section 2.1.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import sympy
import torch

from kan2.core.network import AnyNetwork, Network
from kan2.edits.rewire import rewire, terms_of
from kan2.errors import FormulaError
from kan2.expressions.constants import SimpleNumber, simple_candidates
from kan2.symbolic.gauge import fix_gauge
from kan2.training.loop import minimise
from kan2.training.objective import objective_of
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Problem
from kan2.training.spread import size_in_spreads

LETTERS = "abcdp"
NAMED_POWERS = {2.0: "x^2", 3.0: "x^3", 4.0: "x^4", 5.0: "x^5", -1.0: "1/x", -2.0: "1/x^2", 0.5: "sqrt", -0.5: "1/sqrt"}


@dataclass(frozen=True)
class Constant:
    """One free number of a symbolic network.

    Attributes:
        layer: which layer.
        term: index of the term in the layer's spec.
        letter: a, b, c, d or p (shape).
        function: the term's function.
        value: what was fitted.
        error: its standard error.
        form: the exact number it was snapped to, or None.
    """

    layer: int
    term: int
    letter: str
    function: str
    value: float
    error: float
    form: sympy.Expr | None = None


@dataclass(frozen=True)
class SnapReport:
    """What `snap_constants` did: the numbers as fitted, with their errors and exact forms, and the error around it."""

    constants: tuple[Constant, ...]
    rmse_before: float
    rmse_after: float


def uncertainties(
    model: Network, data: Any = None, *, sample_weight: Any = None, accuracy: float = 0.0
) -> tuple[Constant, ...]:
    """Returns the free numbers of a symbolic network with their standard errors.

    Args:
        model: all edges symbolic.
        data: the samples it was fitted to; by default those of the last fit.
        sample_weight: (batch,) non-negative weights, as in the fit.
        accuracy: how well the data can be trusted, as a share of the targets; residuals below it prove nothing.

    Raises:
        FormulaError: some edges are still splines.
        DataError: there are no samples.
    """
    _check("uncertainties", model)
    problem, accuracy = _problem("uncertainties", model, data, sample_weight, accuracy)
    return _constants(model, problem, _floor(problem, accuracy))


def snap_constants(
    model: AnyNetwork,
    data: Any = None,
    *,
    sample_weight: Any = None,
    accuracy: float = 0.0,
    max_chance: float = 0.1,
) -> AnyNetwork:
    """Returns the network with its numbers in the agreed form and, where the data allow, exact.

    `report` of the result is a `SnapReport`.

    Args:
        model: left as it is; all edges symbolic.
        data: the samples to fit; by default those of the last fit.
        sample_weight: (batch,) non-negative weights, as in the fit.
        accuracy: how well the data can be trusted, as a share of the targets; errors below it count as none.
        max_chance: largest chance of a coincidence that is accepted, 0 to 1.

    Raises:
        FormulaError: some edges are still splines.
        DataError: there are no samples.
    """
    _check("snap_constants", model)
    model = fix_gauge(model).double()
    problem, accuracy = _problem("snap_constants", model, data, sample_weight, accuracy)
    _refit(model, problem)
    before = problem.evaluate(ParameterVector(model)).loss
    floor = _floor(problem, accuracy)
    fitted = {(c.layer, c.term, c.letter): c for c in _constants(model, problem, floor)}
    refused: set[tuple[int, int, str, float]] = set()
    n = problem.y.numel()
    while True:
        present = problem.evaluate(ParameterVector(model)).loss
        constants = _constants(model, problem, floor)
        options = sorted(
            (option for c in constants for option in _options(c, refused, max_chance)), key=lambda option: option[0]
        )
        if not options:
            break
        _, constant, number = options[0]
        trial = _frozen(model, constant, number.value)
        _refit(trial, problem, steps=30)
        freedom = max(1, n - len(constants))
        # A true simple number raises the sum of squares like one degree of freedom: 9 is three standard deviations.
        if problem.evaluate(ParameterVector(trial)).loss <= max(present * (1 + 9 / freedom), floor):
            model = trial
            key = (constant.layer, constant.term, constant.letter)
            fitted[key] = replace(fitted.get(key, constant), form=number.form)
        else:
            refused.add((constant.layer, constant.term, constant.letter, number.value))
    _refit(model, problem)
    after = problem.evaluate(ParameterVector(model)).loss
    model.report = SnapReport(tuple(fitted.values()), sqrt(before), sqrt(after))
    return model


def _options(
    constant: Constant, refused: set[tuple[int, int, str, float]], max_chance: float
) -> list[tuple[float, Constant, SimpleNumber]]:
    tolerance = max(3 * constant.error, 1e-9 * abs(constant.value), 1e-12)
    result = []
    for number in simple_candidates(constant.value, tolerance):
        if (constant.layer, constant.term, constant.letter, number.value) in refused:
            continue
        # Complexity counts the bits of numerator and, twice, denominator, so about 4**(complexity / 3) fractions of at
        # most this complexity lie in a unit interval.
        chance = 2 * tolerance * 4.0 ** (number.complexity / 3) / max(1.0, abs(constant.value))
        if chance <= max_chance:
            result.append((chance, constant, number))
    return result


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
    return Problem(features, near.y, weight), accuracy


def _refit(model: Network, problem: Problem, steps: int = 60) -> None:
    minimise(model, problem, steps, damping=1e-4)


def _floor(problem: Problem, accuracy: float) -> float:
    # The mean square that counts as no error at all.
    return max(accuracy, 1e-12) ** 2 * problem.scale


def _constants(model: Network, problem: Problem, floor: float) -> tuple[Constant, ...]:
    vector = ParameterVector(model)
    if not vector.size:
        return ()
    gram = problem.normal_equations(vector, problem.evaluate(vector)).gram
    freedom = max(1, problem.y.numel() - vector.size)
    n = problem.y.numel()
    variance = max(problem.evaluate(ParameterVector(model)).loss * n / freedom, floor) / n
    root = gram.diagonal().clamp_min(1e-300).rsqrt()
    scaled = gram * root[:, None] * root
    # A direction that the data do not determine gets a large error, not an infinite one.
    inverse = torch.linalg.inv(scaled + 1e-13 * torch.eye(len(scaled), dtype=scaled.dtype))
    errors = (variance * inverse.diagonal()).clamp_min(0).sqrt() * root
    values = vector.read()
    return tuple(
        Constant(layer, term, LETTERS[letter], function, float(values[i]), float(errors[i]))
        for i, layer, term, letter, function in _places(model, vector)
    )


def _places(model: Network, vector: ParameterVector) -> Iterator[tuple[int, int, int, int, str]]:
    # Of every free number of a term its place in the vector, which has scales and biases of nodes in between.
    for slot in vector.slots:
        if slot.kind == "term":
            layer = model.layers[slot.layer]
            assert layer.symbolic is not None
            for i, (term, letter) in enumerate(layer.symbolic.free.nonzero().tolist(), slot.start):
                yield i, slot.layer, term, letter, layer.spec.terms[term].function


def _frozen(model: AnyNetwork, constant: Constant, value: float) -> AnyNetwork:
    layers = [copy.deepcopy(layer) for layer in model.layers]
    terms = terms_of(layers[constant.layer])
    item = terms[constant.term]
    free = "".join(letter for letter in item.term.free if letter != constant.letter)
    affine = list(item.affine)
    shape = item.shape
    if constant.letter == "p":
        shape = value
        if item.term.function == "power" and value in NAMED_POWERS:
            item = replace(item, term=replace(item.term, function=NAMED_POWERS[value]))
    else:
        affine["abcd".index(constant.letter)] = value
    terms[constant.term] = replace(item, term=replace(item.term, free=free), affine=tuple(affine), shape=shape)
    layers[constant.layer] = rewire(layers[constant.layer], [], terms)
    new = type(model).from_layers(model.spec, layers)
    new.data, new.objective = model.data, model.objective
    return new
