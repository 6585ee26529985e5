"""Numbers of a formula that may be simple within their standard errors, and are where rows left out agree.

One number after the other, the surest first, is replaced by the simplest one within three standard errors (an exponent:
within four), the others are fitted again, and it stays where the description of the table has become shorter, see
`kan2.laws.front.complexity`.
"""

from typing import cast

import numpy as np
import sympy

from kan2.expressions.constants import RIVALS_OF_CIRCLES, circle_numbers, decimal_candidates
from kan2.laws.front.complexity import nats
from kan2.laws.front.polish import Fit, Form, error_of_all
from kan2.laws.numbers import exponent
from kan2.laws.samples import Samples

DEVIATIONS, OF_EXPONENTS = 3.0, 4.0  # standard errors; that an exponent is round is likely beforehand
CHANCE = 0.2  # largest chance that a number as simple lies within the errors, see `kan2.symbolic.snap`
SAME = 0.1  # share of a number within which another one must be, errors included, so as to be the same
TRIED = 2  # simple numbers for each number
LONGEST, PRECISE = 30, 1e-6  # whole number in a simple one, unless the number is known that precisely
ROOTS_OF_PI = sympy.sqrt(sympy.pi), 1 / sympy.sqrt(sympy.pi)
MOST = 12  # numbers of a formula beyond which nobody looks for simple ones


def with_simple_numbers(form: Form, fit: Fit, samples: Samples) -> tuple[Form, Fit]:
    """Returns form and fit to the rest after numbers were made simple.

    Args:
        form: with symbols for its numbers.
        fit: of it, to the rest of the rows.
        samples: all rows.
    """
    if len(form.numbers) > MOST:
        return form, fit
    refused: set[tuple[str, sympy.Expr]] = set()
    length = _length(fit, samples)
    while True:
        for symbol, options in _options(form, fit):
            ways = []
            for simple in options:
                if (symbol.name, simple) in refused:
                    continue
                trial = _replaced(form, fit, symbol, simple)
                if trial.expression.has(sympy.zoo, sympy.nan, sympy.oo) or not _is_right(trial, samples):
                    continue
                new = Fit(trial, samples.rest)
                if (its_length := _length(new, samples)) < length:
                    ways.append((its_length, trial, new))
                else:
                    refused.add((symbol.name, simple))
            if ways:
                length, form, fit = min(ways, key=lambda way: way[0])
                break
        else:
            return form, fit


def _length(fit: Fit, samples: Samples) -> float:
    error = error_of_all(fit, samples)
    if not np.isfinite(error):
        return np.inf
    long = nats([fit.expression], len(samples), len(samples.symbols), fit.precisions)
    return samples.unexplained(error) + long + samples.price(fit.expression)


def _is_right(form: Form, samples: Samples) -> bool:
    # What has a unit is as simple as its unit lets it be.
    return samples.dimensions is None or samples.dimensions.is_right(form.with_values(form.start))


def _replaced(form: Form, fit: Fit, symbol: sympy.Symbol, simple: sympy.Expr) -> Form:
    kept = [i for i, number in enumerate(form.numbers) if number != symbol]
    expression = cast(sympy.Expr, form.expression.xreplace({symbol: simple}))
    return Form(expression, tuple(form.numbers[i] for i in kept), fit.numbers[kept])


def _options(form: Form, fit: Fit) -> list[tuple[sympy.Symbol, list[sympy.Expr]]]:
    """Returns the numbers with the simple ones that each may be, the surest first."""
    exponents = {power.exp for power in form.expression.atoms(sympy.Pow)}
    errors, found = fit.errors, []
    for symbol, value, error in zip(form.numbers, fit.numbers, errors):
        if not np.isfinite(error):
            continue
        deviations = OF_EXPONENTS if symbol in exponents else DEVIATIONS
        tolerance = max(deviations * float(error), 1e-9 * abs(float(value)))
        if symbol in exponents:
            simple, off = exponent(float(value))
            options = [simple] if off <= tolerance and 2 * tolerance * int(simple.q) <= CHANCE else []
        elif abs(value) <= tolerance:
            # A number alone is the best constant, which is 0 by chance.
            options = [sympy.Integer(0)] if form.expression != symbol else []
        else:
            near = decimal_candidates(float(value), tolerance)[:TRIED]
            # Beside a logarithm, log(10) makes it a decimal one.
            likely = 2.0 if form.expression.has(sympy.log) else 1.0
            rivals = [number.rivals / (likely if number.form.has(sympy.log) else 1.0) for number in near]
            options = [one.form for one, n in zip(near, rivals) if 2 * tolerance / abs(value) * n <= CHANCE]
            options = [simple for simple in options if tolerance < PRECISE * abs(value) or _is_short(simple)]
            if 2 * tolerance / abs(value) * RIVALS_OF_CIRCLES <= CHANCE:
                near_circles = circle_numbers(float(value), tolerance)
                if not form.expression.has(sympy.exp):
                    # 0.4 is 1/sqrt(2 pi) beside a bell curve only.
                    near_circles = [one for one in near_circles if not one.has(*ROOTS_OF_PI)]
                options += [one for one in near_circles[:TRIED] if one not in options]
        for other, its, its_error in zip(form.numbers, fit.numbers, errors):
            # A number may stand for another one as well, as twice in 1/T1 - 1/T2.
            reach = DEVIATIONS * float(np.hypot(error, its_error))
            if other != symbol and symbol not in exponents and reach <= SAME * abs(value) and np.isfinite(its_error):
                options += [sign * other for sign in (1, -1) if abs(value - sign * its) <= reach]
        found.append((error / (abs(value) or 1.0), symbol, options))
    return [(symbol, options) for _, symbol, options in sorted(found, key=lambda entry: entry[0])]


def _is_short(value: sympy.Expr) -> bool:
    # 0.053 +- 0.0002 may be 1/(6 pi), and is no simpler as 53/1000. Powers of ten belong to the unit of measure.
    parts = [int(n) for rational in value.atoms(sympy.Rational) for n in (rational.p, rational.q)]
    return all(int(str(abs(n)).rstrip("0") or 0) <= LONGEST for n in parts)
