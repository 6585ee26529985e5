"""Degrees of the hyperbolic torsion polynomials of a knot, by Fox calculus on its holonomy.

The *holonomy* sends each generator of the knot group to a matrix of SL(2, C), its *adjoint* to one of size three. The
torsion polynomial is det(A(t)) / det(t^a rho(x) - 1): A holds Fox derivatives of the relators without the column of
the generator x, each generator carries t to the power of its image in the homology, and a is that of x. Only the
degree is asked for: it is read off the values on two circles, |t| = 3 where the highest coefficient stands out and
|t| = 1/3 where the lowest does, as the place where coefficients fall to rounding.

Reference: Dunfield, Friedl, Jackson, Twisted Alexander polynomials of hyperbolic knots (2012), arXiv 1108.3045.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

RADIUS = 3.0
MARGIN = 8  # coefficients beyond those that can occur, which show what rounding is


def torsion_degree(relators: Sequence[str], images: Mapping[str, np.ndarray]) -> tuple[int, float]:
    """Returns the degree of a torsion polynomial, and the gap that sets its end coefficients off from rounding.

    Args:
        relators: words in the generators, capitals for inverses; one fewer than generators.
        images: the matrix of each generator and, under the capital, of its inverse; a representation of the group.
    """
    generators = [letter for letter in images if letter.islower()]
    size = len(next(iter(images.values())))
    powers = homology(relators, generators)
    dropped = min((g for g in generators if powers[g]), key=lambda g: abs(powers[g]))
    kept = [g for g in generators if g != dropped]
    blocks = [_fox_derivatives(word, kept, images, powers) for word in relators]
    low = size * sum(min(p for block in row for p in block) for row in blocks)
    high = size * sum(max(p for block in row for p in block) for row in blocks)
    top, gap_above = _last_coefficient(blocks, low, high, RADIUS)
    bottom, gap_below = _last_coefficient(blocks, low, high, 1 / RADIUS)
    return top - bottom - size * abs(powers[dropped]), min(gap_above, gap_below)


def homology(relators: Sequence[str], generators: Sequence[str]) -> dict[str, int]:
    """Returns the image of each generator in the first homology of the knot's complement, the integers.

    Example:
        >>> homology(["abAAB"], ["a", "b"])  # a = 0 in the abelian group
        {'a': 0, 'b': 1}
    """
    counts = np.array([[word.count(g) - word.count(g.upper()) for g in generators] for word in relators])
    minors = [np.linalg.det(np.delete(counts, j, axis=1)) for j in range(len(generators))]
    return {g: (-1) ** j * round(float(minor)) for j, (g, minor) in enumerate(zip(generators, minors))}


def lift(relators: Sequence[str], images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns matrices of generators and inverses, with signs such that relators go to one and not to minus one.

    Args:
        relators: words in the generators, capitals for inverses.
        images: a matrix of determinant one for each generator; a representation up to signs.

    Raises:
        ValueError: no signs do.
    """
    letters = {**images, **{g.upper(): np.array([[d, -b], [-c, a]]) for g, ((a, b), (c, d)) in images.items()}}
    negative = [word_image(word, letters)[0, 0].real < 0 for word in relators]
    counts = [[word.lower().count(g) for g in images] for word in relators]
    flips = np.array(list(product((0, 1), repeat=len(images))))
    fitting = flips[((flips @ np.array(counts).T) % 2 == negative).all(axis=1)]
    if len(fitting):
        signs = dict(zip(images, 1 - 2 * fitting[0]))
        return {letter: signs[letter.lower()] * matrix for letter, matrix in letters.items()}
    raise ValueError("lift: expected a representation up to sign, got matrices that no signs turn into one.")


def adjoint(matrix: np.ndarray) -> np.ndarray:
    """Returns the action of a matrix of SL(2, C) on binary quadratic forms, which is the adjoint one."""
    (a, b), (c, d) = matrix
    return np.array([[a * a, 2 * a * b, b * b], [a * c, a * d + b * c, b * d], [c * c, 2 * c * d, d * d]])


def word_image(word: str, images: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the product of the matrices of a word."""
    result = np.eye(len(images[word[0]]), dtype=complex)
    for letter in word:
        result = result @ images[letter]
    return result


def _fox_derivatives(
    word: str, kept: Sequence[str], images: Mapping[str, np.ndarray], powers: Mapping[str, int]
) -> list[dict[int, np.ndarray]]:
    # The derivative by each generator: its coefficients by power of t.
    size = len(images[word[0]])
    prefix, power = np.eye(size, dtype=complex), 0
    terms: dict[str, dict[int, np.ndarray]] = {g: {0: np.zeros((size, size), dtype=complex)} for g in kept}
    for letter in word:
        generator, before = letter.lower(), (power, prefix)
        prefix = prefix @ images[letter]
        power += powers[generator] if letter == generator else -powers[generator]
        if generator in terms:
            sign, (at, matrix) = (1, before) if letter == generator else (-1, (power, prefix))
            terms[generator][at] = terms[generator].get(at, 0) + sign * matrix
    return list(terms.values())


def _last_coefficient(
    blocks: list[list[dict[int, np.ndarray]]], low: int, high: int, radius: float
) -> tuple[int, float]:
    # The power of t at which the coefficients of the determinant end, seen from where |t| = radius makes them large.
    n = high - low + 1 + MARGIN
    t = radius * np.exp(2j * np.pi * np.arange(n) / n)
    rows = [
        np.concatenate([sum(t[:, None, None] ** p * c for p, c in block.items()) for block in row], axis=2)
        for row in blocks
    ]
    values = np.linalg.det(np.concatenate(rows, axis=1)) * t**-low
    sizes = np.abs(np.fft.fft(values)) / n
    order = np.arange(n)[::-1] if radius > 1 else np.roll(np.arange(n), MARGIN)
    beyond = np.maximum.accumulate(sizes[order])
    drops = beyond[1:] / np.maximum(beyond[:-1], 1e-17 * beyond[-1])
    # Rounding is there before the first drop of the margin.
    found = MARGIN - 1 + int(np.argmax(drops[MARGIN - 1 :]))
    return low + int(order[found + 1]), float(drops[found])
