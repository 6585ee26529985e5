"""Operon, genetic programming with local search, on the rows of a law.

Operon computes in float32, where SI units leave the range: columns and target are divided by powers of ten first. What
it finds gets its constants fitted once more in float64, since float32 ends where exact begins. The formula is the one
of its front with the lowest Bayesian information criterion, which asks for no level of noise.

References: Burlacu, Kronberger, Kommenda, Operon C++ (2020), doi:10.1145/3377929.3398099; https://github.com/heal-research/pyoperon
"""

import time
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy.optimize import least_squares

from kan2.expressions.parse import parse_expression
from kan2.expressions.symbols import symbol

SYMBOLS = "add,sub,mul,div,sqrt,exp,log,sin,cos,square,asin,acos,tanh,constant,variable"
LEAST = 1.5  # seconds that are worth another run; one takes whole seconds
SETTINGS: dict[str, Any] = {
    "allowed_symbols": SYMBOLS,
    "objectives": ["r2", "length"],
    "population_size": 1000,
    "max_length": 50,
    "optimizer_iterations": 10,
    "epsilon": 0.0,  # ties up to here go to the shorter formula: of an exact and a good one that would be the wrong one
    "model_selection_criterion": "bayesian_information_criterion",
    "uncertainty": [1.0],  # of a criterion that is not used
    "generations": 10**9,  # time alone ends it
    "max_evaluations": 10**12,
    "n_threads": 1,
}


def installed() -> str | None:
    """Returns the version of pyoperon; None where it is not installed."""
    try:
        return version("pyoperon")
    except PackageNotFoundError:
        return None


def search(x: NDArray, y: NDArray, names: Sequence[str], seconds: float, seed: int) -> sympy.Expr:
    """Returns the formula that Operon finds, in the names of the columns.

    Args:
        x: (row, column).
        y: (row,).
        names: of the columns.
        seconds: of the processor. Operon can only be told seconds of the clock: where others had the processor in
            them, it begins anew for the rest, and the best of these runs counts.
        seed: of the random numbers of the first run.
    """
    from pyoperon.sklearn import SymbolicRegressor  # pyright: ignore[reportMissingImports]

    tens, ten = [power_of_ten(column) for column in x.T], power_of_ten(y)
    plain = [f"x{i}" for i in range(len(names))]
    end, runs = time.process_time() + seconds, []
    while (left := end - time.process_time()) > LEAST or not runs:
        model = SymbolicRegressor(**SETTINGS, max_time=max(1, round(left)), random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x / tens, y / ten)
            lowest = min(row[SETTINGS["model_selection_criterion"]] for row in model.pareto_front_)
            runs.append((lowest, model.get_model_string(model.model_, precision=20, names=plain)))
        seed += 1
    fitted: Any = fit_constants(parse_expression(min(runs)[1], plain), plain, x / tens, y / ten)
    return ten * fitted.xreplace({sympy.Symbol(p): symbol(n) / t for p, n, t in zip(plain, names, tens)})


def power_of_ten(values: NDArray) -> float:
    """Returns the power of ten nearest to the median size of values."""
    sizes = np.abs(values[values != 0])
    return float(10.0 ** np.round(np.log10(np.median(sizes)))) if len(sizes) else 1.0


def fit_constants(expression: sympy.Expr, names: Sequence[str], x: NDArray, y: NDArray) -> sympy.Expr:
    """Returns a formula with its constants fitted to the rows in float64, from where they are.

    Example:
        >>> x = np.linspace(1, 2, 30)[:, None]
        >>> fit_constants(parse_expression("0.987654321*exp(1.01234*a)"), ["a"], x, np.exp(x[:, 0])).evalf(8)
        1.0*exp(1.0*a)
    """
    numbers: Any = expression.atoms(sympy.Number)  # of which short decimals have become fractions
    constants = sorted({n for n in numbers if n.is_Float or n.q > 9}, key=str)
    if not constants:
        return expression
    free = [sympy.Dummy(f"c{i}") for i in range(len(constants))]
    symbols = [*map(sympy.Symbol, names), *free]
    function = sympy.lambdify(symbols, expression.xreplace(dict(zip(constants, free))), "numpy")
    start, spread = np.array([float(c) for c in constants]), y.std() or 1.0

    def misfit(c: NDArray) -> NDArray:
        with np.errstate(all="ignore"):
            residual = np.broadcast_to(function(*x.T, *c), y.shape) - y
        return np.where(np.isfinite(residual), residual, 1e6 * spread) / spread

    tight: dict[str, Any] = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    found = least_squares(misfit, start, jac="3-point", x_scale=np.abs(start), max_nfev=100, **tight)
    if not np.sum(found.fun**2) < np.sum(misfit(start) ** 2):
        return expression
    fitted: Any = expression.xreplace({old: sympy.Float(new) for old, new in zip(constants, found.x)})
    return fitted
