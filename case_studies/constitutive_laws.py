"""Constitutive laws: from linear elasticity to the neo-Hookean solid (KAN 2.0, section 5.4).

System. A solid is deformed by the gradient F = I + U(-sigma, sigma), nine independent entries without unit; samples
with det F <= 0 do not exist and are dropped. Its stress is neo-Hookean,
P = mu (F F' - I) + lambda log(det F) I, in units of Young's modulus E = 1, with Poisson's ratio nu = 0.2, hence
mu = E / (2 (1 + nu)) = 5/12 and lambda = E nu / ((1 + nu) (1 - 2 nu)) = 5/18.

Learned. P11 and P12 from 800 samples of (F, P), with and without the linear law as a prior:
P11 = 2 mu (F11 - 1) + lambda tr(F - I), P12 = mu (F12 + F21), compiled into a network and then given more freedom.
For P11 the determinant of F is offered as an auxiliary variable; the network may take it or leave it.

Judged. By the formula, which must be the neo-Hookean one, and the error on 200 other samples. With 1 % noise on the
stress the form must be the same, and every constant within four of its own standard errors.
"""

from math import inf
from typing import Any

import sympy
import torch
from matplotlib.figure import Figure
from torch import Tensor

import kan2
import kanpiler
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from case_studies._judging import rmse_on_test

