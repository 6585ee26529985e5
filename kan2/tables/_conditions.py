"""Conditions on rows, such as `T > 300 and (a < 5 or element == 'Fe')`, read without executing anything.

The sides of comparisons are formulas, which `kan2.expressions` reads; what joins them is read here. Logic has three
values, as in databases: what is missing makes a comparison neither true nor false, and a row counts where all is true.

Reference: Kleene, Introduction to Metamathematics (1952), section 64.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kan2.errors import DataError, unknown_name
from kan2.tables._arrow import kernels
from kan2.tables.frames import numbers

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<column>`[^`]*`)|(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<compare><=|>=|==|!=|<>|=|<|>)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<word>[^\W\d]\w*)|(?P<open>\()|(?P<close>\))|(?P<other>\*\*|.)",
    re.DOTALL,
)
_SPELLING = {"=": "==", "<>": "!="}
_MAX_TEXT = 20_000
_MAX_DEPTH = 50
_FUNCTIONS = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal"}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def rows_where(table: Any, condition: str) -> Any:
    """Returns a pyarrow array of truth values, one a row; missing where the condition cannot be told.

    Args:
        table: a pyarrow.Table.
        condition: the text.

    Raises:
        UnknownNameError: a name is none of a column.
        DataError: this is no condition.
        ExpressionError: a side of a comparison is no formula.
    """
    if not isinstance(condition, str) or not condition.strip():
        raise _no_condition(f"got {condition!r}")
    if len(condition) > _MAX_TEXT:
        raise _no_condition(f"got {len(condition):,} characters, more than {_MAX_TEXT:,}")
    tokens = [_Token(str(m.lastgroup), m.group()) for m in _TOKEN.finditer(condition) if m.lastgroup != "space"]
    tokens = [_Token({"&": "word"}.get(t.text, t.kind), {"&": "and", "&&": "and"}.get(t.text, t.text)) for t in tokens]
    depth = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        if depth < 0:
            raise _no_condition("got a parenthesis that is closed and was not opened")
        if depth > _MAX_DEPTH:
            raise _no_condition(f"got more than {_MAX_DEPTH} nested parentheses")
    if depth:
        raise _no_condition("got a parenthesis that is not closed")
    return _Reader(table).read(tokens)


class _Reader:
    def __init__(self, table: Any) -> None:
        self.table = table

    def read(self, tokens: list[_Token]) -> Any:
        compute = kernels()

        for word, join in (("or", compute.or_kleene), ("and", compute.and_kleene)):
            parts = _split(tokens, word)
            if len(parts) > 1:
                result = self.read(parts[0])
                for part in parts[1:]:
                    result = join(result, self.read(part))
                return result
        if not tokens:
            raise _no_condition("got nothing beside 'and', 'or' or 'not'")
        n_not = next((i for i, token in enumerate(tokens) if token != _Token("word", "not")), len(tokens))
        if n_not:
            result = self.read(tokens[n_not:])
            return compute.invert(result) if n_not % 2 else result
        if tokens[0].kind == "open" and _closing(tokens) == len(tokens) - 1 and _is_condition(tokens[1:-1]):
            return self.read(tokens[1:-1])
        return self.comparison(tokens)

    def comparison(self, tokens: list[_Token]) -> Any:
        compute = kernels()

        places = [i for i, level in _levels(tokens) if level == 0 and tokens[i].kind == "compare"]
        if not places:
            raise _no_condition(f"got {_text(tokens)!r}, which compares nothing")
        bounds = [-1, *places, len(tokens)]
        sides = [tokens[a + 1 : b] for a, b in pairwise(bounds)]
        signs = [_SPELLING.get(tokens[i].text, tokens[i].text) for i in places]
        result = None
        for left, sign, right in zip(sides, signs, sides[1:]):
            one = self.compared(left, sign, right)
            result = one if result is None else compute.and_kleene(result, one)
        return result

    def compared(self, left: list[_Token], sign: str, right: list[_Token]) -> Any:
        import pyarrow

        compute = kernels()

        if not left or not right:
            raise _no_condition(f"got nothing on one side of {sign}")
        if len(left) == 1 and left[0].kind == "quoted":
            left, sign, right = right, _MIRRORED[sign], left
        if len(right) == 1 and right[0].kind == "quoted":
            return self.against_text(left, sign, right[0].text[1:-1])
        for side in (left, right):
            if any(token.kind == "quoted" for token in side):
                raise _no_condition(f"got text within {_text(side)!r}; compare a column with it alone")
        a, b = self.values(left), self.values(right)
        unknown = np.isnan(a) | np.isnan(b)
        a, b = np.broadcast_to(a, (len(self.table),)), np.broadcast_to(b, (len(self.table),))
        told = getattr(compute, _FUNCTIONS[sign])(
            pyarrow.array(np.ascontiguousarray(a)), pyarrow.array(np.ascontiguousarray(b))
        )
        return compute.if_else(
            pyarrow.array(np.broadcast_to(unknown, a.shape)), pyarrow.scalar(None, pyarrow.bool_()), told
        )

    def against_text(self, side: list[_Token], sign: str, text: str) -> Any:
        import pyarrow

        compute = kernels()

        if len(side) != 1 or side[0].kind not in ("column", "word"):
            raise _no_condition(f"got {_text(side)!r} beside the text {text!r}; text is compared with a column alone")
        name = self.known(side[0])
        column, t = self.table[name], pyarrow.types
        if t.is_dictionary(column.type):
            column = compute.cast(column, column.type.value_type)
        if t.is_string(column.type) or t.is_large_string(column.type) or t.is_string_view(column.type):
            if sign not in ("==", "!="):
                raise _no_condition(f"got {name} {sign} {text!r}; text is equal or not (==, !=)")
            return getattr(compute, _FUNCTIONS[sign])(column, pyarrow.scalar(text, column.type))
        if not (t.is_date(column.type) or t.is_timestamp(column.type) or t.is_time(column.type)):
            raise _no_condition(f"got the text {text!r} beside {name!r}, which holds no text. Leave out the quotes")
        try:
            other = pyarrow.scalar(text).cast(column.type)
        except pyarrow.ArrowInvalid:
            raise _no_condition(f"got {text!r} beside the dates of {name!r}. Write one as '2020-01-31'") from None
        return getattr(compute, _FUNCTIONS[sign])(column, other)

    def values(self, side: list[_Token]) -> np.ndarray:
        """Returns the numbers of a formula, (row,) or of no axis."""
        import torch

        from kan2.expressions.evaluate import evaluate
        from kan2.expressions.parse import parse_expression
        from kan2.expressions.token import ExpressionError
        from kan2.expressions.vocabulary import CONSTANTS, FUNCTIONS, GREEK

        pieces: list[str] = []
        symbols: dict[str, str] = {}
        for i, token in enumerate(side):
            is_call = i + 1 < len(side) and side[i + 1].kind == "open" and token.text in FUNCTIONS
            if token.kind == "column" or (
                token.kind == "word" and token.text in self.table.column_names and not is_call
            ):
                name = self.known(token)
                symbols.setdefault(name, f"column_{len(symbols)}")
                pieces.append(symbols[name])
                continue
            if token.kind == "word" and not is_call and token.text not in CONSTANTS:
                self.known(_Token("word", GREEK.get(token.text, token.text)))
                token = _Token("word", GREEK.get(token.text, token.text))
                symbols.setdefault(token.text, f"column_{len(symbols)}")
                pieces.append(symbols[token.text])
                continue
            pieces.append(token.text)
        # A lone column keeps its digits: whole numbers beyond 2**53 are the caller's own matter.
        columns = {symbol: numbers(self.table[name], "where", name) for name, symbol in symbols.items()}
        try:
            expression = parse_expression(" ".join(pieces), names=list(columns))
        except ExpressionError as error:
            # The place is that in the text with our names; what is wrong is said of theirs.
            message = str(error).partition("\n")[0].removeprefix("parse_expression: ")
            for name, symbol in symbols.items():
                message = message.replace(symbol, name)
            raise ExpressionError(f"where: {message} Look at {_text(side)!r}.") from None
        if not columns:
            return np.asarray(float(expression))
        tensors = {symbol: torch.from_numpy(column) for symbol, column in columns.items()}
        return np.asarray(evaluate(expression, tensors).numpy(), dtype=np.float64)

    def known(self, token: _Token) -> str:
        name = token.text.strip("`") if token.kind == "column" else token.text
        if name not in self.table.column_names:
            raise unknown_name("where", "column", name, self.table.column_names)
        return name


def _levels(tokens: list[_Token]) -> list[tuple[int, int]]:
    found, level = [], 0
    for i, token in enumerate(tokens):
        level -= token.kind == "close"
        found.append((i, level))
        level += token.kind == "open"
    return found


def _split(tokens: list[_Token], word: str) -> list[list[_Token]]:
    cuts = [-1, *(i for i, level in _levels(tokens) if level == 0 and tokens[i] == _Token("word", word)), len(tokens)]
    return [tokens[a + 1 : b] for a, b in pairwise(cuts)]


def _closing(tokens: list[_Token]) -> int:
    return next(i for i, level in _levels(tokens) if level == 0 and tokens[i].kind == "close")


def _is_condition(tokens: list[_Token]) -> bool:
    return any(t.kind == "compare" or t.text in ("and", "or", "not") for t in tokens)


def _text(tokens: list[_Token]) -> str:
    return " ".join(token.text for token in tokens)[:60]


def _no_condition(got: str) -> DataError:
    return DataError(f"where: expected a condition such as 'T > 300 and (a < 5 or b == 2)', {got}.")
