"""treeconv: see the structure of any network as a tree.

`convert(f, x, names)` turns any model into a tree, a `networkx.DiGraph`; `plot` and `to_graphviz` draw it, `skeleton`
writes it as a formula with unknown functions, `compare` compares two. The single tests answer one question each;
`anatomy` finds the modules of the wiring. Refusals are `TreeError`s.
"""

from logging import NullHandler, getLogger
from typing import TYPE_CHECKING, Any

from treeconv.anatomy import Anatomy as Anatomy
from treeconv.anatomy import anatomy as anatomy
from treeconv.calibration import Evidence as Evidence
from treeconv.conversion import convert as convert
from treeconv.errors import ExpressionError as ExpressionError
from treeconv.errors import OptionError as OptionError
from treeconv.errors import SampleError as SampleError
from treeconv.errors import TreeError as TreeError
from treeconv.errors import TreeTypeError as TreeTypeError
from treeconv.hypotheses import additive_separability as additive_separability
from treeconv.hypotheses import find_groups as find_groups
from treeconv.hypotheses import generalised_separability as generalised_separability
from treeconv.hypotheses import irrelevance as irrelevance
from treeconv.hypotheses import multiplicative_separability as multiplicative_separability
from treeconv.render import plot as plot
from treeconv.render import to_graphviz as to_graphviz
from treeconv.skeleton import skeleton as skeleton
from treeconv.tree import Tree as Tree
from treeconv.tree import compare as compare
from treeconv.tree import from_json as from_json
from treeconv.tree import structure as structure
from treeconv.tree import to_json as to_json
from treeconv.variables import generalised_symmetry as generalised_symmetry
from treeconv.variables import pair_symmetries as pair_symmetries
from treeconv.variables import symmetry_variable as symmetry_variable

if TYPE_CHECKING:
    from treeconv.diagram import Diagram as Diagram

getLogger(__name__).addHandler(NullHandler())


def __getattr__(name: str) -> Any:
    if name == "Diagram":  # a subclass, which needs the package graphviz to exist
        from treeconv.diagram import Diagram

        return Diagram
    raise AttributeError(f"module 'treeconv' has no attribute {name!r}. dir(treeconv) lists what there is.", name=name)


def __dir__() -> list[str]:
    ours = (name for name, value in globals().items() if getattr(value, "__module__", "").startswith("treeconv"))
    return sorted({*ours, "Diagram"} - {"__getattr__", "__dir__"})
