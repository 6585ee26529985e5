"""Where the jumps of a formula are: between two rows, and of all rows they are nearer than of those fitted."""

import itertools
from typing import cast

import numpy as np
import sympy

from kan2.laws.front.polish import values
from kan2.laws.samples import Samples

MOST_DIGITS = 17


def with_jumps_placed(expression: sympy.Expr, samples: Samples) -> sympy.Expr:
    """Returns a formula with each jump between those rows of all where the error is least.

    Args:
        expression: in the columns; jumps are `Heaviside(column - place)`.
        samples: all rows; the place of a jump was fitted to the rest of them.
    """
    for jump in expression.atoms(sympy.Heaviside):
        argument = cast(sympy.Expr, jump.args[0])
        if len(argument.free_symbols) != 1 or not argument.is_polynomial() or sympy.degree(argument) != 1:
            continue
        (column,) = argument.free_symbols
        slope = cast(sympy.Expr, argument.diff(column))
        place = float((column - argument / slope).expand())
        rows = np.unique(samples.X[:, samples.symbols.index(cast(sympy.Symbol, column))])
        fitted = samples.rest.X[:, samples.symbols.index(cast(sympy.Symbol, column))]
        low = fitted[fitted < place].max(initial=rows[0])
        high = fitted[fitted >= place].min(initial=rows[-1])
        inside = rows[(rows >= low) & (rows <= high)]
        if len(inside) < 3:
            continue
        places = (_simplest(a, b) for a, b in itertools.pairwise(inside))
        jumps = (sympy.Heaviside(slope * (column - place)) for place in places)
        ways = [cast(sympy.Expr, expression.xreplace({jump: other})) for other in jumps]
        expression = min(ways, key=lambda way: samples.error_cut(values(way, samples.symbols, samples.X)))
    return expression


def _simplest(low: float, high: float) -> sympy.Rational:
    """Returns the number with the fewest digits in the middle half of a gap."""
    middle, most = (low + high) / 2, (high - low) / 4
    texts = (f"{middle:.{digits}g}" for digits in range(1, MOST_DIGITS))
    text = next((text for text in texts if abs(float(text) - middle) <= most), repr(middle))
    return cast(sympy.Rational, sympy.Rational(text))
