"""The equations that an expression sets up for the dimensions of its numbers.

A dimension is a vector of exponents of base units. Columns have theirs, exact numbers and pi have none, and each float
has an unknown one, at each place where it stands. Terms of a sum agree, exponents and arguments of functions have none:
that is a linear system for the unknown vectors, see `kan2.units.dimensions`.

Reference: Kennedy, Relational parametricity and units of measure, POPL (1997).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy

from kan2.units.linear import Vector

DENOMINATOR = 1000  # of exponents that were fitted: m^0.743 is told from m^0.744


@dataclass(frozen=True)
class Linear:
    """The dimension of a part: a vector, and multiples of unknown ones."""

    constant: Vector
    of: Mapping[sympy.Symbol, Fraction]

    def plus(self, other: "Linear", times: Fraction = Fraction(1)) -> "Linear":
        """Returns the dimension of a product with a power of another part."""
        of = dict(self.of)
        for unknown, share in other.of.items():
            of[unknown] = of.get(unknown, Fraction(0)) + times * share
        constant = tuple(a + times * b for a, b in zip(self.constant, other.constant))
        return Linear(constant, {unknown: share for unknown, share in of.items() if share})


@dataclass
class Equations:
    """What must have no dimension for an expression to be right.

    Args:
        known: the dimensions of columns, by symbol.
        n_base: number of base units.

    Attributes:
        equal: dimensions that must be none.
        parts: where each of them comes from, a sum or a function.
    """

    known: Mapping[sympy.Symbol, Vector]
    n_base: int
    equal: list[Linear] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)

    @property
    def nothing(self) -> Linear:
        """No dimension."""
        return Linear((Fraction(0),) * self.n_base, {})

    def of(self, part: Any) -> Linear:
        """Returns the dimension of a part of an expression, and sets up what follows from it."""
        if isinstance(part, sympy.Symbol):
            if part in self.known:
                return Linear(self.known[part], {})
            return Linear(self.nothing.constant, {part: Fraction(1)})
        if part.is_number:
            return self.nothing
        if isinstance(part, sympy.Mul):
            found = self.nothing
            for factor in part.args:
                found = found.plus(self.of(factor))
            return found
        if isinstance(part, sympy.Pow):
            return self._power(part)
        if isinstance(part, sympy.Add | sympy.Max | sympy.Min | sympy.Abs):
            return self._agreeing(part, part.args)
        if isinstance(part, sympy.atan2):
            self._agreeing(part, part.args)
        elif isinstance(part, sympy.sign | sympy.Heaviside):
            self.of(part.args[0])
        elif isinstance(part, sympy.Piecewise):
            pieces: Any = part.args
            for _, condition in pieces:
                for relation in condition.atoms(sympy.Rel):
                    self._agreeing(relation, relation.args)
            return self._agreeing(part, [value for value, _ in pieces])
        else:
            for argument in part.args:
                self._add(part, self.of(argument))
        return self.nothing

    def _power(self, part: Any) -> Linear:
        base = self.of(part.base)
        if part.exp.is_Rational:
            return self.nothing.plus(base, Fraction(int(part.exp.p), int(part.exp.q)))
        if part.exp.is_number and part.exp.is_real:
            return self.nothing.plus(base, Fraction(float(part.exp)).limit_denominator(DENOMINATOR))
        self._add(part, base, self.of(part.exp))
        return self.nothing

    def _add(self, part: Any, *equal: Linear) -> None:
        self.equal += equal
        self.parts += [part] * len(equal)

    def _agreeing(self, whole: Any, parts: Any) -> Linear:
        # Zero is of every dimension.
        found = [self.of(part) for part in parts if part != 0] or [self.nothing]
        self._add(whole, *(other.plus(found[0], Fraction(-1)) for other in found[1:]))
        return found[0]


@dataclass(frozen=True)
class Marked:
    """An expression with a symbol at each place of a number that may have a dimension.

    Attributes:
        expression: with the symbols.
        numbers: what stands there, in the order in which a dimension is the more welcome.
    """

    expression: Any
    numbers: Mapping[sympy.Symbol, sympy.Expr]


def marked(expression: Any, exact: bool = False) -> Marked:
    """Marks the floats of an expression; with `exact` also its exact factors and terms, and a factor of all of it.

    Exponents have no dimension and stay.
    """
    floats: dict[sympy.Symbol, sympy.Expr] = {}
    fractions: dict[sympy.Symbol, sympy.Expr] = {}

    def mark(part: Any, is_term: bool) -> Any:
        if isinstance(part, sympy.Float):
            floats[name := sympy.Dummy("c", real=True)] = part
            return name
        if exact and is_term and isinstance(part, sympy.Rational) and part not in (0, -1):
            fractions[name := sympy.Dummy("q", real=True)] = part
            return name
        if isinstance(part, sympy.Pow) and part.exp.is_number:
            return sympy.Pow(mark(part.base, False), part.exp)
        if not part.args or not isinstance(part, sympy.Expr) or isinstance(part, sympy.Piecewise):
            return part
        return part.func(*(mark(argument, isinstance(part, sympy.Add | sympy.Mul)) for argument in part.args))

    found = mark(expression, True)
    if not exact:
        return Marked(found, floats)
    whole = sympy.Dummy("w", real=True)
    return Marked(whole * found, {**floats, **fractions, whole: sympy.Integer(1)})
