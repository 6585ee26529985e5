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
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from treeconv.calibration import Evidence, Tolerance, judge
from treeconv.errors import named_options
from treeconv.hierarchy import children
from treeconv.probes import Group, Probes, View, freeze
from treeconv.separability import product_partition, ratio_score, slope_limits, sum_partition
from treeconv.study import Study
from treeconv.subject import MIN_SAMPLES, ErrorLike, Subject, whole
from treeconv.symmetry import module_score, split_scores
from treeconv.tree import Tree

LOG = logging.getLogger("treeconv")


@dataclass(frozen=True)
class Division:
    """What one node is: its kind, the groups of its inputs (by position) and the evidence."""

    kind: str
    groups: tuple[Group, ...]
    evidence: Evidence


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


@dataclass(frozen=True)
class _Growth:
    """A node and what is below it: for each part whether it is known, its sisters, the evidence for its edge."""

    division: Division
    record: dict[str, Any]
    parts: tuple[tuple[View, bool, Group, dict[str, Any]], ...]


def _growth(view: View, work: Study, is_known: bool, pivots: Group, parent: str) -> _Growth:
    probes = work.probes(view)
    division = divide(probes, work.tolerance, is_known)
    record = _record(division.evidence)
    if division.kind == "product":
        record["bias"] = _bias(parent, division.evidence, work.unit, probes.spread)
    parts = []
    for place in division.groups:
        group = tuple(view.inputs[i] for i in place)
        if division.kind == "separable":
            known, sisters = True, tuple(i for i in view.inputs if i not in group)
        else:
            known, sisters = is_known and division.kind != "opaque", pivots
        part = freeze(work.function, group, work.x, work.rng, sisters if known and len(group) > 1 else ())
        evidence: dict[str, Any] = {}
        if division.kind == "opaque" and len(group) > 1:
            score, scatter = module_score(probes, place)
            evidence = _record(judge(score, slope_limits(probes, work.tolerance)([score]), scatter))
        parts.append((part, known, sisters, evidence))
    return _Growth(division, record, tuple(parts))


def _unknown(view: View, work: Study) -> _Growth:
    """A node that was not looked at any more: any function of its inputs."""
    evidence = Evidence(True, 0.0, work.tolerance.value[1], 0.5, {"interrupted": True})
    groups = tuple((i,) for i in range(len(view.inputs)))
    parts = tuple((View(view.function, (i,), view.contexts, view.weights), False, (), {}) for i in view.inputs)
    return _Growth(Division("opaque", groups, evidence), _record(evidence), parts)


def _seedling(names: tuple[str, ...], output: int) -> Tree:
    """The tree of an output that was not looked at: any function of all inputs."""
    nothing = {"score": 0.0, "threshold": 0.0, "confidence": 0.5}
    tree = Tree(root=0, names=names, irrelevant=(), output=output, interrupted=True, settings={})
    tree.add_node(0, kind="opaque", inputs=names, interrupted=True, **nothing)
    for name in names:
        tree.add_node(name, kind="input", inputs=(name,), **nothing)
        tree.add_edge(name, 0)
    return tree


def grow(work: Study, output: int) -> Tree:
    """Builds the tree of one output; after Ctrl-C as far as it has grown.

    Raises:
        KeyboardInterrupt: Nothing is known yet, or Ctrl-C came a second time.
    """
    tree, names = Tree(), work.names
    LOG.info("convert: output %d, %d samples, the error of the model is %s", output, len(work.x), work.tolerance.source)
    relevance = work.relevance()
    relevant = tuple(i for i, e in enumerate(relevance) if not e.holds)
    tree.graph.update(
        names=names,
        irrelevant=tuple(names[i] for i, e in enumerate(relevance) if e.holds),
        output=output,
        root=0,
        interrupted=False,
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
        try:
            growth = (
                _unknown(view, work) if tree.graph["interrupted"] else _growth(view, work, is_known, pivots, parent)
            )
        except KeyboardInterrupt:
            if not len(tree):
                raise
            tree.graph["interrupted"] = True
            growth = _unknown(view, work)
        node = sum(1 for n in tree if isinstance(n, int))
        tree.add_node(node, kind=growth.division.kind, inputs=inputs, **growth.record)
        evidence = growth.division.evidence
        text = "convert: %s of %s in %d parts, score %.3g of %.3g"
        LOG.info(text, growth.division.kind, inputs, len(growth.parts), evidence.score, evidence.threshold)
        for part, known, sisters, evidence in growth.parts:
            child = add(part, known, sisters, growth.division.kind)
            tree.add_edge(child, node, **evidence)
        return node

    if len(relevant) > 1:
        add(work.whole(relevant), is_known=True)
    else:  # a constant, or an unknown function of one input
        inputs = tuple(names[i] for i in relevant)
        tree.add_node(0, kind="opaque", inputs=inputs, **_record(judge(0.0, work.tolerance.value[1])))
        if relevant:
            tree.add_edge(add(work.whole(relevant), is_known=True), 0)
    for i, evidence in enumerate(relevance):
        if evidence.holds:
            tree.add_node(names[i], kind="input", inputs=(names[i],), **_record(evidence))
    return tree


@named_options
def convert(
    f: Any,
    x: Any,
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: ErrorLike = None,
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
        n_samples: How many of the samples are used at most, at least 10.

    Returns:
        A `Tree`, which is a `networkx.DiGraph` (see `treeconv.tree` for its attributes); for several outputs a list.
        After Ctrl-C the tree as far as it had grown: `tree.graph["interrupted"]` is true, and nodes that were not
        looked at are opaque.

    Raises:
        KeyboardInterrupt: Ctrl-C came before the first node was known.
        TreeTypeError: If `f` cannot be called.
        SampleError: If samples, names, targets, errors and outputs do not fit together.
        ExpressionError: If a SymPy expression has other symbols than the names.

    Example:
        >>> import torch
        >>> x = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) + 1
        >>> print(convert(lambda x: x[:, 0] * torch.sin(x[:, 1] + x[:, 2]), x).nodes[0]["kind"])
        product
    """
    n_samples = whole("convert", "n_samples", n_samples, MIN_SAMPLES)
    subject = Subject.of(f, x, names, y, error)
    trees: list[Tree] = []
    for output in range(len(subject.functions)):
        if trees and trees[-1].graph["interrupted"]:
            trees.append(_seedling(subject.names, output))
            continue
        try:
            trees.append(grow(Study.of(subject, output, n_samples), output))
        except KeyboardInterrupt:
            if not trees:
                raise
            trees.append(_seedling(subject.names, output))
    return trees[0] if len(trees) == 1 else trees
