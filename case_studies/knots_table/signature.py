"""The signature of a knot from a planar diagram, by the Goeritz form.

*PD code*: one quadruple of half-edges a crossing, counterclockwise from the incoming lower strand. The faces of the
diagram are coloured like a checkerboard; the white ones index the *Goeritz form*, whose signature differs from that
of the knot by a sum of signs over some crossings. Convention: the right-handed trefoil has signature -2.

Reference: Gordon, Litherland, On the signature of a link (1978), doi:10.1007/BF01609479.
"""

from collections.abc import Sequence

import numpy as np

PDCode = Sequence[Sequence[int]]


def signature(code: PDCode) -> int:
    """Returns the signature of a knot.

    Args:
        code: PD code; half-edges are numbered along the knot, each occurs twice.

    Example:
        >>> signature([(1, 5, 2, 4), (3, 1, 4, 6), (5, 3, 6, 2)])
        -2
    """
    form, types = _goeritz(code)
    correction = sum(eta for eta, crossing in zip(types, code) if eta == crossing_sign(crossing))
    values = np.linalg.eigvalsh(form)
    return -(int((values > 0).sum()) - int((values < 0).sum()) + correction)


def determinant(code: PDCode) -> int:
    """Returns the determinant of a knot, the absolute value of its Alexander polynomial at -1.

    Example:
        >>> determinant([(1, 5, 2, 4), (3, 1, 4, 6), (5, 3, 6, 2)])
        3
    """
    return abs(round(float(np.linalg.det(_goeritz(code)[0]))))


def crossing_sign(crossing: Sequence[int]) -> int:
    """Returns 1 for a right-handed crossing, -1 for a left-handed one."""
    _, b, _, d = crossing
    # Along the upper strand half-edges count up by one, save where the numbering of the knot starts anew.
    return 1 if b - d == 1 or d - b > 1 else -1


def _goeritz(code: PDCode) -> tuple[np.ndarray, list[int]]:
    # The Goeritz matrix without its first row and column, and the type of each crossing.
    faces, colours = _coloured_faces(code)
    white = sorted({face for corners in faces for face in corners if colours[face]})
    index = {face: i for i, face in enumerate(white)}
    form, types = np.zeros((len(white), len(white))), []
    for corners in faces:
        eta = 1 if colours[corners[0]] else -1
        first, second = corners[::2] if eta == 1 else corners[1::2]
        i, j = index[first], index[second]
        if i != j:
            form[[i, j], [j, i]] += eta
            form[[i, j], [i, j]] -= eta
        types.append(eta)
    return form[1:, 1:], types


def _coloured_faces(code: PDCode) -> tuple[list[list[int]], dict[int, bool]]:
    # Corner i of a crossing lies between its half-edges i and i + 1; faces are classes of corners along edges.
    parent = list(range(4 * len(code)))

    def root(corner: int) -> int:
        while parent[corner] != corner:
            parent[corner] = parent[parent[corner]]
            corner = parent[corner]
        return corner

    ends: dict[int, list[int]] = {}
    for n, crossing in enumerate(code):
        for i, edge in enumerate(crossing):
            ends.setdefault(edge, []).append(4 * n + i)
    for one, other in ends.values():
        # What is left of an edge at one end is right of it at the other.
        parent[root(one)] = root(other - other % 4 + (other - 1) % 4)
        parent[root(one - one % 4 + (one - 1) % 4)] = root(other)
    faces = [[root(4 * n + i) for i in range(4)] for n in range(len(code))]
    colours = {faces[0][0]: True}
    pending = list(faces)
    while pending:
        later = []
        for corners in pending:
            known = next((i for i in range(4) if corners[i] in colours), None)
            if known is None:
                later.append(corners)
                continue
            for i in range(4):
                colours[corners[i]] = colours[corners[known]] == ((i - known) % 2 == 0)
        pending = later
    return faces, colours
