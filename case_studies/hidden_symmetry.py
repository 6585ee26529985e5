"""Hidden symmetry: the time in which the space around a black hole is flat (KAN 2.0, section 5.3).

System. The Schwarzschild metric with 2M = 1 (units G = c = 1), ds^2 = (1 - 1/r) dt^2 - dr^2/(1 - 1/r) - r^2 dOmega^2,
for r from 1.2 to 3. A new time t' = t + tau(r) leaves it a solution; tau'(r) = s changes its spatial part, in Cartesian
coordinates, to g'_ij = -delta_ij + ((1 - 1/r) s^2 - 1/(r - 1)) n_i n_j, with n = x/r.

Learned. The tau(r), a network [1, 1], for which the spatial part is flat, g'_ij = -delta_ij (Gullstrand and Painleve).
There are two branches, s > 0 and s < 0, and a network that starts at random can lie on one here and on the other there,
with a wall between. The prior tau = r, or tau = -r, compiled and perturbed, decides between them.

Judged. By the loss, the mean square of the nine entries g'_ij + delta_ij; since sum n_i^2 n_j^2 = 1, it is a ninth of
the mean square of the bracket, whatever the directions. tau(r) must be smooth, with s of one sign, and its formula
exact: +-(2 sqrt(r) + log((sqrt(r) - 1)/(sqrt(r) + 1))) + C.
"""

from math import inf

import sympy
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import kan2
import kanpiler
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from case_studies._perceptrons import descend, perceptron
from kan2 import functions
from kan2.symbolic.curves import WEIGHT_SIMPLE

