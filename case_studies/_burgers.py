"""Burgers' equation u_t + u u_x = nu u_xx, u(0, x) = -sin(pi x), u = 0 at x = -1 and 1: network and exact solution.

Reference: Cole, On a quasi-linear parabolic equation occurring in aerodynamics (1951), doi:10.1090/qam/42889.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

import kan2

EDGES = 100.0  # weight of the values at the start and at both ends
LAYER = 0.05  # half the width of the strip in which the layer is


def cole_hopf(t: np.ndarray, x: np.ndarray, viscosity: float, nodes: int = 150) -> np.ndarray:
    """Returns the solution of Burgers' equation from u = -sin(pi x), at times t > 0."""
    z, weight = np.polynomial.hermite.hermgauss(nodes)
    y = x[:, None] - np.sqrt(4 * viscosity * t)[:, None] * z
    exponent = -np.cos(np.pi * y) / (2 * np.pi * viscosity)
    kernel = weight * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * y) * kernel).sum(axis=1) / kernel.sum(axis=1)


def burgers(stages: Sequence[tuple[int, int, float]], n: int, starts: int = 1, seed: int = 0) -> kan2.MultKAN:
    """Solves Burgers' equation, from high viscosity to low.

    Args:
        stages: grid intervals, steps, and pi times the viscosity.
        n: points inside; at every stage half of them are drawn where slope and residual are large.
        starts: networks that are trained at first; the one of lowest residual goes on.
        seed: of points and starts.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(m: int) -> Tensor:
        return torch.rand(m, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 2.0]) - torch.tensor(
            [0, 1]
        )

    start, sides, points = draw(300), draw(200), draw(n)
    start[:, 0], sides[:100, 1], sides[100:, 1] = 0.0, -1.0, 1.0
    # Inner values leave their grids while the equation is learned. Along tangents they would have no second derivative
    # there, which the equation asks for.
    options = {"grid": stages[0][0], "k": 4, "grid_eps": 0.3, "outside": "base"}
    models = [kan2.MultKAN([2, 3, 3, 1], **options, seed=100 * seed + i) for i in range(starts)]
    for i, (grid, steps, viscosity) in enumerate(stages):

        def equation(net: Any, x: Tensor, nu: float = viscosity / np.pi) -> tuple[Tensor, Tensor]:
            jet = net.jet(x, order=2)
            slope = jet.gradient[:, 0]
            return slope[:, 0] + jet.value[:, 0] * slope[:, 1] - nu * jet.hessian[:, 0, 1, 1], slope[:, 1]

        if i:
            more = draw(20 * n)
            with torch.no_grad():
                missed, slope = (part.abs() for part in equation(models[0], more))
            chance = missed / missed.mean() + slope / slope.mean()
            points = torch.cat([draw(n // 2), more[torch.multinomial(chance, n // 2, generator=generator)]])

        def residual(net: Any, equation: Any = equation, points: Tensor = points) -> dict[str, Tensor]:
            return {
                "equation": equation(net, points)[0],
                "start": net(start)[:, 0] + torch.sin(torch.pi * start[:, 1]),
                "sides": net(sides)[:, 0],
            }

        weights = {"start": EDGES, "sides": EDGES}
        errors = [
            model.fit(residual=residual, residual_weights=weights, grids=[grid], steps=steps)["rmse"][-1]
            for model in models
        ]
        models = [models[int(np.argmin(errors))]]
    return models[0]


def burgers_figure(model: kan2.MultKAN, nu: float) -> Figure:
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    whole, near = figure.subplots(1, 2)
    for axes, width in ((whole, 1.0), (near, LAYER)):
        x = np.linspace(-width, width, 401)
        for i, t in enumerate((0.25, 0.5, 1.0)):
            time_ = np.full_like(x, t)
            axes.plot(x, model.predict(np.stack([time_, x], 1))[:, 0], color=f"C{i}", lw=1.5, label=f"t = {t:g}")
            axes.plot(x, cole_hopf(time_, x, nu), color="k", lw=0.8, ls=":")
        axes.set(xlabel="x")
    whole.set_ylabel("u")
    whole.legend(frameon=False, fontsize=8)
    near.set_title("the layer; dotted: Cole and Hopf", fontsize=9)
    return figure
