"""Text to SymPy, safely: the formulas that users type, in Python or calculator style.

The text is cut into tokens, written out again as plain Python, parsed by the standard `ast` module, and built into
SymPy node by node from a whitelist; no text ever reaches `eval`, `exec` or `sympify`. Calculator habits are understood:
`2x`, `(x+1)(x-1)`, `x^2`, `|x|`, `π`, `x²`. Names that Python reserves, such as `lambda`, are ordinary variables.
Work is bounded: long text, deep nesting and numbers beyond float64 (`9**9**9**9`) are refused.

Reference: https://docs.python.org/3/library/ast.html
"""

import ast
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

import sympy

from kan2.errors import Kan2Error
from kan2.expressions.vocabulary import ALSO_VARIABLES, BINDERS, CONSTANTS, FUNCTIONS, GREEK, ORDERED

MAX_TEXT = 20_000
MAX_DEPTH = 100
TOO_DEEP = "parse_expression: expected a formula, got one nested too deeply. Write it in parts."
MAX_BITS = 1100  # a little beyond the range of float64
MAX_ORDER = 200  # of special functions, which SymPy expands eagerly


class ExpressionError(Kan2Error, ValueError):
    """Text is not a formula that can be read safely."""


_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d²³][^\W²³]*)"
    r"|(?P<op>\*\*|<=|>=|==|!=|[-+*/^(),|<>·×÷−²³%])"
)
_SPELLING = {"^": "**", "·": "*", "×": "*", "÷": "/", "−": "-"}


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name or op
    text: str  # as Python spells it
    start: int  # column in the user's text
    is_call: bool = False


