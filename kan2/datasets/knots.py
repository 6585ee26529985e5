"""All 12,955 hyperbolic knots up to 13 crossings: invariants of their geometry, and the signature.

The choice and the names of the invariants are those of Davies et al. (2021). Symmetry groups become columns of zeros
and ones.

Reference: Davies et al., Advancing mathematics by guiding human intuition with AI, doi:10.1038/s41586-021-04086-x.
"""

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

TITLE = "Invariants of the 12,955 hyperbolic knots up to 13 crossings."
SOURCE = (
    "The knots are those of the tables of Hoste, Thistlethwaite and Weeks; invariants computed with SnapPy 3.3.2 "
    "(Culler, Dunfield, Goerner, Weeks), signatures and torsion degrees with code of this project, signatures checked against "
    "KnotInfo (Livingston, Moore)."
)
LAW = (
    "|2*signature - slope| < c*volume/injectivity_radius**3 for hyperbolic knots (Davies et al.), slope the real part "
    "of longitudinal over meridional translation"
)
GEOMETRY = (
    "chern_simons",
    "cusp_volume",
    "hyperbolic_adjoint_torsion_degree",
    "hyperbolic_torsion_degree",
    "injectivity_radius",
    "longitudinal_translation",
    "meridinal_translation_imag",
    "meridinal_translation_real",
    "short_geodesic_imag_part",
    "short_geodesic_real_part",
    "volume",
)
SYMMETRIES = ("0", "D3", "D4", "D6", "D8", "Z/2 + Z/2")
FEATURES = (*GEOMETRY, *(f"symmetry_{group.replace('/', '').replace(' + ', '_')}" for group in SYMMETRIES))
"""Names of the features that can stand in a formula."""


def read_knots(path: Path | None = None) -> dict[str, np.ndarray]:
    """Reads a table of knots, by default the one of the package; numbers become float64, texts str.

    Example:
        >>> table = read_knots()
        >>> len(table["name"]), int(table["signature"].min()), int(table["signature"].max())
        (12955, -10, 8)
    """
    if path is None:
        with as_file(files("kan2.datasets") / "data" / "knots.npz") as shipped:
            return read_knots(shipped)
    with np.load(path) as file:
        return {name: file[name].astype(str if file[name].dtype.kind == "S" else float) for name in file.files}


def features(table: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Returns the features, (knots, 17), and their names: geometry, then symmetry groups as zeros and ones."""
    groups = [table["symmetry_group"] == group for group in SYMMETRIES]
    columns = [*(table[name] for name in GEOMETRY), *(group.astype(float) for group in groups)]
    return np.stack(columns, axis=1), [*GEOMETRY, *(f"symmetry_{group}" for group in SYMMETRIES)]
