"""A theory on a table: predictions, residuals and their exact Jacobian in all numbers that a fit may change.

The numbers are those of the parameters, one for each data set where a parameter has its own, and then those of the
curves that stand for unknown functions.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapter 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.core.theory import Parameter
from kanpiler.theory.fitting.curves import Curve, ranges
from kanpiler.theory.fitting.pieces import Piece
from kanpiler.theory.form import Form

NEWTON, SAME = 50, 1e-14


@dataclass(frozen=True, eq=False)
class Rows:
    """A table as a theory reads it.

    Attributes:
        columns: numbers, by name.
        codes: of each column of labels, which of the levels each row has.
        y: (batch, output) measured; where the theory is an equation, the column that is solved for.
    """

    columns: Mapping[str, Float[ndarray, " batch"]]
    codes: Mapping[str, ndarray]
    y: Float[ndarray, "batch output"]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Model:
    """A theory whose unknown functions have a grid.

    Attributes:
        form: what it says.
        outputs: the formulas, compiled.
        arguments: those of the calls, compiled.
        parameters: all of them, with their levels.
        curves: by name of the function.
        solved_for: the column that is solved for, where the formulas are equations.
    """

    form: Form
    outputs: tuple[Piece, ...]
    arguments: tuple[Piece, ...]
    parameters: tuple[Parameter, ...]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    solved_for: str = ""

    def slices(self) -> tuple[dict[str, slice], dict[str, slice], int]:
        """Returns where the numbers of parameters and of curves are, and how many there are in all."""
        at, of_parameters, of_curves = 0, {}, {}
        for one in self.parameters:
            if not one.fixed:
                of_parameters[one.name] = slice(at, at := at + max(1, len(one.levels)))
        for name, curve in self.curves.items():
            of_curves[name] = slice(at, at := at + curve.size)
        return of_parameters, of_curves, at

    def predict(
        self, x: Float[ndarray, " number"], fixed: Mapping[str, Sequence[float]], rows: Rows, with_jacobian: bool
    ) -> tuple[Float[ndarray, "batch output"], Float[ndarray, "batch output number"] | None]:
        """Returns the outputs, or the solutions of the equations, and their derivatives by all numbers.

        Args:
            x: the numbers.
            fixed: values of the fixed parameters.
            rows: the table.
            with_jacobian: whether derivatives are wanted.
        """
        return self.at(x, fixed, rows).outputs(with_jacobian)

    def at(self, x: Float[ndarray, " number"], fixed: Mapping[str, Sequence[float]], rows: Rows) -> "State":
        """Returns an evaluation of the theory."""
        return State(self, x, fixed, rows)

    def freedoms(
        self, x: Float[ndarray, " number"], fixed: Mapping[str, Sequence[float]], rows: Rows
    ) -> tuple[Float[ndarray, "batch output column"], dict[str, slice]]:
        """Returns the derivatives of the outputs by all numbers, and by shifts and scales of what functions read.

        A curve on a grid can only nearly follow f(u + d) and f(u + d u), which an unknown function can exactly. The
        further columns, two a function, stand for these; functions of columns alone have none.

        Returns:
            the derivatives, and where the two columns of each function are.
        """
        moving = {one.name for one in self.parameters if not one.fixed}
        own: dict[str, slice] = {}
        size = self.slices()[2]
        for call in self.form.calls:
            names = {s.name for s in call.argument.free_symbols}  # type: ignore[attr-defined]
            if names & moving and call.function not in own:
                own[call.function] = slice(size, size := size + 2)
            moving.add(call.value.name)
        state = State(self, x, fixed, rows)
        state.moved, state.size = own, size
        _, J = state.evaluated(True)
        assert J is not None
        return J, own

    def arguments_at(
        self, x: Float[ndarray, " number"], fixed: Mapping[str, Sequence[float]], rows: Rows
    ) -> dict[str, list[Float[ndarray, " batch"]]]:
        """Returns the arguments of all calls of each function."""
        state = State(self, x, fixed, rows)
        found: dict[str, list[ndarray]] = {}
        for call, argument in zip(self.form.calls, self.arguments):
            u = argument.values(state.columns, len(rows))
            found.setdefault(call.function, []).append(u)
            curve = self.curves.get(call.function)
            if curve is None:
                state.columns[call.value.name] = np.zeros(len(rows))
            else:
                state.columns[call.value.name] = curve.values(u, call.order) @ x[state.of_curves[call.function]]
        return found

    def ranges_at(
        self, x: Float[ndarray, " number"], fixed: Mapping[str, Sequence[float]], rows: Rows
    ) -> dict[str, tuple[float, float]]:
        """Returns the range of the arguments of each function."""
        return {name: ranges(found) for name, found in self.arguments_at(x, fixed, rows).items()}


class State:
    """One evaluation.

    Attributes:
        read: for each function, the arguments of its calls and the values of the functions of which its curve is a sum.
    """

    def __init__(self, model: Model, x: ndarray, fixed: Mapping[str, Sequence[float]], rows: Rows) -> None:
        self.model, self.x, self.rows, self.n = model, x, rows, len(rows)
        self.of_parameters, self.of_curves, self.size = model.slices()
        self.moved: dict[str, slice] = {}
        self.read: dict[str, list[tuple[ndarray, ndarray]]] = {}
        self.columns: dict[str, Any] = dict(rows.columns)
        for one in model.parameters:
            values = np.asarray(fixed[one.name] if one.fixed else x[self.of_parameters[one.name]], float)
            is_per = one.per and len(values) > 1
            self.columns[one.name] = values[rows.codes[one.per]] if is_per else np.full(self.n, values[0])

    def outputs(self, with_jacobian: bool) -> tuple[ndarray, ndarray | None]:
        """Returns the outputs or the solutions of the equations, and their derivatives by all numbers."""
        return self.solved(with_jacobian) if self.model.solved_for else self.evaluated(with_jacobian)

    def evaluated(self, with_jacobian: bool) -> tuple[ndarray, ndarray | None]:
        """Returns the outputs (batch, output), and their derivatives (batch, output, number)."""
        self.read = {}
        slopes: dict[str, ndarray] = {}
        for call, piece in zip(self.model.form.calls, self.model.arguments):
            curve, at = self.model.curves[call.function], self.of_curves[call.function]
            own: Mapping[str, Any] = {}
            if with_jacobian:
                u, own = piece.derivatives(self.columns, self.n)
            else:
                u = piece.values(self.columns, self.n)
            B = curve.values(u, call.order)
            own_values = curve.values(u) if call.order else B
            self.read.setdefault(call.function, []).append((u, own_values))
            if with_jacobian:
                inner = curve.values(u, call.order + 1) @ self.x[at]
                slope = inner[:, None] * self._chained(own, slopes)
                slope[:, at] += B
                if call.function in self.moved:
                    slope[:, self.moved[call.function]] += np.stack([inner, u * inner], 1)
                slopes[call.value.name] = slope
            self.columns[call.value.name] = B @ self.x[at]
        if not with_jacobian:
            return np.stack([piece.values(self.columns, self.n) for piece in self.model.outputs], 1), None
        values, rows = [], []
        self.own = []
        for piece in self.model.outputs:
            value, own = piece.derivatives(self.columns, self.n)
            self.own.append(own)
            values.append(value)
            rows.append(self._chained(own, slopes))
        self.slopes = slopes
        return np.stack(values, 1), np.stack(rows, 1)

    def _chained(self, own: Mapping[str, Any], slopes: Mapping[str, ndarray]) -> ndarray:
        # From derivatives by what an expression reads to those by the numbers.
        J = np.zeros((self.n, self.size))
        for one in self.model.parameters:
            if one.name in own and not one.fixed:
                at = self.of_parameters[one.name]
                if one.per and at.stop - at.start > 1:
                    J[np.arange(self.n), at.start + self.rows.codes[one.per]] += own[one.name]
                else:
                    J[:, at.start] += own[one.name]
        for name, slope in slopes.items():
            if name in own:
                J += np.reshape(own[name], (-1, 1)) * slope
        return J

    def solved(self, with_jacobian: bool) -> tuple[ndarray, ndarray | None]:
        """Returns the solutions of an equation (batch, 1), nan where there is none, and their derivatives."""
        # Newton's method row by row from what was measured; F is one equation.
        name = self.model.solved_for
        y = np.array(self.rows.columns[name], float)
        size = np.maximum(np.abs(y), np.abs(y).max(initial=0.0) * 1e-3 + 1e-300)
        last = np.full(self.n, np.inf)
        for _ in range(NEWTON):
            self.columns[name] = y
            F, slope = self._along(name)
            step = np.where(slope != 0, F / slope, np.nan)
            # A step may not leap further than the column is large.
            step = np.clip(step, -size, size)
            worse = ~(np.abs(step) <= 2 * last)
            y = y - np.where(np.isfinite(step), np.where(worse, step / 2, step), 0.0)
            last = np.abs(step)
            if not (last > SAME * size).any():
                break
        self.columns[name] = y
        F, J = self.evaluated(True)
        slope = self._slope(name)
        lost = ~(np.abs(F[:, 0] / slope) <= 1e-6 * size)
        found = np.where(lost, np.nan, y)[:, None]
        return found, (-(J / slope[:, None, None]) if with_jacobian and J is not None else None)

    def _along(self, name: str) -> tuple[ndarray, ndarray]:
        F, _ = self.evaluated(True)
        return F[:, 0], self._slope(name)

    def _slope(self, name: str) -> ndarray:
        # Of the equation by one column, calls included.
        total = np.zeros(self.n) + self.own[0].get(name, 0.0)
        through: dict[str, ndarray] = {}
        for call, piece in zip(self.model.form.calls, self.model.arguments):
            u, own = piece.derivatives(self.columns, self.n)
            inner = np.zeros(self.n) + own.get(name, 0.0)
            for other, slope in through.items():
                inner = inner + own.get(other, 0.0) * slope
            curve, at = self.model.curves[call.function], self.of_curves[call.function]
            through[call.value.name] = (curve.values(u, call.order + 1) @ self.x[at]) * inner
        for other, slope in through.items():
            total = total + self.own[0].get(other, 0.0) * slope
        return total


def pieces(form: Form, verify: bool, seconds: float) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Compiles the formulas of a theory and the arguments of its calls."""
    outputs = tuple(Piece(expression, verify, seconds) for expression in form.expressions)
    return outputs, tuple(Piece(call.argument, verify, seconds) for call in form.calls)


def linear_parameters(form: Form, names: Sequence[str]) -> tuple[str, ...]:
    """Returns parameters in which all formulas are linear together: no product of two of them, none in a call.

    Example:
        >>> from kanpiler.theory.form import read_form
        >>> linear_parameters(read_form("A*exp(-k*t) + B", [], ["A", "B", "k"]), ["A", "B", "k"])
        ('A', 'B')
    """
    inside = {s for call in form.calls for s in call.argument.free_symbols}
    found: list[sympy.Symbol] = []
    for name in names:
        one = sympy.Symbol(name)
        if one in inside:
            continue
        slopes = [sympy.diff(e, one) for e in form.expressions]
        if not any(slope.has(one) or any(slope.has(other) for other in found) for slope in slopes):
            found.append(one)
    return tuple(one.name for one in found)
