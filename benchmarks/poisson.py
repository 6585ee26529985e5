"""Error against time on a Poisson equation (KAN 1.0, section 3.4): ours, an MLP, and pykan on the same points.

The equation, the points, our network and the MLP are those of the case study `pde`.
"""

import contextlib
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._pykan import float64_by_default
from benchmarks._timing import machine
from case_studies._results import table
from case_studies.pde import Curve, by_lbfgs, kan, mlp_by_lbfgs, points

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "poisson.svg"
BUDGET = 30.0  # processor seconds for the networks trained by LBFGS


class _Pykan(torch.nn.Module):
    # pykan's network of the paper, [2, 10, 1] with G = 5, with a Laplacian.
    def __init__(self) -> None:
        from kan import KAN

        super().__init__()
        self.network = KAN(width=[2, 10, 1], grid=5, k=3, seed=0, auto_save=False).speed()

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def laplacian(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self(x).sum(), x, create_graph=True)
        parts = [torch.autograd.grad(gradient[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(2)]
        return (parts[0] + parts[1])[:, None]


def pykan() -> Curve:
    """Trains pykan's network on the same residual by LBFGS."""
    with float64_by_default():
        model = _Pykan()
        return by_lbfgs(model, [p for p in model.parameters() if p.requires_grad], points(), BUDGET)


def draw(curves: dict[str, Curve]) -> None:
    """Writes the figure of error against time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for name, curve in curves.items():
        axes.loglog([t for t, _ in curve], [e for _, e in curve], label=name)
    axes.set(xlabel="processor seconds", ylabel="mean square error of u")
    axes.legend()
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE)
    plt.close(figure)


def main() -> str:
    """Runs the comparison and returns its section."""
    model, curve = kan(points(), [2, [0, 1]], [10, 20, 40, 80])
    curves = {
        "kan2, Levenberg-Marquardt": curve,
        "MLP [2,64,64,1], LBFGS": mlp_by_lbfgs(points(), 64, BUDGET)[1],
    }
    with contextlib.suppress(ImportError):
        curves["pykan [2,10,1], LBFGS"] = pykan()
    draw(curves)
    rows = [[name, f"{c[-1][1]:.1e}", f"{min(e for _, e in c):.1e}", f"{c[-1][0]:.0f}"] for name, c in curves.items()]
    return (
        "## Poisson equation\n\n"
        "u = sin(pi x) sin(pi y^2) on [-1, 1]^2 from its Laplacian at 10,000 points and its values at 800 boundary "
        f"points; mean square error of u on 4,000 other points; ours: {model.width}, k = 5, G = 10, 20, 40, 80. "
        f"{machine()}\n\n"
        f"{table(['network', 'final error', 'lowest error', 'processor seconds'], rows)}\n\n"
        "![error against time](images/poisson.svg)\n\nThe paper reports 1e-7 for a KAN and 1e-5 for an MLP.\n"
    )
