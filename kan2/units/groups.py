"""Products of columns without dimension, and those with the dimension of the target: Buckingham's theorem.

With n columns whose dimensions have rank r, a right law is a product of powers of columns times a function of n - r
products without dimension, the *groups*. Which ones is a choice: r columns, the *repeating* ones, give the prefactor,
and each other column times powers of these is a group.

Reference: Buckingham, On physically similar systems, Phys. Rev. 4, 345 (1914).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, islice
from math import lcm

from kan2.units.linear import Vector, rank, solved

MOST = 2000  # choices of repeating columns that are looked at


@dataclass(frozen=True)
class Choice:
    """A prefactor and groups, as exponents of the columns, and how far they are from simple."""

    cost: float
    prefactor: Vector
    groups: tuple[Vector, ...]


@lru_cache(maxsize=64)
def choices(columns: tuple[Vector, ...], target: Vector) -> tuple[Choice, ...]:
    """Returns all choices, simple ones first; none where no product of columns has the dimension of the target.

    Args:
        columns: the dimensions of the columns.
        target: that of the target.

    Example:
        >>> length, time = (Fraction(1), Fraction(0)), (Fraction(0), Fraction(1))
        >>> best = choices((length, time, length), (Fraction(2), Fraction(-2)))[0]
        >>> [int(p) for p in best.prefactor], [[int(p) for p in group] for group in best.groups]
        ([2, -2, 0], [[-1, 0, 1]])
    """
    n, r = len(columns), rank(columns)
    found: dict[tuple[Vector, tuple[Vector, ...]], Choice] = {}
    for repeating in islice(combinations(range(n), r), MOST):
        if rank([columns[i] for i in repeating]) < r:
            continue
        A = [[columns[i][k] for i in repeating] for k in range(len(target))]
        powers = solved(A, [[v] for v in target])
        if powers is None:
            return ()
        prefactor = _spread(n, repeating, [p[0] for p in powers])
        groups = []
        for j in (j for j in range(n) if j not in repeating):
            shares = solved(A, [[-v] for v in columns[j]]) or []
            group = list(_spread(n, repeating, [p[0] for p in shares]))
            group[j] = Fraction(1)
            common = lcm(*(p.denominator for p in group))
            groups.append(tuple(p * common for p in group))
        choice = Choice(_cost(prefactor, groups), prefactor, tuple(groups))
        found.setdefault((prefactor, tuple(sorted(groups))), choice)
    return tuple(sorted(found.values(), key=lambda choice: choice.cost))


def _spread(n: int, places: Sequence[int], powers: Sequence[Fraction]) -> Vector:
    found = [Fraction(0)] * n
    for place, power in zip(places, powers):
        found[place] = power
    return tuple(found)


def _cost(prefactor: Vector, groups: Sequence[Vector]) -> float:
    # Small exponents, few below a line, no roots: what people would write.
    everything = [p for group in groups for p in group]
    cost = float(sum(map(abs, everything)) + sum(map(abs, prefactor)))
    return cost + 0.1 * sum(p < 0 for p in everything) + 0.5 * sum(p.denominator > 1 for p in prefactor)
