"""What happened inside a network on given samples, as a frozen record.

For each layer: the *preactivations* (the nodes it reads), the subnode sums, and the nodes it gives; the
*postactivations* of single edges are computed on request.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from kan2.core.layer import KANLayer


@dataclass(frozen=True)
class LayerTrace:
    """One layer on given samples.

    Attributes:
        layer: the layer, as it is now.
        inputs: (batch, source) nodes that the layer read.
        subnodes: (batch, subnode) sums over edges, before the affine of the subnodes.
        outputs: (batch, node) nodes that the layer gave.
    """

    layer: KANLayer
    inputs: Float[Tensor, "batch source"]
    subnodes: Float[Tensor, "batch subnode"]
    outputs: Float[Tensor, "batch node"]

    def edges(self) -> Float[Tensor, "batch target source"]:
        """Returns the postactivation of every edge."""
        return self.layer.edge_values(self.inputs)


@dataclass(frozen=True)
class Trace:
    """A whole network on given samples; index it by layer."""

    layers: tuple[LayerTrace, ...]

    def __getitem__(self, layer: int) -> LayerTrace:
        return self.layers[layer]

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def output(self) -> Float[Tensor, "batch output"]:
        """The network's output."""
        return self.layers[-1].outputs
