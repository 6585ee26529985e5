"""Time and memory of networks with 0, 50 and 100 % symbolic edges, against pykan with and without speed()."""

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch

from benchmarks._timing import machine, medians, peak_mib, training_step
from case_studies._results import table
from kan2 import BasisSpec, LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
from kan2.core.spec import parse_width

WIDTHS: list[list[Any]] = [[2, 5, 1], [4, [5, 3], 1], [5, 20, 20, 1]]
FUNCTIONS = ("sin", "x^2", "exp", "tanh")
BATCH = 256


def is_symbolic(edge: int, share: float) -> bool:
    """Says which edges are symbolic: none, every other one, or all."""
    return share == 1.0 or (share == 0.5 and edge % 2 == 0)


def ours(width: list[Any], share: float) -> MultKAN:
    """Returns a network of this package."""
    nodes = parse_width(width)
    layers, edge = [], 0
    for (n_sum, arities), (n_next, arities_next) in pairwise(nodes):
        layer = LayerSpec(n_sum + len(arities), n_next, arities_next, basis=BasisSpec())
        numeric, terms = [], []
        for pair in layer.numeric_pairs:
            if is_symbolic(edge, share):
                terms.append(SymbolicTerm(*pair, FUNCTIONS[edge % len(FUNCTIONS)]))
            else:
                numeric.append(pair)
            edge += 1
        layers.append(LayerSpec(layer.n_in, n_next, arities_next, tuple(numeric), tuple(terms)))
    model = MultKAN.from_spec(NetworkSpec(tuple(layers)), dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in model.layers:
            layer.reset_parameters(generator=generator)
            if layer.symbolic is not None:
                layer.symbolic.affine.mul_(0.3)
    return model


def pykan(width: list[Any], share: float, quick: bool) -> torch.nn.Module:
    """Returns a network of pykan with the same edges."""
    from kan import KAN

    model = KAN(width=[list(w) if isinstance(w, list) else w for w in width], grid=5, k=3, auto_save=False)
    names = {"x^2": "x^2", "sin": "sin", "exp": "exp", "tanh": "tanh"}
    edge = 0
    for i, layer in enumerate(model.act_fun):
        for target in range(layer.out_dim):
            for source in range(layer.in_dim):
                if is_symbolic(edge, share):
                    name = names[FUNCTIONS[edge % len(FUNCTIONS)]]
                    model.fix_symbolic(i, source, target, name, fit_params_bool=False, verbose=False, log_history=False)
                edge += 1
    return model.speed() or model if quick else model


def measure(width: list[Any], share: float) -> list[str]:
    """Returns one row of the table."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(BATCH, width[0], generator=generator) * 2 - 1).requires_grad_()
    seed = torch.ones(BATCH, 1)
    runs: dict[str, Callable[[], None]] = {"kan2": training_step(ours(width, share), x, seed)}
    try:
        runs["pykan"] = training_step(pykan(width, share, quick=False), x, seed)
        if share == 0:  # speed() switches the symbolic branch off, so it cannot run symbolic edges
            runs["pykan speed()"] = training_step(pykan(width, share, quick=True), x, seed)
    except ImportError:
        pass
    times = medians(runs, rounds=20)
    cells = [f"{times[n]:.2f} ({peak_mib(runs[n]):.0f})" if n in times else "-" for n in COLUMNS]
    ratios = [f"{times[n] / times['kan2']:.1f}" if n in times else "-" for n in COLUMNS[1:]]
    return [str(width), f"{share:.0%}", *cells, *ratios]


COLUMNS = ["kan2", "pykan", "pykan speed()"]


def main() -> str:
    """Runs the comparison and returns a section of Markdown."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rows = [measure(width, share) for width in WIDTHS for share in (0.0, 0.5, 1.0)]
    header = ["width", "symbolic", *COLUMNS, "pykan / kan2", "speed() / kan2"]
    return f"""## Networks, forward and backward, batch {BATCH}

Milliseconds, median of at least 20 runs; in brackets the growth of the resident set in MiB. float32, gradients of
parameters and inputs. {machine()}.

{table(header, rows)}
"""


if __name__ == "__main__":
    print(main())
