"""A theory as it is written, read into expressions: columns, parameters, and calls of unknown functions.

Every call of an unknown function, such as `f(a*x + g(y))` or the derivative `f'(x)`, is replaced by a symbol for its
value; the calls are kept in an order in which each needs only those before it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import sympy
from sympy.core.function import AppliedUndef

from kan2.expressions.parse import ExpressionError, parse_expression
from kan2.expressions.symbols import NAME, quoted, symbol, with_backquotes
from kan2.expressions.vocabulary import FUNCTIONS
from kanpiler.errors import CompileError, ParseError, UnsupportedExpression
from kanpiler.parse import items_of, read_text, split_equation

PRIMES = "'′’"
_DERIVATIVE = re.compile(rf"({NAME})([{PRIMES}]+)\s*(?=\()")
_MARK = "_prime_"


@dataclass(frozen=True)
class Call:
    """An unknown function, or a derivative of it, at an argument.

    Attributes:
        value: the symbol that stands for it.
        function: its name.
        argument: over columns, parameters and values of calls before this one.
        order: which derivative.
    """

    value: sympy.Symbol
    function: str
    argument: sympy.Expr
    order: int = 0

    @property
    def applied(self) -> Any:
        """The call as SymPy writes it."""
        return sympy.Function(self.function + "'" * self.order)(self.argument)


@dataclass(frozen=True)
class Form:
    """A theory, read.

    Attributes:
        texts: the formulas as they were given.
        expressions: one an output, over columns, parameters and values of calls.
        calls: of the unknown functions.
        names: all letters that are no values of calls, sorted.
        outputs: names of the outputs.
        implicit: whether the formulas are equations that are to vanish.
    """

    texts: tuple[str, ...]
    expressions: tuple[sympy.Expr, ...]
    calls: tuple[Call, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    implicit: bool = False

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the unknown functions that occur."""
        return tuple(dict.fromkeys(call.function for call in self.calls))

    def written(self, expression: sympy.Expr, known: Mapping[str, Any] = {}) -> sympy.Expr:
        """Returns an expression with its calls written out.

        Args:
            expression: over values of calls.
            known: (symbol, formula) of the functions that have one, by name.
        """
        for call in reversed(self.calls):
            if call.function in known:
                variable, formula = known[call.function]
                formula = sympy.diff(formula, variable, call.order) if call.order else formula
                expression = cast(
                    sympy.Expr, expression.xreplace({call.value: formula.xreplace({variable: call.argument})})
                )
            else:
                expression = cast(sympy.Expr, expression.xreplace({call.value: call.applied}))
        return expression

    def _told(self, written: Sequence[sympy.Expr]) -> tuple[str, ...]:
        # As the formulas were given: `y = ...` stays that, and an equation one.
        found = []
        for given, name, expression in zip(self.texts, self.outputs, written):
            has_name = not self.implicit and split_equation(given)[1]
            text = str(with_backquotes(expression))
            found.append(f"{quoted(name)} = {text}" if has_name else f"{text}{' = 0' * self.implicit}")
        return tuple(found)

    def retold(self) -> "Form":
        """Returns the theory with its texts written anew from its expressions."""
        return replace(self, texts=self._told([self.written(e) for e in self.expressions]))

    def renamed(self, change: Callable[[Any], Any]) -> "Form":
        """Returns the theory with other names for letters."""
        calls = tuple(replace(call, argument=change(call.argument)) for call in self.calls)
        names = tuple(sorted(change(symbol(name)).name for name in self.names))
        return replace(self, expressions=tuple(map(change, self.expressions)), calls=calls, names=names).retold()

    def with_formula(self, function: str, variable: sympy.Symbol, formula: sympy.Expr) -> "Form":
        """Returns the theory with a formula in place of an unknown function."""
        known = {function: (variable, formula)}
        own = {call.value for call in self.calls if call.function == function}
        values: dict[Any, Any] = {}
        calls = []
        for call in self.calls:
            argument = cast(sympy.Expr, call.argument.xreplace(values))
            if call.value in own:
                slope = sympy.diff(formula, variable, call.order) if call.order else formula
                values[call.value] = slope.xreplace({variable: argument})
            else:
                calls.append(Call(call.value, call.function, argument, call.order))
        expressions = tuple(cast(sympy.Expr, e.xreplace(values)) for e in self.expressions)
        texts = self._told([self.written(e, known) for e in self.expressions])
        free = {s.name for e in (*expressions, *(c.argument for c in calls)) for s in e.free_symbols}  # type: ignore[attr-defined]
        names = tuple(sorted(free - {call.value.name for call in calls}))
        return Form(texts, expressions, tuple(calls), names, self.outputs, self.implicit)


