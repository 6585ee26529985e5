"""The trainable numbers of a network as one vector, and the derivative of its outputs with respect to them.

Every number acts through one subnode: the row of the Jacobian for a sample is (derivative of the subnode with respect
to the number) x (derivative of the output with respect to the subnode). The first factor is a basis value, or a
closed form for symbolic terms; the second comes from one backward pass an output. The Jacobian is exact.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapter 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.layers import KANLayer
from kan2.network import MultKAN

AFFINES = ("subnode_scale", "subnode_bias", "node_scale", "node_bias")


@dataclass(frozen=True)
class Slot:
    """A block of the parameter vector: which entries of which tensor it holds."""

    layer: int
    kind: str  # "weight", "term", or a name in AFFINES
    start: int
    stop: int


class ParameterVector:
    """Reads and writes the trainable numbers of a network as a vector.

    Attributes:
        slots: the blocks of the vector, in order.
        size: its length.
    """

    def __init__(self, model: MultKAN) -> None:
        self.model = model
        self.slots: list[Slot] = []
        self.pairs: list[Tensor] = []
        start = 0
        for i, layer in enumerate(model.layers):
            pairs = torch.tensor(layer.spec.numeric_pairs, device=model.like.device).reshape(-1, 2)
            self.pairs.append(pairs)
            sizes = []
            if layer.numeric is not None:
                sizes.append(("weight", pairs.shape[0] * layer.numeric.weight.shape[-1]))
            if layer.symbolic is not None:
                sizes.append(("term", int(layer.symbolic.free.sum())))
            if layer.spec.affine_trainable:
                sizes += [(name, getattr(layer, name).numel()) for name in AFFINES]
            for kind, size in sizes:
                self.slots.append(Slot(i, kind, start, start + size))
                start += size
        self.size = start

    @torch.no_grad()
    def read(self) -> Float[Tensor, " parameter"]:
        """Returns a copy of the numbers."""
        parts = [self._get(self.model.layers[s.layer], s) for s in self.slots]
        return torch.cat(parts) if parts else self.model.like.new_zeros(0)

    @torch.no_grad()
    def write(self, values: Float[Tensor, " parameter"]) -> None:
        """Puts the numbers back into the network."""
        for slot in self.slots:
            layer, part = self.model.layers[slot.layer], values[slot.start : slot.stop]
            if slot.kind == "weight":
                target, source = self.pairs[slot.layer].T
                layer.numeric.weight[target, source] = part.view(len(target), -1)
            elif slot.kind == "term":
                free = layer.symbolic.free
                numbers = torch.cat([layer.symbolic.affine, layer.symbolic.shape[:, None]], 1)
                numbers[free] = part
                layer.symbolic.affine.copy_(numbers[:, :4])
                layer.symbolic.shape.copy_(numbers[:, 4])
            else:
                getattr(layer, slot.kind).copy_(part)

    def _get(self, layer: KANLayer, slot: Slot) -> Tensor:
        if slot.kind == "weight":
            target, source = self.pairs[slot.layer].T
            return layer.numeric.weight[target, source].flatten()
        if slot.kind == "term":
            return torch.cat([layer.symbolic.affine, layer.symbolic.shape[:, None]], 1)[layer.symbolic.free]
        return getattr(layer, slot.kind).clone()

    def linearise(
        self, features: Float[Tensor, "batch feature"]
    ) -> tuple[Float[Tensor, "batch output"], Iterator[Float[Tensor, "batch parameter"]], list[Tensor | None]]:
        """Evaluates the network together with its Jacobian.

        Returns:
            the outputs; for each output its (batch, parameter) Jacobian, made when asked for; and the basis features
            (batch, source, feature) of every layer, None where a layer has no numeric edge.
        """
        records = []
        nodes = features
        for layer in self.model.layers:
            record = _LayerRecord(layer, nodes)
            records.append(record)
            nodes = record.outputs
        leaves = [leaf for record in records for leaf in record.leaves]

        def jacobians() -> Iterator[Tensor]:
            for i in range(nodes.shape[1]):
                last = i == nodes.shape[1] - 1
                gradients = iter(torch.autograd.grad(nodes[:, i].sum(), leaves, retain_graph=not last, allow_unused=True))
                columns: list[Tensor] = []
                for record, pairs in zip(records, self.pairs):
                    columns += record.columns([next(gradients) for _ in record.leaves], pairs)
                yield torch.cat(columns, 1) if columns else nodes.new_zeros(nodes.shape[0], 0)

        return nodes.detach(), jacobians(), [record.basis for record in records]


class _LayerRecord:
    """One layer in a linearised evaluation: values, and the leaves whose gradients are asked for."""

    def __init__(self, layer: KANLayer, inputs: Tensor) -> None:
        self.layer, self.inputs = layer, inputs.detach()
        n = inputs.shape[0]
        self.basis: Tensor | None = None
        subnodes = inputs.new_zeros(n, layer.spec.n_subnodes)
        with torch.enable_grad():
            if layer.numeric is not None:
                basis = layer.numeric.features(inputs)
                self.basis = basis.detach()
                subnodes = subnodes + basis.flatten(1) @ layer.numeric.masked_weight.detach().flatten(1).T
            if layer.symbolic is not None:
                affine, shape = (t.detach() for t in layer.symbolic.numbers())
                values = layer.symbolic.apply_functions(layer.symbolic.arguments(inputs, affine), shape)
                subnodes = subnodes.index_add(1, layer.symbolic.target, values * affine[:, 2] + affine[:, 3])
            if not subnodes.requires_grad:
                subnodes.requires_grad_()
            self.leaves = [subnodes]
            affines = {name: getattr(layer, name).detach() for name in AFFINES}
            if layer.spec.affine_trainable:
                affines = {name: value.expand(n, -1).clone().requires_grad_() for name, value in affines.items()}
                self.leaves += affines.values()
            self.outputs = layer.nodes(subnodes, **affines)

    def columns(self, gradients: list[Tensor | None], pairs: Tensor) -> list[Tensor]:
        """Returns the Jacobian columns of this layer's slots, in their order."""
        n = self.inputs.shape[0]
        gradient = gradients[0]
        if gradient is None:
            gradient = self.inputs.new_zeros(n, self.layer.spec.n_subnodes)
        result = []
        if self.basis is not None:
            target, source = pairs.T
            result.append((gradient[:, target, None] * self.basis[:, source]).flatten(1))
        if self.layer.symbolic is not None:
            result.append(self._term_columns(gradient))
        for leaf, part in zip(self.leaves[1:], gradients[1:]):
            result.append(torch.zeros_like(leaf) if part is None else part)
        return result

    def _term_columns(self, gradient: Tensor) -> Tensor:
        terms = self.layer.symbolic
        assert terms is not None
        affine, shape = (t.detach() for t in terms.numbers())
        needs_shape = bool(terms.free[:, 4].any())
        with torch.enable_grad():
            u = terms.arguments(self.inputs, affine).requires_grad_()
            shapes = shape.expand_as(u).clone().requires_grad_(needs_shape)
            values = terms.apply_functions(u, shapes)
            wanted = [u, shapes] if needs_shape else [u]
            if values.requires_grad:
                slopes = torch.autograd.grad(values.sum(), wanted, allow_unused=True)
            else:
                slopes = (None,) * len(wanted)
        du, dp = (torch.zeros_like(u) if s is None else s for s in (slopes + (None,))[:2])
        c = affine[:, 2]
        x = self.inputs[:, terms.source]
        partials = torch.stack([c * du * x, c * du, values.detach(), torch.ones_like(du), c * dp], -1)
        return (gradient[:, terms.target, None] * partials)[:, terms.free]
