"""Edges of one layer: numeric and symbolic ones, and the kernels they run on.

`numeric` and `symbolic` hold the numbers; `expansion` and `terms` are frozen descriptions of what they belong to. The
kernels (`_fused`, `_compiled` with `_loops`, `_compiled_terms` with `_term_loops`) read descriptions and know no edge
module.
"""

from kan2.core.edges._double_backward import gradients as gradients
from kan2.core.edges.numeric import BasisEdges as BasisEdges
from kan2.core.edges.symbolic import SymbolicEdges as SymbolicEdges
