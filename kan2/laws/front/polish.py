"""The numbers of a formula, fitted together: least squares, standard errors, and simple numbers within them.

*Numbers* are the floats of an expression; whole numbers, fractions and pi are exact and stay. A float that occurs twice
is one number. A fit never leaves more than the expression it began with. Standard errors come from the Jacobian at the
fit, covariance = s^2 (J'J)^-1, with s^2 the mean square of what is left.

Reference: Seber, Wild, Nonlinear Regression (1989), section 2.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.interrupts import check_time
from kan2.laws.front.evaluate import NotPlain, walked
from kan2.laws.samples import ROUNDS, SETTLED, Samples

MOST_EVALUATIONS = 60  # of a fit, for each number
INFINITE = (sympy.zoo, sympy.oo, -sympy.oo, sympy.nan)
JUMPS = (sympy.DiracDelta, sympy.Derivative, sympy.Subs)
ROUNDING = 1e-14  # share of a number that rounding leaves unsure


@dataclass(frozen=True)
class FittedNumber:
    """A number of a formula.

    Attributes:
        value: as it was fitted.
        error: its standard error, infinite where the rows do not tell it.
    """

    value: float
    error: float


def with_single_numbers(expression: sympy.Expr) -> sympy.Expr:
    """Writes a (b f + c) as (a b) f + a c: of three numbers in place of two rows tell none.

    Example:
        >>> x = sympy.Symbol("x")
        >>> with_single_numbers(2.0 * x * (1.5 * sympy.exp(x) - 1.5))
        x*(3.0*exp(x) - 3.0)
    """

    def written(product: Any) -> Any:
        number, rest = product.as_coeff_Mul()
        factors = sympy.Mul.make_args(rest)
        (total,) = (factor for factor in factors if factor.is_Add)
        others = (factor for factor in factors if factor is not total)
        return sympy.Mul(*others, sympy.Add(*(number * term for term in total.args)))

    def has_needless(e: Any) -> bool:
        if not (e.is_Mul and e.args[0].is_Float):
            return False
        totals = [factor for factor in e.args if factor.is_Add]
        return len(totals) == 1 and any(term.as_coeff_Mul()[0].is_Float for term in totals[0].args)

    known: Any = expression
    return known.replace(has_needless, written)


@dataclass(frozen=True, eq=False)
class Form:
    """An expression with symbols in place of its numbers.

    Attributes:
        expression: in columns and numbers.
        numbers: the symbols of the numbers.
        start: (number,) their values.
    """

    expression: sympy.Expr
    numbers: tuple[sympy.Symbol, ...]
    start: Float[ndarray, "number"]

    @classmethod
    def of(cls, expression: sympy.Expr) -> "Form":
        """Takes the floats of an expression for its numbers."""
        floats = sorted(expression.atoms(sympy.Float), key=float)
        numbers = tuple(_placeholder("c", i) for i in range(len(floats)))
        found = cast(sympy.Expr, expression.xreplace(dict(zip(floats, numbers))))
        return cls(found, numbers, np.array([float(f) for f in floats]))

    def with_values(self, values: Float[ndarray, "number"]) -> sympy.Expr:
        """Returns the expression with numbers in it."""
        floats = {c: sympy.Float(float(v), 17) for c, v in zip(self.numbers, values)}
        return cast(sympy.Expr, self.expression.xreplace(floats))


@lru_cache(maxsize=4096)
def _placeholder(letter: str, i: int) -> sympy.Dummy:
    # The same ones for all forms, so that equal forms are compiled once.
    # Real, so that the derivative of a magnitude is a sign.
    return sympy.Dummy(f"{letter}{i}", real=True)


@lru_cache(maxsize=512)
def compiled(expressions: tuple[sympy.Expr, ...], symbols: tuple[sympy.Symbol, ...]) -> Callable[..., list[Any]]:
    """Returns a function of columns and numbers, see `evaluated`, that gives what expressions are."""
    plain = {symbol: _placeholder("v", i) for i, symbol in enumerate(symbols)}
    # SymPy has no code for what is infinite everywhere; it is no number at any row.
    finite = [sympy.nan if e.has(*INFINITE) else e.xreplace(plain) for e in expressions]
    # Functions of SciPy where NumPy has none.
    return sympy.lambdify([*plain.values()], finite, modules=["numpy", "scipy"], cse=True)


def values(
    expression: sympy.Expr, symbols: tuple[sympy.Symbol, ...], X: Float[ndarray, "row column"]
) -> Float[ndarray, "row"]:
    """Returns the values of an expression at rows of a table; nan where it is not real.

    Args:
        expression: without other symbols.
        symbols: of the columns.
        X: finite numbers.
    """
    try:
        return walked(expression, symbols, X)
    except NotPlain:
        return evaluated(compiled((expression,), symbols), X.T, len(X))[0]


def evaluated(function: Callable[..., list[Any]], arguments: Any, n: int) -> list[ndarray]:
    """Returns what a compiled function gives at n rows, each (row,); nan where it is not real."""
    with np.errstate(all="ignore"):
        try:
            found = [np.asarray(value) for value in function(*arguments)]
            found = [v.astype(float) if v.dtype == object else v for v in found]
        except (OverflowError, ZeroDivisionError, ValueError):  # of Python's own numbers
            found = [np.asarray(np.nan)] * len(function.__code__.co_varnames)
        real = [np.where(np.imag(v) == 0, np.real(v), np.nan) if np.iscomplexobj(v) else v for v in found]
    return [np.broadcast_to(np.asarray(v, float), (n,)) for v in real]


def _slope(expression: Any, number: sympy.Symbol) -> sympy.Expr:
    # Steps have slopes at single points, where no row is.
    return cast(sympy.Expr, expression.diff(number).replace(lambda e: isinstance(e, JUMPS), lambda _: sympy.Integer(0)))


class Fit:
    """The fit of a form to rows.

    Args:
        form: what is fitted.
        samples: the rows.
        start: (number,) where to begin; by default where the form does.
        is_best: whether the start is the best already.

    Attributes:
        form: what was fitted.
        numbers: (number,) the best values.
        size: the loss there.
    """

    def __init__(self, form: Form, samples: Samples, start: Any = None, is_best: bool = False) -> None:
        self.form, self.samples = form, samples
        self._arguments = (*samples.symbols, *form.numbers)
        self._function = compiled((form.expression,), self._arguments)
        self.numbers = np.array(form.start if start is None else start, float)
        self.size = samples.size(self.values(self.numbers))
        if self.numbers.size and np.isfinite(self.size) and not is_best:
            self._improve()

    @cached_property
    def _slopes(self) -> Callable[..., list[Any]]:
        # Of magnitudes and steps there are derivatives in real symbols only.
        real = {symbol: _placeholder("v", i) for i, symbol in enumerate(self._arguments)}
        expression = self.form.expression.xreplace(real)
        return compiled(tuple(_slope(expression, real[c]) for c in self.form.numbers), tuple(real.values()))

    def values(self, numbers: Float[ndarray, "number"], X: ndarray | None = None) -> Float[ndarray, "row"]:
        """Returns the values of the form at all rows, or at others."""
        X = self.samples.X if X is None else X
        return evaluated(self._function, (*X.T, *numbers), len(X))[0]

    def jacobian(self, numbers: Float[ndarray, "number"]) -> Float[ndarray, "row number"]:
        """Returns the derivatives of the values by the numbers; 0 where they are not finite."""
        columns = evaluated(self._slopes, (*self.samples.X.T, *numbers), len(self.samples))
        return np.nan_to_num(np.stack(columns, 1), nan=0.0, posinf=0.0, neginf=0.0)

    def _improve(self) -> None:
        for _ in range(ROUNDS if self.samples.loss is not None else 1):
            check_time()
            before = self.size
            found = self._least_squares()
            size = self.samples.size(self.values(found))
            if not size < before:
                break
            self.numbers, self.size = found, size
            if before - size <= SETTLED * before:
                break

    def _of_squares(self, start: Float[ndarray, "number"]) -> tuple[Callable[..., ndarray], Callable[..., ndarray]]:
        # Residuals and derivatives, functions of the numbers, whose squares have the slope of the loss at a start.
        samples = self.samples
        if samples.loss is None:
            root = np.sqrt(samples.weight)

            def residuals(numbers: ndarray) -> ndarray:
                return root * samples.off(self.values(numbers))

            def slopes(numbers: ndarray) -> ndarray:
                return (root * samples.slopes(self.values(numbers)))[:, None] * self.jacobian(numbers)

        else:
            root = np.sqrt(samples.weights(self.values(start)))

            def residuals(numbers: ndarray) -> ndarray:
                return root * (self.values(numbers) - samples.y)

            def slopes(numbers: ndarray) -> ndarray:
                return root[:, None] * self.jacobian(numbers)

        return residuals, slopes

    def _least_squares(self) -> Float[ndarray, "number"]:
        from scipy import optimize

        least_squares: Any = optimize.least_squares

        # In units of the numbers and of the residuals at the start, so that no unit of measure is near an underflow.
        unit = np.where(self.numbers == 0, 1.0, np.abs(self.numbers))
        residuals, slopes = self._of_squares(self.numbers)
        whole = float(np.sqrt(np.mean(residuals(self.numbers) ** 2))) or 1.0
        scale = np.maximum(whole, 1e-300) if np.isfinite(whole) else 1.0
        try:
            found = least_squares(
                lambda u: residuals(u * unit) / scale,
                self.numbers / unit,
                lambda u: slopes(u * unit) * unit / scale,
                x_scale="jac",
                ftol=1e-15,
                xtol=1e-15,
                gtol=1e-15,
                max_nfev=MOST_EVALUATIONS * len(unit),
            )
        except (ValueError, np.linalg.LinAlgError, FloatingPointError):
            return self.numbers
        return found.x * unit

    @property
    def expression(self) -> sympy.Expr:
        """The form with the fitted numbers."""
        return self.form.with_values(self.numbers)

    def _weighted(self) -> tuple[ndarray, ndarray, ndarray]:
        # J and residuals in the units of the loss, and the sizes of the columns of J.
        residuals, slopes = self.samples.linearised(self.values(self.numbers))
        J = slopes[:, None] * self.jacobian(self.numbers)
        with np.errstate(over="ignore"):
            sizes = np.sqrt((J**2).sum(0))
        return J, residuals, np.where(sizes > 0, sizes, 1.0)

    @property
    def errors(self) -> Float[ndarray, "number"]:
        """The standard errors of the numbers."""
        if not self.numbers.size:
            return np.zeros(0)
        J, residual, sizes = self._weighted()
        free = len(residual) - len(self.numbers)
        if not np.isfinite(J / sizes).all():
            return np.full(len(self.numbers), np.inf)
        _, s, V = np.linalg.svd(J / sizes, full_matrices=False)
        if free <= 0 or s[-1] <= 1e-13 * s[0]:
            return np.full(len(self.numbers), np.inf)
        # Rounding is an error of the target too.
        rounding = ROUNDING * np.sqrt(np.mean(self.samples.weights(self.samples.y) * self.samples.y**2))
        spread = max(float(np.sqrt((residual**2).sum() / free)), float(rounding))
        deviations = spread * np.sqrt(((V / s[:, None]) ** 2).sum(0)) / sizes
        return np.maximum(deviations, ROUNDING * np.abs(self.numbers))

    @property
    def precisions(self) -> list[float]:
        """The standard errors as shares of the numbers."""
        with np.errstate(all="ignore"):
            return np.nan_to_num(self.errors / np.abs(self.numbers), nan=1.0, posinf=1.0).tolist()

    @property
    def left_out(self) -> Float[ndarray, "row"]:
        """What the form gives for every row, had that row been left out: linearised at the fit."""
        found = self.values(self.numbers)
        if not self.numbers.size:
            return found
        J, _, sizes = self._weighted()
        if not np.isfinite(J / sizes).all():
            return found
        U, s, _ = np.linalg.svd(J / sizes, full_matrices=False)
        leverage = (U[:, s > 1e-13 * s[0]] ** 2).sum(1)
        with np.errstate(all="ignore"):
            # A row that alone tells a number says nothing of it.
            return np.where(leverage > 1 - 1e-9, np.inf, self.samples.left_out(found, leverage))


def error_aside(fit: Fit, samples: Samples) -> float:
    """Returns the error of a fit to the rest on rows kept aside, or with every row left out in turn."""
    if samples.leaves_one_out:
        return samples.error(fit.left_out)
    aside = samples.aside
    return aside.error(fit.values(fit.numbers, aside.X))


def error_of_all(fit: Fit, samples: Samples) -> float:
    """Returns the error of a fit to the rest on all rows, each of which was left out.

    It is what descriptions are measured by: on the rows kept aside alone two formulas that are equally near differ by
    chance, and that difference counts for all rows.
    """
    found = fit.left_out
    if not samples.leaves_one_out:
        every = np.empty(len(samples))
        every[samples.kept], every[~samples.kept] = fit.values(fit.numbers, samples.aside.X), found
        found = every
    return samples.error_cut(found)


def polished(expression: sympy.Expr, samples: Samples) -> tuple[sympy.Expr, tuple[FittedNumber, ...]]:
    """Returns an expression with its numbers fitted to rows, and these with their standard errors.

    Args:
        expression: in the columns; without floats it comes back as it is.
        samples: the rows; all are used.

    Example:
        >>> from kan2.laws.samples import samples_of
        >>> x, rows = sympy.Symbol("x"), np.linspace(1, 2, 20)
        >>> samples = samples_of(rows[:, None], 2.5 * rows, (x,))
        >>> float(polished(2.4 * x, samples)[0].subs(x, 1)) == 2.5
        True
    """
    form = Form.of(expression)
    if not form.numbers:
        return expression, ()
    fit = Fit(form, samples)
    numbers = tuple(FittedNumber(float(v), float(e)) for v, e in zip(fit.numbers, fit.errors))
    return fit.expression, numbers
