"""The trainable numbers of a network as one vector.

In place of b of a term c f(a x + b) + d over samples far from zero it holds b + a m with the centre m of the samples,
see `kan2.training._natural_units`.

*Slots* are the blocks of the vector: the weights of the numeric edges of a layer, the free numbers of its symbolic
terms, the scales and biases of its nodes. Weights of pairs that carry no numeric edge, numbers that are not free, and
parameters whose `requires_grad` is off have no place in the vector.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.layer import AFFINES, KANLayer
from kan2.core.network import Network


@dataclass(frozen=True)
class Slot:
    """A block of the parameter vector.

    Attributes:
        layer: index of the layer.
        kind: "weight", "term", or a name in AFFINES.
        start: first position in the vector.
        stop: position after the last.
    """

    layer: int
    kind: str
    start: int
    stop: int

    @property
    def part(self) -> slice:
        """The positions of the block."""
        return slice(self.start, self.stop)


class ParameterVector:
    """Reads and writes the trainable numbers of a network as a vector.

    It keeps hold of the network's layers and tensors: one that gets others, as by a move of its grids, needs another
    vector.

    Attributes:
        model: the network.
        layers: its layers.
        slots: the blocks of the vector, in order of layers.
        pairs: for each layer the (target, source) of its numeric edges; None where every pair is numeric.
        size: length of the vector.
        centres: for each layer the centre of the source of each of its terms; None where there are no terms.
        sizes: (parameter,) beside which a change of each number counts.

    Example:
        >>> from kan2 import MultKAN
        >>> ParameterVector(MultKAN([2, 1], grid=5, k=3)).size
        18
    """

    def __init__(self, model: Network) -> None:
        self.model = model
        self.layers: list[KANLayer] = list(model.layers)
        self.slots: list[Slot] = []
        self.pairs: list[Tensor | None] = []
        start = 0
        for i, layer in enumerate(self.layers):
            sizes = _sizes(layer)
            for kind, size in sizes.items():
                self.slots.append(Slot(i, kind, start, start + size))
                start += size
            pairs = None
            if layer.numeric is not None and layer.spec.numeric != "all":
                pairs = torch.tensor(layer.spec.numeric_pairs, device=model.like.device)
            self.pairs.append(pairs)
        self.size = start
        self.centres: list[Tensor | None] = [None] * len(self.layers)
        self.sizes = model.like.new_ones(start)
        # Looked up here once: a step asks for them many times, and modules are slow to look into.
        self._tensors = [_tensor(self.layers[slot.layer], slot.kind).detach() for slot in self.slots]
        self._weights = {s.layer: t for s, t in zip(self.slots, self._tensors) if s.kind == "weight"}

    @cached_property
    def only_sums(self) -> list[bool]:
        """For each layer whether its nodes are its subnodes as they are, also after its numbers have moved."""
        return [layer.only_sums() for layer in self.layers]

    def layer_slots(self, layer: int) -> list[Slot]:
        """Returns the slots of one layer."""
        return [slot for slot in self.slots if slot.layer == layer]

    def read(self) -> Float[Tensor, " parameter"]:
        """Returns a copy of the numbers."""
        parts = [self._read(slot, tensor).flatten() for slot, tensor in zip(self.slots, self._tensors)]
        return torch.cat(parts) if parts else self.sizes.new_zeros(0)

    def write(self, values: Float[Tensor, " parameter"]) -> None:
        """Puts the numbers back into the network."""
        for slot, tensor in zip(self.slots, self._tensors):
            part = values[slot.part]
            if slot.kind == "weight":
                pairs = self.pairs[slot.layer]
                if pairs is None:
                    tensor.copy_(part.view(tensor.shape))
                else:
                    tensor[pairs[:, 0], pairs[:, 1]] = part.view(len(pairs), -1)
            elif slot.kind == "term":
                terms: Any = self.layers[slot.layer].symbolic
                numbers = self._term_numbers(slot)
                numbers[terms.free] = part
                if (centre := self.centres[slot.layer]) is not None:
                    numbers[:, 1] -= numbers[:, 0] * centre
                tensor.copy_(numbers[:, :4])
                terms.shape.detach().copy_(numbers[:, 4])
            else:
                tensor.copy_(part)

    def edge_weights(self, slot: Slot, values: Float[Tensor, " parameter"]) -> Float[Tensor, "edge feature"]:
        """Returns the part of a vector that belongs to a slot of weights, one row an edge."""
        return values[slot.part].view(-1, self._weights[slot.layer].shape[-1])

    def scatter_edges(self, slot: Slot, values: Float[Tensor, " parameter"]) -> Float[Tensor, "target source feature"]:
        """Returns the part of a vector that belongs to a slot of weights in the shape of the layer's weights."""
        weight, pairs = self._weights[slot.layer], self.pairs[slot.layer]
        if pairs is None:
            return values[slot.part].view(weight.shape)
        dense = torch.zeros_like(weight)
        dense[pairs[:, 0], pairs[:, 1]] = values[slot.part].view(len(pairs), -1)
        return dense

    def gather_edges(self, slot: Slot, dense: Float[Tensor, "target *rest"]) -> Float[Tensor, "edge feature"]:
        """Returns the rows of an array like the layer's weights that belong to a slot of weights."""
        weight, pairs = self._weights[slot.layer], self.pairs[slot.layer]
        dense = dense.view(weight.shape)
        return dense.flatten(0, 1) if pairs is None else dense[pairs[:, 0], pairs[:, 1]]

    def edge_pairs(self, slot: Slot) -> tuple[Tensor, Tensor]:
        """Returns the targets and the sources of the edges of a slot of weights."""
        pairs = self.pairs[slot.layer]
        if pairs is None:
            spec = self.layers[slot.layer].spec
            index = torch.arange(spec.n_subnodes * spec.n_in, device=self.model.like.device)
            return index // spec.n_in, index % spec.n_in
        return pairs[:, 0], pairs[:, 1]

    def _read(self, slot: Slot, tensor: Tensor) -> Tensor:
        if slot.kind == "weight":
            pairs = self.pairs[slot.layer]
            return tensor if pairs is None else tensor[pairs[:, 0], pairs[:, 1]]
        if slot.kind == "term":
            terms: Any = self.layers[slot.layer].symbolic
            return self._term_numbers(slot)[terms.free]
        return tensor

    def _term_numbers(self, slot: Slot) -> Float[Tensor, "term 5"]:
        terms: Any = self.layers[slot.layer].symbolic
        numbers = torch.cat([terms.affine, terms.shape[:, None]], 1).detach()
        if (centre := self.centres[slot.layer]) is not None:
            numbers[:, 1] += numbers[:, 0] * centre
        return numbers


def _tensor(layer: Any, kind: str) -> Tensor:
    return (
        layer.numeric.weight if kind == "weight" else layer.symbolic.affine if kind == "term" else getattr(layer, kind)
    )


def _sizes(layer: KANLayer) -> dict[str, int]:
    sizes = {}
    if layer.numeric is not None and layer.numeric.weight.requires_grad:
        sizes["weight"] = len(layer.spec.numeric_pairs) * layer.numeric.weight.shape[-1]
    if layer.symbolic is not None and layer.symbolic.affine.requires_grad:
        sizes["term"] = int(layer.symbolic.free.sum())
    if layer.spec.affine_trainable:
        sizes |= {name: p.numel() for name in AFFINES if (p := getattr(layer, name)).requires_grad}
    return sizes
