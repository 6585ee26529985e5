"""Choosing the terms of a law from a library: networks of symbolic edges, grown term by term.

A *term* is a function of one variable, or a product of functions of two. A law is a constant and a weighted sum of
terms; its value is the logit of a label, so that weights come from logistic regression. Terms are added one by one to
the best few sets so far; the candidates that lower the loss most at first order (the score test) are tried in full.
Ratios of weights become simple numbers, and the set is taken for which EXCHANGE log2(loss) + complexity is then lowest.

Reference: Rao, Large sample tests of statistical hypotheses (1948), doi:10.1017/S0305004100023987.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations

import numpy as np
import sympy
from scipy.special import expit, log_expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from case_studies._judging import expression

Function = Callable[[np.ndarray], np.ndarray]
X = sympy.Symbol("x")
LIBRARY: dict[str, int] = {  # formula in x, complexity
    "x": 1,
    "x**2": 2,
    "x**3": 3,
    "x**4": 3,
    "1/x": 2,
    "Abs(x)": 2,
    "exp(x)": 2,
    "exp(-x)": 3,
    "exp(2*x)": 3,
    "exp(-2*x)": 3,
    "cosh(x)": 2,
    "sinh(x)": 2,
    **{f"Abs(x**2 + {c})": 3 for c in (-3, -2, -1, 1, 2, 3)},
}
LARGEST_ARGUMENT = 3.0  # of exponential functions
LOST = 0.01  # share of labels that may be wrong for reasons of their own, when sets are compared
EXCHANGE = 3.0  # units of complexity that halve the loss
KEPT = 30  # sets whose simple numbers are tried
LARGEST = 10  # denominator of a simple number
RIDGE = 1e-4  # on weights of columns of about unit size
TOLERANCE = 1e-8  # largest gradient, per sample
SLACK = 0.15  # share by which a ratio of weights may differ from the number it stands for


@dataclass(frozen=True)
class Term:
    """A function of one variable, or a product of two.

    Attributes:
        factors: (number of the variable, function of `LIBRARY`) of each factor.
        formula: in the names of the variables.
    """

    factors: tuple[tuple[int, str], ...]
    formula: sympy.Expr

    @property
    def complexity(self) -> int:
        """The sum of those of its functions."""
        return sum(LIBRARY[text] for _, text in self.factors)


@dataclass(frozen=True)
class Chosen:
    """A law: a weighted sum of a constant and terms, positive for the label 1.

    Attributes:
        terms: the terms.
        weights: as fitted, that of the constant first.
    """

    terms: tuple[Term, ...]
    weights: tuple[float, ...]

    @property
    def formula(self) -> sympy.Expr:
        """The law with simple numbers."""
        constant, *ratios = (sympy.Rational(r.numerator, r.denominator) for r in simple_ratios(self.weights))
        return sum((r * term.formula for r, term in zip(ratios, self.terms)), constant)

    @property
    def text(self) -> str:
        """The law as fitted, the first weight of a term scaled to size 1."""
        constant, *ratios = (weight / abs(self.weights[1]) for weight in self.weights)
        return " ".join([f"{constant:.3f}", *(f"{r:+.3f}*{t.formula}" for r, t in zip(ratios, self.terms))])


def candidates(x: np.ndarray, names: Sequence[str]) -> list[Term]:
    """Returns all terms that make sense for samples: functions of one variable first, then products of two.

    Args:
        x: (samples, variables).
        names: of the variables.
    """
    singles: list[Term] = []
    for i, name in enumerate(names):
        low, high = float(x[:, i].min()), float(x[:, i].max())
        for text in LIBRARY:
            steep = ("exp" in text or "h(" in text) and max(-low, high) > LARGEST_ARGUMENT
            pointless = ("Abs" in text and low >= 0) or (text == "1/x" and low <= 0)
            if not steep and not pointless:
                singles.append(Term(((i, text),), expression(text).subs(X, sympy.Symbol(name))))
    pairs = [(a, b) for a, b in combinations(singles, 2) if a.factors[0][0] != b.factors[0][0]]
    return singles + [Term(a.factors + b.factors, a.formula * b.formula) for a, b in pairs]


def columns(terms: Sequence[Term], x: np.ndarray) -> np.ndarray:
    """Evaluates terms, (samples, terms)."""
    known: dict[tuple[int, str], np.ndarray] = {}
    found = np.ones((len(x), len(terms)))
    for j, term in enumerate(terms):
        for i, text in term.factors:
            if (i, text) not in known:
                known[i, text] = _function(text)(x[:, i])
            found[:, j] *= known[i, text]
    return found


def choose(terms: Sequence[Term], x: np.ndarray, labels: np.ndarray, n_search: int = 6000, seed: int = 0) -> Chosen:
    """Returns the law whose loss with simple numbers and complexity are lowest together.

    Args:
        terms: candidates.
        x: (samples, variables).
        labels: (samples,) booleans.
        n_search: samples that the search looks at; the chosen law is fitted to all.
        seed: which samples these are.
    """
    some = np.random.default_rng(seed).permutation(len(x))[:n_search]
    design, y = columns(terms, x[some]), labels[some].astype(float)
    sets = _grow(design, y)
    # What a later term made superfluous is left out again.
    sets = sorted({part for found in sets for n in range(1, len(found) + 1) for part in combinations(found, n)})
    weights = {found: fit(design[:, found], y) for found in sets}

    def score(found: tuple[int, ...], weights: np.ndarray) -> float:
        loss = _careful_loss(_with_one(design[:, found]) @ weights, y)
        return EXCHANGE * np.log2(max(loss, 1e-12)) + sum(terms[j].complexity for j in found)

    def score_of_simple(found: tuple[int, ...]) -> float:
        ratios = simple_ratios(weights[found])
        if any(r.denominator > LARGEST for r in ratios):
            return float("inf")
        numbers = np.array([float(r) for r in ratios])
        value = _with_one(design[:, found]) @ numbers
        effort = sum(abs(r.numerator) + r.denominator - 2 for r in ratios) / 2
        return score(found, numbers * _regression(value[:, None], y)[0][0]) + effort

    near = sorted(sets, key=lambda found: score(found, weights[found]))[:KEPT]
    best = min(near, key=score_of_simple)
    chosen = tuple(terms[j] for j in best)
    return Chosen(chosen, tuple(map(float, fit(columns(chosen, x), labels.astype(float)))))


def simple_ratios(weights: Sequence[float] | np.ndarray) -> list[Fraction]:
    """Returns the simplest numbers for the ratios of weights to the size of the second, the first of a term."""
    return [simplest(float(weight / abs(weights[1]))) for weight in weights]


def simplest(x: float) -> Fraction:
    """Returns the fraction with the smallest numbers within the slack around x; small x as it is.

    Example:
        >>> print(simplest(0.497), simplest(-1.06), simplest(-1.98))
        1/2 -1 -2
    """
    size, sign = abs(x), 1 if x > 0 else -1
    for total in range(2, 4 * LARGEST):
        for q in range(1, total):
            if abs((total - q) / q - size) <= SLACK * size:
                return Fraction(sign * (total - q), q)
    return Fraction(round(x * 10_007), 10_007)


def fit(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns constant and weights of the logistic regression of labels on columns."""
    size = design.std(axis=0)
    weights, _ = _regression(_with_one(design / size), y)
    return weights / np.concatenate([[1.0], size])