def read_form(source: Any, unknown: Collection[str], declared: Iterable[str]) -> Form:
    """Reads a theory.

    Args:
        source: text, SymPy, an equation, or several of these as a list or dictionary.
        unknown: names of the unknown functions.
        declared: names of parameters and of inputs, which win over constants and functions of that name.

    Raises:
        ParseError: this is no formula.
        CompileError: a function is not known, or one that is declared unknown does not occur.
        UnsupportedExpression: an unknown function has several arguments, or none that varies.

    Example:
        >>> form = read_form("A*exp(-k*t) + f(T)", ["f"], ["A", "k"])
        >>> form.names, form.functions
        (('A', 'T', 'k', 't'), ('f',))
    """
    unknown, declared = tuple(unknown), tuple(declared)
    read = [_equation(name, item, unknown, declared) for name, item in items_of(source)]
    if len({is_implicit for _, _, _, is_implicit in read}) > 1:
        raise ParseError(
            "compile: expected formulas alone or equations alone, got both. Write y - f(x) = 0 for y = f(x)."
        )
    reader = _Reader(unknown)
    expressions = tuple(reader.without_calls(expression) for _, expression, _, _ in read)
    if lost := [name for name in unknown if name not in {call.function for call in reader.calls}]:
        raise CompileError(
            f"compile: expected unknown functions that occur in the formula, got {', '.join(lost)}. Write {lost[0]}(x) "
            "there, or leave it out."
        )
    values = {call.value.name for call in reader.calls}
    everything = (*expressions, *(call.argument for call in reader.calls))
    names = tuple(sorted({s.name for e in everything for s in e.free_symbols} - values))  # type: ignore[attr-defined]
    n, taken = len(read), {*names, *unknown}
    letters = ("residual",) if read[0][3] else ("y", "z", "output")
    options = [[letter] if n == 1 else [f"{letter}{i + 1}" for i in range(n)] for letter in letters]
    default = next((option for option in options if not taken & set(option)), options[-1])
    outputs = tuple(name or other for (name, _, _, _), other in zip(read, default))
    if len(set(outputs)) != n:
        raise ParseError(f"compile: expected different output names, got {', '.join(outputs)}.")
    return Form(tuple(text for _, _, text, _ in read), expressions, tuple(reader.calls), names, outputs, read[0][3])


def _equation(
    name: str | None, item: Any, unknown: Sequence[str], declared: Sequence[str]
) -> tuple[str | None, sympy.Expr, str, bool]:
    """Returns (name of the output, expression, text, whether it is an equation to be solved)."""
    if isinstance(item, str):
        left, has_name, right = split_equation(item)
        if has_name:
            expression = _read(right, unknown, declared)
            if symbol(left) not in expression.free_symbols:
                return left, expression, item, False
        sides = re.split(r"(?<![<>=!])=(?!=)", item)
        if len(sides) == 2:
            return name, _read(sides[0], unknown, declared) - _read(sides[1], unknown, declared), item, True
        return name, _read(item, unknown, declared), item, False
    if isinstance(item, sympy.Equality):
        left, right = cast(sympy.Expr, item.lhs), cast(sympy.Expr, item.rhs)
        if isinstance(left, sympy.Symbol) and left not in right.free_symbols:
            return left.name, right, f"{left} = {right}", False
        return name, left - right, f"{left} = {right}", True
    if not isinstance(item, sympy.Expr):
        raise ParseError(f"compile: expected text or a SymPy expression, got {type(item).__name__}.")
    return name, item, str(item), False


