"""Symbols of inputs, whose names are whatever people wrote above their columns: `flow rate`, `x-y`, `1`.

A name that is no word is printed in backquotes, and is read so by `treeconv.text`, since `x-y` without them is a
difference. A backquote within a name is doubled. The symbol is otherwise one as any other, and equal to it.

Reference: https://docs.sympy.org/latest/modules/printing.html
"""

from __future__ import annotations

import keyword
from typing import Any

import sympy as sp


class InputSymbol(sp.Symbol):
    """A symbol that prints in backquotes; equal to `sympy.Symbol` of the same name."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, sp.Symbol) and self._hashable_content() == other._hashable_content()

    def __hash__(self) -> int:
        return hash(("Symbol", *self._hashable_content()))

    def _eval_subs(self, old: Any, new: Any) -> Any:
        # SymPy itself asks for the same class.
        return new if old == self else None

    @classmethod
    def class_key(cls) -> Any:
        return sp.Symbol.class_key()

    def _sympystr(self, _printer: Any) -> str:
        return quoted(self.name)

    def _pretty(self, printer: Any) -> Any:
        return printer._print_basestring(quoted(self.name))

    def _latex(self, _printer: Any) -> str:
        special = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", **{c: "\\" + c for c in "&%$#_{}"}}
        return r"\text{`" + "".join(special.get(c, c) for c in self.name) + "'}"


def symbol(name: str) -> sp.Symbol:
    """Returns the symbol of an input.

    Example:
        >>> symbol("T"), 2 * symbol("x-y") ** 2
        (T, 2*`x-y`**2)
    """
    return sp.Symbol(name) if _is_word(name) else InputSymbol(name)


def quoted(name: str) -> str:
    """Returns a name as it is written in formulas.

    Example:
        >>> quoted("T"), quoted("flow rate"), quoted("`t`")
        ('T', '`flow rate`', '```t```')
    """
    return name if _is_word(name) else "`" + name.replace("`", "``") + "`"


def _is_word(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)
