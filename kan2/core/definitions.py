"""Definitions of auxiliary variables: read from text, resolved, evaluated.

They are read once for all and kept as SymPy expressions; `features` imports this file for networks that have some.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import sympy
from torch import Tensor

from kan2.expressions.evaluate import evaluate
from kan2.expressions.parse import parse_expression


@lru_cache(maxsize=256)
def read_definitions(
    inputs: tuple[str, ...], auxiliary: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, sympy.Expr], ...]:
    """Returns (name, expression in the inputs and in variables before it) of every auxiliary variable.

    Raises:
        ExpressionError: a definition cannot be read, or uses an undeclared variable.
    """
    names, read = list(inputs), []
    for name, text in auxiliary:
        read.append((name, parse_expression(text, names=names)))
        names.append(name)
    return tuple(read)


def resolve_auxiliary(inputs: Sequence[str], auxiliary: Sequence[tuple[str, str]]) -> dict[str, sympy.Expr]:
    """Returns every auxiliary variable as an expression in the inputs alone."""
    resolved: dict[str, sympy.Expr] = {}
    for name, expression in read_definitions(tuple(inputs), tuple(auxiliary)):
        resolved[name] = expression.subs({sympy.Symbol(n): e for n, e in resolved.items()})
    return resolved


def with_auxiliary(columns: Mapping[str, Tensor], auxiliary: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Returns the columns of the inputs, in order and by name, and those of the auxiliary variables after them."""
    result = dict(columns)
    for name, expression in read_definitions(tuple(columns), tuple(auxiliary)):
        result[name] = evaluate(expression, result)
    return result
