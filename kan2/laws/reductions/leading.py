"""A leading term, and what is left of the target beside it.

Where a product of powers is nearly all of the target, a network sees nothing else. Divided by that product and without
its leading term, the target is a law of its own, as plain as any other.
"""

import numpy as np

from kan2.laws.column import Table, product
from kan2.laws.numbers import exponent, rough
from kan2.laws.reductions.reduction import Reduction

SMALL = 0.05  # largest part of the target beside the leading term, in the middle of the rows
EXACT = 1e-7  # smaller ones are rounding, or a law that linear algebra sees
NEAR = 0.02  # how far exponents may be from whole and half numbers
ROUNDS = 20


def leading_reductions(table: Table) -> list[Reduction]:
    """Returns the reduction to what is left beside a leading product of powers, if there is one.

    Example:
        >>> import sympy
        >>> from kan2.laws.column import Column
        >>> x = np.linspace(1, 2, 50)
        >>> columns = (Column(x, sympy.Symbol("x")), Column(x[::-1].copy(), sympy.Symbol("z")))
        >>> (found,) = leading_reductions(Table(columns, 2 * x * x[::-1] * (1 + 1e-5 * x**5 / x[::-1])))
        >>> found.factor, found.offset
        (2*x*z, 2*x*z)
    """
    if not (table.y.all() and table.X.all()) or len(table) < 3 * table.n_columns + 3:
        return []
    A = np.column_stack([np.log(np.abs(table.X)), np.ones(len(table))])
    b = np.log(np.abs(table.y))
    weight, c, error = np.ones(len(b)), np.zeros(A.shape[1]), b
    for _ in range(ROUNDS):
        # The term that is left is no noise: it hardly counts where it is small.
        c = np.linalg.lstsq(A * weight[:, None], b * weight, rcond=None)[0]
        error = np.abs(A @ c - b)
        weight = 1 / np.maximum(error, 0.1 * np.median(error) + 1e-12)
    if not EXACT < np.median(error) < SMALL:
        return []
    powers, off = zip(*map(exponent, c[:-1]))
    if max(off) > NEAR or not any(powers):
        return []
    front = product(table.columns, list(powers))
    ratio = table.y / front.values
    coefficient = rough(float(np.median(ratio)), SMALL)
    if coefficient is None:
        return []
    rest = ratio / float(coefficient) - 1
    factor = coefficient * front.expression
    told = f"the target is {factor} up to {np.median(np.abs(rest)):.1e}; the rest is looked at alone"
    return [Reduction(0.0, Table(table.columns, rest), factor, told, offset=factor)]