MU, LAMBDA = sympy.Rational(5, 12), sympy.Rational(5, 18)
F: Any = sympy.Matrix(3, 3, lambda i, j: sympy.Symbol(f"F{i + 1}{j + 1}"))
NAMES = [str(entry) for entry in F]
LINEAR = {"P11": 2 * MU * (F[0, 0] - 1) + LAMBDA * (F.trace() - 3), "P12": MU * (F[0, 1] + F[1, 0])}
NEO_HOOKEAN = {"P11": MU * ((F * F.T)[0, 0] - 1) + LAMBDA * sympy.log(F.det()), "P12": MU * (F * F.T)[0, 1]}
QUICK = [("P11", True, 0.0), ("P11", True, 0.01), ("P12", True, 0.0)]
"""What the quick size tries: component, whether with the prior, noise."""
PAPER = {
    ("P11", True): "2.89e-11, exact",
    ("P11", False): "not tried",
    ("P12", True): "7.64e-3, a wrong law",
    ("P12", False): "6.78e-9, 2 edges by hand",
}
"""Test RMSE of the notebooks that go with the paper, from one seed."""


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Finds the neo-Hookean law of P11 and P12, with and without the linear law as a prior."""
    result, clock = CaseResult("constitutive_laws"), Stopwatch()
    result.references.append("Liu et al., KAN 2.0 (arXiv 2408.10205), section 5.4")
    n_seeds = seeds or (10 if full else 1)
    for component in ("P11", "P12"):
        for prior in (True, False):
            sigma = 0.2 if prior else 0.5
            for noise in (0.0, 0.01):
                if not full and (component, prior, noise) not in QUICK:
                    continue
                # Within 20 % of I, noise of 1 % hides the difference between F11^2 and exp(F11): deform it further.
                case = component, prior, 0.4 if noise else sigma, noise
                _try_seeds(result, case, n_seeds)
    result.figures["stress"] = _stress_figure(result)
    result.seconds = clock.total()
    return result


def sample(component: str, sigma: float, noise: float, seed: int, n: int = 1000) -> kan2.Dataset:
    """Samples deformations and the stress they cause; the last fifth, without noise, is for the test.

    Args:
        component: "P11" or "P12".
        sigma: largest deviation of an entry of F from the identity.
        noise: standard deviation of the noise, as a share of the stress's.
        seed: seed of the samples.
        n: number of samples.
    """
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    identity = torch.eye(3, dtype=torch.float64)
    deformation = identity + sigma * (2 * torch.rand(4 * n, 3, 3, **options) - 1)
    deformation = deformation[torch.linalg.det(deformation) > 0][:n]
    stress = float(MU) * (deformation @ deformation.mT - identity)
    stress += float(LAMBDA) * torch.linalg.det(deformation).log()[:, None, None] * identity
    y = stress[:, 0, [int(component[2]) - 1]]
    x, train = deformation.reshape(n, 9), 4 * n // 5
    noisy = y[:train] + noise * y.std() * torch.randn(train, 1, **options)
    return kan2.Dataset(x[:train], noisy, tuple(NAMES), X_test=x[train:], y_test=y[train:])


def find_normal_stress(data: kan2.Dataset, prior: bool, seed: int) -> kan2.MultKAN:
    """Finds P11: the determinant of F is offered, and what is not needed is pruned."""
    volume = {"J": str(F.det())}
    if prior:
        model = kanpiler.compile(LINEAR["P11"], inputs=NAMES)
        model = model.perturb().augment(volume)  # splines beside the linear law, and det F
    else:
        model = kan2.MultKAN([10, 1], grid=5, seed=seed)
        data = kan2.augment(data, volume)
    model.fit(data)
    return model.auto_prune().auto_symbolic()


def find_shear_stress(data: kan2.Dataset, prior: bool, seed: int) -> kan2.MultKAN:
    """Finds P12: a network with products shows its structure as a tree, and the tree wires the network of the law."""
    history = kan2.History()
    model = kan2.MultKAN([9, 1])
    for start in range(5 * seed, 5 * seed + 5):
        if prior:
            model = kanpiler.compile(LINEAR["P12"], inputs=NAMES)
            model = model.expand_depth().expand_width(1, 5, sum_bool=False, seed=start)  # the linear law, and products
        else:
            model = kan2.MultKAN([9, [2, 5], 1], grid=1, seed=start)
        history = model.fit(data, grids=[1], steps=60)
        assert history.rmse is not None  # squares
        if history.rmse < 0.03 * data.y.std():
            break  # else a start that got stuck
    tree = model.tree(error=history.test_rmse)
    model = kan2.from_tree(tree, grid=3)
    model.fit(data, restarts=4)
    return model.auto_symbolic()


def _try_seeds(result: CaseResult, case: tuple[str, bool, float, float], n_seeds: int) -> None:
    component, prior, sigma, noise = case
    task = f"{component} {'with' if prior else 'without'} prior, sigma = {sigma}" + (", 1 % noise" if noise else "")
    find = find_normal_stress if component == "P11" else find_shear_stress
    trials, clock, laws = [], Stopwatch(), []
    for seed in range(n_seeds):
        data = sample(component, sigma, noise, seed)
        law = find(data, prior, seed)
        laws.append(_formula(law))
        error = rmse_on_test(law, data)
        if noise:
            met = _same_form(laws[-1], NEO_HOOKEAN[component]) and _largest_pull(law) <= 4
        else:
            met = error <= 1e-9 and sympy.simplify(laws[-1] - NEO_HOOKEAN[component]) == 0
        trials.append(Trial(_shorten(laws[-1], noise), error, met, clock.lap()))
        if noise and seed == 0:
            result.metrics[f"{task}: constants"] = [
                {"function": c.function, "number": c.letter, "fitted": c.value, "standard error": c.error}
                for c in law.report.snap.constants
            ]
        if seed == 0:
            result.figures[f"{component}_{'prior' if prior else 'free'}{'_noise' if noise else ''}"] = law.plot()
    result.formulas[task] = str(laws[0])
    result.metrics[task] = {"test_rmse": [t.error for t in trials], "exact": [t.met for t in trials]}
    target = "form exact, constants within 4 standard errors" if noise else "exact, <= 1e-9"
    paper = PAPER[component, prior] if not noise else "not tried"
    result.rows.append(row_of_trials(task, trials, "test rmse", target, paper))


def _formula(model: kan2.MultKAN) -> sympy.Expr:
    try:
        return model.symbolic_formula()
    except kan2.Kan2Error:
        return sympy.nan


def _same_form(found: Any, truth: Any) -> bool:
    # The same terms, whatever their coefficients; a constant is no term.
    def terms(law: Any) -> set[sympy.Expr]:
        return set(sympy.expand(law.subs(F.det(), sympy.Symbol("J"))).as_coefficients_dict()) - {sympy.Integer(1)}

    return terms(found) == terms(truth)


def _largest_pull(model: kan2.MultKAN) -> float:
    # How far constants, as fitted, lie from the truth, in standard errors.
    truth = {"x^2": {"c": MU, "b": 0, "d": -MU}, "log": {"c": LAMBDA, "b": 0}, "x": {"c": MU, "d": 0}}
    truth["power"] = truth["x^2"] | {"p": 2}  # the square as a power whose exponent came out as 2
    pulls = [0.0]
    for c in model.report.snap.constants:
        expected = truth.get(c.function, {}).get(c.letter)
        pulls.append(inf if expected is None else abs(c.value - float(expected)) / c.error)
    return max(pulls)


def _shorten(law: sympy.Expr, noise: float) -> str:
    text = str(sympy.N(law, 4) if noise else law)
    return text.replace(str(F.det()), "det F")


def _stress_figure(result: CaseResult) -> Figure:
    # Uniaxial stretch F11 = 1 + s for P11; for P12 shear F12 = F21 = s together with stretch F11 = F22 = 1 + s.
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    s = torch.linspace(-0.6, 0.6, 121, dtype=torch.float64)
    for axes, component in zip(figure.subplots(1, 2), ("P11", "P12")):
        path = torch.eye(3, dtype=torch.float64).repeat(len(s), 1, 1)
        path[:, 0, 0] += s
        if component == "P12":
            path[:, 1, 1] += s
            path[:, 0, 1] = path[:, 1, 0] = s
        found = sympy.sympify(result.formulas[f"{component} with prior, sigma = 0.2"])
        for law, style, label in (
            (LINEAR[component], "--", "linear law, the prior"),
            (found, "-", "found"),
        ):
            axes.plot(s, _evaluate(law, path.reshape(-1, 9)), style, label=label)
        every = slice(None, None, 10)
        truth = _evaluate(NEO_HOOKEAN[component], path.reshape(-1, 9))
        axes.plot(s[every], truth[every], "o", color="0.3", ms=4, mfc="none", label="neo-Hookean")
        axes.axvspan(-0.2, 0.2, color="0.92", zorder=0, label="samples")
        axes.set(xlabel="F11 - 1" if component == "P11" else "F12 = F21 = F11 - 1 = F22 - 1", ylabel=f"{component} / E")
        axes.legend(frameon=False, fontsize=8)
    return figure


def _evaluate(law: Any, x: Tensor) -> Tensor:
    values = sympy.lambdify(list(F), law)(*x.numpy().T)
    return torch.as_tensor(values, dtype=torch.float64).expand(len(x))


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
