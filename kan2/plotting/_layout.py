"""Where everything of a network diagram lies, in inches; no drawing.

Layers of nodes are rows, inputs at the bottom. Between two rows of nodes lie the *icons*, one an edge, each a small box
with the activation in it; where many, in several staggered rows. The subnodes of products form a row of their own just
below their nodes.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from kan2.core.spec import LayerSpec, NetworkSpec

MAX_WIDTH = 13.0  # from here on icons are stacked
NODE_PITCH = 0.55
SUBNODE_DROP = 0.42  # how far subnodes lie below their node


@dataclass(frozen=True)
class LayerLayout:
    """One layer of edges and the nodes it gives.

    Attributes:
        pairs: the (target, source) pairs drawn, in the order of the icons.
        icons: (edge, 2) centres.
        subnodes: (subnode, 2).
        nodes: (node, 2).
    """

    pairs: tuple[tuple[int, int], ...]
    icons: np.ndarray
    subnodes: np.ndarray
    nodes: np.ndarray


@dataclass(frozen=True)
class Layout:
    """A whole diagram.

    Attributes:
        width, height: of the drawing, without labels.
        icon: side of an icon.
        inputs: (input, 2).
        layers: bottom to top.
    """

    width: float
    height: float
    icon: float
    inputs: np.ndarray
    layers: tuple[LayerLayout, ...]


def lay_out(spec: NetworkSpec) -> Layout:
    """Returns the layout of the diagram of a network."""
    most = max(len(layer.active_pairs) for layer in spec.layers)
    icon = 0.5 if most <= 60 else 0.4
    pitch = icon + 0.12
    stacks = [max(1, ceil(len(layer.active_pairs) * pitch / MAX_WIDTH)) for layer in spec.layers]
    rows = [ceil(len(layer.active_pairs) / stack) for layer, stack in zip(spec.layers, stacks)]
    widest = max(spec.layers[0].n_in, *(layer.n_subnodes for layer in spec.layers))
    width = max(1.6, pitch * max(rows), NODE_PITCH * widest)
    gap = min(1.5, max(0.45, 0.07 * width))
    inputs = _row(spec.layers[0].n_in, width, 0.0)
    layers, below, y = [], inputs, 0.0
    for layer, stack in zip(spec.layers, stacks):
        bottom = y + gap + icon / 2
        rise = (stack - 1) * (icon + 0.16)
        top = bottom + rise + icon / 2 + gap
        y = top + (SUBNODE_DROP if layer.arities else 0.0)
        subnodes = _row(layer.n_subnodes, width, top)
        nodes = np.array([[subnodes[list(group), 0].mean(), y] for group in layer.groups])
        pairs = _order(layer, subnodes, below)
        icons = _row(len(pairs), width, bottom)
        if pairs:
            icons[:, 1] += np.arange(len(pairs)) % stack * (icon + 0.16)
        layers.append(LayerLayout(pairs, icons, subnodes, nodes))
        below = nodes
    return Layout(width, y, icon, inputs, tuple(layers))


def _row(n: int, width: float, y: float) -> np.ndarray:
    return np.stack([(np.arange(n) + 0.5) * width / max(n, 1), np.full(n, y)], 1)


def _order(layer: LayerSpec, subnodes: np.ndarray, sources: np.ndarray) -> tuple[tuple[int, int], ...]:
    # An icon half way between its source and its target crosses the fewest lines.
    return tuple(sorted(layer.active_pairs, key=lambda p: (subnodes[p[0], 0] + sources[p[1], 0], sources[p[1], 0])))
