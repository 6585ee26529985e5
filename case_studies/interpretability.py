"""Interpretability: formulas of toy functions, and all relations among variables in one run (KAN 1.0, section 4).

System. Supervised: the toys of Figure 4.1 and the relativistic addition of velocities, 1,000 samples each; the first
decimal digit of a number, as ten outputs. Unsupervised: six variables in [-1, 1], of which x3 is replaced by
exp(sin(pi x1) + x2^2) and x5 by x4^3; x6 is free, 1,000 samples.

Learned. Supervised: formulas by `kan2.discover`, from networks with more nodes than needed. Unsupervised: a network
[6, 1, 1] tells real samples from others, in which blocks of columns, at first single ones, are shuffled apart. Where
functions f_i(x_i) of the hidden node are correlated over real samples, variables belong to one relation: their blocks
are joined, and the next network has to find something else. The run ends when it finds nothing: held-out accuracy at
chance. A relation becomes a formula by `discover`, for the variable that the others explain best.

Judged. By the exact formula and the error on 1,000 other samples; by the variables of each relation, none missing and
none too many; digits by the share that is right.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
import torch
from matplotlib.figure import Figure

import kan2
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from case_studies._judging import expression, is_exact, law_trial
from case_studies._toys import exp_of_bessel, law
from kan2 import functions
from kan2.estimators import KANClassifier

DEVIATIONS = 4.0  # standard deviations of chance that a correlation or an accuracy must exceed
FAINT = 0.03  # share of the largest score below which a variable is not used


@dataclass(frozen=True)
class Toy:
    """A formula with its box, the network to start from, and what the paper got."""

    formula: str
    box: dict[str, tuple[float, float]]
    width: list[int | list[int]]
    paper: str
    quick: bool = False
    extra: tuple[str, ...] = ()


TOYS = (
    Toy(*law("kan1/product"), [2, [2, 2], 1], "[2, 2, 1], squares"),
    Toy(*law("kan1/quotient"), [2, [2, 2], 1], "[2, 1, 1], exp and log"),
    Toy(*law("kan1/exp_bessel"), [2, 2, 1], "J0 as a spline", extra=("J0",)),
    Toy(*law("kan1/tanh_quartic"), [3, 3, 1], "[3, 1, 1], no formula"),
    Toy(*law("kan1/distance"), [4, 3, 2, 1], "[4, 2, 1, 1], no formula"),
    Toy(*law("kan1/velocities"), [2, 3, 1], "rapidity, 1.2e-3", quick=True),
)
RELATIONS = {(0, 1, 2): "x3 = exp(x2**2 + sin(pi*x1))", (3, 4): "x5 = x4**3"}
Blocks = list[tuple[int, ...]]


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Finds formulas of toys, and the relations among six variables."""
    result, clock = CaseResult("interpretability"), Stopwatch()
    result.references.append("Liu et al., KAN (arXiv 2404.19756), section 4, figures 4.1 and 4.2")
    seeds = seeds or (5 if full else 1)
    for toy in TOYS:
        if full or toy.quick:
            trials = [supervised(toy, seed, result) for seed in range(seeds)]
            result.rows.append(row_of_trials(toy.formula, trials, "test rmse", "exact, <= 1e-9", toy.paper))
    grid, bar = (100, 0.01) if full else (50, 0.03)
    trials = [digits(seed, grid, bar, result) for seed in range(seeds)]
    result.rows.append(row_of_trials("first decimal digit", trials, "share wrong", f"<= {bar:g}", "spikes, no figure"))
    found, written = [], []
    for seed in range(2 * seeds if full else seeds):
        lap, x = Stopwatch(), six_variables(1000, seed)
        blocks, rounds = relations(x, seed)
        wrong = len(set(blocks) ^ set(RELATIONS))
        text = "; ".join(" ".join(f"x{i + 1}" for i in block) for block in blocks)
        accuracies = ", ".join(f"{accuracy:.2f}" for accuracy, _ in rounds)
        found.append(Trial(f"{text}\naccuracy {accuracies}", wrong, wrong == 0, lap.lap()))
        if seed == 0:
            result.figures["relations"] = _rounds_figure(rounds)
        laws = [law_of(x, block, seed) for block in blocks if full or len(block) == 2]
        expected = [law for block, law in RELATIONS.items() if full or len(block) == 2]
        same = sum(_same(law, truth) for law, truth in zip(laws, expected)) if len(laws) == len(expected) else 0
        written.append(Trial("\n".join(laws), len(expected) - same, same == len(expected), lap.lap()))
        result.formulas.setdefault("relations", "; ".join(laws))
    target = "x1 x2 x3; x4 x5; no other"
    result.rows.append(row_of_trials("relations among six variables", found, "wrong", target, "one a seed"))
    result.rows.append(row_of_trials("the relations as formulas", written, "wrong", "exact", "not tried"))
    result.seconds = clock.total()
    return result


