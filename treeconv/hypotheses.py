"""One question about a model, one answer: each structural test on its own.

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
import sympy as sp

from treeconv.calibration import Evidence, judge
from treeconv.conversion import Study, as_samples, single_study
from treeconv.derivatives import as_functions, root_mean_square
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
from treeconv.symmetry import module_score
from treeconv.text import read

Input = str | int


def _positions(inputs: Input | Sequence[Input], names: tuple[str, ...]) -> Group:
    """Column numbers of inputs given by name or number."""
    listed = [inputs] if isinstance(inputs, str | int | np.integer) else list(inputs)
    try:
        return tuple(names.index(i) if isinstance(i, str) else range(len(names))[i] for i in listed)
    except (ValueError, IndexError):
        raise ValueError(
            f"treeconv: expected inputs among {', '.join(names)} or columns 0 to {len(names) - 1}, got {listed}. "
            "Use names of columns or their numbers."
        ) from None


def _prepare(
    f: Any, x: Any, names: Sequence[str] | None, y: Any, error: float | None
) -> tuple[Study, Probes, tuple[str, ...]]:
    work, labels = single_study(f, x, names, y, error)
    everything = tuple(range(len(labels)))
    return work, work.probes(whole(work.function, len(labels), everything, work.x)), labels


def _worst_pair(
    groups: Sequence[Input | Sequence[Input]],
    labels: tuple[str, ...],
    score: Callable[[Group, Group], tuple[float, float]],
) -> tuple[float, float]:
    """The worst score over all pairs of groups."""
    parts = [_positions(group, labels) for group in groups]
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
    work, probes, labels = _prepare(f, x, names, y, error)
    change = probes.value() - probes.value(*_positions(inputs, labels))
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
    work, probes, labels = _prepare(f, x, names, y, error)
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
    work, probes, labels = _prepare(f, x, names, y, error)
    if bias is None:
        parts = [_positions(group, labels) for group in groups]
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
    work, probes, labels = _prepare(f, x, names, y, error)
    score, scatter = _worst_pair(groups, labels, lambda a, b: ratio_score(probes, a, b))
    return judge(score, work.tolerance.of_gradients([score], probes.steepness), scatter)


def generalised_symmetry(
    f: Any,
    x: Any,
    group: Sequence[Input],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: float | None = None,
) -> Evidence:
    """Tests whether a group of inputs acts on the output through one number only: f = g(h(group), the rest).

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        group: The inputs, by name or column number.
        names: One name a column.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.

    Returns:
        The evidence.

    Example:
        >>> x = np.random.default_rng(0).uniform(0.5, 1, (200, 3))
        >>> f = lambda x: np.sin(x[:, 0] * x[:, 1] + x[:, 2])
        >>> bool(generalised_symmetry(f, x, [0, 1])), bool(generalised_symmetry(f, x, [1, 2]))
        (True, False)
    """
    work, probes, labels = _prepare(f, x, names, y, error)
    score, scatter = module_score(probes, _positions(group, labels))
    return judge(score, work.tolerance.of_gradients([score], probes.steepness), scatter)


def symmetry_variable(
    f: Any,
    x: Any,
    variable: Any,
    names: Sequence[str] | None = None,
    *,
    inputs: Sequence[Input] | None = None,
    y: Any = None,
    error: float | None = None,
) -> Evidence:
    """Tests whether some inputs act on the output through a given expression of them only.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        variable: The expression: text such as "b/c", a SymPy expression, or a function of all inputs (batch, n).
        names: One name a column.
        inputs: The inputs it is about; by default those in the expression, or those the function depends on.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.

    Returns:
        The evidence; `detail["aligned"]` is the share of samples at which both gradients agree in direction within
        a cosine of 0.9.

    Raises:
        ValueError: If the text is no arithmetic in the names, or the expression depends on no input.

    Example:
        >>> x = np.random.default_rng(0).uniform(1, 2, (200, 3))
        >>> f = lambda x: x[:, 0] * np.sqrt(1 + (x[:, 1] / x[:, 2]) ** 2)
        >>> bool(symmetry_variable(f, x, "b/c", names=["a", "b", "c"]))
        True
    """
    work, probes, labels = _prepare(f, x, names, y, error)
    if isinstance(variable, str):
        variable = read(variable, labels)
    guess = as_functions(variable, work.x, labels)[0]
    slopes = guess.gradient(work.x) * probes.scale
    if inputs is not None:
        group = _positions(inputs, labels)
    elif isinstance(variable, sp.Expr):
        group = tuple(labels.index(name) for name in sorted(map(str, variable.free_symbols), key=labels.index))
    else:
        size = np.nanmax(np.abs(slopes), axis=0)
        group = tuple(np.flatnonzero(size > 1e-6 * size.max()).tolist()) if size.max() > 0 else ()
    if not group:
        raise ValueError(
            "symmetry_variable: expected an expression of inputs, got a constant. Name at least one input."
        )
    ours, theirs = probes.gradient()[:, list(group)], slopes[:, list(group)]
    with np.errstate(all="ignore"):
        theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
        cosine = np.abs(np.sum(ours * theirs, axis=1)) / np.linalg.norm(ours, axis=1)
    steepness = root_mean_square(np.linalg.norm(ours, axis=1))
    pairs = list(itertools.combinations(range(len(group)), 2))
    one = np.ones(len(ours))
    score, scatter = max(
        (probes.score(ours[:, i] * theirs[:, j] - ours[:, j] * theirs[:, i], one, steepness) for i, j in pairs),
        default=(0.0, 0.0),
    )
    aligned = float(np.mean(cosine[np.isfinite(cosine)] > 0.9)) if np.isfinite(cosine).any() else 0.0
    allowed = work.tolerance.of_gradients([score], steepness)
    return judge(score, max(allowed, 10 * min(guess.gradient_error, 1e-3)), scatter, aligned=aligned)


PAIR_FORMS = {
    "translation": "{0} - {1}",
    "opposite translation": "{0} + {1}",
    "scaling": "{0} / {1}",
    "opposite scaling": "{0} * {1}",
    "rotation": "{0}**2 + {1}**2",
    "boost": "{0}**2 - {1}**2",
}
"""What leaves the output alone, and the combination of two inputs it then depends on."""


def pair_symmetries(
    f: Any,
    x: Any,
    pair: Sequence[Input],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: float | None = None,
) -> dict[str, Evidence]:
    """Tests the low-order symmetries of a pair of inputs.

    Args:
        f: The model, as in `convert`.
        x: Samples (batch, n).
        pair: Two inputs, by name or column number.
        names: One name a column.
        y: Targets from which the model's error is measured.
        error: The model's root mean square error.

    Returns:
        Evidence by name of the symmetry, each with `detail["variable"]`, the combination that remains.

    Example:
        >>> x = np.random.default_rng(0).uniform(1, 2, (200, 2))
        >>> found = pair_symmetries(lambda x: np.sin(x[:, 0] - x[:, 1]), x, [0, 1])
        >>> [name for name, evidence in found.items() if evidence]
        ['translation']
    """
    samples, labels = as_samples(x, names)
    a, b = (sp.Symbol(labels[i]) for i in _positions(pair, labels))
    forms = (a - b, a + b, a / b, a * b, a**2 + b**2, a**2 - b**2)
    found = {}
    for (name, form), variable in zip(PAIR_FORMS.items(), forms):
        evidence = symmetry_variable(f, samples, variable, labels, y=y, error=error)
        evidence.detail["variable"] = form.format(a, b)
        found[name] = evidence
    return found


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
    work, probes, labels = _prepare(f, x, names, y, error)
    found = (sum_partition if kind == "sum" else product_partition)(probes, work.tolerance)
    evidence = found.evidence
    detail: dict[str, Any] = {"groups": [[labels[i] for i in group] for group in found.groups]}
    if "bias" in evidence.detail:
        detail["bias"] = evidence.detail["bias"] * work.unit
    return Evidence(len(found.groups) > 1, evidence.score, evidence.threshold, evidence.confidence, detail)
