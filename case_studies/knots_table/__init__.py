"""The table of hyperbolic knots: invariants by column, and the seventeen features of the studies.

The choice and the names of the invariants are those of Davies et al. (2021).

Reference: Davies et al., Advancing mathematics by guiding human intuition with AI, doi:10.1038/s41586-021-04086-x.
"""

from pathlib import Path

from kan2.datasets.knots import GEOMETRY as GEOMETRY
from kan2.datasets.knots import SYMMETRIES as SYMMETRIES
from kan2.datasets.knots import features as features
from kan2.datasets.knots import read_knots as load

SHIPPED = Path(__file__).parents[2] / "kan2" / "datasets" / "data" / "knots.npz"
"""All 12,955 hyperbolic knots up to 13 crossings, as `load()` reads them."""

__all__ = ["GEOMETRY", "SHIPPED", "SYMMETRIES", "features", "load"]
