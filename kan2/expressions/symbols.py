"""Symbols of columns, whose names are whatever people wrote above them: `flow rate`, `x-y`, `1`.

A name that is no word is printed in backquotes, and is written so in formulas, since `x-y` without them is a
difference and `1` a number; so is a word that means something else there, as `pi` and `sin` do. Its symbol is otherwise
one as any other, and equal to it.

Reference: https://docs.sympy.org/latest/modules/printing.html
"""

import re
from typing import Any

import sympy

from kan2.expressions.characters import NO_LETTERS
from kan2.expressions.token import WORDS
from kan2.expressions.words import means_else

NAME = rf"(?:(?![{NO_LETTERS}])[^\W\d])(?:(?![{NO_LETTERS}])\w)*"
"""Pattern of the names that formulas take without backquotes."""

QUOTED = r"`(?:[^`]|``)+`"
"""Pattern of a name in backquotes."""

QUOTED_LATEX = r"\\text\s*\{`(?:\\textbackslash\{\}|\\[\^~]\{\}|\\[&%$#_{}]|[^\\{}])*'\}"
r"""Pattern of the same in LaTeX: \text{`flow rate'}."""


class QuotedSymbol(sympy.Symbol):
    """A symbol that prints in backquotes; equal to `sympy.Symbol` of the same name."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, sympy.Symbol) and self._hashable_content() == other._hashable_content()

    def __hash__(self) -> int:
        return hash(("Symbol", *self._hashable_content()))

    def _eval_subs(self, old: Any, new: Any) -> Any:
        # SymPy itself asks for the same class.
        return new if old == self else None

    @classmethod
    def class_key(cls) -> Any:
        return sympy.Symbol.class_key()

    def _sympystr(self, _printer: Any) -> str:
        return quoted(self.name)

    def _pretty(self, printer: Any) -> Any:
        return printer._print_basestring(quoted(self.name))

    def _latex(self, _printer: Any) -> str:
        special = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", **{c: "\\" + c for c in "&%$#_{}"}}
        return r"\text{`" + "".join(special.get(c, c) for c in self.name) + "'}"


# SymPy sorts the arguments of sums and products by the names of their classes: in one order, so that they are equal.
QuotedSymbol.__name__ = "Symbol"


def symbol(name: str) -> sympy.Symbol:
    """Returns the symbol of a column.

    Example:
        >>> symbol("T"), 2 * symbol("x-y") ** 2, symbol("pi") + sympy.pi
        (T, 2*`x-y`**2, `pi` + pi)
    """
    return sympy.Symbol(name) if _is_word(name) else QuotedSymbol(name)


def quoted(name: str) -> str:
    """Returns a name as it is written in formulas.

    Example:
        >>> quoted("T"), quoted("flow rate")
        ('T', '`flow rate`')
    """
    return name if _is_word(name) else "`" + name.replace("`", "``") + "`"


def with_backquotes(expression: Any) -> Any:
    """Returns an expression in which every name that needs backquotes has them.

    SymPy keeps what it has built, and hands out an expression over plain symbols of the same names where one was built
    before. So parts are copied here, not built.

    Example:
        >>> with_backquotes(2 * sympy.Symbol("E") ** 2)
        2*`E`**2
    """
    memo: dict[int, Any] = {}

    def visit(node: Any) -> Any:
        if id(node) not in memo:
            memo[id(node)] = changed(node)
        return memo[id(node)]

    def changed(node: Any) -> Any:
        if type(node) is sympy.Symbol:
            return node if _is_word(node.name) or node != sympy.Symbol(node.name) else symbol(node.name)
        args = tuple(map(visit, node.args))
        if all(new is old for new, old in zip(args, node.args, strict=True)):
            return node
        copy: Any = object.__new__(type(node))
        slots = {slot for kind in type(node).__mro__ for slot in getattr(kind, "__slots__", ())}
        for name in slots | {*getattr(node, "__dict__", ())}:
            if hasattr(node, name):
                setattr(copy, name, getattr(node, name))
        copy._args = args
        return copy

    return visit(expression)


def name_of_latex(text: str) -> str:
    r"""Returns a name in backquotes that stands in LaTeX, as it is written in formulas.

    Example:
        >>> name_of_latex(r"\text{`flow\_rate [\%]'}")
        '`flow_rate [%]`'
    """
    inner = text[text.index("`") + 1 : -2]
    inner = re.sub(r"\\textbackslash\{\}|\\([\^~])\{\}|\\(.)", lambda m: m[1] or m[2] or "\\", inner)
    return "`" + inner.replace("`", "``") + "`"


def _is_word(name: str) -> bool:
    return re.fullmatch(NAME, name) is not None and name not in WORDS and not means_else(name)
