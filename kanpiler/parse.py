"""What users give, read into one form: a `Program` of expressions with named inputs and outputs.

Accepted are text (Python, calculator style or LaTeX), SymPy expressions, numbers, lists and matrices of these (several
outputs), `Eq(y, ...)` or the text `y = ...`, and dictionaries name -> expression.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import sympy

from kan2.expressions.parse import ExpressionError, parse_expression
from kan2.expressions.symbols import QUOTED, QUOTED_LATEX, name_of_latex, symbol
from kanpiler.errors import CompileError, ParseError, UnsupportedExpression

_EQUATION = re.compile(r"\s*\$?\s*\\?([^\W\d]\w*?)(?:_\{(\w+)\})?\s*=(?!=)(.*)", re.DOTALL)
_QUOTED_EQUATION = re.compile(rf"\s*\$?\s*({QUOTED}|{QUOTED_LATEX})\s*=(?!=)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Program:
    """Expressions to compile, over plain symbols.

    Attributes:
        expressions: one for each output.
        inputs: names of the columns of the network's input, in order.
        outputs: names of the outputs.
    """

    expressions: tuple[sympy.Expr, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def parse(source: Any, inputs: Iterable[str | sympy.Symbol] | None = None) -> Program:
    """Reads what the user gave.

    Args:
        source: text, a SymPy expression, a number, a list, matrix or dictionary of these, or an equation.
        inputs: ordered input names; None takes the free symbols, sorted.

    Returns:
        The program.

    Raises:
        ParseError: this is not a formula.
        CompileError: a symbol is not among the inputs.

    Example:
        >>> parse("f = x*sin(y)")
        Program(expressions=(x*sin(y),), inputs=('x', 'y'), outputs=('f',))
    """
    names = None if inputs is None else input_names(inputs)
    items = items_of(source)
    pairs = [_read(name, item, names) for name, item in items]
    expressions = tuple(_plain(expression) for _, expression in pairs)
    found = sorted({symbol.name for expression in expressions for symbol in expression.free_symbols})  # type: ignore[attr-defined]
    if names is None:
        # A network needs a column to know its batch size by, even for a constant.
        names = tuple(found) or ("x",)
    elif unknown := [name for name in found if name not in names]:
        raise CompileError(
            f"compile: undeclared symbol{'s' * (len(unknown) > 1)} {', '.join(map(repr, unknown))}. "
            f"Declared inputs: {', '.join(names)}."
        )
    n = len(pairs)
    outputs = tuple(name or default for (name, _), default in zip(pairs, _default_outputs(n, names)))
    if len(set(outputs)) != n:
        raise ParseError(f"compile: expected different output names, got {', '.join(outputs)}.")
    return Program(expressions, names, outputs)


def _default_outputs(n: int, inputs: tuple[str, ...]) -> list[str]:
    """Returns y, or y1, y2, ...; with f in place of y where an input has such a name."""
    options = [[letter] if n == 1 else [f"{letter}{i + 1}" for i in range(n)] for letter in ("y", "f", "output")]
    return next((names for names in options if not set(names) & set(inputs)), options[0])


def input_names(inputs: Iterable[str | sympy.Symbol]) -> tuple[str, ...]:
    if isinstance(inputs, str):
        inputs = inputs.replace(",", " ").split()
    if not isinstance(inputs, Iterable):
        raise ParseError(f"compile: expected inputs as a list of names, got {inputs!r}. None takes all symbols.")
    names = tuple(i.name if isinstance(i, sympy.Symbol) else i for i in inputs)
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise ParseError(f"compile: expected different names as inputs, got {names!r}.")
    return names


def items_of(source: Any) -> list[tuple[str | None, Any]]:
    items: list[tuple[str | None, Any]]
    if isinstance(source, Mapping):
        items = [(getattr(key, "name", key), value) for key, value in source.items()]
        if not all(isinstance(key, str) for key, _ in items):
            raise ParseError(f"compile: expected names as dictionary keys, got {list(source)!r}.")
    elif isinstance(source, sympy.MatrixBase | sympy.NDimArray):
        items = [(None, value) for value in sympy.flatten(source)]
    elif isinstance(source, sympy.MatrixExpr) and all(sympy.sympify(n).is_Integer for n in source.shape):
        items = [(None, value) for value in sympy.flatten(source.as_explicit())]
    elif isinstance(source, Sequence | sympy.Tuple) and not isinstance(source, str):
        items = [(None, value) for value in source]
    else:
        items = [(None, source)]
    if not items:
        raise ParseError("compile: expected at least one expression, got none.")
    return items


def _read(name: str | None, item: Any, names: tuple[str, ...] | None) -> tuple[str | None, sympy.Expr]:
    """Reads one output."""
    if isinstance(item, str):
        left, equals, right = split_equation(item)
        if equals:
            name, item = left, right
        return name, read_text(item, names)
    if isinstance(item, bool) or item is sympy.true or item is sympy.false:
        raise ParseError(f"compile: expected a formula, got {item}.")
    if isinstance(item, Real) and not isinstance(item, sympy.Basic):
        item = sympy.Float(float(item)) if not isinstance(item, int) else sympy.Integer(item)
    if isinstance(item, sympy.Equality):
        if not isinstance(item.lhs, sympy.Symbol) or item.lhs in item.rhs.free_symbols:
            raise UnsupportedExpression(
                f"compile: expected Eq(name, formula), got {item}. Solve it for one symbol first, or compile lhs - rhs."
            )
        return item.lhs.name, _read(None, item.rhs, names)[1]
    if isinstance(item, sympy.MatrixBase | sympy.MatrixExpr):
        raise UnsupportedExpression(
            f"compile: expected a formula with one value, got the matrix {' '.join(str(item).split())}. Pass its "
            "elements, or the matrix alone."
        )
    if not isinstance(item, sympy.Expr):
        if isinstance(item, sympy.Basic):
            raise UnsupportedExpression(f"compile: expected a formula with real values, got {item}.")
        raise ParseError(f"compile: expected text or a SymPy expression, got {type(item).__name__}.")
    return name, item


def split_equation(text: str) -> tuple[str, bool, str]:
    """Splits `y = formula`; comparisons inside a formula are left alone."""
    if odd := _QUOTED_EQUATION.match(text):
        name = odd[1] if odd[1][0] == "`" else name_of_latex(odd[1])
        return name[1:-1].replace("``", "`"), True, odd[2]
    match = _EQUATION.match(text)
    if match is None:
        return "", False, text
    name, subscript, right = match.groups()
    return f"{name}_{subscript}" if subscript else name, True, right


def read_text(text: str, names: tuple[str, ...] | None) -> sympy.Expr:
    try:
        if re.search(r"[\\{]", re.sub(QUOTED, "", text)):
            from kanpiler.latex import parse_latex

            return parse_latex(text, names)
        return parse_expression(text, names)
    except RecursionError:
        raise ParseError("compile: expected a formula, got one nested too deeply.") from None
    except ExpressionError as error:
        raise ParseError(str(error).replace("parse_expression", "compile", 1)) from None


def _plain(expression: sympy.Expr) -> sympy.Expr:
    """Replaces all symbols by plain ones, so that names alone say what is the same."""
    if functions := expression.atoms(sympy.core.function.AppliedUndef):
        raise UnsupportedExpression(f"compile: unknown function {min(map(str, functions))}. Put in its definition.")
    symbols = expression.free_symbols
    if strange := [s for s in symbols if not isinstance(s, sympy.Symbol)]:
        raise UnsupportedExpression(
            f"compile: expected plain symbols, got {strange[0]}. Give the elements of a matrix symbols of their own."
        )
    names = [s.name for s in symbols]  # type: ignore[attr-defined]
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ParseError(f"compile: two different symbols are both named {double!r}. Give them different names.")
    plain = {s: symbol(s.name) for s in symbols}  # type: ignore[attr-defined]
    # Without this filter SymPy would build the whole expression anew.
    changed: Any = {s: p for s, p in plain.items() if type(s) is not type(p) or s != p}
    return _replaced(expression, changed)


def _replaced(node: Any, changed: Mapping[Any, Any]) -> Any:
    """Replaces symbols, as `xreplace` does, but has SymPy not compare all pairs of what stands in Max and Min."""
    if not node.args:
        return changed.get(node, node)
    args = [_replaced(argument, changed) for argument in node.args]
    if all(new is old for new, old in zip(args, node.args)):
        return node
    return node.func(*args, evaluate=False) if isinstance(node, sympy.Max | sympy.Min) else node.func(*args)
