"""A column that is a factor or a term of its own: y = A(x1) F(x2, ...), or y = B(x1) + F(x2, ...).

Where the logarithmic derivative by a column depends on that column alone, the column makes a factor; where the
derivative does, a term. Its curve is the integral of what the surrogate gives, with the error of that; the curve is
named by a relation of few terms whose coefficients are simple numbers, which are taken as exact. Whether that was right
shows in what is left.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import sympy
from numpy import ndarray
from scipy.interpolate import make_lsq_spline

from kan2.laws.algebra.letters import alphabets
from kan2.laws.algebra.relations import Letters, Powers, monomials
from kan2.laws.budget import spend
from kan2.laws.column import Column, Table
from kan2.laws.numbers import rough
from kan2.laws.reductions.reduction import Reduction, divided
from kan2.laws.reductions.surrogate import Surrogate

ALONE = 0.05  # largest part of a derivative that the column itself may leave unexplained
KNOTS = 12
MOST_TERMS = 4
LEAST = 1e-3  # share of the largest term that the smallest must have
TOLERANCE = 5.0  # errors of the curve that a relation may leave
NEAR = 0.02  # how far a coefficient may be from a simple number
NAMES = 3  # names of one curve that are tried
DOUBT = 0.1


def split_reductions(table: Table, surrogate: Surrogate) -> list[Reduction]:
    """Returns the reductions by columns that are factors or terms of their own and whose curves have names."""
    found = []
    with np.errstate(all="ignore"):
        rates = {"factor": surrogate.gradient / table.y[:, None], "term": surrogate.gradient}
    for i, column in enumerate(table.columns):
        for kind, rate in rates.items():
            if kind == "factor" and not table.sign:
                continue
            curve = _curve(column, rate[:, i])
            if curve is None:
                continue
            values, left = curve
            others = [c for j, c in enumerate(table.columns) if j != i]
            for named in _named(
                column, np.exp(values) if kind == "factor" else values, surrogate.error, kind == "term"
            ):
                told = (
                    f"{column.expression} makes a {kind} of its own, {named.expression}: the derivative depends on it "
                    f"alone up to {left:.1%}"
                )
                if kind == "factor" and named.values.all():
                    found.append(divided(table, others, named, left + DOUBT, told))
                elif kind == "term":
                    rest = Table(tuple(others), table.y - named.values)
                    found.append(Reduction(left + DOUBT, rest, sympy.Integer(1), told, offset=named.expression))
    return found


def _curve(column: Column, rate: ndarray) -> tuple[ndarray, float] | None:
    """Returns the integral of a rate that depends on its column alone, and what it leaves unexplained."""
    t, place, n = np.unique(column.values, return_inverse=True, return_counts=True)
    if not np.isfinite(rate).all() or len(t) < 4 * KNOTS:
        return None
    r = np.bincount(place, rate) / n
    knots = np.concatenate([[t[0]] * 4, np.quantile(t, np.linspace(0, 1, KNOTS)[1:-1]), [t[-1]] * 4])
    try:
        spline = make_lsq_spline(t, r, knots)
    except (ValueError, np.linalg.LinAlgError):  # rows far apart, with knots between them
        return None
    spread = float(np.median(np.abs(rate - np.median(rate))))
    left = float(np.median(np.abs(spline(column.values) - rate))) / spread if spread > 0 else 1.0
    if not left < ALONE:
        return None
    return spline.antiderivative()(column.values), left


def _named(column: Column, values: ndarray, error: float, is_term: bool) -> Iterator[Column]:
    """Yields what a curve may be, up to a factor, or up to a constant where it is a term; the fewest terms first."""
    tolerance = TOLERANCE * max(error, 1e-9)
    found = []
    for alphabet in alphabets(column):
        letters = Letters(alphabet.letters)
        if np.isfinite(letters.U).all():
            found += _relations(letters, values, tolerance, is_term)
    for _, named in sorted(found, key=lambda entry: entry[0])[:NAMES]:
        yield named


def _relations(letters: Letters, g: ndarray, tolerance: float, is_term: bool) -> Iterator[tuple[int, Column]]:
    """Yields all relations of few terms with simple coefficients that hold up to a tolerance."""
    P = monomials(len(letters.letters), 2, letters.highest)
    Q = P[:1] if is_term else P
    terms = [*((0, p) for p in P), *((1, p) for p in Q)]
    with np.errstate(all="ignore"):
        M = np.column_stack([letters.value(p) * (-g if k else 1.0) for k, p in terms])
        M /= np.abs(M).max(1, keepdims=True)
    sizes = np.sqrt((M**2).mean(0))
    if not np.isfinite(M).all() or not sizes.all():
        return
    spend(*M.shape)
    R = np.linalg.qr(M / sizes, mode="r")
    for n in range(2, MOST_TERMS + 1):
        subsets = np.array([c for c in combinations(range(len(terms)), n) if {terms[i][0] for i in c} == {0, 1}])
        _, s, vt = np.linalg.svd(np.swapaxes(np.take(R, subsets, axis=1), 0, 1), full_matrices=False)
        for i in np.flatnonzero(s[:, -1] <= tolerance * s[:, 0]):
            # One that holds without its weakest term was found before.
            if np.abs(vt[i, -1]).min() > LEAST * np.abs(vt[i, -1]).max():
                coefficients = vt[i, -1] / sizes[subsets[i]]
                column = _column(letters, [terms[j] for j in subsets[i]], coefficients, is_term)
                if column is not None:
                    yield n, column


def _column(letters: Letters, terms: list[tuple[int, Powers]], coefficients: ndarray, is_term: bool) -> Column | None:
    """Returns P / Q with the nearest simple coefficients; that of the largest of Q, and of P for a factor, is one."""
    sides: list[list[tuple[Powers, float]]] = [[], []]
    for (k, powers), c in zip(terms, coefficients):
        sides[k].append((powers, float(c) / letters.size(powers)))
    one = max((c for _, c in sides[1]), key=abs)
    ones = one if is_term else max((c for _, c in sides[0]), key=abs), one
    values, parts = [], []
    for side, scale in zip(sides, ones):
        expression, total = sympy.Integer(0), np.zeros(len(letters.U))
        for powers, c in side:
            if is_term and not any(powers) and side is sides[0]:
                continue  # a constant belongs to the rest
            simple = rough(c / scale, NEAR)
            if simple is None:
                return None
            expression += simple * letters.text(powers)
            total += float(simple) * letters.size(powers) * letters.value(powers)
        parts.append(expression)
        values.append(total)
    with np.errstate(all="ignore"):
        ratio = values[0] / values[1]
    if not np.isfinite(ratio).all() or np.ptp(ratio) == 0:
        return None
    return Column(ratio, parts[0] / parts[1])
