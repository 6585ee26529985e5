"""kan2: Kolmogorov-Arnold networks for science.

A network has a learnable function of one variable on every edge; its nodes add or multiply. `MultKAN` is the network,
its methods are the way from data to a formula: `fit`, `prune`, `refine`, `auto_symbolic`, `symbolic_formula`, `plot`.

Axes. Every array has its axes in the order (batch, target, source, basis):

- batch: samples;
- target: subnodes of a layer's output, addition nodes first, then the factors of the products;
- source: nodes of a layer's input;
- basis, or feature: the basis functions of a source, the base function before them.

An edge is `(layer, target, source)`; its activation is phi[layer, target, source].

References: Liu et al., KAN (arXiv 2404.19756); Liu et al., KAN 2.0 (arXiv 2408.10205).
"""

from kan2 import special as special  # adds its rows to the table of functions
from kan2.conv import KANConv2d as KANConv2d
from kan2.data import Dataset as Dataset
from kan2.data import augment as augment
from kan2.data import sample_function as sample_function
from kan2.discover import discover as discover
from kan2.errors import Kan2Error as Kan2Error
from kan2.functions import SymbolicFunction as SymbolicFunction
from kan2.jets import Jet as Jet
from kan2.layers import KANLayer as KANLayer
from kan2.layers import chunked as chunked
from kan2.network import LayerValues as LayerValues
from kan2.network import MultKAN as MultKAN
from kan2.snap import uncertainties as uncertainties
from kan2.spec import BasisSpec as BasisSpec
from kan2.spec import Edge as Edge
from kan2.spec import LayerSpec as LayerSpec
from kan2.spec import NetworkSpec as NetworkSpec
from kan2.spec import SymbolicTerm as SymbolicTerm
from kan2.structure import from_tree as from_tree
from kan2.structure import tree as tree
from kan2.training import History as History
from kan2.training import fit as fit

load = MultKAN.load
"""Reads a network that `MultKAN.save` wrote."""
