"""Functions of the target that may stand on the left of a relation, each with its inverse.

A law y = h(P(x) / Q(x)) with a known h is a relation P(x) - g(y) Q(x) = 0 with g the inverse of h, linear in the
coefficients of P and Q.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import pi
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.column import Column, Table
from kan2.laws.numbers import number, simple

MOST_TERMS, ROUNDING = 6, 1e-9  # of the root of a polynomial with decimals
PARAMETER = sympy.Dummy("s")  # stands for the column in y^s
STEEPEST = 50.0  # larger targets are not put into exponentials: nothing but the largest row would count


@dataclass(frozen=True, eq=False)
class Outer:
    """A function of the target.

    Attributes:
        name: for evidence, with "y" for the target.
        values: (samples,) its values.
        inverses: gives the expressions the target may have, from that of its function.
        parameter: the column that `PARAMETER` stands for in the inverses, if there is one.
    """

    name: str
    values: Float[ndarray, "sample"]
    inverses: Callable[[sympy.Expr], Iterator[sympy.Expr]]
    parameter: Column | None = None

    @cached_property
    def size(self) -> float:
        """A power of 2 near the median magnitude: what is divided by it keeps every bit."""
        middle = float(np.median(np.abs(self.values)))
        return 2.0 ** round(np.log2(middle)) if middle > 0 and np.isfinite(middle) else 1.0


def outer_functions(y: Float[ndarray, "sample"]) -> Iterator[Outer]:
    """Yields the functions that have an inverse on the range of the target, the most usual first.

    Example:
        >>> [outer.name for outer in outer_functions(np.array([1.0, 60.0]))]
        ['y', 'y^2', 'log(y)', 'sqrt(y)']
    """
    sign = 1 if (y > 0).all() else -1 if (y < 0).all() else 0
    largest = float(np.abs(y).max())
    yield Outer("y", y, lambda e: iter([e]))
    yield Outer("y^2", y**2, square_roots)
    if sign:
        yield Outer("log(y)", np.log(np.abs(y)), lambda e: iter([sign * sympy.exp(e)]))
        yield Outer("sqrt(y)", np.sqrt(np.abs(y)), lambda e: iter([sign * e**2]))
    if largest < STEEPEST:
        yield Outer("exp(y)", np.exp(y), lambda e: iter([sympy.log(e)]))
    if largest <= pi / 2:
        yield Outer("sin(y)", np.sin(y), lambda e: iter([sympy.asin(e)]))
        yield Outer("tan(y)", np.tan(y), lambda e: iter([sympy.atan(e)]))
    if (y >= 0).all() and largest <= pi:
        yield Outer("cos(y)", np.cos(y), lambda e: iter([sympy.acos(e)]))
    if largest < 1:
        yield Outer("atanh(y)", np.arctanh(y), lambda e: iter([sympy.tanh(e)]))
    if not sign and largest < STEEPEST:
        yield Outer("sinh(y)", np.sinh(y), lambda e: iter([sympy.asinh(e)]))


def powers_of_columns(table: Table) -> Iterator[Outer]:
    """Yields y^s for the columns s of a table whose target has a sign."""
    if not table.sign:
        return
    logs = np.log(np.abs(table.y))
    for column in table.columns:
        if np.abs(u := logs * column.values).max() < STEEPEST and column.values.all():
            name = f"y^{column.expression}"
            yield Outer(name, np.exp(u), lambda e: iter([table.sign * e ** (1 / PARAMETER)]), column)


def square_roots(e: sympy.Expr) -> Iterator[sympy.Expr]:
    """Yields the two square roots; what is a square itself is taken out of the root, and may change its sign.

    Example:
        >>> x, y = sympy.symbols("x y")
        >>> next(square_roots((x**2 - 2 * x * y + y**2) * (y - 1)))
        (x - y)*sqrt(y - 1)
    """
    outside, inside = sympy.Integer(1), sympy.Integer(1)
    for part, power in zip(sympy.fraction(sympy.together(e)), (1, -1)):
        constant, factors = _factors(part)
        inside *= constant**power
        for factor, n in factors:
            outside *= factor ** (power * (n // 2))
            inside *= factor ** (power * (n % 2))
    root = outside * sympy.sqrt(inside)
    yield root
    yield -root


def _factors(part: sympy.Expr) -> tuple[sympy.Expr, list[tuple[sympy.Expr, int]]]:
    if not part.free_symbols:
        return part, []
    try:
        if not part.has(sympy.Float):
            found: Any = sympy.factor_list(part)
            return found[0], [(factor, int(n)) for factor, n in found[1]]
        # SymPy finds factors of polynomials with decimals by rounding: only what cannot be mistaken is taken out.
        polynomial = sympy.Poly(part)
    except sympy.PolynomialError:
        return sympy.Integer(1), [(part, 1)]
    lowest = [min(powers) for powers in zip(*polynomial.monoms())]
    one = polynomial.coeffs()[0]
    ratios = [simple(float(c / one)) for c in polynomial.coeffs()]
    rest = [tuple(p - low for p, low in zip(powers, lowest)) for powers in polynomial.monoms()]
    if all(ratio is not None and ratio.is_Rational for ratio in ratios):
        exact: Any = sympy.factor_list(sympy.Poly(dict(zip(rest, ratios)), *polynomial.gens).as_expr())
        constant, factors = exact[0] * one, [(factor, int(n)) for factor, n in exact[1]]
    else:
        left = dict(zip(rest, (float(c) for c in polynomial.coeffs())))
        sign = 1 if left[max(left)] > 0 else -1
        root = _root({powers: sign * c for powers, c in left.items()})
        squared = (root, 2) if root is not None else ({powers: sign * c for powers, c in left.items()}, 1)
        constant = sympy.Integer(sign)
        factors = [(_polynomial(squared[0], polynomial.gens), squared[1])]
    return constant, [*factors, *((x, int(p)) for x, p in zip(polynomial.gens, lowest) if p)]


def _polynomial(terms: dict[tuple[int, ...], float], gens: tuple[sympy.Expr, ...]) -> sympy.Expr:
    return sympy.Add(*(number(c) * sympy.Mul(*(x**p for x, p in zip(gens, powers))) for powers, c in terms.items()))


def _root(terms: dict[tuple[int, ...], float]) -> dict[tuple[int, ...], float] | None:
    """Returns the polynomial whose square has these terms, up to rounding; from the leading term down, as by hand."""
    lead = max(terms)
    if any(p % 2 for p in lead):
        return None
    half = tuple(p // 2 for p in lead)
    root = {half: float(np.sqrt(terms[lead]))}
    while len(root) <= MOST_TERMS:
        left, size = dict(terms), {powers: abs(c) for powers, c in terms.items()}
        for a, c in root.items():
            for b, d in root.items():
                powers = tuple(p + q for p, q in zip(a, b))
                left[powers] = left.get(powers, 0.0) - c * d
                size[powers] = size.get(powers, 0.0) + abs(c * d)
        open_terms = [powers for powers, c in left.items() if abs(c) > ROUNDING * size[powers]]
        if not open_terms:
            return root
        top = max(open_terms)
        powers = tuple(p - q for p, q in zip(top, half))
        if min(powers) < 0 or powers in root:
            return None
        root[powers] = left[top] / (2 * root[half])
    return None