def parse_expression(text: str, names: Sequence[str] | None = None) -> sympy.Expr:
    """Reads a formula from text without ever executing it.

    Whole numbers and short decimals become exact rationals, other decimals keep their float64 value. Symbols carry no
    assumptions, so `sympy.Symbol("x")` substitutes for `x`. A declared name wins over a function or constant of that
    name, so `E` or `gamma` may be variables.

    Args:
        text: the formula, in Python or calculator style, at most 20,000 characters.
        names: the variables that may occur; None allows any.

    Returns:
        The SymPy expression. Sums, products, derivatives and integrals come back unevaluated.

    Raises:
        ExpressionError: the text is not a formula, names something unknown, or would take unbounded work.

    Example:
        >>> parse_expression("2x^2 + |sin(pi y)|/3")
        2*x**2 + Abs(sin(pi*y))/3
    """
    if not isinstance(text, str):
        raise ExpressionError(f"parse_expression: expected text, got {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"parse_expression: expected at most {MAX_TEXT} characters, got {len(text)}. Split it.")
    return _Builder(text, names).parse()


def _complain(text: str, start: int, width: int, message: str) -> ExpressionError:
    left = max(0, start - 40)
    excerpt = text[left : start + 40].replace("\n", " ")
    return ExpressionError(f"parse_expression: {message}\n  {excerpt}\n  {' ' * (start - left)}{'^' * max(1, width)}")


class _Builder:
    def __init__(self, text: str, names: Sequence[str] | None) -> None:
        self.text = text
        self.names = None if names is None else set(names)
        self.bound: list[str] = []
        self.tokens = self._multiply(self._bars(self._tokenise()))

    def fail(self, token: _Token, message: str) -> ExpressionError:
        return _complain(self.text, token.start, len(token.text), message)

    # -- tokens --------------------------------------------------------------------------------------------------

    def _tokenise(self) -> list[_Token]:
        tokens: list[_Token] = []
        position = depth = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                character = self.text[position]
                hint = " Use == to compare, or give the right-hand side only." if character == "=" else ""
                raise _complain(self.text, position, 1, f"expected a formula, got the character {character!r}.{hint}")
            kind, word, start = str(match.lastgroup), match.group(), position
            position = match.end()
            if kind == "space":
                continue
            if word in "²³":
                tokens += [_Token("op", "**", start), _Token("number", "2" if word == "²" else "3", start)]
                continue
            depth += (word == "(") - (word == ")")
            if depth > MAX_DEPTH:
                raise _complain(self.text, start, 1, f"expected at most {MAX_DEPTH} nested parentheses.")
            tokens.append(_Token(kind, _SPELLING.get(word, word), start))
        if not tokens:
            raise ExpressionError("parse_expression: expected a formula, got empty text.")
        return tokens

    def _bars(self, tokens: list[_Token]) -> list[_Token]:
        """Turns |x| into abs(x): a bar closes when one is open at this level and a value stands before it."""
        result: list[_Token] = []
        levels: list[str] = []
        for token in tokens:
            if token.text == "(":
                levels.append("(")
            elif token.text == ")" and levels:
                if levels.pop() == "|":
                    raise self.fail(token, "expected the closing | of an absolute value first.")
            elif token.text == "|":
                if levels and levels[-1] == "|" and result and _ends_value(result[-1]):
                    levels.pop()
                    result.append(_Token("op", ")", token.start))
                    continue
                levels.append("|")
                result.append(_Token("name", "abs", token.start, is_call=True))
                token = _Token("op", "(", token.start)
            result.append(token)
        if "|" in levels:
            raise ExpressionError("parse_expression: expected a closing |, got the end of the text. Or write abs(...).")
        return result

    def _is_function(self, name: str) -> bool:
        return name in FUNCTIONS and not (self.names and name in self.names)

    def _multiply(self, tokens: list[_Token]) -> list[_Token]:
        """Writes out the products that a calculator user leaves out."""
        result: list[_Token] = []
        for i, token in enumerate(tokens):
            previous = result[-1] if result else None
            following = tokens[i + 1].text if i + 1 < len(tokens) else ""
            if token.kind == "name" and token.text not in _WORDS and not token.is_call:
                declared = self.names is not None and token.text in self.names
                is_call = following == "(" and not declared and token.text not in CONSTANTS
                if is_call and token.text not in FUNCTIONS:
                    raise self.fail(token, f"unknown function {token.text!r}.{_suggest(token.text)}"
                                           f" For a product write {token.text}*(...).")  # fmt: skip
                if not is_call and self._is_function(token.text) and token.text not in ALSO_VARIABLES:
                    raise self.fail(token, f"expected an argument, as in {token.text}(x).")
                token = _Token("name", token.text, token.start, is_call)
            starts_value = (
                token.kind == "number" or token.text == "(" or (token.kind == "name" and token.text not in _INFIX)
            )
            if starts_value and previous and _ends_value(previous):
                if _is_divided(result):
                    raise self.fail(token, "a product without * after / is ambiguous. Write a/(b*c) or a/b*c.")
                result.append(_Token("op", "*", token.start))
            result.append(token)
        return result

    # -- tree ----------------------------------------------------------------------------------------------------

    def parse(self) -> sympy.Expr:
        """Writes the tokens as Python in which every name is `v<index>`, parses that, and builds the expression."""
        pieces = [f"v{i}" if t.kind == "name" and t.text not in _WORDS else t.text for i, t in enumerate(self.tokens)]
        # Python refuses integers with leading zeros, calculators do not.
        pieces = [p.lstrip("0") or "0" if t.kind == "number" and p.isdigit() else p
                  for t, p in zip(self.tokens, pieces, strict=True)]  # fmt: skip
        offsets, column = {}, 0
        for token, piece in zip(self.tokens, pieces, strict=True):
            offsets[column] = token
            column += len(piece) + 1
        self.at = offsets
        try:
            tree = ast.parse(" ".join(pieces), mode="eval").body
        except SyntaxError as error:
            token = self.tokens[-1]
            for start, candidate in offsets.items():
                if start < (error.offset or column):
                    token = candidate
            raise self.fail(token, f"expected a formula, got a syntax error near {token.text!r}.") from None
        except (RecursionError, MemoryError):
            raise ExpressionError(TOO_DEEP) from None
        try:
            value = self.build(tree, 0)
        except RecursionError:  # few frames are left to a caller that is deep down itself
            raise ExpressionError(TOO_DEEP) from None
        if not isinstance(value, sympy.Expr):
            raise ExpressionError(f"parse_expression: expected a formula, got the {_kind(value)} {value}.")
        _check_size(self, self.tokens[0], value)
        if value.has(sympy.zoo, sympy.nan):
            raise self.fail(self.tokens[0], "undefined: a division by zero or an infinite value.")
        if value in (sympy.oo, -sympy.oo):
            raise self.fail(self.tokens[0], "undefined: an infinite value.")
        return value

    def build(self, node: ast.expr, depth: int) -> Any:
        token = self.at.get(node.col_offset, self.tokens[0])
        if depth > 3 * MAX_DEPTH:
            raise self.fail(token, "expected a formula, got one nested too deeply.")
        method = getattr(self, f"_build_{type(node).__name__}", None)
        if method is None:
            raise self.fail(token, f"expected a formula, got {type(node).__name__}.")
        try:
            value = method(node, token, depth + 1)
        except (TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError) as error:
            if isinstance(error, ExpressionError):
                raise
            raise self.fail(token, f"not a formula: {error}".rstrip(".") + ".") from None
        if value is sympy.zoo or value is sympy.nan:
            raise self.fail(token, "undefined: a division by zero or an infinite value.")
        return value

    def _build_Constant(self, node: ast.Constant, token: _Token, depth: int) -> Any:
        if isinstance(node.value, bool):
            return sympy.true if node.value else sympy.false
        return _number(self, token)

    def _build_Name(self, node: ast.Name, token: _Token, depth: int) -> Any:
        name = token.text
        if name in self.bound or (self.names and name in self.names):
            return sympy.Symbol(name)
        if self.names and GREEK.get(name) in self.names:
            return sympy.Symbol(GREEK[name])
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name == "oo" and self.bound:
            return sympy.oo
        if self.names is not None:
            raise self.fail(token, f"undeclared symbol {name!r}. Declared: {', '.join(sorted(self.names)) or 'none'}.")
        if name in ("I", "oo"):
            raise self.fail(token, f"{name!r} is not a real number. Declare it as an input to use it as a variable.")
        return sympy.Symbol(name)

    def _build_UnaryOp(self, node: ast.UnaryOp, token: _Token, depth: int) -> Any:
        value = self.build(node.operand, depth)
        if isinstance(node.op, ast.USub):
            return -value
        return sympy.Not(value) if isinstance(node.op, ast.Not) else +value

    def _build_BinOp(self, node: ast.BinOp, token: _Token, depth: int) -> Any:
        if isinstance(node.op, ast.Pow):
            return _power(self, token, self.build(node.left, depth), self.build(node.right, depth))
        if isinstance(node.op, ast.Mod):
            return sympy.Mod(self.build(node.left, depth), self.build(node.right, depth))
        # A sum of a thousand terms is a thousand levels deep on its left side: walk down instead of recursing.
        first, second = (ast.Add, ast.Sub) if isinstance(node.op, ast.Add | ast.Sub) else (ast.Mult, ast.Div)
        if not isinstance(node.op, first | second):
            raise self.fail(token, f"expected + - * / ** ^ %, got {type(node.op).__name__}.")
        terms: list[Any] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, first | second):
            value = self.build(left.right, depth)
            inverse = isinstance(left.op, second)
            terms.append(value if not inverse else -value if second is ast.Sub else 1 / value)
            left = left.left
        terms.append(self.build(left, depth))
        return (sympy.Add if first is ast.Add else sympy.Mul)(*reversed(terms))

    def _build_Call(self, node: ast.Call, token: _Token, depth: int) -> Any:
        if not token.is_call or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.fail(token, "expected a plain function call.")
        binds = token.text in BINDERS
        n_bound = len(self.bound)
        if binds:
            for limit in node.args[1:]:
                name = limit.elts[0] if isinstance(limit, ast.Tuple) and limit.elts else limit
                self.bound.append(self.at[name.col_offset].text)
        arguments = [self.build(argument, depth) for argument in node.args]
        del self.bound[n_bound:]
        for value in arguments:
            _check_size(self, token, value)
            if token.text in ORDERED and getattr(value, "is_number", False) and not abs(value) <= MAX_ORDER:
                raise self.fail(token, f"expected numbers of size at most {MAX_ORDER} in {token.text}, got {value}.")
        return FUNCTIONS[token.text](*arguments)

    def _build_Tuple(self, node: ast.Tuple, token: _Token, depth: int) -> Any:
        return tuple(self.build(item, depth) for item in node.elts)

    def _build_Compare(self, node: ast.Compare, token: _Token, depth: int) -> Any:
        values = [self.build(item, depth) for item in [node.left, *node.comparators]]
        pairs = zip(node.ops, values[:-1], values[1:], strict=True)
        return sympy.And(*(_RELATIONS[type(op)](left, right) for op, left, right in pairs))

    def _build_BoolOp(self, node: ast.BoolOp, token: _Token, depth: int) -> Any:
        join = sympy.And if isinstance(node.op, ast.And) else sympy.Or
        return join(*(self.build(item, depth) for item in node.values))

    def _build_IfExp(self, node: ast.IfExp, token: _Token, depth: int) -> Any:
        test, yes, no = (self.build(item, depth) for item in (node.test, node.body, node.orelse))
        return sympy.Piecewise((yes, test), (no, True))


