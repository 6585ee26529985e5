"""The formula a tree stands for, with unknown functions where it does not know.

A sum becomes a SymPy sum, a product a product beside its constant, a separable node F(sum), an opaque node F(children).
An input below a sum, product or separable node enters through an unknown function of its own; below an opaque node it
enters as it is. Unknown functions are named f1, f2, ... and F1, F2, ... in the order of reading.

Reference: A. Meurer et al., "SymPy: symbolic computing in Python", PeerJ Comput. Sci. 3, e103 (2017).
"""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import sympy as sp

from treeconv.errors import named_options
from treeconv.symbols import symbol
from treeconv.tree import as_tree


@named_options
def skeleton(tree: nx.DiGraph) -> sp.Expr:
    """Returns the formula of a tree with unknown functions.

    Args:
        tree: A tree from `convert`.

    Returns:
        A SymPy expression in the names of the inputs; those that are no words print in backquotes.

    Example:
        >>> import treeconv, torch
        >>> x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
        >>> skeleton(treeconv.convert(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x))
        f1(x1)*f2(x2) + f3(x3)
    """
    tree = as_tree(tree, "skeleton")
    taken = set(tree.graph["names"])
    inner = (name for i in itertools.count(1) if (name := f"f{i}") not in taken)
    outer = (name for i in itertools.count(1) if (name := f"F{i}") not in taken)
    constants = (name for i in itertools.count() if (name := f"c{i or ''}") not in taken)

    def build(node: Any, parent: str) -> sp.Expr:
        attributes = tree.nodes[node]
        kind = attributes["kind"]
        if kind == "input":
            return symbol(node) if parent == "opaque" else sp.Function(next(inner))(symbol(node))
        below = tree.children(node)
        head = sp.Function(next(outer)) if kind in ("separable", "opaque") and below else None
        parts = [build(child, kind) for child in below]
        if not parts:
            return sp.Symbol(next(constants))
        if kind == "sum":
            return sp.Add(*parts)
        if kind == "product":
            has_bias = attributes.get("bias", 0.0) != 0.0  # None, an undetermined constant, counts
            return sp.Mul(*parts) + (sp.Symbol(next(constants)) if has_bias else 0)
        assert head is not None
        return head(sp.Add(*parts)) if kind == "separable" else head(*parts)

    return build(tree.graph["root"], "")
