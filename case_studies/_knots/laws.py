"""Laws of one product: the best of all symbolic networks whose only node multiplies powers.

A *factor* is a power of a variable, or of the sum of squares of two variables; a law is a constant times up to three
factors. There are thousands, but each has one free number, which is linear: all are tried. A symbol more must lower the
error by the share `WORTH`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
import sympy

POWERS = (Fraction(-2), Fraction(-1), Fraction(-1, 2), Fraction(1, 2), Fraction(1), Fraction(2))
WORTH = 0.02
CANDIDATES = 500  # products that are looked at again, with all digits
ROUNDING = 1e-5  # relative error that counts as none


@dataclass(frozen=True)
class Factor:
    """A power of a base, with its samples and the number of symbols it takes."""

    base: sympy.Expr
    power: Fraction
    values: np.ndarray
    complexity: int

    @property
    def formula(self) -> sympy.Expr:
        """The factor in SymPy."""
        return self.base ** sympy.Rational(self.power.numerator, self.power.denominator)


@dataclass(frozen=True)
class Law:
    """A constant times factors.

    Attributes:
        formula: with the constant as fitted.
        error: root mean square error on the samples, as a share of the target's standard deviation.
        complexity: number of symbols.
    """

    formula: sympy.Expr
    error: float
    complexity: int

    @property
    def score(self) -> float:
        """What counts: logarithm of the error, plus what its symbols cost."""
        return float(np.log(max(self.error, ROUNDING))) + WORTH * self.complexity

    @property
    def variables(self) -> set[str]:
        """Names of the variables that occur."""
        return {str(symbol) for symbol in self.formula.free_symbols}


def best_law(columns: Mapping[str, np.ndarray], y: np.ndarray) -> Law:
    """Returns the law with the best score for a target.

    Args:
        columns: samples of each variable, by name.
        y: (samples,) target.

    Example:
        >>> a, b = np.random.default_rng(0).uniform(1, 2, (2, 100))
        >>> best_law({"a": a, "b": b}, 3 * a / (a**2 + b**2)).formula
        3.0*a/(a**2 + b**2)
    """
    one = Factor(sympy.Integer(1), Fraction(1), np.ones_like(y), 0)
    factors = [one, *_factors(columns)]
    single = np.stack([factor.values for factor in factors])
    costs = np.array([factor.complexity for factor in factors])
    pairs = np.array([(i, j) for i, j in combinations(range(len(factors)), 2) if factors[i].base != factors[j].base])
    double = single[pairs[:, 0]] * single[pairs[:, 1]]
    # Overlaps of all products of three with the target, and their lengths, are products of matrices.
    overlap, length = (double * y) @ single.T, double**2 @ (single**2).T
    errors = np.sqrt(np.clip(y @ y - overlap**2 / length, 0, None) / len(y)) / y.std()
    scores = np.log(np.maximum(errors, ROUNDING)) + WORTH * (costs[pairs].sum(1)[:, None] + costs)
    best: list[Law] = []
    for pair, third in zip(*np.unravel_index(np.argsort(scores, axis=None)[:CANDIDATES], scores.shape)):
        chosen = [factors[i] for i in (*pairs[pair], third) if i]
        if len({factor.base for factor in chosen}) == len(chosen):
            best.append(_fitted(chosen, y))
    return min(best, key=lambda law: law.score)


def _fitted(factors: Sequence[Factor], y: np.ndarray) -> Law:
    column = np.prod([factor.values for factor in factors], axis=0)
    constant = float(column @ y / (column @ column))
    error = float(np.sqrt(np.mean((y - constant * column) ** 2)) / y.std())
    formula = sympy.Mul(sympy.Float(constant), *(factor.formula for factor in factors))
    return Law(formula, error, sum(factor.complexity for factor in factors))


def _factors(columns: Mapping[str, np.ndarray]) -> Iterator[Factor]:
    bases: list[tuple[sympy.Expr, np.ndarray, int]] = [(sympy.Symbol(name), v, 1) for name, v in columns.items()]
    for (a, u), (b, v) in combinations(columns.items(), 2):
        bases.append((sympy.Symbol(a) ** 2 + sympy.Symbol(b) ** 2, u**2 + v**2, 4))
    for base, values, complexity in bases:
        for power in POWERS:
            if (power < 0 and (np.abs(values) < ROUNDING).any()) or (power.denominator > 1 and (values < 0).any()):
                continue
            yield Factor(base, power, values ** float(power), complexity + (power != 1) * (1 + power.denominator))
