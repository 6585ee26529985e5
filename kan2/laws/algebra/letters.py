"""What a column may enter a relation as: itself, and a few functions of it.

An *alphabet* is a set of such functions that are used together. sin and paired roots are used to the first power only:
cos^2 + sin^2 = 1 holds without the target, and would be found in place of the law.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.column import Column

ANY = 99  # no limit on the power
MANY = 20  # different numbers from which on there is none
TURNS, STEEPEST = 60.0, 600.0  # largest arguments of sin and cos, and of exp
FLATTEST = 30.0  # arguments above it give decaying exponentials


@dataclass(frozen=True, eq=False)
class Letter:
    """(samples,) values of a function of a column, its expression, and the highest power it is used to."""

    values: Float[ndarray, "sample"]
    expression: sympy.Expr
    highest: int = ANY


@dataclass(frozen=True, eq=False)
class Alphabet:
    """Letters that are used together."""

    name: str
    letters: tuple[Letter, ...]


def plain(column: Column) -> Letter:
    """Returns the column itself."""
    return Letter(column.values, column.expression, highest_power(column))


def highest_power(column: Column) -> int:
    """Returns the highest power of a function of a column: on few different numbers higher ones are anything."""
    # A ratio has them above and below the line.
    return ANY if column.n_different > MANY else max(1, (column.n_different - 2) // 2)


def alphabets(column: Column) -> Iterator[Alphabet]:
    """Yields the alphabets of a column, the simplest first; few different numbers leave room for few functions."""
    if column.n_different > MANY:
        yield from _alphabets(column)
        return
    highest = highest_power(column)
    for alphabet in _alphabets(column):
        if len(alphabet.letters) <= highest or alphabet.name == "t":
            letters = [replace(letter, highest=min(letter.highest, highest)) for letter in alphabet.letters]
            yield Alphabet(alphabet.name, tuple(letters))


def _alphabets(column: Column) -> Iterator[Alphabet]:
    t, e, largest = column.values, column.expression, column.largest
    itself = plain(column)
    yield Alphabet("t", (itself,))
    circle = (Letter(np.cos(t), sympy.cos(e)), Letter(np.sin(t), sympy.sin(e), 1))
    if largest < TURNS:
        yield Alphabet("cos", circle[:1])
        yield Alphabet("sin", (Letter(np.sin(t), sympy.sin(e)),))
        yield Alphabet("cos, sin", circle)
    if largest < STEEPEST:
        s = -1 if t.max() > FLATTEST else 1
        power = Letter(np.exp(s * t), sympy.exp(s * e))
        yield Alphabet("exp", (power,))
        yield Alphabet("t, exp", (itself, power))
    if column.sign > 0:
        yield Alphabet("log", (Letter(np.log(t), sympy.log(e)),))
        yield Alphabet("sqrt", (Letter(np.sqrt(t), sympy.sqrt(e)),))
        yield Alphabet("t, log", (itself, Letter(np.log(t), sympy.log(e))))
    if largest < TURNS:
        yield Alphabet("t, cos, sin", (itself, *circle))
    if largest < 1:
        yield Alphabet("t, sqrt(1 - t^2)", (itself, Letter(np.sqrt(1 - t * t), sympy.sqrt(1 - e**2), 1)))
    if column.sign >= 0 and (t >= 0).all() and largest <= 1:
        yield Alphabet("t, sqrt(1 - t)", (itself, Letter(np.sqrt(1 - t), sympy.sqrt(1 - e), 1)))
    yield Alphabet("t, sqrt(1 + t^2)", (itself, Letter(np.sqrt(1 + t * t), sympy.sqrt(1 + e**2), 1)))
    if column.sign > 0:
        yield Alphabet("t, sqrt(1 + t)", (itself, Letter(np.sqrt(1 + t), sympy.sqrt(1 + e), 1)))
