"""Products of a monomial and one usual function of a monomial, with no number but a factor.

Between columns that have no units, and groups of columns that have none, laws of nature need few numbers:
m0/sqrt(1 - v^2/c^2), hbar omega/(exp(hbar omega/(k T)) - 1). Where errors are large, numbers inside would fit many
other functions as well; without them there are so few candidates that the right one shows.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.budget import spend
from kan2.laws.column import Column
from kan2.laws.front.complexity import complexity
from kan2.laws.noisy.dictionary import exponents, monomials

U = sympy.Dummy("u", real=True)
FUNCTIONS: tuple[sympy.Expr, ...] = (
    1 / (1 + U), 1 / (1 - U), 1 + U, 1 - U, 1 + U**2, 1 - U**2, 1 / (1 + U**2), 1 / (1 - U**2),
    sympy.sqrt(1 - U**2), 1 / sympy.sqrt(1 - U**2), sympy.sqrt(1 + U**2), 1 / sympy.sqrt(1 + U**2),
    sympy.sqrt(1 - U), 1 / sympy.sqrt(1 - U), sympy.sqrt(1 + U), 1 / sympy.sqrt(1 + U),
    sympy.sqrt((1 + U) / (1 - U)), (1 + U) / (1 - U),
    sympy.exp(-U), sympy.exp(U), sympy.exp(-(U**2)), sympy.exp(-(U**2) / 2), 1 - sympy.exp(-U),
    1 / (sympy.exp(U) - 1), 1 / (sympy.exp(U) + 1), sympy.tanh(U), sympy.sinh(U), sympy.cosh(U), 1 / sympy.cosh(U) ** 2,
    sympy.sin(U), sympy.cos(U), sympy.tan(U), sympy.sin(U) ** 2, sympy.cos(U) ** 2, sympy.sin(U) ** 2 / U**2,
    sympy.log(U), sympy.log(1 + U), sympy.atan(U),
)  # fmt: skip
MOST_COLUMNS = 3
OF_ARGUMENT, OF_FACTOR = 2, 3  # degrees of the monomials, one more for a single column
BEST = 8  # that are handed on
DEVIATIONS = 3.0  # standard errors of a factor within which it is one
ROUNDING = 1e-12
NODE, NUMBER = 2.5, 6.0  # nats, see `kan2.laws.front.complexity`


@cache
def _code() -> tuple[Callable[[ndarray], list[ndarray]], list[int]]:
    # Code for all functions, and their nodes.
    return sympy.lambdify(U, FUNCTIONS, modules="numpy"), [complexity(function) for function in FUNCTIONS]


def plain_products(
    columns: tuple[Column, ...], y: ndarray, weight: ndarray, have_units: bool = False
) -> Iterator[sympy.Expr]:
    """Yields the products that describe a target best, the best first; their factors are fitted, or one.

    Args:
        columns: at the same rows as the target.
        y: (row,) the target.
        weight: (row,) of squares of errors of the target.
        have_units: whether columns may have units of measure; functions are then of ratios alone, which are the same
            when all columns are scaled.

    Example:
        >>> b = np.random.default_rng(0).uniform(0.1, 0.8, 200)
        >>> column = Column(b, sympy.Symbol("b"))
        >>> next(plain_products((column,), 1 / np.sqrt(1 - b**2), np.ones(200)))
        1/sqrt(1 - b**2)
    """
    if not columns or len(columns) > MOST_COLUMNS:
        return
    more = int(len(columns) == 1)
    of_arguments = exponents(len(columns), OF_ARGUMENT + more, len(columns))
    if have_units:
        degrees = [_degree(column.expression) for column in columns]
        of_arguments = tuple(p for p in of_arguments if sum(a * d for a, d in zip(p, degrees) if a) == 0)
    if not of_arguments:
        return
    arguments = monomials(columns, of_arguments)
    factors = monomials(columns, exponents(len(columns), OF_FACTOR + more, len(columns)))
    F = np.column_stack([np.ones(len(y)), factors.values])
    code, nodes_of_functions = _code()
    nodes_of_factors = np.r_[0, [_n_nodes(write()) for write in factors.write]]
    root, n = np.sqrt(weight), len(y)
    found: list[tuple[float, float, int, int, int]] = []
    with np.errstate(all="ignore"):
        for i, u in enumerate(arguments.values.T):
            spend(n * len(FUNCTIONS), 2)
            of_argument = _n_nodes(arguments.write[i]())
            for j, g in enumerate(code(u)):
                if not np.isfinite(g).all() or np.ptp(g) == 0:
                    continue
                G = root[:, None] * g[:, None] * F
                size = (G**2).sum(0)
                c = (root * y) @ G / size
                left = (((root * y)[:, None] - c * G) ** 2).mean(0)
                # Where it may be one, it is no number.
                is_one = np.abs(np.abs(c) - 1) <= DEVIATIONS * np.sqrt(left / size) + ROUNDING
                nodes = nodes_of_functions[j] + of_argument + nodes_of_factors
                length = n / 2 * np.log(left) + NODE * nodes + np.where(is_one, 0.0, NUMBER)
                k = int(np.argmin(np.where(np.isfinite(length), length, np.inf)))
                if np.isfinite(length[k]):
                    found.append((float(length[k]), float(np.sign(c[k]) if is_one[k] else c[k]), i, j, k))
    for _, c, i, j, k in islice(sorted(found), BEST):
        factor = factors.write[k - 1]() if k else sympy.Integer(1)
        size = sympy.Integer(int(c)) if abs(c) == 1 else sympy.Float(c, 17)
        yield size * factor * FUNCTIONS[j].xreplace({U: arguments.write[i]()})


def _degree(expression: Any) -> float:
    """Returns the degree of a product of powers; nan of what is none."""
    powers = expression.as_powers_dict()
    return sum((float(p) if base.is_Symbol else np.nan) for base, p in powers.items() if not base.is_number)


def _n_nodes(monomial: sympy.Expr) -> int:
    return len(monomial.free_symbols) + sum(abs(int(p.exp)) > 1 for p in monomial.atoms(sympy.Pow))
