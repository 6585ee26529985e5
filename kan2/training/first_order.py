"""LBFGS and Adam, behind the interface of the Levenberg-Marquardt solver: `restart`, `step`, `evaluation`.

Their steps depend on the units of the numbers, so they work on the numbers of symbolic terms in natural units.

A step that makes the loss or a parameter non-finite is undone and the learning rate halved; the third ends the run.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from kan2.core.network import Network
from kan2.training._natural_units import term_units
from kan2.training.losses import SquaredError
from kan2.training.penalties import edge_scales, feature_covariance
from kan2.training.problem import MEASURED, Evaluation, Problem

DEFAULT_RATES = {"LBFGS": 1.0, "Adam": 1e-2}
LARGEST_FAILURES = 3


def objective(model: Network, problem: Problem, rows: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Returns loss plus penalty, the loss, and the outputs, on all samples or on some rows, with gradients."""
    chosen = slice(None) if rows is None else rows
    share = None if problem.share is None else problem.share[chosen]
    nodes, scales, splines = problem.features[chosen], [], []
    for layer in model.layers:
        edges = layer.numeric
        if problem.penalty.lamb and edges is not None:
            scales.append(edge_scales(edges, feature_covariance(edges.features(nodes), share)))
            splines.append(edges.masked_weight[..., int(edges.has_base) :])
        nodes = layer(nodes)
    loss = problem.mean_loss(nodes, chosen)
    return (loss + problem.penalty(scales, splines) if scales else loss), loss, nodes


