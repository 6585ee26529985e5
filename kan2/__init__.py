"""kan2: Kolmogorov-Arnold networks for science.

A network has a learnable function of one variable on every edge; its nodes add or multiply. `MultKAN` is the network,
its methods are the way from data to a formula: `fit`, `prune`, `refine`, `auto_symbolic`, `symbolic_formula`, `plot`.

Axes. Every array has its axes in the order (batch, target, source, basis):

- batch: samples;
- target: subnodes of a layer's output, addition nodes first, then the factors of the products;
- source: nodes of a layer's input;
- basis, or feature: the basis functions of a source, the base function before them.

An edge is `(layer, target, source)`; its activation is phi[layer, target, source].

Names are loaded when they are first used, so that `import kan2` is quick; `dir(kan2)` lists them.

References: Liu et al., KAN (arXiv 2404.19756); Liu et al., KAN 2.0 (arXiv 2408.10205).
"""

from importlib import import_module
from logging import NullHandler, getLogger
from typing import TYPE_CHECKING, Any
from warnings import warn

if TYPE_CHECKING:
    from kan2 import datasets as datasets
    from kan2 import errors as errors
    from kan2 import estimators as estimators
    from kan2 import functions as functions
    from kan2 import plotting as plotting
    from kan2 import tables as tables
    from kan2._discover import discover as discover
    from kan2._load import load as load
    from kan2.core.conv import KANConv2d as KANConv2d
    from kan2.core.data import Dataset as Dataset
    from kan2.core.jets import Jet as Jet
    from kan2.core.jets import directional as directional
    from kan2.core.jets import jet as jet
    from kan2.core.jets import laplacian as laplacian
    from kan2.core.layer import KANLayer as KANLayer
    from kan2.core.layer import chunked as chunked
    from kan2.core.network import LayerValues as LayerValues
    from kan2.core.samples import augment as augment
    from kan2.core.samples import sample_function as sample_function
    from kan2.core.spec import BasisSpec as BasisSpec
    from kan2.core.spec import Edge as Edge
    from kan2.core.spec import LayerSpec as LayerSpec
    from kan2.core.spec import NetworkSpec as NetworkSpec
    from kan2.core.spec import SymbolicTerm as SymbolicTerm
    from kan2.errors import Kan2Error as Kan2Error
    from kan2.functions import SymbolicFunction as SymbolicFunction
    from kan2.multkan import MultKAN as MultKAN
    from kan2.multkan import from_tree as from_tree
    from kan2.multkan import tree as tree
    from kan2.symbolic.snap import uncertainties as uncertainties
    from kan2.training.fit import fit as fit
    from kan2.training.history import History as History

__version__ = "0.1.0"

# Silent unless a program asks for the log, see docs/training.md.
getLogger(__name__).addHandler(NullHandler())

# What type checkers read above, for the interpreter; a test holds the two together.
_NAMES = {
    "kan2._discover": "discover",
    "kan2._load": "load",
    "kan2.core.conv": "KANConv2d",
    "kan2.core.data": "Dataset",
    "kan2.core.jets": "Jet directional jet laplacian",
    "kan2.core.layer": "KANLayer chunked",
    "kan2.core.network": "LayerValues",
    "kan2.core.samples": "augment sample_function",
    "kan2.core.spec": "BasisSpec Edge LayerSpec NetworkSpec SymbolicTerm",
    "kan2.errors": "Kan2Error",
    "kan2.functions": "SymbolicFunction",
    "kan2.multkan": "MultKAN from_tree tree",
    "kan2.symbolic.snap": "uncertainties",
    "kan2.training.fit": "fit",
    "kan2.training.history": "History",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES = ("datasets", "errors", "estimators", "functions", "plotting", "tables")
# Where these were in earlier pages, and what is read instead.
_EARLIER = {
    "bases": ("kan2.core.bases", "kan2.core.bases"),
    "jets": ("kan2.core.jets", "kan2.jet, kan2.directional or kan2.laplacian"),
    "special": ("kan2.functions.special", "kan2.functions"),
}

__all__ = [*sorted([*_HOMES, *_MODULES])]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"kan2.{name}")
    elif name in _EARLIER:
        home, instead = _EARLIER[name]
        warn(f"kan2.{name}: goes in 0.2. Use {instead}.", DeprecationWarning, stacklevel=2)
        return import_module(home)
    else:
        raise AttributeError(f"module 'kan2' has no attribute {name!r}. dir(kan2) lists what there is.", name=name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
