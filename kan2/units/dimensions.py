"""Dimensions of a table: which expressions can be its law, and which numbers in them are constants with a unit.

An expression is *right* where dimensions of its floats exist with which it has the dimension of the target. Where
several choices do, floats that may be plain numbers are. What is exact stays without dimension: `x + 1` of a length x
is wrong, `x + 1.0` has a constant of 1.0 m.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import sympy

from kan2.expressions.symbols import symbol
from kan2.units import groups as pi
from kan2.units.equations import Equations, Linear, Marked, marked
from kan2.units.linear import Vector, in_span, solved

# Nats that a constant with a unit costs where a product of columns has that unit: that a law needs one is then as
# unlikely as one in a hundred.
UNNEEDED = 4.6
SAME = 1e-9  # relative difference of a number and its value in SI units


@dataclass(frozen=True)
class Constant:
    """A number of a formula that has a unit.

    Attributes:
        number: as it stands in the formula; None where that has it multiplied with the ratio of units, as of km to m.
        dimension: exponents of the base units.
        unit: its name in base units of the SI.
        value: its value in that unit.
    """

    number: sympy.Expr | None
    dimension: Vector
    unit: str
    value: float

    def __str__(self) -> str:
        if self.number is None:
            return f"a constant of {self.unit}: {self.value:.6g} in SI units"
        number = float(self.number)
        same = abs(self.value - number) <= SAME * abs(self.value)
        return f"{number:.6g} is a constant of {self.unit}" + ("" if same else f": {self.value:.6g} in SI units")


@dataclass(frozen=True)
class Dimensions:
    """The dimensions of the columns of a table and of its target.

    Attributes:
        names: of the columns.
        columns: of each column, exponents of the base units.
        target: likewise, of the target.
        base: names of the base units, such as m, kg, s.
        sizes: of each base unit of the table in the unit of that name; numbers in tables of mm and ms are lengths in
            units of 0.001 m and times in units of 0.001 s.

    Example:
        >>> length, time = (Fraction(1), Fraction(0)), (Fraction(0), Fraction(1))
        >>> fall = Dimensions(("h", "t"), (length, time), length, ("m", "s"))
        >>> h, t = sympy.symbols("h t")
        >>> fall.is_right(2 * h), fall.is_right(h + t), fall.is_right(4.9 * t**2)
        (True, False, True)
        >>> print(*fall.constants(4.9 * t**2))
        4.9 is a constant of m/s^2
    """

    names: tuple[str, ...]
    columns: tuple[Vector, ...]
    target: Vector
    base: tuple[str, ...]
    sizes: tuple[float, ...] = ()

    @cached_property
    def known(self) -> dict[sympy.Symbol, Vector]:
        """The dimensions by symbol."""
        return {symbol(name): dimension for name, dimension in zip(self.names, self.columns)}

    def of(self, expression: Any) -> Vector | None:
        """Returns the dimension of an expression whose numbers have none; None where it has none that is right."""
        equations = Equations(self.known, len(self.base))
        found = equations.of(sympy.sympify(expression))
        plain = [*equations.equal, found]
        if any(part.of for part in plain):
            raise ValueError(f"dimensions: expected the symbols {', '.join(self.names)}, got {expression}.")
        return None if any(any(part.constant) for part in equations.equal) else found.constant

    def is_right(self, expression: Any) -> bool:
        """Whether an expression can be one of the target, with numbers that are not exact as constants of any unit."""
        return _readings(self, expression) is not None

    def constants(self, expression: Any) -> tuple[Constant, ...]:
        """Returns the numbers of a right expression that need a unit, none of a wrong one."""
        reading = _readings(self, expression) or {}
        found = dict.fromkeys((number, dimension) for number, dimension in reading.values())
        return tuple(self._constant(number, dimension) for number, dimension in found)

    def repaired(self, expression: Any) -> sympy.Expr | None:
        """Returns a right form of an expression: with floats for exact numbers that need a unit, and maybe a factor.

        Returns:
            the expression itself where it is right; None where no such form is.

        Example:
            >>> fall = Dimensions(("t",), ((Fraction(1),),), (Fraction(0),), ("s",))
            >>> t = sympy.Symbol("t")
            >>> fall.repaired(sympy.exp(-t / 4)), fall.repaired(sympy.exp(t)) is None
            (exp(-0.25*t), True)
        """
        for form in _forms(expression):
            if _reading(self, marked(form)) is not None:
                return form
        for form in _forms(expression):
            found = marked(form, exact=True)
            if (reading := _reading(self, found)) is not None:
                floats = {
                    name: sympy.Float(float(v), 17) if name in reading else v for name, v in found.numbers.items()
                }
                return found.expression.xreplace(floats)
        return None

    def n_unneeded(self, expression: Any) -> int:
        """Returns how many constants of an expression have a unit that a product of columns has."""
        return sum(in_span(constant.dimension, self.columns) for constant in self.constants(expression))

    def price(self, expression: Any) -> float:
        """Returns what the constants of an expression add to its description length, in nats."""
        return UNNEEDED * self.n_unneeded(expression)

    def prefactors(self) -> tuple[Vector, ...]:
        """Returns the exponents of products of columns with the dimension of the target, simple ones first."""
        return tuple(dict.fromkeys(choice.prefactor for choice in self.choices()))

    def groups(self) -> tuple[Vector, ...]:
        """Returns the exponents of independent products of columns without dimension, the simplest choice."""
        return pi.choices(self.columns, (Fraction(0),) * len(self.base))[0].groups

    def choices(self) -> "tuple[pi.Choice, ...]":
        """Returns choices of a prefactor and of groups, simple ones first; none where no product is of the target."""
        return pi.choices(self.columns, self.target)

    def said(self, dimension: Vector) -> str:
        """Returns a dimension as the text of a unit.

        Example:
            >>> base = Dimensions((), (), (), ("m", "kg", "s"))
            >>> base.said((Fraction(3), Fraction(-1), Fraction(-2))), base.said((Fraction(0),) * 3)
            ('m^3/(kg s^2)', '1')
        """

        def power(name: str, exponent: Fraction) -> str:
            if exponent == 1:
                return name
            return f"{name}^{exponent}" if exponent.denominator == 1 else f"{name}^({exponent})"

        above = [power(name, e) for name, e in zip(self.base, dimension) if e > 0]
        below = [power(name, -e) for name, e in zip(self.base, dimension) if e < 0]
        bottom = f"({' '.join(below)})" if len(below) > 1 else "".join(below)
        return (" ".join(above) or "1") + (f"/{bottom}" if below else "")

    def _constant(self, number: sympy.Expr, dimension: Vector) -> Constant:
        size = prod(size ** float(e) for size, e in zip(self.sizes, dimension))
        return Constant(number, dimension, self.said(dimension), float(number) * size)


Reading = dict[sympy.Symbol, tuple[sympy.Expr, Vector]]


@lru_cache(maxsize=4096)
def _readings(dimensions: Dimensions, expression: Any) -> Reading | None:
    for form in _forms(expression):
        if (found := _reading(dimensions, marked(form))) is not None:
            return found
    return None


def _forms(expression: Any) -> "list[Any]":
    """Returns the expression, and where there are logarithms, that with fewer of them: log(a) - log(b) is log(a/b)."""
    if not expression.has(sympy.log):
        return [expression]

    def with_sums(form: Any, way: Callable[[Any], Any]) -> Any:
        return form.replace(lambda part: isinstance(part, sympy.Add), way)

    joined = with_sums(expression, _with_logarithms_joined)
    # log(u) + c is log(u/u0), with a constant u0 of the dimension of u.
    taken = [with_sums(form, _with_constants_in_logarithms) for form in (expression, joined)]
    return list(dict.fromkeys((expression, joined, *taken)))


def _with_logarithms_joined(total: Any) -> Any:
    alike: dict[Any, list[tuple[Any, Any]]] = {}
    others = []
    for term in total.args:
        logarithms = [factor for factor in sympy.Mul.make_args(term) if isinstance(factor, sympy.log)]
        if len(logarithms) != 1:
            others.append(term)
            continue
        number, cofactor = (term / logarithms[0]).as_coeff_Mul()
        alike.setdefault(cofactor, []).append((number, logarithms[0].args[0]))
    for cofactor, parts in alike.items():
        first = parts[0][0]
        argument = sympy.Mul(*(inside ** (number / first) for number, inside in parts))
        others.append(first * cofactor * sympy.log(argument))
    return sympy.Add(*others)


def _with_constants_in_logarithms(total: Any) -> Any:
    floats = [term for term in total.args if isinstance(term, sympy.Float)]
    for term in total.args if floats else ():
        factor, rest = term.as_independent(*term.free_symbols, as_Add=False)
        if isinstance(rest, sympy.log) and factor.is_number and factor.is_real:
            scale = sympy.Float(sympy.exp(floats[0] / factor), 17)
            if 0 < scale < sympy.oo:
                others = [other for other in total.args if other not in (floats[0], term)]
                return sympy.Add(factor * sympy.log(scale * rest.args[0]), *others)
    return total


def _reading(dimensions: Dimensions, found: Marked) -> Reading | None:
    """Returns the numbers that need a dimension, with theirs: as few as are needed. None where that does not help."""
    equations = Equations(dimensions.known, len(dimensions.base))
    target = Linear(dimensions.target, {})
    rows = [equations.of(found.expression).plus(target, Fraction(-1)), *equations.equal]
    if found.expression == 0:  # which is of every dimension
        return {}
    if any(unknown not in found.numbers for row in rows for unknown in row.of):
        raise ValueError(f"dimensions: expected the symbols {', '.join(dimensions.names)}, got {found.expression}.")
    rows = [row for row in rows if row.of or any(row.constant)]
    kept = [name for name in found.numbers if any(name in row.of for row in rows)]
    best = _solved(rows, kept)
    if best is None:
        return None
    # The least welcome ones are first tried without.
    for name in reversed(kept):
        fewer = [other for other in kept if other != name]
        if (trial := _solved(rows, fewer)) is not None:
            kept, best = fewer, trial
    return {name: (found.numbers[name], dimension) for name, dimension in zip(kept, best)}


def _solved(rows: list[Linear], unknowns: list[sympy.Symbol]) -> list[Vector] | None:
    A = [[row.of.get(name, Fraction(0)) for name in unknowns] for row in rows]
    return solved(A, [[-v for v in row.constant] for row in rows])
