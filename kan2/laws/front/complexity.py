"""How long a formula is: as people count its symbols, and in nats, together with what it leaves unexplained.

*Complexity* is the number of nodes of the expression as it is written: every number, column and constant counts one,
every operation that joins two parts counts one, so does every function. x - y and x/y are as simple as x + y and x*y:
a sign and a reciprocal count nothing. Whole powers up to 4 and square roots count one like any function of the table
that costs two there; functions that cost more, such as those of Bessel, count more; log(10) and 1/(4 pi) count as pi
does. The complexity never falls when a part is put into something larger.

The *description length* of a table by a formula is that of the formula and of what it leaves: n/2 log(mse), of all n
rows, each as it is when it is left out, plus the logarithm of the size of the alphabet for every node, plus, for each
number, the logarithm of its digits where it is exact, or of its size over its standard error where it was fitted, about
1/2 log(n).

References: Rissanen, Modeling by shortest data description, Automatica 14 (1978); Udrescu et al., AI Feynman 2.0,
arXiv 2006.10782, section 2.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from math import log
from typing import Any

import sympy

from kan2 import functions
from kan2.expressions.constants import OF_CIRCLES

OPERATIONS = 8  # of the alphabet: sum, product, quotient, difference, power, exponential, logarithm, sine
FITTED = log(2 * 9 + 1)  # the least that a fitted number costs: more than an exact one of one digit
ROUNDING = 2.0**-52  # the highest precision of a number
ONE_OVER = 2  # nodes of what has nothing but 1 above the line
OF_A_CIRCLE = 1.0  # nats of a number such as 4 pi: a little less than those of 2
USUAL = 2  # what a function of the table costs there, that counts as one node here


def complexity(expression: Any) -> int:
    """Returns the number of nodes of an expression as people write it, >= 1.

    Example:
        >>> x, y = sympy.symbols("x y")
        >>> complexity(x), complexity(x / y), complexity(3 * x**2 - sympy.sin(y))
        (1, 3, 7)
    """
    if not expression.args or _is_named(expression):
        return 1
    if isinstance(expression, sympy.Add):
        return sum(map(complexity, expression.args)) + len(expression.args) - 1
    if isinstance(expression, sympy.Mul):
        factors = _factors(expression)
        numerators = sum(not _is_below_the_line(factor) for factor in factors)
        return sum(map(_of_factor, factors)) + len(factors) - 1 + (0 if numerators else ONE_OVER)
    if isinstance(expression, sympy.Pow):
        below = ONE_OVER if _is_below_the_line(expression) and expression.exp.is_Number else 0
        return below + _of_factor(expression)
    return _of_function(type(expression)) + sum(map(complexity, expression.args)) + len(expression.args) - 1


def _factors(product: Any) -> list[Any]:
    # People read 4 pi as one number.
    numbers = [factor for factor in product.args if factor.is_number]
    number = sympy.Mul(*numbers)
    named = next((one for one in (number, -number) if one in OF_CIRCLES), None)
    if named is None or len(numbers) < 2:
        return [factor for factor in product.args if factor not in (1, -1)]
    below = float(named) < 1
    return [1 / sympy.pi if below else sympy.pi, *(factor for factor in product.args if not factor.is_number)]


def _is_named(expression: Any) -> bool:
    # log(10) is a number as pi is one: log(x)/log(10) is the decimal logarithm.
    return isinstance(expression, sympy.log) and expression.args[0].is_Integer


def _is_below_the_line(factor: Any) -> bool:
    return isinstance(factor, sympy.Pow) and factor.exp.as_coeff_Mul()[0].is_negative is True


def _of_factor(factor: Any) -> int:
    if not isinstance(factor, sympy.Pow):
        return complexity(factor)
    base, exponent = complexity(factor.base), factor.exp
    if exponent == -1:
        return base
    size = abs(exponent) if exponent.is_Number else exponent
    is_short = size == sympy.Rational(1, 2) or (size.is_Integer and 2 <= int(size) <= 4)
    return base + (1 if is_short else 1 + complexity(exponent))


@cache
def _costs() -> dict[str, int]:
    x, costs = sympy.Dummy("x"), {}
    for name in functions.BUILT_IN:
        row = functions.get(name)
        try:
            form = row.sympy(x) if row.shape is None else row.sympy(x, sympy.Float(row.shape))
        except (TypeError, ValueError):
            continue
        if isinstance(form, sympy.Function):
            costs.setdefault(type(form).__name__, max(1, row.complexity // USUAL))
    return costs


def _of_function(kind: type) -> int:
    return _costs().get(kind.__name__, 1)


def nats(
    expressions: Iterable[sympy.Expr], n_rows: int, n_columns: int, precisions: Sequence[float] | None = None
) -> float:
    """Returns the length of formulas alone: nodes, digits of exact numbers, and fitted numbers.

    Args:
        expressions: one for each target.
        n_rows: of the table.
        n_columns: of the table, which the alphabet has besides operations.
        precisions: of each fitted number its standard error as a share of it, where these are known.

    Example:
        >>> x = sympy.Symbol("x")
        >>> nats([2 * x], 100, 1) < nats([17 * x], 100, 1) < nats([1.7321 * x], 100, 1)
        True
    """
    total = 0.0
    for expression in expressions:
        total += complexity(expression) * log(OPERATIONS + n_columns)
        plain, n_circles = _without_circles(expression)
        total += n_circles * OF_A_CIRCLE + sum(map(_digits, plain.atoms(sympy.Rational)))
        if precisions is None:
            total += len(expression.atoms(sympy.Float)) * (0.5 * log(max(n_rows, 2)) + FITTED)
    return total + sum(max(FITTED, log(1 + 1 / max(share, ROUNDING))) for share in precisions or ())


def _without_circles(expression: Any) -> tuple[Any, int]:
    """Returns the expression with pi in place of other numbers of circles, and how many there are."""
    products = [e for e in expression.atoms(sympy.Mul) if e.has(sympy.pi) and len(_factors(e)) < len(e.args)]
    numbers = {e: sympy.Mul(*_factors(e)) for e in products}
    return expression.xreplace(numbers), len({sympy.Mul(*(f for f in e.args if f.is_number)) for e in products})


def _digits(value: sympy.Rational) -> float:
    # Powers of ten belong to the unit of measure: 1.5e-7 is as long as 1.5.
    p, q = abs(int(value.p)), int(value.q)
    while p and p % 10 == 0:
        p //= 10
    while q % 10 == 0:
        q //= 10
    return log(1 + p) + log(q)


def description_length(error: float, floor: float, formula_nats: float, n_rows: int) -> float:
    """Returns the length of a table by a formula in nats; lower is better.

    Args:
        error: root mean square of what is left, in spreads of the target.
        floor: error that counts as none, likewise.
        formula_nats: the length of the formula, see `nats`.
        n_rows: of the table.
    """
    return n_rows * log(max(error, floor, 1e-300)) + formula_nats
