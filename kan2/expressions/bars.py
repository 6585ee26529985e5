"""Bars of absolute values, which open and close with one character: |x|y|z| is |x| y |z| and | x |y| z |.

What can be read in one way only is read; what can be read in two is refused. `readings` counts, going through the
pieces once, in how many ways bars can be paired.

Reference: https://docs.python.org/3/reference/expressions.html for what may stand beside what
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from kan2.expressions.token import ExpressionError, Token, complain

_SIGNS = {"+", "-"}
_BRACKETS = {"(": "(", ")": ")", "|": "|", "[": "(", "]": ")"}


# What may not stand behind an opening bar.
_NOT_AFTER = {
    "operator": ("bar", "bar after value"), "postfix": ("bar", "bar after value"), "sign": ("bar after value",)
}  # fmt: skip


def absolute_values(tokens: Sequence[Token], text: str) -> list[Token]:
    """Turns |x| into abs(x): a bar closes when one is open at this level and a value stands before it.

    Raises:
        ExpressionError: a bar has no other one, or bars can be paired in two ways.
    """
    bars = [token for token in tokens if token.text == "|"]
    if len(bars) > 3 and readings(map(_kind, tokens)) > 1:
        raise complain(text, bars[0].start, 1, "the bars | can be read in two ways. Write abs(...).")
    result: list[Token] = []
    levels: list[str] = []
    for i, token in enumerate(tokens):
        if token.text in ("(", "["):
            levels.append("(")
        elif token.text in (")", "]") and levels:
            if levels.pop() == "|":
                raise complain(text, token.start, 1, "expected the closing | of an absolute value first.")
        elif token.text == "|":
            if levels and levels[-1] == "|" and result and result[-1].ends_value:
                levels.pop()
                result.append(Token("op", ")", token.start))
                continue
            after = tokens[i + 1].text if i + 1 < len(tokens) else ""
            if len(bars) > 3 and after in _SIGNS and result and result[-1].ends_value:
                raise complain(text, token.start, 1, "the bars | can be read in two ways. Write abs(...).")
            levels.append("|")
            result.append(Token("name", "abs", token.start, is_call=True))
            token = Token("op", "(", token.start)
        result.append(token)
    if "|" in levels:
        raise ExpressionError("parse_expression: expected a closing |, got the end of the text. Or write abs(...).")
    return result


def _kind(token: Token) -> str:
    if token.text in _BRACKETS:
        return _BRACKETS[token.text]
    if token.text == "!":
        return "postfix"
    if token.ends_value:
        return "value"
    return "sign" if token.text in _SIGNS else "prefix" if token.starts_value else "operator"


def readings(kinds: Iterable[str]) -> int:
    """Counts the ways to pair bars.

    Args:
        kinds: "|", "(" and ")" for every kind of brackets, "value" for what may stand before a closing bar, "prefix"
            for what a value may begin with but not end, "sign" for + and -, of two values wherever they can be,
            "operator" for what stands between values, "postfix" for the ! after one.

    Example:
        >>> readings("| value | value | value |".split()), readings("| value | operator | value |".split())
        (2, 1)
    """
    # How many ways lead to so many open bars, by what stands before the next piece.
    ways: Counter[tuple[int, str]] = Counter({(0, "operator"): 1})
    outer: list[Counter[tuple[int, str]]] = []
    for kind in kinds:
        if kind == "(":
            outer.append(ways)
            ways = Counter({(0, "operator"): 1})
        elif kind == ")" and outer:
            inside = _closed(ways)
            ways = Counter()
            for (depth, _), number in outer.pop().items():
                ways[depth, "value"] += number * inside
        elif kind == "|":
            after: Counter[tuple[int, str]] = Counter()
            for (depth, before), number in ways.items():
                after[depth + 1, "bar after value" if before == "value" else "bar"] += number
                if depth and before == "value":
                    after[depth - 1, "value"] += number
            ways = after
        else:
            after = Counter()
            for (depth, before), number in ways.items():
                if before not in _NOT_AFTER.get(kind, ()):
                    after[depth, "value" if kind in ("value", "postfix") else "operator"] += number
            ways = after
    while outer:
        outer.pop()
    return _closed(ways)


def _closed(ways: Counter[tuple[int, str]]) -> int:
    return sum(number for (depth, before), number in ways.items() if depth == 0 and before == "value")
