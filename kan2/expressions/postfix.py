"""What follows a value: x! is the factorial of x, Matrix([x, y])[0] an element of a matrix.

`brackets` says where [ and ] may stand, which is nowhere else; `factorials` writes x! as a call, which binds as in
textbooks: 2 x!^2 is 2 (x!)^2 and -x! is -(x!). Refused is x^2!, which is (x^2)! on paper and x^(2!) in programs.

Reference: https://dlmf.nist.gov/5.2
"""

from collections.abc import Sequence

from kan2.expressions.characters import unknown_character
from kan2.expressions.token import Token, complain

_OPENED = {")": "(", "]": "["}


def brackets(tokens: Sequence[Token], text: str, has_matrices: bool = True) -> None:
    """Refuses [ and ] but in the list of a matrix and behind one.

    Args:
        tokens: of the formula, before products are written out.
        text: what the user wrote.
        has_matrices: whether Matrix is a function, and no variable.

    Raises:
        ExpressionError: a bracket stands elsewhere.
    """
    levels: list[str] = []  # "M" within Matrix(...), "L" within its list, "I" within an index, "(" within others
    closed = ""
    for i, token in enumerate(tokens):
        if token.kind == "quoted":
            closed = ""
            continue
        last, before = tokens[i - 1].text if i else "", levels[-1] if levels else ""
        level = ""
        if token.text == "(":
            is_matrix = has_matrices and last == "Matrix" and tokens[i - 1].kind == "name"
            level = "M" if is_matrix else "("
        elif token.text == "[":
            level = "L" if last in ("(", "[", ",") and before in ("M", "L") else "I" if closed == "M" else ""
        is_wrong = token.text == "[" and not level
        closed = ""
        if level:
            levels.append(level)
        elif token.text == ")" and before in ("M", "("):
            closed = levels.pop()
        elif token.text == "]":
            is_wrong = before not in ("L", "I")
            closed = "" if is_wrong else levels.pop()
        if is_wrong:
            raise complain(text, token.start, 1, unknown_character(token.text))


def factorials(tokens: Sequence[Token], text: str) -> list[Token]:
    """Turns x! and (x + 1)! into calls.

    Args:
        tokens: of the formula, with products written out and calls told from products.
        text: what the user wrote.

    Raises:
        ExpressionError: no value stands before a !, it is an exponent, or another ! follows.
    """
    result: list[Token] = []
    for i, token in enumerate(tokens):
        if token.text != "!" or token.kind != "op":
            result.append(token)
            continue
        if not result or not result[-1].ends_value:
            raise complain(text, token.start, 1, "expected a value before !, as in x! or (x + 1)!.")
        if i + 1 < len(tokens) and tokens[i + 1].text == "!" and tokens[i + 1].kind == "op":
            width = tokens[i + 1].start + 1 - token.start
            raise complain(
                text, token.start, width, "expected one !, got a double factorial, which is not supported. Write (x!)! "
                "for the factorial of a factorial."
            )  # fmt: skip
        start = _start(result)
        before = start - 1
        while before >= 0 and result[before].text in ("+", "-"):
            before -= 1
        if before >= 0 and result[before].text == "**":
            raise complain(text, token.start, 1, "a ! after a power can be read in two ways. Write (x^2)! or x^(2!).")
        at = result[start].start
        result[start:] = [
            Token("name", "factorial", at, is_call=True), Token("op", "(", at), *result[start:],
            Token("op", ")", token.start),
        ]  # fmt: skip
    return result


def _start(tokens: Sequence[Token]) -> int:
    """Returns where the value begins that ends with the last token."""
    i = len(tokens) - 1
    while tokens[i].text in _OPENED and tokens[i].kind == "op":
        closing, depth = tokens[i].text, 0
        for j in range(i, -1, -1):
            depth += (tokens[j].text == closing) - (tokens[j].text == _OPENED[closing])
            if depth == 0:
                break
        else:
            return 0
        if closing == ")":
            return j - 1 if j and tokens[j - 1].is_call else j
        # An index: the matrix stands before it.
        i = j - 1
    return i
