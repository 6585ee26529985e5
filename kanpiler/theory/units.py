"""Units of a theory: do its terms agree, and which units have parameters that were given none?

Every letter has a dimension, known or not, and so have the values and arguments of unknown functions. Terms of a sum
agree, arguments of exponentials have none: a linear system, which is built term by term, so that the first term that
contradicts those before it can be named.

Reference: Kennedy, Relational parametricity and units of measure, POPL (1997).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import numpy as np
import sympy

from kan2.core.theory import Parameter
from kan2.errors import UnitError, unknown_name
from kan2.expressions.symbols import symbol
from kan2.units.dimensions import Dimensions
from kan2.units.equations import Equations, Linear
from kan2.units.linear import Vector, in_span, solved
from kan2.units.reading import Unit, unit_of
from kanpiler.theory.form import Form


def with_units(
    form: Form, columns: Sequence[str], parameters: Sequence[Parameter], given: Mapping[str, str]
) -> tuple[Parameter, ...]:
    """Returns the parameters with the units that follow from those that are known.

    Args:
        form: the theory.
        columns: names of its columns.
        parameters: with their units, as far as they have some.
        given: units of columns and outputs, by name.

    Raises:
        UnitError: two terms have different dimensions, or a unit cannot be read.
        UnknownNameError: a unit is of something else.

    Example:
        >>> from kanpiler.theory.form import read_form
        >>> form = read_form("x = A*exp(-k*t)", [], ["A", "k"])
        >>> parameters = (Parameter(name="A"), Parameter(name="k"))
        >>> [one.unit for one in with_units(form, ["t"], parameters, {"t": "s", "x": "m"})]
        ['m', '1/s']
    """
    known = (*columns, *form.outputs)
    for name in given:
        if name not in known:
            raise unknown_name("compile: units", "column or output", name, known)
    texts = {**given, **{one.name: one.unit for one in parameters if one.unit}}
    try:
        units = {name: unit_of(text, name) for name, text in texts.items()}
    except UnitError as error:
        raise UnitError(str(error).replace("discover:", "compile:", 1)) from None
    base = tuple(sorted({name for unit in units.values() for name, _ in unit.powers}))
    vectors = {symbol(name): tuple(dict(unit.powers).get(b, Fraction(0)) for b in base) for name, unit in units.items()}
    if not base:
        return tuple(parameters)
    names = _base_names(units, base)
    equations = Equations(vectors, len(base))
    rows = _rows(form, equations)
    unknown = sorted({one for row, _ in rows for one in row.of}, key=str)
    said = Dimensions((), (), (), tuple(name or b for name, b in zip(names, base))).said
    for n, (_, part) in enumerate(rows):
        if _solution([row for row, _ in rows[: n + 1]], unknown) is None:
            raise UnitError(
                f"compile: expected terms of one dimension, got {_told(part, form)}"
                f"{_sizes(part, equations, said, form)}. Mend the term or the units."
            )
    found = _solution([row for row, _ in rows], unknown) or []
    matrix = [[row.of.get(one, Fraction(0)) for one in unknown] for row, _ in rows]
    new = []
    for one in parameters:
        name = symbol(one.name)
        if not one.unit and name in unknown:
            i = unknown.index(name)
            axis = [Fraction(int(j == i)) for j in range(len(unknown))]
            # Only what the equations determine is a unit, and only one that has a name here.
            is_named = all(names[k] is not None for k, power in enumerate(found[i]) if power)
            new.append(replace(one, unit=said(found[i])) if is_named and in_span(axis, matrix) else one)
        else:
            new.append(one)
    return tuple(new)


def _base_names(units: Mapping[str, Unit], base: Sequence[str]) -> list[str | None]:
    """Returns what the base units of these units are called: m, or mm where all lengths are in mm; None for no name.

    Raises:
        UnitError: they are not of one system, as mm beside m/s; numbers of such columns do not add up.
    """
    with_powers = {name: unit for name, unit in units.items() if unit.powers}
    A = np.array([[float(dict(unit.powers).get(b, 0)) for b in base] for unit in with_powers.values()])
    sizes = np.array([np.log(float(unit.size)) for unit in with_powers.values()])
    logs = np.linalg.lstsq(A, sizes, rcond=None)[0]
    if not np.allclose(A @ logs, sizes, rtol=0, atol=1e-9):
        told = ", ".join(f"{name} in {unit.text}" for name, unit in with_powers.items())
        raise UnitError(f"compile: expected units of one system, got {told}. Convert columns, as mm to m beside m/s.")
    found: list[str | None] = []
    for b, log in zip(base, logs):
        own = (unit.text for unit in with_powers.values() if unit.powers == ((b, Fraction(1)),))
        found.append(b if abs(log) < 1e-9 else next(own, None))
    return found


def _rows(form: Form, equations: Equations) -> list[tuple[Linear, Any]]:
    # Values and arguments of one function have the same dimensions wherever it is called.
    found: list[tuple[Linear, Any]] = []

    def take(start: int) -> None:
        found.extend(zip(equations.equal[start:], equations.parts[start:]))

    for call in form.calls:
        start = len(equations.equal)
        inner = equations.of(call.argument)
        take(start)
        value, argument = (sympy.Symbol(f"{call.function}: {what}") for what in ("value", "argument"))
        found.append((inner.plus(equations.of(argument), Fraction(-1)), call.applied))
        slope = equations.of(value).plus(equations.of(argument), Fraction(-call.order))
        found.append((equations.of(call.value).plus(slope, Fraction(-1)), call.applied))
    for name, expression in zip(form.outputs, form.expressions):
        start = len(equations.equal)
        whole = equations.of(expression)
        take(start)
        if not form.implicit:
            found.append((whole.plus(equations.of(symbol(name)), Fraction(-1)), sympy.Eq(symbol(name), expression)))
    return found


def _solution(rows: Sequence[Linear], unknown: Sequence[sympy.Symbol]) -> list[Vector] | None:
    A = [[row.of.get(one, Fraction(0)) for one in unknown] for row in rows]
    return solved(A, [[-v for v in row.constant] for row in rows]) if unknown else _plain(rows)


def _plain(rows: Sequence[Linear]) -> list[Vector] | None:
    return None if any(any(row.constant) for row in rows) else []


def _told(part: Any, form: Form) -> str:
    sides = part.args if isinstance(part, sympy.Eq) else (part,)
    return " = ".join(str(form.written(cast(sympy.Expr, side))) for side in sides)


def _sizes(part: Any, equations: Equations, said: Any, form: Form) -> str:
    # The dimensions of terms that are known without solving anything.
    told = []
    for term in getattr(part, "args", ()):
        found = equations.of(term)
        if not found.of:
            told.append(f"{_told(term, form)} in {said(found.constant)}")
    return f", with {' and '.join(told)}" if told else ""
