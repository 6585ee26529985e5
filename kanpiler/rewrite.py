"""Exact rules that turn what has no edge of its own into sums, products and functions that have one.

Every rule takes the already rewritten arguments of one SymPy function and returns an equal real expression:
max(x, y) = (x + y + |x - y|)/2, x**y = exp(y log x), mod(x, m) = x - m floor(x/m), and so on. *Indicators* are step
functions that are 1 where a condition holds and 0 elsewhere; Piecewise becomes a sum of branches times indicators.

Reference: https://dlmf.nist.gov, chapters 4 and 5.
"""

from collections.abc import Callable
from typing import Any

import sympy
from sympy import Abs, Integer, Rational, atan, cos, exp, floor, gamma, log, pi, polygamma, sin, sqrt

from kanpiler.errors import UnsupportedExpression
from kanpiler.shared import MAX_OPERATIONS, share

Rule = Callable[..., Any]
Heaviside: Any = sympy.Heaviside


def power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """Writes a power with a symbolic exponent as an exponential; its base must be positive."""
    if exponent.is_number or base == sympy.E:
        return base**exponent
    return exp(exponent * log(base), evaluate=not base.is_number)


def maximum(*args: sympy.Expr) -> sympy.Expr:
    """Writes the maximum with absolute values, as a balanced tree."""
    return _balanced(lambda x, y: (x + y + Abs(x - y)) / 2, args, 0 if len(args) > 4 else MAX_OPERATIONS)


def minimum(*args: sympy.Expr) -> sympy.Expr:
    """Writes the minimum with absolute values, as a balanced tree."""
    return _balanced(lambda x, y: (x + y - Abs(x - y)) / 2, args, 0 if len(args) > 4 else MAX_OPERATIONS)


def _balanced(join: Callable[[Any, Any], Any], args: tuple[Any, ...], largest: int) -> Any:
    if len(args) == 1:
        return args[0]
    half = len(args) // 2
    # Each side is mentioned twice: what is large is computed once and shared.
    return join(*(share(_balanced(join, part, largest), largest) for part in (args[:half], args[half:])))


def modulo(x: sympy.Expr, m: sympy.Expr) -> sympy.Expr:
    """Writes the remainder with the sign of the divisor."""
    return x - m * floor(x / m)


def angle(y: sympy.Expr, x: sympy.Expr) -> sympy.Expr:
    """Writes atan2 so that it is right in all quadrants and on the negative x axis."""
    if x.is_positive:
        return atan(y / x)
    if x.has(Heaviside, sympy.floor, sympy.sign, sympy.Abs):
        # x may be zero on more than a line, where y/x has an infinity of the wrong sign.
        return (2 * Heaviside(y, 1) - 1) * (pi / 2 - atan(x / sympy.Abs(y)))
    return atan(y / x) + pi * Heaviside(-x, 0) * (2 * Heaviside(y, 1) - 1)


def beta(x: sympy.Expr, y: sympy.Expr) -> sympy.Expr:
    """Writes the beta function with gamma functions."""
    return gamma(x) * gamma(y) / gamma(x + y)


def binomial(n: sympy.Expr, k: sympy.Expr) -> sympy.Expr:
    """Writes the binomial coefficient with gamma functions, or as a polynomial for a whole number k."""
    if k.is_Integer and 0 <= k <= 20:
        return sympy.Mul(*((n - j) for j in range(int(k)))) / sympy.factorial(k)
    return gamma(n + 1) / (gamma(k + 1) * gamma(n - k + 1))


def hurwitz_zeta(s: sympy.Expr, a: sympy.Expr = sympy.S.One) -> sympy.Expr:
    """Writes the Hurwitz zeta function of a whole order with polygamma."""
    if a == 1:
        return sympy.zeta(s)
    if s.is_Integer and s > 1:
        return (-1) ** int(s) * polygamma(s - 1, a) / sympy.factorial(s - 1)
    raise UnsupportedExpression(f"compile: zeta({s}, {a}) is not a function of one variable. Give a whole order s > 1.")


def spherical_bessel(function: Any) -> Rule:
    """Makes the rule for spherical Bessel functions whose order is not a whole number."""
    cylindrical = {sympy.jn: sympy.besselj, sympy.yn: sympy.bessely}[function]

    def rule(order: Any, x: Any) -> Any:
        if order.is_Integer and order >= 0:
            return function(order, x)
        return sqrt(pi / 2) * cylindrical(order + Rational(1, 2), x) / sqrt(x)

    return rule


