"""Numbers of nodes as users write them, `width=[2, [5, 2], 1]` and `mult_arity`, and default names of columns.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 2.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kan2.errors import SpecError
from kan2.options import LARGEST_LAYER, is_whole, size


def default_names(stem: str, n: int) -> tuple[str, ...]:
    """Returns stem1, stem2, ..., n names.

    Example:
        >>> default_names("x", 3)
        ('x1', 'x2', 'x3')
    """
    return tuple(f"{stem}{i + 1}" for i in range(n))


def parse_width(
    width: Sequence[int | Sequence[int]], mult_arity: int | Sequence[Sequence[int]] = 2
) -> list[tuple[int, tuple[int, ...]]]:
    """Reads `width=[2, [5, 2], 1]` and `mult_arity` into (n_sum, arities) of every layer of nodes, inputs included.

    Args:
        width: for each layer of nodes its number of addition nodes, or [addition nodes, multiplication nodes].
        mult_arity: one arity for all multiplication nodes, or a list of arities for each layer of nodes.

    Raises:
        SpecError: negative or empty layers, multiplication among the inputs, arities that contradict the width.

    Example:
        >>> parse_width([2, [5, 2], 1], 3)
        [(2, ()), (5, (3, 3)), (1, ())]
    """
    if isinstance(width, np.ndarray):
        width = width.tolist()
    if not isinstance(width, Sequence) or isinstance(width, str | bytes) or len(width) < 2:
        raise SpecError(f"width: expected at least inputs and outputs, such as [2, 5, 1], got {width!r}.")
    nodes: list[tuple[int, int]] = []
    for i, entry in enumerate(width):
        pair: tuple[Any, ...] = (
            tuple(entry) if isinstance(entry, Sequence | np.ndarray) and np.ndim(entry) else (entry, 0)
        )
        if len(pair) != 2 or not all(is_whole(n, 0) for n in pair):
            raise SpecError(f"width: expected a number or [sums, products] at position {i}, got {entry!r}.")
        if sum(pair) == 0:
            raise SpecError(f"width: expected at least one node at position {i}, got {entry!r}.")
        for n in pair:
            size("width", f"each number of nodes at position {i}", n, 0, LARGEST_LAYER, error=SpecError)
        nodes.append((int(pair[0]), int(pair[1])))
    if nodes[0][1]:
        raise SpecError(f"width: expected only plain inputs at position 0, got {width[0]!r}.")
    if is_whole(mult_arity):
        arities = [(int(mult_arity),) * n_mult for _, n_mult in nodes]  # type: ignore[arg-type]
        if mult_arity < 2:  # type: ignore[operator]
            raise SpecError(f"mult_arity: expected integers >= 2, got {mult_arity!r}.")
    else:
        lists = list(mult_arity) if isinstance(mult_arity, Sequence) and not isinstance(mult_arity, str) else None
        if lists is None or not all(isinstance(a, Sequence) and not isinstance(a, str) for a in lists):
            raise SpecError(
                f"mult_arity: expected one number >= 2, or a list of arities for each layer of nodes, got "
                f"{mult_arity!r}. Pass 2, or a list such as [[], [2, 3], []]."
            )
        arities = [tuple(a) for a in lists]
    if [len(a) for a in arities] != [n_mult for _, n_mult in nodes]:
        raise SpecError(
            f"mult_arity: expected one arity for each multiplication node, {[n for _, n in nodes]} a layer, "
            f"got {mult_arity!r}. Give one number, or a list such as [[], [2, 3], []]."
        )
    if bad := [a for layer in arities for a in layer if not is_whole(a, 2)]:
        raise SpecError(f"mult_arity: expected integers >= 2, got {bad}.")
    for a in (a for layer in arities for a in layer):
        size("mult_arity", "each number of factors", a, 2, LARGEST_LAYER, error=SpecError)
    return [(n_sum, tuple(map(int, a))) for (n_sum, _), a in zip(nodes, arities)]
