"""Numbers of a formula that are named constants, simple multiples of them, or products of powers of two or three.

A number is replaced where it agrees with such a product within three standard errors, where that is no chance, and
where rows left out agree. How likely chance is follows from how many products that are no longer lie within a decade.

Simple multiples are small fractions, times pi or its square, and roots of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from math import gcd, log
from typing import Any, cast

import numpy as np
import sympy
from numpy import ndarray

from kan2.expressions.named import NamedConstant
from kan2.laws.front.polish import Fit, Form, error_of_all
from kan2.laws.samples import Samples

DEVIATIONS = 3.0  # standard errors
LEAST, MOST = 1e-11, 0.05  # relative tolerance: rounding, and what says nothing of a number any more
CHANCE = 0.05  # largest chance that a product as short lies within the tolerance
DECADE = log(10.0)
WORSE = 6.0  # nats that errors on rows left out may cost: three standard errors are 4.5
DIGITS = 3  # of an exact number from which on it may be a constant: 1/2 is 1/2
LARGEST_FRACTION, OF_PI = 8, 4  # numbers of a fraction, alone and beside pi
POWERS: tuple[Any, ...] = tuple(
    sympy.Rational(p) for p in ("1", "-1", "2", "-2", "1/2", "-1/2", "3", "-3", "3/2", "-3/2", "4", "-4")
)
POWERS_OF_TWO, POWERS_OF_THREE = POWERS[:6], POWERS[:2]


@dataclass(frozen=True, eq=False)
class _Products:
    """Products of powers of constants times simple numbers, the shortest first.

    Attributes:
        logs: (product,) of their magnitudes.
        lengths: (product,) how long they are to write.
        forms: (factor, product of constants) of each.
    """

    logs: ndarray
    lengths: ndarray
    forms: tuple[tuple[sympy.Expr, sympy.Expr], ...]


def with_named_numbers(
    form: Form, fit: Fit, samples: Samples, constants: Sequence[NamedConstant]
) -> tuple[Form, Fit, tuple[str, ...]]:
    """Returns form and fit to the rest after numbers got their names, and sentences that say so.

    Args:
        form: with symbols for its numbers.
        fit: of it, to the rest of the rows.
        samples: all rows.
        constants: that numbers may be.
    """
    told: list[str] = []
    if not constants:
        return form, fit, ()
    error = error_of_all(fit, samples)
    refused: set[tuple[sympy.Expr, sympy.Expr]] = set()
    while True:
        for number, value, deviation, name in _options(form, fit, tuple(constants)):
            if (number, name) in refused:
                continue
            kept = [i for i, other in enumerate(form.numbers) if other != number]
            expression = cast(sympy.Expr, form.expression.xreplace({number: name}))
            trial = Form(expression, tuple(form.numbers[i] for i in kept), fit.numbers[kept])
            new = Fit(trial, samples.rest)
            new_error = error_of_all(new, samples)
            if samples.unexplained(new_error) - samples.unexplained(error) < WORSE:
                said = f"{value:.6g} is {name}"
                said += f" within {abs(value - float(name)) / deviation:.1f} standard errors" * (deviation > 0)
                told.append(said)
                form, fit, error = trial, new, new_error
                break
            refused.add((number, name))
        else:
            return form, fit, tuple(told)


def _options(
    form: Form, fit: Fit, constants: tuple[NamedConstant, ...]
) -> Iterator[tuple[sympy.Expr, float, float, sympy.Expr]]:
    # (what is replaced, its value, its standard error, by what)
    fitted = zip(form.numbers, fit.numbers.tolist(), fit.errors.tolist())
    exact = [(one, float(one), 0.0) for one in form.expression.atoms(sympy.Rational) if _n_digits(one) >= DIGITS]
    for number, value, deviation in [*fitted, *sorted(exact, key=lambda entry: entry[1])]:
        if value and np.isfinite(deviation):
            for name in _names(value, deviation, constants):
                yield number, value, deviation, name


def _n_digits(value: sympy.Rational) -> int:
    return max(len(str(abs(int(part))).rstrip("0")) for part in (value.p, value.q))


def _names(value: float, deviation: float, constants: tuple[NamedConstant, ...]) -> list[sympy.Expr]:
    known = _products(constants)
    tolerance = max(DEVIATIONS * deviation / abs(value), LEAST)
    if tolerance > MOST:
        return []
    off = np.abs(known.logs - log(abs(value)))
    found = []
    for i in np.flatnonzero(off <= tolerance):
        rivals = int(((off <= DECADE) & (known.lengths <= known.lengths[i])).sum())
        if 2 * tolerance * rivals / (2 * DECADE) <= CHANCE:
            factor, constant = known.forms[i]
            sign = 1 if float(factor * constant) * value > 0 else -1
            found.append((float(known.lengths[i]), float(off[i]), sign * factor * constant))
    return [name for *_, name in sorted(found, key=lambda entry: entry[:2])]


@lru_cache(maxsize=16)
def _products(constants: tuple[NamedConstant, ...]) -> _Products:
    products = list(_of_constants(constants))
    factors = _factors()
    sizes = np.array([log(abs(float(form))) for form, _ in factors])
    lengths = np.array([length for _, length in factors])
    logs = np.array([size for _, size, _ in products])
    own = np.array([length for *_, length in products])
    forms = tuple((factor, form) for form, *_ in products for factor, _ in factors)
    return _Products(np.add.outer(logs, sizes).ravel(), np.add.outer(own, lengths).ravel(), forms)


def _of_constants(constants: Sequence[NamedConstant]) -> Iterator[tuple[sympy.Expr, float, float]]:
    # (product, logarithm of its size, how long it is)
    for n, powers in ((1, POWERS), (2, POWERS_OF_TWO), (3, POWERS_OF_THREE)):
        for chosen in combinations(constants, n):
            for exponents in product(powers, repeat=n):
                form = sympy.Mul(*(c**p for c, p in zip(chosen, exponents)))
                size = sum(float(p) * log(abs(c.value)) for c, p in zip(chosen, exponents))
                yield form, size, sum(3.0 + float(abs(p) != 1) + float(p.q != 1) for p in exponents)


@lru_cache(maxsize=1)
def _factors() -> list[tuple[sympy.Expr, float]]:
    """Returns simple numbers, and how long each is: in bits, about."""
    found: dict[sympy.Expr, float] = {}
    numbers = range(1, LARGEST_FRACTION + 1)
    for power in (0, 1, -1, 2, -2):
        for p, q in product(numbers, numbers):
            if gcd(p, q) > 1 or (power and max(p, q) > OF_PI):
                continue
            length = 1.5 * (log(p * q, 2)) + 1.5 * abs(power)
            exact = sympy.Rational(p, q) * sympy.pi**power
            for form, more in ((exact, 0.0), (sympy.sqrt(exact), 2.0)):
                found[form] = min(found.get(form, np.inf), length + more)
    return list(found.items())
