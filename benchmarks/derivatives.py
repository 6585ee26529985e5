"""Time and memory of the Hessian of [5, 20, 20, 1] at 1,000 points: jets, torch.func, pykan's batch_hessian."""

import warnings

import torch
from torch.func import hessian, vmap

from benchmarks._timing import machine, medians, peak_mib
from case_studies._results import table
from kan2 import MultKAN


def main() -> str:
    """Runs the comparison and returns a section of Markdown."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    model = MultKAN([5, 20, 20, 1], seed=0)
    x = torch.rand(1000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    by_transform = vmap(hessian(lambda p: model(p[None])[0, 0]))
    difference = float((model.jet(x).hessian[:, 0] - by_transform(x)).abs().max().detach())
    runs = {
        "kan2 jet": lambda: model.jet(x),
        "torch.func vmap(hessian) of the same network": lambda: by_transform(x),
    }
    extra = {"kan2 laplacian": lambda: model.laplacian(x)}
    try:
        from kan import KAN
        from kan.utils import batch_hessian

        for name, quick in (("pykan batch_hessian", False), ("pykan batch_hessian after speed()", True)):
            peer = KAN([5, 20, 20, 1], grid=5, k=3, auto_save=False).double()
            if quick:
                peer.speed()
            runs[name] = lambda peer=peer: batch_hessian(peer, x.clone().requires_grad_())
    except ImportError:
        pass
    times = medians(runs | extra, rounds=20, block=2)
    mine = times["kan2 jet"]
    rows = [[n, f"{t:.1f}", f"{t / mine:.1f}", f"{peak_mib((runs | extra)[n]):.0f}"] for n, t in times.items()]
    return f"""## Hessian of [5, 20, 20, 1] at 1,000 points

Milliseconds, median of at least 20 runs, float64. Largest difference between the jet and torch.func: {difference:.1e}.
{machine()}.

{table(["", "time", "time / jet", "MiB"], rows)}
"""


if __name__ == "__main__":
    print(main())
