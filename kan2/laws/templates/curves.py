"""Unknown functions as curves: polynomials in their arguments, fitted together with the constants of a template.

Each function is a sum of products of Chebyshev polynomials of its arguments, or of their logarithms where an argument
is positive and spans decades, up to a total degree. Their coefficients, and the constants, are found by
Levenberg-Marquardt steps, for a sum of functions by the first. The degree grows as long as rows that are not fitted
gain; every degree begins where the one before has ended. What several functions share, such as a constant of a sum,
stays where it began: steps are the shortest.

References: Hastie, Tibshirani, Generalized additive models (1990); Trefethen, Approximation theory and approximation
practice (2013), chapter 3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from kan2.interrupts import check_time
from kan2.laws.front.polish import compiled, evaluated
from kan2.laws.samples import Samples
from kan2.laws.templates.template import Call, Template

# Total degrees of functions of one, two, three and more arguments, one level after the other.
DEGREES = ((1, 2, 3, 4, 6, 8, 11, 15, 20), (1, 1, 2, 3, 4, 6, 8, 10, 12), (1, 1, 1, 2, 3, 4, 5, 6, 7),
           (1, 1, 1, 1, 2, 2, 3, 3, 4))  # fmt: skip
DECADES = 1.0  # that an argument spans, from which on its logarithm is taken
ROWS_A_NUMBER = 2.5
MOST_ROWS = 1500  # by which curves are fitted
HELD_OUT = 0.2  # of the rows, by which the degree is chosen
STARTS, MOST_STARTS = (1.0, -1.0, 0.1, 10.0, 0.01, 100.0), 16
STEPS, FIRST_STEPS = 40, 15
ENOUGH = 1e-13  # error at which nothing is gained any more
GAIN = 0.8  # of the error that a level must come below to be an improvement
PATIENCE = 2  # levels without improvement
LONGEST = 1e-12  # singular values, as shares of the largest, of directions that are left alone


@dataclass(frozen=True)
class Basis:
    """Products of Chebyshev polynomials of the arguments of a function.

    Attributes:
        is_log: of each argument, whether its logarithm is taken.
        centre: of each argument, of its range.
        half: half of its width.
        powers: (function, argument) degrees.
    """

    is_log: tuple[bool, ...]
    centre: tuple[float, ...]
    half: tuple[float, ...]
    powers: ndarray

    @classmethod
    def of(cls, arguments: Float[ndarray, "row argument"], degree: int) -> "Basis":
        """Returns the basis of a total degree for arguments of this range."""
        low, high = arguments.min(0), arguments.max(0)
        with np.errstate(all="ignore"):
            is_log = tuple(bool(a > 0 and np.log10(b / a) >= DECADES) for a, b in zip(low, high))
            low, high = (np.where(is_log, np.log(np.abs(end)), end) for end in (low, high))
        half = np.where(high > low, (high - low) / 2, 1.0)
        powers = [p for p in product(range(degree + 1), repeat=arguments.shape[1]) if sum(p) <= degree]
        powers.sort(key=lambda p: (sum(p), p))
        return cls(is_log, tuple((low + high) / 2), tuple(half), np.array(powers))

    def at(self, arguments: Float[ndarray, "row argument"]) -> Float[ndarray, "row function"]:
        """Returns the values of the polynomials."""
        found = np.ones((len(arguments), len(self.powers)))
        for column, is_log, centre, half, degrees in zip(
            arguments.T, self.is_log, self.centre, self.half, self.powers.T
        ):
            t = ((np.log(column) if is_log else column) - centre) / half
            found *= np.polynomial.chebyshev.chebvander(t, int(degrees.max()))[:, degrees]
        return found


@dataclass(frozen=True, eq=False)
class Curves:
    """Unknown functions that were fitted.

    Attributes:
        template: whose functions they are.
        bases: of each function.
        coefficients: of each function.
        constants: (constant,) values of the template's constants.
        error: on rows that were not fitted, in spreads of the target.
        level: of the degrees.
    """

    template: Template
    bases: dict[str, Basis]
    coefficients: dict[str, ndarray]
    constants: ndarray
    error: float
    level: int

    def at(self, call: Call, arguments: Float[ndarray, "row argument"]) -> Float[ndarray, "row"]:
        """Returns the values of a function at arguments."""
        return self.bases[call.function].at(arguments) @ self.coefficients[call.function]


def arguments_of(call: Call, samples: Samples) -> Float[ndarray, "row argument"]:
    """Returns the values of the arguments of a call at all rows."""
    function = compiled(call.arguments, samples.symbols)
    return np.stack(evaluated(function, samples.X.T, len(samples)), 1)


class Outer:
    """The known part of a template: values and derivatives, as functions of calls and constants."""

    def __init__(self, template: Template, samples: Samples) -> None:
        self.samples = samples
        unknown = (*(call.value for call in template.calls), *template.constants)
        symbols = (*samples.symbols, *unknown)
        self._value = compiled((template.expression,), symbols)
        self._slopes = compiled(tuple(template.expression.diff(one) for one in unknown), symbols)

    def value(self, unknown: Sequence[Any]) -> Float[ndarray, "row"]:
        """Returns the values of the template."""
        return evaluated(self._value, (*self.samples.X.T, *unknown), len(self.samples))[0]

    def slopes(self, unknown: Sequence[Any]) -> list[ndarray]:
        """Returns the derivatives by each call and constant, each (row,)."""
        return evaluated(self._slopes, (*self.samples.X.T, *unknown), len(self.samples))


def curves(template: Template, samples: Samples, seed: int = 0, like: Curves | None = None) -> Curves | None:
    """Fits the unknown functions of a template.

    Args:
        template: with at least one function.
        samples: the rows; all are used, or some of many.
        seed: of starts, and of the rows by which degrees are chosen.
        like: curves of some of the functions and more, to begin with; degrees are theirs.

    Returns:
        the curves; None where the template is not finite, or the arguments are not.
    """
    if len(samples) > MOST_ROWS:
        some = np.zeros(len(samples), bool)
        some[np.random.default_rng(seed).permutation(len(samples))[:MOST_ROWS]] = True
        samples = samples.part(some)
    held = np.zeros(len(samples), bool)
    held[np.random.default_rng(seed).permutation(len(samples))[: max(1, round(HELD_OUT * len(samples)))]] = True
    best: _Fit | None = None
    fitted = samples.part(~held), samples.part(held)
    for fit in _starts(template, *fitted, seed) if like is None else _continued(template, *fitted, like):
        fit = fit.grown() if like is None else fit
        if best is None or fit.error < GAIN * best.error:
            best = fit
        if best.error <= samples.floor or best.error < 1e-3:
            break
    if best is None:
        return None
    whole = _Fit(template, samples, samples.part(held), best.level, best.theta)
    whole.improve(STEPS)
    found = whole if np.isfinite(whole.size) else best
    return Curves(template, found.bases, *found.split(), best.error, best.level)


def _continued(template: Template, fitted: Samples, held: Samples, like: Curves) -> Iterator["_Fit"]:
    fit = _Fit(template, fitted, held, like.level)
    start = like.constants if template.start is None else np.array(template.start)
    fit.begin(dict.fromkeys(template.functions, 0.0), start, like)
    if np.isfinite(fit.size):
        fit.improve(STEPS)
        fit.error = fit.held_error
        yield fit


def _starts(template: Template, fitted: Samples, held: Samples, seed: int) -> Iterator["_Fit"]:
    size = float(np.median(np.abs(fitted.y))) or 1.0
    values = sorted({*STARTS, size, -size})
    scales = [float(np.median(np.abs(column))) for column in fitted.X.T]
    of_constants = [*STARTS, *(1 / s for s in scales if s), *(s for s in scales if s)]
    rng, tried = np.random.default_rng(seed), []
    n_functions, n_constants = len(template.functions), len(template.constants)
    for i in range(MOST_STARTS):
        levels = rng.choice(values, n_functions) if i else np.ones(n_functions)
        constants = rng.choice(of_constants, n_constants) if i else np.ones(n_constants)
        fit = _Fit(template, fitted, held, 0)
        if not fit.is_finite:
            return
        fit.begin(dict(zip(template.functions, levels)), constants)
        if not np.isfinite(fit.size):
            continue
        fit.improve(FIRST_STEPS)
        tried.append(fit)
        if fit.held_error < ENOUGH:
            break
    tried.sort(key=lambda fit: fit.size)
    yield from tried[:3]


@dataclass(eq=False)
class _Fit:
    """Curves of one level of degrees, while they are fitted.

    Attributes:
        theta: coefficients of all functions, one after the other, then the constants.
        size: sum of squares, in the unit of the samples.
    """

    template: Template
    samples: Samples
    held: Samples
    level: int
    theta: ndarray = field(default_factory=lambda: np.zeros(0))
    size: float = np.inf

    def __post_init__(self) -> None:
        self.outer = Outer(self.template, self.samples)
        self.arguments = {call: arguments_of(call, self.samples) for call in self.template.calls}
        self.held_arguments = {call: arguments_of(call, self.held) for call in self.template.calls}
        every = [*self.arguments.values(), *self.held_arguments.values()]
        self.is_finite = all(bool(np.isfinite(one).all()) for one in every)
        self.bases: dict[str, Basis] = {}
        self.error = np.inf
        if not self.is_finite:
            return
        for name in self.template.functions:
            calls = self.template.calls_of(name)
            range_ = np.concatenate([table[call] for table in (self.arguments, self.held_arguments) for call in calls])
            n = range_.shape[1]
            self.bases[name] = Basis.of(range_, DEGREES[min(n, len(DEGREES)) - 1][self.level])
        self.B = {call: self.bases[call.function].at(x) for call, x in self.arguments.items()}
        self.places, at = {}, 0
        for name, basis in self.bases.items():
            self.places[name] = slice(at, at + len(basis.powers))
            at += len(basis.powers)
        self.n_coefficients = at
        if self.theta.size:
            self.size = self._size(self.theta)

    def split(self) -> tuple[dict[str, ndarray], ndarray]:
        """Returns the coefficients of each function, and the constants."""
        return {name: self.theta[place] for name, place in self.places.items()}, self.theta[self.n_coefficients :]

    def begin(self, levels: dict[str, float], constants: ndarray, like: Curves | None = None) -> None:
        """Begins with constant functions, or with those that are known."""
        self.theta = np.r_[np.zeros(self.n_coefficients), constants]
        for name, place in self.places.items():
            self.theta[place.start] = levels[name]
            if like is not None and name in like.bases:
                self._copy(name, like.bases[name], like.coefficients[name])
        self.size = self._size(self.theta)

    def _copy(self, name: str, basis: Basis, coefficients: ndarray) -> None:
        known = {tuple(powers): c for powers, c in zip(basis.powers.tolist(), coefficients)}
        self.theta[self.places[name]] = [known.get(tuple(p), 0.0) for p in self.bases[name].powers.tolist()]

    def grown(self) -> "_Fit":
        """Returns the fit of the level with the lowest error on rows that are held out."""
        self.improve(STEPS)
        self.error = self.held_error
        best, present, waited = self, self, 0
        for level in range(self.level + 1, len(DEGREES[0])):
            check_time()
            if best.error < ENOUGH or waited >= PATIENCE:
                break
            new = _Fit(self.template, self.samples, self.held, level)
            if new.n_coefficients == present.n_coefficients:
                continue  # functions of many arguments grow more slowly
            if len(self.samples) < ROWS_A_NUMBER * (new.n_coefficients + len(self.template.constants)):
                break
            coefficients, constants = present.split()
            new.begin(dict.fromkeys(self.places, 0.0), constants)
            for name, basis in present.bases.items():
                new._copy(name, basis, coefficients[name])
            new.size = new._size(new.theta)
            new.improve(STEPS)
            new.error = new.held_error
            present = new
            waited = 0 if new.error < GAIN * best.error else waited + 1
            best = new if new.error < best.error else best
        return best

    @property
    def held_error(self) -> float:
        """The error on the rows that are held out."""
        coefficients, constants = self.split()
        calls = self.template.calls
        known = [self.bases[c.function].at(self.held_arguments[c]) @ coefficients[c.function] for c in calls]
        return self.held.error(Outer(self.template, self.held).value([*known, *constants]))

    def _unknown(self, theta: ndarray) -> list[Any]:
        known = [B @ theta[self.places[call.function]] for call, B in self.B.items()]
        return [*known, *theta[self.n_coefficients :]]

    def _size(self, theta: ndarray) -> float:
        return self.samples.size(self.outer.value(self._unknown(theta)))

    def improve(self, steps: int) -> None:
        """Takes steps as long as they help."""
        damping, samples = 1e-3, self.samples
        for _ in range(steps):
            check_time()
            unknown = self._unknown(self.theta)
            value = self.outer.value(unknown)
            # Squares with the slope of the loss.
            root = np.sqrt(samples.weights(value))
            J = self._jacobian(unknown) * root[:, None]
            sizes = np.sqrt((J**2).sum(0))
            sizes[sizes == 0] = 1.0
            if not np.isfinite(J).all():
                return
            U, s, V = np.linalg.svd(J / sizes, full_matrices=False)
            right = U.T @ (root * (samples.y - value))
            is_kept = s > LONGEST * s[0] if s.size and s[0] > 0 else np.zeros(len(s), bool)
            before = self.size
            for _ in range(8):
                gains = np.where(is_kept, s / np.where(is_kept, s**2 + (damping * s[0]) ** 2, 1.0), 0.0)
                trial = self.theta + (V.T @ (gains * right)) / sizes
                size = self._size(trial)
                if size < self.size:
                    self.theta, self.size, damping = trial, size, damping * 0.03
                    break
                damping = max(10 * damping, 1e-8)
            if not self.size < before * (1 - 1e-6):
                return
            damping = 0.0 if damping < 1e-12 else damping

    def _jacobian(self, unknown: list[Any]) -> ndarray:
        slopes = self.outer.slopes(unknown)
        J = np.zeros((len(self.samples), len(self.theta)))
        for (call, B), slope in zip(self.B.items(), slopes):
            J[:, self.places[call.function]] += slope[:, None] * B
        for j, slope in enumerate(slopes[len(self.B) :]):
            J[:, self.n_coefficients + j] = slope
        return J
