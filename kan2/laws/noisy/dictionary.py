"""Dictionaries of terms and factors made of the columns of a table, the usual ones first.

A dictionary holds values, a column for each entry, and writes the expression of an entry when it is asked for: of
thousands only few are ever written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations, permutations
from itertools import product as all_combinations
from typing import Any

import numpy as np
import sympy
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from kan2.laws.column import Column

POWERS = (-2, -1, 1, 2)
HIGH_POWERS, FEW = (-4, -3, -2, -1, 1, 2, 3, 4), 2  # of one column alone, and in tables of so few
# Largest sum of the magnitudes of exponents, by the number of columns, so that no dictionary has more than some
# thousand entries.
DEGREES = {1: 6, 2: 6, 3: 5, 4: 5, 5: 4, 6: 4}
DEGREE_OF_MANY, COLUMNS_OF_MANY, MANY = 3, 3, 5  # of more columns: the degree, and how many of them in one monomial
TURNS, STEEPEST = 60.0, 30.0  # largest arguments of waves, and of exponentials
SIZES = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1 / 3, -1 / 3, 0.25, -0.25, 4.0, -4.0)
UNLIKE = 100.0  # ratio of the ranges of two columns that are not added in an exponent
MOST_SIZES, SHORT = 6, 3  # sizes for monomials of a degree above it, which have no other functions than exponentials
RELATIVE = (0.02, 0.05, 0.1, 0.2, 0.35, 0.7, 1.4, 3.0, 6.0, 15.0, 50.0)  # to the middle of what they multiply
ANGLES = (1.0, 0.5, 2.0, float(np.pi), float(2 * np.pi))

Maker = Callable[[], sympy.Expr]


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Entries with their values at all rows.

    Attributes:
        values: of each entry.
        write: gives the expression of each.
    """

    values: Float[ndarray, "row entry"]
    write: tuple[Maker, ...]

    def __len__(self) -> int:
        return len(self.write)

    @classmethod
    def of(cls, blocks: Sequence["Dictionary"]) -> "Dictionary":
        """Returns the finite entries of several dictionaries of the same rows."""
        values = np.hstack([block.values for block in blocks])
        write = [maker for block in blocks for maker in block.write]
        is_finite: Any = np.isfinite(values).all(0)
        return cls(values[:, is_finite], tuple(maker for maker, good in zip(write, is_finite) if good))


@cache
def exponents(n_columns: int, degree: int, most_columns: int) -> tuple[tuple[int, ...], ...]:
    """Returns the exponents of monomials without a constant, those of low degree first.

    Example:
        >>> exponents(2, 1, 2)
        ((1, 0), (0, 1), (-1, 0), (0, -1))
    """
    found = []
    for n in range(1, min(most_columns, n_columns) + 1):
        usual = HIGH_POWERS if n == 1 or n_columns <= FEW else POWERS
        for chosen in combinations(range(n_columns), n):
            for powers in all_combinations(usual, repeat=n):
                if sum(map(abs, powers)) <= degree:
                    at = dict(zip(chosen, powers))
                    found.append(tuple(at.get(i, 0) for i in range(n_columns)))
    return tuple(sorted(found, key=lambda p: (sum(map(abs, p)), sum(e < 0 for e in p))))


def usual_exponents(n_columns: int, less: int = 0) -> tuple[tuple[int, ...], ...]:
    """Returns the exponents of the monomials of a table, of a degree that is lower by some."""
    degree = DEGREES.get(n_columns, DEGREE_OF_MANY) - less
    return exponents(n_columns, max(1, degree), n_columns if n_columns <= MANY else COLUMNS_OF_MANY)


def monomial_values(columns: Sequence[Column], powers: Sequence[tuple[int, ...]]) -> Float[ndarray, "row entry"]:
    """Returns the products of integer powers of columns."""
    P = np.array(powers, float).reshape(len(powers), len(columns))
    with np.errstate(all="ignore"):
        sizes = np.exp(np.stack([np.log(np.abs(c.values)) for c in columns], 1) @ P.T)
    negative = np.stack([c.values < 0 for c in columns], 1).astype(float) @ (np.abs(P) % 2).T
    return sizes * (1 - 2 * (negative % 2))


def written(columns: Sequence[Column], powers: Sequence[int]) -> sympy.Expr:
    """Returns the expression of a product of powers of columns."""
    return sympy.Mul(*(c.expression ** sympy.Integer(p) for c, p in zip(columns, powers) if p))


def monomials(columns: Sequence[Column], powers: Sequence[tuple[int, ...]]) -> Dictionary:
    """Returns a dictionary of products of powers of columns."""
    return Dictionary(monomial_values(columns, powers), tuple(partial(written, columns, chosen) for chosen in powers))


