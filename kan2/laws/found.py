"""What a search has found for a table."""

from dataclasses import dataclass

import sympy


@dataclass(frozen=True, eq=False)
class Found:
    """An expression of the target, and in words how it was found."""

    expression: sympy.Expr
    evidence: tuple[str, ...]
