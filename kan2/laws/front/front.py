"""The front of laws: formulas of which none is both simpler and nearer to the rows kept aside than another.

Candidates come from wherever there are some: an exact law, approximations, networks, guesses. The numbers of each are
fitted to the rest of the rows, its error is measured on rows kept aside, and then its numbers are fitted to all rows.
The *pick* is the exact law, or else the row with the shortest description, see `kan2.laws.front.complexity`.

Reference: Udrescu et al., AI Feynman 2.0, arXiv 2006.10782, section 2.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, overload

import numpy as np
import sympy

from kan2.errors import DataError
from kan2.expressions.named import NamedConstant
from kan2.laws.front.complexity import complexity, nats
from kan2.laws.front.naming import with_named_numbers
from kan2.laws.front.polish import Fit, FittedNumber, Form, error_aside, error_of_all, values
from kan2.laws.front.rounding import with_simple_numbers
from kan2.laws.samples import Samples
from kan2.symbolic.formula import round_floats
from kan2.units.dimensions import Constant

DIGITS = 4  # of numbers in the table
LONGEST = 100  # characters of a formula in it
BETTER = 0.999  # share of the error of the row before that is an improvement


@dataclass(frozen=True, eq=False)
class Row:
    """A formula of the front.

    Attributes:
        formulas: one expression for each target.
        complexity: number of nodes, see `kan2.laws.front.complexity`.
        error: root mean square of what is left on rows kept aside, in spreads of the target.
        description_length: of the whole table by this formula, in nats, by errors on rows left out; lower is better.
        evidence: in words, where it comes from.
        is_exact: whether it gives the target at all rows, to rounding.
        is_law: whether only rounding or noise is left, and there are rows enough for its numbers, see `noise`.
        numbers: the fitted numbers.
        network: the network whose formula it is, or None.
        constants: the numbers that have a unit, where units were given.
    """

    formulas: tuple[sympy.Expr, ...]
    complexity: int
    error: float
    description_length: float
    evidence: tuple[str, ...] = ()
    is_exact: bool = False
    is_law: bool = False
    numbers: tuple[FittedNumber, ...] = ()
    network: Any = field(default=None, repr=False)
    constants: tuple[Constant, ...] = ()

    @property
    def formula(self) -> Any:
        """The formula; for several targets a list."""
        return self.formulas[0] if len(self.formulas) == 1 else list(self.formulas)


@dataclass(frozen=True, eq=False, repr=False)
class Front(Sequence[Row]):
    """The rows, the simplest first; prints as a table in which an arrow marks the pick.

    Attributes:
        rows: the formulas.
        picked: index of the pick.
    """

    rows: tuple[Row, ...]
    picked: int

    @classmethod
    def of(cls, rows: Iterable[Row], pick: Row | None = None, floor: float = 0.0) -> "Front":
        """Keeps the pick, and the rows that no other one dominates.

        Args:
            rows: at least one.
            pick: the row to pick; by default an exact one or that with the shortest description.
            floor: errors below it count as equal.

        Raises:
            DataError: there is no row.
        """
        rows = list(rows)
        if not rows:
            raise DataError("front: expected at least one formula, got none.")
        # Some number of a formula whose description is infinite is told by no row, or by one alone.
        told = [row for row in rows if np.isfinite(row.description_length) or row.is_exact or row is pick]
        # Rows kept aside are few: by chance another formula may be nearer there that leaves more of all rows.
        pick = pick or min(told or rows, key=lambda row: (not row.is_exact, row.description_length, row.complexity))
        kept: list[Row] = []

        def rank(row: Row) -> tuple[int, float, bool, bool, float]:
            return row.complexity, max(row.error, floor), row is not pick, not row.is_exact, row.description_length

        for row in sorted(told or rows, key=rank):
            if row is pick or not kept or max(row.error, floor) < BETTER * max(kept[-1].error, floor):
                kept.append(row)
        # The pick stays; what it dominates goes.
        least = BETTER * max(pick.error, floor)
        kept = [r for r in kept if r is pick or r.complexity < pick.complexity or max(r.error, floor) < least]
        return cls(tuple(kept), kept.index(pick))

    @property
    def pick(self) -> Row:
        """The picked row."""
        return self.rows[self.picked]

    def with_pick(self, index: int) -> "Front":
        """Returns the same front with another pick."""
        return Front(self.rows, range(len(self.rows))[index])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self.rows[index]

    def __str__(self) -> str:
        lines = ["   complexity  error     formula"]
        for i, row in enumerate(self.rows):
            mark = "->" if i == self.picked else "  "
            lines.append(f"{mark} {row.complexity:10}  {row.error:.2e}  {shown(row.formulas)}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = [
            f"<tr><td>{'-&gt;' if i == self.picked else i}</td><td>{row.complexity}</td>"
            f"<td>{row.error:.2e}</td><td>{escape(shown(row.formulas))}</td></tr>"
            for i, row in enumerate(self.rows)
        ]
        head = "".join(f"<th>{title}</th>" for title in ("", "complexity", "error", "formula"))
        return f"<table><tr>{head}</tr>{''.join(cells)}</table>"

    def to_frame(self) -> Any:
        """Returns the rows as a pandas data frame; needs pandas."""
        import pandas

        return pandas.DataFrame(
            {
                "complexity": [row.complexity for row in self.rows],
                "error": [row.error for row in self.rows],
                "description_length": [row.description_length for row in self.rows],
                "formula": [row.formula for row in self.rows],
                "is_exact": [row.is_exact for row in self.rows],
                "pick": [i == self.picked for i in range(len(self.rows))],
            }
        )


def shown(formulas: Iterable[sympy.Expr], digits: int = DIGITS, longest: int = LONGEST) -> str:
    """Returns formulas as one line of text with few digits."""
    text = ", ".join(str(round_floats(formula, digits)) for formula in formulas)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def row_of(
    expression: sympy.Expr, evidence: tuple[str, ...], samples: Samples, *, is_fitted: bool = False
) -> Row | None:
    """Fits the numbers of a formula to the rest of the rows and measures its error on those that are kept aside.

    Args:
        expression: the formula.
        evidence: where it comes from.
        samples: all rows.
        is_fitted: whether its numbers are those of least squares already.

    Returns:
        the row, which `settled` makes ready for use; None where the formula is not finite.
    """
    form = Form.of(expression)
    fit = Fit(form, samples.rest, is_best=is_fitted)
    error = error_aside(fit, samples)
    return _row(fit, error, samples, evidence) if np.isfinite(error) else None


def settled(row: Row, samples: Samples, constants: Sequence[NamedConstant] = ()) -> Row:
    """Returns a row with simple numbers where they may be, the others fitted to all rows; tells whether it is a law.

    Args:
        row: the row.
        samples: all rows.
        constants: that numbers may be as well.
    """
    form = Form.of(row.formulas[0])
    rest = Fit(form, samples.rest, is_best=True)
    form, rest, told = with_named_numbers(form, rest, samples, constants)
    form, rest = with_simple_numbers(form, rest, samples)
    fit = rest if samples.leaves_one_out else Fit(form, samples, rest.numbers)
    found = fit.values(fit.numbers)
    if not np.isfinite(found).all():
        return row
    numbers = tuple(FittedNumber(float(v), float(e)) for v, e in zip(fit.numbers, fit.errors))
    law = samples.is_law(found, len(numbers))
    new = _row(rest, error_aside(rest, samples), samples, (*row.evidence, *told), rest.precisions)
    is_exact = law and gives_all(fit.expression, samples)
    return replace(
        new,
        formulas=(fit.expression,),
        complexity=complexity(fit.expression),
        is_law=law,
        is_exact=is_exact,
        numbers=numbers,
    )


def _row(
    fit: Fit,
    error: float,
    samples: Samples,
    evidence: tuple[str, ...],
    precisions: Sequence[float] | None = None,
) -> Row:
    expression = fit.expression
    long = nats([expression], len(samples), len(samples.symbols), precisions) + samples.price(expression)
    length = samples.unexplained(error_of_all(fit, samples)) + long
    return Row((expression,), complexity(expression), error, length, evidence)


def gives_all(expression: sympy.Expr, samples: Samples, exact: float = 1e-9, share: float = 1e-6) -> bool:
    """Tells whether an expression gives the target at all rows, those kept aside among them, to rounding."""
    found = values(expression, samples.symbols, samples.X)
    if not np.isfinite(found).all():
        return False
    off = np.abs(found - samples.y)
    near = off <= share * np.abs(samples.y)
    spread = float(np.std(samples.y)) or float(np.abs(samples.y).max()) or 1.0
    return bool(np.sqrt(np.mean((off / spread) ** 2)) <= exact and near.mean() >= 0.9)
