"""How long the compiler may take: one budget of processor time for all stages, and shares of it for the greedy ones.

`kan2.expressions.limits` ends what runs longer, wherever in SymPy that is.
"""

from kan2.expressions.limits import time_left, time_limit

__all__ = ["EVALUATION_SECONDS", "REALISE_SECONDS", "SECONDS", "time_left", "time_limit"]

SECONDS = 1.5
"""For one formula, from its text to the verified network. All 120 Feynman equations take less than a tenth of it."""

EVALUATION_SECONDS = 1.0
"""For derivatives, integrals, sums and products. What SymPy has not found by then, it rarely finds at all."""

REALISE_SECONDS = 0.5
"""For removing an imaginary unit."""
