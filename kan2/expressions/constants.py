"""Numbers a scientist would write: integers, simple fractions, multiples of pi, e, square roots.

`exact_form` recognises a float64 that *is* such a number, up to rounding; `simple_candidates` lists those near a value,
simplest first; `decimal_candidates` lists their multiples by powers of ten too, which look alike in every unit of
measure, for snapping after a fit.

Reference: for "the simplest fraction in an interval", the Stern-Brocot tree (Graham, Knuth, Patashnik, Concrete
Mathematics, section 4.5).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import e, floor, isfinite, log, log10, pi, sqrt

import sympy

MAX_DENOMINATOR = 64
MAX_INTEGER = 10**6
DECADES = (-2, 2)  # simple numbers are sought from 0.01 to 1000 times a power of ten
MAX_RIVALS = 5000  # 981 and 1024 are meant, 4137 is what was measured

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
    # Of decades, decibels and pH, and of half-lives.
    (log(10), sympy.log(10), 5),
    (1 / log(10), 1 / sympy.log(10), 5),
    (log(2), sympy.log(2), 5),
)

# Numbers of circles, spheres, waves and bell curves. People read each as one, and each is likelier than the fractions
# near it: 1/(4 pi) is no 2/25.
OF_CIRCLES: frozenset[sympy.Expr] = frozenset(
    power
    for k in (-3, -2, -1, 0, 1, 2, 3)
    for power in (sympy.Integer(2) ** k * sympy.pi, sympy.Integer(2) ** k / sympy.pi)
) | {
    4 * sympy.pi**2, 1 / (4 * sympy.pi**2), sympy.pi**2, 4 * sympy.pi / 3, 3 / (4 * sympy.pi), 8 * sympy.pi / 3,
    3 / (8 * sympy.pi), sympy.sqrt(sympy.pi),
    1 / sympy.sqrt(sympy.pi), sympy.sqrt(2 * sympy.pi), 1 / sympy.sqrt(2 * sympy.pi), sympy.sqrt(sympy.pi) / 2,
    2 / sympy.sqrt(sympy.pi),
}  # fmt: skip
RIVALS_OF_CIRCLES = 3.0  # about so many lie within a factor of e


@dataclass(frozen=True)
class SimpleNumber:
    """A simple number.

    Attributes:
        value: as float64.
        form: exactly.
        complexity: how complex it is to write.
        rivals: about how many numbers as simple as this lie as near to it as its own size.
    """

    value: float
    form: sympy.Expr
    complexity: int
    rivals: float = 0.0


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
            # Fractions n/d are about 1/(n d) of their size apart.
            rivals = abs(fraction.numerator) * fraction.denominator * 2.0**extra
            found.append(SimpleNumber(float(exact), exact, complexity, rivals))
    yield from sorted(found, key=lambda c: c.complexity)


def decimal_candidates(value: float, tolerance: float) -> list[SimpleNumber]:
    """Returns simple numbers times powers of ten within `tolerance` of a value, those with the fewest rivals first.

    A value and a tolerance times a power of ten give the same numbers times that power.

    Args:
        value: any finite number but 0.
        tolerance: largest distance, >= 0.

    Example:
        >>> [str(c.form) for c in decimal_candidates(1.4999e-7, 1e-10)][:1]
        ['3/20000000']
    """
    if not (isfinite(value) and isfinite(tolerance) and tolerance < abs(value)):
        return []
    found: dict[float, SimpleNumber] = {}
    decade = floor(log10(abs(value)))
    for power in range(max(-300, decade - DECADES[1]), min(300, decade - DECADES[0]) + 1):
        unit = 10.0**power
        for c in simple_candidates(value / unit, tolerance / unit):
            exact = c.form * sympy.Integer(10) ** power
            number = SimpleNumber(float(exact), exact, c.complexity, c.rivals)
            best = found.get(number.value)
            if c.value and c.rivals <= MAX_RIVALS and (best is None or number.rivals < best.rivals):
                found[number.value] = number
    return sorted(found.values(), key=lambda c: (c.rivals, c.complexity))


def circle_numbers(value: float, tolerance: float) -> list[sympy.Expr]:
    """Returns the numbers of `OF_CIRCLES`, and these less than zero, within `tolerance` of a value, the nearest first.

    Example:
        >>> circle_numbers(0.08, 0.002), circle_numbers(-6.3, 0.05)
        ([1/(4*pi)], [-2*pi])
    """
    sign = -1 if value < 0 else 1
    near = [(abs(float(form) - abs(value)), form) for form in OF_CIRCLES]
    found = sorted((off, str(form), form) for off, form in near if off <= tolerance)
    return [sign * form for *_, form in found]


def _simplest_fraction(value: float, tolerance: float) -> Fraction | None:
    # The fraction of smallest denominator within the interval; None where it would be too large to be meant.
    low, high = value - tolerance, value + tolerance
    for denominator in range(1, MAX_DENOMINATOR + 1):
        numerator = floor(value * denominator + 0.5)
        if low <= numerator / denominator <= high:
            return Fraction(numerator, denominator) if abs(numerator) <= MAX_INTEGER else None
    return None
