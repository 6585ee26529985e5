"""Numbers a scientist would write: integers, simple fractions, multiples of pi, e, square roots.

`exact_form` recognises a float64 that *is* such a number, up to rounding; `simple_candidates` lists those near a value,
simplest first, for snapping after a fit.

Reference: for "the simplest fraction in an interval", the Stern-Brocot tree (Graham, Knuth, Patashnik, Concrete
Mathematics, section 4.5).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import e, floor, isfinite, pi, sqrt

import sympy

MAX_DENOMINATOR = 64
MAX_INTEGER = 10**6

# (value, SymPy form, how much more complex a multiple of it is than a plain fraction)
_UNITS: tuple[tuple[float, sympy.Expr, int], ...] = (
    (1.0, sympy.Integer(1), 0),
    (pi, sympy.pi, 2),
    (1 / pi, 1 / sympy.pi, 4),
    (e, sympy.E, 4),
    (sqrt(2), sympy.sqrt(2), 3),
    (sqrt(3), sympy.sqrt(3), 4),
    (sqrt(5), sympy.sqrt(5), 5),
    (sqrt(pi), sympy.sqrt(sympy.pi), 5),
    (sqrt(2 * pi), sympy.sqrt(2 * sympy.pi), 6),
    (pi**2, sympy.pi**2, 5),
)


@dataclass(frozen=True)
class SimpleNumber:
    """A simple number: its float64 value, its exact form, and how complex it is to write."""

    value: float
    form: sympy.Expr
    complexity: int


@lru_cache(maxsize=4096)
def exact_form(value: float) -> sympy.Expr:
    """Returns the simple number that equals `value` up to rounding, or a SymPy Float.

    Example:
        >>> exact_form(1.5), exact_form(-3.141592653589793)
        (3/2, -pi)
    """
    if not isfinite(value):
        return sympy.Float(value)
    tolerance = 4 * 2.0**-52 * abs(value)
    for candidate in simple_candidates(value, tolerance):
        return candidate.form
    return sympy.Float(value)


def simple_candidates(value: float, tolerance: float, max_complexity: int = 40) -> Iterator[SimpleNumber]:
    """Yields simple numbers within `tolerance` of a value, simplest first.

    Args:
        value: any finite number.
        tolerance: largest distance, >= 0.
        max_complexity: numbers more complex than this are left out; a fraction costs the bits of its parts.

    Example:
        >>> [str(c.form) for c in simple_candidates(1.4985, 0.003)][:1]
        ['3/2']
    """
    found: list[SimpleNumber] = []
    if not (isfinite(value) and abs(value) < 1e15 and isfinite(tolerance)):
        return
    if abs(value) <= tolerance:
        found.append(SimpleNumber(0.0, sympy.Integer(0), 0))
    for unit, form, extra in _UNITS:
        fraction = _simplest_fraction(value / unit, tolerance / unit)
        if fraction is None or (fraction == 0):
            continue
        # A denominator beside a constant such as pi is kept small: 22 pi/63 is not a number anyone means.
        if extra and (fraction.denominator > 12 or abs(fraction.numerator) > 12):
            continue
        complexity = abs(fraction.numerator).bit_length() + 2 * (fraction.denominator.bit_length() - 1) + extra
        exact = sympy.Rational(fraction.numerator, fraction.denominator) * form
        if complexity <= max_complexity:
            found.append(SimpleNumber(float(exact), exact, complexity))
    yield from sorted(found, key=lambda c: c.complexity)


def _simplest_fraction(value: float, tolerance: float) -> Fraction | None:
    # The fraction of smallest denominator within the interval; None where it would be too large to be meant.
    low, high = value - tolerance, value + tolerance
    for denominator in range(1, MAX_DENOMINATOR + 1):
        numerator = floor(value * denominator + 0.5)
        if low <= numerator / denominator <= high:
            return Fraction(numerator, denominator) if abs(numerator) <= MAX_INTEGER else None
    return None