def _read(text: str, unknown: Sequence[str], declared: Sequence[str]) -> sympy.Expr:
    if re.search(r"\\[A-Za-z]|[{}]", text):
        if unknown:
            raise ParseError(
                "compile: expected a theory with unknown functions as text in Python or calculator style, or as SymPy, "
                "got LaTeX. Write it as f(x)*exp(-k*t)."
            )
        free = read_text(text, None)
        # Once more with the names that are declared, which win over constants such as e.
        found = [getattr(one, "name", str(one)) for one in free.free_symbols]
        return read_text(text, tuple(dict.fromkeys((*declared, *found))))
    orders: set[str] = set()

    def marked(match: re.Match[str]) -> str:
        name = f"{match[1]}{_MARK}{len(match[2])}"
        orders.add(name)
        return name

    plain = _DERIVATIVE.sub(marked, text)
    if strange := sorted(one for one in orders if one.partition(_MARK)[0] not in unknown):
        name = strange[0].partition(_MARK)[0]
        raise CompileError(f"compile: expected derivatives of unknown functions, got {name}'. Pass unknown=[{name!r}].")
    functions = (*unknown, *orders)
    if other := sorted(
        set(re.findall(rf"({NAME})\s*\(", re.sub(r"`[^`]*`", "", plain))) - {*FUNCTIONS, *functions, *declared}
    ):
        # A letter before a bracket may be a factor, as in k(x + 1); of one letter the parser says so itself.
        guess = [name for name in other if len(name) == 1 and name not in declared]
        if guess and unknown:
            raise CompileError(
                f"compile: expected functions that are known or declared, got {guess[0]}(...). Pass "
                f"unknown={[*unknown, guess[0]]!r}, or write {guess[0]}*(...)."
            )
    try:
        free = parse_expression(plain, functions=functions)
        found = [getattr(one, "name", str(one)) for one in free.free_symbols]
        return parse_expression(plain, [*declared, *(n for n in found if n not in declared)], functions)
    except ExpressionError as error:
        raise ParseError(str(error).replace("parse_expression", "compile", 1)) from None


class _Reader:
    """Takes calls out of expressions, the inner ones first."""

    def __init__(self, unknown: Sequence[str]) -> None:
        self.unknown = unknown
        self.calls: list[Call] = []
        self._known: dict[tuple[str, int, Any], sympy.Symbol] = {}

    def without_calls(self, expression: Any) -> Any:
        plain = {s: symbol(s.name) for s in expression.free_symbols if isinstance(s, sympy.Symbol)}
        return self._visit(expression.xreplace({s: p for s, p in plain.items() if s != p}))

    def _visit(self, node: Any) -> Any:
        if isinstance(node, sympy.Subs):
            subs: Any = node
            if isinstance(subs.expr, sympy.Derivative) and len(subs.variables) == 1:
                return self._derivative(subs.expr, subs.point[0])
        if isinstance(node, sympy.Derivative) and node.has(AppliedUndef):
            done = node.doit()
            return self._visit(done) if done != node else self._derivative(node, None)
        if isinstance(node, AppliedUndef):
            name, _, order = str(node.func).partition(_MARK)
            if name.rstrip(PRIMES) != name:
                name, order = name.rstrip(PRIMES), str(len(name) - len(name.rstrip(PRIMES)))
            return self._call(name, node.args, int(order or 0))
        if node.is_Atom or not node.has(AppliedUndef):
            return node
        return node.func(*(self._visit(argument) for argument in node.args))

    def _derivative(self, node: Any, point: Any) -> Any:
        inner, pairs = cast(Any, node.expr), cast(Any, node.variable_count)
        is_plain = isinstance(inner, AppliedUndef) and len(pairs) == 1 and tuple(node.expr.args) == (pairs[0][0],)
        if not is_plain:
            raise UnsupportedExpression(
                f"compile: expected derivatives of unknown functions by their argument, got {node}. Write f'(u)."
            )
        return self._call(str(inner.func), (pairs[0][0] if point is None else point,), int(pairs[0][1]))

    def _call(self, name: str, arguments: Sequence[Any], order: int) -> sympy.Symbol:
        if name not in self.unknown:
            raise CompileError(
                f"compile: expected functions that are known or declared, got {name}(...). Pass unknown=[{name!r}]."
            )
        if len(arguments) != 1:
            raise UnsupportedExpression(
                f"compile: expected unknown functions of one argument, got {name} of {len(arguments)}. Write it by "
                f"functions of one, such as {name}1(x) + {name}2(y) or {name}1({name}2(x) + {name}3(y))."
            )
        argument = self._visit(arguments[0])
        if not argument.free_symbols:
            raise UnsupportedExpression(
                f"compile: expected unknown functions of columns, got {name}({argument}). Write a parameter in its "
                "place."
            )
        key = (name, order, argument)
        if key not in self._known:
            # No letter of a formula looks like this.
            self._known[key] = sympy.Symbol(f"⟨{name}{len(self.calls)}⟩")
            self.calls.append(Call(self._known[key], name, argument, order))
        return self._known[key]


def read_part(given: Any, names: Sequence[str], unknown: Sequence[str], where: str) -> sympy.Expr:
    """Returns an expression of a theory's letters, given as text or SymPy.

    Raises:
        ParseError: it is none.
    """
    if isinstance(given, sympy.Expr):
        return given
    if not isinstance(given, str):
        raise ParseError(f"{where}: expected text or a SymPy expression, got {given!r}.")
    try:
        return parse_expression(given, names, unknown)
    except ExpressionError as error:
        raise ParseError(str(error).replace("parse_expression", where, 1)) from None
