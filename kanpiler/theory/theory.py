"""`Theory`: what `kanpiler.compile` makes of a formula with named parameters and unknown functions, with its verbs.

Every verb here returns another theory, fitted to the same rows.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3, for knowledge that goes into a network.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import sympy

from kan2 import options
from kan2.core.data import Columns
from kan2.core.theory import Unknown
from kan2.errors import FormulaError, OptionError, TrainingError, named_options, unknown_name
from kan2.expressions.symbols import symbol, with_backquotes
from kan2.multkan import MultKAN
from kanpiler.theory.base import TheoryBase
from kanpiler.theory.finding.correct import ResidualTest, fresh_names, residual_tests, with_correction, with_part_open
from kanpiler.theory.finding.symbolify import Trial, simplified, symbolified, without
from kanpiler.theory.fitting.fit import refined
from kanpiler.theory.fitting.solve import Minimum
from kanpiler.theory.fitting.weights import noise_of
from kanpiler.theory.form import read_part
from kanpiler.theory.options import checked_unknown
from kanpiler.theory.report import report_of
from kanpiler.theory.rows import columns_of, numeric_columns


class Theory(TheoryBase):
    """A network compiled from a formula with named parameters and unknown functions.

    `kanpiler.compile(..., parameters=, unknown=)` makes it. A parameter is one number, tied wherever its letter occurs;
    an unknown function is one spline, on however many edges. `fit` changes both, in place; everything else that changes
    something returns a new theory.
    """

    @named_options
    def symbolic_formula(  # type: ignore[override]
        self, *, digits: int | None = None, values: bool = False, simplify: bool = False
    ) -> Any:
        """Returns the formula with parameters by name.

        Args:
            digits: significant digits of floats, and of the values; None for all.
            values: put the values of the parameters in their place.
            simplify: let SymPy simplify the result.

        Raises:
            FormulaError: some functions are still unknown.
        """
        if functions := [one.name for one in self.theory.functions]:
            raise FormulaError(
                f"symbolic_formula: expected formulas alone, got {', '.join(functions)} as splines. Run "
                "auto_symbolic() first; kanpiler.decompile(net) shows the theory as it is."
            )
        found = []
        for expression in self.form.expressions:
            one: Any = expression
            own = {p.name: self.values[p.name] for p in self.theory.parameters if p.of and not p.per}
            one = one.xreplace({symbol(name): sympy.Float(value, 17) for name, value in own.items()})
            if values:
                if several := [name for name, value in self.values.items() if isinstance(value, list)]:
                    raise FormulaError(
                        f"symbolic_formula: expected parameters with one value, got {several[0]}, which has one for "
                        "each data set. Leave values out."
                    )
                one = one.xreplace({symbol(name): sympy.Float(value, 17) for name, value in self.values.items()})
            if simplify:
                one = sympy.simplify(one)
            if digits is not None:
                one = one.xreplace({f: sympy.Float(f, digits) for f in one.atoms(sympy.Float)})
            found.append(with_backquotes(one))
        return found[0] if len(found) == 1 else found

    def auto_symbolic(self, functions: str | Sequence[str] | None = None) -> "Theory":  # type: ignore[override]
        """Returns the theory with formulas in place of unknown functions, as far as some are as good as the splines.

        Args:
            functions: names of those to look for; by default all.

        Raises:
            TrainingError: the theory was not fitted.
            UnknownNameError: no such function.
        """
        trial = self._trial()
        known = [one.name for one in self.theory.functions]
        wanted = known if functions is None else [functions] if isinstance(functions, str) else list(functions)
        for name in wanted:
            if name not in known:
                raise unknown_name("auto_symbolic", "function to be found", name, known)
        for name in wanted:
            trial = symbolified(trial, name, self.fitted.is_absolute) or trial
        return self._with_trial(trial)

    def snap_constants(self, names: str | Sequence[str] | None = None) -> "Theory":  # type: ignore[override]
        """Returns the theory with simple numbers in place of parameters, where the rows prefer that: 2 for 2.003(4).

        Args:
            names: of the parameters that may become numbers; by default all.

        Raises:
            TrainingError: the theory was not fitted.
            UnknownNameError: no such parameter.
        """
        known = [one.name for one in self.theory.parameters]
        names = [names] if isinstance(names, str) else names
        for name in names or ():
            if name not in known:
                raise unknown_name("snap_constants", "parameter", name, known)
        trial = self._trial()
        return self._with_trial(simplified(trial, known if names is None else names, self.fitted.is_absolute))

    def prune(self) -> "Theory":  # type: ignore[override]
        """Returns the theory without what the rows do not need: parameters that may be zero, constant functions.

        Raises:
            TrainingError: the theory was not fitted.
        """
        trial, is_absolute = self._trial(), self.fitted.is_absolute
        for one in self.theory.functions:
            trial = without(trial, one.name, is_absolute) or trial
        names = [one.name for one in trial.problem.model.parameters]
        return self._with_trial(simplified(trial, names, is_absolute, only_zero=True))

    def refine(self, grid: int) -> "Theory":  # type: ignore[override]
        """Returns the theory with its unknown functions on so many intervals, fitted to the same rows.

        Raises:
            SpecError: grid is no number of intervals.
        """
        functions = tuple(replace(one, grid=grid) for one in self.theory.functions)
        trial = self._trial()
        problem, minimum = refined(trial.problem, trial.minimum, {one.name: grid for one in functions})
        new = self._with_trial(replace(trial, problem=problem, minimum=minimum))
        new.spec = replace(new.spec, theory=replace(new.theory, functions=_with_edges(functions, new.theory.functions)))
        return new

    def residual_tests(self, data: Any = None) -> tuple[ResidualTest, ...]:
        """Returns what columns, and pairs of them, explain of the residuals of the fit, the most telling first.

        Args:
            data: the table of the fit, to look at columns as well that the theory does not read; by default its own.

        Raises:
            TrainingError: the theory was not fitted.
            ShapeError: another number of rows.
        """
        fitted = self.fitted
        columns = dict(fitted.rows.columns)
        columns |= {name: codes.astype(float) for name, codes in fitted.rows.codes.items()}
        return residual_tests(fitted, columns | self._other_columns(data))

    def _other_columns(self, data: Any) -> dict[str, Any]:
        # Columns of numbers that the theory does not read.
        if data is None:
            return {}
        others = columns_of(data, "residual_tests", self.theory.columns, self.spec.outputs)
        left_out = {*self.fitted.rows.columns, *self.fitted.rows.codes, *self._targets}
        return numeric_columns({k: v for k, v in others.items() if k not in left_out}, self._kept)

    @named_options
    def free(
        self,
        part: str | sympy.Expr | None = None,
        *,
        data: Any = None,
        columns: str | Sequence[str] | None = None,
        factor: bool = False,
        shape: Any = None,
    ) -> "Theory":
        """Returns the theory with room for a correction, fitted to the rows of the last fit.

        Args:
            part: of the formula, such as "exp(-k*t)", in place of which there will be an unknown function.
            data: the table of the fit, where columns count that the theory does not read.
            columns: without a part, what the correction depends on: one column for f(x), two for f(x)*g(y). By default
                what explains most of the residuals.
            factor: whether the correction is a factor, in place of a term.
            shape: what is known of the new function, as in `kanpiler.compile`.

        Raises:
            TrainingError: the theory was not fitted, or the residuals depend on no column.
            OptionError: the part does not occur, or is none of one column.
        """
        fitted, form = self.fitted, self.form
        parameters = [one.name for one in self.theory.parameters]
        taken = [*form.names, *form.functions, *self.theory.columns]
        if part is not None:
            read = read_part(part, form.names, form.functions, "free")
            new, added = with_part_open(form, read, fresh_names(taken, 1), parameters)
        else:
            if columns is None:
                tests = self.residual_tests(data)
                if not tests or not tests[0].is_significant:
                    raise TrainingError(
                        "free: expected residuals that depend on a column, got none that do, by F tests at 0.001. Name "
                        "the columns, or a part of the formula, to open it nevertheless."
                    )
                columns = tests[0].columns
            columns = [columns] if isinstance(columns, str) else list(options.names("free", "columns", columns))
            if not columns:
                raise OptionError(
                    "free: expected columns as names, got an empty list. Leave it out to let tests choose."
                )
            there = [*self.fitted.rows.columns, *self._other_columns(self._source if data is None else data)]
            for name in columns:
                if name not in there:
                    raise unknown_name("free", "column", name, there)
            new, added = with_correction(form, columns, factor, fresh_names(taken, len(columns)))
        if shape is not None:
            added = tuple(checked_unknown(dict.fromkeys((one.name for one in added), shape)).values())
        kept = tuple(one for one in self.theory.parameters if one.name in new.names)
        values = fitted.values()
        kept = tuple(replace(one, start=float(np.clip(values[one.name][0], *one.bounds))) for one in kept)
        functions = (*(one for one in self.theory.functions if one.name in new.functions), *added)
        theirs = [name for name in new.names if name not in parameters]
        theory = type(self).of(
            new, (*self.theory.columns, *(n for n in theirs if n not in self.theory.columns)), kept, functions
        )
        source = self._source if data is None else data
        theory.fit(source, self._target(), errors=self._errors, noise=self._noise)
        theory._formulas = self._formulas
        return theory

    def _target(self) -> Columns:
        return self._targets[0] if len(self._targets) == 1 else self._targets

    def network(self) -> MultKAN:
        """Returns the network alone, with the values of the parameters as auxiliary variables, for all other verbs."""
        spec = self.spec
        auxiliary = []
        for one, values in zip(self.theory.parameters, self.constants):
            numbers = values.tolist()
            label = symbol(one.per) if one.per else None
            formula: Any = sympy.Float(numbers[0], 17)
            if label is not None and len(numbers) > 1:
                # A step between the codes of two labels.
                steps = pairwise(numbers)
                formula += sum(
                    sympy.Float(b - a, 17) * (1 + sympy.sign(label - i - sympy.Rational(1, 2))) / 2
                    for i, (a, b) in enumerate(steps)
                )
            auxiliary.append((one.name, str(with_backquotes(formula))))
        plain = replace(spec, theory=None, auxiliary=tuple(auxiliary))
        return MultKAN.from_layers(plain, [copy.deepcopy(layer) for layer in self.layers])

    def _trial(self) -> Trial:
        fitted, problem = self.fitted, self._problem
        assert problem is not None
        minimum = Minimum(fitted.x, fitted.residuals, fitted.jacobian, fitted.steps, fitted.message)
        return Trial(self.form, problem, minimum, self._formulas)

    def _with_trial(self, trial: Trial) -> "Theory":
        """Returns a theory that has been changed and fitted."""
        left = {call.function for call in trial.form.calls}
        functions = tuple(one for one in self.theory.functions if one.name in left)
        model = trial.problem.model
        compiled = model.outputs, model.arguments
        new = type(self).of(trial.form, self.theory.columns, model.parameters, functions, compiled=compiled)
        fitted = replace(
            self.fitted, model=model, x=trial.minimum.x, residuals=trial.minimum.residuals,
            jacobian=trial.minimum.jacobian, conventions=trial.problem.pins, inequalities=trial.problem.inequalities(),
            message=trial.minimum.message, steps=trial.minimum.steps,
        )  # fmt: skip
        new._take(replace(fitted, noise=noise_of(trial.problem, fitted)), trial.problem)
        new._source, new._targets, new._errors = self._source, self._targets, self._errors
        new._noise, new._formulas, new._kept = self._noise, dict(trial.formulas), self._kept
        new.report = report_of(new.fitted, 0.0)
        return new


def _with_edges(functions: Sequence[Unknown], placed: Sequence[Unknown]) -> tuple[Unknown, ...]:
    edges = {one.name: one.edges for one in placed}
    return tuple(replace(one, edges=edges[one.name]) for one in functions)


_REFUSED = (
    "prune_node", "prune_edge", "prune_input", "prune_irrelevant", "auto_prune", "simplify", "sparse", "expand_width",
    "expand_depth", "perturb", "augment", "module", "remove_edge", "remove_node", "swap", "auto_swap", "fix_symbolic",
    "unfix_symbolic", "try_variables", "try_function", "relevance", "feature_interaction",
)  # fmt: skip


def _refusal(verb: str) -> Any:
    def refuse(self: Theory, *args: Any, **options: Any) -> Any:
        raise OptionError(
            f"{verb}: expected a network without a theory, which it would break. Take {verb} of net.network(), or one "
            "of prune(), refine(grid), auto_symbolic(), snap_constants() and free(), which know theories."
        )

    refuse.__doc__ = "Refuses: a theory is changed by `prune`, `refine`, `auto_symbolic`, `snap_constants` and `free`."
    return refuse


for _verb in _REFUSED:
    setattr(Theory, _verb, _refusal(_verb))
