"""J'J of splines on fine grids, in the part of Python that numba compiles.

At every sample only k + 1 of a grid's functions differ from zero, and so most of the entries of a Jacobian are zeros.
These loops multiply what is not, edge by edge: on [2, 1, 1] with 100 intervals one hundredth of the products.
"""

from collections.abc import Callable
from functools import lru_cache

from kan2.core.compiling import compile_loop


@compile_loop
def take_columns(leaf, features, first, target, source, lead, k, at, values, runs):
    """Writes what the edges of one layer put into the rows of the Jacobian.

    Args:
        leaf: (batch, target) derivatives of the residual with respect to the sums of subnodes.
        features: (batch, source * feature).
        first: (batch, source) intervals.
        target, source: (edge,) which edges there are.
        lead: 1 where feature 0 is the base function, else 0.
        k: order of the splines.
        at: number of edges of the layers before.
        values: (edge, batch, k + 2) the base function, or 0, and k + 1 splines.
        runs: (edge, batch) the first of these splines among the features.
    """
    n_feature = features.shape[1] // first.shape[1]
    for e in range(len(target)):
        s, t = source[e], target[e]
        for i in range(leaf.shape[0]):
            begin, run, own = s * n_feature, lead + first[i, s], leaf[i, t]
            runs[at + e, i] = run
            values[at + e, i, 0] = own * features[i, begin] if lead else 0.0
            for j in range(k + 1):
                values[at + e, i, 1 + j] = own * features[i, begin + run + j]


@lru_cache(maxsize=8)
def products_loop(k: int) -> Callable[..., None]:
    """Returns the loop for an order, which is a constant to the compiler.

    It adds to the lower half of J'J, blocks of one edge whole, what `take_columns` wrote; `starts` are the columns of
    the edges.
    """

    @compile_loop
    def add_products(values, runs, starts, gram):
        for e in range(values.shape[0]):
            for f in range(e + 1):
                # One pair of edges after another, whose block stays in the cache.
                for i in range(values.shape[1]):
                    base, there = starts[e], starts[f]
                    run, away = base + runs[e, i], there + runs[f, i]
                    own, other = values[e, i, 0], values[f, i, 0]
                    gram[base, there] += own * other
                    for j in range(k + 1):
                        gram[base, away + j] += own * values[f, i, 1 + j]
                    for r in range(k + 1):
                        own = values[e, i, 1 + r]
                        gram[run + r, there] += own * other
                        for j in range(k + 1):
                            gram[run + r, away + j] += own * values[f, i, 1 + j]

    return add_products


@compile_loop
def push_columns(values, runs, starts, v, result):
    """Adds J v to (batch,) result."""
    for e in range(values.shape[0]):
        for i in range(values.shape[1]):
            total = values[e, i, 0] * v[starts[e]]
            for j in range(values.shape[2] - 1):
                total += values[e, i, 1 + j] * v[starts[e] + runs[e, i] + j]
            result[i] += total


@compile_loop
def pull_columns(values, runs, starts, w, result):
    """Adds J' w to (parameter,) result."""
    for e in range(values.shape[0]):
        for i in range(values.shape[1]):
            result[starts[e]] += values[e, i, 0] * w[i]
            for j in range(values.shape[2] - 1):
                result[starts[e] + runs[e, i] + j] += values[e, i, 1 + j] * w[i]


@compile_loop
def complete(gram):
    """Copies the lower half of a matrix to the upper one."""
    for i in range(gram.shape[0]):
        for j in range(i):
            gram[j, i] = gram[i, j]