def chebyshev(first_kind: bool) -> Rule:
    """Makes the rule for Chebyshev polynomials whose order is not a whole number; they need |x| < 1."""
    if first_kind:
        return lambda n, x: cos(n * sympy.acos(x))
    return lambda n, x: sin((n + 1) * sympy.acos(x)) / sqrt(1 - x**2)


RULES: dict[Any, Rule] = {
    sympy.Pow: power,
    sympy.Max: maximum,
    sympy.Min: minimum,
    sympy.Mod: modulo,
    sympy.atan2: angle,
    sympy.beta: beta,
    sympy.binomial: binomial,
    sympy.factorial: lambda n: gamma(n + 1),
    sympy.digamma: lambda x: polygamma(0, x),
    sympy.zeta: hurwitz_zeta,
    sympy.jn: spherical_bessel(sympy.jn),
    sympy.yn: spherical_bessel(sympy.yn),
    sympy.chebyshevt: chebyshev(True),
    sympy.chebyshevu: chebyshev(False),
    sympy.frac: lambda x: x - floor(x),
    sympy.LambertW: lambda x, k=sympy.S.Zero: sympy.LambertW(x, k),
    sympy.erf2: lambda x, y: sympy.erf(y) - sympy.erf(x),
}


def indicator(condition: Any, visit: Callable[[Any], Any]) -> Any:
    """Builds the step function that is 1 where a condition holds.

    Args:
        condition: a relation or a Boolean combination of relations.
        visit: rewrites the two sides of a relation.

    Raises:
        UnsupportedExpression: the condition is of another kind.
    """
    if condition == sympy.true:
        return Integer(1)
    if condition == sympy.false:
        return Integer(0)
    if isinstance(condition, sympy.Not):
        return 1 - indicator(condition.args[0], visit)
    if isinstance(condition, sympy.And):
        return sympy.Mul(*(indicator(part, visit) for part in condition.args))
    if isinstance(condition, sympy.Or):
        return 1 - sympy.Mul(*(1 - indicator(part, visit) for part in condition.args))
    if isinstance(condition, sympy.core.relational.Relational):
        left: Any = condition.lhs
        difference = visit(left - condition.rhs)
        if isinstance(condition, sympy.StrictGreaterThan):
            return Heaviside(difference, 0)
        if isinstance(condition, sympy.GreaterThan):
            return Heaviside(difference, 1)
        if isinstance(condition, sympy.StrictLessThan):
            return Heaviside(-difference, 0)
        if isinstance(condition, sympy.LessThan):
            return Heaviside(-difference, 1)
        same = Heaviside(difference, 1) * Heaviside(-difference, 1)
        return same if isinstance(condition, sympy.Equality) else 1 - same
    raise UnsupportedExpression(f"compile: expected a comparison as condition, got {condition}.")


def piecewise(
    expression: sympy.Piecewise, visit: Callable[[Any], Any], safe_point: Callable[[Any, bool], dict[Any, Any]]
) -> Any:
    """Writes Piecewise as a sum of branches times indicators.

    A branch that is not finite where its condition fails would spoil the sum, since 0 * inf is not a number. Its
    variables are replaced by x I + x0 (1 - I), which is x where the condition holds (I = 1), and elsewhere a point x0
    at which the branch is finite.

    Args:
        expression: the Piecewise.
        visit: rewrites a part.
        safe_point: finds a point, symbol -> number, at which a branch is finite; empty where it always is. Its second
            argument says that the branch may be undefined at single points, which samples do not hit.
    """
    total, rest = Integer(0), Integer(1)
    branches: Any = expression.args
    for value, condition in branches:
        here = indicator(condition, visit)
        step = rest * here
        # The opposite step, not 1 - step: adding and subtracting a large branch would drown a small one.
        rest = rest * indicator(sympy.Not(condition), visit)
        if step == 0:
            continue
        is_pointed = condition not in (True, False) and condition.has(sympy.Eq, sympy.Ne)
        if step != 1 and (point := safe_point(value, bool(is_pointed))):
            moved = {s: s * step + point[s] * (1 - step) for s in value.free_symbols}
            value = value.subs(moved, simultaneous=True)
        total += visit(value) * step
        if rest == 0:
            break
    if rest != 0:
        raise UnsupportedExpression(
            f"compile: {expression} has no value where none of its conditions holds. End it with (value, True)."
        )
    return total
