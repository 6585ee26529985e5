"""Known parts of a theory as compiled networks: values, and exact derivatives with respect to all they read.

A named parameter is an input of such a network, the same on every row. Then one pass back through it gives the
derivative of every row with respect to every parameter, and a parameter that occurs several times is tied by itself.

Reference: Griewank, Walther, Evaluating Derivatives (2008), section 3.2.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
import torch
from numpy import ndarray

from kan2.core.unrolled.program import unrolled
from kanpiler.compiler import compile_formula


class Piece:
    """An expression as a function of columns.

    Args:
        expression: over plain symbols.
        verify: compare the network with NumPy.
        seconds: processor time for compiling.

    Attributes:
        names: names of the columns it reads.
    """

    def __init__(self, expression: sympy.Expr, verify: bool, seconds: float) -> None:
        self.expression = expression
        self.names = tuple(sorted(s.name for s in expression.free_symbols))  # type: ignore[attr-defined]
        self._number = float(expression) if not self.names else None  # type: ignore[arg-type]
        self._is_name = isinstance(expression, sympy.Symbol)
        self._network: Any = None
        self._tape: Any = None
        if self._number is None and not self._is_name:
            net = compile_formula(expression, self.names, verify=verify, trainable=False, seconds=seconds)
            self._network = net.requires_grad_(False)
            program = unrolled(net.layers)
            if program is not None:
                self._tape = program.gradient_tape(True, (False,) * len(program.has_free)), program.coefficients

    def values(self, columns: Mapping[str, ndarray], n: int) -> ndarray:
        """Returns the values (batch,)."""
        return self._run(columns, n, False)[0]

    def derivatives(self, columns: Mapping[str, ndarray], n: int) -> tuple[ndarray, dict[str, ndarray | float]]:
        """Returns the values (batch,) and the derivative with respect to each column."""
        value, slopes = self._run(columns, n, True)
        return value, slopes

    def _run(
        self, columns: Mapping[str, ndarray], n: int, with_slopes: bool
    ) -> tuple[ndarray, dict[str, ndarray | float]]:
        if self._number is not None:
            return np.full(n, self._number), {}
        if self._is_name:
            return columns[self.names[0]], {self.names[0]: 1.0}
        read = [columns[name] for name in self.names]
        if self._tape is None:
            return self._by_torch(read, with_slopes)
        tape, k = self._tape
        with np.errstate(all="ignore"):
            v = tape.run(read, k)
            value = v[tape.outputs[0]]
            if not with_slopes:
                return value, {}
            adjoints, _ = tape.back(tape.restore(read, [v[i] for i in tape.kept]), k, [np.ones(n)])
            slopes = {}
            for name, adjoint in zip(self.names, adjoints):
                if adjoint is not None:
                    slopes[name] = _settled(adjoint[0] * adjoint[1], value)
        return value, slopes

    def _by_torch(self, read: Sequence[ndarray], with_slopes: bool) -> tuple[ndarray, dict[str, ndarray | float]]:
        x = torch.from_numpy(np.stack(read, -1)).requires_grad_(with_slopes)
        with torch.set_grad_enabled(with_slopes):
            y = self._network(x)[:, 0]
        value = y.detach().numpy()
        if not with_slopes:
            return value, {}
        (slope,) = torch.autograd.grad(y.sum(), x)
        return value, {name: _settled(column, value) for name, column in zip(self.names, slope.numpy().T)}


def _settled(slope: ndarray, value: ndarray) -> ndarray:
    # x**p is exp(p*log(x)), whose derivative at x = 0 is 0 times infinity where the limit is 0.
    is_lost = np.isnan(slope) & np.isfinite(value)
    return np.where(is_lost, 0.0, slope) if is_lost.any() else slope
