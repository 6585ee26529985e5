"""How often each formula of a front is the shortest description of half of the rows.

What is picked from every half does not hang on a few rows; where two formulas share the halves, the table does not
decide between them.

Reference: Meinshausen, Bühlmann, Stability selection, J. Royal Statistical Society B 72 (2010), for halves of the rows.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from kan2.laws.front.front import Row, row_of
from kan2.laws.samples import Samples


def selection_frequencies(
    rows: Sequence[Row], samples: Samples, resamples: int, seed: int
) -> Float[ndarray, "formula"]:
    """Returns the share of halves of the rows that each formula is picked from, its numbers fitted to that half.

    Args:
        rows: of a front for one target.
        samples: all rows of the table.
        resamples: how many halves.
        seed: of their choice.
    """
    generator, n = np.random.default_rng(seed), len(samples)
    chosen = np.zeros(len(rows))
    for _ in range(resamples):
        half = np.zeros(n, bool)
        half[generator.permutation(n)[: max(1, n // 2)]] = True
        part = samples.part(half)
        made = [row_of(row.formulas[0], (), part) for row in rows]
        lengths = [np.inf if one is None else one.description_length for one in made]
        # As for the front: what is exact comes before what is short.
        chosen[min(range(len(rows)), key=lambda i: (not rows[i].is_exact, lengths[i]))] += 1
    return chosen / resamples
