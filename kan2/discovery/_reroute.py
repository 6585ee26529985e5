"""Edges that do what another source does already: where a column or a node follows an edge's values in a straight line.

Such an edge may read that source instead, as a straight line, which is simpler: m0 f(beta) becomes m0 gamma where gamma
is among the inputs.
"""

import torch

from kan2.core.data import Dataset
from kan2.core.network import AnyNetwork, Network
from kan2.edits.choose import assemble
from kan2.edits.simplify import drop_edges, simplify
from kan2.symbolic.fix import fix_symbolic
from kan2.types import EdgeIndex

Affine = tuple[float, float, float, float]
LARGEST_REST = 0.05  # share of an edge's variance that its parallel may leave unexplained


@torch.no_grad()
def parallels(model: Network, data: Dataset) -> list[tuple[EdgeIndex, int, Affine]]:
    """Returns (edge, other source, affine of the straight line from it) wherever a source follows an edge, best first.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("exp(x)", {"x": (-1, 1), "y": (-1, 1)}, n=200)
        >>> data.X[:, 1] = data.y[:, 0]
        >>> model = MultKAN([2, 1])
        >>> for source in (0, 1):
        ...     model = fix_symbolic(model, (0, 0, source), "exp", affine=(1, 0, 1 - source, 0))
        >>> [(edge, source) for edge, source, _ in parallels(model.remove_edge((0, 0, 1)), data)]
        [((0, 0, 0), 1)]
    """
    found: list[tuple[float, EdgeIndex, int, Affine]] = []
    for index, record in enumerate(model.trace(data.X).layers):
        inputs = record.inputs.double()
        sources = inputs - inputs.mean(0)
        square = sources.square().sum(0)
        present = set(record.layer.spec.active_pairs)
        values = record.layer.edge_values(record.inputs).double()
        for target, source in present:
            value = values[:, target, source]
            centred = value - value.mean()
            for other in range(record.layer.spec.n_in):
                if (target, other) in present or not square[other] > 0 or not centred.square().sum() > 0:
                    continue
                c = centred @ sources[:, other] / square[other]
                rest = float((centred - c * sources[:, other]).square().sum() / centred.square().sum())
                if rest <= LARGEST_REST:
                    d = value.mean() - c * inputs[:, other].mean()
                    found.append((rest, (index, target, source), other, (1.0, 0.0, float(c), float(d))))
    return [(edge, other, affine) for _, edge, other, affine in sorted(found)]


def reroute(model: AnyNetwork, edge: EdgeIndex, source: int, affine: Affine) -> AnyNetwork:
    """Returns the network in which a straight line from another source stands in place of an edge.

    Args:
        model: left as it is.
        edge: (layer, target, source).
        source: where the line comes from.
        affine: its numbers, of c x + d.
    """
    index, target, old = edge
    new = fix_symbolic(model, (index, target, source), "x", affine=affine)
    layers = list(new.layers)
    layers[index] = drop_edges(layers[index], [(target, old)], None)
    return simplify(assemble(new, layers))
