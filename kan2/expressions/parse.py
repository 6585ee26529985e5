"""Text to SymPy, safely: the formulas that users type, in Python or calculator style.

The text is cut into tokens, written out again as plain Python, parsed by the standard `ast` module, and built into
SymPy node by node from a whitelist; no text ever reaches `eval`, `exec` or `sympify`. Calculator habits are understood:
`2x`, `(x+1)(x-1)`, `x^2`, `|x|`, `π`, `x²`, `½`, `√x`. Names that Python reserves, such as `lambda`, are ordinary
variables. Work is bounded: long text, deep nesting, numbers beyond float64 (`9**9**9**9`) and whatever keeps SymPy busy
for more than a second are refused.

Reference: https://docs.python.org/3/library/ast.html
"""

import ast
import math
import re
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from typing import Any

import sympy

from kan2.expressions.complex_parts import real_form
from kan2.expressions.limits import time_left, time_limit
from kan2.expressions.matrices import element
from kan2.expressions.symbols import quoted, symbol, with_backquotes
from kan2.expressions.token import WORDS, ExpressionError, Token, complain
from kan2.expressions.tokens import MAX_DEPTH, tokenize
from kan2.expressions.vocabulary import ARITIES, BINDERS, COMPLEX, CONSTANTS, FUNCTIONS, GREEK, IMAGINARY, ORDERED

__all__ = ["MAX_DEPTH", "MAX_TEXT", "ExpressionError", "parse_expression"]

MAX_TEXT = 20_000
SECONDS = 1.0  # of processor time, where a thousand terms take less than 0.2
TOO_DEEP = "parse_expression: expected a formula, got one nested too deeply. Write it in parts."
MAX_BITS = 1100  # a little beyond the range of float64
MAX_ORDER = 200  # of special functions, which SymPy expands eagerly


