"""Functions of a column with a scale that is not known: exp(b t), sin(b t), sqrt(1 + b t), log(1 + b t).

With the right b the monomials of such a function are linearly dependent with those of the target, and the smallest
singular value falls to rounding. It is followed over a grid of b, and the lowest points are refined.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.algebra.letters import Letter, alphabets, plain
from kan2.laws.algebra.outer import Outer, outer_functions
from kan2.laws.algebra.plans import told
from kan2.laws.algebra.relations import Letters, relation
from kan2.laws.algebra.vanishing import smallest, vanishing_points
from kan2.laws.budget import budget
from kan2.laws.column import Column
from kan2.laws.found import Found
from kan2.laws.numbers import number

DECADES = 6.0  # of the target that are looked at; where it is smaller, rounding hides the rest
ROWS = 150
DEGREES = ((False, (1, 0)), (False, (1, 1)), (True, (1, 1)), (True, (2, 1)), (False, (2, 1)), (False, (1, 2)),
           (False, (2, 2)), (True, (2, 2)), (True, (3, 1)))  # fmt: skip
PHASE = 0.3  # step of the phase at the largest argument
USUAL = (sympy.Integer(1), sympy.Integer(2), sympy.Rational(1, 2), sympy.pi, 2 * sympy.pi, 1 / (2 * sympy.pi))


@dataclass(frozen=True)
class Family:
    """Functions with a scale: (samples,) values of b t to letters; powers of the column; the range of b max|t|."""

    name: str
    letters: Callable[[ndarray, sympy.Expr], list[Letter]]
    powers: tuple[int, ...]  # of the column, 0 for its logarithm
    low: float
    high: float
    n: int
    positive: bool = False
    is_periodic: bool = False


FAMILIES = (
    Family("exp", lambda u, e: [Letter(np.exp(-u), sympy.exp(-e))], (1, 2, -1, 0), 0.02, 600, 240),
    Family(
        "cos, sin",
        lambda u, e: [Letter(np.cos(u), sympy.cos(e)), Letter(np.sin(u), sympy.sin(e), 1)],
        (1, 2),
        0.02,
        60,
        60,
        is_periodic=True,
    ),
    Family("sqrt(1 + t)", lambda u, e: [Letter(np.sqrt(1 + u), sympy.sqrt(1 + e))], (1, 2), 0.02, 600, 240, True),
    Family(
        "sqrt(1 - t)",
        lambda u, e: [Letter(np.sqrt(np.maximum(1 - u, 0)), sympy.sqrt(1 - e))],
        (1, 2),
        0.1,
        0.999,
        20,
        True,
    ),
    Family("log(1 + t)", lambda u, e: [Letter(np.log(1 + u), sympy.log(1 + e))], (1, 2, -1), 0.02, 600, 240, True),
)  # fmt: skip


def law_with_usual_scales(column: Column, y: ndarray) -> Found | None:
    """Looks for relations of one column in functions of 2 t, pi t, t^2 and the like."""
    t, e = column.values, column.expression
    for scale in USUAL:
        for power in (1, 2, -1, sympy.Rational(1, 2)):
            if (
                (scale == 1 and power == 1)
                or (power == sympy.Rational(1, 2) and (t < 0).any())
                or (power == -1 and not t.all())
            ):
                continue
            u = Column(float(scale) * t ** float(power), scale * e**power)
            for alphabet in alphabets(u):
                if alphabet.name in ("t", "log", "sqrt", "t, log"):
                    continue
                letters = Letters(
                    [plain(column), *(letter for letter in alphabet.letters if letter.expression != u.expression)]
                )
                if not np.isfinite(letters.U).all():
                    continue
                for degrees in ((1, 1), (2, 2)):
                    for outer in outer_functions(y):
                        found = relation(letters, y, outer, degrees)
                        if found is not None:
                            return Found(found.expression, (told(letters, outer, degrees, found),))
    return None


def law_with_a_scale(
    arguments: Sequence[Column], y: ndarray, others: Sequence[Letter] = (), seconds: float = 12.0
) -> Found | None:
    """Looks for relations with functions of b t, with any b, the same for all arguments t.

    Args:
        arguments: the columns t.
        y: (samples,) the target.
        others: letters of other columns that take part as they are.
        seconds: work that may be spent, see `budget`.
    """
    with budget(seconds):
        return _law_with_a_scale(list(arguments), y, list(others))
    return None


def _law_with_a_scale(arguments: list[Column], y: ndarray, others: list[Letter]) -> Found | None:
    logs = np.log10(np.abs(y) + 1e-300)
    near = logs < logs.min() + DECADES
    if near.sum() > 60 and near.mean() < 0.9:
        arguments = [Column(c.values[near], c.expression) for c in arguments]
        y, others = y[near], [Letter(o.values[near], o.expression, o.highest) for o in others]
    chosen = np.linspace(0, len(y) - 1, min(len(y), ROWS)).astype(int)
    plans = []
    for family in FAMILIES:
        for power in family.powers:
            raised = [c for column in arguments for c in _raised(column, power)]
            if len(raised) < len(arguments) or (family.positive and min(c.values.min() for c in raised) < 0):
                continue
            grid = _grid(raised, family)
            for with_itself, degrees in DEGREES:
                extra = [*([plain(c) for c in arguments] if with_itself else []), *others]
                n = len(extra) + len(family.letters(raised[0].values[:1], raised[0].expression)) * len(raised)
                unknowns = sum(comb(n + d, d) for d in degrees)
                for outer in list(outer_functions(y))[:4]:
                    plans.append((unknowns, family, raised, extra, outer, degrees, grid))
    # The smallest relations of all families first.
    for _, family, raised, extra, outer, degrees, grid in sorted(plans, key=lambda plan: plan[0]):
        found = _at_a_scale(family, raised, extra, y, outer, degrees, grid, chosen)
        if found is not None:
            return found
    return None


def _raised(column: Column, power: int) -> Iterator[Column]:
    if power == 0:
        if column.sign > 0:
            yield Column(np.log(column.values), sympy.log(column.expression))
    elif power > 0 or column.values.all():
        yield column.raised(sympy.Integer(power))


def _grid(arguments: list[Column], family: Family) -> ndarray:
    """Returns logarithms of b at which a family is looked at."""
    largest = max(c.largest for c in arguments)
    if family.is_periodic:
        # The phase at the far end must not jump.
        steps = np.concatenate(
            [np.geomspace(family.low, PHASE * 4, family.n), np.arange(PHASE * 5, family.high, PHASE)]
        )
        return np.log(steps / largest)
    high = family.high / largest
    if family.high > 60:  # functions that saturate: a third of the rows must see them change
        high = max(high, 30 / float(np.quantile(np.abs(arguments[0].values), 0.33) + 1e-300))
    return np.linspace(np.log(family.low / largest), np.log(high), family.n)


def _at_a_scale(
    family: Family,
    arguments: list[Column],
    extra: list[Letter],
    y: ndarray,
    outer: Outer,
    degrees: tuple[int, int],
    grid: ndarray,
    chosen: ndarray,
) -> Found | None:
    few = [Letter(letter.values[chosen], letter.expression, letter.highest) for letter in extra]
    g, nothing = outer.values[chosen], sympy.Symbol("u")

    def height(log_b: float) -> float:
        b = np.exp(log_b)
        letters = [letter for c in arguments for letter in family.letters(b * c.values[chosen], nothing)]
        return smallest([*letters, *few], g, degrees)

    for log_b, lowest in vanishing_points(height, grid):
        b = number(float(np.exp(log_b)), 1e-8)
        with np.errstate(all="ignore"):
            functions = [x for c in arguments for x in family.letters(float(b) * c.values, b * c.expression)]
        found = relation(Letters([*functions, *extra]), y, outer, degrees, vanishes=1e-9)
        if found is not None:
            names = ", ".join(str(c.expression) for c in arguments)
            told = (
                f"monomials of {family.name} with t = b {names} and of {outer.name} are linearly dependent for "
                f"b = {float(b):.6g} alone: the smallest singular value falls to {10**lowest:.0e} of the largest "
                f"({found.n_terms} terms)"
            )
            return Found(found.expression, (told,))
    return None
