"""Trees of structure and networks wired like them.

`tree_of` converts a network with `treeconv`; `tree` trains a network on data first. `from_tree` goes back: every sum,
product and separable node of a tree becomes a node of a `MultKAN`, joined by splines to its children; values that are
needed further up pass through identity edges. Such a network has the right structure before training, so it needs fewer
samples, and its splines can be read.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), sections 3.2 and 4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import networkx as nx
import torch
from torch import Tensor

from kan2.core.data import Columns, as_dataset
from kan2.core.network import AnyNetwork, Network
from kan2.core.spec import BasisSpec, LayerSpec, NetworkSpec, SymbolicTerm
from kan2.core.verbs import verb
from kan2.errors import DataError, SpecError, check_options, named_options
from kan2.interrupts import Interruptible
from kan2.options import LARGEST_LAYER, size
from kan2.options import dtype as checked_dtype
from kan2.options import names as checked_names
from kan2.options import seed as checked_seed
from kan2.training.fit import fit

KINDS = ("input", "sum", "product", "separable", "opaque")


@verb
def tree_of(model: Network, data: Any = None, *, target: Columns | None = None, **options: Any) -> Any:
    """Returns the tree of a network's structure, see `treeconv.convert`; for several outputs a list.

    Args:
        model: the network.
        data: samples; by default those of the last fit. Test samples among them tell the error of the network.
        options: passed on to `treeconv.convert`.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Returns:
        the tree; after Ctrl-C as far as it had grown, and `tree.graph["interrupted"]` is true.
    """
    _check_options(options, ("data", "target"))
    samples = model.samples(data, "tree")
    if samples.X_test is not None and samples.y_test is not None and not {"y", "error"} & set(options):
        options["error"] = _errors(model, samples.X_test, samples.y_test)
    return _converted(model, samples.X, names=model.spec.inputs, **options)


def _converted(model: Network, x: Tensor, **options: Any) -> Any:
    import treeconv

    with Interruptible() as block:
        result = treeconv.convert(model, x, **options)
        if any(one.graph.get("interrupted") for one in (result if isinstance(result, list) else [result])):
            # What called this one ends as well.
            block.has_result = True
            raise KeyboardInterrupt
    return result


@named_options
def tree(
    cls: type[Network],
    data: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    target: Columns | None = None,
    seed: int = 0,
    **options: Any,
) -> Any:
    """Returns the tree of the structure in data: trains a network on them and converts it.

    The error of the network is measured on test samples in the data or, where there are none, on a fifth of the samples
    that is held out. `tree.graph["model"]` is the network.

    Args:
        cls: class of the network to train.
        data: (X, y), a Dataset or a dict; X alone, with y beside it; or, with `target`, a frame or the path of a table.
        y: (batch,) or (batch, output) targets, where data is X alone.
        names: names of the inputs; of a table the columns to take.
        target: name of the column of targets in a table as a whole, or several.
        seed: seed of the network's start and of what is held out.
        options: passed on to `treeconv.convert`.

    Returns:
        the tree, a `networkx.DiGraph`; for several targets a list of trees. After Ctrl-C the tree as far as it had
        grown, and `tree.graph["interrupted"]` is true.

    Raises:
        DataError: fewer than 20 samples.
        OptionError: `treeconv.convert` has no such option.
        KeyboardInterrupt: Ctrl-C came before the first node of the tree was known.

    Example:
        >>> import kan2
        >>> kan2.tree(kan2.sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=200)).nodes[0]["kind"]
        'product'
    """
    _check_options(options, ("data", "y", "names", "target", "seed"))
    seed = checked_seed("tree", seed)
    names = None if names is None else checked_names("tree", "names", names)
    samples = as_dataset(data if y is None else (data, y), names, target)
    if (n := len(samples)) < 20:
        raise DataError(f"tree: expected at least 20 samples, got {n}. Collect more, or convert a model you have.")
    x, targets, held_x, held_y = samples.X, samples.y, samples.X_test, samples.y_test
    if held_x is None or held_y is None:
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).to(x.device)
        held, kept = order[: n // 5], order[n // 5 :]
        x, targets, held_x, held_y = x[kept], targets[kept], x[held], targets[held]
    spec = NetworkSpec.from_width([x.shape[1], 2 * x.shape[1] + 1, targets.shape[1]], inputs=samples.inputs)
    model = cls.from_spec(spec)
    model.reset_parameters(seed=seed)
    with Interruptible():
        fit(model, (x, targets), steps=100)
    if not {"y", "error"} & set(options):
        options["error"] = _errors(model, held_x, held_y)
    result = _converted(model, samples.X, names=samples.inputs, **options)
    for one in result if isinstance(result, list) else [result]:
        one.graph["model"] = model
    return result


def _check_options(options: dict[str, Any], own: Sequence[str]) -> None:
    # Before anything is trained.
    from treeconv import convert

    others = [name for name in signature(convert).parameters if name not in ("f", "x", *own)]
    check_options("tree", options, [*own, *others])


def _errors(model: Network, x: Tensor, y: Tensor) -> list[float]:
    from treeconv.calibration import model_error

    x, y = x.to(model.like), y.to(model.like)
    with torch.no_grad():
        residuals = (model(x) - y).double().cpu().numpy()
    return [model_error(x.double().cpu().numpy(), column) for column in residuals.T]


@dataclass
class _Node:
    """A node of the network to be: at which level it is made, and from what."""

    name: Any
    level: int
    factors: list[list[Any]] = field(default_factory=list)  # for each subnode the nodes it sums over
    takes_as_is: frozenset[Any] = frozenset()  # those of them that it reads through c x + d instead of a spline


@named_options
def from_tree(
    cls: type[AnyNetwork],
    tree: nx.DiGraph,
    *,
    grid: int = 5,
    k: int = 3,
    hidden: int | None = None,
    separable: str = "sum",
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> AnyNetwork:
    """Builds a network with the wiring of a tree, ready to be trained.

    A separable node F(f(x) + g(y)) is as well F(log(e^f(x) e^g(y))), a function of a product. Both wirings can be
    trained to the same error; a formula may be simple in one of them alone.

    Args:
        cls: class of the network.
        tree: as `treeconv.convert` gives it: edges from child to parent, `kind` on every node, names and root in
            `tree.graph`. Inputs without effect are accepted as columns and not read.
        grid: number of grid intervals of the splines.
        k: their order.
        hidden: number of nodes that stand for an opaque node of n children; by default 2 n + 1.
        separable: "sum" or "product", the node that joins the children of a separable node.
        seed: seed of the initial weights.
        dtype: type of the parameters.

    Raises:
        SpecError: the graph is not such a tree, or `separable` is something else.

    Example:
        >>> import kan2, treeconv, torch
        >>> x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> tree = treeconv.convert(lambda x: x[:, 0] * torch.sin(x[:, 1] + x[:, 2]), x, names=["a", "b", "c"])
        >>> kan2.from_tree(tree).width
        [[3, 0], [2, 0], [0, 1]]
    """
    if not isinstance(tree, nx.DiGraph):
        raise SpecError(f"from_tree: expected a tree made by treeconv.convert, got a {type(tree).__name__}.")
    names, root = tuple(tree.graph.get("names", ())), tree.graph.get("root")
    if root not in tree or any(data.get("kind") not in KINDS for _, data in tree.nodes(data=True)):
        raise SpecError("from_tree: expected a tree made by treeconv.convert, got another graph.")
    if not isinstance(separable, str) or separable not in ("sum", "product"):
        raise SpecError(f"from_tree: expected separable='sum' or 'product', got {separable!r}.")
    hidden = None if hidden is None else size("from_tree", "hidden", hidden, 1, LARGEST_LAYER, error=SpecError)
    seed = checked_seed("from_tree", seed, error=SpecError)
    dtype = checked_dtype("from_tree", dtype, error=SpecError)
    basis = BasisSpec(grid=grid, k=k)
    nodes = _plan(tree, root, hidden, separable)
    depth = nodes[-1].level
    layers = _schedule(nodes, names, depth, basis)
    model = cls.from_spec(NetworkSpec(layers, inputs=names), dtype=dtype)
    model.reset_parameters(seed=seed)
    return model


def _plan(tree: nx.DiGraph, root: Any, hidden: int | None, separable: str) -> list[_Node]:
    # Children first; the last node is the output. An opaque node becomes a small network of its own.
    nodes: dict[Any, _Node] = {}
    below = nx.ancestors(tree, root) | {root}
    for name in nx.topological_sort(tree.subgraph(below)):
        kind, children = tree.nodes[name]["kind"], list(tree.predecessors(name))
        level = 1 + max((nodes[child].level for child in children), default=-1)
        # Sums, products and opaque nodes are the parts of a formula up to scale and shift, such as a product's bias.
        as_is = frozenset(child for child in children if tree.nodes[child]["kind"] in ("sum", "product", "opaque"))
        if kind == "input":
            nodes[name] = _Node(name, 0)
        elif kind == "product" or (kind == "separable" and separable == "product"):
            # The parts of a separable node are known up to any function alike, not up to scale and shift.
            as_is = as_is if kind == "product" else frozenset()
            nodes[name] = _Node(name, level, [[child] for child in children], as_is)
        elif kind == "opaque" and len(children) > 1:
            parts = [(name, i) for i in range(hidden or 2 * len(children) + 1)]
            nodes.update({part: _Node(part, level, [children]) for part in parts})
            nodes[name] = _Node(name, level + 1, [parts])
        else:
            nodes[name] = _Node(name, level, [children], as_is)
    top = tree.nodes[root]
    if top["kind"] in ("input", "separable") or (top["kind"] == "product" and top.get("bias")):
        # What is applied to the root's own value needs an edge above it.
        as_is = frozenset({root} if top["kind"] == "product" else ())
        nodes["output"] = _Node("output", nodes[root].level + 1, [[root]], as_is)
    return list(nodes.values())


def _schedule(nodes: list[_Node], names: tuple[str, ...], depth: int, basis: BasisSpec) -> tuple[LayerSpec, ...]:
    made_at = {node.name: node.level for node in nodes}
    last_use = dict.fromkeys(made_at, 0)
    for node in nodes:
        for child in (child for factor in node.factors for child in factor):
            last_use[child] = max(last_use[child], node.level - 1)
    layers, present = [], list(names)
    for level in range(1, depth + 1):
        new = [node for node in nodes if node.level == level]
        passed = [n for n in present if last_use.get(n, 0) >= level and made_at[n] < level]
        sums = [node for node in new if len(node.factors) == 1]
        products = [node for node in new if len(node.factors) > 1]
        position = {name: i for i, name in enumerate(present)}
        terms = [SymbolicTerm(i, position[name], "x", free="") for i, name in enumerate(passed)]
        numeric = []
        factors = [(factor, node.takes_as_is) for node in sums + products for factor in node.factors]
        for subnode, (factor, takes_as_is) in enumerate(factors, start=len(passed)):
            for child in factor:
                if child in takes_as_is:
                    terms.append(SymbolicTerm(subnode, position[child], "x", free="cd"))
                else:
                    numeric.append((subnode, position[child]))
        arities = tuple(len(node.factors) for node in products)
        layers.append(LayerSpec(len(present), len(passed) + len(sums), arities, tuple(numeric), tuple(terms), basis))
        present = passed + [node.name for node in sums + products]
    return tuple(layers)
