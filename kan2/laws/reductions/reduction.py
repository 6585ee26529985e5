"""An exact way from a table to a smaller one: a factor of the target, and new columns made of the old ones."""

from dataclasses import dataclass, replace

import sympy

from kan2.laws.column import Column, Table
from kan2.laws.found import Found


@dataclass(frozen=True, eq=False)
class Reduction:
    """A smaller table from whose law that of the larger one follows.

    Attributes:
        score: how doubtful it is, >= 0.
        table: the smaller table.
        factor: what its law is to be multiplied with.
        evidence: what speaks for it, in words.
        offset: what is to be added afterwards.
    """

    score: float
    table: Table
    factor: sympy.Expr
    evidence: str
    offset: sympy.Expr = sympy.S.Zero

    @property
    def key(self) -> tuple[str, ...]:
        """Tells smaller tables apart: by their target, which factor and offset give, and by their columns."""
        return (str(self.factor), str(self.offset), *sorted(str(column.expression) for column in self.table.columns))

    def followed_by(self, other: "Reduction") -> "Reduction":
        """Returns this reduction and one of its smaller table as one."""
        offset = self.offset + self.factor * other.offset
        return replace(other, factor=self.factor * other.factor, offset=offset)

    def law(self, smaller: Found) -> Found:
        """Returns the law of the larger table from that of the smaller one."""
        return Found(self.offset + self.factor * smaller.expression, (self.evidence, *smaller.evidence))


def divided(table: Table, columns: list[Column], factor: Column | None, score: float, evidence: str) -> Reduction:
    """Returns the reduction to new columns, with the target divided by a factor."""
    y = table.y if factor is None else table.y / factor.values
    return Reduction(
        score, Table(tuple(columns), y), sympy.Integer(1) if factor is None else factor.expression, evidence
    )
