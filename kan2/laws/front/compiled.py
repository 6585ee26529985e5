"""The network of a formula that was found."""

import warnings
from collections.abc import Sequence

import sympy

from kan2.core.data import Dataset
from kan2.core.spec import default_names
from kan2.errors import FormulaError
from kan2.multkan import MultKAN
from kanpiler import CompileError, DomainWarning, compile


def names_of_targets(data: Dataset) -> tuple[str, ...]:
    """Returns the names of the targets; y, or y1, y2, ..., where they have none."""
    return data.outputs or default_names("y", data.y.shape[1])


def compiled(formulas: Sequence[sympy.Expr], data: Dataset) -> MultKAN:
    """Returns the network of formulas, with the names of the data.

    Raises:
        FormulaError: no network computes them.
    """

    low, high = data.X.double().amin(0).tolist(), data.X.double().amax(0).tolist()
    domain = {name: (a, b) for name, a, b in zip(data.inputs, low, high) if a < b}
    source = dict(zip(names_of_targets(data), formulas))
    try:
        with warnings.catch_warnings():
            # Between rows a law need not be defined.
            warnings.simplefilter("ignore", DomainWarning)
            return compile(source, inputs=data.inputs, domain=domain)
    except CompileError as error:
        raise FormulaError(
            f"model: expected a formula that a network computes, got {', '.join(map(str, formulas))} ({error}) "
            "formula and predict work without one."
        ) from error