_INFIX = {"and", "or", "if", "else"}
_WORDS = _INFIX | {"not", "True", "False"}
_RELATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: sympy.Lt, ast.LtE: sympy.Le, ast.Gt: sympy.Gt, ast.GtE: sympy.Ge, ast.Eq: sympy.Eq, ast.NotEq: sympy.Ne,
}  # fmt: skip


def _ends_value(token: _Token) -> bool:
    return (
        token.kind == "number"
        or token.text == ")"
        or (token.kind == "name" and not token.is_call and token.text not in _WORDS)
    )


def _is_divided(tokens: list[_Token]) -> bool:
    """Says whether the factor that ends here stands under a division bar, as b does in a/b."""
    depth = 0
    for token in reversed(tokens):
        depth += (token.text == ")") - (token.text == "(")
        if depth < 0 or (depth == 0 and token.text in ("+", "-", "*", ",", "%")):
            return False
        if depth == 0 and token.text == "/":
            return True
    return False


def _suggest(name: str) -> str:
    close = get_close_matches(name, FUNCTIONS, n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _kind(value: Any) -> str:
    return "tuple" if isinstance(value, tuple) else "condition"


def _number(builder: _Builder, token: _Token) -> sympy.Expr:
    """Reads a number so that its float64 value is the one Python gives to the same text."""
    value = float(token.text)
    if not math.isfinite(value) or (value == 0 and re.search("[1-9]", re.split("[eE]", token.text)[0])):
        raise builder.fail(token, "expected a number within the range of float64.")
    if len(token.text) < 400:
        exact = Fraction(token.text)
        if token.text.isdigit() or (exact.denominator == 1 and exact.numerator <= 2**53):
            return sympy.Integer(exact.numerator)
        if exact.numerator <= 1000 and exact.denominator <= 1000:
            return sympy.Rational(exact.numerator, exact.denominator)
    return sympy.Float(value)


def _check_size(builder: _Builder, token: _Token, value: Any) -> None:
    """Refuses constants beyond float64 before SymPy is asked to evaluate a function of them."""
    if isinstance(value, sympy.Expr) and value.is_number and not value.has(sympy.Sum, sympy.Product, sympy.Integral):
        size = value if value.is_Atom else abs(value.evalf(15))
        if size.is_finite and not abs(size) < 1e308:
            raise builder.fail(token, "expected constants within the range of float64.")


def _power(builder: _Builder, token: _Token, base: Any, exponent: Any) -> Any:
    for value in (base, exponent):
        _check_size(builder, token, value)
    factor: Any = base.as_coeff_Mul()[0] if isinstance(base, sympy.Expr) else base
    if exponent.is_Rational and factor.is_Rational and factor not in (0, 1, -1):
        bits = abs(float(exponent)) * math.log2(max(abs(factor.p), factor.q))
        if bits > MAX_BITS:
            raise builder.fail(token, "expected constants within the range of float64.")
    elif exponent.is_number and base.is_number:
        size = float(exponent.evalf(15)) * math.log2(max(abs(complex(base.evalf(15))), 2**-MAX_BITS))
        if abs(size) > MAX_BITS and base != sympy.E:
            raise builder.fail(token, "expected constants within the range of float64.")
    return base**exponent
