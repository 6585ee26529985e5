"""What a search for a formula says of itself while it runs: one small record at a time, and a line in the log."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kan2.core.network import Network
from kan2.symbolic.formula import symbolic_formula

LOGGER = logging.getLogger("kan2.discover")


@dataclass(frozen=True)
class Progress:
    """How far a search is.

    Attributes:
        attempt: number of the attempt to train a network that runs, from 1; 0 before there is any.
        attempts: largest number of attempts.
        seconds: wall-clock time since the search began.
        error: lowest error so far, root mean square in spreads of the targets; None before there is any.
        formula: what has that error, as text with four digits; None where splines are left, or nothing is known.
        message: what is done next, or was just found.
        is_best: whether formula and error are new.
        target: name of the target that is searched, where there are several; else None.
    """

    attempt: int
    attempts: int
    seconds: float
    error: float | None
    formula: str | None
    message: str
    is_best: bool = False
    target: str | None = None


class Reporter:
    """Tells a caller and the log how far a search is.

    Args:
        attempts: largest number of attempts.
        tell: called with every record, or None.
        callbacks: likewise; the first that returns something true ends the search with the best so far.
        target: name of the target, where there are several.
    """

    def __init__(
        self,
        attempts: int,
        tell: Callable[[Progress], object] | None,
        callbacks: Sequence[Callable[[Progress], object]] = (),
        target: str | None = None,
    ) -> None:
        self.attempts, self.tell, self.callbacks, self.target = attempts, tell, tuple(callbacks), target
        self.start, self.attempt = time.perf_counter(), 0
        self.error: float | None = None
        self.formula: str | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock time since the search began."""
        return time.perf_counter() - self.start

    def __call__(self, message: str, is_best: bool = False) -> None:
        """Tells what is done next."""
        record = Progress(
            self.attempt, self.attempts, self.seconds, self.error, self.formula, message, is_best, self.target
        )
        if self.tell is not None:
            self.tell(record)
        answers = [callback(record) for callback in self.callbacks]
        if any(answers):
            raise KeyboardInterrupt

    def begin(self, attempt: int) -> None:
        """Tells that an attempt begins; they count from 1."""
        self.attempt = attempt
        LOGGER.info("attempt %d of %d", attempt, self.attempts)
        self("training")

    def found(self, model: Network, error: float, is_found: bool, is_best: bool) -> None:
        """Tells what an attempt ended with, and keeps it where it is the best so far."""
        formula = as_text(model)
        kind = "a formula" if is_found else "a network of splines" if formula is None else "an approximation"
        LOGGER.info("attempt %d: %s, error %.2g: %s", self.attempt, kind, error, formula or "splines are left")
        # Approximations may have been told before.
        is_best = is_best and (self.error is None or is_found or error < self.error)
        if is_best:
            self.error, self.formula = error, formula
        self(f"found {kind}", is_best)

    def law(self, formula: str, error: float, is_law: bool) -> None:
        """Tells of a formula that no network was trained for."""
        kind = "a law" if is_law else "an approximation"
        LOGGER.info("%s, error %.2g: %s", kind, error, formula)
        is_best = is_law or self.error is None or error < self.error
        if is_best:
            self.error, self.formula = error, formula
        self(f"found {kind}", is_best)


def as_text(model: Network, digits: int = 4) -> str | None:
    """Returns the formula of a network as one line; None where splines are left."""
    if not model.is_formula:
        return None
    found = symbolic_formula(model, digits=digits, check=False)
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
