"""Values of SymPy expressions that owe nothing to networks: what formulas and compiled networks are held against.

NumPy does the work for elementary functions, `lambdify` with SciPy for others, and mpmath, point by point, for the
rest.

Reference: https://docs.sympy.org/latest/modules/utilities/lambdify.html
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import mpmath
import numpy as np
import scipy.special
import sympy
from jaxtyping import Float
from numpy.exceptions import ComplexWarning
from numpy.typing import NDArray


def reference_values(
    expressions: Sequence[sympy.Expr], inputs: Sequence[str], x: Float[NDArray, "sample input"]
) -> Float[NDArray, "sample output"]:
    """Evaluates expressions over plain symbols; the result is not a number where it is not finite and real.

    Args:
        expressions: what to evaluate.
        inputs: names of the columns of x.
        x: (sample, input).

    Example:
        >>> reference_values([sympy.sqrt(sympy.Symbol("x"))], ["x"], np.array([[4.0], [-1.0]])).tolist()
        [[2.0], [nan]]
    """
    columns = dict(zip(inputs, x.T))
    values = np.empty((len(x), len(expressions)))
    for i, expression in enumerate(expressions):
        for function, same in _REPLACED.items():
            expression = expression.replace(function, same)
        try:
            with np.errstate(all="ignore"):
                column = np.broadcast_to(_walk(expression, columns, {}), (len(x),))
        except _NotElementary:
            column = _by_lambdify(expression, inputs, x)
        # NumPy takes a comparison with an undefined value as false, and its power of 0 as 1; here the whole is
        # undefined there.
        relations: Any = expression.atoms(sympy.core.relational.Relational)
        steps: Any = expression.atoms(sympy.Heaviside)
        powers: Any = [power for power in expression.atoms(sympy.Pow) if not power.exp.is_number]
        sides = {r.lhs - r.rhs for r in relations} | {s.args[0] for s in steps}
        sides = sorted(sides | {side for power in powers for side in power.args}, key=str)
        if sides:
            column = column + 0 * reference_values(sides, inputs, x).sum(axis=1)
        angles: Any = expression.atoms(sympy.atan2)
        for angle in angles:
            # NumPy gives the origin, which has no angle, the angle 0.
            at_origin = (reference_values(angle.args, inputs, x) == 0).all(axis=1)
            column = np.where(at_origin, np.nan, column)
        values[:, i] = np.where(np.isfinite(column), column, np.nan)
    return values


def precise_values(
    expressions: Sequence[sympy.Expr], inputs: Sequence[str], x: Float[NDArray, "sample input"], digits: int
) -> Float[NDArray, "sample output"]:
    """Evaluates expressions with many digits, so that cancellation and large exponents do no harm.

    Args:
        expressions: what to evaluate.
        inputs: names of the columns of x.
        x: (sample, input).
        digits: how many decimal digits are carried.

    Example:
        >>> precise_values([sympy.exp(sympy.Symbol("x") - 2000)], ["x"], np.array([[2000.0]]), 40).tolist()
        [[1.0]]
    """
    symbols = [sympy.Dummy(f"x{i}") for i in range(len(inputs))]
    names = {sympy.Symbol(name): symbol for name, symbol in zip(inputs, symbols)}
    with mpmath.workdps(digits):
        columns = [_precise_values(symbols, expression.xreplace(names), x) for expression in expressions]
    return np.stack(columns, 1)


_REPLACED: dict[Any, Any] = {
    # SciPy takes the factorial of a negative number as 0.
    sympy.factorial: lambda n: sympy.gamma(n + 1),
    # `lambdify` would write these with exponentials, which lose digits near zero, and with logarithms of powers.
    sympy.sech: lambda u: 1 / sympy.cosh(u),
    sympy.csch: lambda u: 1 / sympy.sinh(u),
    sympy.coth: lambda u: 1 / sympy.tanh(u),
}


class _NotElementary(Exception):
    """The expression needs `lambdify`."""


_NUMPY: dict[Any, Any] = {
    getattr(sympy, name): getattr(np, numpy_name)
    for name, numpy_name in {
        **{name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sign", "floor")},
        **{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
        **{"Abs": "abs", "atan2": "arctan2", "ceiling": "ceil"},
    }.items()
}


_MANY: dict[Any, Any] = {sympy.Max: np.maximum, sympy.Min: np.minimum, sympy.Mod: np.mod}


def _walk(node: Any, columns: Mapping[str, Any], memo: dict[Any, Any]) -> Any:
    """Evaluates an elementary expression with NumPy, node by node: `lambdify` without generating code, for speed."""
    if node in memo:
        return memo[node]
    if node.is_Symbol:
        value = columns[node.name]
    elif node.is_number:
        value = _real_number(node)
    else:
        args = [_walk(argument, columns, memo) for argument in node.args]
        if node.is_Add:
            value = sum(args[1:], args[0])
        elif node.is_Mul:
            value = np.multiply.reduce(np.broadcast_arrays(*args))
        elif node.is_Pow:
            value = np.sqrt(args[0]) if node.exp == sympy.S.Half else np.power(args[0], args[1])
        elif node.func in _MANY:
            value = reduce(_MANY[node.func], args)
        elif node.func in _NUMPY:
            value = _NUMPY[node.func](*args)
        else:
            raise _NotElementary
    memo[node] = value
    return value


def _real_number(node: Any) -> Any:
    try:
        return np.float64(float(node))
    except (TypeError, OverflowError):
        raise _NotElementary from None


def _by_lambdify(expression: Any, inputs: Sequence[str], x: Any) -> Any:
    symbols = [sympy.Dummy(f"x{i}") for i in range(len(inputs))]
    replaced = expression.xreplace({sympy.Symbol(name): symbol for name, symbol in zip(inputs, symbols)})
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", ComplexWarning)
            function = sympy.lambdify(symbols, replaced, modules=[{"lambertw": _real_lambertw}, "scipy", "numpy"])
            column: Any = np.broadcast_to(np.asarray(function(*x.T)), (len(x),))
        return np.where(np.abs(column.imag) <= 1e-12 * np.abs(column), column.real, np.nan).astype(float)
    except Exception:  # generated code fails in ways as many as there are functions
        return _precise_values(symbols, replaced, x)


def _real_lambertw(x: Any, branch: int = 0) -> Any:
    value = scipy.special.lambertw(x, branch)
    return np.where(np.abs(value.imag) <= 1e-12 * np.abs(value), value.real, np.nan)


def _precise_values(symbols: Any, expression: Any, x: Any) -> Any:
    """Evaluates point by point with mpmath; not a number where that fails or is complex."""
    try:
        function = sympy.lambdify(symbols, expression, "mpmath")
    except Exception:
        return np.full(len(x), np.nan)

    def value(row: Any) -> float:
        try:
            number = mpmath.mpmathify(function(*(mpmath.mpf(float(v)) for v in row)))
            return float(number.real) if abs(number.imag) <= 1e-12 * abs(number) else float("nan")
        except Exception:
            return float("nan")

    return np.array([value(row) for row in x])
