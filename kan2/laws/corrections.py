"""What a guess lacks: a factor or a term, for which the ratio and the difference of target and guess are searched.

Both are tables of their own, with the values of the guess as a column more. An exact law of them is looked for, and
short approximations; all numbers, those of the guess among them, are fitted together later.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import sympy
from numpy import ndarray

from kan2.expressions.symbols import symbol
from kan2.interrupts import Interruptible
from kan2.laws.budget import budget
from kan2.laws.column import Column, Table
from kan2.laws.dependence import depends
from kan2.laws.forms import shortest
from kan2.laws.front.approximations import approximations
from kan2.laws.front.complexity import complexity
from kan2.laws.front.polish import values
from kan2.laws.samples import Samples
from kan2.laws.search import Candidate, find_law

SMALLEST = 1e-9  # value of a guess, as a share of its largest, that is no divisor
TRIED = 3  # approximations of each kind whose numbers are fitted
WORTH = 0.9  # of the error of the guess must be undercut


@dataclass(frozen=True, eq=False)
class Correction:
    """A guess with a factor or a term.

    Attributes:
        expression: in the columns.
        evidence: what was added, in words, step by step.
    """

    expression: sympy.Expr
    evidence: tuple[str, ...]


def short_corrections(guess: sympy.Expr, samples: Samples) -> Iterator[Correction]:
    """Yields a guess times an approximation and plus one, which make it nearer to the target.

    Args:
        guess: in the columns, with its constants fitted; floats are fitted again later.
        samples: the rows; all are used.
    """
    found = values(guess, samples.symbols, samples.X)
    error = samples.error(found)
    if not np.isfinite(error) or error <= samples.floor:
        return
    own = _name_of_guess(samples)
    for table, is_factor in _tables(samples, found, own):
        told = _told(is_factor)

        def whole(part: sympy.Expr, is_factor: bool = is_factor) -> sympy.Expr:
            return _whole(guess, part.xreplace({own: guess}), is_factor)

        for part, words in _approximated(table, samples, whole, error):
            yield Correction(whole(part), (f"{told}: {words}",))
            if is_factor and guess.has(sympy.Float) and (constant := part.as_coeff_Add()[0]):
                # The factor of the guess is fitted anyway.
                rest = sympy.Add(*(term / constant for term in sympy.Add.make_args(part - constant)))
                yield Correction(whole(1 + rest), (f"{told}: {words}",))


def exact_corrections(guess: sympy.Expr, samples: Samples, *, seed: int, work: float) -> Iterator[Correction]:
    """Yields a guess times a law and plus one, which give the target to rounding.

    Args:
        guess: in the columns, with its constants fitted.
        samples: the rows; all are used.
        seed: of the search for exact laws.
        work: that each search may do, see `kan2.laws.budget`.
    """
    # A factor that was fitted to something else would only spoil the numbers of the ratio.
    coefficient, rest = guess.as_coeff_Mul()
    for one, is_of_factor in ((rest if coefficient.is_Float else guess, True), (guess, False)):
        found = values(one, samples.symbols, samples.X)
        if not np.isfinite(found).all():
            continue
        own = _name_of_guess(samples)
        for table, is_factor in _tables(samples, found, own):
            if is_factor is not is_of_factor or np.ptp(table.y) == 0 or not depends(table.X, table.y):
                continue  # noise has no law
            for n_columns in sorted({samples.X.shape[1], table.X.shape[1]}):
                part = replace(table, X=table.X[:, :n_columns], symbols=table.symbols[:n_columns])
                if (law := _exact(part, seed, work)) is not None:
                    told = f"{_told(is_factor)}, guess = {one}"
                    whole = _whole(one, law.expression.xreplace({own: one}), is_factor)
                    columns = tuple(map(Column, samples.X.T, samples.symbols))
                    yield Correction(shortest(whole, Table(columns, samples.y)), (told, *law.evidence))
                    break


def _told(is_factor: bool) -> str:
    return f"corrected by a {'factor' if is_factor else 'term'}"


def _whole(guess: sympy.Expr, part: Any, is_factor: bool) -> sympy.Expr:
    return cast(sympy.Expr, guess * part if is_factor else guess + part)


def _name_of_guess(samples: Samples) -> sympy.Symbol:
    names, name = {one.name for one in samples.symbols}, "guess"
    while name in names:
        name += "_"
    return symbol(name)


def _tables(samples: Samples, found: ndarray, own: sympy.Symbol) -> Iterator[tuple[Samples, bool]]:
    symbols = samples.symbols
    X = samples.X
    if np.ptp(found) > 0:
        X, symbols = np.column_stack([X, found]), (*symbols, own)
    size = np.abs(found)
    if size.min() > SMALLEST * size.max():
        # A difference of logarithms is, near to 1, that of the ratio.
        unit = np.ones(len(size)) if samples.small else samples.unit / size
        unit = unit / np.exp(np.log(unit).mean())
        yield replace(samples, X=X, y=samples.y / found, symbols=symbols, unit=unit, small=0.0, loss=None), True
    unit = np.abs(samples.y) + samples.small if samples.small else samples.unit
    yield replace(samples, X=X, y=samples.y - found, symbols=symbols, unit=unit, small=0.0, loss=None), False


def _exact(table: Samples, seed: int, work: float) -> Candidate | None:
    if not work or len(table) <= table.X.shape[1]:
        return None
    with Interruptible() as block, np.errstate(all="ignore"):
        block.has_result = True
        with budget(work):
            return find_law(table.X, table.y, tuple(one.name for one in table.symbols), seed=seed)
    return None


def _approximated(
    table: Samples, samples: Samples, whole: Callable[[sympy.Expr], sympy.Expr], error: float
) -> list[tuple[sympy.Expr, str]]:
    found: list[tuple[int, float, sympy.Expr, str]] = []
    for candidate in approximations(table):
        expression = whole(candidate.expression)
        its_error = samples.error(values(expression, samples.symbols, samples.X))
        if its_error < WORTH * error:
            found.append((complexity(expression), its_error, candidate.expression, candidate.evidence))
    kept, least = [], np.inf
    for _, its_error, part, words in sorted(found, key=lambda entry: entry[:2]):
        if its_error < WORTH * least:
            kept.append((part, words))
            least = its_error
    return kept[-TRIED:]