class FirstOrder:
    """The state of a run with one of torch's optimisers.

    Args:
        model: trained in place.
        problem: what is minimised; its roughness term is left out.
        opt: "LBFGS" or "Adam".
        lr: learning rate, or a map from the step's number to it; by default 1 for LBFGS, which searches along lines,
            and 1e-2 for Adam.
        batch: number of samples drawn for each step; None for all.
        seed: seed of the generator that draws them.

    Attributes:
        evaluation: the objective before the last step, on its batch.
        message: why `step` returned False.
    """

    damping: float | None = None
    lowers = False

    def __init__(
        self,
        model: Network,
        problem: Problem,
        opt: str,
        lr: float | Callable[[int], float] | None = None,
        batch: int | None = None,
        seed: int = 0,
    ) -> None:
        self.model, self.problem, self.opt = model, problem, opt
        self.rate = lr if callable(lr) else (lambda _: DEFAULT_RATES[opt] if lr is None else lr)
        self.batch = batch if batch is not None and batch < len(problem) else None
        self.generator = torch.Generator().manual_seed(seed)
        self.good: list[Tensor] = []
        self.message, self.n_steps, self.n_failures, self.shrink = "", 0, 0, 1.0

    def begin_stage(self) -> None:
        """Gets ready for another grid."""
        self.restart()

    def restart(self) -> None:
        """Forgets curvature and momenta, after the network has changed from outside."""
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.units = self._natural_units()
        self._read()
        rate = self.shrink * self.rate(self.n_steps)
        if self.opt == "LBFGS":
            # One iteration a step; the line search may take 25 evaluations in it.
            self.optimiser: torch.optim.Optimizer = torch.optim.LBFGS(
                self.variables, rate, 1, 25, 0, 0, history_size=20, line_search_fn="strong_wolfe"
            )
        else:
            self.optimiser = torch.optim.Adam(self.variables, lr=rate)
        with torch.no_grad():
            self.evaluation = self._evaluation(*objective(self.model, self.problem), None)
        if isfinite(self.evaluation.objective):
            self.good = [p.detach().clone() for p in self.parameters]

    def step(self) -> bool:
        """Makes one step of the optimiser; returns False when it fails for good."""
        if not self.parameters:
            self.message = "nothing to train"
            return False
        rows = None
        if self.batch is not None:
            drawn = torch.randperm(len(self.problem), generator=self.generator)[: self.batch]
            rows = drawn.to(self.problem.features.device)
        here = [p.detach().clone() for p in self.parameters]
        values: list[Evaluation] = []

        def closure() -> float:
            self._put()
            self.model.zero_grad()
            total, loss, output = objective(self.model, self.problem, rows)
            # First steps and least slopes are meant for losses of ordinary size.
            (total / self.problem.size).backward()
            for variable, parameter, unit in zip(self.variables, self.parameters, self.units):
                gradient = parameter.grad
                variable.grad = gradient if gradient is None or unit is None else gradient * unit
            values.append(self._evaluation(total.detach(), loss.detach(), output.detach(), rows))
            return values[-1].objective / self.problem.size

        for group in self.optimiser.param_groups:
            group["lr"] = self.shrink * self.rate(self.n_steps)
        try:
            self.optimiser.step(closure)
            self._put()
        except BaseException:
            # An interrupt must not leave the network at a trial point.
            self._write(here)
            raise
        self.n_steps += 1
        first = values[0]
        if isfinite(first.objective):
            self.good = here
        if not (isfinite(first.objective) and all(bool(torch.isfinite(p.detach()).all()) for p in self.parameters)):
            self._go_back()
            self.n_failures += 1
            self.shrink /= 2
            if self.n_failures >= LARGEST_FAILURES:
                self.message = "the loss was not finite three times; the last finite state is kept"
                return False
            self.restart()
            return True
        self.evaluation = first
        return True

    def _evaluation(self, total: Tensor, loss: Tensor, output: Tensor, rows: Tensor | None) -> Evaluation:
        problem, chosen = self.problem, slice(None) if rows is None else rows
        squares = None
        if isinstance(problem.loss, SquaredError):
            values = problem.loss.squares(output, problem.y[chosen])
            share = None if problem.share is None else problem.share[chosen]
            squares = values.mean(0) if share is None else share @ values / share.sum()
        return Evaluation(float(total), float(loss), float(total - loss), None, None, squares)

    def finish(self) -> bool:
        """Evaluates all samples where the last step has led, and goes back where that is nowhere; returns True."""
        self.restart()
        if not isfinite(self.evaluation.objective):
            self._go_back()
            self.restart()
        return True

    def _natural_units(self) -> list[Tensor | None]:
        if all(layer.symbolic is None for layer in self.model.layers):
            return [None] * len(self.parameters)
        every = -(-len(self.problem) // MEASURED)
        known = {id(p): units for p, units in term_units(self.model, self.problem.features[::every])}
        return [known.get(id(p)) for p in self.parameters]

    @torch.no_grad()
    def _read(self) -> None:
        # What the optimiser sees: copies of the numbers, in natural units.
        pairs = zip(self.parameters, self.units)
        self.variables = [(p.clone() if u is None else p / u).detach().requires_grad_() for p, u in pairs]

    @torch.no_grad()
    def _put(self) -> None:
        for parameter, variable, unit in zip(self.parameters, self.variables, self.units):
            parameter.copy_(variable if unit is None else variable * unit)

    def _go_back(self) -> None:
        self._write(self.good)

    @torch.no_grad()
    def _write(self, numbers: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, numbers):
            parameter.copy_(value)

    def state(self) -> dict[str, Any]:
        """Returns what a later run needs, beside the network, to go on exactly here."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "units": self.units,
            "generator": self.generator.get_state(),
            "counts": [self.n_steps, self.n_failures, self.shrink],
            "evaluation": [self.evaluation.objective, self.evaluation.loss, self.evaluation.penalty],
            "squares": self.evaluation.squares,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes over what `state` returned."""
        self.restart()
        self.units = state["units"]
        with torch.no_grad():
            for variable, parameter, unit in zip(self.variables, self.parameters, self.units):
                variable.copy_(parameter if unit is None else parameter / unit)
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.n_steps, self.n_failures, self.shrink = state["counts"]
        total, loss, penalty = state["evaluation"]
        self.evaluation = Evaluation(total, loss, penalty, None, None, state["squares"])
