"""Equations of Feynman's lectures (KAN 1.0, table 2; all 120 of AI Feynman): human-made, pruned, unpruned, MLP.

System. The 27 dimensionless formulas of the paper's table, and the 120 with units, with the ranges of `_equations`.
1,200 uniform samples (300 of them to choose by), 2,000 others for the test.

Learned. *Human-made*: the formula compiled into a network by `kanpiler`, with splines of order 3 in place of its
functions, trained. *Unpruned*: KANs of one or two hidden layers, with products. *Pruned*: the best of them trained
again with the sparsity penalty, then cut. The shape and the grid are chosen by the error on samples that are held out,
the same way for all equations. Beside them MLPs of several kinds, in the processor time of the KANs that start from
nothing. `kan2.discover` then looks for the formula itself in 500 samples.

Judged. By the test RMSE of the best network by those held-out samples: of the 27 below the lowest of the paper's four
columns, in at least 25; of the 120, which the paper has no figures for, below that of the MLP, in more than half. A
formula counts as exact that misses the test values by rounding only. All times are processor times.
"""

import copy
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import kan2
import kanpiler
from case_studies._base import CaseResult, Row, Trial, row_of_trials, run_as_script
from case_studies._baselines import tuned_mlp
from case_studies._equations import EQUATIONS, Equation, with_units
from case_studies._judging import rmse
from case_studies._staircase import shape_of, staircase

EXACT = 1e-9  # share of the spread that counts as rounding
QUICK = ("I.18.4",)
QUICK_WITH_UNITS = ("I.12.1",)
SHAPES: tuple[list, ...] = ([[2, 3], 1], [4, [1, 1], 1])  # what follows the inputs
K, LAMB, NEEDED = 5, 1e-3, 25
KINDS = ("human-made", "pruned", "unpruned", "MLP")


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Learns equations of physics by KANs and MLPs, and looks for the formulas."""
    result, start = CaseResult("feynman"), time.process_time()
    result.references.append("Liu et al., KAN (arXiv 2404.19756), section 3.3, table 2; Udrescu, Tegmark, AI Feynman")
    without = [equation for equation in EQUATIONS if full or equation.name in QUICK]
    beside_the_paper(result, without, full, seeds or (3 if full else 1))
    beside_an_mlp(result, [equation for equation in with_units() if full or equation.name in QUICK_WITH_UNITS], full)
    result.seconds = time.process_time() - start
    return result


def beside_the_paper(result: CaseResult, equations: Sequence[Equation], full: bool, seeds: int) -> None:
    """Adds the equations that the paper has figures for."""
    start, errors, unaided = time.process_time(), {}, 0
    for equation in equations:
        assert equation.paper is not None
        bar, learned = min(equation.paper), [learn(equation, full, seed) for seed in range(seeds)]
        errors[equation.name] = learned[0].errors
        unaided += all(each.errors[each.unaided] < bar for each in learned)
        paper = ", ".join(f"{kind} {error:.2e}" for kind, error in zip(KINDS, equation.paper))
        trials = [each.trial(bar) for each in learned]
        row = row_of_trials(f"{equation.name}: {equation.formula}", trials, "test rmse", f"< {bar:.2e}", paper)
        result.rows.append(row)
    exact = find_all(result, equations, "")
    needed, n, used = NEEDED if full else len(equations), len(equations), time.process_time() - start
    met = sum(row.passed for row in result.rows)
    beaten = f"below the paper's best in {{}} of {n}"
    result.rows += [
        Row("all equations", beaten.format(met), met, "equations", f">= {needed}", met >= needed, used),
        _beside("the same without the human-made", beaten.format(unaided), unaided, "equations", used),
        _beside("formulas by kan2.discover", ", ".join(exact) or "none", len(exact), "exact", used),
    ]
    result.metrics["test rmse of the first seed"] = errors
    result.figures["errors"] = _figure(equations, errors)


def beside_an_mlp(result: CaseResult, equations: Sequence[Equation], full: bool) -> None:
    """Adds equations with units, one draw of samples each; errors are shares of the deviation of the targets."""
    start, n = time.process_time(), len(equations)
    learned = [learn(equation, full, 0) for equation in equations]
    for equation, each in zip(equations, learned):
        trial = each.trial(each.errors["MLP"], each.spread)
        task = f"with units, {equation.name}: {equation.formula}"
        result.rows.append(row_of_trials(task, [trial], "test rmse / deviation", "< MLP here"))
    exact = find_all(result, equations, "with units, ")
    errors = {kind: [each.errors[kind] / each.spread for each in learned if kind in each.errors] for kind in KINDS}
    medians = ", ".join(f"{kind} {np.median(errors[kind]):.1e}" for kind in KINDS)
    beaten, unaided = (
        sum(each.errors[kind] < each.errors["MLP"] for each, kind in zip(learned, kinds))
        for kinds in ([each.chosen for each in learned], [each.unaided for each in learned])
    )
    used = time.process_time() - start
    below, median = f"below the MLP here in {{}} of {n}", float(np.median(errors["human-made"]))
    result.rows += [
        Row("all with units", below.format(beaten), beaten, "equations", "more than half", 2 * beaten > n, used),
        _beside("with units, without the human-made", below.format(unaided), unaided, "equations", used),
        _beside("with units, medians", medians, median, "test rmse / deviation", used),
        _beside("with units, formulas by kan2.discover", f"{len(exact)} of {n}", len(exact), "exact", used),
    ]
    result.metrics["with units, exact formulas"] = exact
    result.metrics["with units, test rmse / deviation"] = {
        equation.name: {kind: error / each.spread for kind, error in each.errors.items()}
        for equation, each in zip(equations, learned)
    }
    result.figures["errors_with_units"] = _shares_figure(errors)


@dataclass(frozen=True)
class Learned:
    """What one seed gave.

    Attributes:
        networks: of each kind of KAN the one that the held-out samples choose.
        errors: test RMSE of these, and of the MLP.
        chosen, unaided: the kind that the held-out samples choose, and the one among those that start from nothing.
        spread: deviation of the targets.
        seconds: processor time.
    """

    networks: dict[str, kan2.MultKAN]
    errors: dict[str, float]
    chosen: str
    unaided: str
    spread: float
    seconds: float

    def trial(self, bar: float, unit: float = 1.0) -> Trial:
        """Returns the line of the table, with errors divided by a unit."""
        best = self.networks[self.chosen]
        shown = ", ".join(f"{name} {error / unit:.1e}" for name, error in self.errors.items())
        found = f"{self.chosen} {shape_of(best)}, {best.n_parameters} parameters\n{shown}"
        error = self.errors[self.chosen]
        return Trial(found, error / unit, error < bar, self.seconds)


def learn(equation: Equation, full: bool, seed: int) -> Learned:
    """Trains all kinds of networks on one draw of samples."""
    start, n = time.process_time(), 1200 if full else 800
    x, y = equation.draw(n, seed)
    x_test, y_test = equation.draw(2000, 1_000_000 + seed)
    train, held = (x[n // 4 :], y[n // 4 :]), (x[: n // 4], y[: n // 4])
    grids, steps = ([3, 6, 12], 20) if full else ([3, 6], 12)

    def off(model: kan2.MultKAN) -> float:
        return rmse(model.predict(held[0]), held[1])

    networks, human = {}, human_made(equation)
    if human is not None:
        networks["human-made"] = min(staircase(human, train, [5, 10, 20] if full else [5, 10], 10), key=off)
    from_nothing = time.process_time()
    tried = [kan2.MultKAN([x.shape[1], *shape], grid=grids[0], k=K, seed=seed) for shape in SHAPES]
    for model in tried:
        model.fit(train, steps=steps)
    first = min(tried, key=off)
    sparse = kan2.MultKAN(list(first.width), grid=grids[0], k=K, seed=seed)
    sparse.fit(train, lamb=LAMB, steps=steps)
    networks["pruned"] = min(staircase(sparse.prune(), train, grids, steps), key=off)
    networks["unpruned"] = min([first, *staircase(copy.deepcopy(first), train, grids[1:], steps)], key=off)
    mlp, _ = tuned_mlp(x, y, time.process_time() - from_nothing, seed)
    errors = {kind: rmse(model.predict(x_test), y_test) for kind, model in [*networks.items(), ("MLP", mlp)]}
    chosen, unaided = (min(kinds, key=lambda kind: off(networks[kind])) for kinds in (networks, KINDS[1:3]))
    return Learned(networks, errors, chosen, unaided, float(y_test.std()), time.process_time() - start)


def human_made(equation: Equation) -> kan2.MultKAN | None:
    """Compiles the formula into splines; None where a part of it has a pole, as sin(u)^2/u^2 has in u."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kanpiler.DomainWarning)
        try:
            return kanpiler.compile(equation.formula, list(equation.ranges), equation.ranges, edges="spline", grid=5)
        except kanpiler.CompileError:
            return None


