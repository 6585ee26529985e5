"""The record of a training run: one row a step."""

from dataclasses import dataclass, field
from typing import Any

INTERRUPTED = "interrupted"
COLUMNS = ("step", "loss", "rmse", "val_loss", "test_rmse", "penalty", "damping", "grid", "seconds")


@dataclass
class History:
    """What a training run did.

    Attributes:
        rows: one dict a step, with the keys of `COLUMNS`; loss is the mean loss plus the penalty and val_loss the
            mean loss on validation data, squares in units of the standard deviation of each output; rmse and test_rmse
            are root mean squares in units of the targets, empty for other losses than squares; seconds are wall-clock
            since the start.
        message: why the run stopped.
        smoothing: strength of the smoothing that was chosen for a small table, 0 for none.
        score: mean loss to be expected on new samples, as generalised cross-validation estimates it, in units of the
            variance of the targets; None where the table is large.
        freedom: number of effective parameters of a network fitted to a small table, else None.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    message: str = ""
    smoothing: float = 0.0
    score: float | None = None
    freedom: float | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the run; the network is the best that it had reached."""
        return self.message == INTERRUPTED

    def append(self, **row: Any) -> None:
        """Adds a row; columns that are not given stay empty."""
        self.rows.append({name: row.get(name) for name in COLUMNS})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        """Returns one column, such as history["rmse"]."""
        return [row[column] for row in self.rows]

    @property
    def loss(self) -> float:
        """The last loss, with the penalty."""
        return self.rows[-1]["loss"]

    @property
    def rmse(self) -> float | None:
        """The last training error, root mean square; None for other losses than squares."""
        return self.rows[-1]["rmse"]

    @property
    def test_rmse(self) -> float | None:
        """The last test error, root mean square; None without test data."""
        return self.rows[-1]["test_rmse"]

    @property
    def seconds(self) -> float:
        """Wall-clock time of the run."""
        return self.rows[-1]["seconds"]

    def to_frame(self) -> Any:
        """Returns the rows as a pandas data frame; needs pandas."""
        import pandas

        return pandas.DataFrame(self.rows, columns=list(COLUMNS))

    def __repr__(self) -> str:
        if not self.rows:
            return "History(empty)"
        test = "" if self.test_rmse is None else f", test {self.test_rmse:.3g}"
        error = f"loss {self.loss:.3g}" if self.rmse is None else f"rmse {self.rmse:.3g}"
        small = "" if self.freedom is None else f"; smoothing {self.smoothing:.0e}, {self.freedom:.1f} parameters"
        return f"History({len(self)} steps, {self.seconds:.2f} s, {error}{test}; {self.message}{small})"
