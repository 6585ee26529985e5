"""Sums of few terms of a dictionary, and ratios of two: the best subsets that a beam of them finds.

y Q(x) = P(x) is linear in the coefficients of both, with -y s in place of a term s of Q. The target stands on both
sides then, and its errors with it, so that the coefficients are only where a fit may begin.

Reference: Natarajan, Sparse approximate solutions to linear systems, SIAM J. Comput. 24 (1995), for the greedy choice;
a beam keeps the best subsets of each size in place of one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.budget import spend
from kan2.laws.noisy.dictionary import Dictionary, Maker

BEAM, MOST_TERMS = 16, 4
SWAPS, SWAPPED = 3, 6  # rounds in which each term of the best few subsets may become another
MOST_OF_ALL = {2: 1000, 3: 220}  # terms of which all subsets of so many are tried
OF_EACH = 3  # subsets with each term that are kept
SMALLEST = 1e-7  # share of a term that those before it do not explain


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum of terms, or a ratio of two.

    Attributes:
        left: what it leaves, as a share of the squares of the target.
        size: how many terms it has.
        above, below: the terms, and their coefficients, of sum and divisor; the divisor has 1 besides.
    """

    left: float
    size: int
    above: tuple[tuple[float, Maker], ...]
    below: tuple[tuple[float, Maker], ...] = ()

    @property
    def expression(self) -> sympy.Expr:
        """The sum as it is written."""
        top, low = (
            sympy.Add(*(sympy.Float(c, 17) * write() for c, write in part)) for part in (self.above, self.below)
        )
        return top / (1 + low)


def sums(
    dictionary: Dictionary, y: Float[ndarray, "row"], weight: Float[ndarray, "row"], *, ratios: bool = False
) -> Iterator[Sum]:
    """Yields sums of terms that leave little, those of few terms first.

    Args:
        dictionary: the terms.
        y: the target.
        weight: of squared errors of the target.
        ratios: whether terms may also stand below the line, where the first one is 1.
    """
    root = np.sqrt(weight)
    above = dictionary.values
    values = np.hstack([above, -y[:, None] * above[:, 1:]]) if ratios else above
    values = root[:, None] * values
    sizes = np.linalg.norm(values, axis=0)
    sizes[sizes == 0] = 1.0
    T, target = values / sizes, root * y
    whole = float(target @ target) or 1.0
    n = above.shape[1]

    def made(state: _Subset) -> Sum | None:
        found = np.linalg.lstsq(T[:, state.chosen], target, rcond=1e-14)[0] / sizes[list(state.chosen)]
        terms = list(zip(map(float, found), state.chosen))
        top = tuple((c, dictionary.write[k]) for c, k in terms if k < n)
        low = tuple((c, dictionary.write[k - n + 1]) for c, k in terms if k >= n)
        return Sum(state.left / whole, len(terms), top, low) if top else None

    beam = [_Subset(whole, (), np.zeros((len(y), 0)), target)]
    for size in range(1, MOST_TERMS + 1):
        longer = {frozenset(one.chosen): one for state in beam for one in _longer(T, state, BEAM)}
        if T.shape[1] <= MOST_OF_ALL.get(size, 0):
            longer |= {frozenset(one.chosen): one for one in _all(T, target, size)}
        beam = _best(longer.values())
        if not beam:
            return
        if size > 1:
            for _ in range(SWAPS):
                others = {frozenset(one.chosen): one for one in beam}
                for state in beam[:SWAPPED]:
                    for out in state.chosen:
                        rest = _subset(T, target, tuple(k for k in state.chosen if k != out))
                        others |= {frozenset(one.chosen): one for one in _longer(T, rest, 2)}
                before, beam = beam, _best(others.values())
                if beam[0].left >= before[0].left:
                    break
        for state in beam:
            if (found := made(state)) is not None:
                yield found
        if beam[0].left <= 1e-24 * whole:
            return
    # What fits with a term too many may have been missed without it.
    for state in beam[:SWAPPED]:
        for out in state.chosen:
            found = made(_subset(T, target, tuple(k for k in state.chosen if k != out)))
            if found is not None:
                yield found


