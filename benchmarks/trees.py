"""Soundness, completeness and time of trees of the Feynman equations, beside the incumbent.

Run `python -m benchmarks trees`. Every tree is scored by the same
brute-force checker, `tests/reference/treeconv_bruteforce.py`: sound when every statement it makes is true, complete
when it makes every true one. The incumbent (pykan 0.2.8: `get_molecule`, `get_tree_node`) is run where it is installed.

Reference: Z. Liu et al., KAN 2.0, arXiv:2408.10205 (2024), section 4.2.2.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import treeconv
from case_studies._equations import with_units
from case_studies._results import table
from treeconv.text import read

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "reference"))
from treeconv_bruteforce import Formula, as_torch, facts, implied, nested  # noqa: E402


def feynman() -> Iterator[tuple[str, Any, dict[str, tuple[float, float]]]]:
    """Yields name, expression and box of the 120 equations."""
    for equation in with_units():
        yield equation.name, read(equation.formula, list(equation.ranges)), equation.ranges


def samples(box: dict[str, tuple[float, float]], n: int = 1000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(*limits, n) for limits in box.values()], axis=1)


def incumbent_tree(f: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray, names: list[str]) -> Any:
    """The incumbent's tree as nested tuples, its default thresholds; None where it is not installed."""
    try:
        from kan.hypothesis import get_molecule, get_tree_node
    except ImportError:
        return None
    points = torch.tensor(x)

    def model(points: torch.Tensor) -> torch.Tensor:
        return f(points).reshape(-1, 1)

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = get_molecule(model, points, verbose=False)
        _, kinds = get_tree_node(model, points, layers, sep_th=1e-1, skip_test=False)
    nodes: dict[tuple[int, ...], Any] = {(i,): names[i] for i in range(len(names))}
    signs = {"Add": "sum", "Mul": "product", "GS": "separable", "": "opaque"}
    for groups, labels in zip(layers[1:], kinds):
        below = dict(nodes)
        nodes = {}
        for group, label in zip(groups, labels):
            inside = [node for part, node in below.items() if set(part) <= set(group)]
            nodes[tuple(group)] = inside[0] if label == "Id" else (signs[label], inside)
    return next(iter(nodes.values()))


def score(stated: set, truth: set) -> tuple[bool, bool]:
    return stated <= truth, truth <= stated


def exact(limit: int | None = None) -> dict[str, Any]:
    """The Feynman equations as exact functions, every statement of every tree checked."""
    ours, theirs, seconds, their_seconds, failed = [], [], 0.0, 0.0, 0
    for _, expression, box in list(feynman())[:limit]:
        x, names, f = samples(box), list(box), as_torch(expression, list(box))
        truth = facts(Formula(expression, box))
        start = time.process_time()
        tree = treeconv.convert(f, x, names)
        seconds += time.process_time() - start
        ours.append(score(implied(nested(tree)), truth))
        start = time.process_time()
        try:
            other = incumbent_tree(f, x, names)
        except Exception:
            other, failed = (), failed + 1
        their_seconds += time.process_time() - start
        if other is not None:
            theirs.append(score(implied((other, ())), truth) if other else (False, False))
    result = {"equations": len(ours), "seconds": seconds, **_shares("treeconv", ours)}
    if theirs:
        result |= {"incumbent_seconds": their_seconds, "incumbent_crashes": failed, **_shares("incumbent", theirs)}
    return result


def _shares(who: str, scores: list[tuple[bool, bool]]) -> dict[str, int]:
    return {
        f"{who}_sound": sum(sound for sound, _ in scores),
        f"{who}_complete": sum(complete for _, complete in scores),
        f"{who}_both": sum(sound and complete for sound, complete in scores),
    }


def speed() -> list[dict[str, Any]]:
    """Seconds for 3 to 12 variables at 1,000 samples, and for the nested example of eight."""

    def tower(x: torch.Tensor) -> torch.Tensor:
        pairs = (x[:, 0::2] ** 2 + x[:, 1::2] ** 2) ** 2
        return ((pairs[:, 0] + pairs[:, 1]) ** 2 + (pairs[:, 2] + pairs[:, 3]) ** 2).reshape(-1)

    def chain(x: torch.Tensor) -> torch.Tensor:
        whole = x[:, 0]
        for i in range(1, x.shape[1]):
            whole = torch.sin(whole) + x[:, i] if i % 2 else whole * x[:, i]
        return whole

    rows = []
    for n, f in [*((n, chain) for n in (3, 6, 9, 12)), (8, tower)]:
        x = samples({str(i): (0.5, 1.5) for i in range(n)})
        start = time.process_time()
        treeconv.convert(f, x)
        row = {"function": f.__name__, "n": n, "seconds": time.process_time() - start}
        if f is tower:
            start = time.process_time()
            if incumbent_tree(f, x, [str(i) for i in range(n)]) is not None:
                row["incumbent_seconds"] = time.process_time() - start
        rows.append(row)
    return rows


def main() -> str:
    """Runs both parts and returns their section of the results."""
    found = exact()
    verdicts = [
        [who, *(str(found[f"{who}_{what}"]) for what in ("sound", "complete", "both")), f"{found[seconds]:.1f}"]
        for who, seconds in (("treeconv", "seconds"), ("incumbent", "incumbent_seconds"))
        if f"{who}_sound" in found
    ]
    times = []
    for row in speed():
        theirs = f"{row['incumbent_seconds']:.2f}" if "incumbent_seconds" in row else ""
        times.append([row["function"], str(row["n"]), f"{row['seconds']:.2f}", theirs])
    return (
        "## Trees\n\n"
        f"The {found['equations']} AI-Feynman equations as exact functions, every statement of every tree checked by "
        "brute force:\n\n"
        f"{table(['', 'sound', 'complete', 'both', 'seconds'], verdicts)}\n\n"
        "Time for 1,000 samples:\n\n"
        f"{table(['function', 'variables', 'seconds', 'incumbent'], times)}\n"
    )


if __name__ == "__main__":
    print(main())
