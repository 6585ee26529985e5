"""The compiler checks its own answer: the network against NumPy on samples of the domain.

Two results agree when they differ by at most 1e-10 of the value, or by little more than what rounding the inputs does
to the formula itself, where that is badly conditioned.

Reference: Higham, Accuracy and Stability of Numerical Algorithms (2002), section 1.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import nn

from kan2.expressions.reference_values import reference_values
from kanpiler.domain import Domain, sample, sample_far
from kanpiler.errors import VerificationError

RTOL = 1e-10


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes:
        error: largest difference, relative to the size of the values.
        n_samples: points that were compared.
        n_undefined: points at which the formula is not finite and real.
        nowhere: outputs that are finite and real at none of the samples, counted from 0.
    """

    error: float
    n_samples: int
    n_undefined: int
    nowhere: tuple[int, ...] = ()


def verify(
    network: nn.Module, expressions: Sequence[sympy.Expr], inputs: Sequence[str], domain: Domain, n: int = 64
) -> Verification:
    """Compares a network with the expressions it was compiled from.

    Args:
        network: takes (sample, input), gives (sample, output), in float64.
        expressions: over plain symbols.
        inputs: names of the columns.
        domain: intervals of inputs.
        n: number of samples.

    Raises:
        VerificationError: they differ somewhere; the message shows where.
    """
    x, expected = _samples(expressions, inputs, domain, n)
    with torch.no_grad():
        found = network(torch.from_numpy(x)).numpy()
    defined = np.isfinite(expected)
    difference = np.where(defined, np.abs(found - expected), 0.0)
    scale = np.abs(np.where(defined, expected, 0.0))
    typical = np.array([[np.median(column[column > 0]) if (column > 0).any() else 1.0 for column in scale.T]])
    allowed = RTOL * (scale + typical)
    # Far from zero a part of the network may be beyond float64 where the formula is not.
    counts = np.isfinite(found) | (np.arange(len(x)) < n)[:, None]
    suspicious = ~(difference <= allowed) & counts
    if suspicious.any():
        # Near a cancellation or a jump both sides are inexact: measure how far rounding alone moves the formula.
        nudge = 4 * np.finfo(float).eps * np.random.default_rng(1).choice([-1.0, 1.0], x.shape)
        moved = []
        for sign in (-1, 1):
            nudged = [_nudge(expression, sign) for expression in expressions]
            moved.append(np.abs(reference_values(nudged, inputs, x * (1 + sign * nudge)) - expected))
        allowed = allowed + 1e3 * np.nan_to_num(np.maximum(*moved), nan=0.0)
        suspicious = ~(difference <= allowed) & counts
    if suspicious.any():
        i, j = np.argwhere(suspicious)[0]
        point = ", ".join(f"{name}={float(v):.17g}" for name, v in zip(inputs, x[i]))
        raise VerificationError(
            f"compile: the network gives {found[i, j]:.17g}, the formula {expressions[j]} gives {expected[i, j]:.17g} "
            f"at {point}. Please report this; verify=False returns the network nevertheless."
        )
    difference = np.where(counts, difference, 0.0)
    error = float((difference / np.where(scale + typical > 0, scale + typical, 1.0)).max(initial=0.0))
    n_defined = int(defined.all(axis=1).sum())
    nowhere = tuple(int(j) for j in np.flatnonzero(~defined.any(axis=0)))
    return Verification(error, n_defined, len(x) - n_defined, nowhere)


def nowhere_real(
    expressions: Sequence[sympy.Expr], inputs: Sequence[str], domain: Domain, n: int = 64
) -> tuple[int, ...]:
    """Returns which expressions are finite and real at none of the samples.

    Example:
        >>> x = sympy.Symbol("x")
        >>> nowhere_real([sympy.log(x - 100), sympy.sqrt(-1 - x**2)], ["x"], {})
        (1,)
    """
    return tuple(int(j) for j in np.flatnonzero(~np.isfinite(_samples(expressions, inputs, domain, n)[1]).any(axis=0)))


def _samples(
    expressions: Sequence[sympy.Expr], inputs: Sequence[str], domain: Domain, n: int
) -> tuple[Float[NDArray, "sample input"], Float[NDArray, "sample output"]]:
    """Draws points and values there; where something is undefined at all of them, some from far around as well."""
    x = sample(domain, inputs, n)
    values = reference_values(expressions, inputs, x)
    lost = ~np.isfinite(values).any(axis=0)
    if lost.any():
        far = sample_far(domain, inputs, 8 * n)
        found = reference_values([expressions[int(j)] for j in np.flatnonzero(lost)], inputs, far)
        far = far[np.isfinite(found).any(axis=1)][:n]
        if len(far):
            x, values = np.concatenate([x, far]), np.concatenate([values, reference_values(expressions, inputs, far)])
    return x, values


def _nudge(expression: Any, sign: int) -> Any:
    """Moves floats and the places of jumps by about one rounding error."""
    nudged = expression.xreplace({f: f * (1 + sign * 1e-15) for f in expression.atoms(sympy.Float)})
    for jump in (sympy.Mod, sympy.floor, sympy.ceiling):
        nudged = nudged.replace(jump, lambda u, *rest, jump=jump: jump(u * (1 + sign * sympy.Float(1e-13)), *rest))
    return nudged
