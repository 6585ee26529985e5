"""Buckingham's theorem: a law with units is a product of powers of columns times a function of fewer products without.

Reference: Buckingham, On physically similar systems, Phys. Rev. 4, 345 (1914).
"""

from collections.abc import Iterator

import numpy as np
import sympy

from kan2.laws.column import Column, Table, product
from kan2.laws.reductions.reduction import Reduction, divided
from kan2.units.dimensions import Dimensions
from kan2.units.groups import Choice

TRIED = 3  # choices, where there are several
ALTERNATIVE = 0.05  # what each further choice adds to the score: these are looked at with algebra alone first


def group_reductions(table: Table, dimensions: Dimensions) -> Iterator[Reduction]:
    """Yields the reductions of a whole table to groups, by the simplest choices of these.

    Args:
        table: with the columns that the dimensions are of.
        dimensions: none is yielded where no product of columns has the dimension of the target.

    Example:
        >>> from fractions import Fraction
        >>> one, none = Fraction(1), Fraction(0)
        >>> columns = (Column(np.arange(1.0, 9.0), sympy.Symbol("l")), Column(np.ones(8), sympy.Symbol("w")))
        >>> lengths = Dimensions(("l", "w"), ((one,), (one,)), (one,), ("m",))
        >>> best = next(group_reductions(Table(columns, np.ones(8)), lengths))
        >>> best.factor, [column.expression for column in best.table.columns]
        (l, [w/l])
    """
    for i, choice in enumerate(dimensions.choices()[:TRIED]):
        reduction = _reduction(table, choice, ALTERNATIVE * i)
        if reduction is not None:
            yield reduction


def _reduction(table: Table, choice: Choice, score: float) -> Reduction | None:
    if not 0 < len(choice.groups) < table.n_columns:
        return None
    with np.errstate(all="ignore"):
        columns = [_power(table, group) for group in choice.groups]
        front = _power(table, choice.prefactor)
    if not all(np.isfinite(c.values).all() for c in (*columns, front)) or not front.values.all():
        return None
    told = (
        f"by its units the target is {front.expression} times a function of "
        f"{', '.join(str(column.expression) for column in columns)}"
    )
    return divided(table, columns, front if any(choice.prefactor) else None, score, told)


def _power(table: Table, powers: tuple) -> Column:
    return product(table.columns, [sympy.Rational(p.numerator, p.denominator) for p in powers])