def _families(column: Column) -> Iterator[tuple[Column, ...]]:
    """Yields functions of a column that occur together."""
    v, e = column.values, column.expression
    if column.largest <= TURNS:
        cosine = Column(np.cos(v), sympy.cos(e))
        yield cosine, Column(np.sin(v), sympy.sin(e)), Column(np.cos(v) ** 2, sympy.cos(e) ** 2)
    if column.largest <= STEEPEST:
        yield Column(np.exp(v), sympy.exp(e)), Column(np.exp(-v), sympy.exp(-e))
    if column.sign > 0:
        yield (Column(np.log(v), sympy.log(e)),)
        yield (Column(np.sqrt(v), sympy.sqrt(e)),)


def _arguments(columns: Sequence[Column]) -> Iterator[tuple[Column, tuple[int, ...]]]:
    """Yields columns, sums, differences, products, quotients of two, and the positions of what is in them."""
    for i, c in enumerate(columns):
        yield c, (i,)
    for (i, a), (j, b) in combinations(enumerate(columns), 2):
        yield Column(a.values - b.values, a.expression - b.expression), (i, j)
        yield Column(a.values + b.values, a.expression + b.expression), (i, j)
        yield Column(a.values * b.values, a.expression * b.expression), (i, j)
        if b.values.all():
            yield Column(a.values / b.values, a.expression / b.expression), (i, j)
        if a.values.all():
            yield Column(b.values / a.values, b.expression / a.expression), (i, j)


def _times(column: Column, others: Dictionary) -> Dictionary:
    def write(maker: Maker) -> sympy.Expr:
        return column.expression * maker()

    with np.errstate(all="ignore"):
        values = column.values[:, None] * others.values
    return Dictionary(values, tuple(partial(write, maker) for maker in others.write))


def _one(columns: Sequence[Column]) -> Dictionary:
    return Dictionary(np.ones((len(columns[0].values), 1)), (lambda: sympy.Integer(1),))


def terms(columns: Sequence[Column]) -> Iterator[list[Dictionary]]:
    """Yields groups of dictionaries of terms of sums, the constant first in each, the usual ones before the others.

    Small ones find more: among thousands of entries that resemble each other, some pass for any function. So there is
    one with monomials alone, and one for each family of functions of one argument, times short monomials.
    """
    d, one = len(columns), _one(columns)
    short = Dictionary.of([one, monomials(columns, exponents(d, 2, 2))])
    yield [short]
    roots = [
        Column(np.sqrt(a.values * b.values), sympy.sqrt(a.expression * b.expression))
        for a, b in combinations(columns, 2)
        if a.sign * b.sign > 0
    ]
    roots += [Column(np.sqrt(c.values), sympy.sqrt(c.expression)) for c in columns if c.sign > 0]
    short = Dictionary.of([short, *(_times(root, one) for root in roots)])
    arguments = list(_arguments(columns))
    powers = [Dictionary.of([short, *(_times(f, short) for f in family)]) for family in _powers_of_each_other(columns)]
    yield [
        Dictionary.of([one, monomials(columns, usual_exponents(d))]),
        *_with_functions([argument for argument, used in arguments if len(used) == 1], short),
        *(powers if d <= FEW else ()),
    ]
    yield [
        *_with_functions([argument for argument, used in arguments if len(used) == 2], short),
        *(powers if d > FEW else ()),
    ]


def _powers_of_each_other(columns: Sequence[Column]) -> Iterator[tuple[Column, ...]]:
    """Yields powers whose exponent is a column, as that of Hill, and those of interest."""
    for a, b in permutations(columns, 2):
        for base in (a, Column(1 + a.values, 1 + a.expression)):
            if base.values.min() > 0 and np.abs(b.values * np.log(base.values)).max() <= STEEPEST:
                power = Column(base.values**b.values, base.expression**b.expression)
                yield power, Column(1 / power.values, 1 / power.expression)


def _with_functions(arguments: Sequence[Column], short: Dictionary) -> Iterator[Dictionary]:
    for argument in arguments:
        for family in _families(argument):
            yield Dictionary.of([short, *(_times(f, short) for f in family)])


@dataclass(frozen=True, eq=False)
class Factors:
    """Factors of products by their logarithms.

    Attributes:
        logarithms: of the magnitudes of each.
        write: gives the expression of each to a power.
        is_free: whether the power is any number, as that of an exponential, and no round one.
        kind: number of the monomial r; functions of the same one resemble each other.
        family: number of the monomial and the function, whatever its scale.
    """

    logarithms: Float[ndarray, "row entry"]
    write: tuple[Callable[[sympy.Expr], sympy.Expr], ...]
    is_free: Bool[ndarray, "entry"]
    kind: Int[ndarray, "entry"]
    family: Int[ndarray, "entry"]


