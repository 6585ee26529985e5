"""Auxiliary variables: offering a network what a scientist suspects to matter (KAN 2.0, section 3.1).

System. The relativistic mass m = m0/sqrt(1 - v^2/c^2) for m0 in (0, 1), v in (0, 0.9), c in (1.1, 2), units in which
1 is a typical speed; 1,000 samples.

Learned. The same law three times: with beta = v/c and gamma = 1/sqrt(1 - beta^2) offered beside m0, v, c; with a wrong
idea, eta = v/c^2 and kappa = 1/sqrt(1 - eta^2), offered instead; and with nothing offered, where a network
[3, 5, 1] is trained first and asked on which of eight combinations of v and c it depends.

Judged. By the formula and the error on 1,000 other samples. The two ideas must be told apart, without knowledge of the
truth: by the error of the network [5, [0, 1]] that each allows, and by the question whether the data depend on v and c
through v/c alone, or through v/c^2 alone, asked of the network that was offered neither.
"""

from dataclasses import replace

import sympy
from matplotlib.figure import Figure

import kan2
import treeconv
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from case_studies._judging import law_trial, rmse_on_test
from case_studies._toys import law as law_of

LAW, RANGES = law_of("kan2/relativistic_mass")
RIGHT = {"beta": "v/c", "gamma": "1/sqrt(1 - beta**2)"}
IDEAS = ("v*c", "v/c", "v/c**2", "v**2/c", "v + c", "v - c", "v**2 + c**2", "v**2 - c**2")
FLOOR = 1e-5  # splines that are as good as this are all equally good: the fewest edges win
WRONG = {"eta": "v/c**2", "kappa": "1/sqrt(1 - eta**2)"}


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Finds the relativistic mass with, without and with wrong auxiliary variables."""
    result, clock = CaseResult("auxiliary_variables"), Stopwatch()
    result.references.append("Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1")
    offered, bare, apart, errors = [], [], [], []
    for seed in range(seeds or (10 if full else 1)):
        lap, data = Stopwatch(), kan2.sample_function(LAW, RANGES, n=1000, seed=seed)
        right, wrong = with_variables(data, RIGHT, seed), with_variables(data, WRONG, seed)
        errors.append((rmse_on_test(right, data), rmse_on_test(wrong, data)))
        law = right.auto_prune(floor=FLOOR).auto_symbolic()
        offered.append(law_trial(law, data, _is_law, lap))
        surrogate = kan2.MultKAN([3, 5, 1], grid=5, seed=seed)
        surrogate.fit(data, steps=60)
        answers = [
            bool(treeconv.symmetry_variable(surrogate, data.X, idea, list(RANGES))) for idea in ("v/c", "v/c**2")
        ]
        told = errors[-1][0] < 1e-2 * errors[-1][1] and answers == [True, False]
        text = f"error with gamma {errors[-1][0]:.1e}, with kappa {errors[-1][1]:.1e}\nv/c: yes, v/c^2: no"
        apart.append(Trial(text if told else f"{errors[-1]} {answers}", errors[-1][0] / errors[-1][1], told, lap.lap()))
        idea, bare_law = without_variables(data, surrogate, seed)
        trial = law_trial(bare_law, data, _is_law, lap)
        bare.append(replace(trial, found=f"{idea}: {trial.found}"))
        if seed == 0:
            result.figures.update(offered=law.plot(), bare=bare_law.plot())
            result.formulas.update(offered=offered[0].found, bare=bare[0].found)
    target = "exact, <= 1e-9"
    result.rows += [
        row_of_trials("beta and gamma offered", offered, "test rmse", target, "1.99e-5 before, exact after"),
        row_of_trials(
            "right and wrong idea told apart", apart, "error, right / wrong", "both tests agree", "not tried"
        ),
        row_of_trials("nothing offered, eight ideas asked", bare, "test rmse", target, "two layers, no formula"),
    ]
    result.metrics["test_rmse_right_wrong"] = errors
    result.figures["errors"] = _error_figure(errors)
    result.seconds = clock.total()
    return result


def with_variables(data: kan2.Dataset, definitions: dict[str, str], seed: int) -> kan2.MultKAN:
    """Trains one product of two sums of functions of m0, v, c and the variables offered."""
    model = kan2.MultKAN([5, [0, 1]], grid=3, seed=seed)
    model.fit(kan2.augment(data, definitions), steps=60, restarts=16, seed=seed)
    return model


def without_variables(data: kan2.Dataset, surrogate: kan2.MultKAN, seed: int) -> tuple[str, kan2.MultKAN]:
    """Asks a trained network which combination of v and c it depends on, and offers that one.

    Returns:
        the combination, and the law.
    """
    scores = {idea: treeconv.symmetry_variable(surrogate, data.X, idea, list(RANGES)).score for idea in IDEAS}
    best = min(scores, key=lambda idea: scores[idea])
    model = kan2.MultKAN([4, [0, 1]], grid=3, seed=seed)
    model.fit(kan2.augment(data, {"idea": best}), grids=[5, 10], steps=40, restarts=8, seed=seed)
    return best, model.auto_prune().auto_symbolic()


def _is_law(formula: sympy.Expr) -> bool:
    return sympy.simplify(formula - sympy.sympify(LAW)) == 0


def _error_figure(errors: list[tuple[float, float]]) -> Figure:
    figure = Figure(figsize=(3.6, 3), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, color) in enumerate((("beta, gamma", "C0"), ("eta, kappa", "C3"))):
        axes.semilogy([i] * len(errors), [pair[i] for pair in errors], "o", color=color, mfc="none")
        top = i, max(pair[i] for pair in errors)
        axes.annotate(name, top, (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axes.set(xlim=(-0.6, 1.6), xticks=[], ylabel="test rmse of [5, [0, 1]]", title="one circle a seed")
    axes.margins(y=0.25)
    axes.title.set_fontsize(9)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
