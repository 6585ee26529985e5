"""Two columns that act as one: sums, products, and powers of them, found from the ratio of derivatives.

Where the target depends on x1 and x2 through u(x1, x2) alone, the ratio of its derivatives by them is that of u,
whatever function the target is of u. A ratio that is a product of powers c x1^a x2^b names u, with other columns in it
as well: c x1^(a+1)/(a+1) + x2^(1-b)/(1-b).
"""

from itertools import combinations

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.column import Column, Table
from kan2.laws.numbers import exponent, rough
from kan2.laws.reductions.reduction import Reduction, divided
from kan2.laws.reductions.surrogate import Surrogate

STEADY = 0.03  # median relative spread of a ratio that counts as constant
STRAIGHT = 0.05  # median error of its logarithm, regressed on those of the columns
NEAR = 0.12  # how far exponents may be from whole and half numbers
NEAR_NUMBER = 0.03  # and the coefficient from a simple one
# A pair is tried after a symmetry of the same quality, which says more: all but sums and differences, which no symmetry
# of scales would lead to.
DOUBT, SUM = 0.05, 0.04


def pair_reductions(table: Table, surrogate: Surrogate) -> list[Reduction]:
    """Returns what ratios of derivatives suggest, the surest first."""
    G, found = surrogate.gradient, []
    for i, j in combinations(range(table.n_columns), 2):
        a, b = np.abs(G[:, i]), np.abs(G[:, j])
        rows = (a > 1e-3 * np.median(a)) & (b > 1e-3 * np.median(b))
        if rows.mean() < 0.5:
            continue
        for score, column, told in _merged(table, i, j, G[rows, i] / G[rows, j], rows):
            if not np.isfinite(column.values).all() or np.ptp(column.values) == 0:
                continue
            others = [table.columns[k] for k in range(table.n_columns) if k not in (i, j)]
            evidence = (
                f"{table.columns[i].expression} and {table.columns[j].expression} act as {column.expression} alone: "
                f"{told} ({surrogate.coordinates}, median relative error {surrogate.error:.0e})"
            )
            found.append(divided(table, [column, *others], None, score + DOUBT, evidence))
    return sorted(found, key=lambda reduction: reduction.score)


def _merged(table: Table, i: int, j: int, ratio: ndarray, rows: ndarray) -> list[tuple[float, Column, str]]:
    first, second = table.columns[i], table.columns[j]
    found = []
    middle = float(np.median(ratio))
    spread = float(np.median(np.abs(ratio / middle - 1)))
    told = f"the ratio of the derivatives by them is {middle:.4g}, give or take {spread:.0e}"
    if spread < STEADY and (factor := rough(middle, NEAR_NUMBER)) is not None:
        values = float(factor) * first.values + second.values
        found.append((spread - SUM, Column(values, factor * first.expression + second.expression), told))
    if first.sign <= 0 or second.sign <= 0 or (np.sign(ratio) == np.sign(middle)).mean() < 0.98:
        return found
    # Others of one sign may take part.
    near = [i, j, *(k for k, c in enumerate(table.columns) if k not in (i, j) and c.sign > 0)]
    logs = np.log(table.X[rows][:, near])
    for n_columns in (2, len(near)) if len(near) > 2 else (2,):
        c, error = _robust(np.column_stack([logs[:, :n_columns], np.ones(len(logs))]), np.log(np.abs(ratio)))
        powers, off = zip(*map(exponent, c[:-1]))
        if error > STRAIGHT or max(off) > NEAR or (n_columns > 2 and not any(powers[2:])):
            continue
        told = f"the logarithm of the ratio of the derivatives by them is linear in logarithms up to {error:.0e}"
        exact = np.array([float(p) for p in powers])
        coefficient = float(np.sign(middle) * np.exp(np.median(np.log(np.abs(ratio)) - logs[:, :n_columns] @ exact)))
        others = [table.columns[k].raised(p) for k, p in zip(near[2:], powers[2:]) if p != 0]
        p, q = powers[0] + 1, 1 - powers[1]
        if p == 0 and q == 0 and not others:
            power = exponent(coefficient)[0] if abs(coefficient) > 0.25 else sympy.Integer(1)
            merged = first.raised(power)
            found.append((error, Column(merged.values * second.values, merged.expression * second.expression), told))
        elif p != 0 and q != 0:
            factor = rough(coefficient / float(p) * float(q), NEAR_NUMBER)
            if factor is None:
                continue
            left, right = first.raised(p), second.raised(q)
            values, expression = float(factor) * left.values, factor * left.expression
            for other in others:
                values, expression = values * other.values, expression * other.expression
            found.append(
                (error + 0.02 * len(others), Column(values + right.values, expression + right.expression), told)
            )
        break
    return found


def _robust(A: ndarray, b: ndarray, rounds: int = 10) -> tuple[ndarray, float]:
    """Returns the coefficients of the smallest absolute errors, and the median error."""
    weight, c, error = np.ones(len(b)), np.zeros(A.shape[1]), np.zeros(len(b))
    for _ in range(rounds):
        c = np.linalg.lstsq(A * weight[:, None], b * weight, rcond=None)[0]
        error = np.abs(A @ c - b)
        weight = 1 / np.sqrt(np.maximum(error, 1e-6 + 0.3 * np.median(error)))
    return c, float(np.median(error))
