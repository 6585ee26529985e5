"""Relations P(x) = g(y) Q(x), and P(x) + y Q(x) + y^2 R(x) = 0, by linear algebra.

All monomials up to a degree, with and without the target as a factor, are the columns of a matrix. Where a combination
of them vanishes at every row, the smallest singular vector holds its coefficients. Monomials are dropped for as long as
the rest still vanishes. A relation of too many terms fits anything smooth; so it is found on the inner rows, and
believed only if it holds on the outer ones as well, to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.algebra.letters import Letter
from kan2.laws.algebra.outer import PARAMETER, Outer, square_roots
from kan2.laws.budget import spend
from kan2.laws.numbers import number, simple

Powers = tuple[int, ...]

INNER = 0.7  # share of the rows a relation is found on
ROWS_A_TERM, MORE_ROWS = 3, 20  # rows taken of those
# Singular value, as a share of the largest, for the square root of the number of terms; true laws reach 1e-15.
VANISHES = 3e-13
ROUNDING = 1e-13
SUSPICIOUS = 1e-8  # smallest part of a column of length one that is no combination of those before it
# Numbers that are not simple can make an impostor: with eight of them a ratio of polynomials came to 2e-14 of 1/sqrt.
# Each beyond the third must make the singular value so much smaller.
# The error of an approximation falls term by term, that of a law at once: without its weakest term there must be a
# step.
FREE, FEWER, STEP = 3, 0.25, 1e-9
GROWTH = 100.0  # how far the smallest singular value may grow when terms are dropped
HOLDS, MOST = 1e-9, 0.99  # relative difference of both sides that rounding explains, for most of the rows
CANCELLED = 1e-5  # and for those where digits cancel
# Terms of a relation in one, two, more letters: polynomials of degree 6 passed for cos and exp without these limits.
MOST_TERMS = (7, 10, 14)


@dataclass(frozen=True)
class Relation:
    """A relation that holds: the expression of the target, and how many terms it has."""

    expression: sympy.Expr
    n_terms: int
    smallest: float


@cache
def monomials(n: int, degree: int, highest: tuple[int, ...]) -> tuple[Powers, ...]:
    """Returns the powers of all monomials of n letters up to a degree, by degree; -1 gives none.

    Example:
        >>> monomials(2, 2, (9, 1))
        ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1))
    """
    found = []
    for d in range(degree + 1):
        for chosen in combinations_with_replacement(range(n), d):
            powers = tuple(chosen.count(i) for i in range(n))
            if all(p <= h for p, h in zip(powers, highest)):
                found.append(powers)
    return tuple(found)


@cache
def n_monomials(degree: int, highest: tuple[int, ...]) -> int:
    """Returns how many monomials there are, without making them: of thirty letters there are millions.

    Example:
        >>> n_monomials(2, (9, 1)), n_monomials(6, (99,) * 30)
        (5, 1947792)
    """
    counts = [1, *([0] * degree)]  # of each degree
    for most in highest:
        counts = [sum(counts[d - p] for p in range(min(most, d) + 1)) for d in range(degree + 1)]
    return sum(counts)


def inner_rows(U: Float[ndarray, "sample letter"], n: int) -> ndarray:
    """Returns n rows, those first that lie in the middle of every column; of many columns, any rows."""
    noise = np.random.default_rng(0).random(len(U))
    if U.shape[1] >= 4:
        return np.argsort(noise, kind="stable")[:n]
    ranks = np.argsort(np.argsort(U, 0, kind="stable"), 0) / len(U) - 0.5
    return np.argsort(np.abs(ranks).max(1) + 0.15 * noise, kind="stable")[:n]


@dataclass(eq=False)
class Letters:
    """The letters of a relation with what does not depend on the target: rows and monomials, made once."""

    letters: Sequence[Letter]

    def __post_init__(self) -> None:
        self._values: dict[Powers, ndarray] = {}

    @cached_property
    def U(self) -> Float[ndarray, "sample letter"]:
        return np.stack([letter.values for letter in self.letters], 1)

    @cached_property
    def highest(self) -> tuple[int, ...]:
        return tuple(letter.highest for letter in self.letters)

    @cached_property
    def scales(self) -> Float[ndarray, "letter"]:
        # Powers of 2 keep every bit, and keep high powers within the range of numbers.
        with np.errstate(all="ignore"):
            scales = 2.0 ** np.round(np.log2(np.median(np.abs(self.U), 0)))
        scales[~np.isfinite(scales) | (scales == 0)] = 1.0
        return scales

    @cached_property
    def scaled(self) -> Float[ndarray, "sample letter"]:
        return self.U / self.scales

    @cached_property
    def order(self) -> ndarray:
        return inner_rows(self.U, int(INNER * len(self.U)))

    def value(self, powers: Powers) -> Float[ndarray, "sample"]:
        """Returns a monomial of the scaled letters at all rows."""
        found = self._values.get(powers)
        if found is None:
            first = next((i for i, p in enumerate(powers) if p), None)
            if first is None:
                found = np.ones(len(self.U))
            else:
                lower = tuple(p - (i == first) for i, p in enumerate(powers))
                found = self.value(lower) * self.scaled[:, first]
            self._values[powers] = found
        return found

    def size(self, powers: Powers) -> float:
        return float(np.prod(self.scales ** np.array(powers)))

    def text(self, powers: Powers) -> sympy.Expr:
        return sympy.Mul(*(letter.expression**p for letter, p in zip(self.letters, powers) if p))


def relation(
    letters: Letters, y: Float[ndarray, "sample"], outer: Outer, degrees: tuple[int, ...], vanishes: float = VANISHES
) -> Relation | None:
    """Returns the relation of the lowest number of terms that holds at all rows, or None.

    Args:
        letters: the letters of P and Q.
        y: the target.
        outer: the function of it.
        degrees: of P and Q, and of R where there is one; the function of the target must then be the target.
        vanishes: relative singular value that rounding explains.

    Raises:
        Exhausted, OutOfTime: see `budget`.
    """
    n, g = len(letters.U), outer.values
    blocks = [monomials(len(letters.letters), degree, letters.highest) for degree in degrees]
    terms = [(k, powers) for k, block in enumerate(blocks) for powers in block]
    if 1.5 * len(terms) > INNER * n:
        return None
    rows = letters.order[: ROWS_A_TERM * len(terms) + MORE_ROWS]
    spend(len(rows), len(terms))
    scale = outer.size
    factors = [np.ones(len(rows)), -g[rows] / scale, (g[rows] / scale) ** 2]
    with np.errstate(all="ignore"):
        M = np.column_stack([letters.value(powers)[rows] * factors[k] for k, powers in terms])
        M /= np.abs(M).max(1, keepdims=True)
    if not np.isfinite(M).all():
        return None
    sizes = np.sqrt((M**2).mean(0))
    if not sizes.all():
        return None
    found = _sparse(M / sizes, vanishes)
    if found is None:
        return None
    kept, v, smallest, without = found
    if len(kept) > MOST_TERMS[min(len(letters.letters), 3) - 1]:
        return None
    sides: list[list[tuple[Powers, float]]] = [[] for _ in degrees]
    for i, c in zip(kept, v / sizes[kept]):
        k, powers = terms[i]
        if not 0 < letters.size(powers) < np.inf:
            return None  # powers of the unit leave the range of numbers
        sides[k].append((powers, float(c) / letters.size(powers) / scale**k))
    if (not sides[0] and len(degrees) == 2) or not any(sides[1:]):
        return None
    one = max(sides[-1] or sides[1], key=lambda term: _size(letters, term))[1]
    sides = [[(powers, c / one) for powers, c in side] for side in sides]
    n_free = sum(simple(c) is None for side in sides for _, c in side)
    if n_free > FREE and len(degrees) == 3:
        return None  # a linear relation and its product with the target make any mixture of both
    if n_free > FREE and (without < STEP or smallest > vanishes * np.sqrt(len(kept)) * FEWER ** (n_free - FREE)):
        return None
    expression = _solved(letters, y, outer, sides)
    return None if expression is None else Relation(expression, len(kept), smallest)


def _sparse(M: ndarray, vanishes: float) -> tuple[ndarray, ndarray, float, float] | None:
    """Returns the columns of a null vector with few entries, its entries, and singular values as shares of the largest.

    The first of them is that of these columns, the second the smallest that is left when one more is dropped.
    """
    # All that follows depends on the products of columns alone.
    R = np.linalg.qr(M, mode="r")

    def null(columns: ndarray) -> tuple[float, float, ndarray]:
        _, s, vt = np.linalg.svd(np.take(R, columns, axis=1))
        return float(s[-1]), float(s[0]), vt[-1]

    # Of dependent columns the last one has next to nothing left on the diagonal: most matrices end here.
    if np.abs(np.diagonal(R)).min() > SUSPICIOUS * np.sqrt(len(M)):
        return None
    kept, without = np.arange(M.shape[1]), 1.0
    s, largest, v = null(kept)
    if s > vanishes * largest * np.sqrt(len(kept)):
        return None
    level = max(GROWTH * s, ROUNDING * largest)
    while len(kept) > 2:
        order, without = np.argsort(np.abs(v), kind="stable"), 1.0
        # Half of them at once while that works, then one by one.
        for cut in (order[: len(order) // 2], order[: len(order) // 4], order[:1], order[1:2], order[2:3], order[3:4]):
            if not len(cut) or len(cut) > len(kept) - 2:
                continue
            spend(M.shape[1], len(kept))
            fewer = np.delete(kept, cut)
            s1, largest1, v1 = null(fewer)
            without = min(without, s1 / largest1)
            if s1 < max(level, ROUNDING * largest1):
                kept, s, v = fewer, s1, v1
                break
        else:
            break
    return kept, v, s / largest, without


def _size(letters: Letters, term: tuple[Powers, float]) -> float:
    powers, c = term
    return abs(c) * letters.size(powers) * float(np.median(np.abs(letters.value(powers))))


def _solved(letters: Letters, y: ndarray, outer: Outer, sides: list[list[tuple[Powers, float]]]) -> sympy.Expr | None:
    """Returns the expression of the target, with numbers that are simple where that does, if it holds."""
    with np.errstate(all="ignore"):
        # P + g^2 R against g Q: no division by what may vanish.
        total, size_of_terms = np.zeros(len(y)), np.zeros(len(y))
        right = np.zeros(len(y))
        for k, side in enumerate(sides):
            for powers, c in side:
                value = c * letters.size(powers) * letters.value(powers) * outer.values**k
                total += value * (-1) ** k
                right += value * (k == 1)
                size_of_terms += np.abs(value)
        off = np.abs(total) > HOLDS * np.abs(right) + ROUNDING * size_of_terms
    if not off.mean() < 0.2:
        return None  # far off, before SymPy takes its time
    symbols = [sympy.Dummy(f"t{i}") for i in range(len(letters.letters))]
    given = {} if outer.parameter is None else {PARAMETER: outer.parameter}
    for numbers in (True, False):
        P, Q, R = (
            sympy.Add(
                *(
                    (number(c) if numbers else sympy.Float(c, 17))
                    * sympy.Mul(*(symbol**p for symbol, p in zip(symbols, powers)))
                    for powers, c in side
                )
            )
            for side in (*sides, *[[]] * (3 - len(sides)))
        )
        if len(sides) == 2:
            solutions = outer.inverses(P / Q)
        elif R == 0:
            continue  # it would have been found as a linear one
        else:
            # P - y Q + y^2 R = 0
            roots = square_roots(Q**2 / 4 - P * R) if Q != 0 else square_roots(-P * R)
            solutions = ((Q / 2 + root) / R for root in roots)
        for solution in solutions:
            if solution.has(sympy.zoo, sympy.nan, sympy.oo):
                continue
            with np.errstate(all="ignore"):
                function = sympy.lambdify([*symbols, *given], solution, ["numpy", "scipy"])
                values = function(*letters.U.T, *(column.values for column in given.values()))
            if np.isrealobj(values) and holds(values * np.ones(len(y)), y):
                names = dict(zip(symbols, (letter.expression for letter in letters.letters)))
                found: Any = solution.xreplace({**names, **{s: column.expression for s, column in given.items()}})
                return found
    return None


def holds(found: ndarray, wanted: ndarray) -> bool:
    """Whether two sides agree to rounding at 99 of 100 rows, and roughly at the others, where digits may cancel."""
    with np.errstate(all="ignore"):
        off, size = np.abs(found - wanted), np.maximum(np.abs(wanted), 1e-3 * np.median(np.abs(wanted)))
    return bool((off <= HOLDS * size).mean() >= MOST and (off <= CANCELLED * size).all())
