"""A theory as a network that is fitted to tables, and what a fit knows.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3, for knowledge that goes into a network.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import sympy
import torch
from numpy import ndarray

from kan2 import options
from kan2.core.data import Columns, Dataset
from kan2.core.theory import Parameter, Unknown
from kan2.errors import DataError, OptionError, TrainingError, named_options, unknown_name
from kan2.expressions.symbols import with_backquotes
from kan2.multkan import MultKAN
from kanpiler.errors import CompileError
from kanpiler.theory.fitting import statistics
from kanpiler.theory.fitting.curves import Curve
from kanpiler.theory.fitting.gauges import refuse_twins
from kanpiler.theory.fitting.model import Model, pieces
from kanpiler.theory.fitting.problem import Fitted, Problem, start_of
from kanpiler.theory.fitting.solutions import solutions
from kanpiler.theory.fitting.weights import fit_theory, levelled, replace_solved, spread_of
from kanpiler.theory.form import Form, read_form, read_part
from kanpiler.theory.network import derivative_edges, describe, put_curves
from kanpiler.theory.report import FitReport, report_of
from kanpiler.theory.rows import columns_of, label_of, read_rows

STEPS = 1000
_OF_A_FIT = ("_pieces", "_fitted", "_problem", "_source", "_targets", "_errors", "_noise", "_formulas", "_kept")


class TheoryBase(MultKAN):
    """A network compiled from a formula with named parameters and unknown functions.

    A parameter is one number, tied wherever its letter occurs;
    an unknown function is one spline, on however many edges. `fit` changes both; everything else that changes something
    returns a new theory.
    """

    _form: Form | None = None
    _pieces: Any = None
    _fitted: Fitted | None = None
    _problem: Problem | None = None
    _source: Any = None
    _targets: tuple[str, ...] = ()
    _errors: Any = None
    _noise: str = "shared"
    _kept: Any = None
    _formulas: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(
        cls,
        form: Form,
        columns: Sequence[str],
        parameters: Sequence[Parameter],
        functions: Sequence[Unknown],
        verify: bool = True,
        seconds: float = 10.0,
        compiled: Any = None,
    ) -> Self:
        """Builds the network of a theory that has been read; `compiled` are its pieces where these are there."""
        spec, values = describe(form, columns, parameters, functions)
        model = cls.from_values(spec, values)
        model.requires_grad_(True)
        model._form, model._pieces = form, compiled or pieces(form, verify, seconds)
        for value, one in zip(model.constants, parameters):
            value.requires_grad_(not one.fixed)
        return model

    @property
    def theory(self) -> Any:
        """The description: formulas, parameters and unknown functions."""
        if self.spec.theory is None:
            raise CompileError("theory: expected a network that was compiled from a theory, got another one.")
        return self.spec.theory

    @property
    def form(self) -> Form:
        """The formulas, read."""
        if self._form is None:
            theory = self.theory
            declared = (*theory.columns, *(one.name for one in theory.parameters))
            source = list(theory.formulas)
            self._form = read_form(
                source if len(source) > 1 else source[0], [f.name for f in theory.functions], declared
            )
            self._form = replace(self._form, outputs=self.spec.outputs)
        return self._form

    @property
    def text(self) -> str:
        """The theory as it is written; several formulas one a line."""
        return "\n".join(self.theory.formulas)

    @property
    def formulas(self) -> dict[str, Any]:
        """What `auto_symbolic` has found for unknown functions, by name, as functions of `u`."""
        return dict(self._formulas)

    def __repr__(self) -> str:
        rows = [f"Theory: {self.text}"]
        if self.theory.functions:
            rows.append(f"unknown: {', '.join(one.name for one in self.theory.functions)}")
        if self._fitted is not None:
            return "\n".join([*rows, self.parameters_table()])
        return "\n".join([*rows, *(f"{name} = {value}" for name, value in self.values.items())])

    def written(self) -> list[Any]:
        """Returns the formulas, one an output, with f(x) where f is unknown."""
        return [with_backquotes(self.form.written(expression)) for expression in self.form.expressions]

    @property
    def values(self) -> dict[str, Any]:
        """The values of the parameters by name: a number, or a list of one for each data set."""
        return {
            one.name: numbers[0] if len(numbers) == 1 else numbers
            for one, numbers in zip(self.theory.parameters, (value.tolist() for value in self.constants))
        }

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in _OF_A_FIT}

    def compile_pieces(self) -> None:
        """Compiles the formulas for fits, which the first fit of a copy or of a file does otherwise."""
        if self._pieces is None:
            self._pieces = pieces(self.form, False, 60.0)

    def _model(self, parameters: Sequence[Parameter]) -> Model:
        self.compile_pieces()
        return Model(self.form, self._pieces[0], self._pieces[1], tuple(parameters))

    @named_options
    def fit(  # type: ignore[override]
        self,
        data: Any = None,
        target: Columns | None = None,
        *,
        errors: Any = None,
        noise: str = "shared",
        steps: int = STEPS,
        seconds: float | None = None,
        seed: int = 0,
    ) -> FitReport:
        """Fits parameters and unknown functions to a table, in place.

        Args:
            data: a table, the path of one, a Dataset, a pair (X, y), or several tables, a list or a dictionary, as data
                sets of one fit with a column `set` of labels.
            target: name of the measured column, or several; by default those of the outputs. Equations are solved for
                it.
            errors: standard deviations of the measured numbers: the name of a column, a number or an array. They are
                taken as they are; without them the residuals tell the noise.
            noise: "shared" for one noise on all rows, "per set" for one on the rows of each data set.
            steps: most steps of a minimisation.
            seconds: wall-clock time after which no step begins.
            seed: of the starts that are drawn.

        Raises:
            DataError: there are no data, fewer rows than numbers, or a column holds no numbers.
            UnknownNameError: a column is missing.
            TrainingError: the theory is not finite on the rows, or two unknown functions cannot be told apart.
        """
        began = time.perf_counter()
        if data is None:
            raise DataError("fit: expected a table to fit the theory to, got none. Pass data, and target='name'.")
        if noise not in ("shared", "per set"):
            raise OptionError(f"fit: expected noise='shared' or 'per set', got {noise!r}.")
        steps = options.whole("fit", "steps", steps, 1)
        seconds = None if seconds is None else options.number("fit", "seconds", seconds, 0)
        seed = options.seed("fit", seed)
        theory, form = self.theory, self.form
        refuse_twins(form)
        solved_for = ""
        if theory.implicit:
            if not isinstance(target, str) or target not in theory.columns or len(form.expressions) > 1:
                raise OptionError(
                    f"fit: expected target= as the column that the equation is solved for, one of "
                    f"{', '.join(theory.columns)}, got {target!r}."
                )
            solved_for = target
        labels = {one.per: one.levels for one in theory.parameters if one.per}
        targets = (target,) if isinstance(target, str) else self.spec.outputs if target is None else tuple(target)
        found = columns_of(data, "fit", (*theory.columns, *labels), targets)
        self._refuse_columns(found)
        read = read_rows(
            found, targets, theory.columns, dict.fromkeys(labels, ()), self.spec.outputs, errors, solved_for
        )
        parameters = tuple(replace(one, levels=read.levels[one.per]) if one.per else one for one in theory.parameters)
        fixed = {one.name: levelled(value, one) for one, value in zip(parameters, self.constants) if one.fixed}
        weights = np.ones_like(read.rows.y) if read.weights is None else read.weights
        spread = spread_of(read.rows.y * weights)
        problem = Problem(self._model(parameters), replace_solved(read.rows, solved_for), fixed, weights, spread)
        problem = replace(problem, model=replace(problem.model, solved_for=solved_for))
        n_free = len(start_of(problem.model))
        if read.rows.y.size < n_free:
            raise DataError(
                f"fit: expected at least as many measured numbers as free parameters, got {read.rows.y.size} for "
                f"{n_free}. Fix some, or measure more."
            )
        deadline = math.inf if seconds is None else began + seconds
        fitted, problem = fit_theory(problem, theory.functions, steps, deadline, seed, read.weights is not None, noise)
        self._take(fitted, problem)
        self._source, self._targets, self._errors, self._noise = data, read.outputs, errors, noise
        self._kept = read.kept
        self.report = report_of(fitted, time.perf_counter() - began, noise == "per set")
        return self.report

    def _refuse_columns(self, columns: Mapping[str, Any]) -> None:
        if both := [one.name for one in self.theory.parameters if one.name in columns]:
            raise DataError(
                f"fit: expected parameters that are no columns, got {', '.join(both)}, which the table has too. Rename "
                "one, or leave it out of parameters= to read the column."
            )

    def _take(self, fitted: Fitted, problem: Problem) -> None:
        # Everything is made before anything is changed.
        values = fitted.values()
        parameters = tuple(
            replace(one, start=float(np.clip(values[one.name][0], *one.bounds)), levels=one.levels)
            for one in fitted.model.parameters
        )
        at = fitted.model.slices()[1]
        curves = {name: (curve, fitted.x[at[name]]) for name, curve in fitted.model.curves.items()}
        like = self.like
        new = torch.nn.ParameterList(
            torch.nn.Parameter(torch.tensor(values[one.name], dtype=like.dtype, device=like.device), not one.fixed)
            for one in parameters
        )
        theory = replace(self.theory, parameters=parameters)
        put_curves(self, derivative_edges(self.form, theory.columns, parameters), curves)
        self.spec = replace(self.spec, theory=theory)
        self.constants = new
        inputs = [
            fitted.rows.columns[name] if name in fitted.rows.columns else fitted.rows.codes[name]
            for name in self.spec.inputs
        ]
        self.data = Dataset(
            torch.from_numpy(np.stack(inputs, 1).astype(float)).to(like), torch.from_numpy(fitted.rows.y).to(like),
            self.spec.inputs, self.spec.outputs,
        )  # fmt: skip
        self._fitted, self._problem = fitted, problem

    @property
    def fitted(self) -> Fitted:
        """The last fit, with residuals and Jacobian; copies and files do not have it."""
        if self._fitted is None:
            raise TrainingError("theory: expected a theory that was fitted, got one that was not. Call fit() first.")
        return self._fitted

    def estimates(self) -> tuple[statistics.Estimate, ...]:
        """Returns value, standard error and what is to be said of each parameter."""
        return statistics.estimates(self.fitted)[0]

    def correlations(self) -> ndarray:
        """Returns the correlations (estimate, estimate) of the parameters, in the order of `estimates`."""
        return statistics.estimates(self.fitted)[1]

    def parameters_table(self) -> str:
        """Returns the parameters as text: value, standard error, strongest correlation, and what data do not determine.

        Example:
            >>> import kanpiler
            >>> net = kanpiler.compile("A*exp(-k*t)", parameters=["A", "k"])
            >>> _ = net.fit({"t": [0, 1, 2, 3], "y": [2.01, 0.99, 0.51, 0.24]})
            >>> print(net.parameters_table().splitlines()[1])
            A           2.008312           0.012     0.6 %
        """
        found, R, said = statistics.estimates(self.fitted)
        return statistics.table(found, R, (*said, *map(str, self.fitted.conventions)))

    def derived(self, expression: str | sympy.Expr) -> tuple[float, float]:
        """Returns the value of an expression in the parameters, such as "log(2)/k", and its standard error."""
        names = [one.name for one in self.theory.parameters]
        read = read_part(expression, names, (), "derived")
        return statistics.derived(self.fitted, read)

    @named_options
    def profile(self, name: str, level: float = 0.95) -> statistics.Profile:
        """Returns the profile likelihood of a parameter, with an interval of confidence that follows its curvature."""
        fitted = self.fitted
        assert self._problem is not None
        return statistics.profile(self._problem, fitted, name, level)

    def function(self, name: str) -> Callable[[Any], ndarray]:
        """Returns an unknown function as it was fitted: a callable of numbers.

        Raises:
            UnknownNameError: no such function.
        """
        known = {one.name: one for one in self.theory.functions}
        if name not in known:
            raise unknown_name("function", "function", name, list(known))
        if self._fitted is not None:
            curve, numbers = self.curve(name)
            return lambda u: (curve.values(np.asarray(u, float).reshape(-1)) @ numbers).reshape(np.shape(u))
        if not known[name].edges:
            raise TrainingError(
                f"function: expected a theory that was fitted, since {name} occurs as a derivative alone, got another "
                "one. Call fit() first."
            )
        layer_index, target, source = known[name].edges[0]
        layer = self.layers[layer_index]

        def evaluated(u: Any) -> ndarray:
            points = torch.as_tensor(np.asarray(u, float).reshape(-1)).to(self.like)
            table = points.new_zeros(len(points), layer.spec.n_in)
            table[:, source] = points
            with torch.no_grad():
                found = layer.numeric.edge_values(table)[:, target, source]  # type: ignore[union-attr]
            return found.numpy().reshape(np.shape(u))

        return evaluated

    def curve(self, name: str) -> tuple[Curve, ndarray]:
        """Returns the spline of an unknown function and its numbers, as the last fit left them."""
        fitted = self.fitted
        at = fitted.model.slices()[1]
        if name not in at:
            raise unknown_name("curve", "function", name, list(at))
        return fitted.model.curves[name], fitted.x[at[name]]

    def solve(self, data: Any) -> ndarray:
        """Returns what the fitted equation gives for the column that it was solved for, on new rows; nan for none.

        Args:
            data: a table with the other columns of the equation.

        Raises:
            OptionError: the theory is a formula, which the network evaluates.
            TrainingError: it was not fitted.
            UnknownNameError: a column is missing.
        """
        fitted = self.fitted
        name = fitted.model.solved_for
        if not name:
            raise OptionError("solve: expected an equation, such as y + k*y^3 = x, got a formula. Call predict(data).")
        labels = {one.per: one.levels for one in self.theory.parameters if one.per}
        others = [column for column in self.theory.columns if column != name]
        read = read_rows(data, others[:1], others, labels, others[:1], None, "", where="solve")
        return solutions(fitted, read.rows.columns, read.rows.codes)

    def _by_name(self, x: Any, where: str) -> Any:
        theory = self.theory
        labels = {one.per: one.levels for one in theory.parameters if one.per and one.levels}
        if not labels or isinstance(x, torch.Tensor | np.ndarray):
            return super()._by_name(x, where)
        columns = columns_of(x, where, self.spec.inputs)
        for name, levels in labels.items():
            if name in columns:
                at = {level: i for i, level in enumerate(levels)}
                given = np.asarray(columns[name], dtype=object).reshape(-1)
                codes = [at.get(label_of(value), label_of(value)) for value in given]
                if wrong := [code for code in codes if isinstance(code, str)]:
                    raise unknown_name(where, f"label of {name}", wrong[0], levels)
                columns[name] = np.array(codes, float)
        return super()._by_name(columns, where)
