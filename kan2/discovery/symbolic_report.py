"""What `auto_symbolic` did, edge by edge."""

from dataclasses import dataclass, field

from kan2.discovery.pareto import ParetoTable
from kan2.symbolic.snap import SnapReport
from kan2.types import EdgeIndex


@dataclass(frozen=True)
class Choice:
    """What was decided for one edge: the function, or None where it stays a spline, and the error afterwards."""

    edge: EdgeIndex
    function: str | None
    rmse: float


@dataclass
class SymbolicReport:
    """What `auto_symbolic` did; prints as a table.

    Attributes:
        rmse_before: training error of the splines, root mean square in spreads of the targets, as all errors here.
        choices: in the order they were made.
        pareto: all networks that were tried, by complexity and error, with a recommended row.
        snap: what became of the numbers; None where splines are left, or snapping was switched off.
        refused: how many networks explained less than the original on samples kept aside; edges whose functions were
            given up for that are at the end of `choices`, as splines.
        interrupted: whether Ctrl-C ended the search; the network is the best that had been accepted.
        out_of_time: whether a time limit ended it; the network likewise.
        found: whether `discover` has found a formula by its own criterion: no splines, errors that look like noise or
            rounding, and enough rows for the numbers in it. None where `discover` was not asked.
    """

    rmse_before: float
    choices: list[Choice] = field(default_factory=list)
    pareto: ParetoTable = field(default_factory=lambda: ParetoTable(1))
    snap: SnapReport | None = None
    refused: int = 0
    interrupted: bool = False
    out_of_time: bool = False
    found: bool | None = None

    def __str__(self) -> str:
        lines = [f"splines: rmse {self.rmse_before:.3g}"]
        lines += [f"edge {c.edge}: {c.function or 'spline'}, rmse {c.rmse:.3g}" for c in self.choices]
        if self.refused:
            lines.append(f"refused: {self.refused} networks that explain less on samples kept aside")
        if self.snap is not None:
            lines.append(f"constants: rmse {self.snap.rmse_before:.3g} -> {self.snap.rmse_after:.3g}")
        lines += ["interrupted"] * self.interrupted + ["out of time"] * self.out_of_time
        return "\n".join([*lines, str(self.pareto)] if len(self.pareto) else lines)
