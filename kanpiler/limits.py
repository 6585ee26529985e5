"""How long the compiler may take: one budget of processor time for all stages, and shares of it for the greedy ones.

`kan2.expressions.limits` ends what runs longer, wherever in SymPy that is.
"""

from kan2.expressions.limits import time_left, time_limit

__all__ = ["EVALUATION", "REALISE", "REWRITING", "SECONDS", "share_of_time", "time_limit"]

SECONDS = 1.5
"""For one formula, from its text to the verified network. All 120 Feynman equations take less than a tenth of it."""

EVALUATION = 0.7
"""Share for derivatives, integrals, sums and products. What SymPy has not found in a second, it rarely finds at all."""

REALISE = 0.4
"""Share for removing an imaginary unit."""

REWRITING = 0.2
"""Share for one rewriting of a formula into an equal one that may be smaller."""


def share_of_time(share: float) -> float:
    """Returns a share of the time that is left, in seconds; of `SECONDS` where no limit is set.

    Example:
        >>> share_of_time(0.5)
        0.75
    """
    left = time_left()
    return share * (left if left < float("inf") else SECONDS)