def parse_expression(text: str, names: Sequence[str] | None = None, functions: Collection[str] = ()) -> sympy.Expr:
    """Reads a formula from text without ever executing it.

    Whole numbers and short decimals become exact rationals, other decimals keep their float64 value. Symbols carry no
    assumptions, so `sympy.Symbol("x")` substitutes for `x`. A declared name wins over a function or constant of that
    name, so `E` or `gamma` may be variables. A name that is no word is written in backquotes: "2*`flow rate`"; so may
    all others be, and "`pi`" is a variable wherever it stands.

    `E` is Euler's number, as SymPy prints it, and `e` a letter like all others; `e^x`, which most mean otherwise, is
    refused where `e` is not declared, as is any `e` beside declared names. Write `exp(x)`, `E` or `ℯ` for the number.

    `cbrt(x)`, `root(x, n)` with an odd whole n, `∛x` and `³√x` are real for negative x. Powers, such as `x**(1/3)`, are
    principal values: not real, hence not a number, for negative x.

    Variables are real: re(x) is x. Within `re`, `im`, `arg`, `abs` and `conjugate`, `I` is the imaginary unit where it
    is not declared, and what is real comes back in real form: re(exp(I*w*t)) as cos(t*w). `x!` is the factorial,
    `Matrix([x, y])[0]` an element.

    What could be read in two ways is refused with a remedy: `x mod 2`, `1 000`, `0x10`, `1/2x`, `sinx`, `|x|y|z|`,
    `x^2!`, a `%` for percent, names that look the same, invisible characters; so are conditions among numbers, as in
    `(x > 0)*x`, arguments that a function does not take, and a base of a logarithm that is none.

    Args:
        text: the formula, in Python or calculator style, at most 20,000 characters.
        names: the variables that may occur; None allows any.
        functions: names of functions that are not known otherwise, such as the f of f(x, y); they come back as those of
            `sympy.Function`.

    Returns:
        The SymPy expression. Sums, products, derivatives and integrals come back unevaluated.

    Raises:
        ExpressionError: the text is not a formula, can be read in two ways, names something unknown, or would take
            more than a second of processor time.

    Example:
        >>> parse_expression("2x^2 + |sin(pi y)|/3")
        2*x**2 + Abs(sin(pi*y))/3
    """
    if not isinstance(text, str):
        raise ExpressionError(f"parse_expression: expected text, got {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"parse_expression: expected at most {MAX_TEXT} characters, got {len(text)}. Split it.")
    try:
        # Whoever has set a limit around, as the compiler does, gives that much.
        with time_limit(SECONDS if time_left() == math.inf else math.inf):
            return with_backquotes(_Builder(text, names, functions).parse())
    except TimeoutError:
        raise ExpressionError(
            f"parse_expression: expected a formula that SymPy builds within {SECONDS:g} s, got one that takes longer. "
            "Write it in parts, or with smaller numbers."
        ) from None


class _Builder:
    def __init__(self, text: str, names: Sequence[str] | None, functions: Collection[str]) -> None:
        self.text, self.functions = text, functions
        self.names = None if names is None else set(names)
        self.bound: list[str] = []
        self.complex = 0  # how many functions of complex values stand around
        self.tokens = tokenize(text, self.names, functions)

    def fail(self, token: Token, message: str) -> ExpressionError:
        return complain(self.text, token.start, len(token.text), message)

    # -- tree ----------------------------------------------------------------------------------------------------

    def parse(self) -> sympy.Expr:
        """Writes the tokens as Python in which every name is `v<index>`, parses that, and builds the expression."""
        pieces = [
            f"v{i}" if t.kind == "quoted" or (t.kind == "name" and t.text not in WORDS) else t.text
            for i, t in enumerate(self.tokens)
        ]
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
            raise self.fail(
                token, f"expected a formula, got a syntax error near {token.text!r}.{_near(token)}"
            ) from None
        except (RecursionError, MemoryError):
            raise ExpressionError(TOO_DEEP) from None
        try:
            value = self.build(tree, 0)
        except RecursionError:  # few frames are left to a caller that is deep down itself
            raise ExpressionError(TOO_DEEP) from None
        if not isinstance(value, sympy.Expr):
            raise self.fail(self.tokens[0], f"expected a formula, got {_kind(value)}.")
        _check_size(self, self.tokens[0], value)
        if value.has(sympy.zoo, sympy.nan):
            raise self.fail(self.tokens[0], "undefined: a division by zero or an infinite value.")
        if value in (sympy.oo, -sympy.oo):
            raise self.fail(self.tokens[0], "undefined: an infinite value.")
        try:
            return real_form(value)
        except Exception as error:  # SymPy fails in ways as many as it has functions
            raise self.fail(self.tokens[0], _not_a_formula(error)) from None

    def build(self, node: ast.expr, depth: int) -> Any:
        token = self.at.get(node.col_offset, self.tokens[0])
        if depth > 3 * MAX_DEPTH:
            raise self.fail(token, "expected a formula, got one nested too deeply.")
        method = getattr(self, f"_build_{type(node).__name__}", None)
        if method is None:
            raise self.fail(token, f"expected a formula, got {type(node).__name__}.")
        try:
            value = method(node, token, depth + 1)
        except (ExpressionError, RecursionError):
            raise
        except Exception as error:  # SymPy fails in ways as many as it has functions
            raise self.fail(token, _not_a_formula(error)) from None
        if value is sympy.zoo or value is sympy.nan:
            raise self.fail(token, "undefined: a division by zero or an infinite value.")
        return value

    def _build_Constant(self, node: ast.Constant, token: Token, depth: int) -> Any:
        if isinstance(node.value, bool):
            return sympy.true if node.value else sympy.false
        return _number(self, token)

    def _build_Name(self, node: ast.Name, token: Token, depth: int) -> Any:
        name = token.text
        if name in self.bound or (self.names and name in self.names):
            return symbol(name)
        if token.kind == "quoted" and self.names is None:
            return symbol(name)
        if self.names and GREEK.get(name) in self.names:
            return symbol(GREEK[name])
        if name in CONSTANTS and token.kind != "quoted":
            return CONSTANTS[name]
        if name == "oo" and self.bound:
            return sympy.oo
        if name in IMAGINARY and self.complex:
            return sympy.I
        if name == "oo" or name in IMAGINARY:
            shown, where = ("i", "") if name == "ⅈ" else (name, "")
            if name in IMAGINARY:
                where = " The imaginary unit may stand within re, im, abs, arg and conjugate."
            raise self.fail(
                token, f"{shown!r} is not a real number. Declare it as an input to use it as a variable.{where}"
            )
        if self.names is not None:
            odd = [quoted(other) for other in sorted(self.names) if quoted(other) != other]
            hint = f" In formulas, other names than words are written in backquotes: {', '.join(odd)}." if odd else ""
            declared = ", ".join(sorted(self.names)) or "none"
            raise self.fail(token, f"undeclared symbol {name!r}. Declared: {declared}.{hint}")
        return sympy.Symbol(name)

    def _build_UnaryOp(self, node: ast.UnaryOp, token: Token, depth: int) -> Any:
        if isinstance(node.op, ast.Not):
            return sympy.Not(self.build(node.operand, depth))
        value = self.number(node.operand, depth)
        return -value if isinstance(node.op, ast.USub) else value

    def _build_BinOp(self, node: ast.BinOp, token: Token, depth: int) -> Any:
        if isinstance(node.op, ast.Pow):
            return _power(self, token, self.number(node.left, depth), self.number(node.right, depth))
        if isinstance(node.op, ast.Mod):
            return sympy.Mod(self.number(node.left, depth), self.number(node.right, depth))
        # A sum of a thousand terms is a thousand levels deep on its left side: walk down instead of recursing.
        first, second = (ast.Add, ast.Sub) if isinstance(node.op, ast.Add | ast.Sub) else (ast.Mult, ast.Div)
        if not isinstance(node.op, first | second):
            raise self.fail(token, f"expected + - * / ** ^ %, got {type(node.op).__name__}.")
        values: list[tuple[Any, bool]] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, first | second):
            values.append((self.build(left.right, depth), isinstance(left.op, second)))
            left = left.left
        values.append((self.build(left, depth), False))
        if second is ast.Div and any(_is_condition(value) for value, _ in values):
            raise self.fail(token, _factor_remedy([value for value, _ in reversed(values)]))
        terms = []
        for value, inverse in values:
            self.check_number(value, token)
            terms.append(value if not inverse else -value if second is ast.Sub else 1 / value)
        return (sympy.Add if first is ast.Add else sympy.Mul)(*reversed(terms))

    def number(self, node: ast.expr, depth: int) -> sympy.Expr:
        """Builds what must be a number or a formula of one, not a condition."""
        return self.check_number(self.build(node, depth), self.at.get(node.col_offset, self.tokens[0]))

    def check_number(self, value: Any, token: Token) -> sympy.Expr:
        if not isinstance(value, sympy.Expr):
            raise self.fail(token, f"expected a number, got {_kind(value)}.")
        return value

    def _build_Call(self, node: ast.Call, token: Token, depth: int) -> Any:
        if not token.is_call or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.fail(token, "expected a plain function call.")
        if token.text in self.functions:
            return sympy.Function(token.text)(*(self.number(argument, depth) for argument in node.args))
        binds = token.text in BINDERS
        n_bound = len(self.bound)
        if binds:
            for limit in node.args[1:]:
                name = limit.elts[0] if isinstance(limit, ast.Tuple) and limit.elts else limit
                self.bound.append(self.at[name.col_offset].text)
        self.complex += token.text in COMPLEX
        arguments = [self.build(argument, depth) for argument in node.args]
        self.complex -= token.text in COMPLEX
        del self.bound[n_bound:]
        for limit in arguments[1:] if binds else ():
            parts = limit if isinstance(limit, tuple) else (limit,)
            if not all(isinstance(part, sympy.Expr) for part in parts) or not parts[0].is_Symbol or len(parts) > 3:
                raise self.fail(token, f"expected (variable, low, high) with numbers or formulas in {token.text}.")
        _check_arguments(self, token, arguments)
        for value in arguments:
            _check_size(self, token, value)
            if token.text in ORDERED and getattr(value, "is_number", False) and not abs(value) <= MAX_ORDER:
                raise self.fail(token, f"expected numbers of size at most {MAX_ORDER} in {token.text}, got {value}.")
        return FUNCTIONS[token.text](*arguments)

    def _build_List(self, node: ast.List, token: Token, depth: int) -> Any:
        return [self.build(item, depth) for item in node.elts]

    def _build_Subscript(self, node: ast.Subscript, token: Token, depth: int) -> Any:
        matrix, index = self.build(node.value, depth), self.build(node.slice, depth)
        if not isinstance(matrix, sympy.MatrixBase):
            raise self.fail(token, f"expected a matrix before an index, got {matrix}.")  # as in Matrix([x, y])[0][0]
        return element(matrix, index if isinstance(index, tuple) else (index,), [*map(symbol, self.bound)])

    def _build_Tuple(self, node: ast.Tuple, token: Token, depth: int) -> Any:
        return tuple(self.build(item, depth) for item in node.elts)

    def _build_Compare(self, node: ast.Compare, token: Token, depth: int) -> Any:
        values = [self.number(item, depth) for item in [node.left, *node.comparators]]
        pairs = zip(node.ops, values[:-1], values[1:], strict=True)
        return sympy.And(*(_RELATIONS[type(op)](left, right) for op, left, right in pairs))

    def _build_BoolOp(self, node: ast.BoolOp, token: Token, depth: int) -> Any:
        join = sympy.And if isinstance(node.op, ast.And) else sympy.Or
        return join(*(self.build(item, depth) for item in node.values))

    def _build_IfExp(self, node: ast.IfExp, token: Token, depth: int) -> Any:
        test, yes, no = self.build(node.test, depth), self.number(node.body, depth), self.number(node.orelse, depth)
        return sympy.Piecewise((yes, test), (no, True))