LOW, HIGH = 1.2, 3.0
R = sympy.Symbol("r", positive=True)
TRUTH = 2 * sympy.sqrt(R) + sympy.log((sympy.sqrt(R) - 1) / (sympy.sqrt(R) + 1))


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Finds the time in which the space around a black hole is flat, as a network and as a formula."""
    result, clock = CaseResult("hidden_symmetry"), Stopwatch()
    result.references.append("Liu et al., KAN 2.0 (arXiv 2408.10205), section 5.3; Painleve (1921), Gullstrand (1922)")
    n_seeds, n = seeds or (10 if full else 1), 10_000 if full else 1000
    networks, formulas, first = [], [], None
    for seed in range(n_seeds):
        r, sign, lap = sample(n, seed), 1 - 2 * (seed % 2), Stopwatch()
        network = learn(prior(sign, seed), r)
        first = first or network
        networks.append(_judge_network(network, r, sign, lap))
        formulas.append(_judge_formula(find_formula(network, sample(200, seed)), r, sign, lap))
        if seed < 2:
            result.figures[f"network_{'plus' if sign > 0 else 'minus'}"] = network.plot(r)
            result.formulas["plus" if sign > 0 else "minus"] = formulas[-1].found
    result.rows.append(
        row_of_trials("tau(r) as a network", networks, "loss", "one branch, <= 1e-12", "domain wall, spike 0.068")
    )
    result.rows.append(row_of_trials("tau(r) as a formula", formulas, "loss", "exact", "none"))

    r, lap = sample(n, 0), Stopwatch()
    mlp = learn_mlp(r)
    mlp_loss = float(flatness(r, _slope(mlp, r)).square().mean())
    start = kan2.MultKAN([1, 1], grid=20, k=5, inputs=["r"])
    start.fit((r, mlp(r).detach()))
    refined = learn(start, r)
    sign = 1 if float(_slope(mlp, r).mean()) > 0 else -1
    trial = _judge_network(refined, r, sign, lap)
    task = f"an MLP, loss {mlp_loss:.1e}, refined by a KAN"
    result.rows.append(row_of_trials(task, [trial], "loss", "one branch, <= 1e-12", "MLP alone 1.05e-4"))
    result.metrics["mlp_loss"] = mlp_loss
    result.metrics["network_loss"] = [t.error for t in networks]
    at_random = [learn(_random(seed), r) for seed in range(10 if full else 2)]
    with_wall = [model for model in at_random if _has_wall(model)]
    result.metrics["random_starts_with_a_wall"] = f"{len(with_wall)} of {len(at_random)}"
    result.figures["metric"] = _metric_figure(first or refined, mlp, with_wall[:1])
    result.seconds = clock.total()
    return result


def sample(n: int, seed: int) -> Tensor:
    """Samples radii uniformly between 1.2 and 3, in units of 2M."""
    generator = torch.Generator().manual_seed(seed)
    return LOW + (HIGH - LOW) * torch.rand(n, 1, generator=generator, dtype=torch.float64)


def flatness(r: Tensor, slope: Tensor) -> Tensor:
    """Returns a third of ((1 - 1/r) s^2 - 1/(r - 1)), whose mean square is the loss."""
    return ((1 - 1 / r) * slope**2 - 1 / (r - 1)) / 3


def prior(sign: int, seed: int) -> kan2.MultKAN:
    """Compiles tau = r or tau = -r into splines, and adds random ones."""
    line = kanpiler.compile(sign * R, inputs=["r"], domain={"r": (LOW, HIGH)}, edges="spline")
    return line.perturb(0.03, "all", seed=seed).refine(20, k=5)


def learn(model: kan2.MultKAN, r: Tensor) -> kan2.MultKAN:
    """Trains tau(r) in place until the space is flat, on finer and finer grids."""
    model.fit(residual=lambda m: flatness(r, m.jet(r, order=1).gradient[:, 0]), grids=[20, 40, 80], steps=50)
    return model


def learn_mlp(r: Tensor, seed: int = 0) -> nn.Module:
    """Trains an MLP [1, 20, 20, 1] on the same condition, by 100 iterations of LBFGS."""
    mlp = perceptron([1, 20, 20, 1], nn.SiLU, seed)
    optimizer = torch.optim.LBFGS(mlp.parameters(), max_iter=100, line_search_fn="strong_wolfe")
    descend(optimizer, lambda: flatness(r, _slope(mlp, r, create_graph=True)).square().mean())
    return mlp


def find_formula(network: kan2.MultKAN, r: Tensor) -> sympy.Expr:
    """Finds the formula of tau(r) by way of its slope.

    The slope is divided by each function of the table, and the quotient's spline is compared with all of them: the pair
    that describes it best becomes a product of two symbolic edges. They are trained on the condition itself, their
    numbers made exact, and SymPy integrates.
    """
    slope = network.jet(r, order=1).gradient[:, 0].detach()
    best = inf, "", "", (0.0,) * 4
    for name in functions.DEFAULT_LIBRARY:
        divisor = functions.get(name)(r)
        if not bool(torch.isfinite(slope / divisor).all()):
            continue
        quotient = kan2.MultKAN([1, 1], grid=20, k=5, inputs=["r"])
        quotient.fit((r, slope / divisor), grids=[20], steps=10)
        table = quotient.suggest_symbolic((0, 0, 0), top=1)
        cost = table.scores[0] + WEIGHT_SIMPLE * functions.get(name).complexity
        best = min(best, (cost, name, table[0].function, table[0].affine))
    _, first, second, affine = best
    law = kan2.MultKAN([1, [0, 1]], inputs=["r"]).fix_symbolic((0, 0, 0), first, fit=False)
    law = law.fix_symbolic((0, 1, 0), second, affine=affine)
    law.fit((r, slope))
    law.fit(residual=lambda m: flatness(r, m(r)))
    law = law.snap_constants((r, law(r).detach()))
    return sympy.integrate(law.symbolic_formula().subs("r", R), R)


def _judge_network(network: kan2.MultKAN, r: Tensor, sign: int, clock: Stopwatch) -> Trial:
    loss = _loss(network, r)
    is_smooth = bool(_dense(network)[1].mul(sign).amin() > 0)
    return Trial("one smooth branch" if is_smooth else "a wall", loss, is_smooth and loss <= 1e-12, clock.lap())


def _judge_formula(formula: sympy.Expr, r: Tensor, sign: int, clock: Stopwatch) -> Trial:
    compiled = kanpiler.compile(formula, inputs=["r"], domain={"r": (LOW, HIGH)})
    loss = _loss(compiled, r)
    is_exact = sympy.simplify(sympy.diff(formula - sign * TRUTH, R)) == 0
    return Trial(f"{formula} + C", loss, is_exact, clock.lap())


def _loss(network: kan2.MultKAN, r: Tensor) -> float:
    return float(flatness(r, network.jet(r, order=1).gradient[:, 0]).detach().square().mean())


def _slope(mlp: nn.Module, r: Tensor, create_graph: bool = False) -> Tensor:
    r = r.clone().requires_grad_()
    return torch.autograd.grad(mlp(r).sum(), r, create_graph=create_graph)[0]


def _random(seed: int) -> kan2.MultKAN:
    return kan2.MultKAN([1, 1], grid=20, k=5, grid_range=(LOW, HIGH), noise_scale=1.0, inputs=["r"], seed=seed)


def _dense(network: kan2.MultKAN) -> tuple[Tensor, Tensor]:
    r = torch.linspace(LOW, HIGH, 2001, dtype=torch.float64)[:, None]
    return r, network.jet(r, order=1).gradient[:, 0].detach()


def _has_wall(network: kan2.MultKAN) -> bool:
    slope = _dense(network)[1]
    return bool(slope.amin() * slope.amax() < 0)


def _metric_figure(network: kan2.MultKAN, mlp: nn.Module, with_wall: list[kan2.MultKAN]) -> Figure:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    r, slope = _dense(network)
    slopes = {"KAN": slope, "MLP": _slope(mlp, r)}
    tau = {"KAN": network(r).detach(), "MLP": mlp(r).detach()}
    for model in with_wall:
        slopes["KAN, random start"], tau["KAN, random start"] = _dense(model)[1], model(r).detach()
    for name in slopes:
        left.plot(r, tau[name] - tau[name][-1], label=name)
        right.semilogy(r, (3 * flatness(r, slopes[name])).abs() + 1e-16, label=name)
    exact = torch.tensor([float(TRUTH.subs(R, float(x))) for x in r[::100]])
    left.plot(r[::100], exact - exact[-1], "o", color="0.3", mfc="none", ms=4, label="Gullstrand, Painleve")
    left.set(xlabel="r / 2M", ylabel="tau(r) - tau(3)")
    right.set(xlabel="r / 2M", ylabel="|g'_rr + 1|")
    left.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
