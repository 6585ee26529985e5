"""Modular structures: building them in, and finding them in trained networks (KAN 2.0, sections 3.2 and 4.2).

System. Multitask parity: five bits out of ten, y_i = x_(2i-1) xor x_2i, all 1,024 strings. Hierarchical majority: the
majority of the majorities of three times three bits, all 512 strings. Two smooth laws on [-1, 1]: the sum of two
squares (x1^2 + x2^2)^2 + (x3^2 + x4^2)^2, and its square plus x5^2.

Learned. The bits by a KAN and by an MLP, made sparse under a growing penalty as long as every string comes out right,
then arranged by `auto_swap` (KAN) and `arrange` (MLP). The first law from 200 samples by a network [4, 6, 2, 6, 1]
with all its edges, and cut into modules beforehand. The second from 1,000 samples by a KAN [5, 8, 1], which is
converted to a tree; a network wired by that tree becomes a formula.

Judged. Bits: by the share of strings that come out right, by the inputs of the modules (pieces of the first layer),
and by the number of pairs of edges that cross without being connected, which, unlike a picture, hides nothing. Laws: by
the error on 1,000 other samples, the true tree, the exact formula; and by 25 questions of generalised symmetry, one for
each group of two, three or four inputs, three of which are answered by yes.
"""

import copy
from collections.abc import Sequence
from itertools import combinations, product

import networkx as nx
import numpy as np
import sympy
import torch
from torch import Tensor, nn

import kan2
import treeconv
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from case_studies._judging import law_trial, rmse_on_test
from case_studies._perceptrons import descend, perceptron
from kan2.edits.arrange import arrange, connection_cost, wiring_cost
from treeconv.anatomy import strengths_of

