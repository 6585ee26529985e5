"""Products of powers, by regression of logarithms."""

from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from kan2.laws.column import Table, product
from kan2.laws.numbers import number

HOLDS = 1e-7  # largest error of the logarithm that rounding explains
LARGEST_DENOMINATOR = 12


def power_law(table: Table) -> sympy.Expr | None:
    """Returns the product of powers that the target is, or None; the signs must follow as well.

    Example:
        >>> from kan2.laws.column import Column
        >>> x = np.array([1.0, 2.0, 3.0, 5.0])
        >>> power_law(Table((Column(x, sympy.Symbol("x")),), 3 * x**1.5))
        3*x**(3/2)
    """
    if not (table.y.all() and table.X.all()) or len(table) < table.n_columns + 2:
        return None
    A = np.column_stack([np.log(np.abs(table.X)), np.ones(len(table))])
    b = np.log(np.abs(table.y))
    c = np.linalg.lstsq(A, b, rcond=None)[0]
    if np.abs(A @ c - b).max() > HOLDS * max(1.0, np.abs(b).max() * 1e-2):
        return None
    exact = [Fraction(float(v)).limit_denominator(LARGEST_DENOMINATOR) for v in c[:-1]]
    powers: list[Any] = [
        sympy.Rational(f.numerator, f.denominator) if abs(float(f) - v) < 1e-6 else sympy.Float(v, 17)
        for f, v in zip(exact, c)
    ]
    found = product(table.columns, powers)
    ratio = table.y / found.values
    middle = float(np.median(ratio))
    if np.abs(ratio / middle - 1).max() > HOLDS:
        return None
    return number(middle) * found.expression
