r"""Derivatives in LaTeX: which fractions are one, such as \\frac{d^2}{dx^2} and \\frac{\\partial f}{\\partial x}.

Reference: https://www.latex-project.org/help/documentation/
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kanpiler.errors import ParseError
from kanpiler.latex_tokens import GREEK, UPRIGHT, UPRIGHT_D, group_length

_DIFFERENTIALS = ("d", UPRIGHT_D, r"\partial")


@dataclass(frozen=True)
class Derivative:
    """A fraction that differentiates.

    Attributes:
        variable: position of the variable among the tokens.
        order: >= 1.
        operand: position of what is differentiated, or None where it follows the fraction.
        end: position after the fraction.
    """

    variable: int
    order: int
    operand: int | None
    end: int


def find_derivative(tokens: Sequence[str], start: int, names: Collection[str]) -> Derivative | None:
    r"""Says whether a fraction is a derivative: both of its sides begin with a d that is no declared name.

    Args:
        tokens: of the formula.
        start: position after \\frac.
        names: the declared names.

    Raises:
        ParseError: it is a derivative in several variables, or one of two orders.

    Example:
        >>> find_derivative(list("{d}{dx}y"), 0, ())
        Derivative(variable=5, order=1, operand=None, end=7)
    """
    middle = start + group_length(tokens, start)
    above, below = _inside(tokens, start), _inside(tokens, middle)
    if not above or above[0] not in _DIFFERENTIALS or (above[0] == "d" and "d" in names):
        return None
    if len(below) < 2 or below[0] not in _DIFFERENTIALS or not (below[1].isalpha() or below[1][1:] in GREEK):
        return None
    if any(token in _DIFFERENTIALS for token in below[2:]):
        raise ParseError(r"compile: expected a derivative in one variable. Write \frac{d}{dx} for each.")
    n = 2
    if below[n : n + 1] == ["_"]:
        n += 1 + (below[n + 1 : n + 2] != [] and below[n + 1] in UPRIGHT)
        n += group_length(below, n)
    low, taken = _order(below[n:])
    if n + taken != len(below):
        return None
    high, taken = _order(above[1:])
    if high != low:
        raise ParseError(f"compile: expected one order of the derivative, got {high} above and {low} below.")
    operand = start + 2 + taken if len(above) > 1 + taken else None
    return Derivative(middle + 2, int(high), operand, middle + len(below) + 2)


def _inside(tokens: Sequence[str], start: int) -> Sequence[str]:
    return tokens[start + 1 : start + group_length(tokens, start) - 1] if tokens[start : start + 1] == ["{"] else []


def _order(tokens: Sequence[str]) -> tuple[str, int]:
    """Returns the order of a derivative and how many tokens it takes."""
    if len(tokens) < 2 or tokens[0] != "^":
        return "1", 0
    length = group_length(tokens, 1)
    order = "".join(tokens[1 : 1 + length]).strip("{}")
    if not (order.isascii() and order.isdigit() and 0 < int(order) < 100):
        raise ParseError(f"compile: expected a whole number as order of a derivative, got {order}.")
    return order, 1 + length
