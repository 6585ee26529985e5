"""Products of powers of columns and of few other factors, by least squares of logarithms.

log|y| = c + sum of p log|x| + sum of q log|factor|: the logarithms of all columns are taken out at once, and what is
left is compared with all factors of a dictionary. An error of y is one of log|y| divided by y, so that rows count by
the square of y.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.budget import spend
from kan2.laws.column import Column
from kan2.laws.noisy.dictionary import Factors
from kan2.laws.numbers import exponent

FIRST, SECOND, REFINED = 30, 4, 15  # factors of which pairs are made, how many with each, and pairs that change
ALONE, MOST = 24, 80  # factors that are tried alone, and all products
SIMPLER = 15  # pairs that are tried as exponentials too
SMALLEST = 1e-10  # share of a factor that the columns do not explain
LEAST_ROWS, FEW = 10, 2
LOST, LOST_AT_MOST = 4.0, 0.1  # squares of rows that are left out, of those of the errors, and of the mean of all
STEEPEST = 4  # power of a factor: cosh(x/50)^5000 is any bell
STEPS = 3  # towards the least squares of the target
TOLD = 0.9  # share of the rows that are no error mostly: below it targets are lost
FAR = 3.0  # standard errors within which there may be no power at all
DEVIATIONS = 2.0  # standard errors within which a power is round


def products(
    columns: Sequence[Column],
    y: Float[ndarray, "row"],
    weight: Float[ndarray, "row"],
    factors: Factors,
    noise: float = 0.0,
) -> Iterator[sympy.Expr]:
    """Yields products with round powers, their number a float in front.

    Args:
        columns: their values.
        y: the target.
        weight: of squared errors of the target.
        factors: of these columns.
        noise: mean square, with these weights, of the errors of the target.
    """
    # The logarithm of what is mostly error says nothing, and is far from that of the law.
    squares = weight * y**2
    least = min(LOST * noise, LOST_AT_MOST * float(squares.mean()))
    used = (squares > least) & np.all([c.values != 0 for c in columns], axis=0)
    varied = [c for c in columns if np.ptp(np.abs(c.values)) > 0]
    # Where targets are lost in the noise, powers and an exponential are too alike to be told apart.
    are_lost = bool(used.mean() < TOLD)
    yield from _products(varied, y, weight, factors, used, are_lost)
    fewer = [] if len(varied) <= FEW else _gentle(varied, y, weight, used) if are_lost else varied
    if len(fewer) < len(varied):
        yield from _products(fewer, y, weight, factors, used, are_lost)


def _gentle(varied: Sequence[Column], y: ndarray, weight: ndarray, used: ndarray) -> list[Column]:
    """Returns columns whose powers are no steep ones, which would rather stand for an exponential."""
    root = np.sqrt(weight[used]) * np.abs(y[used])
    logs = np.stack([np.ones(len(root)), *(np.log(np.abs(c.values[used])) for c in varied)], 1)
    powers = np.linalg.lstsq(root[:, None] * logs, root * np.log(np.abs(y[used])), rcond=None)[0][1:]
    return [c for c, p in zip(varied, powers) if abs(p) <= STEEPEST]


def _products(
    varied: Sequence[Column], y: ndarray, weight: ndarray, factors: Factors, used: ndarray, are_lost: bool
) -> Iterator[sympy.Expr]:
    if used.sum() < max(LEAST_ROWS, 2 * (len(varied) + 3)):
        return
    z, counts = np.log(np.abs(y[used])), weight[used] * y[used] ** 2
    root = np.sqrt(counts / counts.max())
    logs = np.stack([np.ones(len(z)), *(np.log(np.abs(c.values[used])) for c in varied)], 1)
    A = factors.logarithms[used]
    Q = np.linalg.qr(root[:, None] * logs)[0]
    left = root * z - Q @ (Q.T @ (root * z))
    free = root[:, None] * A
    sizes = np.linalg.norm(free, axis=0)
    free = free / np.where(sizes > 0, sizes, 1.0)
    free -= Q @ (Q.T @ free)

    def made(chosen: tuple[int, ...], most: float) -> sympy.Expr | None:
        # Powers become round, the surest first, and the others are fitted again.
        fixed = root * z
        open_ones = [*range(len(varied)), *(len(varied) + i for i, k in enumerate(chosen) if not factors.is_free[k])]
        D = root[:, None] * np.column_stack([logs, A[:, chosen]])
        free_ones = [0, *(1 + len(varied) + i for i, k in enumerate(chosen) if factors.is_free[k])]
        powers: dict[int, Any] = {}
        while open_ones:
            columns = [*free_ones, *(1 + i for i in open_ones)]
            found, errors = _fitted(D[:, columns], fixed)
            j = len(free_ones) + int(np.argmin(errors[len(free_ones) :]))
            i = open_ones.pop(j - len(free_ones))
            powers[i] = _round(float(found[j]), float(errors[j]), most if i < len(varied) else 0.0)
            if i >= len(varied) and abs(powers[i]) > STEEPEST:
                return None
            fixed = fixed - float(powers[i]) * D[:, 1 + i]
        size, *rates = _closer(_fitted(D[:, free_ones], fixed)[0], D[:, free_ones], root, fixed, np.abs(y[used]))
        parts = []
        for c, p in ((c, powers[i]) for i, c in enumerate(varied)):
            parts.append((c.expression if c.sign > 0 or p.is_Integer else sympy.Abs(c.expression)) ** p)
        for n, k in enumerate(chosen):
            power = sympy.Float(float(rates.pop(0)), 17) if factors.is_free[k] else powers[len(varied) + n]
            if power == 0:
                return None
            parts.append(factors.write[k](power))
        return sympy.Mul(sympy.Float(float(np.exp(size)), 17), *parts)

    def beside(k: int, n: int) -> list[tuple[float, int]]:
        spend(len(z), int((2 * A.shape[1]) ** 0.5))
        q = free[:, k] / np.linalg.norm(free[:, k])
        gain = float(q @ left) ** 2
        others = _gains(free.T @ (left - q * (q @ left)), norms - (q @ free) ** 2, factors.kind, n)
        return [(gain + more, other) for more, other in others]

    norms = (free**2).sum(0)
    alone = _gains(free.T @ left, norms, factors.kind, FIRST)
    pairs = {frozenset((k, other)): gain for _, k in alone for gain, other in beside(k, SECOND)}
    # Functions of one monomial resemble each other: which one it is shows when the other factor is there.
    for pair in sorted(pairs, key=lambda pair: -pairs[pair])[:REFINED]:
        for k in pair:
            for gain, other in beside(k, 2):
                pairs.setdefault(frozenset((k, other)), gain)
                for more, first in beside(other, 2):
                    pairs.setdefault(frozenset((first, other)), more)
    best = sorted(pairs, key=lambda pair: -pairs[pair])[: MOST - ALONE]
    # An exponential is the simplest function of a monomial, and many others come near to it.
    exponential = {int(factors.kind[k]): int(k) for k in np.flatnonzero(factors.is_free)[::-1]}
    simple = (frozenset(exponential.get(int(factors.kind[k]), k) for k in pair) for pair in best[:SIMPLER])
    if are_lost:
        best = list(dict.fromkeys((*best, *(pair for pair in simple if len(pair) == 2))))
    single = _gains(free.T @ left, norms, factors.family, ALONE)
    for entries in ((), *((k,) for _, k in single), *map(tuple, map(sorted, best))):
        # Where few rows count, powers are hardly told, and none is the likeliest.
        ways = (made(entries, most) for most in ((0.0, FAR) if are_lost else (0.0,)))
        yield from dict.fromkeys(way for way in ways if way is not None)


def _gains(along: ndarray, norms: ndarray, kind: ndarray, n: int) -> list[tuple[float, int]]:
    """Returns by how much columns lower the squares of what is left, and which they are: the best of n kinds.

    Args:
        along: products of the columns with what is left.
        norms: squared lengths of the columns.
        kind: of each column.
        n: how many.
    """
    usable = norms > SMALLEST
    gains = np.where(usable, along**2 / np.where(usable, norms, 1.0), 0.0)
    found: dict[int, tuple[float, int]] = {}
    for k in np.argsort(-gains, kind="stable"):
        found.setdefault(int(kind[k]), (float(gains[k]), int(k)))
        if len(found) == n:
            break
    return list(found.values())


def _fitted(A: ndarray, y: ndarray) -> tuple[ndarray, ndarray]:
    """Returns the numbers of least squares and their standard errors."""
    Q, R = np.linalg.qr(A)
    inverse = np.linalg.pinv(R)
    found = inverse @ (Q.T @ y)
    spread = np.sqrt(np.sum((y - A @ found) ** 2) / max(1, len(y) - A.shape[1]))
    return found, spread * np.sqrt((inverse**2).sum(1))


def _closer(start: ndarray, D: ndarray, root: ndarray, fixed: ndarray, size: ndarray) -> ndarray:
    """Returns the numbers of a product by least squares of the target, from those of its logarithm.

    Args:
        start: the logarithm of the number in front, and the rates of exponentials.
        D: what they multiply, times `root`.
        root: of what each row counts in the logarithm, that is for a target of this size.
        fixed: the rest of the logarithm, with a minus, times `root`.
        size: of the target.
    """
    found, weight = start, root / size
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            value = np.exp((D @ found - fixed) / root) * size
            step = np.linalg.pinv((weight * value / root)[:, None] * D) @ (weight * (size - value))
            if not np.isfinite(step).all() or np.abs(step[0]) > 1:
                return found
            found = found + step
    return found


def _round(value: float, error: float, most: float) -> Any:
    """Returns the simplest of whole numbers, halves, thirds and quarters within the errors, or else the nearest.

    Args:
        value: fitted.
        error: its standard error.
        most: standard errors within which it is zero.
    """
    if abs(value) <= most * error:
        return sympy.Integer(0)
    for denominator, deviations in ((1, DEVIATIONS), (2, DEVIATIONS), (3, DEVIATIONS / 2), (4, DEVIATIONS / 2)):
        if abs(round(value * denominator) / denominator - value) <= deviations * error:
            return sympy.Rational(round(value * denominator), denominator)
    return exponent(value)[0]