_SIGNS = {"+", "-", "*", "/", "**", ",", "(", ")", "<", ">", "<=", ">=", "==", "!="}
_RELATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: sympy.Lt, ast.LtE: sympy.Le, ast.Gt: sympy.Gt, ast.GtE: sympy.Ge, ast.Eq: sympy.Eq, ast.NotEq: sympy.Ne,
}  # fmt: skip


def _not_a_formula(error: Exception) -> str:
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"not a formula: {said}".rstrip(".") + "."


def _near(token: Token) -> str:
    return " An operation or a value is missing." if token.text in _SIGNS else ""


def _kind(value: Any) -> str:
    if isinstance(value, sympy.MatrixBase):
        return "a matrix. Take an element, as in Matrix([x, y])[0]; several outputs are a list of formulas"
    if isinstance(value, list):
        return "a list. Matrix([x, y])[0] is an element of a matrix"
    if isinstance(value, tuple):
        return "values separated by commas (a tuple). Write numbers with a point, 3.5, and thousands as 1000"
    return f"the condition {value}. Write Piecewise((a, condition), (b, True)), or a - b to compare"


def _is_condition(value: Any) -> bool:
    return isinstance(value, sympy.logic.boolalg.Boolean) and not isinstance(value, sympy.Expr)


def _factor_remedy(values: Sequence[Any]) -> str:
    condition = next(value for value in values if _is_condition(value))
    other = next((str(value) for value in values if isinstance(value, sympy.Expr)), "1")
    return f"expected a number, got the condition {condition}. Write Piecewise(({other}, {condition}), (0, True))."


