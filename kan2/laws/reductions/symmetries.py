"""Scaling symmetries: columns that can be multiplied by powers of one number while the target is multiplied by another.

A law y with y(s^a1 x1, s^a2 x2, ...) = s^b y(x1, x2, ...) fulfils Euler's relation a1 x1 y_1 + a2 x2 y_2 + ... = b y.
The null space of the matrix of all x_i y_i and -y, taken at many rows, holds all such symmetries at once; with m of
them the target is a product of powers times a function of m columns fewer, the *dimensionless groups*, whatever the
units.

Reference: Buckingham, On physically similar systems, Phys. Rev. 4, 345 (1914).
"""

from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.column import Table, product
from kan2.laws.numbers import COARSE, FINE, exponent
from kan2.laws.reductions.reduction import Reduction, divided
from kan2.laws.reductions.surrogate import Surrogate
from kan2.units.groups import choices
from kan2.units.linear import rank

TRIMMED, ROUNDS = 0.7, 4  # share of the rows kept in each round: where a surrogate errs it errs much
SLACK_PER_ERROR, LEAST_SLACK, MOST_SLACK = 100.0, 0.01, 0.08  # what exponents and rows may be off
STEADY = 0.03  # largest spread of the elasticity of a factor, and distance from its exponent
WELL = 1e-4  # error of a surrogate that tells quarters from thirds


def scaling_reductions(table: Table, surrogate: Surrogate) -> list[Reduction]:
    """Returns what the scaling symmetries of a surrogate suggest, the most symmetric first."""
    M = table.X * surrogate.gradient
    found = []
    for scales_target in (True, False) if surrogate.coordinates.target == "loglog" else (True,):
        matrix = np.column_stack([M, -table.y]) if scales_target else M
        for score, rows in _symmetries(matrix, surrogate.error, scales_target):
            groups = _groups(rows, table.n_columns, scales_target)
            if groups is None:
                continue
            factor, powers = groups
            if not 0 < len(powers) < table.n_columns:
                continue
            columns = [product(table.columns, p) for p in powers]
            front = product(table.columns, factor)
            if not all(np.isfinite(c.values).all() for c in (*columns, front)) or not front.values.all():
                continue
            told = (
                f"{table.n_columns - len(powers)} scaling symmetries of {surrogate.coordinates} (median relative error "
                f"{surrogate.error:.0e}, exponents off by {score:.0e}): the target is {front.expression} times a "
                f"function of {', '.join(str(c.expression) for c in columns)}"
            )
            found.append(divided(table, columns, front, score + 0.01 * len(columns), told))
    return found


def factor_reductions(table: Table, surrogate: Surrogate) -> list[Reduction]:
    """Returns the reductions by the columns that a surrogate shows to be factors: their elasticity is one number."""
    with np.errstate(all="ignore"):
        elasticity = table.X * surrogate.gradient / table.y[:, None]
    powers, worst = [], 0.0
    for column, e in zip(table.columns, elasticity.T):
        middle = float(np.nanmedian(e))
        power, off = exponent(middle)
        spread = float(np.nanmedian(np.abs(e - middle)))
        is_factor = power != 0 and off < STEADY and spread < STEADY and column.values.all()
        powers.append(power if is_factor else sympy.Integer(0))
        worst = max(worst, off + spread) if is_factor else worst
    others = [column for column, power in zip(table.columns, powers) if power == 0]
    if not 0 < len(others) < table.n_columns:
        return []
    front = product(table.columns, powers)
    told = (
        f"the target changes as {front.expression}, whatever the other columns are: these derivatives of logarithms "
        f"vary by {worst:.0e} ({surrogate.coordinates}, median relative error {surrogate.error:.0e})"
    )
    return [divided(table, others, front, worst + 0.01 * len(others), told)]


def _symmetries(M: ndarray, error: float, scales_target: bool) -> list[tuple[float, list[list[sympy.Rational]]]]:
    slack = min(MOST_SLACK, max(LEAST_SLACK, SLACK_PER_ERROR * error))
    norms = np.sqrt((M**2).sum(1))
    usable = np.isfinite(norms) & (norms > 0)
    M = M[usable] / norms[usable, None]
    if len(M) < M.shape[1] + 2:
        return []
    # Columns of little influence are lost in the null space, unless all are made equally long.
    lengths = np.sqrt((M**2).mean(0))
    found = []
    for weights in (np.ones(M.shape[1]), 1 / lengths) if lengths.all() else (np.ones(M.shape[1]),):
        found += _null_spaces(M, weights, error, slack, scales_target)
    return found


def _null_spaces(
    M: ndarray, weights: ndarray, error: float, slack: float, scales_target: bool
) -> list[tuple[float, list[list[sympy.Rational]]]]:
    M, found = M * weights, []
    for m in range(M.shape[1] - 1, 0, -1):
        rows, residual = M, np.zeros(len(M))
        for _ in range(ROUNDS):
            V = np.linalg.svd(rows, full_matrices=False)[2][-m:]
            residual = np.sqrt(((M @ V.T) ** 2).sum(1))
            rows = M[residual <= np.quantile(residual, TRIMMED)]
        V = V * weights
        reduced = _echelon(V, M.shape[1] - 1 if scales_target else None)
        if reduced is None:
            continue
        rounded = [[exponent(v, FINE if error < WELL else COARSE) for v in row] for row in reduced]
        off = max(distance / max(1.0, abs(v)) for row, r in zip(reduced, rounded) for v, (_, distance) in zip(row, r))
        middle = float(np.median(residual))
        if off < slack and middle < 1.5 * slack:
            found.append((off + middle, [[power for power, _ in row] for row in rounded]))
    return found


def _echelon(V: ndarray, never: int | None) -> ndarray | None:
    """Returns the reduced row echelon form, its pivots the largest entries, never in one column."""
    V, pivots = V.copy(), []
    for r in range(len(V)):
        free = np.abs(V[r:])
        free[:, [*pivots, *([] if never is None else [never])]] = -1
        i, j = np.unravel_index(int(np.argmax(free)), free.shape)
        if free[i, j] <= 1e-9:
            return None
        V[[r, r + i]] = V[[r + i, r]]
        V[r] /= V[r, j]
        for q in range(len(V)):
            if q != r:
                V[q] -= V[q, j] * V[r]
        pivots.append(int(j))
    return V


def _groups(
    symmetries: list[list[sympy.Rational]], n: int, scales_target: bool
) -> tuple[list[Any], list[list[Any]]] | None:
    """Returns the exponents of the factor, and of the groups, with the smallest numbers."""
    m = len(symmetries)
    scales = [[Fraction(int(p.p), int(p.q)) for p in row] for row in symmetries]
    columns = tuple(tuple(row[j] for row in scales) for j in range(n))
    if rank(columns) < m:
        return None
    # What the scale of a symmetry does to a column, its dimension does, whatever its unit.
    best = choices(columns, tuple(row[n] if scales_target else Fraction(0) for row in scales))[0]
    return [_exact(p) for p in best.prefactor], [[_exact(p) for p in group] for group in best.groups]


def _exact(power: Fraction) -> Any:
    return sympy.Rational(power.numerator, power.denominator)
