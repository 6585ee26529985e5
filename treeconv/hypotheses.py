"""One question about a model, one answer: does it depend on an input, does it fall apart into groups of them?

Every function here takes a model, samples and the inputs it is about (names or column numbers), and returns
`Evidence`: whether the property holds, its score, the threshold, the confidence. Scores are relative model errors, so
scaling inputs or output changes nothing. `y` and `error` say how good the model is, as in `convert`.

Reference: Z. Liu et al., "KAN 2.0: Kolmogorov-Arnold Networks Meet Science", arXiv:2408.10205 (2024), section 4.2.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from treeconv.calibration import Evidence, judge
from treeconv.errors import TreeError, named_options
from treeconv.probes import Group
from treeconv.separability import (
    fit_bias,
    limits,
    product_partition,
    product_score,
    ratio_score,
    sum_partition,
    sum_score,
)
from treeconv.study import Input, Study, ask
from treeconv.subject import ErrorLike, number

Groups = Sequence[Input | Sequence[Input]]


def _pairs(work: Study, groups: Groups) -> list[tuple[Group, Group]]:
    """All pairs of groups, in columns."""
    if isinstance(groups, str | bytes) or not isinstance(groups, Iterable):
        raise TreeError(
            f'treeconv: expected two or more groups without common inputs, got {groups!r}. Pass groups such as [["a"], '
            '["b", "c"]].'
        )
    groups = list(groups)
    parts = [work.positions(group) for group in groups]
    flat = [i for part in parts for i in part]
    if len(parts) < 2 or len(set(flat)) != len(flat):
        raise TreeError(
            f"treeconv: expected two or more groups without common inputs, got {list(groups)}. "
            'Pass groups such as [["a"], ["b", "c"]].'
        )
    return list(itertools.combinations(parts, 2))


@named_options
def irrelevance(
    f: Any,
    x: Any,
    inputs: Input | Sequence[Input],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: ErrorLike = None,
) -> Evidence:
    """Tests whether a model does not depend on some inputs.

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        inputs: One input or several, by name or column number.

    Returns:
        Evidence that holds when the inputs do not matter.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> bool(irrelevance(lambda x: np.sin(x[:, 0]), x, 1))
        True
    """
    work, probes = ask(f, x, names, y, error)
    change = probes.value() - probes.value(*work.positions(inputs))
    score, scatter = probes.score(change, np.full(len(change), np.sqrt(2.0)), probes.spread)
    return judge(score, work.tolerance.of_values([score], probes.spread), scatter)


@named_options
def additive_separability(
    f: Any,
    x: Any,
    groups: Groups,
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: ErrorLike = None,
) -> Evidence:
    """Tests whether a model is a sum of one function a group.

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        groups: Two or more disjoint groups of inputs; inputs in none of them may act together with any.

    Returns:
        The evidence of the worst pair of groups.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> bool(additive_separability(lambda x: 1e-3 * x[:, 0] * x[:, 1], x, [[0], [1]]))
        False
    """
    work, probes = ask(f, x, names, y, error)
    score, scatter = max(sum_score(probes, a, b) for a, b in _pairs(work, groups))
    return judge(score, limits(probes, work.tolerance)([score]), scatter)


@named_options
def multiplicative_separability(
    f: Any,
    x: Any,
    groups: Groups,
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: ErrorLike = None,
    bias: float | None = None,
) -> Evidence:
    """Tests whether a model is a constant plus a product of one function a group.

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        groups: Two or more disjoint groups of inputs.
        bias: The constant; found by least squares when not given.

    Returns:
        The evidence of the worst pair of groups, with `detail["bias"]`.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> found = multiplicative_separability(lambda x: 3 + x[:, 0] * x[:, 1], x, [[0], [1]])
        >>> bool(found), round(found.detail["bias"], 9)
        (True, 3.0)
    """
    bias = None if bias is None else number("multiplicative_separability", "bias", bias)
    work, probes = ask(f, x, names, y, error)
    pairs = _pairs(work, groups)
    if bias is None:
        fitted = fit_bias(probes, pairs)
        if fitted is None:
            return judge(1.0, limits(probes, work.tolerance)([]))
        bias = fitted * work.unit
    constant = bias / work.unit
    score, scatter = max(product_score(probes, a, b, constant) for a, b in pairs)
    return judge(score, limits(probes, work.tolerance)([score]), scatter, bias=bias)


@named_options
def generalised_separability(
    f: Any,
    x: Any,
    groups: Groups,
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: ErrorLike = None,
) -> Evidence:
    """Tests whether a model is a function of a sum of one function a group.

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        groups: Two or more disjoint groups of inputs.

    Returns:
        The evidence of the worst pair of groups.

    Example:
        >>> x = np.random.default_rng(0).uniform(0.5, 1, (200, 2))
        >>> bool(generalised_separability(lambda x: 1 / (x[:, 0] + x[:, 1] ** 2), x, [[0], [1]]))
        True
    """
    work, probes = ask(f, x, names, y, error)
    score, scatter = max(ratio_score(probes, a, b) for a, b in _pairs(work, groups))
    return judge(score, work.tolerance.of_gradients([score], probes.steepness), scatter)


@named_options
def find_groups(
    f: Any, x: Any, kind: str = "sum", names: Sequence[str] | None = None, *, y: Any = None, error: ErrorLike = None
) -> Evidence:
    """Divides the inputs into as many additive or multiplicative groups as there are.

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        kind: `sum` or `product`.

    Returns:
        Evidence that holds when there are several groups; `detail["groups"]` lists them by name, and for products
        `detail["bias"]` is the constant.

    Raises:
        TreeError: If the kind is neither.

    Example:
        >>> x = np.random.default_rng(0).uniform(1, 2, (200, 2))
        >>> find_groups(lambda x: x[:, 0] + x[:, 1], x).detail["groups"]
        [['x1'], ['x2']]
    """
    if not isinstance(kind, str) or kind not in ("sum", "product"):
        raise TreeError(f"find_groups: expected kind 'sum' or 'product', got {kind!r}. Use one of the two.")
    work, probes = ask(f, x, names, y, error)
    found = (sum_partition if kind == "sum" else product_partition)(probes, work.tolerance)
    evidence = found.evidence
    detail: dict[str, Any] = {"groups": [[work.names[i] for i in group] for group in found.groups]}
    if "bias" in evidence.detail:
        detail["bias"] = evidence.detail["bias"] * work.unit
    return Evidence(len(found.groups) > 1, evidence.score, evidence.threshold, evidence.confidence, detail)
