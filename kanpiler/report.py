"""How large a compiled network is, in the numbers that formulas are compared by.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

from dataclasses import dataclass
from typing import Any

from kan2.multkan import MultKAN


@dataclass(frozen=True)
class Report:
    """Size of a network.

    Attributes:
        n_nodes: nodes after the inputs, pass-throughs among them.
        n_products: multiplication nodes among them.
        n_edges: edges that carry anything.
        n_terms: symbolic functions on edges; more than edges where functions share one.
        n_passes: edges f(x) = x that only carry a value over a layer.
        depth: layers of edges.
        width: nodes of the widest layer after the inputs.
    """

    n_nodes: int
    n_products: int
    n_edges: int
    n_terms: int
    n_passes: int
    depth: int
    width: int

    def __str__(self) -> str:
        return (
            f"{self.n_nodes} nodes ({self.n_products} products), {self.n_edges} edges ({self.n_terms} functions, "
            f"{self.n_passes} pass-throughs), depth {self.depth}, width {self.width}"
        )


def report(source: Any, **options: Any) -> Report:
    """Counts nodes, edges and layers of a network, or of the network a formula compiles to.

    Args:
        source: a `MultKAN`, or anything that `compile` takes.
        options: passed to `compile`.

    Example:
        >>> print(report("x*y + z"))
        3 nodes (1 products), 5 edges (5 functions, 1 pass-throughs), depth 2, width 2
    """
    if not isinstance(source, MultKAN):
        from kanpiler.door import compile  # and with it SymPy, which counting does without

        source = compile(source, **options)
    passes = 0
    for layer in source.layers:
        terms = layer.spec.terms
        fed = [term.target for term in terms]
        if layer.symbolic is not None and layer.spec.numeric == ():
            numbers = layer.symbolic.affine.detach().tolist()
            sums = range(layer.spec.n_sum)
            passes += sum(
                term.function == "x" and affine == [1.0, 0.0, 1.0, 0.0] and fed.count(term.target) == 1
                and term.target in sums
                for term, affine in zip(terms, numbers)
            )  # fmt: skip
    layers = source.spec.layers
    return Report(
        n_nodes=sum(layer.n_out for layer in layers),
        n_products=sum(len(layer.arities) for layer in layers),
        n_edges=source.spec.n_edges,
        n_terms=sum(len(layer.terms) for layer in layers),
        n_passes=passes,
        depth=len(layers),
        width=max(layer.n_out for layer in layers),
    )
