"""Units as people write them, read by pint: dimensions of columns, and factors that make them one system of units.

The numbers of a table stay in its units wherever these go together: metres, seconds and m/s, or mm, ms and mm/ms. A
column that does not go with those before it, km beside m, has a *ratio*, here 1000, by which it is multiplied inside,
and which stands in the law that comes out. So exact numbers of laws are without units, whatever the table is in.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import log
from typing import Any

import numpy as np
import sympy
from numpy import ndarray

from kan2.errors import UnitError, unknown_name
from kan2.expressions.symbols import symbol
from kan2.tables.headers import name_and_unit
from kan2.units.dimensions import Dimensions
from kan2.units.linear import Vector, in_span, solved

WHERE = "discover"
EXAMPLE = 'units={"v": "m/s", "T": "K", "n": "1"}'
HEADERS = "headers"
PLAIN = ("", "1", "-", "dimensionless")
SI = {
    "[length]": "m", "[mass]": "kg", "[time]": "s", "[current]": "A", "[temperature]": "K", "[substance]": "mol",
    "[luminosity]": "cd",
}  # fmt: skip
# What tables mean by these, and pint does not.
OTHERWISE = {"AU": "astronomical_unit", "ppb": "10**-9", "Å": "angstrom"}
LONGEST = 80  # characters of a unit
LARGEST = 10**9  # numerator and denominator of a ratio that is written as a fraction
CLOSE = 1e-20  # relative difference within which a ratio is that fraction: pint has pi to fifty digits


@dataclass(frozen=True)
class Unit:
    """A unit in base units: exponents by the name of the base unit, and how many of these it is."""

    text: str
    powers: tuple[tuple[str, Fraction], ...]
    size: Fraction


@dataclass(frozen=True)
class Units:
    """The units of a table.

    Attributes:
        texts: the units by name of the column, as they were written; the last is that of the target.
        dimensions: what they leave of laws.
        ratios: of each column, what its numbers are multiplied with inside; those of the target stay.
    """

    texts: Mapping[str, str]
    dimensions: Dimensions
    ratios: tuple[sympy.Expr, ...]

    @property
    def is_coherent(self) -> bool:
        """Whether no number is changed inside."""
        return all(ratio == 1 for ratio in self.ratios)

    @cached_property
    def _columns(self) -> dict[sympy.Symbol, sympy.Expr]:
        return {symbol(name): ratio for name, ratio in zip(self.dimensions.names, self.ratios)}

    def columns_inside(self, X: ndarray) -> ndarray:
        """Returns (row, column) numbers as they are inside."""
        return X * np.array([float(ratio) for ratio in self.ratios])

    def columns_outside(self, X: ndarray) -> ndarray:
        """Returns (row, column) numbers inside as they are in the table."""
        return X / np.array([float(ratio) for ratio in self.ratios])

    def inside(self, expression: Any) -> Any:
        """Returns an expression of the table's numbers as one of those inside."""
        if self.is_coherent:
            return expression
        return expression.xreplace({name: name / ratio for name, ratio in self._columns.items()})

    def outside(self, expression: Any) -> Any:
        """Returns an expression of the numbers inside as one of those of the table."""
        if self.is_coherent:
            return expression
        return expression.xreplace({name: name * ratio for name, ratio in self._columns.items()})


def units_of(
    given: Any, names: Sequence[str], target: str, known: Mapping[str, str], others: Sequence[str] = ()
) -> Units:
    """Returns the units of a table.

    Args:
        given: units by name of the column, or True or "headers" for those that the table has.
        names: of the columns.
        target: its name.
        known: units that the table came with, by name.
        others: columns that the law is not about; they may have units.

    Raises:
        UnitError: a column is without a unit, or one cannot be read or is no multiple of base units; pint is missing.
        UnknownNameError: a unit is of a column that is not there.
    """
    wanted = [*names, target]
    if given is True or given == HEADERS:
        texts = {name: found for name in wanted if (found := known.get(name) or name_and_unit(name)[1])}
    elif isinstance(given, Mapping):
        for name in given:
            if name not in (*wanted, *others):
                raise unknown_name(f"{WHERE}: units", "column", name, wanted)
        texts = dict(given)
    else:
        raise UnitError(
            f'{WHERE}: expected units as a mapping from columns to units, or "headers" for those in the names of the '
            f"table, got {given!r}. Pass {EXAMPLE}."
        )
    if missing := [name for name in wanted if name not in texts]:
        where = "in a header" if given is True or given == HEADERS else "in units="
        raise UnitError(
            f'{WHERE}: expected a unit {where} for every column and the target, "1" for numbers without, got none for '
            f"{', '.join(missing)}. Pass {EXAMPLE}."
        )
    return _together({name: unit_of(texts[name], name) for name in wanted}, target)


