"""What a caller of `kan2.discover` asks for, checked before anything is searched."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from numpy import ndarray

from kan2 import functions, options
from kan2.core.data import Dataset
from kan2.errors import OptionError, TrainingError, UnitError
from kan2.expressions.parse import parse_expression
from kan2.expressions.token import ExpressionError
from kan2.laws.front.compiled import names_of_targets
from kan2.laws.samples import FEW, LEFT
from kan2.symbolic.suggest import checked_weight
from kan2.training.losses import CrossEntropy, make_loss
from kan2.units.reading import Units, units_of

WHERE = "discover"
MOST_JOBS = 1024


def check_numbers(given: Mapping[str, Any]) -> None:
    """Refuses options of the wrong type or out of range.

    Raises:
        TrainingError: there is one.
    """
    # What is passed on comes to its function after minutes of training, too late to say what is wrong with it.
    for name, least in (("attempts", 1), ("grid", 1), ("steps", 0), ("tries", 1)):
        options.whole(WHERE, name, given[name], least, error=TrainingError)
    options.seed(WHERE, given["seed"], error=TrainingError)
    if given["seconds"] is not None:
        options.number(WHERE, "seconds", given["seconds"], 0, error=TrainingError, remedy="None is no limit.")
    options.number(WHERE, "work", given["work"], 0, error=TrainingError)
    if given["n_jobs"] is not None and given["n_jobs"] != -1:
        options.whole(WHERE, "n_jobs", given["n_jobs"], 1, MOST_JOBS, error=TrainingError, remedy="-1 is all cores.")
    if given["progress"] is not None and not callable(given["progress"]):
        raise TrainingError(f"discover: expected progress as a function of one record, got {given['progress']!r}.")
    checked_weight(WHERE, given["weight_simple"])
    options.number(WHERE, "max_growth", given["max_growth"], 1, error=TrainingError)
    options.flag(WHERE, "snap", given["snap"], error=TrainingError)
    if isinstance(given["keep"], float):
        options.number(WHERE, "keep", given["keep"], 0, 0.9, error=TrainingError, remedy="It is a share of the rows.")
    elif given["keep"] is not None and given["keep"] != "end":
        remedy = "It is a share or number of rows, or 'end' for the last ones."
        options.whole(WHERE, "keep", given["keep"], 0, error=TrainingError, remedy=remedy)


def check_keep(keep: Any, n: int) -> None:
    """Refuses to keep more rows aside than there are, or so many that few are left.

    Raises:
        TrainingError: `keep` is such a number.
    """
    most = n - LEFT if n >= FEW else n - 1
    if isinstance(keep, int | np.integer) and keep > most:
        raise TrainingError(
            f"discover: expected keep as at most {most} of {n} rows, got {keep}. Formulas are fitted to the others: "
            "keep fewer aside, or none, which leaves out every row in turn."
        )


def check_networks(value: Any, width: Any) -> None:
    """Refuses to leave networks out where there is nothing else.

    Raises:
        TrainingError: a width is given, or the value is neither true nor false.
    """
    options.flag(WHERE, "networks", value, error=TrainingError)
    if not value and width is not None:
        raise TrainingError(
            f"discover: expected no width beside networks=False, got {width!r}, which is that of a network. Leave one "
            "out."
        )


def checked_callbacks(value: Any) -> tuple[Callable[..., Any], ...]:
    """Returns a list of functions, of one alone too."""
    if value is None:
        return ()
    return options.callables(WHERE, "callbacks", [value] if callable(value) else value, error=TrainingError)


def checked_weights(value: Any, n: int) -> ndarray | None:
    """Returns (row,) weights; None for none.

    Raises:
        TrainingError: they are no weights.
    """
    if value is None:
        return None
    found = np.asarray(value, float).reshape(-1)
    if len(found) != n or not np.isfinite(found).all() or (found < 0).any() or not found.any():
        raise TrainingError(
            f"discover: expected sample_weight as {n} numbers >= 0, one a row, got {found.shape[0]} between "
            f"{found.min() if len(found) else 0:g} and {found.max() if len(found) else 0:g}."
        )
    return found


def checked_accuracy(value: Any, n: int) -> tuple[float, ndarray | None]:
    """Returns the share of the target that is not known, and (row,) standard errors, or None.

    Raises:
        TrainingError: it is neither.
    """
    if np.ndim(value) == 0:
        return options.number(WHERE, "accuracy", value, 0, error=TrainingError), None
    found = np.asarray(value, float).reshape(-1)
    if len(found) != n or not np.isfinite(found).all() or not (found > 0).all():
        raise TrainingError(
            f"discover: expected accuracy as a share of the target, a column of standard errors, or {n} of them > 0, "
            f"got {len(found)} numbers."
        )
    return 0.0, found


def asks_for_labels(loss: Any) -> bool:
    """Tells whether a loss is one of labels, so that targets that are numbers are labels too.

    Raises:
        TrainingError, UnknownNameError: see `make_loss`.

    Example:
        >>> asks_for_labels("cross_entropy"), asks_for_labels("mse"), asks_for_labels(None)
        (True, False, False)
    """
    return loss is not None and isinstance(make_loss(loss), CrossEntropy)


def checked_loss(value: Any, weight: ndarray | None) -> Any:
    """Returns a loss that is not squares, or None.

    Raises:
        TrainingError: it stands beside weights.
        UnknownNameError: neither a known name nor a callable.
    """
    if value is None:
        return None
    loss = make_loss(value)
    if loss.is_squares:
        return None
    if weight is not None:
        raise TrainingError(
            "discover: expected no sample_weight, or standard errors, beside a loss of your own, which is one mean "
            "over all rows. Leave one out."
        )
    return loss


def checked_guesses(value: Any, names: Sequence[str]) -> tuple[sympy.Expr, ...]:
    """Returns formulas as expressions; symbols that are no columns are constants.

    Raises:
        OptionError: these are no formulas.
        ExpressionError: one cannot be read.
    """
    if value is None:
        return ()
    members = [value] if isinstance(value, str | sympy.Expr) else value
    if not isinstance(members, Sequence) or not all(isinstance(one, str | sympy.Expr) for one in members):
        raise OptionError(
            f"discover: expected guesses as formulas, text or SymPy, got {value!r}. Pass guesses=['a*x/(b + x)']."
        )
    found = []
    for one in members:
        expression = _read(one, names) if isinstance(one, str) else one
        if not isinstance(expression, sympy.Expr):
            raise OptionError(f"discover: expected guesses as formulas of numbers, got {one!r}.")
        found.append(expression)
    return tuple(found)


def _read(text: str, names: Sequence[str]) -> sympy.Expr:
    try:
        free = parse_expression(text)
    except ExpressionError:
        # A column may be called as a function or a constant is.
        return parse_expression(text, names=names)
    constants = [str(getattr(one, "name", one)) for one in free.free_symbols]
    return parse_expression(text, names=[*names, *(name for name in constants if name not in names)])


def checked_units(given: Any, data: Dataset, columns: Sequence[str], width: Any) -> Units | None:
    """Returns the units of a table, None for none.

    Args:
        given: what the caller gave.
        data: what the law is to be found in.
        columns: all of the table, of which some may be left out.
        width: of a network.

    Raises:
        TrainingError: only networks are searched, which know no units.
        UnitError: see `kan2.units.reading`.
        UnknownNameError: a unit is of a column that is not there.
    """
    if given is None or given is False:
        return None
    if width is not None:
        raise TrainingError(
            f"discover: expected no width beside units, got width={width!r}, for which only networks are searched; "
            "these know no units. Leave one out."
        )
    return units_of(given, data.feature_names, names_of_targets(data)[0], dict(data.units), columns)


def check_units_of_guesses(guesses: Sequence[sympy.Expr], units: Units | None) -> None:
    """Refuses guesses that are wrong whatever units their constants have.

    Raises:
        UnitError: there is one.
    """
    if units is None:
        return
    known = set(units.dimensions.known)
    for guess in guesses:
        constants = {one: sympy.Float(2 + i / 7) for i, one in enumerate(sorted(guess.free_symbols - known, key=str))}
        if not units.dimensions.is_right(guess.xreplace(constants)):
            raise UnitError(
                f"discover: expected guesses in which units agree, got {guess}, which has no unit or another than the "
                "target, whatever its constants are measured in. Write a constant at each place that needs one, as in "
                "a*sin(k*x)."
            )


def check_units_of_templates(templates: Sequence[Any], units: Units) -> None:
    """Refuses templates of columns whose units form no one system: their numbers are not those of the table inside.

    Raises:
        UnitError: there are some.
    """
    if templates and not units.is_coherent:
        raise UnitError(
            "discover: expected units of one system beside templates, got some that need factors, such as km beside m. "
            "Convert the columns first."
        )


def is_of_library(expression: sympy.Expr, library: Sequence[str] | None) -> bool:
    """Tells whether all functions of an expression are in a library; sums, products and powers are in all.

    Example:
        >>> x = sympy.Symbol("x")
        >>> is_of_library(x**2, ["sin"]), is_of_library(sympy.exp(x), ["sin"]), is_of_library(sympy.exp(x), None)
        (True, False, True)
    """
    if library is None:
        return True
    u, known = sympy.Dummy("u"), set()
    for name in library:
        row = functions.get(name)
        form = row.sympy(u) if row.shape is None else row.sympy(u, sympy.Float(row.shape))
        known |= {part.func for part in sympy.preorder_traversal(form) if isinstance(part, sympy.Function)}
    return all(part.func in known for part in expression.atoms(sympy.Function))


def without_rows(data: Dataset, used: ndarray) -> Dataset:
    """Returns data with these rows alone."""
    from dataclasses import replace

    import torch

    rows = torch.from_numpy(used).to(data.X.device)
    return data if used.all() else replace(data, X=data.X[rows], y=data.y[rows])
