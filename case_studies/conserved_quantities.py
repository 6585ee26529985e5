"""Conserved quantities of a flow: all independent ones (KAN 2.0, section 5.1).

Systems, in units in which mass, spring constant, g/l and GM are 1; z' = f(z) is sampled on a box:
- oscillator_1d: x' = p, p' = -x; pendulum: q' = p, p' = -sin q;
- oscillator_2d: (x, y)' = (px, py), (px, py)' = -(x, y);
- kepler: (x, y)' = (px, py), (px, py)' = -(x, y)/r^3, outside r = 0.5; r is offered as an auxiliary variable.

Learned. Networks H with grad H . f = 0. A network H that sums functions of one feature and products of two is linear in
its spline coefficients once products are written out, so that what is conserved, and independent of what has been
found, is an eigenvalue problem: least |grad H . f|^2 for a given |grad H|^2 across the gradients found so far. Small
wirings are asked before large ones; where one has an eigenvalue of zero, a network is trained in that wiring on the
condition grad H . f = 0, symbolified, and the coefficients of its terms are solved for exactly. When all wirings are
exhausted, what was found is offered as an auxiliary variable, and the search goes on.

Judged. A flow in d dimensions has at most d - 1 independent conserved quantities, and these systems have as many: 1, 1,
3, 3. The number found is the rank of their gradients; each must have a loss of at most 1e-8, the mean square of
cos(grad H, f) in the box, and a formula of which SymPy proves dH/dt = 0. H is defined up to scale, constant, and
functions of H.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import sympy
import torch
from matplotlib.figure import Figure
from torch import Tensor

import kan2
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from kan2.core.bases import BSplineBasis, uniform_grid
from kan2.core.features import compute_features

Term = tuple[int, ...]
"""A part of H: a function of one feature, or a product of functions of two."""


@dataclass
class System:
    """A flow z' = f(z), sampled on a box.

    Attributes:
        flow: for each coordinate its derivative in time.
        size: half the width of the box.
        offered: auxiliary variables, by name.
        closest: samples nearer to the origin of (x, y) are dropped.
    """

    flow: dict[str, str]
    size: float
    offered: dict[str, str] = field(default_factory=dict)
    closest: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The coordinates."""
        return tuple(self.flow)

    def velocity(self, z: Tensor) -> Tensor:
        """Returns f(z)."""
        rates = {f"{name}_rate": rate for name, rate in self.flow.items()}
        return compute_features(z, self.names, list(rates.items()), list(rates))

    def sample(self, n: int, seed: int, beyond: float = 1.0) -> Tensor:
        """Samples the box uniformly, or one that reaches further by a factor."""
        generator = torch.Generator().manual_seed(seed)
        z = self.size * beyond * (2 * torch.rand(3 * n, len(self.flow), generator=generator, dtype=torch.float64) - 1)
        return z[z[:, :2].norm(dim=1) > self.closest / beyond][:n]


