"""One question about a model, one answer: through which combination of inputs does it depend on them?

A group of inputs may act through one unknown number (`generalised_symmetry`), through the number a user names
(`symmetry_variable`), or through one of the six that go with the low-order symmetries of a pair (`pair_symmetries`).
Each test returns `Evidence`, as those of `hypotheses` do.

Reference: Z. Liu et al., "KAN 2.0: Kolmogorov-Arnold Networks Meet Science", arXiv:2408.10205 (2024), section 4.2.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from treeconv.calibration import Evidence, judge
from treeconv.derivatives import Array, as_functions, root_mean_square
from treeconv.errors import ExpressionError, TreeError, named_options
from treeconv.probes import Group, Probes
from treeconv.study import Input, Study, ask
from treeconv.subject import ErrorLike
from treeconv.symbols import symbol
from treeconv.symmetry import module_score
from treeconv.text import read


@named_options
def generalised_symmetry(
    f: Any,
    x: Any,
    group: Sequence[Input],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: ErrorLike = None,
) -> Evidence:
    """Tests whether a group of inputs acts on the output through one number only: f = g(h(group), the rest).

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        group: The inputs, by name or column number.

    Returns:
        The evidence.

    Example:
        >>> x = np.random.default_rng(0).uniform(0.5, 1, (200, 3))
        >>> f = lambda x: np.sin(x[:, 0] * x[:, 1] + x[:, 2])
        >>> bool(generalised_symmetry(f, x, [0, 1])), bool(generalised_symmetry(f, x, [1, 2]))
        (True, False)
    """
    work, probes = ask(f, x, names, y, error)
    score, scatter = module_score(probes, work.positions(group))
    return judge(score, work.tolerance.of_gradients([score], probes.steepness), scatter)


@named_options
def symmetry_variable(
    f: Any,
    x: Any,
    variable: Any,
    names: Sequence[str] | None = None,
    *,
    inputs: Sequence[Input] | None = None,
    y: Any = None,
    error: ErrorLike = None,
) -> Evidence:
    """Tests whether some inputs act on the output through a given expression of them only.

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        variable: The expression: text such as "b/c", a SymPy expression, or a function of all inputs (batch, n).
        inputs: The inputs it is about; by default those in the expression, or those the function depends on.

    Returns:
        The evidence; `detail["aligned"]` is the share of samples at which both gradients agree in direction within
        a cosine of 0.9.

    Raises:
        ExpressionError: If the text is no arithmetic in the names, or the expression depends on no input.

    Example:
        >>> x = np.random.default_rng(0).uniform(1, 2, (200, 3))
        >>> f = lambda x: x[:, 0] * np.sqrt(1 + (x[:, 1] / x[:, 2]) ** 2)
        >>> bool(symmetry_variable(f, x, "b/c", names=["a", "b", "c"]))
        True
    """
    work, probes = ask(f, x, names, y, error)
    return _through(work, probes, variable, None if inputs is None else work.positions(inputs))


def _through(work: Study, probes: Probes, variable: Any, group: Group | None = None) -> Evidence:
    """Tests whether a group of inputs, by default those of the variable, acts through the variable only."""
    if isinstance(variable, str):
        variable = read(variable, work.names)
    guess = as_functions(variable, work.x, work.names)[0]
    slopes = guess.gradient(work.x) * probes.scale
    if group is None:
        group = _inputs_of(variable, slopes, work.names)
    if not group:
        raise ExpressionError(
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


def _inputs_of(variable: Any, slopes: Array, names: tuple[str, ...]) -> Group:
    """Columns of the inputs that occur in an expression, or on which a function depends by its slopes."""
    if isinstance(variable, sp.Expr):
        symbols: Any = variable.free_symbols
        return tuple(sorted(names.index(one.name) for one in symbols))
    size = np.nanmax(np.abs(slopes), axis=0)
    return tuple(np.flatnonzero(size > 1e-6 * size.max()).tolist()) if size.max() > 0 else ()


PAIR_FORMS = {
    "translation": "{0} - {1}",
    "opposite translation": "{0} + {1}",
    "scaling": "{0} / {1}",
    "opposite scaling": "{0} * {1}",
    "rotation": "{0}**2 + {1}**2",
    "boost": "{0}**2 - {1}**2",
}
"""What leaves the output alone, and the combination of two inputs it then depends on."""


@named_options
def pair_symmetries(
    f: Any,
    x: Any,
    pair: Sequence[Input],
    names: Sequence[str] | None = None,
    *,
    y: Any = None,
    error: ErrorLike = None,
) -> dict[str, Evidence]:
    """Tests the low-order symmetries of a pair of inputs.

    Args:
        f, x, names, y, error: The model, its samples and what is known of its error, as in `convert`.
        pair: Two inputs, by name or column number.

    Returns:
        Evidence by name of the symmetry, each with `detail["variable"]`, the combination that remains.

    Raises:
        TreeError: If the pair is not one of two different inputs.

    Example:
        >>> x = np.random.default_rng(0).uniform(1, 2, (200, 2))
        >>> found = pair_symmetries(lambda x: np.sin(x[:, 0] - x[:, 1]), x, [0, 1])
        >>> [name for name, evidence in found.items() if evidence]
        ['translation']
    """
    work, probes = ask(f, x, names, y, error)
    places = work.positions(pair)
    if len(set(places)) != 2 or len(places) != 2:
        raise TreeError(f'pair_symmetries: expected two different inputs, got {pair}. Pass a pair such as ["a", "b"].')
    a, b = (symbol(work.names[i]) for i in places)
    forms = (a - b, a + b, a / b, a * b, a**2 + b**2, a**2 - b**2)
    found = {}
    for (name, form), variable in zip(PAIR_FORMS.items(), forms):
        found[name] = _through(work, probes, variable)
        found[name].detail["variable"] = form.format(a, b)
    return found