@dataclass(frozen=True, eq=False)
class _Subset:
    """Chosen terms, an orthonormal basis of them, what they leave of the target, and its square."""

    left: float
    chosen: tuple[int, ...]
    Q: Float[ndarray, "row chosen"]
    rest: Float[ndarray, "row"]


def _all(T: ndarray, target: ndarray, size: int) -> Iterator[_Subset]:
    """Yields the best of all subsets of two or three terms: those that nearly cancel are not found one by one."""
    n = T.shape[1]
    gram, along = T.T @ T, T.T @ target
    if size == 2:
        spend(n, 3)
        pairs = _pairs(gram, along, BEAM)
        yield from (_subset(T, target, pair) for _, pair in pairs)
        return
    spend(n, int(8**0.5 * n))
    found: list[tuple[float, tuple[int, ...]]] = []
    for i in range(n - 2):
        # What is left of the terms behind the first, and of the target, without the first.
        g = gram[i, i + 1 :] / gram[i, i]
        rest = gram[i + 1 :, i + 1 :] - np.outer(g, gram[i, i + 1 :])
        gain = along[i] ** 2 / gram[i, i]
        for more, (j, k) in _pairs(rest, along[i + 1 :] - g * along[i], OF_EACH):
            found.append((gain + more, (i, i + 1 + j, i + 1 + k)))
    yield from (_subset(T, target, chosen) for _, chosen in sorted(found, reverse=True)[:BEAM])


def _pairs(gram: ndarray, along: ndarray, n: int) -> list[tuple[float, tuple[int, int]]]:
    """Returns by how much two terms lower the squares of what is left, and which they are: the best n pairs."""
    size, squares = np.diagonal(gram), along**2
    both = np.outer(size, size)
    det = both - gram**2
    usable = np.triu(det > SMALLEST * both, 1) & (np.minimum.outer(size, size) > SMALLEST)
    gain = np.outer(squares, size) + np.outer(size, squares) - 2 * np.outer(along, along) * gram
    gain = np.where(usable, gain / np.where(usable, det, 1.0), -1.0)
    best = np.argpartition(-gain, min(n, gain.size - 1), None)[:n]
    places = [(float(gain.flat[k]), divmod(int(k), len(size))) for k in best]
    return [place for place in places if place[0] >= 0]


def _best(subsets: Iterable[_Subset]) -> list[_Subset]:
    return sorted(subsets, key=lambda one: one.left)[:BEAM]


def _subset(T: ndarray, target: ndarray, chosen: tuple[int, ...]) -> _Subset:
    Q = np.linalg.qr(T[:, chosen])[0]
    rest = target - Q @ (Q.T @ target)
    return _Subset(float(rest @ rest), chosen, Q, rest)


def _longer(T: ndarray, state: _Subset, n: int) -> Iterator[_Subset]:
    """Yields the subsets with the one more term that leaves least, the best n of them."""
    spend(len(T), int((2 * (1 + len(state.chosen)) * T.shape[1]) ** 0.5))
    # Of unit terms: what is left of each squared is 1 less its projections.
    inside = state.Q.T @ T
    norms = 1 - (inside**2).sum(0)
    usable = norms > SMALLEST
    gains = np.where(usable, (T.T @ state.rest) ** 2 / np.where(usable, norms, 1.0), -1.0)
    top = np.argpartition(-gains, min(n, len(gains) - 1))[:n]
    for k in top[np.argsort(-gains[top], kind="stable")]:
        if gains[k] > 0:
            free = T[:, k] - state.Q @ inside[:, k]
            q = free / np.linalg.norm(free)
            rest = state.rest - q * (q @ state.rest)
            yield _Subset(float(rest @ rest), (*state.chosen, int(k)), np.column_stack([state.Q, q]), rest)
