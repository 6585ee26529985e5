"""Lagrangians from samples of motion (KAN 2.0, section 5.2).

Systems, in units in which masses, lengths, gravity, the speed of light and the constant force are 1:
- oscillator: q'' = -q; pendulum: q'' = -sin q; with |q|, |v| <= 2;
- relativistic: a relativistic mass in a uniform field, q'' = (1 - v^2)^(3/2), with |q| <= 2, |v| <= 0.98;
- double_pendulum: two equal pendulums, L = u^2 + w^2/2 + u w cos(a - b) + 2 cos a + cos b, all of a, b, u, w within 2;
  the difference d = a - b is offered as an auxiliary variable.

Learned. L(q, v) from samples of (q, v, q''), through the equation of Euler and Lagrange,
L_vv q'' + L_vq v - L_q = 0, by the network's Hessian. Prior: a free motion, L = v^2/2, compiled, with splines beside;
for the double pendulum: the kinetic energy is quadratic in the velocities, with masses that depend on the angles.

Gauge. A constant, a factor, and the total derivative f'(q) v of any f(q) change L, but not the motion. They are fixed:
L = 0 and L_vv = its prior in the state of rest at the origin, and L_v = 0 at rest.

Judged. By the formula, which must be the true one up to a constant, and by the mean square error
of the acceleration; for the double pendulum also by the trajectory over 10 s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy
import torch
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp
from torch import Tensor

import kan2
import kanpiler
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script

Q, V = sympy.symbols("q v", real=True)
A, B, U, W = sympy.symbols("a b u w", real=True)


@dataclass(frozen=True)
class System:
    """A mechanical system.

    Attributes:
        q, v: coordinates and velocities.
        lagrangian: the truth; it makes the data and judges the result, nothing else.
        limits: largest magnitude of each coordinate and velocity.
        prior: the Lagrangian of free motion.
        grids: numbers of grid intervals that training goes through.
        n: number of samples.
    """

    q: tuple[sympy.Symbol, ...]
    v: tuple[sympy.Symbol, ...]
    lagrangian: sympy.Expr
    limits: tuple[float, ...]
    prior: sympy.Expr
    grids: tuple[int, ...]
    n: int = 1000

    @property
    def names(self) -> list[str]:
        """Names of the columns, coordinates first."""
        return [str(s) for s in (*self.q, *self.v)]

    @cache  # noqa: B019 (four systems that live as long as the program)
    def acceleration(self) -> Any:
        """Returns q'' as formulas in q and v."""
        mass = sympy.hessian(self.lagrangian, self.v)
        force = [self.lagrangian.diff(q) - self._along(self.lagrangian.diff(v)) for q, v in zip(self.q, self.v)]
        return sympy.simplify(mass.LUsolve(sympy.Matrix(force)))

    def _along(self, expression: sympy.Expr) -> sympy.Expr:
        return sum((expression.diff(q) * v for q, v in zip(self.q, self.v)), sympy.Integer(0))

    def holds(self, formula: Any) -> bool:
        """Asks SymPy whether a Lagrangian is the true one up to a constant; its gauge is fixed like the truth's."""
        real = {sympy.Symbol(name): sympy.Symbol(name, real=True) for name in self.names}
        return not sympy.simplify(formula.subs(real) - self.lagrangian).free_symbols

    def sample(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns (batch, 2 d) states, uniform in the box, and their (batch, d) accelerations."""
        generator = torch.Generator().manual_seed(seed)
        unit = 2 * torch.rand(n, len(self.names), generator=generator, dtype=torch.float64) - 1
        state = unit * torch.tensor(self.limits, dtype=torch.float64)
        return state, torch.as_tensor(_function(self)(*state.numpy().T)).T.contiguous()


def _function(system: System) -> Callable[..., np.ndarray]:
    rates = sympy.lambdify([*system.q, *system.v], list(system.acceleration()))
    return lambda *state: np.stack(np.broadcast_arrays(*rates(*state)))


FREE = V**2 / 2
SYSTEMS = {
    "oscillator": System((Q,), (V,), FREE - Q**2 / 2, (2, 2), FREE, (5,)),
    "pendulum": System((Q,), (V,), FREE + sympy.cos(Q), (2, 2), FREE, (10, 20)),
    "relativistic": System((Q,), (V,), Q - sympy.sqrt(1 - V**2), (2, 0.98), FREE, (10, 20, 40, 80)),
    "double_pendulum": System(
        (A, B),
        (U, W),
        U**2 + W**2 / 2 + U * W * sympy.cos(A - B) + 2 * sympy.cos(A) + sympy.cos(B),
        (2, 2, 2, 2),
        U**2 + W**2 / 2,
        (3, 6, 10),
        n=400,
    ),
}
PAPER = {
    "relativistic": "5.03e-5; 1.19 - 1.08*sqrt(1 - v**2), x fixed",
    "pendulum": "formula, by hand",
}


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Finds the Lagrangians of four mechanical systems from samples of their motion."""
    result, clock = CaseResult("lagrangians"), Stopwatch()
    result.references.append("Liu et al., KAN 2.0 (arXiv 2408.10205), section 5.2; Landau, Lifshitz, Mechanics, 2")
    names = list(SYSTEMS) if full else ["pendulum", "relativistic"]
    for name in names:
        system, trials = SYSTEMS[name], []
        for seed in range(seeds or (3 if full else 1)):
            lap = Stopwatch()
            network, formula = find(system, seed)
            state, acceleration = system.sample(1000, seed + 1000)
            error = _error(network, state, acceleration)
            exact = formula is not None and system.holds(formula)
            symbolic = error
            if formula is not None:
                compiled = kanpiler.compile(formula, inputs=system.names, verify=False)
                symbolic = _error(compiled, state, acceleration)
            trials.append(Trial(f"L = {formula}", symbolic, exact and symbolic <= 1e-10, lap.lap()))
            result.metrics.setdefault(f"{name}_splines_mse", []).append(error)
            if seed == 0:
                result.formulas[name] = str(formula)
                result.figures[name] = network.plot(state)
                if name == "double_pendulum":
                    result.figures["trajectory"], apart = _trajectory(system, network, formula)
                    trajectory = [Trial(who, far, far <= 1e-3, 0.0) for who, far in apart.items()]
        measure, target = "mse of the acceleration", "exact, <= 1e-10"
        result.rows.append(row_of_trials(name, trials, measure, target, PAPER.get(name, "not tried")))
        if name == "double_pendulum":
            for trial in trajectory:
                task = f"double pendulum, 10 s, by the {trial.found}"
                result.rows.append(row_of_trials(task, [trial], "largest error of an angle", "<= 1e-3", "not tried"))
    result.seconds = clock.total()
    return result


def find(system: System, seed: int) -> tuple[kan2.MultKAN, sympy.Expr | None]:
    """Returns the network of splines and the formula read off it, if there is one."""
    state, acceleration = system.sample(system.n, seed)
    d = len(system.q)
    if d == 1:
        box = {name: (-limit, limit) for name, limit in zip(system.names, system.limits)}
        network = kanpiler.compile(system.prior, inputs=system.names, domain=box).perturb().refine(system.grids[0], k=5)
    else:
        network = quadratic_in_velocities(system, seed)
    rest = state.clone()
    rest[:, d:] = 0
    origin = torch.zeros(1, 2 * d, dtype=torch.float64)
    mass = float(system.prior.diff(system.v[0], 2))

    def gauge(model: kan2.MultKAN) -> dict[str, Tensor]:
        return {
            "total derivative": model.jet(rest, order=1).gradient[:, 0, d:],
            "scale": model.jet(origin).hessian[:, 0, d, d] - mass,
            "constant": model(origin),
        }

    def linear(model: kan2.MultKAN) -> dict[str, Tensor]:
        return {"motion": euler_lagrange(model, state, acceleration), **gauge(model)}

    def solved(model: kan2.MultKAN) -> dict[str, Tensor]:
        return {"motion": predict(model, state) - acceleration, **gauge(model)}

    # The equation is linear in L, so that the first grid is a linear problem; what counts is the acceleration.
    network.fit(residual=linear, grids=system.grids[:1], steps=20)
    if len(system.grids) > 1:
        network.fit(residual=solved if d == 1 else linear, grids=system.grids[1:], steps=20)
    samples = state, network(state).detach()
    small = network.auto_prune(samples, floor=1e-3, steps=10) if d > 1 else network
    symbolic = small.auto_symbolic(samples, accuracy=1e-3)
    if not symbolic.is_formula:
        return network, None
    symbolic.fit(residual=solved)
    symbolic = symbolic.snap_constants((state, symbolic(state).detach()), accuracy=1e-6)
    terms = sympy.expand(symbolic.symbolic_formula()).as_coefficients_dict()
    # (u - e)(u + e) with e of the order of rounding is u^2: terms that small are dropped, and so is the constant.
    return network, sum((c * t for t, c in terms.items() if abs(c) > 1e-6 and t != 1), sympy.Integer(0))


def quadratic_in_velocities(system: System, seed: int) -> kan2.MultKAN:
    """Builds L = sum of v_i v_j m_ij(angles) over i <= j, plus a function of the angles, with a, b and d = a - b."""

    def same(target: int, source: int) -> kan2.SymbolicTerm:
        return kan2.SymbolicTerm(target, source, "x", free="")

    basis = kan2.BasisSpec(grid=system.grids[0], k=5, base_fun="identity")
    angles = (0, 1, 4)  # features: a, b, u, w, d
    numeric, terms = [(0, angle) for angle in angles], []
    for product, (i, j) in enumerate(((2, 2), (2, 3), (3, 3))):
        first = 1 + 3 * product
        terms += [same(first, i), same(first + 1, j)]
        numeric += [(first + 2, angle) for angle in angles]
    layers = (
        kan2.LayerSpec(5, 1, (3, 3, 3), tuple(numeric), tuple(terms), basis),
        kan2.LayerSpec(4, 1, numeric=(), terms=tuple(same(0, i) for i in range(4)), basis=basis),
    )
    names = tuple(system.names)
    spec = kan2.NetworkSpec(layers, names, features=(*names, "d"), auxiliary=(("d", "a - b"),))
    network = kan2.MultKAN.from_spec(spec)
    generator = torch.Generator().manual_seed(seed)
    for layer in network.layers:
        layer.reset_parameters(generator=generator)
    return network


def euler_lagrange(model: kan2.MultKAN, state: Tensor, acceleration: Tensor) -> Tensor:
    """Returns L_vv q'' + L_vq v - L_q, (batch, d), which vanishes for a Lagrangian of the motion."""
    jet, d = model.jet(state), acceleration.shape[1]
    hessian = jet.hessian[:, 0, d:]
    inertia = torch.einsum("bij,bj->bi", hessian[..., d:], acceleration)
    return inertia + torch.einsum("bij,bj->bi", hessian[..., :d], state[:, d:]) - jet.gradient[:, 0, :d]


def predict(model: kan2.MultKAN, state: Tensor) -> Tensor:
    """Returns the acceleration (batch, d) that a Lagrangian gives."""
    jet, d = model.jet(state), state.shape[1] // 2
    hessian = jet.hessian[:, 0, d:]
    force = jet.gradient[:, 0, :d] - torch.einsum("bij,bj->bi", hessian[..., :d], state[:, d:])
    return torch.linalg.solve(hessian[..., d:], force)


def _error(model: kan2.MultKAN, state: Tensor, acceleration: Tensor) -> float:
    return float((predict(model, state).detach() - acceleration).square().mean())


def _trajectory(system: System, network: kan2.MultKAN, formula: sympy.Expr | None) -> tuple[Figure, dict[str, float]]:
    # Released at rest from 0.9 and -0.4 rad: regular motion, which stays among the samples.
    start, times = [0.9, -0.4, 0.0, 0.0], np.linspace(0, 10, 401)
    exact = _function(system)
    motions = {"truth": lambda z: exact(*z)}
    models = {"splines": network}
    if formula is not None:
        models["formula"] = kanpiler.compile(formula, inputs=system.names, verify=False)
    for name, model in models.items():
        motions[name] = lambda z, model=model: predict(model, torch.as_tensor(z)[None]).detach().numpy()[0]
    paths = {
        name: solve_ivp(lambda _, z, a=a: np.concatenate([z[2:], a(z)]), (0, 10), start, "DOP853", times, rtol=1e-9,
                        atol=1e-9).y
        for name, a in motions.items()
    }  # fmt: skip
    apart = {name: float(np.abs(paths[name] - paths["truth"])[:2].max()) for name in models}
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, angle in enumerate("ab"):
        left.plot(times, paths["truth"][i], color=f"C{i}", label=f"angle {angle}")
        left.plot(times[::10], paths["splines"][i][::10], "o", color=f"C{i}", ms=3, mfc="none")
    for name in models:
        right.semilogy(times[1:], np.abs(paths[name] - paths["truth"])[:2].max(0)[1:], label=name)
    left.set(xlabel="time (s)", ylabel="rad", title="line: truth, circles: learned")
    right.set(xlabel="time (s)", ylabel="error of the angles (rad)")
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8)
    return figure, apart


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
