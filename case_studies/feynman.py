"""Twenty-seven equations of Feynman's lectures without units (KAN 1.0, table 2): human-made, pruned, unpruned, MLP.

System. The dimensionless formulas of the paper's table, whose ranges are not in its text; ours are in `EQUATIONS`. They
follow AI Feynman's where it has them, and keep away from poles. 1,200 uniform samples (300 of them to choose by), 2,000
others for the test.

Learned. *Human-made*: the formula compiled into a network by `kanpiler`, with splines of order 3 in place of its
functions, trained. *Unpruned*: KANs of one or two hidden layers, with products. *Pruned*: the best of them trained
again with the sparsity penalty, then cut. The shape and the grid are chosen by the error on samples that are held out,
the same way for all equations. Beside them MLPs of several kinds, in the processor time of the KANs that start from
nothing. `kan2.discover` then looks for the formula itself, in 500 samples, where there are at most three variables.

Judged. By the test RMSE of the best network by those held-out samples: below the lowest of the paper's four columns,
in at least 25 of 27. A formula counts as exact that misses the test values by rounding only. All times are processor
times.
"""

import copy
import time
import warnings
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import kan2
import kanpiler
from case_studies._base import CaseResult, Row, Trial, row_of_trials, run_as_script
from case_studies._baselines import rmse, tuned_mlp
from kan2.data import as_dataset