TASKS = {  # for the KAN and the MLP: width, steps of the first training, growing penalties
    "parity": (([10, 10, 5], 10, (1e-3,)), ([10, 20, 5], 500, (1e-4, 3e-4))),
    "majority": (([9, 6, 3, 1], 40, (3e-3, 3e-3, 1e-2, 1e-2)), ([9, 20, 20, 1], 1000, (1e-4, 3e-4))),
}
N_MLPS = 3  # MLPs are trained with the first seeds only
TWO_SQUARES = "(x1**2 + x2**2)**2 + (x3**2 + x4**2)**2"
MODULES = (
    (0, "[0,1]->[0,1,2]->[0,1,2]->[0]"),
    (0, "[2,3]->[3,4,5]->[3,4,5]->[1]"),
    (2, "[0]->[0,1,2]"),
    (2, "[1]->[3,4,5]"),
)
LAW = f"({TWO_SQUARES})**2 + x5**2"
TREE = "F1(F2(f1(x1) + f2(x2)) + F3(f3(x3) + f4(x4))) + f5(x5)"
SYMMETRIC = [("x1", "x2"), ("x3", "x4"), ("x1", "x2", "x3", "x4")]


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Builds modular structure into networks, and finds it in trained ones."""
    result, clock = CaseResult("modular_structures"), Stopwatch()
    result.references.append("Liu et al., KAN 2.0 (arXiv 2408.10205), sections 3.2 and 4.2; arXiv 2305.08746")
    trials: dict[str, list[Trial]] = {}
    for seed in range(seeds or (10 if full else 1)):
        trials.setdefault("modules built in", []).append(built_in(seed))
        for task, ((width, steps, ladder), (mlp_width, mlp_steps, mlp_ladder)) in TASKS.items():
            lap, (x, y) = Stopwatch(), bit_task(task)
            kan = sparse_kan(kan2.MultKAN(width, grid=1, seed=seed), x, y, steps, ladder)
            arranged = kan.auto_swap()
            costs = connection_cost(kan), connection_cost(arranged)
            wiring = strengths_of(arranged, x)
            right, modular = _judge(task, arranged, wiring, costs, lap)
            trials.setdefault(f"{task}, KAN {width}", []).append(right)
            # The majority comes apart in few seeds only, whatever the network: a quick run leaves its modules out.
            if full or task == "parity":
                trials.setdefault(f"modules of {task}, KAN {width}", []).append(modular)
            if seed == 0:
                result.figures |= {f"{task}_before": kan.plot(x), f"{task}_after": arranged.plot(x)}
            if seed < N_MLPS and full:
                mlp = sparse_mlp(mlp_width, x, y, mlp_steps, mlp_ladder, seed)
                weights = strengths_of(mlp)
                wiring = in_order(weights, arrange(weights))
                costs = wiring_cost(weights), wiring_cost(wiring)
                right, modular = _judge(task, mlp, wiring, costs, lap)
                trials.setdefault(f"{task}, MLP {mlp_width}", []).append(right)
                trials.setdefault(f"modules of {task}, MLP {mlp_width}", []).append(modular)
        lap, data = Stopwatch(), _samples(LAW, 5, 1000, seed)
        model = kan2.MultKAN([5, 8, 1], grid=5, seed=seed)
        model.fit(data, steps=40)
        trials.setdefault("generalised symmetry, 25 groups", []).append(asked(model, data))
        tree = model.tree(data)
        trials.setdefault("tree of a trained KAN", []).append(_judge_tree(tree, model, data, lap))
        trials.setdefault("network wired by the tree, as a formula", []).append(wired(tree, data))
        if seed == 0:
            result.figures["tree"] = treeconv.plot(tree)
            result.formulas["law"] = trials["network wired by the tree, as a formula"][0].found
        if full and seed < N_MLPS:
            trials.setdefault("tree of a trained MLP [5, 32, 32, 1]", []).append(tree_of_mlp(data, seed))
    for task, tried in trials.items():
        measure, target, paper = _about(task)
        result.rows.append(row_of_trials(task, tried, measure, target, paper))
        result.metrics[task] = [(trial.found, trial.error) for trial in tried]
    result.seconds = clock.total()
    return result


def bit_task(task: str) -> tuple[Tensor, Tensor]:
    """Returns all strings of bits of a task, and what they must become.

    "parity": whether the bits of each of five pairs differ. "majority": that of the majorities of three times three.
    """
    n = 10 if task == "parity" else 9
    x = torch.tensor(list(product((0.0, 1.0), repeat=n)), dtype=torch.float64)
    if task == "parity":
        return x, (x[:, 0::2] - x[:, 1::2]).abs()
    votes = x.reshape(-1, 3, 3).sum(2) > 1.5
    return x, (votes.sum(1, keepdim=True) > 1.5).double()


def built_in(seed: int) -> Trial:
    """Learns a law with all edges, and with the modules cut beforehand."""
    lap, data = Stopwatch(), _samples(TWO_SQUARES, 4, 200, seed)
    dense = modular = kan2.MultKAN([4, 6, 2, 6, 1], grid=3, seed=seed)
    for start, chain in MODULES:
        modular = modular.module(start, chain)
    dense.fit(data, steps=20)
    modular.fit(data, steps=20)
    ratio = rmse_on_test(modular, data) / rmse_on_test(dense, data)
    found = f"{dense.spec.n_edges} edges {rmse_on_test(dense, data):.1e}, "
    found += f"{modular.spec.n_edges} edges {rmse_on_test(modular, data):.1e}"
    return Trial(found, ratio, ratio < 1, lap.lap())


def sparse_kan(model: kan2.MultKAN, x: Tensor, y: Tensor, steps: int, ladder: Sequence[float]) -> kan2.MultKAN:
    """Trains a network, then makes it sparser and sparser, as long as all strings come out right."""
    model.fit((x, y), steps=steps)
    for lamb in ladder:
        trial = copy.deepcopy(model)
        trial.fit((x, y), steps=15, lamb=lamb, lamb_entropy=5)
        trial = trial.prune((x, y))
        trial.fit((x, y), steps=10)
        if _share_wrong(trial, x, y) == 0:
            model = trial
    return model


def sparse_mlp(
    widths: Sequence[int], x: Tensor, y: Tensor, steps: int, ladder: Sequence[float], seed: int
) -> nn.Sequential:
    """Trains an MLP, then cuts its weak weights under a growing penalty, as long as all strings come out right."""
    model = perceptron(widths, nn.SiLU, seed)
    _train(model, x, y, ladder[0], steps)
    for lamb in ladder:
        trial = copy.deepcopy(model)
        _train(trial, x, y, lamb, 200)
        for weight in _weights(trial):
            weight.data[weight.abs() < 0.05] = 0
        _train(trial, x, y, 0.0, 100)
        if _share_wrong(trial, x, y) == 0:
            model = trial
    return model


def in_order(strengths: Sequence[np.ndarray], orders: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Returns the strengths of the connections after the nodes have been put in an order."""
    return [s[np.ix_(above, below)] for s, below, above in zip(strengths, orders, orders[1:])]


def crossings(strengths: Sequence[np.ndarray]) -> int:
    """Counts the pairs of edges that cross, in a drawing of the nodes in their order, without being connected."""
    count = 0
    for layer in strengths:
        piece_of = {node: i for i, piece in enumerate(_pieces(layer)) for node in piece}
        edges = [(int(i), int(j), piece_of["source", int(i)]) for j, i in np.argwhere(layer > 0)]
        count += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 and a[2] != b[2] for a, b in combinations(edges, 2))
    return count


def modules(strengths: Sequence[np.ndarray]) -> list[list[int]]:
    """Returns the inputs of each connected piece of the first layer."""
    return sorted(sorted(i for kind, i in piece if kind == "source") for piece in _pieces(strengths[0]))


