"""Shorter forms of an expression that is known to be right: what people would write.

Candidates are made by SymPy, within a limit of time, and the one of the lowest complexity is taken that gives the same
numbers at the rows of the table. Complexity is that of `kan2.laws.front.complexity`.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import sympy
from numpy import ndarray

from kan2.expressions.limits import time_limit
from kan2.laws.algebra.relations import holds
from kan2.laws.column import Table
from kan2.laws.front.complexity import complexity

SECONDS = 1.0  # of the processor, for each way
LONGEST = 120  # complexity above which nothing is tried
SAME = 1e-10  # relative difference, in the middle of the rows; the worst may be a thousand times that
ROUNDS = 3


def shortest(expression: sympy.Expr, table: Table) -> sympy.Expr:
    """Returns the shortest form that is found of an expression of the columns of a table.

    Example:
        >>> from kan2.laws.column import Column
        >>> m, v, c = sympy.symbols("m v c")
        >>> columns = tuple(Column(np.linspace(i, i + 1, 9) ** 2, s) for i, s in enumerate((m, v, c), 1))
        >>> shortest(c * m * sympy.sqrt(-1 / ((v - c) * (c + v))), Table(columns, np.ones(9)))
        c*m/sqrt(c**2 - v**2)
    """
    symbols = [column.expression for column in table.columns]
    wanted = _values(expression, symbols, table.X)
    if wanted is None or complexity(expression) > LONGEST:
        return expression
    best = expression
    # sqrt(x^2) is x where x is positive.
    positive = {c.expression: sympy.Dummy(positive=True) for c in table.columns if c.sign > 0}
    back = {dummy: symbol for symbol, dummy in positive.items()}
    roots: Any = best.xreplace(positive)
    roots = roots.xreplace(back)
    if complexity(roots) < complexity(best) and _is_same(_values(roots, symbols, table.X), wanted):
        best = roots
    for _ in range(ROUNDS):
        before = best
        # Where a is positive, a sqrt(b/a^2 - 1) is sqrt(b - a^2).
        for written in _forms(cast(sympy.Expr, best.xreplace(positive))):
            other: Any = written.xreplace(back)
            if complexity(other) < complexity(best) and _is_same(_values(other, symbols, table.X), wanted):
                best = other
        if best == before:
            break
    return best


def gives(expression: sympy.Expr, table: Table) -> bool:
    """Whether an expression of the columns of a table gives its target at all rows, see `relations.holds`."""
    found = _values(expression, [column.expression for column in table.columns], table.X)
    return found is not None and holds(found, table.y)


def _forms(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    ways: list[Callable[[Any], Any]] = [
        _with_roots_below,
        sympy.powsimp,
        sympy.cancel,
        sympy.together,
        _with_hyperbolic,
        _with_powers,
        _with_quotients,
    ]
    if not expression.has(sympy.Float):
        # SymPy finds factors of polynomials with decimals by rounding.
        ways += [sympy.factor, sympy.trigsimp]
    ways += [sympy.expand, sympy.factor_terms, sympy.logcombine, _parts(sympy.expand), _parts(sympy.together)]
    for way in ways:
        try:
            with time_limit(SECONDS):
                yield way(expression)
        except (TimeoutError, ArithmeticError, ValueError, TypeError, AttributeError, NotImplementedError):
            continue  # this one SymPy cannot do


def _parts(way: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns the way applied to what stands inside of powers and functions."""

    def applied(expression: Any) -> Any:
        if not expression.args:
            return expression
        arguments = [applied(argument) for argument in expression.args]
        if isinstance(expression, sympy.Add | sympy.Mul):
            return expression.func(*arguments)
        return expression.func(*(way(argument) for argument in arguments))

    return applied


def _with_roots_below(expression: Any) -> Any:
    """Writes sqrt(a/b) as sqrt(a)/sqrt(b), with b expanded and of the sign that its leading term does not give."""

    def root(base: Any, exponent: Any) -> Any:
        top, bottom = sympy.fraction(sympy.together(base))
        if bottom == 1 or exponent.is_Integer:
            return base**exponent
        top, bottom = sympy.expand(top), sympy.expand(bottom)
        if top.could_extract_minus_sign():
            top, bottom = -top, -bottom
        return top**exponent / bottom**exponent

    return expression.replace(sympy.Pow, root)


def _with_hyperbolic(expression: Any) -> Any:
    """Writes ratios of exponentials as hyperbolic tangents."""
    E, t = sympy.symbols("E t", positive=True, cls=sympy.Dummy)
    for power in sorted(expression.atoms(sympy.exp), key=str):
        ratio = expression.subs(power, E)
        if not ratio.has(sympy.exp):
            # exp(2 u) = (1 + tanh u) / (1 - tanh u)
            written = sympy.cancel(ratio.subs(E, (1 + t) / (1 - t)))
            if complexity(written) < complexity(ratio):
                return written.subs(t, sympy.tanh(power.args[0] / 2))
    return expression


def _with_powers(expression: Any) -> Any:
    """Writes exp(b log(a)) as a^b."""

    def power(argument: Any) -> Any:
        product = sympy.Integer(1)
        for term in sympy.Add.make_args(argument):
            logs = [factor for factor in sympy.Mul.make_args(term) if isinstance(factor, sympy.log)]
            product *= logs[0].args[0] ** (term / logs[0]) if len(logs) == 1 else sympy.exp(term)
        return product

    return expression.replace(sympy.exp, power)


def _with_quotients(expression: Any) -> Any:
    """Writes tanh(log(a/b)/2) as (a - b)/(a + b), and other functions of exponentials of logarithms."""
    kinds = (sympy.tanh, sympy.sinh, sympy.cosh, sympy.coth, sympy.exp)
    if not any(part.has(sympy.log) for part in expression.atoms(*kinds)):
        return expression
    written = expression.replace(lambda e: isinstance(e, kinds[:-1]), lambda e: e.rewrite(sympy.exp))
    return sympy.cancel(sympy.powsimp(_with_powers(sympy.expand_log(written))))


def _values(expression: Any, symbols: list[sympy.Expr], X: ndarray) -> ndarray | None:
    plain = [sympy.Dummy(f"x{i}") for i in range(len(symbols))]
    with np.errstate(all="ignore"):
        try:
            function = sympy.lambdify(plain, expression.xreplace(dict(zip(symbols, plain))), ["numpy", "scipy"])
            values = np.asarray(function(*X.T)) * np.ones(len(X))
        except (TypeError, NameError, KeyError, SyntaxError, ArithmeticError, ValueError):
            return None
    return values if np.isrealobj(values) and np.isfinite(values).all() else None


def _is_same(values: ndarray | None, wanted: ndarray) -> bool:
    if values is None:
        return False
    off = np.abs(values - wanted) / np.maximum(np.abs(wanted), 1e-6 * np.median(np.abs(wanted)) + 1e-300)
    return bool(np.median(off) <= SAME and off.max() <= 1e3 * SAME)
