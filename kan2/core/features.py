"""Features: the inputs and *auxiliary variables* that a network's first layer reads.

An auxiliary variable has a name and a definition, a formula in the inputs and in variables defined before it, such as
gamma = 1/sqrt(1 - (v/c)^2). Definitions are read once for all and kept as SymPy expressions.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

from collections.abc import Sequence
from functools import lru_cache

import sympy
import torch
from jaxtyping import Float
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


def compute_features(
    x: Float[Tensor, "*batch input"],
    inputs: Sequence[str],
    auxiliary: Sequence[tuple[str, str]],
    features: Sequence[str],
) -> Float[Tensor, "*batch feature"]:
    """Returns the named inputs and auxiliary variables as columns."""
    columns = dict(zip(inputs, x.unbind(-1)))
    for name, expression in read_definitions(tuple(inputs), tuple(auxiliary)):
        columns[name] = evaluate(expression, columns)
    return torch.stack([columns[name].expand(x.shape[:-1]) for name in features], -1)