def unit_of(text: Any, name: str) -> Unit:
    """Reads the unit of a column.

    Raises:
        UnitError: it cannot be read, has an offset as degrees Celsius do, or pint is missing.

    Example:
        >>> unit_of("km/h", "v").powers, unit_of("cm-1", "k").size
        ((('m', Fraction(1, 1)), ('s', Fraction(-1, 1))), Fraction(100, 1))
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise _unreadable(text, name)
    if text.strip() in PLAIN:
        return Unit(text, (), Fraction(1))
    registry = _registry()
    for written in _ways(text):
        try:
            quantity = registry.Quantity(Fraction(1), "") * registry.parse_expression(written)
            quantity = registry.Quantity(Fraction(quantity.magnitude), quantity.units)
        except Exception as failure:  # pint raises errors of Python's tokenizer and arithmetic too
            if re.match("Offset|Logarithmic", type(failure).__name__):
                raise _with_offset(text, name) from failure
            continue
        try:
            size = quantity.to_base_units().magnitude
            origin = registry.Quantity(Fraction(0), quantity.units).to_base_units().magnitude
            found: Any = quantity.dimensionality
            powers = tuple((SI.get(base) or base.strip("[]"), Fraction(p)) for base, p in found.items())
        except Exception as failure:
            raise _unreadable(text, name) from failure
        if origin != 0:
            raise _with_offset(text, name)
        if not size > 0:
            raise _unreadable(text, name)
        return Unit(text, tuple(sorted(powers)), Fraction(size))
    raise _unreadable(text, name)


def _ways(text: str) -> list[str]:
    """Returns the ways to write a unit that pint may know: m s-1 as m*s**-1, and symbols that it takes for others."""
    for symbol_, name in OTHERWISE.items():
        text = re.sub(rf"(?<!\w){symbol_}(?!\w)", name, text)
    plain = text.replace("−", "-").replace("⋅", "*").replace("×", "*")
    return [plain, re.sub(r"(?<![\w.])([^\W\d_]+)([+-]?\d+)(?![\w.])", r"\1**(\2)", plain)]


@cache
def _registry() -> Any:
    try:
        import pint
    except ImportError as failure:
        raise UnitError(
            f"{WHERE}: expected the package pint, which reads units, got none. Install it: "
            'pip install "kan2[units]", or leave units= out.'
        ) from failure
    exact: Any = Fraction
    return pint.UnitRegistry(non_int_type=exact)


def _unreadable(text: Any, name: str) -> UnitError:
    return UnitError(
        f"{WHERE}: expected the unit of column {name!r} as text that pint reads, got {text!r}. Write it as "
        '"m/s^2", "kg m^2" or "J/(mol K)", and "1" for numbers without.'
    )


def _with_offset(text: str, name: str) -> UnitError:
    return UnitError(
        f"{WHERE}: expected the unit of column {name!r} as a multiple of base units, got {text!r}, whose zero is "
        "another. Use kelvin: add 273.15 to degrees Celsius; for differences of temperatures write "
        '"delta_degC". Of levels in decibel take the ratio.'
    )


def _together(units: Mapping[str, Unit], target: str) -> Units:
    """Finds the system of units in which as many columns as can be keep their numbers, the target first."""
    base = tuple(dict.fromkeys(name for unit in units.values() for name, _ in unit.powers))
    base = tuple(sorted(base, key=lambda name: ([*SI.values(), name].index(name), name)))
    vectors = {name: tuple(dict(unit.powers).get(b, Fraction(0)) for b in base) for name, unit in units.items()}
    # Columns whose units are independent fix the system; what the others are in it follows.
    fixed: list[str] = []
    simple = sorted((name for name in units if name != target), key=lambda name: len(units[name].powers))
    for name in (target, *simple):
        if any(vectors[name]) and not in_span(vectors[name], [vectors[other] for other in fixed]):
            fixed.append(name)
    names = tuple(name for name in units if name != target)
    dimensions = Dimensions(
        names, tuple(vectors[name] for name in names), vectors[target], base, _sizes(units, vectors, fixed, base)
    )
    texts = {name: unit.text for name, unit in units.items()}
    return Units(texts, dimensions, tuple(_ratio(name, units, vectors, fixed) for name in names))


def _ratio(name: str, units: Mapping[str, Unit], vectors: Mapping[str, Vector], fixed: Sequence[str]) -> sympy.Expr:
    """Returns the size of a unit beside that of the system, as an exact number where it can be written so."""
    if name in fixed:
        return sympy.Integer(1)
    A = [[vectors[other][k] for other in fixed] for k in range(len(vectors[name]))]
    powers = [p[0] for p in solved(A, [[v] for v in vectors[name]]) or []]
    size, roots = units[name].size, sympy.Integer(1)
    for other, p in zip(fixed, powers):
        if p.denominator == 1:
            size /= units[other].size ** int(p)
        else:
            roots *= _exact(units[other].size) ** sympy.Rational(-p.numerator, p.denominator)
    return _exact(size) * roots


def _exact(size: Fraction) -> sympy.Expr:
    for angle in (sympy.Integer(1), sympy.pi, 1 / sympy.pi):
        share = size / Fraction(str(sympy.N(angle, 40)))
        near = share.limit_denominator(LARGEST)
        if near and near.numerator < LARGEST and abs(near / share - 1) < CLOSE:
            return angle * sympy.Rational(near.numerator, near.denominator)
    return sympy.Float(float(size), 17)


def _sizes(
    units: Mapping[str, Unit], vectors: Mapping[str, Vector], fixed: Sequence[str], base: tuple[str, ...]
) -> tuple[float, ...]:
    """Returns the base units of the system in those of the SI; those that nothing fixes are the latter."""
    rows = [[float(v) for v in vectors[name]] for name in fixed]
    sides = [log(units[name].size) for name in fixed]
    if not rows:
        return (1.0,) * len(base)
    return tuple(float(size) for size in np.exp(np.linalg.lstsq(np.array(rows), np.array(sides), rcond=None)[0]))
