"""Invariants of one hyperbolic knot, by SnapPy; signature and torsion degrees by our own modules.

Traps on the way: the signature of SnapPy's Seifert matrices has the opposite sign; `length_spectrum_alt` takes seconds
a knot, the shortest of the dual curves of five triangulations milliseconds; a cusp neighbourhood is scaled by hand,
since moving its boundary may break the triangulation; torsion degrees drown in rounding where relators are long, so
relators must hold to nine digits and the coefficients at the ends must stand out.

Reference: Culler, Dunfield, Goerner, Weeks, SnapPy, https://snappy.computop.org. SnapPy is GPL; it is imported here
alone, and comes with the extra `knots`.
"""

from math import exp
from typing import Any

import numpy as np

from case_studies.knots_table.signature import signature
from case_studies.knots_table.torsion import adjoint, lift, torsion_degree, word_image

TRIANGULATIONS = 5
LEAST_GAP, LARGEST_ERROR = 1e5, 1e-9
ATTEMPTS = 30
SOLUTIONS = ("all tetrahedra positively oriented", "contains negatively oriented tetrahedra")

Record = dict[str, Any]


def prime_knots(crossings: int) -> Any:
    """Returns the exteriors of all prime knots of a number of crossings; some are not hyperbolic."""
    from snappy import HTLinkExteriors  # type: ignore[import-not-found]

    return HTLinkExteriors(knots_vs_links="knots", crossings=crossings)


def is_hyperbolic(exterior: Any) -> bool:
    """Returns whether SnapPy finds the complete hyperbolic structure, in some triangulation."""
    for _ in range(ATTEMPTS):
        if exterior.solution_type() in (
            "all tetrahedra positively oriented",
            "contains negatively oriented tetrahedra",
        ):
            return exterior.volume() > 0.5
        exterior.randomize()
    return False


def describe(exterior: Any) -> Record:
    """Returns all invariants of a hyperbolic knot; orientation matters to the sign of some."""
    code = exterior.link().PD_code()
    cusp = exterior.cusp_neighborhood()
    meridian, longitude = cusp.translations(0)
    # Lengths on the boundary grow with the neighbourhood until it touches itself.
    growth = exp(cusp.stopping_displacement())
    shortest = shortest_geodesic(exterior)
    degree, adjoint_degree = torsion_degrees(exterior)
    return {
        "name": exterior.name(),
        "crossings": len(code),
        "volume": float(exterior.volume()),
        "chern_simons": float(exterior.chern_simons()),
        "cusp_volume": float(cusp.volume()) * growth**2,
        "longitudinal_translation": complex(longitude).real * growth,
        "meridinal_translation_real": float(complex(meridian).real) * growth,
        "meridinal_translation_imag": float(complex(meridian).imag) * growth,
        "short_geodesic_real_part": shortest.real,
        "short_geodesic_imag_part": shortest.imag,
        "injectivity_radius": shortest.real / 2,
        "symmetry_group": str(exterior.symmetry_group()),
        "hyperbolic_torsion_degree": degree,
        "hyperbolic_adjoint_torsion_degree": adjoint_degree,
        "signature": signature(code),
    }


def shortest_geodesic(exterior: Any) -> complex:
    """Returns the complex length of the shortest closed geodesic among dual curves of several triangulations."""
    copy, lengths = exterior.copy(), []
    for _ in range(TRIANGULATIONS):
        lengths += [complex(curve.complete_length) for curve in copy.dual_curves(6)]
        copy.randomize()
    shortest = min(length.real for length in lengths)
    # An amphicheiral knot has two of them, mirror images: the one that turns to the left is taken.
    return max((length for length in lengths if length.real < shortest + 1e-6), key=lambda length: length.imag)


def torsion_degrees(exterior: Any) -> tuple[int, int]:
    """Returns the degrees of the hyperbolic torsion polynomial and of the adjoint one.

    Raises:
        ArithmeticError: rounding hid the ends of a polynomial in every presentation that was tried.
    """
    copy = exterior.copy()
    for _ in range(ATTEMPTS):
        # Fewer generators would make long relators, whose matrices lose all digits.
        group = copy.fundamental_group(True, True, False)
        relators = group.relators()
        images = lift(relators, {g: _matrix(group.SL2C(g)) for g in group.generators()})
        error = max(float(np.abs(word_image(word, images) - np.eye(2)).max()) for word in relators)
        degree, gap = torsion_degree(relators, images)
        adjoint_degree, adjoint_gap = torsion_degree(relators, {letter: adjoint(m) for letter, m in images.items()})
        # Degrees of a knot of genus g are at most 4g - 2 and 6g - 3.
        if error < LARGEST_ERROR and min(gap, adjoint_gap) > LEAST_GAP and 2 * adjoint_degree <= 3 * degree:
            return degree, adjoint_degree
        copy.randomize()
    raise ArithmeticError(f"torsion_degrees: expected ends that stand out of rounding, got none for {exterior}.")


def _matrix(matrix: Any) -> np.ndarray:
    return np.array([[complex(matrix[i, j]) for j in range(2)] for i in range(2)])
