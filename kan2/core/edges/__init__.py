"""Edges of one layer: numeric and symbolic ones, and the kernels they run on.

`numeric` and `symbolic` hold the numbers; `expansion` and `terms` are frozen descriptions of what they belong to. The
kernels (`fused`, `compiled` with `loops`, `compiled_terms` with `term_loops`) read descriptions and know no edge
module.
"""

from kan2.core.edges.numeric import BasisEdges as BasisEdges
from kan2.core.edges.symbolic import SymbolicEdges as SymbolicEdges