def factors(columns: Sequence[Column]) -> Factors:
    """Returns factors other than columns: 1 + c r and functions of c r, with r a monomial."""
    values: list[ndarray] = []
    write: list[Callable[[sympy.Expr], sympy.Expr]] = []
    free: list[bool] = []
    kind: list[int] = []

    families: dict[tuple[int, str], int] = {}
    family: list[int] = []

    def offer(
        number: int, name: str, logarithm: ndarray, make: Callable[[sympy.Expr], sympy.Expr], is_free: bool = False
    ) -> None:
        if np.isfinite(logarithm).all() and np.ptp(logarithm) > 0:
            values.append(logarithm)
            write.append(make)
            free.append(is_free)
            kind.append(number)
            family.append(families.setdefault((number, name), len(families)))

    powers = usual_exponents(len(columns))
    with np.errstate(all="ignore"):
        for number, (chosen, r) in enumerate(zip(powers, monomial_values(columns, powers).T)):
            if np.isfinite(r).all():
                _factors_of(r, partial(written, columns, chosen), chosen, partial(offer, number))
        for number, c in enumerate(_with_sums(columns), len(powers)):
            offer(number, "exp", c.values, lambda q, c=c: sympy.exp(q * c.expression), True)
    return Factors(np.stack(values, 1), tuple(write), np.array(free, bool), np.array(kind, int), np.array(family, int))


def _with_sums(columns: Sequence[Column]) -> Iterator[Column]:
    """Yields what exponents are besides monomials: sums and differences of two columns, alone and with a third."""
    for (i, a), (j, b) in combinations(enumerate(columns), 2):
        if not 1 / UNLIKE < np.ptp(a.values) / np.ptp(b.values) < UNLIKE:
            continue  # the sum is one of them
        for s in (Column(a.values + b.values, a.expression + b.expression),
                  Column(a.values - b.values, a.expression - b.expression)):  # fmt: skip
            yield s.raised(sympy.Integer(2))
            yield s.raised(sympy.Integer(-1))
            for c in (c for k, c in enumerate(columns) if k not in (i, j)):
                yield Column(s.values * c.values, s.expression * c.expression)
                yield Column(c.values / s.values, c.expression / s.expression)
                yield Column(s.values / c.values, s.expression / c.expression)
                yield Column((s.values / c.values) ** 2, (s.expression / c.expression) ** 2)


def _factors_of(r: ndarray, make: Maker, powers: tuple[int, ...], offer: Callable[..., None]) -> None:
    middle, largest, degree = float(np.median(np.abs(r))), float(np.abs(r).max()), sum(map(abs, powers))

    def scaled(c: float) -> sympy.Expr:
        return make() if c == 1 else sympy.Float(c, 17) * make()

    def ones(sizes: Sequence[float]) -> None:
        for c in sizes if next(p for p in powers if p) > 0 else ():  # 1 + c/r is 1 + r/c times 1/r
            if (near := np.abs(1 + c * r)).min() > 1e-6:
                sign = -1 if (1 + c * r < 0).all() else 1
                offer("1 + r", np.log(near), lambda q, c=c, sign=sign: (sign + sign * scaled(c)) ** q)

    offer("exp", r, lambda q: sympy.exp(q * make()), True)
    ones(SIZES[:MOST_SIZES] if degree > SHORT else SIZES)
    if degree > SHORT:
        return
    relative = [c / middle for c in RELATIVE] if middle and degree <= SHORT - 1 else []
    ones([sign * c for c in relative for sign in (1, -1)])
    for c in (*ANGLES, *(relative if degree == 1 else ())):
        if c * largest <= TURNS:
            offer("sin", np.log(np.abs(np.sin(c * r))), lambda q, c=c: sympy.sin(scaled(c)) ** q)
            offer("cos", np.log(np.abs(np.cos(c * r))), lambda q, c=c: sympy.cos(scaled(c)) ** q)
            offer("1 - cos", np.log(1 - np.cos(c * r)), lambda q, c=c: (1 - sympy.cos(scaled(c))) ** q)
    for c in (1.0, 2.0, 0.5, float(1 / (2 * np.pi)), *relative):
        if c * largest <= STEEPEST:
            offer("exp - 1", np.log(np.abs(np.expm1(c * r))), lambda q, c=c: (sympy.exp(scaled(c)) - 1) ** q)
            offer("exp + 1", np.log1p(np.exp(c * r)), lambda q, c=c: (sympy.exp(scaled(c)) + 1) ** q)
            offer("tanh", np.log(np.abs(np.tanh(c * r))), lambda q, c=c: sympy.tanh(scaled(c)) ** q)
            offer("cosh", np.log(np.cosh(c * r)), lambda q, c=c: sympy.cosh(scaled(c)) ** q)
    if (r > 0).all():
        offer("log", np.log(np.abs(np.log(r))), lambda q: sympy.log(make()) ** q)
        offer("log1p", np.log(np.log1p(r)), lambda q: sympy.log(1 + make()) ** q)
