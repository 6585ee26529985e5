"""The table of hyperbolic knots up to 13 crossings, and what builds it."""

from .table import GEOMETRY as GEOMETRY
from .table import SHIPPED as SHIPPED
from .table import SYMMETRIES as SYMMETRIES
from .table import features as features
from .table import load as load
