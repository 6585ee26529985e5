"""Finer grids: the same activations with more freedom.

Where the new number of intervals is a multiple of the old one, every old grid point stays a grid point and the function
is the same exactly; otherwise it is the least-squares fit. Grids keep their ranges; `fit` moves them to the data.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.4.
"""

import copy
from dataclasses import replace

from kan2.core.network import AnyNetwork
from kan2.edits.choose import assemble
from kan2.errors import SpecError, named_options
from kan2.options import network


@named_options
def refine(model: AnyNetwork, grid: int, k: int | None = None) -> AnyNetwork:
    """Returns the network with another number of grid intervals.

    Args:
        model: left as it is.
        grid: number of intervals of every numeric layer, >= 1.
        k: order of the splines, 0 to 5; by default as before.

    Raises:
        SpecError: grid or k is out of range.

    Example:
        >>> from kan2 import MultKAN
        >>> refine(MultKAN([2, 1], grid=5), 10).spec.layers[0].basis.grid
        10
    """
    network("refine", model, error=SpecError)
    layers = [copy.deepcopy(layer) for layer in model.layers]
    for layer in layers:
        basis = layer.spec.basis
        layer.set_basis_(replace(basis, grid=grid, k=basis.k if k is None else k))
    return assemble(model, layers)
