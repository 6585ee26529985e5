"""The search through the families, for a law without noise and under noise."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy import ndarray

from kan2.laws.algebra.relations import holds
from kan2.laws.budget import Exhausted, budget
from kan2.laws.column import Column
from kan2.laws.families.catalogue import CATALOGUE
from kan2.laws.families.fit import Curve, fits
from kan2.laws.found import Found

ROWS = 2000  # that curves are fitted to
ROWS_A_NUMBER = 2  # that a curve without noise must have, see `kan2.laws.front.noise`
CLOSE = 1e-9  # share of the spread that is left of a law
MOST, NATS = 10, 3.0  # curves of a noisy table, and what a number costs besides its digits
ROWS_A_NUMBER_NOISY = 3  # and one with noise, so as to be tried
WORK = 6.0  # see `kan2.laws.budget`


def curves(x: ndarray, y: ndarray, weight: ndarray | None = None) -> Iterator[Curve]:
    """Yields the best member of each family, with one part and with more.

    Args:
        x: (row,) finite numbers.
        y: (row,) finite numbers.
        weight: (row,) of squares of errors of the target; by default all are alike.
    """
    weight = np.ones(len(x)) if weight is None else weight
    order = np.argsort(x, kind="stable")
    if len(order) > ROWS:
        order = order[np.linspace(0, len(order) - 1, ROWS).astype(int)]
    with np.errstate(all="ignore"):
        for family in CATALOGUE:
            with suppress(np.linalg.LinAlgError):  # some shape numbers overflow
                yield from fits(family, x[order], y[order], weight[order])


def best_curves(x: ndarray, y: ndarray, weight: ndarray, n: int = MOST) -> list[Curve]:
    """Returns members of different families, with as many numbers as they are worth, the shortest description first.

    Args:
        x: (row,) finite numbers.
        y: (row,) finite numbers.
        weight: (row,) of squares of errors of the target.
        n: how many at most.
    """
    sign = 1 if y[0] > 0 else -1
    of_number = 0.5 * np.log(len(x)) + NATS
    found = []
    with suppress(Exhausted), np.errstate(all="ignore"):
        for curve in curves(x, y, weight):
            left = float(np.average((curve.at(x, sign) - y) ** 2, weights=weight))
            if len(x) < ROWS_A_NUMBER_NOISY * curve.n_numbers or not curve.is_told_by(x):
                continue
            if np.isfinite(left) and not curve.cancels(x):
                found.append((len(x) / 2 * np.log(max(left, 1e-300)) + of_number * curve.n_numbers, curve))
    # Of equal ones that of the simpler family: an oscillation that is not damped is an oscillation.
    found.sort(key=lambda entry: (round(entry[0], 3), entry[1].family.n_shapes))
    return [curve for _, curve in found[:n]]


def law_of_a_family(column: Column, y: ndarray) -> Found | None:
    """Returns the law of a column that is a member of a family to rounding, or None.

    Example:
        >>> import sympy
        >>> t = np.linspace(0, 5, 60)
        >>> column = Column(t, sympy.Symbol("t"))
        >>> law_of_a_family(column, 2 * np.exp(-t / 2) * np.cos(3 * t)).expression
        2*exp(-t/2)*cos(3*t)
    """
    sign = 1 if y[0] > 0 else -1
    with budget(WORK):
        for curve in curves(column.values, y):
            if len(y) <= ROWS_A_NUMBER * curve.n_numbers or curve.share > CLOSE:
                continue
            expression = curve.of(column.expression, sign)
            if holds(curve.at(column.values, sign), y) and curve.is_told_by(column.values):
                return Found(expression, (f"{curve.name} of {column.expression}",))
    return None
