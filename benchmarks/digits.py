"""Handwritten digits by Adam through a DataLoader: seconds an epoch of our layer, inkan's, and Gaussians as in FastKAN.

Reference: Li, Kolmogorov-Arnold Networks are Radial Basis Function Networks (arXiv 2405.06721).
"""

import contextlib
import statistics
import warnings
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks._timing import machine, medians, process_seconds, training_step
from case_studies._results import table
from kan2 import KANLayer

WIDTH = (64, 64, 10)
BATCH = 64
N_TRAIN = 1_437  # four fifths
EPOCHS = 24
N_BASIS = 8  # G + k of the defaults


class GaussianLayer(nn.Module):
    """Gaussians at equally spaced centres and a linear branch of SiLU, as FastKAN has them, without its LayerNorm."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(-1, 1, N_BASIS))
        self.spline = nn.Linear(n_in * N_BASIS, n_out, bias=False)
        self.base = nn.Linear(n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        z = (x[..., None] - self.centres) * ((N_BASIS - 1) / 2)
        return self.spline(torch.exp(-z * z).flatten(-2)) + self.base(nn.functional.silu(x))


def candidates() -> dict[str, nn.Module]:
    """Returns the networks to compare; packages that are not installed are left out."""
    kinds: dict[str, type[nn.Module]] = {"kan2": KANLayer, "Gaussians, ten lines of torch": GaussianLayer}
    with contextlib.suppress(ImportError):
        import inkan

        kinds["inkan"] = inkan.KANLayer
    kinds["nn.Linear and SiLU, a ninth of the parameters"] = nn.Linear
    found: dict[str, nn.Module] = {}
    for name, kind in kinds.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers: list[nn.Module] = [kind(n_in, n_out) for n_in, n_out in pairwise(WIDTH)]
        found[name] = nn.Sequential(layers[0], nn.SiLU(), layers[1]) if kind is nn.Linear else nn.Sequential(*layers)
    return found


def samples() -> tuple[TensorDataset, TensorDataset]:
    """Returns training and test images, (64,) pixels from -1 to 1, with their digits."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    x, y = torch.from_numpy(images / 8 - 1).float()[order], torch.from_numpy(digits)[order]
    return TensorDataset(x[:N_TRAIN], y[:N_TRAIN]), TensorDataset(x[N_TRAIN:], y[N_TRAIN:])


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, data: TensorDataset, seed: int) -> None:
    """Passes once through the data, in batches whose order the seed decides."""
    for x, y in DataLoader(data, BATCH, shuffle=True, generator=torch.Generator().manual_seed(seed)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, data: TensorDataset) -> float:
    """Returns the share of digits that a network reads rightly."""
    x, y = data.tensors
    return (model(x).argmax(1) == y).float().mean().item()


def epochs(models: dict[str, nn.Module], n: int, data: TensorDataset) -> dict[str, list[float]]:
    """Trains all networks, epochs taking turns, and returns the processor seconds of every epoch."""
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=1e-3) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for seed in range(n):
        for name, model in models.items():
            run = lambda name=name, model=model: train_epoch(model, optimizers[name], data, seed)  # noqa: B023, E731
            seconds[name].append(process_seconds(run))
    return seconds


def main(n_epochs: int = EPOCHS) -> str:
    """Runs the comparison and returns its section."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    train, test = samples()
    models = candidates()
    x = train.tensors[0][:BATCH]
    steps = {name: training_step(model, x, torch.ones(BATCH, WIDTH[-1])) for name, model in models.items()}
    step = medians(steps, rounds=8 * n_epochs)
    seconds = epochs(models, n_epochs, train)
    # The first epochs compile, import and warm up.
    middle = {name: 1e3 * statistics.median(values[n_epochs // 8 :]) for name, values in seconds.items()}
    rows = [
        [
            name,
            f"{sum(p.numel() for p in model.parameters() if p.requires_grad):,}",
            *(f"{middle[name]:.1f}", f"{middle[name] / middle['kan2']:.2f}"),
            *(f"{step[name]:.2f}", f"{step[name] / step['kan2']:.2f}"),
            f"{accuracy(model, test):.3f}",
        ]
        for name, model in models.items()
    ]
    header = ["layers", "parameters", "epoch", "epoch / kan2", "batch", "batch / kan2", "test accuracy"]
    return f"""## Handwritten digits by Adam

{list(WIDTH)}, {N_TRAIN:,} training images, batches of {BATCH} from a DataLoader, float32, learning rate 1e-3, \
{N_BASIS} basis functions and a
base function in every layer. Processor milliseconds, medians, candidates taking turns: of an epoch of {n_epochs}, in
which the loader and Adam have their share, and of a batch forward and backward alone. Accuracy on {len(test):,} other
images after the last epoch. {machine()}.

{table(header, rows)}
"""


if __name__ == "__main__":
    print(main())
