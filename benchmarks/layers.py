"""Time and memory of one layer, forward and backward, against pykan, inkan and the matrix product underneath.

The floor is `nn.Linear` with in * (G + 4) inputs: the product of features and weights that every such layer needs, with
the features for free. The gradient of the input is included, as inside a deeper model.
"""

import contextlib
import warnings

import torch
from torch import nn

from benchmarks._timing import machine, medians, peak_mib, training_step
from case_studies._results import table
from kan2 import KANLayer

SHAPES = [
    *((1000, 2, 5, 5), (1000, 5, 5, 5), (1000, 17, 14, 3), (1000, 10, 10, 20), (1000, 2, 5, 100), (256, 64, 64, 5)),
    *((256, 256, 256, 5), (256, 256, 256, 20), (1024, 784, 64, 5), (1000, 100, 100, 5)),
]


class PykanLayer(nn.Module):
    """A layer of pykan that returns only its output."""

    def __init__(self, n_in: int, n_out: int, grid: int) -> None:
        super().__init__()
        from kan.KANLayer import KANLayer as Layer

        self.layer = Layer(n_in, n_out, num=grid)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]


def candidates(n_in: int, n_out: int, grid: int) -> dict[str, nn.Module]:
    """Returns the layers to compare; packages that are not installed are left out."""
    found: dict[str, nn.Module] = {"kan2": KANLayer(n_in, n_out, grid=grid)}
    with contextlib.suppress(ImportError):
        import inkan

        found["inkan (compiled)"] = inkan.KANLayer(n_in, n_out, grid_size=grid)
        found["inkan (eager)"] = inkan.KANLayer(n_in, n_out, grid_size=grid, compile_basis=False)
    with contextlib.suppress(ImportError):
        found["pykan"] = PykanLayer(n_in, n_out, grid)
    return found


def measure(shape: tuple[int, int, int, int]) -> list[str]:
    """Returns one row of the table."""
    batch, n_in, n_out, grid = shape
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(batch, n_in, generator=generator) * 1.9 - 0.95).requires_grad_()
    features = torch.randn(batch, n_in * (grid + 4), generator=generator).requires_grad_()
    seed = torch.randn(batch, n_out, generator=generator)
    steps = {"floor": training_step(nn.Linear(n_in * (grid + 4), n_out, bias=False), features, seed)}
    steps |= {name: training_step(module, x, seed) for name, module in candidates(n_in, n_out, grid).items()}
    heavy = batch * n_in * n_out > 10_000_000
    pykan = {"pykan": steps.pop("pykan")} if heavy and "pykan" in steps else {}  # seconds a step: few runs suffice
    times = medians(steps, rounds=20 if heavy else 40) | (medians(pykan, rounds=2, block=2) if pykan else {})
    memory = {name: peak_mib(step) for name, step in (steps | pykan).items()}
    peers = {name: t for name, t in times.items() if name not in ("floor", "kan2")}
    best = min(peers, key=lambda name: peers[name]) if peers else "kan2"
    cells = [f"{times[n]:.2f} ({memory[n]:.0f})" if n in times else "-" for n in COLUMNS]
    ratios = [f"{times[best] / times['kan2']:.2f}", f"{times['kan2'] / times['floor']:.2f}"]
    return [str(shape), *cells, *ratios]


COLUMNS = ["kan2", "floor", "inkan (compiled)", "inkan (eager)", "pykan"]


def main() -> str:
    """Runs the comparison and returns a section of Markdown."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rows = [measure(shape) for shape in SHAPES]
    header = ["(batch, in, out, G)", *COLUMNS, "fastest peer / kan2", "kan2 / floor"]
    return f"""## One layer, forward and backward

Milliseconds, median of at least 20 runs; in brackets the growth of the resident set in MiB. float32, gradients of
weights and inputs. {machine()}.

{table(header, rows)}
"""


if __name__ == "__main__":
    print(main())
