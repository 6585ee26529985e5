"""Parts of a normal form that stand in it once, however often they are used.

The maximum of forty numbers, written out with absolute values, mentions every pair's maximum twice, theirs four times,
and so on. A *shared part* stands for such an expression as if it were a symbol; the plan computes it in one node.

Reference: https://en.wikipedia.org/wiki/Administrative_normal_form
"""

from typing import Any

import sympy

MAX_OPERATIONS = 20
"""What takes more is shared. The maximum of three or four names is less, and stays one formula to read."""


class Shared(sympy.AtomicExpr):
    """A real number that is computed elsewhere; two are equal where their definitions are.

    Attributes:
        definition: the expression it stands for, which may hold shared parts itself.
    """

    __slots__ = ("definition",)
    is_commutative = True
    is_real = True
    is_number = False
    definition: Any

    def __new__(cls, definition: Any) -> "Shared":
        part = super().__new__(cls)
        part.definition = definition
        return part

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.definition,)

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.definition,)

    @property
    def free_symbols(self) -> set[Any]:
        """Itself: whoever looks for symbols sees one that is like no other."""
        return {self}

    def _sympystr(self, _printer: Any) -> str:
        return f"part_{hash(self) % 10**12:012d}"


def share(expression: Any, largest: int = MAX_OPERATIONS) -> Any:
    """Returns a shared part for an expression, or the expression where it takes at most so many operations.

    Example:
        >>> share(sympy.Symbol("x") + 1)
        x + 1
    """
    if expression.is_Atom or expression.count_ops() <= largest:
        return expression
    return Shared(expression)


def parts_of(expression: Any) -> list[Shared]:
    """Returns the shared parts of an expression, each after those that it needs."""
    found: dict[Any, None] = {}

    def visit(node: Any) -> None:
        for part in sorted(node.atoms(Shared), key=str):
            if part not in found:
                visit(part.definition)
                found[part] = None

    visit(expression)
    return list(found)


def without_parts(expression: Any) -> Any:
    """Writes the definitions in place of all shared parts; what comes out may be large."""
    for part in reversed(parts_of(expression)):
        expression = expression.xreplace({part: part.definition})
    return expression
