"""A formula with unknown functions of columns, as text or SymPy, read and checked.

Symbols that are no columns are constants, which are fitted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import sympy
from sympy.core.function import AppliedUndef

from kan2.errors import OptionError, unknown_name
from kan2.expressions.parse import parse_expression
from kan2.expressions.symbols import NAME, quoted, symbol
from kan2.expressions.vocabulary import FUNCTIONS

WHERE = "discover"
EXAMPLE = "Pass templates=['f(a, b)*exp(g(c))'], where a, b and c are columns."


@dataclass(frozen=True)
class Call:
    """An unknown function at its arguments.

    Attributes:
        value: the symbol that stands for it.
        function: its name.
        arguments: expressions of columns.
    """

    value: sympy.Dummy
    function: str
    arguments: tuple[sympy.Expr, ...]


@dataclass(frozen=True, eq=False)
class Template:
    """A formula with unknown functions.

    Attributes:
        text: as it was given.
        expression: in columns, constants and the values of calls.
        calls: of unknown functions.
        constants: symbols of numbers that are fitted.
        start: values of the constants to begin with, where something is known.
    """

    text: str
    expression: sympy.Expr
    calls: tuple[Call, ...]
    constants: tuple[sympy.Symbol, ...] = ()
    start: tuple[float, ...] | None = None

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the unknown functions, in the order of the formula."""
        return tuple(dict.fromkeys(call.function for call in self.calls))

    def calls_of(self, function: str) -> tuple[Call, ...]:
        """Returns the calls of a function."""
        return tuple(call for call in self.calls if call.function == function)

    def with_function(
        self, function: str, formula: sympy.Expr, arguments: Sequence[sympy.Symbol], numbers: dict[sympy.Symbol, float]
    ) -> "Template":
        """Returns the template with a formula in place of a function.

        Args:
            function: its name.
            formula: in the arguments and numbers.
            arguments: the symbols of these.
            numbers: that become constants, and where their fit begins.
        """
        known = {call.value: formula.xreplace(dict(zip(arguments, call.arguments))) for call in self.calls_of(function)}
        calls = tuple(call for call in self.calls if call.function != function)
        expression = cast(sympy.Expr, self.expression.xreplace(known))
        # Those of them that are of no effect any more are gone.
        constants = [*zip(self.constants, self.start or ()), *numbers.items()]
        constants = [(one, value) for one, value in constants if expression.has(one)]
        return replace(
            self,
            expression=expression,
            calls=calls,
            constants=tuple(one for one, _ in constants),
            start=tuple(value for _, value in constants),
        )

    def with_constants(self, values: dict[sympy.Symbol, sympy.Expr]) -> "Template":
        """Returns the template with numbers in place of some constants."""
        kept = [i for i, one in enumerate(self.constants) if one not in values]
        return replace(
            self,
            expression=cast(sympy.Expr, self.expression.xreplace(values)),
            constants=tuple(self.constants[i] for i in kept),
            start=None if self.start is None else tuple(self.start[i] for i in kept),
        )


def checked_templates(value: Any, columns: Sequence[str], targets: Sequence[str]) -> tuple[Template, ...]:
    """Returns templates as they are searched.

    Args:
        value: text, SymPy, or several; None for none.
        columns: names of the columns.
        targets: names of the targets.

    Raises:
        OptionError: these are no templates.
        ExpressionError: one cannot be read.
        UnknownNameError: a function is of something that is no column.

    Example:
        >>> template, = checked_templates("f(a, b)*exp(g(c)) + k", ["a", "b", "c"], ["y"])
        >>> template.functions, template.constants
        (('f', 'g'), (_k,))
    """
    if value is None:
        return ()
    members = [value] if isinstance(value, str | sympy.Expr) else value
    if not isinstance(members, Sequence) or not all(isinstance(one, str | sympy.Expr) for one in members):
        raise OptionError(
            f"discover: expected templates as formulas with unknown functions, text or SymPy, got {value!r}. {EXAMPLE}"
        )
    return tuple(_checked(one, columns, targets) for one in members)


def _checked(given: str | sympy.Expr, columns: Sequence[str], targets: Sequence[str]) -> Template:
    expression = _read(given, columns) if isinstance(given, str) else given
    text, known = str(given), {symbol(name) for name in columns}
    if taken := [name for name in targets if symbol(name) in expression.free_symbols and symbol(name) not in known]:
        raise OptionError(
            f"discover: expected a template of the columns, got {quoted(taken[0])} in {text!r}, which is the target. "
            "Leave it out."
        )
    found = sorted(expression.atoms(AppliedUndef), key=lambda call: text.find(str(call)))
    calls = []
    for applied in found:
        name = str(applied.func)
        for argument in applied.args:
            if inner := sorted(map(str, argument.atoms(AppliedUndef))):
                raise OptionError(
                    f"discover: expected unknown functions of columns, got {name} of {inner[0]} in {text!r}. Write one "
                    f"function of all its columns instead."
                )
            for one in sorted(argument.free_symbols - known, key=str):
                raise unknown_name(WHERE, f"column in {text!r}", str(one), columns)
            if not argument.free_symbols:
                raise OptionError(
                    f"discover: expected unknown functions of columns, got {applied} in {text!r}. Write a constant, as "
                    "k, in place of a function of a number."
                )
        calls.append(Call(sympy.Dummy(name, real=True), name, cast(tuple[sympy.Expr, ...], applied.args)))
        if len(calls[-1].arguments) != (n := len(next(c for c in calls if c.function == name).arguments)):
            raise OptionError(
                f"discover: expected {name} with as many arguments wherever it stands in {text!r}, got {n} and "
                f"{len(calls[-1].arguments)}. Give the functions different names."
            )
    constants = sorted(expression.free_symbols - known, key=str)
    if not calls and not constants:
        raise OptionError(
            f"discover: expected a template with an unknown function or constant, got {text!r}. {EXAMPLE} Formulas "
            "without are guesses."
        )
    fresh = {one: sympy.Dummy(str(one), real=True) for one in constants}
    values = {applied: call.value for applied, call in zip(found, calls)}
    outer = cast(sympy.Expr, expression.xreplace(values).xreplace(fresh))
    return Template(text, outer, tuple(calls), tuple(fresh.values()))


def _read(text: str, columns: Sequence[str]) -> sympy.Expr:
    called = set(re.findall(rf"({NAME})\s*\(", text))
    functions = sorted(name for name in called if name not in FUNCTIONS and name not in columns)
    # Read once to see which names there are, besides those of the columns.
    free = parse_expression(text, functions=functions)
    constants = [str(getattr(one, "name", one)) for one in free.free_symbols]
    names = [*columns, *(name for name in constants if name not in columns)]
    return parse_expression(text, names, functions)
