"""Numbers people would write: fractions, and their products with pi and small roots.

A number is only called simple where it agrees to nine digits; of the 4,000 fractions below some lies that close to an
arbitrary number in less than 1 of 1,000 cases.
"""

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy

CLOSE = 1e-9
LARGEST_DENOMINATOR, LARGEST_NUMERATOR = 60, 200


@cache
def _units() -> tuple[tuple[float, sympy.Expr], ...]:
    root, pi = sympy.sqrt, sympy.pi
    units = (sympy.Integer(1), pi, 1 / pi, pi**2, pi**-2, root(2), root(3), root(pi), 1 / root(pi), root(2 / pi),
             root(2 * pi), 1 / root(2 * pi))  # fmt: skip
    return tuple((float(unit), unit) for unit in units)


def simple(value: float, close: float = CLOSE) -> sympy.Expr | None:
    """Returns the simple number that a value is, or None.

    Example:
        >>> simple(0.6666666666666), simple(2 * 3.141592653589793), simple(0.123456789)
        (2/3, 2*pi, None)
    """
    if value == 0:
        return sympy.Integer(0)
    if not np.isfinite(value):
        return None
    for size, unit in _units():
        ratio = value / size
        if not 1e-3 < abs(ratio) < LARGEST_NUMERATOR:
            continue
        fraction = Fraction(ratio).limit_denominator(LARGEST_DENOMINATOR)
        if fraction and abs(fraction.numerator) < LARGEST_NUMERATOR and abs(float(fraction) / ratio - 1) < close:
            return sympy.Rational(fraction.numerator, fraction.denominator) * unit
    return None


def number(value: float, close: float = CLOSE) -> sympy.Expr:
    """Returns a value as a simple number where it is one, else as it is."""
    found = simple(value, close)
    return sympy.Float(value, 17) if found is None else found


COARSE, FINE = (1, 2, 3), (1, 2, 3, 4, 5, 6, 8)  # denominators of exponents that are known roughly, and well


@cache
def _exponents(denominators: tuple[int, ...]) -> tuple[np.ndarray, tuple[Any, ...]]:
    fractions = {Fraction(a, b) for b in denominators for a in range(-12 * b, 12 * b + 1)}
    found = sorted(f for f in fractions if abs(f) <= (12 if f.denominator == 1 else 6))
    return np.array([float(f) for f in found]), tuple(sympy.Rational(f.numerator, f.denominator) for f in found)


def exponent(value: float, denominators: tuple[int, ...] = COARSE) -> tuple[Any, float]:
    """Returns the nearest whole, half or third number, and how far it is.

    Example:
        >>> exponent(1.49)[0]
        3/2
    """
    sizes, exact = _exponents(denominators)
    i = int(np.abs(sizes - value).argmin())
    return exact[i], float(abs(sizes[i] - value))


def rough(value: float, close: float) -> Any:
    """Returns the fraction with the smallest numbers near a value that is known roughly, or None.

    Example:
        >>> rough(-0.2502, 0.03)
        -1/4
    """
    for denominator in range(1, 5):
        numerator = round(value * denominator)
        if numerator and abs(numerator) <= 12 and abs(numerator / denominator / value - 1) < close:
            return sympy.Rational(numerator, denominator)
    return None
