"""Corrections of a theory: where its residuals still depend on something, and how a known part is opened.

The residuals of a fit are tested against every column and every pair of columns: does a smooth function of them explain
more than noise would? The test is an F test on splines, with columns of the theory's own Jacobian beside, so that what
its parameters could take up does not count.

Reference: Seber, Lee, Linear Regression Analysis (2003), chapter 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray
from scipy import stats
from sympy.core.function import AppliedUndef

from kan2.core.theory import Unknown
from kan2.errors import OptionError
from kanpiler.theory.fitting.curves import Curve
from kanpiler.theory.fitting.problem import Fitted
from kanpiler.theory.form import Form, read_form

GRID, PAIR_GRID = 4, 1
"""Intervals of the splines that test a column, and of those whose products test a pair."""
ROUNDING = 1e-12
SURE = 1e-3
"""Level of a test, shared among all tests."""


@dataclass(frozen=True)
class ResidualTest:
    """What a column, or a pair, explains of the residuals.

    Attributes:
        columns: one name or two.
        share: of the sum of squares that it explains.
        f: the F statistic.
        p: the chance of as much in noise, corrected for the number of tests.
    """

    columns: tuple[str, ...]
    share: float
    f: float
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether the residuals depend on it."""
        return self.p < SURE


def residual_tests(fitted: Fitted, columns: Mapping[str, Float[ndarray, " batch"]]) -> tuple[ResidualTest, ...]:
    """Tests residuals against columns and pairs of them, the most telling first.

    Args:
        fitted: a theory with one output.
        columns: of the same rows; those of the theory and others.
    """
    r = fitted.residuals[: fitted.n_data]
    n_outputs = fitted.rows.y.shape[1]
    r = r.reshape(-1, n_outputs)[:, 0]
    own = fitted.jacobian[: fitted.n_data].reshape(len(r), n_outputs, fitted.jacobian.shape[1])[:, 0]
    # A column that is measured holds the noise that the residuals hold.
    columns = {name: column for name, column in columns.items() if name != fitted.model.solved_for}
    weight = 1 / fitted.noise[:, :1] if np.isfinite(fitted.noise).all() else np.ones((len(r), 1))
    weight = weight / np.abs(weight).max()
    bases = {name: _basis(column, GRID) for name, column in columns.items() if np.ptp(column) > 0}
    coarse = {name: _basis(columns[name], PAIR_GRID) for name in bases}
    kinds: list[tuple[tuple[str, ...], ndarray]] = [((name,), basis) for name, basis in bases.items()]
    for one, other in combinations(bases, 2):
        product = (coarse[one][:, :, None] * coarse[other][:, None]).reshape(len(r), -1)
        # Beyond what each explains alone.
        kinds.append(((one, other), np.c_[product, bases[one], bases[other]]))
    found = []
    for names, basis in kinds:
        if len(r) > own.shape[1] + basis.shape[1] + 1:
            found.append(_tested(names, r, np.c_[own, weight], basis * weight, len(kinds)))
    return tuple(sorted(found, key=lambda one: (one.p, -one.f)))


def _basis(column: Float[ndarray, " batch"], grid: int) -> Float[ndarray, "batch function"]:
    # Of ranks: a column that spans decades has its rows evenly spread.
    order = np.argsort(np.argsort(column, kind="stable"), kind="stable") / max(len(column) - 1, 1)
    distinct = len(np.unique(column))
    curve = Curve.on(Unknown(name="f"), 0.0, 1.0, max(1, min(grid, distinct - 3)))
    values = np.unique(column, return_inverse=True)[1] / max(distinct - 1, 1) if distinct < len(column) / 4 else order
    if distinct <= 4:
        return np.stack([column == v for v in np.unique(column)[1:]], 1).astype(float)
    return curve.values(values)


def _tested(names: tuple[str, ...], r: ndarray, own: ndarray, basis: ndarray, n_tests: int) -> ResidualTest:
    def rest(A: ndarray) -> tuple[float, int]:
        size = np.linalg.norm(A, axis=0)
        A = A[:, size > 0] / size[size > 0]
        if not A.shape[1]:
            return float(r @ r), 0
        answer, _, rank, _ = np.linalg.lstsq(A, r, rcond=1e-10)
        left = r - A @ answer
        return float(left @ left), int(rank)

    before, k = rest(own)
    after, more = rest(np.c_[own, basis])
    # Where nothing is left but rounding there is nothing to explain.
    if more <= k or len(r) <= more or not before > ROUNDING * float(r @ r) or not after <= before:
        return ResidualTest(names, 0.0, 0.0, 1.0)
    f = (before - after) / (more - k) / max(after / (len(r) - more), 1e-300)
    p = min(1.0, float(stats.f.sf(f, more - k, len(r) - more)) * n_tests)
    return ResidualTest(names, 1 - after / before, float(f), p)


def fresh_names(taken: Sequence[str], n: int) -> list[str]:
    """Returns n names of functions that are not taken: f, g, h, then f1, f2, ..."""
    pool = [*"fgh", *(f"f{i}" for i in range(1, 100))]
    return [name for name in pool if name not in taken][:n]


def with_correction(
    form: Form, columns: Sequence[str], factor: bool, names: Sequence[str]
) -> tuple[Form, tuple[Unknown, ...]]:
    """Returns a theory with unknown functions added, or as factors, on its first output.

    Args:
        form: the theory.
        columns: one name for f(x), two for f(x)*g(y).
        factor: whether it is a factor in place of a term.
        names: of the functions.
    """
    calls = [sympy.Function(name)(sympy.Symbol(column)) for name, column in zip(names, columns)]
    room = sympy.Mul(*calls)
    written = [form.written(expression) for expression in form.expressions]
    written[0] = written[0] * room if factor else written[0] + room
    return _reread(form, written, names)


def with_part_open(
    form: Form, part: sympy.Expr, names: Sequence[str], parameters: Sequence[str]
) -> tuple[Form, tuple[Unknown, ...]]:
    """Returns a theory with an unknown function in place of a part of its formulas.

    Raises:
        OptionError: the part does not occur, or is no function of one column or of one argument.
    """
    written = [form.written(expression) for expression in form.expressions]
    held = [s for s in part.free_symbols if getattr(s, "name", "") not in parameters]
    if len(held) == 1:
        argument = held[0]
    elif isinstance(part, sympy.Function) and len(part.args) == 1:
        argument = part.args[0]
    else:
        raise OptionError(
            f"free: expected a part of one column, such as exp(-k*t), or one function, such as exp(-k*t*p), got "
            f"{part}. Free its factors one by one."
        )
    if not any(expression.has(part) for expression in written):
        raise OptionError(
            f"free: expected a part of the formula {form.texts[0]}, got {part}, which does not occur in it."
        )
    call = sympy.Function(names[0])(argument)
    return _reread(form, [expression.subs(part, call) for expression in written], names)


def _reread(form: Form, written: Sequence[sympy.Expr], names: Sequence[str]) -> tuple[Form, tuple[Unknown, ...]]:
    source = dict(zip(form.outputs, written))
    calls = {str(call.func) for expression in written for call in expression.atoms(AppliedUndef)}
    left = [name for name in form.functions if {name, name + "'", name + "''"} & calls]
    new = read_form(source, (*left, *names), form.names)
    # `y = ...` stays that.
    new = replace(new, texts=form.texts, implicit=form.implicit).retold()
    return new, tuple(Unknown(name=name) for name in names)
