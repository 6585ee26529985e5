"""The values of an expression at rows, without code made for it first.

SymPy's `lambdify` takes some 15 ms for an expression. What is evaluated once, as the candidates of a search are, is
walked through as the tree that it is; code is made once for each function of SymPy.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

WHOLE = 64  # largest whole power that is taken by multiplication


class NotPlain(Exception):
    """The expression holds more than numbers, sums, products, powers and functions."""


def walked(
    expression: sympy.Expr, symbols: tuple[sympy.Symbol, ...], X: Float[ndarray, "row column"]
) -> Float[ndarray, "row"]:
    """Returns the values of an expression at rows of a table; nan where it is not real.

    Args:
        expression: without other symbols.
        symbols: of the columns.
        X: finite numbers.

    Raises:
        NotPlain: it holds a case, a relation or the like.

    Example:
        >>> x = sympy.Symbol("x")
        >>> walked(2 * sympy.sqrt(x) + x**2, (x,), np.array([[1.0], [4.0], [-1.0]]))
        array([ 3., 20., nan])
    """
    known: dict[Any, Any] = dict(zip(symbols, X.T))
    with np.errstate(all="ignore"):
        found = np.asarray(_value(expression, known))
    return np.broadcast_to(np.asarray(found, float), (len(X),))


def _value(node: Any, known: dict[Any, Any]) -> Any:
    found = known.get(node)
    if found is None:
        found = known[node] = _computed(node, known)
    return found


def _computed(node: Any, known: dict[Any, Any]) -> Any:
    if node.is_Number or node.is_NumberSymbol:
        try:
            number = float(node)
        except OverflowError as error:
            raise NotPlain(node) from error
        if not np.isfinite(number):
            raise NotPlain(node)
        return number
    if node.is_Add:
        terms = [_value(one, known) for one in node.args]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total
    if node.is_Mul:
        total: Any = 1.0
        for one in node.args:
            total = total * _value(one, known)
        return total
    if node.is_Pow:
        return _power(node, known)
    if isinstance(node, sympy.Function) and not isinstance(node, sympy.Piecewise):
        return _code(node.func, len(node.args))(*(np.asarray(_value(one, known), float) for one in node.args))
    raise NotPlain(node)


def _power(node: Any, known: dict[Any, Any]) -> Any:
    base, exponent = np.asarray(_value(node.base, known), float), node.exp
    if exponent.is_Integer and abs(int(exponent)) <= WHOLE:
        power = base ** abs(int(exponent))
        return power if exponent > 0 else 1 / power
    if exponent.is_Rational and exponent.q == 2 and abs(exponent.p) == 1:
        root = np.sqrt(base)
        return root if exponent.p > 0 else 1 / root
    return np.power(base, _value(exponent, known))


@lru_cache(maxsize=256)
def _code(function: Any, n: int) -> Any:
    arguments = [sympy.Dummy() for _ in range(n)]
    expression = function(*arguments)
    if not isinstance(expression, function):
        raise NotPlain(expression)
    return sympy.lambdify(arguments, expression, modules=["numpy", "scipy"])