def _grow(design: np.ndarray, y: np.ndarray, largest: int = 3, wide: int = 12) -> list[tuple[int, ...]]:
    # All sets among which the search went on.
    design = (design - design.mean(axis=0)) / design.std(axis=0)
    few = slice(None, 1500)
    first = [_regression(_with_one(design[few, [j]]), y[few])[1] for j in range(design.shape[1])]
    last = [(int(j),) for j in np.argsort(first)[:wide]]
    last += [(int(j),) for j in np.argsort(-_gain(design, y, ()))[:wide]]
    sets = list(last)
    for _ in range(largest - 1):
        losses: dict[tuple[int, ...], float] = {}
        for found in dict.fromkeys(last):
            for j in np.argsort(-_gain(design, y, found))[:wide]:
                larger = tuple(sorted({*found, int(j)}))
                if larger not in losses and len(larger) > len(found):
                    losses[larger] = _regression(_with_one(design[:, larger]), y)[1]
        last = sorted(losses, key=losses.__getitem__)[: wide // 2]
        sets += last
    return sets


def _gain(design: np.ndarray, y: np.ndarray, found: tuple[int, ...]) -> np.ndarray:
    # How much each candidate would lower the loss, to first order: the score test, weights of the set adapted.
    present = _with_one(design[:, found])
    p = expit(present @ _regression(present, y)[0])
    weight = p * (1 - p) + 1e-12
    gram = (present * weight[:, None]).T @ present + 1e-9 * np.eye(present.shape[1])
    cross = (present * weight[:, None]).T @ design
    whole = weight @ design**2
    left = whole - (cross * np.linalg.solve(gram, cross)).sum(axis=0)
    gain = (design.T @ (y - p)) ** 2 / np.maximum(left, 1e-9 * len(y))
    gain[left < 1e-6 * whole] = 0
    return gain


def _careful_loss(z: np.ndarray, y: np.ndarray) -> float:
    # Cross-entropy, but for a share of labels that are wrong for reasons of their own.
    right = expit((2 * y - 1) * z)
    return float(len(y) * np.log(1 - LOST) - np.log(LOST + (1 - 2 * LOST) * right).sum())


def _regression(design: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    # Weights and cross-entropy; the touch of ridge holds weights finite where a column tells the labels apart.
    model = LogisticRegression(C=1 / RIDGE, fit_intercept=False, solver="newton-cholesky", tol=TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weights = model.fit(design, y).coef_[0]
    return weights, -float(log_expit((2 * y - 1) * (design @ weights)).sum())


def _with_one(design: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(design), 1)), design], axis=1)


@cache
def _function(text: str) -> Function:
    return sympy.lambdify(X, expression(text), "numpy")
