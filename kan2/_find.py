"""The search behind `kan2.discover`: short formulas, an exact law, and where there is none, networks.

Short approximations come first, so that there is something to return whatever happens. Then a law without noise is
looked for (`kan2.laws.search`) on the rows that are not kept aside, and held against those that are, and one under
noise (`kan2.laws.noisy`). Only where none is found, or where a width is asked for, are networks trained
(`kan2._search`). Where the target does not depend on the columns (`kan2.laws.dependence`), an exact law is looked for
shortly, and no network is trained unless a short formula explains something. All formulas meet on one front. Each of
several targets is searched by itself (`kan2.laws.targets`), unless one network of a width is to explain them all.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
import torch

from kan2._search import Outcome, _width, search
from kan2.core.data import Dataset, as_dataset, columns_named, inputs_of
from kan2.core.definitions import resolve_auxiliary
from kan2.core.tensors import open_table
from kan2.core.widths import parse_width
from kan2.discovery.progress import Reporter
from kan2.discovery.symbolic_report import SymbolicReport
from kan2.errors import DataError, unknown_name
from kan2.expressions.named import named_constants
from kan2.expressions.symbols import symbol, with_backquotes
from kan2.interrupts import Interruptible, time_limit
from kan2.laws import wanted
from kan2.laws.discovery import Discovery
from kan2.laws.formulas import Formulas
from kan2.laws.front.compiled import names_of_targets
from kan2.laws.front.complexity import complexity, description_length, nats
from kan2.laws.front.front import Front, Row
from kan2.laws.front.lazy import pareto_of
from kan2.laws.front.polish import Fit, FittedNumber, Form, values
from kan2.laws.labels.reading import with_labels
from kan2.laws.labels.search import law_of_labels
from kan2.laws.samples import of_columns, samples_of
from kan2.laws.search import same_random_state
from kan2.laws.targets import for_each
from kan2.laws.templates.template import checked_templates
from kan2.multkan import MultKAN
from kan2.symbolic.formula import symbolic_formula
from kan2.symbolic.suggest import checked_library
from kan2.tables.frames import named_columns, numbers
from kan2.training.spread import check_sizes

BEST = "the best of the networks that were trained"


def find(data: Any, width: Any, given: Mapping[str, Any]) -> Discovery:
    """Returns what `kan2.discover` does, which says what the options are."""
    library = checked_library("discover", given["library"])
    wanted.check_numbers(given)
    callbacks = wanted.checked_callbacks(given["callbacks"])
    is_asked = wanted.asks_for_labels(given["loss"])
    samples, accuracy, columns = _read(data, given, is_asked)
    check_sizes(samples, samples.inputs, names_of_targets(samples))
    wanted.check_networks(given["networks"], width)
    wanted.check_keep(given["keep"], len(samples))
    weight = wanted.checked_weights(given["sample_weight"], len(samples))
    accuracy, deviations = wanted.checked_accuracy(accuracy, len(samples))
    parse_width(_width(samples) if width is None else width, given["mult_arity"])
    checked = {
        "columns": (*columns, *names_of_targets(samples)),
        "library": library,
        "accuracy": accuracy,
        "sample_weight": weight,
        "deviations": deviations,
        "distance": None
        if is_asked
        else wanted.checked_loss(given["loss"], weight if deviations is None else deviations),
        "guesses": wanted.checked_guesses(given["guesses"], samples.feature_names),
        "templates": checked_templates(given["templates"], samples.feature_names, names_of_targets(samples)),
        "constants": named_constants(given["constants"], (*samples.feature_names, *names_of_targets(samples))),
    }
    given = {**given, **checked}
    if samples.classes:
        return law_of_labels(samples, width, given, callbacks)
    with same_random_state():
        if samples.y.shape[1] > 1 and width is None:
            return for_each(samples, given, callbacks, _of_one)
        tell = Reporter(given["attempts"], given["progress"], callbacks)
        return _Find(samples, width, given, tell).searched()


def _of_one(data: Dataset, given: Mapping[str, Any], tell: Reporter) -> Discovery:
    with same_random_state():
        return _Find(data, None, given, tell).searched()


def _read(data: Any, given: Mapping[str, Any], is_asked: bool) -> tuple[Dataset, Any, tuple[str, ...]]:
    """Returns the data, the accuracy as numbers where it is the name of a column, and all columns of the table.

    Args:
        data: of the caller.
        given: the options of `discover`.
        is_asked: whether targets that are numbers are labels.
    """
    accuracy, names = given["accuracy"], given["names"]
    table = open_table(data) if not isinstance(data, tuple | list | Dataset) else data
    if (labelled := with_labels(table, names, given["target"], is_asked)) is not None:
        return labelled, accuracy, ()
    columns = None if isinstance(table, tuple | list | Dataset) else named_columns(table)
    if not isinstance(accuracy, str):
        return as_dataset(table, names, given["target"]), accuracy, tuple(columns or ())
    if columns is None:
        raise DataError(
            f"discover: expected accuracy={accuracy!r} beside a table with names of columns, got "
            f"{type(data).__name__}. Pass the standard errors themselves."
        )
    if accuracy not in columns:
        raise unknown_name("discover", "column", accuracy, columns)
    if names is None:
        names = inputs_of(columns, (*columns_named(columns, given["target"], "data"), accuracy))
    read = as_dataset(table, names, given["target"])
    return read, numbers(columns[accuracy], "discover", accuracy), tuple(columns)


class _Find:
    """One call of `discover` for one target, or for several that one network explains.

    Attributes:
        data: the table, without rows of weight 0.
        units: of the table, or None. The numbers that candidates are about are those inside, see `Units`.
        rows: candidates with their errors.
    """

    def __init__(self, data: Dataset, width: Any, given: Mapping[str, Any], tell: Reporter) -> None:
        self.units = wanted.checked_units(given["units"], data, given["columns"], width)
        wanted.check_units_of_guesses(given["guesses"], self.units)
        if self.units is not None:
            wanted.check_units_of_templates(given["templates"], self.units)
            given = {**given, "guesses": tuple(map(self.units.inside, given["guesses"]))}
        self.data, self.width, self.given, self.tell = data, width, given, tell
        self.rows: list[Row] = []
        self.interrupted = self.late = False
        X, Y = data.features.detach().double().cpu().numpy(), data.y.detach().double().cpu().numpy()
        symbols = tuple(symbol(name) for name in data.feature_names)
        weight, deviations = given["sample_weight"], given["deviations"]
        options = {"loss": given["distance"], **{key: given[key] for key in ("keep", "seed", "accuracy")}}
        if self.units is not None:
            X, options["dimensions"] = self.units.columns_inside(X), self.units.dimensions
        self.tables = [samples_of(X, y, symbols, weight=weight, deviations=deviations, **options) for y in Y.T]
        self.used = np.ones(len(data), bool) if weight is None else weight > 0
        self.weight = weight
        if deviations is not None:
            mean = float(np.mean(deviations**-2.0))
            self.weight = (1.0 if weight is None else weight) * deviations**-2.0 / mean
        self.one = Formulas(self.tables[0], given, tell, width is not None) if len(self.tables) == 1 else None

    def searched(self) -> Discovery:
        """Returns the law, or what is nearest to it."""
        one = self.one
        with time_limit(self.given["seconds"]):
            if one is not None:
                with Interruptible() as block:
                    one.look(block)
                self.late, self.interrupted = block.out_of_time, block.interrupted and not block.out_of_time
            is_done = one is not None and self.width is None and (not self.given["networks"] or one.is_done)
            outcome = None if self.interrupted or is_done else self._networks()
        return self._ended(outcome)

    # -- networks --------------------------------------------------------------------------------------------------

    def _networks(self) -> Outcome:
        given, data = self.given, wanted.without_rows(self.data, self.used)
        weight = None if self.weight is None else self.weight[self.used]
        if self.width is None and self.one is not None and not self.tables[0].leaves_one_out:
            rest = ~self.tables[0].kept
            data, weight = wanted.without_rows(data, rest), None if weight is None else weight[rest]
        names = ("mult_arity", "library", "attempts", "grid", "steps", "seed", "weight_simple", "max_growth", "tries",
                 "snap", "accuracy")  # fmt: skip
        outcome = search(
            data,
            self.width,
            seconds=self._left(),
            tell=self.tell,
            loss=None if given["distance"] is None else given["loss"],
            has_other=self.one is not None and bool(self.one.rows),
            sample_weight=None if weight is None else torch.from_numpy(weight),
            **{name: given[name] for name in names},
        )
        self.interrupted |= outcome.interrupted
        self.late |= outcome.out_of_time
        return outcome

    def _left(self) -> float | None:
        seconds = self.given["seconds"]
        return None if seconds is None else max(0.0, seconds - self.tell.seconds)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _ended(self, outcome: Outcome | None) -> Discovery:
        network = None if outcome is None else outcome.model
        pick = None if network is None else self._of_networks(network)
        rows = self.rows
        if self.one is not None:
            if pick is None:
                self.one.settle_in_time()
            rows = [*self.one.rows, *rows]
        if not rows:
            rows = [self._row_of(tuple(sympy.Float(table.constant, 17) for table in self.tables))]
        resolved = resolve_auxiliary(self.data.inputs, self.data.auxiliary)
        forms = {symbol(name): expression for name, expression in resolved.items()}
        front = Front.of(rows, pick, self.tables[0].floor)
        front = Front(tuple(_written(self._with_units(row), forms) for row in front), front.picked)
        report = SymbolicReport(front.pick.error) if network is None else replace(network.report)
        report.pareto = pareto_of(front, self.data) if network is None else report.pareto
        report.found, report.out_of_time, report.interrupted = front.pick.is_law, self.late, self.interrupted
        if network is not None:
            network.report = report
        notes = () if self.one is None else tuple(self.one.notes)
        units = {} if self.units is None else dict(self.units.texts)
        samples = None if self.one is None else of_columns(self.tables[0], self.data, self.used)
        return Discovery(front, self.data, report, network, notes=notes, units=units, samples=samples)

    def _of_networks(self, network: MultKAN) -> Row | None:
        """Adds the formulas of networks and returns the row to pick, where a width was asked for."""
        one = self.one
        for entry in network.report.pareto.front:
            if not entry.model.is_formula or entry.model is network:
                continue
            formulas = _formulas(entry.model)
            if one is None:
                self.rows.append(self._row_of(formulas))
            else:
                one.add(self._inside(formulas[0]), ("a network that was tried",))
        if not network.is_formula:
            return None
        formulas = _formulas(network)
        if one is not None:
            if self.width is None:
                one.add(self._inside(formulas[0]), (BEST,))
                return None
            one.settle_in_time()
        row = self._row_of(formulas, BEST, network)
        self.rows.append(row)
        return row

    def _inside(self, formula: sympy.Expr) -> sympy.Expr:
        return formula if self.units is None else self.units.inside(formula)

    def _with_units(self, row: Row) -> Row:
        """Returns a row in the units of the table, with its constants named."""
        if self.units is None:
            return row
        (samples,), (inside,) = self.tables, row.formulas
        constants = self.units.dimensions.constants(inside)
        numbers, formula = row.numbers, self.units.outside(inside)
        if not self.units.is_coherent:
            constants = tuple(replace(constant, number=None) for constant in constants)
            form = Form.of(formula)
            fit = Fit(form, replace(samples, X=self.units.columns_outside(samples.X)), is_best=True)
            numbers = tuple(FittedNumber(float(v), float(e)) for v, e in zip(fit.numbers, fit.errors))
        told = "its units agree" + ("" if constants else ", and no number has one")
        if constants and not self.units.dimensions.prefactors():
            told += ", which takes a constant with a unit: no product of the columns has that of the target"
        evidence = (*row.evidence, "; ".join((told, *map(str, constants))))
        return replace(row, formulas=(formula,), numbers=numbers, constants=constants, evidence=evidence)

    def _row_of(self, formulas: tuple[sympy.Expr, ...], told: str = "", network: MultKAN | None = None) -> Row:
        """Returns a row with its numbers as they are."""
        errors = []
        for formula, table in zip(formulas, self.tables):
            aside = table.aside
            errors.append(aside.error(values(formula, aside.symbols, aside.X)))
        error = float(np.sqrt(np.mean(np.square(errors))))
        error = error if np.isfinite(error) or network is None else network.report.pareto.recommended.rmse
        table = self.tables[0]
        length = description_length(error, table.floor, nats(formulas, len(table), len(table.symbols)), len(table))
        found = bool(network is not None and network.report.found)
        return Row(
            formulas, sum(map(complexity, formulas)), error, length, (told,) * bool(told), False, found, (), network
        )


def _formulas(network: Any) -> tuple[sympy.Expr, ...]:
    found = symbolic_formula(network, check=False)
    return tuple(found) if isinstance(found, list) else (found,)


def _written(row: Row, forms: Mapping[sympy.Symbol, sympy.Expr]) -> Row:
    # In the columns that the data came with.
    return replace(row, formulas=tuple(with_backquotes(formula.xreplace(forms)) for formula in row.formulas))
