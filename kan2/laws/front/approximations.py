"""Short formulas for any table: what it looks like before anything is known, and where no law is found.

They are sums of few columns, functions of columns and products of two, each of which lowers most what the sum before it
leaves; products of powers, with the exponents that fit and with round ones; and exponentials and waves of one column,
whose rate is looked for on a grid. All are least squares in the unit of the samples; where logarithms are measured,
since the target spans decades, those of sums are weighted by how far a constant is off, and where a fit may begin.

Reference: Mallat, Zhang, Matching pursuits with time-frequency dictionaries, IEEE Trans. Signal Process. 41 (1993).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.numbers import exponent
from kan2.laws.samples import Samples

MOST_TERMS = 5  # of a sum of functions
MOST_COLUMNS = 30  # of a sum of columns
MOST_PRODUCTS = 30  # columns beyond which products of two are left out
RATES = np.geomspace(0.1, 30.0, 60)  # of exponentials and waves, over the range of the column
ENOUGH = 1e-9  # share of the target that is left, below which no term is added
ROWS_A_TERM = 3
MOST_ROWS = 2000  # by which a rate is looked for; it is fitted to all
OF_FUNCTIONS = "{} of the columns and functions of one with{} a constant"
OF_PRODUCTS = "{} of the columns and products of two with{} a constant"
WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
LARGEST_SHIFT = 400.0  # exponent of what exponentials are multiplied by
EXPONENTIALS, WAVE = ("an exponential of a column", "an exponential of a column and a constant"), "a wave of a column"


@dataclass(frozen=True)
class Approximation:
    """A short formula.

    Attributes:
        expression: in the columns.
        evidence: what it is, in words.
        is_fitted: whether its numbers are those of least squares; else they are where a fit may begin.
    """

    expression: sympy.Expr
    evidence: str
    is_fitted: bool = True


@dataclass(frozen=True, eq=False)
class _Term:
    """A part of a sum: its expression, its values, and whether another unit of its column is a factor of it."""

    expression: sympy.Expr
    values: Float[ndarray, "row"]
    is_power: bool = True


def approximations(samples: Samples) -> Iterator[Approximation]:
    """Yields short formulas with numbers fitted to the rows, the simplest first.

    Args:
        samples: the rows; all are used.
    """
    yield Approximation(_number(samples.constant), "the best constant")
    columns = [_Term(symbol, samples.X[:, j]) for j, symbol in enumerate(samples.symbols)]
    columns = [column for column in columns if np.ptp(column.values) > 0]
    if len(samples) < 2 or not columns:
        return
    yield from _sums(samples, columns, "{} of the columns with{} a constant", min(MOST_COLUMNS, len(columns)))
    yield from _powers(samples, columns)
    functions = list(_functions(columns))
    yield from _sums(samples, [*columns, *functions], OF_FUNCTIONS, MOST_TERMS)
    if len(columns) <= MOST_PRODUCTS:
        products = [
            _Term(a.expression * b.expression, a.values * b.values)
            for a, b in combinations_with_replacement(columns, 2)
        ]
        yield from _sums(samples, [*columns, *products], OF_PRODUCTS, MOST_TERMS)
    yield from _with_a_rate(samples, columns)


def _number(value: float) -> sympy.Expr:
    return sympy.Float(float(value), 17)


def _functions(columns: Sequence[_Term]) -> Iterator[_Term]:
    with np.errstate(all="ignore"):
        for column in columns:
            x, v = column.expression, column.values
            found = [_Term(x**2, v**2), _Term(x**3, v**3), _Term(1 / x, 1 / v), _Term(x**-2, v**-2)]
            if (v > 0).all():
                found += [_Term(sympy.log(x), np.log(v), False), _Term(sympy.sqrt(x), np.sqrt(v))]
            else:
                found.append(_Term(sympy.Abs(x), np.abs(v)))
            yield from (term for term in found if np.isfinite(term.values).all() and np.ptp(term.values) > 0)


def _solved(A: ndarray, y: ndarray) -> tuple[ndarray, float]:
    sizes = np.sqrt((A**2).sum(0))
    sizes[sizes == 0] = 1.0
    found = np.linalg.lstsq(A / sizes, y, rcond=1e-12)[0]
    return found / sizes, float(((A / sizes) @ found - y) @ ((A / sizes) @ found - y))


def _sums(samples: Samples, terms: Sequence[_Term], kind: str, most: int) -> Iterator[Approximation]:
    """Yields sums of one term, of two, and so on, with a constant and, for one term, without."""
    root = np.sqrt(samples.weights(np.full(len(samples), samples.constant)))
    y = root * samples.y
    T = np.stack([root * term.values for term in terms], 1)
    ones, chosen = root[:, None], []
    whole = float(y @ y)
    # A term alone, without a constant.
    norms = np.array([float(t @ t) if term.is_power else 0.0 for term, t in zip(terms, T.T)])
    best = int(np.argmax((T.T @ y) ** 2 / np.where(norms > 0, norms, np.inf)))
    yield Approximation(_number(_solved(T[:, [best]], y)[0][0]) * terms[best].expression, kind.format("one", "out"))
    left = y - ones[:, 0] * (ones[:, 0] @ y) / float(ones[:, 0] @ ones[:, 0])
    for n in range(1, most + 1):
        if len(samples) < ROWS_A_TERM * n or float(left @ left) <= ENOUGH**2 * whole:
            return
        basis = np.linalg.qr(np.hstack([ones, T[:, chosen]]))[0]
        free = T - basis @ (basis.T @ T)
        norms = (free**2).sum(0)
        usable = norms > 1e-18 * (T**2).sum(0)
        gains = np.where(usable, (free.T @ left) ** 2 / np.where(usable, norms, 1.0), 0.0)
        best = int(np.argmax(gains))
        if not gains[best] > 0:
            return
        chosen.append(best)
        A = np.hstack([ones, T[:, chosen]])
        found, _ = _solved(A, y)
        left = y - A @ found
        parts = [_number(c) * terms[j].expression for c, j in zip(found[1:], chosen)]
        yield Approximation(sympy.Add(_number(found[0]), *parts), kind.format(WORDS.get(n, n), ""))


def _powers(samples: Samples, columns: Sequence[_Term]) -> Iterator[Approximation]:
    """Yields products of powers of one positive column, of two, and so on, with free and with round exponents."""
    y = samples.y
    positive = [column for column in columns if (column.values > 0).all()]
    if not positive or not ((y > 0).all() or (y < 0).all()):
        return
    sign = 1.0 if y[0] > 0 else -1.0
    # An absolute error is a relative one times the target.
    root = np.sqrt(samples.weights(y)) * np.abs(y)
    root = root / root.max()
    z = np.log(np.abs(y))
    L = np.stack([np.log(column.values) for column in positive], 1)
    ones, chosen = np.ones((len(y), 1)), []
    for n in range(1, min(len(positive), MOST_COLUMNS) + 1):
        if len(samples) < ROWS_A_TERM * n:
            return
        rest = [j for j in range(len(positive)) if j not in chosen]
        trials = [_solved(root[:, None] * np.hstack([ones, L[:, [*chosen, j]]]), root * z)[1] for j in rest]
        chosen.append(rest[int(np.argmin(trials))])
        found, left = _solved(root[:, None] * np.hstack([ones, L[:, chosen]]), root * z)
        # As round numbers, the whole, half or third ones next to them.
        round_ones = [exponent(p)[0] for p in found[1:]]
        for exponents in (round_ones, [_number(p) for p in found[1:]]):
            sizes = z - L[:, chosen] @ np.array([float(p) for p in exponents])
            factor = sign * np.exp(float(np.average(sizes, weights=root**2)))
            powers = [positive[j].expression ** p for j, p in zip(chosen, exponents)]
            kind = "round" if exponents is round_ones else "free"
            yield Approximation(sympy.Mul(_number(factor), *powers), f"powers of columns with {kind} exponents", False)
        if left <= ENOUGH**2 * float((root * z) @ (root * z)):
            return


def _with_a_rate(samples: Samples, columns: Sequence[_Term]) -> Iterator[Approximation]:
    """Yields the best a exp(k x), a exp(k x) + b and a sin(k x + f) + b, of all columns."""
    if len(samples) > MOST_ROWS:
        some = np.zeros(len(samples), bool)
        some[np.linspace(0, len(samples) - 1, MOST_ROWS).round().astype(int)] = True
        samples, columns = samples.part(some), [_Term(c.expression, c.values[some]) for c in columns]
    y, n = samples.y, len(samples)
    root = np.sqrt(samples.weights(np.full(n, samples.constant)))
    best: dict[str, tuple[float, sympy.Expr, float, ndarray, float]] = {}

    def offer(kind: str, x: sympy.Expr, k: float, parts: list[ndarray], shift: float = 1.0) -> None:
        A = np.stack(parts, 1) * root[:, None]
        if np.isfinite(A).all():
            found, left = _solved(A, root * y)
            if kind not in best or left < best[kind][0]:
                best[kind] = left, x, k, found, shift

    one = np.ones(n)
    for column in columns:
        x, v = column.expression, column.values
        width = float(np.ptp(v))
        for rate in RATES:
            for k in (rate / width, -rate / width):
                end = float(v.max() if k > 0 else v.min())
                if abs(k * end) > LARGEST_SHIFT:
                    continue
                values = np.exp(k * (v - end))  # the largest is 1
                offer(EXPONENTIALS[0], x, k, [values], float(np.exp(-k * end)))
                if n > 2 * ROWS_A_TERM:
                    offer(EXPONENTIALS[1], x, k, [values, one], float(np.exp(-k * end)))
            if n > 4 * ROWS_A_TERM:
                k = 2 * rate / width
                offer(WAVE, x, k, [np.sin(k * v), np.cos(k * v), one])
    for kind, (_, x, k, found, shift) in best.items():
        if kind == WAVE:
            size, phase = float(np.hypot(found[0], found[1])), float(np.arctan2(found[1], found[0]))
            expression = _number(size) * sympy.sin(_number(k) * x + _number(phase)) + _number(found[2])
        else:
            expression = _number(found[0] * shift) * sympy.exp(_number(k) * x) + sum(map(_number, found[1:]))
        yield Approximation(expression, kind, False)