def supervised(toy: Toy, seed: int, result: CaseResult) -> Trial:
    """Finds the formula of a toy from samples."""
    lap = Stopwatch()
    truth = exp_of_bessel if toy.extra else toy.formula
    data = kan2.sample_function(truth, toy.box, n=1000, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starts that fail are not of interest
        model = kan2.discover(data, toy.width, library=[*functions.DEFAULT_LIBRARY, *toy.extra], seed=1000 * seed)
    trial = law_trial(model, data, lambda law: is_exact(law, toy.formula, toy.box), lap)
    if not model.is_formula:
        return trial
    result.formulas.setdefault(toy.formula, trial.found)
    if seed == 0:
        result.figures[f"toy_{TOYS.index(toy)}"] = model.plot()
    return replace(trial, found=f"{trial.found}\n{model.width}")


def digits(seed: int, grid: int, bar: float, result: CaseResult) -> Trial:
    """Learns the first decimal digit as ten spikes, one an output."""
    lap, rng = Stopwatch(), np.random.default_rng(seed)
    x, test = rng.uniform(0, 1, (1000, 1)), rng.uniform(0, 1, (1000, 1))
    model = kan2.MultKAN([1, 10], grid=grid, k=1, seed=seed)
    model.fit((x, np.eye(10)[(10 * x[:, 0]).astype(int)]), steps=3)
    wrong = float(np.mean(model.predict(test).argmax(1) != (10 * test[:, 0]).astype(int)))
    if seed == 0:
        result.figures["digits"] = _digits_figure(model)
    return Trial(f"{model.n_parameters} parameters", wrong, wrong <= bar, lap.lap())


def six_variables(n: int, seed: int) -> np.ndarray:
    """Draws samples of six variables with two relations among them."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 6))
    x[:, 2] = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    x[:, 4] = x[:, 3] ** 3
    return x


def relations(x: np.ndarray, seed: int = 0) -> tuple[Blocks, list[tuple[float, np.ndarray]]]:
    """Finds the sets of variables that are related, one round of contrastive learning after the other.

    Args:
        x: (samples, variables).
        seed: of shuffles and starts.

    Returns:
        the sets, and for every round the held-out accuracy with the correlations of the functions of the hidden node.
    """
    rng = np.random.default_rng(seed + 1000)
    x = (x - x.mean(0)) / x.std(0)
    train, test = np.array_split(x, 2)
    blocks: Blocks = [(i,) for i in range(x.shape[1])]
    rounds = []
    while len(blocks) > 1:
        data = [_beside_shuffled(part, blocks, rng) for part in (train, test)]
        judge = KANClassifier(hidden=(1,), grid=5, lamb=1e-3, steps=25, restarts=4, random_state=seed).fit(*data[0])
        accuracy = judge.score(*data[1])
        correlation = _correlations(judge.model_, test)
        rounds.append((accuracy, correlation))
        if accuracy < 0.5 + DEVIATIONS * 0.5 / len(data[1][1]) ** 0.5:
            break
        pairs = np.argwhere(np.triu(correlation, 1) > DEVIATIONS / len(test) ** 0.5)
        graph = nx.Graph([(int(i), int(j)) for i, j in pairs])
        graph.add_nodes_from(range(x.shape[1]))
        for block in blocks:
            nx.add_path(graph, block)
        joined = sorted(tuple(sorted(component)) for component in nx.connected_components(graph))
        if joined == blocks:
            break
        blocks = joined
    return [block for block in blocks if len(block) > 1], rounds


def law_of(x: np.ndarray, block: Sequence[int], seed: int = 0) -> str:
    """Returns the formula of the variable of a relation that the others explain best."""
    best = float("inf"), "none"
    for target in reversed(block):
        others = [i for i in block if i != target]
        names = [f"x{i + 1}" for i in others]
        data = kan2.Dataset(torch.as_tensor(x[:, others]), torch.as_tensor(x[:, [target]]), inputs=tuple(names))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width = [len(others), 1] if len(others) == 1 else [len(others), 2, 1]
            model = kan2.discover(data, width, attempts=2, seed=1000 * seed)
        error = float(np.std(model.predict(x[:, others])[:, 0] - x[:, target]) / np.std(x[:, target]))
        if error < best[0] and model.is_formula:
            best = error, f"x{target + 1} = {model.symbolic_formula()}"
        if best[0] < 1e-9:
            break
    return best[1]


def _same(law: str, truth: str) -> bool:
    left, right = law.split(" = ") if " = " in law else ("", "0")
    expected = truth.split(" = ")
    return left == expected[0] and is_exact(expression(right), expected[1], box("x1 x2 x4", -1, 1))


def _beside_shuffled(x: np.ndarray, blocks: Blocks, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    shuffled = x.copy()
    for block in blocks:
        shuffled[:, block] = x[rng.permutation(len(x))][:, block]
    return np.concatenate([x, shuffled]), np.repeat([1, 0], len(x))


@torch.no_grad()
def _correlations(model: kan2.MultKAN, x: np.ndarray) -> np.ndarray:
    # Of the functions that the hidden node adds, over real samples; 0 where one of them is idle.
    functions_of = model.trace(torch.as_tensor(x))[0].edges()[:, 0].numpy()
    size = functions_of.std(0)
    used = size > FAINT * size.max()
    scaled = (functions_of - functions_of.mean(0)) / np.where(size > 0, size, 1)
    return np.abs(scaled.T @ scaled / len(x)) * np.outer(used, used)


def _digits_figure(model: kan2.MultKAN) -> Figure:
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    axes = figure.add_subplot()
    x = np.linspace(0.001, 0.999, 999)[:, None]
    for digit, curve in enumerate(model.predict(x).T):
        axes.plot(x, curve, color=f"C{digit}", lw=1)
        axes.text((digit + 0.5) / 10, 1.12, str(digit), color=f"C{digit}", ha="center", fontsize=9)
    axes.set(xlabel="x", ylabel="output", ylim=(-0.3, 1.3))
    return figure


def _rounds_figure(rounds: list[tuple[float, np.ndarray]]) -> Figure:
    figure = Figure(figsize=(2.6 * len(rounds), 2.9), layout="constrained")
    n = len(rounds[0][1])
    for i, (axes, (accuracy, correlation)) in enumerate(zip(figure.subplots(1, len(rounds), squeeze=False)[0], rounds)):
        shown = correlation - np.diag(correlation.diagonal())
        axes.imshow(shown, vmin=0, vmax=1, cmap="Blues")
        names = [f"x{j + 1}" for j in range(n)]
        axes.set(xticks=range(n), yticks=range(n), xticklabels=names, yticklabels=names)
        axes.set_title(f"round {i + 1}: accuracy {accuracy:.2f}", fontsize=9)
        axes.tick_params(length=0, labelsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
