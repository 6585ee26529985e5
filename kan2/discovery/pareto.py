"""The trade between accuracy and simplicity: every network that was tried, and the front that none of them beats.

*Complexity* of a network: each symbolic term counts what its function costs and one for each free number, each spline
its number of coefficients, each product one. The *front* holds the networks that no other one beats in both. The
*recommended* row has the lowest information criterion n log(mse) + complexity log(n): one unit of complexity must lower
the mean square error by the share that chance alone would gain with one more number.

Reference: Schwarz, Estimating the Dimension of a Model (1978), doi:10.1214/aos/1176344136.
"""

from dataclasses import dataclass, field
from math import inf, log

import sympy

from kan2 import functions
from kan2.core.network import Network
from kan2.symbolic.formula import round_floats, symbolic_formula


@dataclass(frozen=True, eq=False)
class ParetoRow:
    """One network that was tried.

    Attributes:
        complexity: see the module.
        rmse: training error, root mean square in spreads of the targets.
        criterion: n log(mse) + complexity log(n); lower is better.
        model: the network.
    """

    complexity: int
    rmse: float
    criterion: float
    model: Network

    @property
    def formula(self) -> sympy.Expr | list[sympy.Expr] | None:
        """The formula; None where splines are left."""
        if not self.model.is_formula:
            return None
        return symbolic_formula(self.model, check=False)


@dataclass
class ParetoTable:
    """Networks that were tried on the same data; prints as a table of the front.

    Attributes:
        n: number of samples.
        floor: errors below it count as none, in spreads of the targets.
        rows: all networks, in the order they were tried.
    """

    n: int
    floor: float = 0.0
    rows: list[ParetoRow] = field(default_factory=list)

    def add(self, model: Network, rmse: float) -> ParetoRow | None:
        """Adds a network and returns its row; None where the error is not finite."""
        if not rmse < inf:
            return None
        size = complexity(model)
        row = ParetoRow(size, rmse, 2 * self.n * log(max(rmse, self.floor, 1e-300)) + size * log(self.n), model)
        self.rows.append(row)
        return row

    @property
    def front(self) -> list[ParetoRow]:
        """The rows that no other one beats in both complexity and error, the simplest first."""
        result: list[ParetoRow] = []
        for row in sorted(self.rows, key=lambda row: (row.complexity, row.rmse)):
            if not result or row.rmse < result[-1].rmse:
                result.append(row)
        return result

    @property
    def recommended(self) -> ParetoRow:
        """The row with the lowest criterion."""
        return min(self.rows, key=lambda row: row.criterion)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = ["   complexity  rmse      formula"]
        best = self.recommended if self.rows else None
        for row in self.front:
            formula = row.formula
            shown = _n_splines(row.model) if formula is None else _short(formula)
            lines.append(f"{'->' if row is best else '  '} {row.complexity:10}  {row.rmse:.2e}  {shown}")
        return "\n".join(lines)


def complexity(model: Network) -> int:
    """Returns the complexity of a network, see the module.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> complexity(MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"),)),))))
        3
    """
    total = 0
    for layer in model.layers:
        total += len(layer.spec.arities)
        if layer.numeric is not None:
            total += len(layer.spec.numeric_pairs) * layer.numeric.weight.shape[-1]
        if layer.symbolic is not None:
            total += sum(functions.get(term.function).complexity for term in layer.spec.terms)
            total += int(layer.symbolic.free.sum())
    return total


def _n_splines(model: Network) -> str:
    return f"{sum(edge.is_numeric for edge in model.spec.edges())} splines"


def _short(formula: sympy.Expr | list[sympy.Expr], longest: int = 100) -> str:
    parts = formula if isinstance(formula, list) else [formula]
    text = ", ".join(str(round_floats(part, 3)) for part in parts)
    return text if len(text) <= longest else text[: longest - 3] + "..."