def asked(model: kan2.MultKAN, data: kan2.Dataset) -> Trial:
    """Asks of each group of inputs whether it acts on a trained network through one number."""
    lap, names = Stopwatch(), list(data.inputs)
    groups = [group for size in (2, 3, 4) for group in combinations(names, size)]
    wrong = [
        group
        for group in groups
        if bool(treeconv.generalised_symmetry(model, data.X_test, group, names, y=data.y_test)) != (group in SYMMETRIC)
    ]
    return Trial(f"wrong: {wrong}" if wrong else "3 yes, 22 no", len(wrong), not wrong, lap.lap())


def wired(tree: nx.DiGraph, data: kan2.Dataset) -> Trial:
    """Trains a network wired by a tree, and makes it a formula."""
    lap = Stopwatch()
    model = kan2.from_tree(tree)
    model.fit(data, grids=[5, 10], steps=20, restarts=2)
    model = model.auto_symbolic()
    return law_trial(model, data, lambda law: sympy.expand(law - sympy.sympify(LAW)) == 0, lap)


def tree_of_mlp(data: kan2.Dataset, seed: int) -> Trial:
    """Converts an MLP that was trained by 400 iterations of LBFGS."""
    lap, spread = Stopwatch(), float(data.y.std())
    model = perceptron([5, 32, 32, 1], nn.SiLU, seed)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=400, history_size=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        value = (model(data.X) - data.y / spread).square().mean()
        return value + 1e-5 * sum(p.square().sum() for p in model.parameters())

    descend(optimizer, loss)

    def scaled(x: Tensor) -> Tensor:
        return model(x) * spread

    found = str(treeconv.skeleton(treeconv.convert(scaled, data.X_test, names=data.inputs, y=data.y_test)))
    return Trial(found, rmse_on_test(scaled, data), found == TREE, lap.lap())


def _pieces(layer: np.ndarray) -> list[set[tuple[str, int]]]:
    edges = ((("source", int(i)), ("target", int(j))) for j, i in np.argwhere(layer > 0))
    return list(nx.connected_components(nx.Graph(edges)))


def _judge(
    task: str, model: nn.Module, wiring: list[np.ndarray], costs: tuple[float, float], lap: Stopwatch
) -> tuple[Trial, Trial]:
    # Whether all strings come out right, and whether the wiring shows the modules.
    x, y = bit_task(task)
    wrong, crossed, size = _share_wrong(model, x, y), crossings(wiring), 2 if task == "parity" else 3
    modular = modules(wiring) == [list(range(i, i + size)) for i in range(0, x.shape[1], size)]
    n_edges, seconds = sum(int((layer > 0).sum()) for layer in wiring), lap.lap()
    found = f"{n_edges} edges, {'the modules' if modular else 'not the modules'}; cost {costs[0]:.2f}, "
    found += f"arranged {costs[1]:.2f}"
    right = Trial(f"{n_edges} edges", wrong, wrong == 0, seconds)
    return right, Trial(found, crossed, modular and crossed == 0, seconds)


def _judge_tree(tree: nx.DiGraph, model: kan2.MultKAN, data: kan2.Dataset, lap: Stopwatch) -> Trial:
    found = str(treeconv.skeleton(tree))
    return Trial(found, rmse_on_test(model, data), found == TREE, lap.lap())


def _about(task: str) -> tuple[str, str, str]:
    if task.startswith("modules of"):
        return "crossings", "the modules, 0", "edges cross" if "majority, KAN" in task else "picture only"
    if task.startswith(("parity", "majority")):
        return "strings wrong", "none", "sums, not bits: 7.7e-2" if "parity, KAN" in task else "accuracy 1"
    return {
        "modules built in": ("test rmse, modular / dense", "below 1", "no figure"),
        "generalised symmetry, 25 groups": ("wrong answers", "0 of 25", "no figure"),
        "network wired by the tree, as a formula": ("test rmse", "exact, <= 1e-9", "not tried"),
    }.get(task, ("test rmse of the network", "the true tree", "first four inputs: '*' for a sum"))


def _samples(law: str, n_inputs: int, n: int, seed: int) -> kan2.Dataset:
    return kan2.sample_function(law, {f"x{i}": (-1.0, 1.0) for i in range(1, n_inputs + 1)}, n=n, seed=seed)


def _weights(model: nn.Sequential) -> list[Tensor]:
    return [part.weight for part in model if isinstance(part, nn.Linear)]


def _train(model: nn.Sequential, x: Tensor, y: Tensor, lamb: float, steps: int) -> None:
    # Adam under an L1 penalty; weights that are zero stay zero.
    weights = _weights(model)
    masks = [(weight != 0).double() for weight in weights]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        descend(
            optimizer,
            lambda: (model(x) - y).square().mean() + lamb * sum(weight.abs().sum() for weight in weights),
        )
        for weight, mask in zip(weights, masks):
            weight.data *= mask


@torch.no_grad()
def _share_wrong(model: nn.Module, x: Tensor, y: Tensor) -> float:
    return float(((model(x) > 0.5) != (y > 0.5)).any(1).double().mean())


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
