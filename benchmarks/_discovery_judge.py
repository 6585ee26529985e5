"""When a formula counts as the law: on new rows, from ranges that go on beyond those it was found in.

The ranges are prolonged upwards by half their width, or by half a decade where they are logarithmic. Rows at which the
true law is not finite and real are left out; the formula must be finite and real on nearly all the others, and its
error there small beside the spread of the law. Formulas are evaluated by `sympy.lambdify`, not by this project.

Under noise a formula is right that becomes the law when its numbers are fitted again to rows without noise, moves none
of them by more than three standard errors thereby, and has no more of them than the law.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from case_studies._laws import Law
from kan2.laws.front.polish import Fit, Form
from kan2.laws.samples import samples_of

EXACT = 1e-6  # root mean square error, in standard deviations of the law
FINITE = 0.99  # share of rows
ROWS = 1000
ERRORS = 3.0  # standard errors
REAL = 1e-9  # imaginary parts up to this share of the modulus are rounding: of sqrt(a)*sqrt(b), both negative


@dataclass(frozen=True)
class Judgement:
    """Whether a formula is the law, its error in standard deviations, and the share of rows where it is finite."""

    exact: bool
    error: float
    finite: float


def judge(formula: Any, law: Law, seed: int = 0) -> Judgement:
    """Holds a formula in the names of the columns against the law."""
    x, y = law.rows(ROWS, seed, prolonged=True)
    found = values(formula, law.names, x)
    keep = np.isfinite(found)
    share = float(keep.mean())
    if not keep.any():
        return Judgement(False, math.inf, 0.0)
    # Squares of numbers in SI units may leave float64.
    size = np.abs(y).max()
    y, found = y / size, found / size
    with np.errstate(over="ignore"):
        error = float(np.sqrt(np.mean((found - y)[keep] ** 2)) / y.std())
    return Judgement(error <= EXACT and share >= FINITE, error, share)


def judge_noisy(formula: Any, law: Law, x: NDArray, y: NDArray, seed: int = 0) -> Judgement:
    """Holds a formula that was found in noisy rows (x, y) against the law; see the module."""
    symbols = tuple(sympy.Symbol(name) for name in law.names)
    form = Form.of(sympy.sympify(formula))
    if len(form.numbers) > n_numbers(law.expression):
        return Judgement(False, math.inf, 1.0)
    noisy = Fit(form, samples_of(x, y, symbols))
    clean = Fit(form, samples_of(x, law.values(x), symbols), noisy.numbers)
    judged = judge(clean.expression, law, seed)
    is_near = bool((np.abs(clean.numbers - form.start) <= ERRORS * noisy.errors).all())
    return Judgement(judged.exact and is_near, judged.error, judged.finite)


def n_numbers(expression: Any) -> int:
    """Returns how many numbers an expression has besides 1, -1 and exponents.

    Example:
        >>> x = sympy.Symbol("x")
        >>> n_numbers(3 * sympy.exp(-(x**2) / 2)), n_numbers(x**2 - 1)
        (2, 0)
    """
    if expression.is_Number or expression.is_NumberSymbol:
        return int(abs(expression) != 1)
    parts = (
        expression.args[:1]
        if isinstance(expression, sympy.Pow) and not expression.exp.free_symbols
        else expression.args
    )
    return sum(map(n_numbers, parts))


def values(formula: Any, names: Sequence[str], x: NDArray) -> NDArray:
    """Returns what a formula gives on (row, column), not a number where that is not finite and real.

    Example:
        >>> a = sympy.Symbol("a")
        >>> values(sympy.sqrt(a) * sympy.sqrt(a - 3), ["a"], np.array([[4.0], [-1.0], [1.0]])).tolist()
        [2.0, -2.0, nan]
    """
    nothing = np.full(len(x), np.nan)
    try:
        expression = sympy.sympify(formula)
        # Columns may be called as Python's words are, or SymPy's.
        symbols = [sympy.Dummy(f"x{i}") for i in range(len(names))]
        expression = expression.xreplace({sympy.Symbol(name): symbol for name, symbol in zip(names, symbols)})
        function = sympy.lambdify(symbols, expression, ["scipy", "numpy"])
        result = _real(function, x)
        odd = ~np.isfinite(result)
        if odd.any():
            result[odd] = _real(function, x[odd].astype(complex))
    except Exception:  # functions that NumPy has not, numbers beyond float64, symbols that are no columns
        return nothing
    return np.where(np.isfinite(result), result, np.nan)


def _real(function: Any, x: NDArray) -> NDArray:
    with np.errstate(all="ignore"):
        result: Any = np.array(np.broadcast_to(np.asarray(function(*x.T)), (len(x),)))
        if np.iscomplexobj(result):
            result = np.where(np.abs(result.imag) <= REAL * np.abs(result), result.real, np.nan)
    return result.astype(float)
