"""From which inputs split which pairs to the parts of a node: modular decomposition.

Modules that overlap are never alone: by Gorman's theorem their union, intersection and differences are modules too,
and the function is a function of a sum over the pieces. So the modules that overlap no other, the *strong* ones,
form a tree, and the children of a node are its largest strong modules. They follow from the smallest module around
each pair of inputs, which a closure finds, so no search over subsets is needed.

Words: a node is *complete* when any union of its children is a module, which makes it F(sum of children) if there are
at least three; it is *prime* when no such union is.

References: W. M. Gorman, "The structure of utility functions", Rev. Econ. Stud. 35, 367 (1968);
R. H. Möhring, F. J. Radermacher, "Substitution decomposition", Ann. Discrete Math. 19, 257 (1984).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from treeconv.probes import Group


def closure(start: Iterable[int], splits: NDArray[np.bool_]) -> frozenset[int]:
    """Returns the smallest module that contains some inputs.

    Args:
        start: The inputs.
        splits: Array (n, n, n); entry [i, j, k] says that k splits the pair (i, j).

    Returns:
        The module, grown by every input that splits a pair inside it.
    """
    members = set(start)
    while True:
        inside = sorted(members)
        added = set(np.flatnonzero(splits[np.ix_(inside, inside)].any(axis=(0, 1))).tolist()) - members
        if not added:
            return frozenset(members)
        members |= added


def strong_modules(splits: NDArray[np.bool_]) -> tuple[set[frozenset[int]], bool]:
    """Finds the modules that overlap no other module.

    Args:
        splits: Array (n, n, n); entry [i, j, k] says that k splits the pair (i, j).

    Returns:
        The strong modules with more than one input, and whether the whole set is complete.

    Example:
        >>> splits = np.zeros((3, 3, 3), dtype=bool)
        >>> splits[0, 2, 1] = splits[2, 0, 1] = splits[1, 2, 0] = splits[2, 1, 0] = True  # x0 * x1 + x2
        >>> sorted(map(sorted, strong_modules(splits)[0]))
        [[0, 1], [0, 1, 2]]
    """
    n = len(splits)
    everything = frozenset(range(n))
    smallest = {closure(pair, splits) for pair in itertools.combinations(range(n), 2)}
    overlap = nx.Graph()
    overlap.add_nodes_from(smallest)
    overlap.add_edges_from((a, b) for a, b in itertools.combinations(smallest, 2) if a & b and a - b and b - a)
    strong, complete = {everything}, False
    for family in nx.connected_components(overlap):
        union = frozenset().union(*family)
        strong.add(union)
        complete |= union == everything and len(family) > 1
        # pieces: inputs that belong to the same members of the family
        pieces: dict[frozenset[frozenset[int]], set[int]] = {}
        for i in union:
            pieces.setdefault(frozenset(m for m in family if i in m), set()).add(i)
        strong.update(frozenset(piece) for piece in pieces.values())
    return {module for module in strong if len(module) > 1}, complete


def children(splits: NDArray[np.bool_]) -> tuple[tuple[Group, ...], bool]:
    """Divides inputs into the largest strong modules below the whole.

    Args:
        splits: Array (n, n, n); entry [i, j, k] says that k splits the pair (i, j).

    Returns:
        The groups, sorted, and whether the whole is complete.
    """
    n = len(splits)
    strong, complete = strong_modules(splits)
    proper = sorted((m for m in strong if len(m) < n), key=lambda m: -len(m))
    groups: list[Group] = []
    covered: set[int] = set()
    for module in proper:
        if not module & covered:
            groups.append(tuple(sorted(module)))
            covered |= module
    groups += [(i,) for i in range(n) if i not in covered]
    return tuple(sorted(groups)), complete
