"""How formulas are shown: `target = formula`, with as many digits as the data carry, and as LaTeX."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kan2.core.network import Network

DIGITS = 6  # of numbers in text; --json has them all


def texts(model: "Network", digits: int | None) -> list[str]:
    """Returns the formula of each output.

    Raises:
        FormulaError: some edges are still splines.
    """
    from kan2.symbolic.formula import symbolic_formula

    return [str(formula) for formula in _several(symbolic_formula(model, digits=digits, check=False))]


def latex(model: "Network", digits: int | None = None) -> list[str]:
    """Returns the formula of each output as LaTeX."""
    from kan2.symbolic.formula import latex as as_latex

    return [str(formula) for formula in _several(as_latex(model, digits=digits, check=False))]


def equations(model: Any, formulas: list[str], sign: str = "=") -> list[str]:
    """Returns `output = formula` for each output; names that are no words stand in backquotes, as in formulas."""
    from kan2.expressions.symbols import quoted

    return [f"{quoted(name)} {sign} {formula}" for name, formula in zip(model.spec.outputs, formulas)]


def alone(values: list[Any]) -> Any:
    """Returns the only value of a list, or the list: one output is the usual case."""
    return values[0] if len(values) == 1 else values


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
