"""What a search for a formula says of itself while it runs: one small record at a time, and a line in the log."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from kan2.core.network import Network
from kan2.symbolic.formula import symbolic_formula

LOGGER = logging.getLogger("kan2.discover")


@dataclass(frozen=True)
class Progress:
    """How far a search is.

    Attributes:
        attempt: number of the attempt that runs, from 1.
        attempts: largest number of attempts.
        seconds: wall-clock time since the search began.
        error: lowest error so far, root mean square in spreads of the targets; None before there is any.
        formula: what has that error, as text with four digits; None where splines are left, or nothing is known.
        message: what is done next, or was just found.
        is_best: whether formula and error are new.
    """

    attempt: int
    attempts: int
    seconds: float
    error: float | None
    formula: str | None
    message: str
    is_best: bool = False


class Reporter:
    """Tells a caller and the log how far a search is.

    Args:
        attempts: largest number of attempts.
        tell: called with every record, or None.
    """

    def __init__(self, attempts: int, tell: Callable[[Progress], object] | None) -> None:
        self.attempts, self.tell = attempts, tell
        self.start, self.attempt = time.perf_counter(), 0
        self.error: float | None = None
        self.formula: str | None = None

    def __call__(self, message: str, is_best: bool = False) -> None:
        """Tells what is done next."""
        seconds = time.perf_counter() - self.start
        if self.tell is not None:
            self.tell(Progress(self.attempt, self.attempts, seconds, self.error, self.formula, message, is_best))

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
        if is_best:
            self.error, self.formula = error, formula
        self(f"found {kind}", is_best)


def as_text(model: Network, digits: int = 4) -> str | None:
    """Returns the formula of a network as one line; None where splines are left."""
    if not model.is_formula:
        return None
    found = symbolic_formula(model, digits=digits, check=False)
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
