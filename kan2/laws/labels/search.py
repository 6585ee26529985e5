"""The search for the law of a logit: what explains the working response, fitted to the labels by maximum likelihood.

Candidates come from where they come from for numbers: short approximations, guesses and the search under noise. These
are given the working response at a smooth logit, see `smooth`, with its weights; then the numbers of each are fitted to
the labels themselves, and all meet on one front, judged by the deviance of rows left out, see `samples`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import sympy
from numpy import ndarray

from kan2.core.data import Dataset
from kan2.core.definitions import resolve_auxiliary
from kan2.discovery.progress import Reporter
from kan2.discovery.symbolic_report import SymbolicReport
from kan2.errors import TrainingError
from kan2.expressions.symbols import symbol, with_backquotes
from kan2.interrupts import Interruptible, time_limit
from kan2.laws import wanted
from kan2.laws.budget import budget
from kan2.laws.dependence import depends
from kan2.laws.formulas import Formulas
from kan2.laws.front.approximations import approximations
from kan2.laws.front.complexity import complexity
from kan2.laws.front.front import Front, Row
from kan2.laws.front.guesses import fitted_guesses
from kan2.laws.front.lazy import pareto_of
from kan2.laws.labels.law import LabelLaw
from kan2.laws.labels.samples import ROWS_A_NUMBER, LabelSamples, label_samples_of
from kan2.laws.noisy.search import OUTER, NoisySearch
from kan2.laws.samples import of_columns
from kan2.laws.search import same_random_state

# See `kan2.laws.budget`. Of fourteen kinds of logits of four columns, 1,000 rows, 8 found what 20 did; 4 missed two.
WORK = 8.0

# Options of `discover` that say something of numbers alone, with what to do.
REFUSED = {
    "width": "Leave it out; a KANClassifier is a network for labels.",
    "templates": "Leave them out, or pass a form with constants alone as a guess.",
    "units": "A logit has none: leave it out, or pass ratios without units as columns.",
}


class LabelFormulas(Formulas):
    """What one call of `discover` knows of the logit of one target."""

    samples: LabelSamples

    def look(self, block: Interruptible) -> None:
        """Looks for formulas.

        Args:
            block: told as soon as there is something to return.
        """
        samples, given = self.samples, self.given
        self._approximate(approximations(samples.rest), block)
        for candidate in fitted_guesses(given["guesses"], samples.rest, given["seed"]):
            self.add(candidate.expression, (candidate.evidence,))
        self.settle()
        if min(samples.labels.sum(), len(samples) - samples.labels.sum()) < ROWS_A_NUMBER:
            return
        self.depends = depends(samples.X, samples.labels)
        if not self.depends or self._is_near_enough:
            return
        self.tell("looking for the law of a logit")
        with budget(min(WORK, given["work"])):
            for some in NoisySearch(samples.rest, outers=OUTER[:1]).laws():
                for candidate in some:
                    if wanted.is_of_library(candidate.expression, given["library"]):
                        self.add(candidate.expression, tuple(candidate.evidence.split("; ")))
        self.settle()

    @property
    def _is_near_enough(self) -> bool:
        """Whether the pick is a law and describes rows left out as well as a smooth logit does."""
        pick, samples = self._pick, self.samples
        return pick.is_law and pick.error * samples.spread**2 <= samples.smooth


def law_of_labels(
    data: Dataset, width: Any, given: Mapping[str, Any], callbacks: Sequence[Callable[..., object]]
) -> LabelLaw:
    """Returns what `kan2.discover` does of labels.

    Args:
        data: with two classes.
        width: of a network, which is refused.
        given: the options of `discover`, checked.
        callbacks: functions that are told, and may end the search.

    Raises:
        TrainingError: an option has no meaning for labels, or rows of one class alone have a weight.
    """
    _check({**given, "width": width})
    symbols, weight = tuple(symbol(name) for name in data.feature_names), given["sample_weight"]
    X, labels = data.features.detach().double().cpu().numpy(), data.y[:, 0].detach().double().cpu().numpy()
    for told, rows in (
        ("", labels > 0),
        (" of weight above 0", (labels > 0)[slice(None) if weight is None else weight > 0]),
    ):
        if rows.all() or not rows.any():
            raise TrainingError(f"discover: expected rows{told} of two classes, got one class. Add rows of the other.")
    with same_random_state():
        samples = label_samples_of(X, labels, symbols, keep=given["keep"], seed=given["seed"], weight=weight)
        formulas = LabelFormulas(samples, given, Reporter(given["attempts"], given["progress"], callbacks))
        with time_limit(given["seconds"]):
            with Interruptible() as block:
                formulas.look(block)
            formulas.settle_in_time()
        return _law(data, formulas, block, weight)


def _check(given: Mapping[str, Any]) -> None:
    for name, remedy in REFUSED.items():
        value = given[name]
        if value is not None and value is not False and (name != "templates" or value):
            raise TrainingError(f"discover: expected no {name} beside a target of labels, got {value!r}. {remedy}")
    if given["loss"] is not None and not wanted.asks_for_labels(given["loss"]):
        raise TrainingError(
            f"discover: expected loss='cross_entropy', or none, beside a target of labels, got {given['loss']!r}."
        )
    if np.ndim(given["accuracy"]) or given["accuracy"] or given["deviations"] is not None:
        raise TrainingError(
            "discover: expected no accuracy beside a target of labels, which are right or wrong. Leave it out."
        )


def _law(data: Dataset, formulas: Formulas, block: Interruptible, weight: ndarray | None) -> LabelLaw:
    resolved = resolve_auxiliary(data.inputs, data.auxiliary)
    forms = {symbol(name): expression for name, expression in resolved.items()}
    front = Front.of(formulas.rows, None, formulas.samples.floor)
    front = Front(tuple(_written(row, forms) for row in front), front.picked)
    report = SymbolicReport(front.pick.error)
    report.pareto, report.found = pareto_of(front, data), front.pick.is_law
    report.out_of_time, report.interrupted = block.out_of_time, block.interrupted and not block.out_of_time
    samples = of_columns(formulas.samples, data, np.ones(len(data), bool) if weight is None else weight > 0)
    return LabelLaw(front, data, report, notes=tuple(formulas.notes), samples=samples)


def _written(row: Row, forms: Mapping[sympy.Symbol, sympy.Expr]) -> Row:
    formula = without_magnitudes(row.formulas[0])
    # In the columns that the data came with.
    found = (with_backquotes(formula.xreplace(forms)),)
    return replace(row, formulas=found, complexity=complexity(formula))


def without_magnitudes(expression: sympy.Expr) -> sympy.Expr:
    """Returns an expression of real columns without the magnitudes of what is never negative.

    Example:
        >>> x, y = sympy.symbols("x y")
        >>> without_magnitudes(sympy.Abs(x**2 + y**2) + sympy.Abs(x))
        x**2 + y**2 + Abs(x)
    """
    real = {one: sympy.Dummy(str(one), real=True) for one in expression.free_symbols}
    back = {dummy: one for one, dummy in real.items()}
    return cast(sympy.Expr, expression.xreplace(real).xreplace(back))
