"""From a model to its tree: the search that names each node and goes on below it.

At each node three questions are put to the function of its inputs: is it a sum of functions of separate groups, is it
a product of such (beside a constant), and which of its inputs act together? The first two are answered by connected
components of interaction graphs, the third by modular decomposition. The parts of a sum or product are known functions
of their inputs, up to scale and shift: the model with the other inputs frozen. The parts of a separable node are known
in the same way through ratios of derivatives. Both are converted further by the same three questions. The parts of an
opaque node are known up to an unknown outer function, under which sums and products cannot be told apart, so they can
only be separable or opaque.

Reference: Z. Liu et al., "KAN 2.0: Kolmogorov-Arnold Networks Meet Science", arXiv:2408.10205 (2024), section 4.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from treeconv.calibration import Evidence, Tolerance, judge, tolerance
from treeconv.derivatives import Array, Function, as_functions
from treeconv.hierarchy import children
from treeconv.probes import Group, Probes, View, freeze, whole
from treeconv.separability import product_partition, ratio_score, slope_limits, sum_partition
from treeconv.symmetry import module_score, split_scores
from treeconv.tree import Tree


@dataclass(frozen=True)
class Division:
    """What one node is: its kind, the groups of its inputs (by position) and the evidence."""

    kind: str
    groups: tuple[Group, ...]
    evidence: Evidence


@dataclass
class Study:
    """A model, divided by `unit`, with the samples it is studied on."""

    function: Function
    x: Array
    partners: Array
    tolerance: Tolerance
    rng: np.random.Generator
    unit: float

    def probes(self, view: View) -> Probes:
        """Returns the probes of a view at the samples."""
        columns = list(view.inputs)
        return Probes(view, self.x[:, columns], self.partners[:, columns])

    def relevance(self) -> list[Evidence]:
        """Tests each input: evidence `holds` when the model does not depend on it."""
        everything = tuple(range(self.x.shape[1]))
        probes = self.probes(whole(self.function, len(everything), everything, self.x))
        sensitivity = np.full(len(self.x), np.sqrt(2.0))
        scores = [probes.score(probes.value() - probes.value(i), sensitivity, probes.spread) for i in everything]
        limit = self.tolerance.of_values([s for s, _ in scores], probes.spread)
        return [judge(score, limit, scatter) for score, scatter in scores]


def study(
    function: Function, x: Array, y: Array | None = None, error: float | None = None, n_samples: int = 1000
) -> Study:
    """Prepares a model for tests: brings it to unit size, picks samples, gives each a partner, finds its error."""
    rng = np.random.default_rng(0)
    values = function.value(x)
    values = values[np.isfinite(values)]
    # the median, because the mean of values next to a pole is anything
    unit = float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0
    unit = unit if unit > 0 else float(np.abs(values).max(initial=0.0)) or 1.0
    function = function.scaled(unit)
    allowed = tolerance(function, x, None if y is None else y / unit, None if error is None else error / unit)
    if len(x) > n_samples:
        x = x[rng.permutation(len(x))[:n_samples]]
    return Study(function, x, np.roll(x[rng.permutation(len(x))], 1, axis=0), allowed, rng, unit)


def divide(probes: Probes, allowed: Tolerance, is_known: bool) -> Division:
    """Names a node and divides its inputs.

    Args:
        probes: The function of the node.
        allowed: The error of the model.
        is_known: Whether the function is known up to scale and shift, not just up to an outer function.

    Returns:
        The division.
    """
    found: list[Division] = []
    missed: list[tuple[str, Evidence]] = []
    if is_known:
        for kind, split in (("sum", sum_partition), ("product", product_partition)):
            parts = split(probes, allowed)
            if len(parts.groups) > 1:
                found.append(Division(kind, parts.groups, parts.evidence))
            else:
                missed.append((kind, parts.evidence))
    if found:
        return max(found, key=lambda d: d.evidence.confidence)
    limit = slope_limits(probes, allowed)
    scores = split_scores(probes)
    distinct = [scores[i, j, k] for i, j, k in itertools.permutations(range(len(scores)), 3) if i < j]
    groups, complete = children(scores > limit(distinct))
    if complete or len(groups) == 2:
        score, scatter = max(ratio_score(probes, a, b) for a, b in itertools.combinations(groups, 2))
        evidence = judge(score, limit([score]), scatter)
        if evidence:
            return Division("separable", groups, evidence)
        missed.append(("separable", evidence))
    if not missed:
        missed.append(("separable", judge(1.0, limit([]))))
    nearest, evidence = min(missed, key=lambda m: m[1].score / m[1].threshold)
    evidence = Evidence(True, evidence.score, evidence.threshold, evidence.confidence, {"nearest": nearest})
    return Division("opaque", groups, evidence)


def _record(evidence: Evidence) -> dict[str, Any]:
    numbers = {key: float(getattr(evidence, key)) for key in ("score", "threshold", "confidence")}
    return {**numbers, **evidence.detail}


def _bias(parent: str, evidence: Evidence, unit: float, spread: float) -> float | None:
    """The constant beside a product; None where derivatives, all that is seen, do not tell."""
    bias = evidence.detail.get("bias")
    if not parent and bias is not None:
        return bias * unit
    if parent in ("sum", "separable"):  # they have room for any constant
        return 0.0
    return None if bias is None else bias / spread  # a factor is known up to scale


def grow(work: Study, names: Sequence[str], output: int) -> Tree:
    """Builds the tree of one output."""
    tree = Tree()
    relevance = work.relevance()
    relevant = tuple(i for i, e in enumerate(relevance) if not e.holds)
    tree.graph.update(
        names=tuple(names),
        irrelevant=tuple(names[i] for i, e in enumerate(relevance) if e.holds),
        output=output,
        root=0,
        settings={
            "n_samples": len(work.x),
            "error": work.tolerance.source,
            "value_window": list(work.tolerance.value),
            "gradient_window": list(work.tolerance.gradient),
            **work.function.settings,
        },
    )

    def add(view: View, is_known: bool, pivots: tuple[int, ...] = (), parent: str = "") -> Any:
        inputs = tuple(names[i] for i in view.inputs)
        if len(inputs) == 1:
            tree.add_node(inputs[0], kind="input", inputs=inputs, **_record(relevance[view.inputs[0]]))
            return inputs[0]
        probes = work.probes(view)
        division = divide(probes, work.tolerance, is_known)
        node = sum(1 for n in tree if isinstance(n, int))
        tree.add_node(node, kind=division.kind, inputs=inputs, **_record(division.evidence))
        if division.kind == "product":
            tree.nodes[node]["bias"] = _bias(parent, division.evidence, work.unit, probes.spread)
        for place in division.groups:
            group = tuple(view.inputs[i] for i in place)
            if division.kind == "separable":
                known, sisters = True, tuple(i for i in view.inputs if i not in group)
            else:
                known, sisters = is_known and division.kind != "opaque", pivots
            part = freeze(work.function, group, work.x, work.rng, sisters if known and len(group) > 1 else ())
            child = add(part, known, sisters, division.kind)
            tree.add_edge(child, node)
            if division.kind == "opaque" and len(group) > 1:
                score, scatter = module_score(probes, place)
                limit = slope_limits(probes, work.tolerance)([score])
                tree.edges[child, node].update(_record(judge(score, limit, scatter)))
        return node

    if len(relevant) > 1:
        add(whole(work.function, len(names), relevant, work.x), is_known=True)
    else:  # a constant, or an unknown function of one input
        inputs = tuple(names[i] for i in relevant)
        tree.add_node(0, kind="opaque", inputs=inputs, **_record(judge(0.0, work.tolerance.value[1])))
        if relevant:
            tree.add_edge(add(whole(work.function, len(names), relevant, work.x), is_known=True), 0)
    for i, evidence in enumerate(relevance):
        if evidence.holds:
            tree.add_node(names[i], kind="input", inputs=(names[i],), **_record(evidence))
    return tree


def convert(
    f: Any,
    x: Any,
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: float | Sequence[float] | None = None,
    n_samples: int = 1000,
) -> Any:
    """Turns a model into the tree that shows how its inputs combine.

    Args:
        f: A torch module or function, a network with `jet`, an estimator with `predict`, a NumPy function, or a SymPy
            expression; it maps samples (batch, n) to outputs (batch,) or (batch, outputs).
        x: Samples (batch, n): tensor, array or data frame. Inputs of different samples are exchanged, so the model
            should make sense in the box around them.
        names: One name a column; by default those of the data frame, or x1, x2, ...
        y: Targets at the samples, best held out of the fit; the model's error is measured against them, and their
            noise is told from it.
        error: The model's root mean square error in the unit of the output, or one number an output; 0 for a model
            that is exact. Without `y` and `error` a plain function is taken as exact, and a fitted model to err by 2 %.
        n_samples: How many of the samples are used at most.

    Returns:
        A `Tree`, which is a `networkx.DiGraph` (see `treeconv.tree` for its attributes); for several outputs a list.

    Raises:
        TypeError: If `f` cannot be called.
        ValueError: If samples, names, targets and outputs do not fit together.

    Example:
        >>> import torch
        >>> x = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) + 1
        >>> print(convert(lambda x: x[:, 0] * torch.sin(x[:, 1] + x[:, 2]), x).nodes[0]["kind"])
        product
    """
    samples, labels = as_samples(x, names)
    functions = as_functions(f, samples, labels)
    targets = None if y is None else _as_targets(y, len(samples), len(functions))
    errors = list(error) if isinstance(error, Iterable) else [error] * len(functions)
    if len(errors) != len(functions):
        raise ValueError(f"convert: expected {len(functions)} errors, got {len(errors)}. Give one number an output.")
    trees = [
        grow(study(function, samples, None if targets is None else targets[:, k], errors[k], n_samples), labels, k)
        for k, function in enumerate(functions)
    ]
    return trees[0] if len(trees) == 1 else trees


def single_study(
    f: Any, x: Any, names: Sequence[str] | None = None, y: Any = None, error: float | None = None
) -> tuple[Study, tuple[str, ...]]:
    """Prepares a model of one output for single tests.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        names: One name a column.
        y: Targets (batch,) from which the error is measured.
        error: The root mean square error.

    Returns:
        The study and the names of the inputs.

    Raises:
        ValueError: If the model has several outputs.
    """
    samples, labels = as_samples(x, names)
    functions = as_functions(f, samples, labels)
    if len(functions) > 1:
        raise ValueError(
            f"treeconv: expected a model of one output, got {len(functions)}. Wrap it: lambda x: model(x)[:, 0]."
        )
    targets = None if y is None else _as_targets(y, len(samples), 1)[:, 0]
    return study(functions[0], samples, targets, error), labels


def _as_targets(y: Any, n_samples: int, n_outputs: int) -> Array:
    targets = np.asarray(_array(y), dtype=float)
    if targets.size != n_samples * n_outputs or len(targets) != n_samples:
        raise ValueError(
            f"convert: expected targets y of shape ({n_samples}, {n_outputs}), got {targets.shape}. "
            "Give one row a sample and one column an output."
        )
    return targets.reshape(n_samples, n_outputs)


def _array(data: Any) -> Any:
    return data.detach().cpu().numpy() if hasattr(data, "detach") else data


def as_samples(x: Any, names: Sequence[str] | None = None) -> tuple[Array, tuple[str, ...]]:
    """Checks samples and names.

    Args:
        x: Tensor, array or data frame (batch, n).
        names: One name a column, or None.

    Returns:
        The samples as float64 and the names.

    Raises:
        ValueError: If the samples are not a finite table of at least 10 rows, or the names do not fit it.
    """
    if names is None and hasattr(x, "columns"):
        names = [str(column) for column in x.columns]
    samples = np.asarray(_array(x), dtype=float)
    if samples.ndim != 2 or len(samples) < 10 or samples.shape[1] < 1:
        raise ValueError(
            f"convert: expected samples of shape (batch >= 10, n), got {samples.shape}. Pass one row a sample."
        )
    if not np.isfinite(samples).all():
        raise ValueError("convert: expected finite samples, got NaN or infinity. Drop those rows first.")
    labels = tuple(names) if names is not None else tuple(f"x{i + 1}" for i in range(samples.shape[1]))
    if (
        len(labels) != samples.shape[1]
        or len(set(labels)) != len(labels)
        or not all(isinstance(n, str) for n in labels)
    ):
        raise ValueError(
            f"convert: expected {samples.shape[1]} different names, got {labels}. Give one name a column of x."
        )
    return samples, labels