def _check_arguments(builder: _Builder, token: Token, arguments: Sequence[Any]) -> None:
    """Refuses what a function does not take: too many or too few arguments, conditions, a base that is none."""
    name, n = token.text, len(arguments)
    least, most = ARITIES[name]
    if n < least or (most is not None and n > most):
        wanted = f"at least {least}" if most is None else str(least) if least == most else f"{least} to {most}"
        plural = "s" * ((most or least) > 1)
        raise builder.fail(token, f"expected {wanted} argument{plural} in {name}, got {n}.")
    if name == "Matrix":
        for value in sympy.flatten(arguments):
            builder.check_number(value, token)
    is_special = name in BINDERS or name in ("Derivative", "diff")
    for value in arguments[:1] if is_special else arguments:
        if name == "Piecewise":
            value = value[0] if isinstance(value, tuple) and value else value
        elif name == "Matrix":
            continue
        builder.check_number(value, token)
    base = arguments[1] if name == "log" and n == 2 else None
    if base is not None and base.is_number:
        number = base.evalf(15)
        if not (number.is_extended_real and number > 0 and number != 1 and float(number) != 1):
            raise builder.fail(token, f"expected a positive base of the logarithm other than 1, got {base}.")


def _number(builder: _Builder, token: Token) -> sympy.Expr:
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


def _check_size(builder: _Builder, token: Token, value: Any) -> None:
    """Refuses constants beyond float64 before SymPy is asked to evaluate a function of them."""
    if isinstance(value, sympy.Expr) and value.is_number and not value.has(sympy.Sum, sympy.Product, sympy.Integral):
        size = value if value.is_Atom else abs(value.evalf(15))
        if size.is_finite and not abs(size) < 1e308:
            raise builder.fail(token, "expected constants within the range of float64.")


def _power(builder: _Builder, token: Token, base: Any, exponent: Any) -> Any:
    for value in (base, exponent):
        _check_size(builder, token, value)
    factor: Any = base.as_coeff_Mul()[0] if isinstance(base, sympy.Expr) else base
    if exponent.is_Rational and factor.is_Rational and factor not in (0, 1, -1):
        bits = abs(float(exponent)) * math.log2(max(abs(factor.p), factor.q))
        if bits > MAX_BITS:
            raise builder.fail(token, "expected constants within the range of float64.")
    elif exponent.is_number and base.is_number:
        power = complex(exponent.evalf(15))
        # The size of z^(a + i b) is at most |z|^a exp(|b| pi).
        size = abs(power.real * math.log2(max(abs(complex(base.evalf(15))), 2**-MAX_BITS))) + abs(power.imag) * 5
        if abs(size) > MAX_BITS and base != sympy.E:
            raise builder.fail(token, "expected constants within the range of float64.")
    return base**exponent