REACH = 1.1  # networks are trained a little beyond the box in which they are judged: splines know nothing outside
FEW = 400  # samples on which wirings are compared; the networks are trained on all
PLANE = {"x": "px", "y": "py"}
SYSTEMS = {
    "oscillator_1d": System({"x": "p", "p": "-x"}, 1.0),
    "pendulum": System({"q": "p", "p": "-sin(q)"}, 2.0),
    "oscillator_2d": System({**PLANE, "px": "-x", "py": "-y"}, 1.0),
    "kepler": System(
        {**PLANE, "px": "-x/(x**2 + y**2)**1.5", "py": "-y/(x**2 + y**2)**1.5"},
        1.5,
        {"r": "sqrt(x**2 + y**2)"},
        0.5,
    ),
}
PAPER = {"oscillator_1d": "1.17e-4", "oscillator_2d": "1.57e-3; 3, one a lucky seed"}


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Finds all independent conserved quantities of four flows."""
    result, clock = CaseResult("conserved_quantities"), Stopwatch()
    result.references.append("Liu et al., KAN 2.0 (arXiv 2408.10205), section 5.1")
    for name, system in SYSTEMS.items():
        if name == "kepler" and not full:
            continue
        trials, expected = [], len(system.names) - 1
        for seed in range(seeds or (10 if full else 1)):
            lap = Stopwatch()
            found = find_all(system, seed)
            z = system.sample(500, seed + 1000)
            losses = [cq_loss(system, quantity.network, z) for quantity in found]
            n_independent = rank([quantity.formula for quantity in found], system, z)
            proved = [is_conserved(quantity.formula, system) for quantity in found]
            met = n_independent == expected and all(proved) and max(losses) <= 1e-8
            formulas = [str(quantity.formula) for quantity in found]
            text = f"{n_independent} of {expected} independent\n" + "\n".join(formulas)
            trials.append(Trial(text, max(losses, default=1.0), met, lap.lap()))
            if seed == 0:
                result.formulas.update({f"{name}_{i}": formula for i, formula in enumerate(formulas)})
                for i, quantity in enumerate(found):
                    result.figures[f"{name}_{i}"] = quantity.network.plot(z)
                result.metrics[name] = {"loss": losses, "proved": proved, "independent": n_independent}
                if name == "pendulum" and found:
                    result.figures["phase_portrait"] = _phase_portrait(system, found[0].network)
        row = row_of_trials(name, trials, "cq loss", "all, exact, <= 1e-8", PAPER.get(name, "not tried"))
        result.rows.append(row)
    result.seconds = clock.total()
    return result


@dataclass(frozen=True)
class Quantity:
    """A conserved quantity: the trained network, and its formula in the coordinates."""

    network: kan2.MultKAN
    formula: sympy.Expr


def find_all(system: System, seed: int = 0) -> list[Quantity]:
    """Finds conserved quantities until there can be no more, or no wiring gives another one."""
    found: list[Quantity] = []
    offered, seen = dict(system.offered), 0
    z = system.sample(1000, seed, REACH)
    while True:
        space = Space(system, offered, z)
        for terms in wirings(len(space.names), seen):
            across = gradients([quantity.formula for quantity in found], system, z)
            if space.solve(terms, across, grid=3)[0] > 1e-3 or space.solve(terms, across, grid=8)[0] > 1e-5:
                continue
            network = space.train(terms, across, seed)
            known = [quantity.formula for quantity in found]
            for formula in read_formulas(network, system, z):
                if rank([*known, formula], system, z) > len(found):
                    found.append(Quantity(network, formula))
                    break
            if len(found) == len(system.names) - 1:
                return found
        new = {f"H{i}": str(quantity.formula) for i, quantity in enumerate(found)}
        if set(new) <= set(offered):
            return found
        seen, offered = len(space.names), {**offered, **new}


def wirings(n: int, seen: int) -> Iterator[tuple[Term, ...]]:
    """Yields wirings of n features, small ones first: up to three functions, then up to two products.

    Those that only use the first `seen` features are left out.
    """
    single, pair = [(i,) for i in range(n)], list(itertools.combinations(range(n), 2))
    for terms, size in ((single, 1), (single, 2), (single, 3), (pair, 1), (pair, 2)):
        for wiring in itertools.combinations(terms, size):
            if any(i >= seen for term in wiring for i in term):
                yield wiring


class Space:
    """What networks over some features can represent, on samples.

    Attributes:
        names: the coordinates and the auxiliary variables.
    """

    def __init__(self, system: System, offered: dict[str, str], z: Tensor) -> None:
        self.system, self.offered, self.z = system, offered, z
        self.names = system.names + tuple(offered)
        z = z.clone().requires_grad_()
        values = compute_features(z, system.names, list(offered.items()), self.names)
        self.gradient = torch.stack(
            [torch.autograd.grad(v.sum(), z, retain_graph=True)[0] for v in values.unbind(1)], 1
        )
        self.values = values.detach()
        flow = system.velocity(self.z)
        self.direction = flow / flow.norm(dim=1, keepdim=True)

    def solve(self, terms: Sequence[Term], across: Tensor, grid: int) -> tuple[float, Tensor, Tensor]:
        """Returns the least mean (grad H . f/|f|)^2 for mean |grad H|^2 = 1 across known gradients, H, and grad H."""
        few = slice(FEW)
        basis = BSplineBasis(uniform_grid(self.values.amin(0), self.values.amax(0), grid), 3)
        value, slope, features = basis(self.values[few]), basis(self.values[few], 1), self.gradient[few]
        columns, gradient = [], []
        for term in terms:
            i, j = term[0], term[-1]
            if len(term) == 1:
                columns.append(value[:, i])
                gradient.append(slope[:, i, :, None] * features[:, i, None])
                continue
            columns.append((value[:, i, :, None] * value[:, j, None]).flatten(1))
            left = slope[:, i, :, None, None] * value[:, j, None, :, None] * features[:, i, None, None]
            right = value[:, i, :, None, None] * slope[:, j, None, :, None] * features[:, j, None, None]
            gradient.append((left + right).flatten(1, 2))
        g = torch.cat(gradient, 1)
        flow, n = (g * self.direction[few, None]).sum(-1), len(g)
        new = _across(g, across[few])
        # Constants, and features that depend on each other, have no gradient: they are projected out.
        size, vectors = torch.linalg.eigh(torch.einsum("ncd,ned->ce", g, g) / n)
        keep = size > 1e-9 * size[-1]
        white = vectors[:, keep] / size[keep].sqrt()
        # A touch of |grad H|^2 prefers, among equals, the H that contains nothing of what is known.
        cost = white.T @ (flow.T @ flow / n) @ white + 1e-8 * torch.eye(int(keep.sum()), dtype=g.dtype)
        white = torch.linalg.solve_triangular(torch.linalg.cholesky(cost), white.T, upper=False).T
        use, vectors = torch.linalg.eigh(white.T @ (torch.einsum("ncd,ned->ce", new, new) / n) @ white)
        best = white @ vectors[:, -1]
        h = torch.cat(columns, 1) @ best
        return 1 / max(float(use[-1]), 1e-300), (h - h.mean()) / h.std(), torch.einsum("ncd,c->nd", g, best) / h.std()

    def train(self, terms: Sequence[Term], across: Tensor, seed: int) -> kan2.MultKAN:
        """Trains a network of this wiring on grad H . f = 0, from the solution of the linear problem."""
        _, h, gradient = self.solve(terms, across, grid=3)
        network = self.wire(terms, seed)
        network.fit((self.z[:FEW], h), restarts=4, steps=40)
        at, along = self.z[:50], _across(gradient[:50, None], across[:50])[:, 0]

        def residual(model: kan2.MultKAN) -> dict[str, Tensor]:
            flow = (model.jet(self.z, order=1).gradient[:, 0] * self.direction).sum(1)
            scale = (model.jet(at, order=1).gradient[:, 0] * along).sum(1).mean() / along.square().sum(1).mean()
            return {"flow": flow, "scale": (scale - 1)[None]}  # H = 0 is no answer

        network.fit(residual=residual, grids=[5, 10, 20], steps=15)
        return network

    def wire(self, terms: Sequence[Term], seed: int) -> kan2.MultKAN:
        """Builds a network that adds functions of single features and products of functions of two."""
        features = sorted({i for term in terms for i in term})
        products = [term for term in terms if len(term) == 2]
        n_sum = int(len(products) < len(terms))
        singles = [(0, features.index(term[0])) for term in terms if len(term) == 1]
        factors = [features.index(i) for term in products for i in term]
        numeric = (*singles, *((n_sum + t, s) for t, s in enumerate(factors)))
        basis = kan2.BasisSpec(k=5, base_fun="identity")
        layers = [kan2.LayerSpec(len(features), n_sum, (2,) * len(products), numeric, basis=basis)]
        if products:
            n = n_sum + len(products)
            add = tuple(kan2.SymbolicTerm(0, i, "x", free="") for i in range(n))
            layers.append(kan2.LayerSpec(n, 1, numeric=(), terms=add, basis=basis))
        names = tuple(self.names[i] for i in features)
        auxiliary = tuple(self.offered.items())
        network = kan2.MultKAN.from_spec(
            kan2.NetworkSpec(tuple(layers), self.system.names, features=names, auxiliary=auxiliary)
        )
        generator = torch.Generator().manual_seed(seed)
        for layer in network.layers:
            layer.reset_parameters(generator=generator)
        return network


def read_formulas(network: kan2.MultKAN, system: System, z: Tensor) -> list[sympy.Expr]:
    """Reads what is conserved off a network; nothing where its edges stay splines, or coefficients are no fractions.

    The kinds of the terms come from the network. How they combine is the null space of the matrix of their rates of
    change, (samples, terms), brought to echelon form: the fewest terms that are conserved together.
    """
    symbolic = network.auto_symbolic((z, network(z).detach()), accuracy=1e-5)
    if not symbolic.is_formula:
        return []
    terms = sorted(set(sympy.expand(symbolic.symbolic_formula()).as_coefficients_dict()) - {sympy.Integer(1)}, key=str)
    rates = np.stack([_evaluate(_total_derivative(term, system), system, z).numpy() for term in terms], 1)
    _, size, rows = np.linalg.svd(rates, full_matrices=True)
    null = rows[np.sum(size > 1e-5 * size[0]) :]
    return [formula for row in _echelon(null) if (formula := _simple(row, terms)) is not None]


def gradients(formulas: Sequence[sympy.Expr], system: System, z: Tensor) -> Tensor:
    """Returns the (batch, formula, coordinate) gradients of formulas."""
    if not formulas:
        return torch.zeros(len(z), 0, len(system.names), dtype=z.dtype)
    symbols = sympy.symbols(system.names)
    return torch.stack([torch.stack([_evaluate(h.diff(s), system, z) for s in symbols], 1) for h in formulas], 1)


def rank(formulas: Sequence[sympy.Expr], system: System, z: Tensor) -> int:
    """Returns how many of these quantities are independent: the rank of their gradients at most samples."""
    g = gradients(formulas, system, z)
    g = g / g.norm(dim=2, keepdim=True).clamp_min(1e-300)
    return int((torch.linalg.svdvals(g) > 1e-6).sum(1).median()) if g.shape[1] else 0


def cq_loss(system: System, network: kan2.MultKAN, z: Tensor) -> float:
    """Returns the mean square of the cosine between the gradient of H and the flow."""
    gradient = network.jet(z, order=1).gradient[:, 0].detach()
    return float(torch.cosine_similarity(gradient, system.velocity(z)).square().mean())


def is_conserved(formula: sympy.Expr, system: System) -> bool:
    """Asks SymPy whether dH/dt is zero identically."""
    return sympy.simplify(_total_derivative(formula, system)) == 0


def _total_derivative(formula: sympy.Expr, system: System) -> sympy.Expr:
    rates = {sympy.Symbol(n): sympy.nsimplify(sympy.sympify(e)) for n, e in system.flow.items()}
    return sum((formula.diff(s) * rate for s, rate in rates.items()), sympy.Integer(0))


def _evaluate(expression: sympy.Expr, system: System, z: Tensor) -> Tensor:
    values = sympy.lambdify(system.names, expression)(*z.numpy().T)
    return torch.as_tensor(np.asarray(values), dtype=z.dtype).expand(len(z))


def _across(gradient: Tensor, known: Tensor) -> Tensor:
    # The part of (batch, n, coordinate) gradients at right angles to (batch, m, coordinate) known ones.
    if not known.shape[1]:
        return gradient
    q = torch.linalg.qr(known.mT).Q
    return gradient - (gradient @ q) @ q.mT


def _echelon(rows: np.ndarray) -> np.ndarray:
    # Reduced row echelon form, with the largest pivot of every row.
    rows = rows.copy()
    for i in range(len(rows)):
        j = int(np.argmax(np.abs(rows[i])))
        rows[i] /= rows[i, j]
        for other in range(len(rows)):
            if other != i:
                rows[other] -= rows[other, j] * rows[i]
    return rows


def _simple(row: np.ndarray, terms: Sequence[sympy.Expr]) -> sympy.Expr | None:
    numbers = [Fraction(float(v)).limit_denominator(12) for v in row]
    if any(abs(float(number) - value) > 1e-4 for number, value in zip(numbers, row)):
        return None
    return sum((sympy.Rational(n.numerator, n.denominator) * t for n, t in zip(numbers, terms)), sympy.Integer(0))


def _phase_portrait(system: System, network: kan2.MultKAN) -> Figure:
    figure = Figure(figsize=(4.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    line = torch.linspace(-2, 2, 81, dtype=torch.float64)
    q, p = torch.meshgrid(line, line, indexing="xy")
    z = torch.stack([q.flatten(), p.flatten()], 1)
    height = network(z).detach().reshape(q.shape)
    axes.contour(q, p, height, 12, cmap="viridis")
    some = (slice(None, None, 8), slice(None, None, 8))
    flow = system.velocity(z).reshape(*q.shape, 2)
    axes.quiver(q[some], p[some], flow[some][..., 0], flow[some][..., 1], color="0.4")
    axes.set(xlabel="q", ylabel="p", title="pendulum: level lines of the network, arrows of the flow")
    axes.title.set_fontsize(9)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
