"""The relations that are looked for in a table, the smallest first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from itertools import product as all_combinations
from math import prod

import numpy as np
import sympy

from kan2.laws.algebra.letters import STEEPEST, Letter, alphabets, plain
from kan2.laws.algebra.outer import Outer, outer_functions, powers_of_columns
from kan2.laws.algebra.powers import power_law
from kan2.laws.algebra.relations import INNER, Letters, Relation, n_monomials, relation
from kan2.laws.budget import budget
from kan2.laws.column import Column, Table
from kan2.laws.found import Found

# Degrees of P and Q, and of R.
# fmt: off
POLYNOMIALS = ((1, 0), (2, 0), (3, 0), (0, 1), (0, 2), (0, 3), (1, 1), (4, 0), (2, 1), (1, 2), (2, 2), (3, 1), (1, 3),
               (3, 3), (4, 2), (2, 4), (4, 4), (5, 2), (6, 2), (4, 6), (6, 4), (6, 6), (2, 1, 0), (2, 2, 2), (4, 2, 0))
WITH_FUNCTIONS = ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (2, 2), (3, 0), (3, 1), (1, 3), (4, 0),
                  (2, 4), (4, 2), (2, 3), (3, 3), (4, 4), (2, 1, 0), (2, 2, 2), (3, 2, 2), (3, 3, 3))
# fmt: on
MOST_UNKNOWNS = 150
CAPPED = ((2, 2), (3, 1), (3, 3), (4, 2), (5, 1), (5, 3), (5, 5))
# What a relation may cost: its number of unknowns, and more for what is less usual. Nearly all laws of the lectures of
# Feynman whose relation has functions cost less than 45.
QUICK, THOROUGH = 45, 110
SECONDS = {QUICK: 3.0, THOROUGH: 10.0}  # work, so that tables of many columns end
OUTER_COST = {"y": 0, "y^2": 4, "log(y)": 4, "sqrt(y)": 10}
OTHER_OUTER_COST = 12
MOST_COLUMNS = 6  # columns up to which functions are looked for
MOST_SETS = 600  # of letters
MOST_OF_TWO = 4  # columns up to which functions of two arguments are looked for
TWO = ("cos", "cos, sin", "exp", "log")  # functions that are taken of two arguments at once


@dataclass(frozen=True, eq=False)
class Set:
    """Letters to try together, the degrees of polynomials in them, and what that costs beyond their number."""

    letters: Letters
    degrees: Sequence[tuple[int, ...]]
    cost: int = 0


def polynomial_law(table: Table, seconds: float = 20.0) -> Found | None:
    """Looks for a product of powers, then for relations of polynomials in the columns as they are."""
    found = power_law(table)
    if found is not None:
        return Found(found, (f"the logarithm of the target is linear in the logarithms of {_names(table)}",))
    letters = [plain(column) for column in table.columns]
    with budget(seconds):
        return _first(table, [Set(Letters(letters), POLYNOMIALS), *_capped(letters)], 0, MOST_UNKNOWNS)
    return None


def _capped(letters: list[Letter], cost: int = 0) -> Iterator[Set]:
    """Yields the letters with all of them to the first power, and with one of them to higher ones.

    Few laws have high powers of several columns: this leaves room for higher degrees.
    """
    if len(letters) < 3:
        return
    for free in (None, *range(len(letters))):
        capped = [x if i == free else replace(x, highest=1) for i, x in enumerate(letters)]
        yield Set(Letters(capped), CAPPED, cost + 2)


def law_with_functions(table: Table, effort: int, share: float = 1.0) -> Found | None:
    """Looks for relations of polynomials in functions of the columns, and of products, quotients, sums of two of them.

    Args:
        table: the table.
        effort: 0 for the most usual functions, 1 for the others.
        share: of the usual work that is allowed.
    """
    if table.n_columns > MOST_COLUMNS:
        return None
    low, high = (0, QUICK) if effort == 0 else (QUICK, THOROUGH)
    with budget(share * SECONDS[high]):
        sets = [
            *_one_function(table),
            *_variable_powers(table),
            *_powers_of_all(table),
            *_functions_of_each(table),
        ]
        return _first(table, sets, low, high)
    return None


def _one_function(table: Table) -> Iterator[Set]:
    """Yields the columns as they are with functions of one argument, with and without the columns in it."""
    for argument, used, cost in _arguments(table):
        for alphabet in list(alphabets(argument))[1:]:
            letters = [letter for letter in alphabet.letters if letter.expression != argument.expression]
            has_itself = len(letters) < len(alphabet.letters)
            others = [plain(c) for i, c in enumerate(table.columns) if has_itself or i not in used]
            yield from _finite([*others, *letters], cost)
            if len(letters) == 1 and np.isfinite(letters[0].values).all():
                yield from _capped([*others, *letters], cost)


def _arguments(table: Table) -> Iterator[tuple[Column, tuple[int, ...], int]]:
    """Yields columns and simple combinations of two, the positions of what is in them, and a cost."""
    for i, column in enumerate(table.columns):
        yield column, (i,), 0
        if column.values.all():
            yield column.raised(sympy.Integer(-1)), (i,), 3
    for i, j in combinations(range(table.n_columns), 2):
        a, b = table.columns[i], table.columns[j]
        yield Column(a.values * b.values, a.expression * b.expression), (i, j), 2
        yield Column(a.values - b.values, a.expression - b.expression), (i, j), 3
        yield Column(a.values + b.values, a.expression + b.expression), (i, j), 5
        if b.values.all():
            yield Column(a.values / b.values, a.expression / b.expression), (i, j), 3
        if a.values.all():
            yield Column(b.values / a.values, b.expression / a.expression), (i, j), 3


def _variable_powers(table: Table) -> Iterator[Set]:
    """Yields the columns with t^s and (1 + t)^s, where s is another column."""
    for i, base in enumerate(table.columns):
        for log in _logarithms(base):
            for j, power in enumerate(table.columns):
                if i != j and np.abs(u := log.values * power.values).max() < STEEPEST:
                    letter = Letter(np.exp(u), sympy.exp(power.expression * log.expression))
                    for left_out in ({i, j}, {j}, set()):
                        others = [plain(c) for k, c in enumerate(table.columns) if k not in left_out]
                        yield from _finite([*others, letter], 2)


def _powers_of_all(table: Table) -> Iterator[Set]:
    """Yields t^s for several columns t with one exponent s."""
    for j, power in enumerate(table.columns):
        bases = [i for i, c in enumerate(table.columns) if i != j and c.sign > 0]
        for n in (1, 2, 3):
            for chosen in combinations(bases, n):
                letters = []
                for i, c in enumerate(table.columns):
                    if i in chosen:
                        u = np.log(c.values) * power.values
                        letters.append(Letter(np.exp(np.clip(u, -STEEPEST, STEEPEST)), c.expression**power.expression))
                    elif i != j:
                        letters.append(plain(c))
                yield from _finite(letters, 3)


def _logarithms(base: Column) -> Iterator[Letter]:
    if base.sign > 0:
        yield Letter(np.log(base.values), sympy.log(base.expression))
    if base.values.min() > -1:
        yield Letter(np.log1p(base.values), sympy.log(1 + base.expression))


def _functions_of_each(table: Table) -> Iterator[Set]:
    """Yields combinations of an alphabet for each column, and of functions of two arguments."""
    if table.n_columns == 1:
        return
    choices = [list(alphabets(column)) for column in table.columns]
    if prod(len(choice) for choice in choices) <= MOST_SETS:
        for chosen in all_combinations(*choices):
            if sum(alphabet.name != "t" for alphabet in chosen) > 1:
                yield from _finite([letter for alphabet in chosen for letter in alphabet.letters], 4)
    if table.n_columns > MOST_OF_TWO:
        return
    for (a, used, cost), (b, also, more) in combinations(_arguments(table), 2):
        # Of many columns only two of them, or one of them and something made of it and another.
        if table.n_columns > 2 and not (len(used) + len(also) == 2 or set(used) < set(also)):
            continue
        others = [plain(c) for i, c in enumerate(table.columns) if i not in (*used, *also)]
        for first, second in all_combinations(*([x for x in alphabets(c) if x.name in TWO] for c in (a, b))):
            if table.n_columns == 2 or first.name == second.name:
                yield from _finite([*others, *first.letters, *second.letters], 6 + cost + more)


def _finite(letters: list[Letter], cost: int) -> Iterator[Set]:
    if all(np.isfinite(letter.values).all() for letter in letters):
        yield Set(Letters(letters), WITH_FUNCTIONS, cost)


def _first(table: Table, sets: Iterable[Set], low: int, high: int) -> Found | None:
    """Returns what the first relation gives that holds, of those that cost more than low, and high at most."""
    plans = []
    outers = [*outer_functions(table.y), *powers_of_columns(table)]
    for chosen in sets:
        highest = chosen.letters.highest
        for degrees in chosen.degrees:
            unknowns = sum(n_monomials(degree, highest) for degree in degrees)
            if 2 * unknowns > len(table):
                continue
            for outer in outers[:1] if len(degrees) == 3 else outers:
                cost = unknowns + chosen.cost + OUTER_COST.get(outer.name, OTHER_OUTER_COST)
                if low < cost <= high:
                    plans.append((cost, chosen.letters, outer, degrees))
    plans.sort(key=lambda plan: plan[0])
    for _, letters, outer, degree in plans:
        found = relation(letters, table.y, outer, degree)
        if found is not None:
            return Found(found.expression, (told(letters, outer, degree, found),))
    return None


def told(letters: Letters, outer: Outer, degree: tuple[int, ...], found: Relation) -> str:
    """Returns in words which relation was found, and how well it holds."""
    if len(degree) == 3:
        kind = f"a quadratic equation for y with polynomials of degree {degree[0]}, {degree[1]} and {degree[2]}"
    elif degree[1] == 0:
        kind = f"{outer.name} is a polynomial of degree {degree[0]}"
    else:
        kind = f"{outer.name} is a ratio of polynomials of degree {degree[0]} and {degree[1]}"
    names = ", ".join(str(letter.expression) for letter in letters.letters)
    return (
        f"{kind} in {names} ({found.n_terms} terms; the smallest singular value is {found.smallest:.0e} of the "
        f"largest; it was found on the inner {INNER:.0%} of the rows and holds on the outer ones)"
    )


def _names(table: Table) -> str:
    return ", ".join(str(column.expression) for column in table.columns)
