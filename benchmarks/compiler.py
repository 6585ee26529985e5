"""Size and time of the compiler on the 120 AI-Feynman equations beside pykan's, evaluation beside `lambdify`.

Run `python -m benchmarks compiler`. pykan is compared where it is installed. Every formula goes
through both compilers in the same process, one after the other; times are processor times.

Reference: Udrescu, Tegmark, AI Feynman (arXiv 1905.11481).
"""

import importlib.util
import time
import warnings
from collections.abc import Callable

import numpy as np
import sympy
import torch

import kanpiler
from benchmarks._timing import medians
from case_studies._equations import with_units
from case_studies._results import table
from kan2.expressions.parse import parse_expression

BATCH = 10_000
NOISY_ROW = 28
"""The equation that is measured five times, to tell how far a figure can be trusted."""


def sample(names: list[str], domain: dict[str, tuple[float, float]]) -> torch.Tensor:
    """Draws a batch from the published ranges."""
    low, high = np.array([domain[name] for name in names]).T
    return torch.as_tensor(np.random.default_rng(0).uniform(low, high, (BATCH, len(names))))


RATIOS = ("forward", "with backward", "trainable", "trained")
"""What is measured of a network over `lambdify`, see `evaluation_ratios`."""


def evaluation_ratios(
    formula: str, names: list[str], domain: dict[str, tuple[float, float]], rounds: int = 12
) -> list[float]:
    """Returns processor time of a compiled network over that of `lambdify` with torch, medians, one after the other.

    Of a frozen network (no number takes gradients): forward without gradients over the same of `lambdify`; forward and
    backward to the inputs over the same. Of a trainable one: forward and backward to the inputs and to all its free
    numbers, over forward and backward of `lambdify` to the inputs, which knows no numbers; as it was compiled, and
    after all free numbers were moved by a thousandth, so that no step that multiplies by 1 or adds 0 can be left out.

    Args:
        formula: what is compiled.
        names: its variables.
        domain: from where they are drawn.
        rounds: how many runs of each at least.
    """
    symbols, x = [sympy.Symbol(name) for name in names], sample(names, domain)
    # Constants are evaluated first, since torch.sqrt and torch.pow take no plain numbers.
    function = sympy.lambdify(symbols, sympy.N(parse_expression(formula, names), 17), modules=torch)
    frozen = kanpiler.compile(formula, names, domain).requires_grad_(False)
    trainable, trained = (kanpiler.compile(formula, names, domain) for _ in range(2))
    with torch.no_grad():
        for layer in trained.layers:
            if layer.symbolic is not None:
                layer.symbolic.affine.add_(1e-3 * layer.symbolic.free[:, :4])

    def forward(evaluate: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                evaluate(x)

        return run

    def backward(evaluate: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], None]:
        numbers = evaluate.parameters() if isinstance(evaluate, torch.nn.Module) else ()
        wanted = [p for p in numbers if p.requires_grad]

        def run() -> None:
            leaf = x.clone().requires_grad_()
            torch.autograd.grad(evaluate(leaf).sum(), [leaf, *wanted], allow_unused=True)

        return run

    def call(x: torch.Tensor) -> torch.Tensor:
        return function(*x.unbind(-1))

    candidates = {"lambdify": forward(call), "lambdify back": backward(call), "forward": forward(frozen)}
    candidates |= {n: backward(net) for n, net in zip(RATIOS[1:], (frozen, trainable, trained))}
    times = medians(candidates, rounds)
    return [times[n] / times["lambdify" if n == "forward" else "lambdify back"] for n in RATIOS]


def incumbent(formula: str, names: list[str]) -> tuple[int, int, int, float]:
    """Compiles with pykan; returns nodes, edges with a function, layers, and seconds."""
    from kan.compiler import kanpiler as pykan

    expression = parse_expression(formula, names)
    symbols = [sympy.Symbol(name) for name in names]
    start = time.process_time()
    model = pykan(symbols, expression)
    elapsed = time.process_time() - start
    edges = sum(name != "0" for layer in model.symbolic_fun for row in layer.funs_name for name in row)
    return sum(sums + products for sums, products in model.width[1:]), edges, len(model.width) - 1, elapsed


def main() -> str:
    """Runs the comparison and returns its section of the results."""
    warnings.simplefilter("ignore")
    has_pykan = importlib.util.find_spec("kan") is not None
    kanpiler.compile("x*sin(y)", domain={"x": (0, 1)})
    if has_pykan:
        incumbent("x*sin(y)", ["x", "y"])
    rows, evaluations, ours, theirs = [], [], 0.0, 0.0
    larger = failed = 0
    for equation in with_units():
        name, formula, names, domain = equation.name, equation.formula, [*equation.ranges], equation.ranges
        start = time.process_time()
        network = kanpiler.compile(formula, names, domain)
        elapsed = time.process_time() - start
        ours += elapsed
        size = kanpiler.report(network)
        cells = [name, f"{size.n_nodes}", f"{size.n_edges}", f"{size.depth}", f"{elapsed * 1e3:.0f}"]
        if has_pykan:
            try:
                nodes, edges, depth, taken = incumbent(formula, names)
            except Exception as error:
                failed += 1
                cells += [type(error).__name__, "", "", ""]
            else:
                theirs += taken
                larger += size.n_nodes > nodes or size.n_edges > edges or size.depth > depth
                cells += [f"{nodes}", f"{edges}", f"{depth}", f"{taken * 1e3:.0f}"]
        ratios = evaluation_ratios(formula, names, domain)
        evaluations.append(ratios)
        rows.append([*cells, *(f"{ratio:.2f}" for ratio in ratios)])
    heads = ["equation", "nodes", "edges", "depth", "ms"]
    heads += ["pykan nodes", "pykan edges", "pykan depth", "pykan ms"] if has_pykan else []
    heads += RATIOS
    summary = f"{len(rows)} of {len(rows)} compiled and verified to 1e-10 in {ours:.2f} s"
    if has_pykan:
        summary += f"; pykan {theirs:.2f} s, {failed} failures; {larger} of our networks larger than pykan's"
    means = np.exp(np.log(evaluations).mean(0))
    again = with_units()[NOISY_ROW]
    repeated = [evaluation_ratios(again.formula, [*again.ranges], again.ranges) for _ in range(5)]
    low, high = np.min(repeated, 0), np.max(repeated, 0)
    noise = ", ".join(f"{a:.2f} to {b:.2f}" for a, b in zip(low, high))
    return "\n".join(
        [
            "## Compiler",
            "",
            f"{summary}.",
            "",
            f"Processor time of the network over that of torch `lambdify`, batch {BATCH:,}, float64, "
            f"{torch.get_num_threads()} thread, medians, geometric means over the {len(rows)} equations. Frozen, which "
            f"is no number taking gradients: forward {means[0]:.2f}; forward and backward to the inputs "
            f"{means[1]:.2f}. Trainable, which is forward and backward to the inputs and to all free numbers of the "
            "network, over forward and backward of `lambdify` to the inputs, since it knows no numbers: "
            f"{means[2]:.2f} as compiled; {means[3]:.2f} trained, which is after all numbers were moved away from 0 "
            "and 1, when no operation of the network can be left out.",
            "",
            f"Five runs of {again.name} (`{again.formula}`) in the order of the last four columns: {noise}.",
            "",
            table(heads, rows),
            "",
        ]
    )


if __name__ == "__main__":
    print(main())
