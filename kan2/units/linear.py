"""Linear algebra in exact fractions: the systems of dimensions are small, and a rank must not depend on rounding."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

Vector: TypeAlias = tuple[Fraction, ...]


def solved(A: Sequence[Sequence[Fraction]], B: Sequence[Sequence[Fraction]]) -> list[Vector] | None:
    """Returns one solution U of A U = B, in which unknowns that nothing determines are 0; None where there is none.

    Args:
        A: one row for each equation.
        B: right sides, one row for each equation.

    Example:
        >>> one, two = Fraction(1), Fraction(2)
        >>> solved([[one, one], [one, -one]], [[two], [two]]) == [(2,), (0,)]
        True
        >>> solved([[one], [one]], [[one], [two]]) is None
        True
    """
    rows = [[*a, *b] for a, b in zip(A, B, strict=True)]
    n = len(A[0]) if A else 0
    pivots: list[int] = []
    for j in range(n):
        at = next((i for i in range(len(pivots), len(rows)) if rows[i][j]), None)
        if at is None:
            continue
        r = len(pivots)
        rows[r], rows[at] = rows[at], rows[r]
        head = rows[r][j]
        rows[r] = [v / head for v in rows[r]]
        for i, row in enumerate(rows):
            if i != r and row[j]:
                factor = row[j]
                rows[i] = [v - factor * p for v, p in zip(row, rows[r])]
        pivots.append(j)
    if any(any(row[n:]) for row in rows[len(pivots) :]):
        return None
    width = len(B[0]) if B else 0
    found: list[Vector] = [(Fraction(0),) * width] * n
    for row, j in zip(rows, pivots):
        found[j] = tuple(row[n:])
    return found


def rank(vectors: Sequence[Sequence[Fraction]]) -> int:
    """Returns how many of the vectors are independent.

    Example:
        >>> rank([(Fraction(1), Fraction(2)), (Fraction(2), Fraction(4))])
        1
    """
    kept: list[Sequence[Fraction]] = []
    for vector in vectors:
        if any(vector) and not in_span(vector, kept):
            kept.append(vector)
    return len(kept)


def in_span(vector: Sequence[Fraction], of: Sequence[Sequence[Fraction]]) -> bool:
    """Whether a vector is a combination of others."""
    return solved([[v[i] for v in of] for i in range(len(vector))], [[v] for v in vector]) is not None