ANGLE = (0, 6.283)
EXACT = 1e-9  # share of the spread that counts as rounding
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Equation:
    """A formula with its ranges, and the paper's test RMSE: human-made, pruned, unpruned, MLP."""

    name: str
    formula: str
    ranges: Ranges
    paper: tuple[float, float, float, float]

    def draw(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (n, input) uniform samples and (n,) values."""
        data = kan2.sample_function(self.formula, self.ranges, n=n, seed=seed)
        return data.X.numpy(), data.y[:, 0].numpy()


# fmt: off
EQUATIONS = (
    Equation("I.6.2", "exp(-th**2/(2*s**2))/sqrt(2*pi*s**2)", {"th": (1, 3), "s": (1, 3)},
             (7.66e-5, 2.86e-5, 4.60e-5, 1.45e-4)),
    Equation("I.6.2b", "exp(-(th-th1)**2/(2*s**2))/sqrt(2*pi*s**2)", {"th": (1, 3), "th1": (1, 3), "s": (1, 3)},
             (1.22e-3, 4.45e-4, 1.25e-3, 7.40e-4)),
    Equation("I.9.18", "a/((b-1)**2+(c-d)**2+(e-f)**2)",
             {"a": (0, 1), "b": (.2, .7), "c": (.75, 1.3), "d": (.25, .65), "e": (.75, 1.3), "f": (.25, .65)},
             (1.48e-3, 8.62e-3, 6.56e-3, 1.59e-3)),
    Equation("I.12.11", "1+a*sin(th)", {"a": (0, 2), "th": ANGLE}, (2.07e-3, 1.39e-3, 9.13e-4, 6.71e-4)),
    Equation("I.13.12", "a*(1/b-1)", {"a": (0, 2), "b": (.3, 2)}, (7.22e-3, 4.81e-3, 2.72e-3, 1.42e-3)),
    Equation("I.15.3x", "(1-a)/sqrt(1-b**2)", {"a": (0, 2), "b": (0, .9)}, (7.35e-3, 1.58e-3, 1.14e-3, 8.54e-4)),
    Equation("I.16.6", "(a+b)/(1+a*b)", {"a": (-.9, .9), "b": (-.9, .9)}, (1.06e-3, 1.19e-3, 1.53e-3, 6.20e-4)),
    Equation("I.18.4", "(1+a*b)/(1+a)", {"a": (0, 2), "b": (0, 2)}, (3.92e-4, 1.50e-4, 1.32e-3, 3.68e-4)),
    Equation("I.26.2", "asin(n*sin(th2))", {"n": (0, .9), "th2": (0, 1.57)}, (1.22e-4, 7.90e-4, 8.63e-4, 1.24e-4)),
    Equation("I.27.6", "1/(1+a*b)", {"a": (0, 2), "b": (0, 2)}, (2.22e-4, 1.94e-4, 2.14e-4, 2.46e-4)),
    Equation("I.29.16", "sqrt(1+a**2-2*a*cos(th1-th2))", {"a": (.1, .8), "th1": (0, 3.14), "th2": (0, 3.14)},
             (2.36e-1, 3.99e-3, 3.20e-3, 4.64e-3)),
    Equation("I.30.3", "sin(n*th/2)**2/sin(th/2)**2", {"n": (0, 4), "th": (1, 3)},
             (3.85e-1, 1.03e-3, 1.11e-2, 1.50e-2)),
    Equation("I.30.5", "asin(a/n)", {"a": (-1, 1), "n": (1.2, 3)}, (2.23e-4, 3.49e-5, 6.92e-5, 9.45e-5)),
    Equation("I.37.4", "1+a+2*sqrt(a)*cos(d)", {"a": (.1, 2), "d": ANGLE}, (7.57e-5, 4.91e-6, 3.41e-4, 5.67e-4)),
    Equation("I.40.1", "n0*exp(-a)", {"n0": (0, 2), "a": (-2, 2)}, (3.45e-3, 5.01e-4, 3.12e-4, 3.99e-4)),
    Equation("I.44.4", "n*log(a)", {"n": (0, 2), "a": (.5, 3)}, (2.30e-5, 2.43e-5, 1.10e-4, 3.99e-4)),
    Equation("I.50.26", "cos(a)+al*cos(a)**2", {"a": ANGLE, "al": (0, 1)}, (1.52e-4, 5.82e-4, 4.90e-4, 1.53e-3)),
    Equation("II.2.42", "(a-1)*b", {"a": (0, 2), "b": (0, 2)}, (8.54e-4, 7.22e-4, 1.22e-3, 1.81e-4)),
    Equation("II.6.15a", "c*sqrt(a**2+b**2)/(4*pi)", {"a": (.5, 2), "b": (.5, 2), "c": (0, 2)},
             (2.61e-3, 3.28e-3, 1.35e-3, 5.92e-4)),
    Equation("II.11.7", "n0*(1+a*cos(th))", {"n0": (0, 2), "a": (0, 2), "th": ANGLE},
             (7.10e-3, 8.52e-3, 5.03e-3, 5.92e-4)),
    Equation("II.11.27", "n*al/(1-n*al/3)", {"n": (0, 1), "al": (0, 1)}, (2.67e-5, 4.40e-5, 1.43e-5, 7.18e-5)),
    Equation("II.35.18", "n0/(exp(a)+exp(-a))", {"n0": (0, 2), "a": (-2, 2)}, (4.13e-4, 1.58e-4, 7.71e-5, 7.92e-5)),
    Equation("II.36.38", "a+al*b", {"a": (0, 2), "al": (0, 2), "b": (0, 2)}, (2.85e-3, 1.15e-3, 3.03e-3, 2.15e-3)),
    Equation("II.38.3", "a/b", {"a": (0, 2), "b": (.5, 2)}, (1.47e-4, 8.78e-5, 6.43e-4, 5.26e-4)),
    Equation("III.9.52", "a*sin((b-c)/2)**2/((b-c)/2)**2", {"a": (0, 2), "b": (1, 4), "c": (-2, .5)},
             (4.43e-2, 3.90e-3, 2.11e-2, 9.07e-4)),
    Equation("III.10.19", "sqrt(1+a**2+b**2)", {"a": (0, 2), "b": (0, 2)}, (2.54e-3, 1.18e-3, 8.16e-4, 1.67e-4)),
    Equation("III.17.37", "be*(1+al*cos(th))", {"be": (0, 2), "al": (0, 2), "th": ANGLE},
             (1.10e-3, 5.03e-4, 4.12e-4, 6.80e-4)),
)
# fmt: on
QUICK = ("I.18.4",)
SHAPES: tuple[list, ...] = ([[2, 3], 1], [4, [1, 1], 1])  # what follows the inputs
K, LAMB, NEEDED = 5, 1e-3, 25
MOST_VARIABLES = 3  # of formulas that are looked for
KINDS = ("human-made", "pruned", "unpruned", "MLP")


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Learns equations of physics by KANs and MLPs, and looks for the formulas."""
    result, start = CaseResult("feynman"), time.process_time()
    result.references.append("Liu et al., KAN (arXiv 2404.19756), section 3.3, table 2; Udrescu, Tegmark, AI Feynman")
    chosen = [equation for equation in EQUATIONS if full or equation.name in QUICK]
    errors: dict[str, dict[str, float]] = {}
    unaided, exact = 0, []
    for equation in chosen:
        bar, learned = min(equation.paper), [learn(equation, full, seed) for seed in range(seeds or (3 if full else 1))]
        errors[equation.name] = learned[0].errors
        unaided += all(each.errors[each.unaided] < bar for each in learned)
        result.formulas[equation.name], is_exact = find(equation)
        exact += [equation.name] if is_exact else []
        paper = ", ".join(f"{kind} {error:.2e}" for kind, error in zip(KINDS, equation.paper))
        trials = [each.trial(bar) for each in learned]
        row = row_of_trials(f"{equation.name}: {equation.formula}", trials, "test rmse", f"< {bar:.2e}", paper)
        result.rows.append(row)
    needed, n, used = NEEDED if full else len(chosen), len(chosen), time.process_time() - start
    met = sum(row.passed for row in result.rows)
    beaten, wanted = f"below the paper's best in {{}} of {n}", f">= {needed}"
    result.rows += [
        Row("all equations", beaten.format(met), met, "equations", wanted, met >= needed, used),
        Row(
            "the same without the human-made", beaten.format(unaided), unaided, "equations", "shown beside", True, used
        ),
        Row("formulas by kan2.discover", ", ".join(exact) or "none", len(exact), "exact", "shown beside", True, used),
    ]
    result.metrics["test rmse of the first seed"] = errors
    result.figures["errors"] = _figure(chosen, errors)
    result.seconds = time.process_time() - start
    return result


@dataclass(frozen=True)
class Learned:
    """What one seed gave.

    Attributes:
        networks: of each kind of KAN the one that the held-out samples choose.
        errors: test RMSE of these, and of the MLP.
        chosen, unaided: the kind that the held-out samples choose, and the one among those that start from nothing.
        seconds: processor time.
    """

    networks: dict[str, kan2.MultKAN]
    errors: dict[str, float]
    chosen: str
    unaided: str
    seconds: float

    def trial(self, bar: float) -> Trial:
        """Returns the line of the table."""
        best = self.networks[self.chosen]
        width = [[sums, products] if products else sums for sums, products in best.width]
        shown = ", ".join(f"{name} {error:.1e}" for name, error in self.errors.items())
        found = f"{self.chosen} {width}, {best.n_parameters} parameters\n{shown}"
        return Trial(found, self.errors[self.chosen], self.errors[self.chosen] < bar, self.seconds)


def learn(equation: Equation, full: bool, seed: int) -> Learned:
    """Trains all kinds of networks on one draw of samples."""
    start, n = time.process_time(), 1200 if full else 800
    x, y = equation.draw(n, seed)
    x_test, y_test = equation.draw(2000, 1_000_000 + seed)
    train, held = (x[n // 4 :], y[n // 4 :]), (x[: n // 4], y[: n // 4])
    grids, steps = ([3, 6, 12], 20) if full else ([3, 6], 12)

    def off(model: kan2.MultKAN) -> float:
        return rmse(model.predict(held[0]), held[1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kanpiler.DomainWarning)
        human = kanpiler.compile(equation.formula, list(equation.ranges), equation.ranges, edges="spline", grid=5)
    networks = {"human-made": min(staircase(human, train, [5, 10, 20] if full else [5, 10], 10), key=off)}
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
    chosen, unaided = (min(kinds, key=lambda kind: off(networks[kind])) for kinds in (KINDS[:3], KINDS[1:3]))
    return Learned(networks, errors, chosen, unaided, time.process_time() - start)


def staircase(model: kan2.MultKAN, data: tuple, grids: list[int], steps: int) -> list[kan2.MultKAN]:
    """Trains through finer and finer grids; returns the network after each."""
    stages = []
    for grid in grids:
        model.fit(data, grids=[grid], steps=steps)
        stages.append(copy.deepcopy(model))
    return stages


def find(equation: Equation) -> tuple[str, bool]:
    """Looks for the formula in 500 samples; returns what was found, and whether it is exact."""
    if len(equation.ranges) > MOST_VARIABLES:
        return f"not tried: more than {MOST_VARIABLES} variables", False
    x, y = equation.draw(500, 0)
    x_test, y_test = equation.draw(2000, 1_000_000)
    try:
        data = as_dataset((x, y), list(equation.ranges))
        model = kan2.discover(data, [x.shape[1], [1, 1], 1], attempts=1)
        formula = str(model.symbolic_formula(digits=4))
    except kan2.Kan2Error as refusal:
        return str(refusal).splitlines()[0], False
    return formula, bool(rmse(model.predict(x_test), y_test) <= EXACT * y_test.std())


def _figure(equations: list[Equation], errors: dict[str, dict[str, float]]) -> Figure:
    figure = Figure(figsize=(max(4.0, 0.36 * len(equations) + 1.2), 3.6), layout="constrained")
    axes = figure.add_subplot()
    place = range(len(equations))
    axes.plot(place, [min(e.paper) for e in equations], "_", color="0.3", ms=12, mew=2, label="the paper's lowest")
    for kind, marker in zip(KINDS, "^osv"):
        axes.plot(place, [errors[e.name][kind] for e in equations], marker, ms=4.5, label=kind)
    axes.set(yscale="log", ylabel="test RMSE", xticks=place)
    axes.set_xticklabels([e.name for e in equations], rotation=60, ha="right", fontsize=8)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=5 if len(equations) > 5 else 2, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
