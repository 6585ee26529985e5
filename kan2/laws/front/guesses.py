"""Formulas that a user guesses, with constants that are not known: fitted from several starts.

A constant may have any unit of measure, so that starts are drawn around 1 and around the sizes of columns and target,
and their ratios.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import sympy

from kan2.laws.front.approximations import Approximation
from kan2.laws.front.polish import Fit, Form
from kan2.laws.samples import Samples

STARTS = 24
DECADES = 1.0  # around a size


def fitted_guesses(guesses: Sequence[sympy.Expr], samples: Samples, seed: int) -> Iterator[Approximation]:
    """Yields guesses with their constants fitted to the rows.

    Args:
        guesses: symbols that are no columns are constants.
        samples: the rows; all are used.
        seed: of the starts.
    """
    for guess in guesses:
        told = f"a guess: {guess}"
        floats = Form.of(guess)
        constants = [s for s in floats.expression.free_symbols if isinstance(s, sympy.Symbol)]
        constants = sorted(set(constants) - {*samples.symbols, *floats.numbers}, key=str)
        if not constants:
            yield Approximation(guess, told, False)
            continue
        form = Form(floats.expression, (*constants, *floats.numbers), np.r_[np.ones(len(constants)), floats.start])
        best = None
        for start in _starts(samples, len(constants), seed):
            fit = Fit(form, samples, np.r_[start, floats.start])
            if np.isfinite(fit.size) and (best is None or fit.size < best.size):
                best = fit
            if best is not None and best.size <= (samples.floor * samples.spread) ** 2:
                break
        if best is not None:
            yield Approximation(best.expression, told, True)


def _starts(samples: Samples, n: int, seed: int) -> Iterator[np.ndarray]:
    sizes = [float(np.median(np.abs(column))) for column in (*samples.X.T, samples.y)]
    sizes = [size for size in sizes if size > 0]
    sizes = [1.0, *sizes, *(1 / size for size in sizes), *(sizes[-1] / size for size in sizes[:-1])]
    generator = np.random.default_rng(seed)
    yield np.ones(n)
    for i in range(STARTS):
        signs = np.where(generator.random(n) < (0.0 if i < STARTS // 2 else 0.5), -1.0, 1.0)
        yield signs * generator.choice(sizes, n) * 10 ** generator.uniform(-DECADES, DECADES, n)
