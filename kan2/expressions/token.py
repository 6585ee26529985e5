"""One token of a formula, and the error that shows its place.

Reference: https://docs.python.org/3/library/tokenize.html
"""

from dataclasses import dataclass

from kan2.errors import Kan2Error
from kan2.expressions.characters import LINE_ENDS


class ExpressionError(Kan2Error, ValueError):
    """Text is not a formula that can be read safely."""


_INFIX = {"and", "or", "if", "else"}
WORDS = _INFIX | {"not", "True", "False"}
"""Words of conditions, which are no names."""


@dataclass(frozen=True)
class Token:
    """A piece of a formula.

    Attributes:
        kind: "number", "name", "quoted" (a name in backquotes) or "op".
        text: as Python spells it.
        start: column in the user's text.
        is_call: whether a name is called.
    """

    kind: str
    text: str
    start: int
    is_call: bool = False

    @property
    def ends_value(self) -> bool:
        """Whether a value may end with this token."""
        is_name = self.kind == "name" and not self.is_call and self.text not in WORDS
        return self.kind in ("number", "quoted") or self.text in (")", "]", "!") or is_name

    @property
    def starts_value(self) -> bool:
        """Whether a value may start with this token."""
        return (
            self.kind in ("number", "quoted") or self.text == "(" or (self.kind == "name" and self.text not in _INFIX)
        )


def complain(text: str, start: int, width: int, message: str) -> ExpressionError:
    """Builds the error that shows the place."""
    left = max(0, start - 40)
    excerpt = "".join(" " if c in LINE_ENDS + "\t" else c for c in text[left : start + 40])
    return ExpressionError(f"parse_expression: {message}\n  {excerpt}\n  {' ' * (start - left)}{'^' * max(1, width)}")