def find_all(result: CaseResult, equations: Sequence[Equation], prefix: str) -> list[str]:
    """Looks for the formulas, adds what was found, and returns the names of those that are exact."""
    exact = []
    for equation in equations:
        result.formulas[prefix + equation.name], is_exact = find(equation)
        exact += [equation.name] if is_exact else []
    return exact


def find(equation: Equation) -> tuple[str, bool]:
    """Looks for the formula in 500 samples; returns what was found, and whether it is exact."""
    data = equation.sample(500, 0)
    x_test, y_test = equation.draw(2000, 1_000_000)
    try:
        model = kan2.discover(data, [len(equation.ranges), [1, 1], 1], attempts=1)
        formula = str(model.symbolic_formula(digits=4))
    except kan2.Kan2Error as refusal:
        return str(refusal).splitlines()[0], False
    return formula, bool(rmse(model.predict(x_test), y_test) <= EXACT * y_test.std())


def _beside(task: str, found: str, error: float, measure: str, seconds: float) -> Row:
    return Row(task, found, error, measure, "shown beside", True, seconds)


def _figure(equations: Sequence[Equation], errors: dict[str, dict[str, float]]) -> Figure:
    figure = Figure(figsize=(max(4.0, 0.36 * len(equations) + 1.2), 3.6), layout="constrained")
    axes = figure.add_subplot()
    place = range(len(equations))
    axes.plot(
        place, [min(e.paper or ()) for e in equations], "_", color="0.3", ms=12, mew=2, label="the paper's lowest"
    )
    for kind, marker in zip(KINDS, "^osv"):
        axes.plot(place, [errors[e.name][kind] for e in equations], marker, ms=4.5, label=kind)
    axes.set(yscale="log", ylabel="test RMSE", xticks=place)
    axes.set_xticklabels([e.name for e in equations], rotation=60, ha="right", fontsize=8)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=5 if len(equations) > 5 else 2, frameon=False, fontsize=8)
    return figure


def _shares_figure(errors: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for kind, style in zip(KINDS, ("-", "--", "-.", ":")):
        axes.ecdf(errors[kind], linestyle=style, label=kind)
    axes.set(xscale="log", xlabel="test RMSE / deviation", ylabel="share of equations up to this error")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
