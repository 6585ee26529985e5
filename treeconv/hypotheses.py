"""One question about a model, one answer: does it depend on an input, does it fall apart into groups of them?

Every function here takes a model, samples and the inputs it is about (names or column numbers), and returns
`Evidence`: whether the property holds, its score, the threshold, the confidence. Scores are relative model errors, so
scaling inputs or output changes nothing. `y` and `error` say how good the model is, as in `convert`.

Reference: Z. Liu et al., "KAN 2.0: Kolmogorov-Arnold Networks Meet Science", arXiv:2408.10205 (2024), section 4.2.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from treeconv.calibration import Evidence, judge
from treeconv.conversion import Study, single_study
from treeconv.probes import Group, Probes, whole
from treeconv.separability import (
    fit_bias,
    limits,
    product_partition,
    product_score,
    ratio_score,
    sum_partition,
    sum_score,
)

Input = str | int


def positions(inputs: Input | Sequence[Input], names: tuple[str, ...]) -> Group:
    """Returns the column numbers of inputs given by name or number."""
    listed = [inputs] if isinstance(inputs, str | int | np.integer) else list(inputs)
    try:
        return tuple(names.index(i) if isinstance(i, str) else range(len(names))[i] for i in listed)
    except (ValueError, IndexError):
        raise ValueError(
            f"treeconv: expected inputs among {', '.join(names)} or columns 0 to {len(names) - 1}, got {listed}. "
            "Use names of columns or their numbers."
        ) from None


def prepare(
    f: Any, x: Any, names: Sequence[str] | None, y: Any, error: float | None
) -> tuple[Study, Probes, tuple[str, ...]]:
    """Returns the study of a model of one output, its probes over all inputs, and their names."""
    work, labels = single_study(f, x, names, y, error)
    everything = tuple(range(len(labels)))
    return work, work.probes(whole(work.function, len(labels), everything, work.x)), labels


def _worst_pair(
    groups: Sequence[Input | Sequence[Input]],
    labels: tuple[str, ...],
    score: Callable[[Group, Group], tuple[float, float]],
) -> tuple[float, float]:
    """The worst score over all pairs of groups."""
    parts = [positions(group, labels) for group in groups]
    flat = [i for part in parts for i in part]
    if len(parts) < 2 or len(set(flat)) != len(flat):
        raise ValueError(
            f"treeconv: expected two or more groups without common inputs, got {list(groups)}. "
            'Pass groups such as [["a"], ["b", "c"]].'
        )
    return max(score(a, b) for a, b in itertools.combinations(parts, 2))


def irrelevance(
    f: Any,
    x: Any,
    inputs: Input | Sequence[Input],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: float | None = None,
) -> Evidence:
    """Tests whether a model does not depend on some inputs.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        inputs: One input or several, by name or column number.
        names: One name a column.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.

    Returns:
        Evidence that holds when the inputs do not matter.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> bool(irrelevance(lambda x: np.sin(x[:, 0]), x, 1))
        True
    """
    work, probes, labels = prepare(f, x, names, y, error)
    change = probes.value() - probes.value(*positions(inputs, labels))
    score, scatter = probes.score(change, np.full(len(change), np.sqrt(2.0)), probes.spread)
    return judge(score, work.tolerance.of_values([score], probes.spread), scatter)


def additive_separability(
    f: Any,
    x: Any,
    groups: Sequence[Input | Sequence[Input]],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: float | None = None,
) -> Evidence:
    """Tests whether a model is a sum of one function a group.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        groups: Two or more disjoint groups of inputs; inputs in none of them may act together with any.
        names: One name a column.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.

    Returns:
        The evidence of the worst pair of groups.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> bool(additive_separability(lambda x: 1e-3 * x[:, 0] * x[:, 1], x, [[0], [1]]))
        False
    """
    work, probes, labels = prepare(f, x, names, y, error)
    score, scatter = _worst_pair(groups, labels, lambda a, b: sum_score(probes, a, b))
    return judge(score, limits(probes, work.tolerance)([score]), scatter)


def multiplicative_separability(
    f: Any,
    x: Any,
    groups: Sequence[Input | Sequence[Input]],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: float | None = None,
    bias: float | None = None,
) -> Evidence:
    """Tests whether a model is a constant plus a product of one function a group.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        groups: Two or more disjoint groups of inputs.
        names: One name a column.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.
        bias: The constant; found by least squares when not given.

    Returns:
        The evidence of the worst pair of groups, with `detail["bias"]`.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> found = multiplicative_separability(lambda x: 3 + x[:, 0] * x[:, 1], x, [[0], [1]])
        >>> bool(found), round(found.detail["bias"], 9)
        (True, 3.0)
    """
    work, probes, labels = prepare(f, x, names, y, error)
    if bias is None:
        parts = [positions(group, labels) for group in groups]
        fitted = fit_bias(probes, list(itertools.combinations(parts, 2))) if len(parts) > 1 else None
        if fitted is None:
            return judge(1.0, limits(probes, work.tolerance)([]))
        bias = fitted * work.unit
    constant = bias / work.unit
    score, scatter = _worst_pair(groups, labels, lambda a, b: product_score(probes, a, b, constant))
    return judge(score, limits(probes, work.tolerance)([score]), scatter, bias=bias)


def generalised_separability(
    f: Any,
    x: Any,
    groups: Sequence[Input | Sequence[Input]],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: float | None = None,
) -> Evidence:
    """Tests whether a model is a function of a sum of one function a group.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        groups: Two or more disjoint groups of inputs.
        names: One name a column.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.

    Returns:
        The evidence of the worst pair of groups.

    Example:
        >>> x = np.random.default_rng(0).uniform(0.5, 1, (200, 2))
        >>> bool(generalised_separability(lambda x: 1 / (x[:, 0] + x[:, 1] ** 2), x, [[0], [1]]))
        True
    """
    work, probes, labels = prepare(f, x, names, y, error)
    score, scatter = _worst_pair(groups, labels, lambda a, b: ratio_score(probes, a, b))
    return judge(score, work.tolerance.of_gradients([score], probes.steepness), scatter)


def find_groups(
    f: Any, x: Any, kind: str = "sum", names: Sequence[str] | None = None, *, y: Any = None, error: float | None = None
) -> Evidence:
    """Divides the inputs into as many additive or multiplicative groups as there are.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        kind: `sum` or `product`.
        names: One name a column.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.

    Returns:
        Evidence that holds when there are several groups; `detail["groups"]` lists them by name, and for products
        `detail["bias"]` is the constant.

    Raises:
        ValueError: If the kind is neither.

    Example:
        >>> x = np.random.default_rng(0).uniform(1, 2, (200, 2))
        >>> find_groups(lambda x: x[:, 0] + x[:, 1], x).detail["groups"]
        [['x1'], ['x2']]
    """
    if kind not in ("sum", "product"):
        raise ValueError(f"find_groups: expected kind 'sum' or 'product', got {kind!r}. Use one of the two.")
    work, probes, labels = prepare(f, x, names, y, error)
    found = (sum_partition if kind == "sum" else product_partition)(probes, work.tolerance)
    evidence = found.evidence
    detail: dict[str, Any] = {"groups": [[labels[i] for i in group] for group in found.groups]}
    if "bias" in evidence.detail:
        detail["bias"] = evidence.detail["bias"] * work.unit
    return Evidence(len(found.groups) > 1, evidence.score, evidence.threshold, evidence.confidence, detail)
