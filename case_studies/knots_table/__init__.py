"""The table of hyperbolic knots: invariants by column, and the seventeen features of the studies.

The choice and the names of the invariants are those of Davies et al. (2021).

Reference: Davies et al., Advancing mathematics by guiding human intuition with AI, doi:10.1038/s41586-021-04086-x.
"""

from pathlib import Path

import numpy as np

SHIPPED = Path(__file__).parents[1] / "data" / "knots.npz"
"""All 12,955 hyperbolic knots up to 13 crossings."""

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


def load(path: Path = SHIPPED) -> dict[str, np.ndarray]:
    """Reads a table; numbers become float64, texts str.

    Example:
        >>> table = load()
        >>> len(table["name"]), int(table["signature"].min()), int(table["signature"].max())
        (12955, -10, 8)
    """
    with np.load(path) as file:
        return {name: file[name].astype(str if file[name].dtype.kind == "S" else float) for name in file.files}


def features(table: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Returns the features, (knots, 17), and their names: geometry, then symmetry groups as zeros and ones."""
    groups = [table["symmetry_group"] == group for group in SYMMETRIES]
    columns = [*(table[name] for name in GEOMETRY), *(group.astype(float) for group in groups)]
    return np.stack(columns, axis=1), [*GEOMETRY, *(f"symmetry_{group}" for group in SYMMETRIES)]
