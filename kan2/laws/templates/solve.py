"""The unknown functions of a template, one after the other: first as curves, then as formulas.

All functions are fitted as curves at once (`curves`). The one with the fewest arguments is then a table of its own: at
every row, the value that the template needs there, given the others. Formulas that fit this table take the place of the
function, their numbers become constants of the template, and the rest is fitted again; numbers that other functions
could take over, such as a constant of a sum, are left out, and those that are simple become exact. The table of the
last function is free of the errors of curves, so that an exact law is looked for in it. All numbers of the whole
formula are finally fitted to the rows, by whoever asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import sympy
import torch
from numpy import ndarray

from kan2 import functions
from kan2.expressions.constants import decimal_candidates
from kan2.expressions.symbols import symbol
from kan2.interrupts import Interruptible
from kan2.laws.budget import budget
from kan2.laws.front.approximations import approximations
from kan2.laws.front.complexity import description_length, nats
from kan2.laws.front.front import Row, row_of
from kan2.laws.front.polish import Form, values
from kan2.laws.samples import Samples
from kan2.laws.search import find_law
from kan2.laws.templates.curves import Curves, Outer, arguments_of, curves
from kan2.laws.templates.template import Call, Template
from kan2.laws.wanted import is_of_library
from kan2.symbolic.curves import fit_curves, grid_points

MOST_LEFT = 0.7  # spreads that curves may leave: beyond, the form says nothing of the target
SMOOTH = 1e-3  # error of curves above which there is noise, so that no exact law is looked for
TRIED, KEPT = 4, (2, 1)  # formulas of a function that are tried, and of these that lead on: of the first, of others
RIGHT = 1e-7  # error of a formula, before its numbers are fitted, with which the search ends
OF_LAST, OF_LIBRARY = 8, 5  # formulas of the last function; functions of the library that are tried
UNSURE_WORK = 2.0
EXACT, PRECISE = 1e-9, 1e-11  # errors of a table without noise, and of curves that spoil no table
WORSE, WORSE_SMOOTH = 1.03, 4.0  # factor on the error of curves that a simpler template may have
CLOSE, FARTHEST = 30.0, 0.02  # errors of curves within which a number may be simple, and the most of it
NEAREST = 3  # simple numbers that are tried
RIVALS = 0.2  # chance that a number as simple lies there
NEUTRAL = (sympy.Integer(0), sympy.Integer(1))
NEWTON = 30  # steps
SAME = 1e-13
CONVERGED = 0.9  # of the rows must have a value, else curves are taken as they are


@dataclass(frozen=True, eq=False)
class Solution:
    """A formula of the form of a template.

    Attributes:
        expression: in the columns.
        evidence: in words, what its functions are.
    """

    expression: sympy.Expr
    evidence: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Solved:
    """What is known of a template.

    Attributes:
        template: the template.
        solutions: formulas, to be fitted.
        error: of its functions as curves, in spreads of the target; None where they cannot be fitted.
    """

    template: Template
    solutions: tuple[Solution, ...]
    error: float | None

    @property
    def note(self) -> str:
        """A sentence that says how near the form comes to the target."""
        if self.error is None:
            return f"the template {self.template.text}: not a number on some rows, whatever its functions are"
        return (
            f"the template {self.template.text}: with any smooth functions it leaves about {self.error:.1e} spreads of "
            "the target"
        )


def solved(template: Template, samples: Samples, *, seed: int, work: float, library: Sequence[str] | None) -> Solved:
    """Looks for the unknown functions of a template.

    Args:
        template: with at least one function.
        samples: the rows; all are used.
        seed: of all that is random.
        work: limit of the search for exact laws, see `kan2.laws.budget`.
        library: names of the functions that formulas may have; None for all.
    """
    found: list[Solution] = []
    error: float | None = None
    with Interruptible() as block:
        block.has_result = True
        start = curves(template, samples, seed)
        if start is not None:
            error = start.error
            if error <= MOST_LEFT:
                search = _Search(samples, seed, work, library)
                for solution in search.solutions(_reduced(start, samples, seed), (f"the template {template.text}",)):
                    found.append(solution)
                    if samples.error(values(solution.expression, samples.symbols, samples.X)) <= RIGHT:
                        break
    return Solved(template, tuple(found), error)


@dataclass
class _Search:
    samples: Samples
    seed: int
    work: float
    library: Sequence[str] | None

    def solutions(self, known: Curves, told: tuple[str, ...], depth: int = 0) -> Iterator[Solution]:
        """Yields formulas of the form of a template whose functions are known as curves."""
        template = known.template
        if not template.calls:
            return
        name = min(template.functions, key=lambda f: len(template.calls_of(f)[0].arguments))
        is_last = len(template.functions) == 1
        call = template.calls_of(name)[0]
        symbols = tuple(sympy.Dummy(f"u{i}") for i in range(len(call.arguments)))
        table = _table_of(known, call, self.samples, symbols)
        formulas = self._formulas(known, call, table, is_last)
        if is_last:
            floats = dict(zip(template.constants, (sympy.Float(float(v), 17) for v in known.constants)))
            for formula, words in formulas[:OF_LAST]:
                whole = template.with_function(name, formula, symbols, {}).expression
                yield Solution(cast(sympy.Expr, whole.xreplace(floats)), (*told, *words))
            return
        trials = []
        for formula, words in formulas[:TRIED]:
            form = Form.of(formula)
            fresh: dict[sympy.Symbol, sympy.Symbol] = {number: sympy.Dummy("c", real=True) for number in form.numbers}
            expression = cast(sympy.Expr, form.expression.xreplace(fresh))
            start = replace(template, start=tuple(known.constants.tolist()))
            numbers = {fresh[number]: float(value) for number, value in zip(form.numbers, form.start)}
            trial = curves(start.with_function(name, expression, symbols, numbers), self.samples, self.seed, known)
            if trial is not None:
                trials.append((trial, words))
        least = min((trial.error for trial, _ in trials), default=np.inf)
        kept = [entry for entry in trials if entry[0].error <= 3 * least + 1e-12]
        for trial, words in kept[: KEPT[min(depth, len(KEPT) - 1)]]:
            simple = _simplified(_reduced(trial, self.samples, self.seed), self.samples, self.seed)
            yield from self.solutions(simple, (*told, *words), depth + 1)

    def _formulas(
        self, known: Curves, call: Call, table: Samples, is_last: bool
    ) -> list[tuple[sympy.Expr, tuple[str, ...]]]:
        """Returns formulas of a function, the best first, each with what is said of it."""
        name = f"{call.function}({', '.join(map(str, call.arguments))})"
        rows = [(a.expression, a.evidence, a.is_fitted) for a in approximations(table)]
        if len(call.arguments) == 1:
            rows += [(e, "a function of the library", False) for e in _of_library(known, call, table, self.library)]
        # What curves leave, in spreads of the table.
        floor = max(known.error * self.samples.spread / table.spread, EXACT)
        ranked: list[tuple[float, Row]] = []
        for expression, words, is_fitted in rows:
            if not is_of_library(expression, self.library):
                continue
            row = row_of(expression, (f"{name}: {words}",), table, is_fitted=is_fitted)
            if row is not None:
                n = len(table)
                length = description_length(row.error, floor, nats(row.formulas, n, len(table.symbols)), n)
                ranked.append((length, row))
        ranked.sort(key=lambda entry: entry[0])
        different = {Form.of(row.formulas[0]).expression: row for _, row in reversed(ranked)}
        found = [(row.formulas[0], row.evidence) for row in list(different.values())[::-1]]
        if is_last and known.error < SMOOTH and min(row.error for _, row in ranked) > EXACT:
            # Where constants are as curves gave them, the table is not exact, and seldom shows its law.
            is_sure = not known.constants.size or known.error < PRECISE
            if (law := _law(table, call, self.seed, self.work if is_sure else min(self.work, UNSURE_WORK))) is not None:
                found.insert(0, (law[0], (f"{name}: an exact law", *law[1])))
        return found


def _table_of(known: Curves, call: Call, samples: Samples, symbols: tuple[sympy.Dummy, ...]) -> Samples:
    """Returns the table of a function: its arguments, and the values that the template needs, with their unit."""
    template = known.template
    x = arguments_of(call, samples)
    others = {c: known.at(c, arguments_of(c, samples)) for c in template.calls}
    u, unit = others[call], np.ones(len(samples))
    if len(template.calls_of(call.function)) == 1:
        exact, slope, is_there = _inverted(known, call, others, samples)
        if is_there.mean() >= CONVERGED:
            with np.errstate(all="ignore"):
                unit = 1 / np.abs(samples.slopes(samples.y) * slope)
            rows = is_there & np.isfinite(unit) & (unit < 1e3 * np.median(unit[is_there]))
            return Samples(x[rows], exact[rows], symbols, samples.weight[rows], unit[rows], np.zeros(rows.sum(), bool))
    return Samples(x, u, symbols, samples.weight, unit * samples.spread, np.zeros(len(x), bool))


def _inverted(
    known: Curves, call: Call, others: dict[Call, ndarray], samples: Samples
) -> tuple[ndarray, ndarray, ndarray]:
    """Solves the template for a function at every row: its values, the slopes there, and where there are some."""
    template = known.template
    outer = Outer(template, samples)
    at = template.calls.index(call)
    u = others[call].copy()

    def unknown(u: ndarray) -> list[Any]:
        return [*(u if c is call else others[c] for c in template.calls), *known.constants]

    with np.errstate(all="ignore"):
        for _ in range(NEWTON):
            step = (samples.y - outer.value(unknown(u))) / outer.slopes(unknown(u))[at]
            # Half of it where the template has no value any more.
            for _ in range(8):
                bad = ~np.isfinite(outer.value(unknown(u + step)))
                if not bad.any():
                    break
                step = np.where(bad, step / 2, step)
            u = u + np.where(np.isfinite(step), step, 0.0)
            if np.nanmax(np.abs(step) / np.maximum(np.abs(u), 1e-300)) < SAME:
                break
        slope = outer.slopes(unknown(u))[at]
        off = np.abs(outer.value(unknown(u)) - samples.y)
    return u, slope, np.isfinite(u) & (off <= 1e-10 * np.abs(samples.y) + 1e-12 * np.abs(samples.y).max())


def _law(table: Samples, call: Call, seed: int, work: float) -> tuple[sympy.Expr, tuple[str, ...]] | None:
    # Arguments that are no columns go by what they are.
    names = tuple(one.name if isinstance(one, sympy.Symbol) else str(one) for one in call.arguments)
    if not work or len(set(names)) < len(names) or len(table) <= table.X.shape[1]:
        return None
    with Interruptible() as block, np.errstate(all="ignore"):
        block.has_result = True
        with budget(work):
            law = find_law(table.X, table.y, names, seed=seed)
            if law is None:
                return None
            known = {symbol(name): one for name, one in zip(names, table.symbols)}
            return cast(sympy.Expr, law.expression.xreplace(known)), law.evidence
    return None


def _of_library(known: Curves, call: Call, table: Samples, library: Sequence[str] | None) -> Iterator[sympy.Expr]:
    """Yields c f(a u + b) + d for the functions of a library that are most like the curve."""
    low, high = float(table.X.min()), float(table.X.max())
    if not high > low:
        return
    grid = grid_points().double().numpy()
    points = (low + high) / 2 + (high - low) / 2 * grid
    values = known.at(call, points[:, None])
    if not np.isfinite(values).all() or np.ptp(values) <= 1e-12 * np.abs(values).max():
        return
    names = list(functions.DEFAULT_LIBRARY if library is None else library)
    one = torch.ones(1, dtype=torch.float64)
    (rows,) = fit_curves(torch.from_numpy(values)[None], low * one, high * one, names)
    (u,) = table.symbols
    for row in sorted(rows, key=lambda row: -row.r2)[:OF_LIBRARY]:
        a, b, c, d = (sympy.Float(float(v), 17) for v in row.affine)
        entry = functions.get(row.function)
        argument = a * u + b if row.affine[1] else a * u
        inner = entry.sympy(argument) if entry.shape is None else entry.sympy(argument, sympy.Float(row.shape, 17))
        yield cast(sympy.Expr, c * inner + d if row.affine[3] else c * inner)


def _is_as_good(error: float, before: float) -> bool:
    return error <= max((WORSE_SMOOTH if before < SMOOTH else WORSE) * before, 1e-12)


def _reduced(known: Curves, samples: Samples, seed: int) -> Curves:
    """Leaves out constants that the curves can take over: at 0 or 1 they fit as well."""
    for constant in known.template.constants:
        for neutral in NEUTRAL:
            trial = _with_constant(known, constant, neutral, samples, seed)
            if trial is not None:
                known = trial
                break
    return known


def _simplified(known: Curves, samples: Samples, seed: int) -> Curves:
    """Makes constants exact that are simple within the errors of the curves."""
    for constant, value in zip(known.template.constants, known.constants.tolist()):
        tolerance = min(max(CLOSE * known.error, 1e-9), FARTHEST)
        near = decimal_candidates(value, tolerance * abs(value)) if value else ()
        near = [number for number in near if 2 * tolerance * number.rivals <= RIVALS]
        forms = [number.form for number in sorted(near, key=lambda number: abs(number.value - value))[:NEAREST]]
        trials = [_with_constant(known, constant, form, samples, seed) for form in forms]
        known = min((trial for trial in trials if trial is not None), key=lambda trial: trial.error, default=known)
    return known


def _with_constant(
    known: Curves, constant: sympy.Symbol, value: sympy.Expr, samples: Samples, seed: int
) -> Curves | None:
    start = replace(known.template, start=tuple(known.constants.tolist()))
    template = start.with_constants({constant: value})
    if template.expression.has(sympy.zoo, sympy.nan, sympy.oo):
        return None
    if not all(template.expression.has(call.value) for call in template.calls):
        return None
    trial = curves(template, samples, seed, known)
    return trial if trial is not None and _is_as_good(trial.error, known.error) else None
