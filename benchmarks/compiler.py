"""Size and time of the compiler on the 120 AI-Feynman equations beside pykan's, evaluation beside `lambdify`.

Run `python -m benchmarks compiler`. pykan is compared where it is installed. Every formula goes
through both compilers in the same process, one after the other; times are process times, evaluation is the best of 9.

Reference: Udrescu, Tegmark, AI Feynman (arXiv 1905.11481).
"""

import importlib.util
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
import torch

import kanpiler
from benchmarks._timing import process_seconds
from case_studies._equations import with_units
from case_studies._results import table
from kan2.expressions.parse import parse_expression

BATCH = 10_000


def best_seconds(action: Callable[[], Any]) -> float:
    """Returns the shortest process time of nine runs."""
    return min(process_seconds(action) for _ in range(9))


def sample(names: list[str], domain: dict[str, tuple[float, float]]) -> torch.Tensor:
    """Draws a batch from the published ranges."""
    low, high = np.array([domain[name] for name in names]).T
    return torch.as_tensor(np.random.default_rng(0).uniform(low, high, (BATCH, len(names))))


def evaluation_ratio(
    network: Callable[[torch.Tensor], torch.Tensor],
    formula: str,
    names: list[str],
    x: torch.Tensor,
    numbers: Sequence[torch.Tensor] = (),
) -> tuple[float, float]:
    """Returns time of the network over time of `lambdify` with torch: forward, and forward plus backward.

    The backward pass goes to the inputs and, for the network, to its `numbers`.
    """
    symbols = [sympy.Symbol(name) for name in names]
    # Constants are evaluated first, since torch.sqrt and torch.pow take no plain numbers.
    function = sympy.lambdify(symbols, sympy.N(parse_expression(formula, names), 17), modules=torch)

    def call(x: torch.Tensor) -> torch.Tensor:
        return function(*x.unbind(-1))

    def backward(evaluate: Callable[[torch.Tensor], torch.Tensor], numbers: Sequence[torch.Tensor] = ()) -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(evaluate(leaf).sum(), [leaf, *numbers], allow_unused=True)

    with torch.no_grad():
        forward = best_seconds(lambda: network(x)) / best_seconds(lambda: call(x))
    return forward, best_seconds(lambda: backward(network, numbers)) / best_seconds(lambda: backward(call))


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
        x = sample(names, domain)
        numbers = [p for p in network.parameters() if p.requires_grad]
        trainable = evaluation_ratio(network, formula, names, x, numbers)[1]
        ratios = [*evaluation_ratio(network.requires_grad_(False), formula, names, x), trainable]
        evaluations.append(ratios)
        rows.append([*cells, *(f"{ratio:.2f}" for ratio in ratios)])
    heads = ["equation", "nodes", "edges", "depth", "ms"]
    heads += ["pykan nodes", "pykan edges", "pykan depth", "pykan ms"] if has_pykan else []
    heads += ["forward", "with backward", "with backward, trainable"]
    summary = f"{len(rows)} of {len(rows)} compiled and verified to 1e-10 in {ours:.2f} s"
    if has_pykan:
        summary += f"; pykan {theirs:.2f} s, {failed} failures; {larger} of our networks larger than pykan's"
    means = np.exp(np.log(evaluations).mean(0))
    return "\n".join(
        [
            "## Compiler",
            "",
            f"{summary}.",
            "",
            f"Time of the network over time of torch `lambdify`, batch {BATCH:,}, geometric means: forward "
            f"{means[0]:.2f}, forward and backward to the inputs {means[1]:.2f}; with gradients to its numbers too, "
            f"which `lambdify` does not give, {means[2]:.2f}.",
            "",
            table(heads, rows),
            "",
        ]
    )


if __name__ == "__main__":
    print(main())
