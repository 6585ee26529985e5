"""Compile an old law, show it data of a new one, read off the correction (KAN 2.0, section 3.3).

Systems, each with the old law, the new one that makes the data, and the ranges of the samples:
- momentum: p = m v (Newton) and p = m v/sqrt(1 - v^2/c^2) (Einstein), any units, v below 0.9 c;
- charges: U = q/r (Coulomb) and U = q exp(-r/l)/r (Yukawa) with the screening length l = 2, in units of a length and an
  energy;
- velocities: w = u + v (Galilei) and w = (u + v)/(1 + u v) (Einstein), in units of the speed of light.

Learned. The old law is compiled, and `discover` learns by which factor the data exceed it, from 800 samples: networks
[n, [1, 1], 1], one sum and one product and a function of each, and smaller ones, pruned and symbolified.

Judged. By the formula of the old law times its correction, which must equal the new law, and by the relative error on
200 other samples.
"""

from dataclasses import dataclass, replace
from typing import Any

import sympy
import torch
from matplotlib.figure import Figure

import kan2
import kanpiler
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from case_studies._toys import law as law_of


@dataclass(frozen=True)
class Law:
    """An old law and the new one, with the ranges of the variables."""

    old: str
    new: str
    ranges: dict[str, tuple[float, float]]


LAWS = {
    "momentum": Law("m*v", *law_of("kan2/relativistic_momentum")),
    "charges": Law("q/r", *law_of("kan2/screened_charge")),
    "velocities": Law("u + v", *law_of("kan2/velocities")),
}


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Reads off how three new laws correct the old ones."""
    result, clock = CaseResult("compile_and_correct"), Stopwatch()
    result.references.append("Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3")
    for name, law in LAWS.items():
        if name == "momentum" and not full:
            continue
        trials = []
        for seed in range(seeds or (10 if full else 1)):
            lap = Stopwatch()
            network = correct(law, seed)
            correction = network.symbolic_formula() if network.is_formula else sympy.nan
            corrected = sympy.sympify(law.old) * correction
            exact = _is_same(corrected, sympy.sympify(law.new), list(law.ranges))
            error = _relative_error(network, law, seed)
            trials.append(Trial(f"{law.old} times\n{correction}", error, exact and error <= 1e-9, lap.lap()))
            if seed == 0:
                result.formulas[name] = str(corrected)
                result.figures[f"{name}_network"] = network.plot()
                if name == "charges":
                    result.figures["potential"] = _potential(law, network)
        task = f"{law.old} to {law.new}"
        result.rows.append(row_of_trials(task, trials, "relative rmse", "exact, <= 1e-9", "not tried"))
    result.seconds = clock.total()
    return result


def correct(law: Law, seed: int) -> kan2.MultKAN:
    """Returns the factor between the new law and the old one, as a symbolic network."""
    old = kanpiler.compile(law.old, inputs=list(law.ranges))
    data = kan2.sample_function(law.new, law.ranges, n=800, seed=seed)
    factor = replace(data, y=data.y / old(data.X).detach(), X_test=None, y_test=None)
    return kan2.discover(factor, [len(law.ranges), [1, 1], 1], seed=seed).model


def _is_same(found: Any, wanted: Any, names: list[str]) -> bool:
    positive = {sympy.Symbol(name): sympy.Symbol(name, positive=True) for name in names}
    difference = (found - wanted).subs(positive).rewrite(sympy.exp)
    return sympy.simplify(sympy.nsimplify(difference)) == 0


def _relative_error(network: kan2.MultKAN, law: Law, seed: int) -> float:
    data = kan2.sample_function(law.new, law.ranges, n=200, seed=seed + 1000)
    old = kanpiler.compile(law.old, inputs=list(law.ranges))
    with torch.no_grad():
        return float((network(data.X) * old(data.X) / data.y - 1).square().mean().sqrt())


def _potential(law: Law, network: kan2.MultKAN) -> Figure:
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    r = torch.linspace(0.5, 4, 141, dtype=torch.float64)
    x = torch.stack([r, torch.ones_like(r)], 1)
    old = kanpiler.compile(law.old, inputs=list(law.ranges))(x)[:, 0].detach()
    axes.plot(r, old, "--", color="0.5", label="Coulomb, compiled")
    axes.plot(r, old * network(x)[:, 0].detach(), label="times the correction found")
    axes.plot(r[::10], (old * (-r / 2).exp())[::10], "o", color="0.3", ms=4, mfc="none", label="Yukawa")
    axes.set(xlabel="distance r", ylabel="potential of a unit charge")
    axes.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
