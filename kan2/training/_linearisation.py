"""The derivative of a network's outputs with respect to its trainable numbers, exactly and in one backward pass.

Every number acts through one subnode: the row of the Jacobian for a sample is (derivative of the subnode with respect
to the number) x (derivative of the output with respect to the subnode). The first factor is a basis value, or a
closed form for symbolic terms; the second, the *adjoint* of the subnode, comes from a backward pass that stops at the
subnodes and never touches the parameters.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapter 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.layer import AFFINES, KANLayer
from kan2.training.parameters import ParameterVector, Slot


class Linearisation:
    """A network evaluated at samples, ready to be differentiated.

    Args:
        vector: the network and the order of its numbers.
        features: samples, as the first layer reads them.
        first_basis: what the first layer's basis gives at these samples, where that is known already.

    Attributes:
        output: (batch, output) values, detached.
    """

    def __init__(
        self,
        vector: ParameterVector,
        features: Float[Tensor, "batch feature"],
        first_basis: Float[Tensor, "batch feature basis"] | None = None,
    ) -> None:
        self.vector = vector
        self.records: list[LayerRecord] = []
        nodes = features
        for layer, centre in zip(vector.model.layers, vector.centres):
            record = LayerRecord(layer, nodes, None if self.records else first_basis, centre)
            self.records.append(record)
            nodes = record.outputs
        self._graph = nodes
        self.output = nodes.detach()

    def adjoints(self, seed: Float[Tensor, "batch output"]) -> "Adjoints":
        """Returns the derivatives of sum over outputs of seed * output with respect to the leaves of every layer."""
        return self.adjoints_of((self._graph * seed).sum())

    def adjoints_of(self, total: Float[Tensor, ""]) -> "Adjoints":
        """Returns the derivatives of a number that was computed from the records' graph."""
        leaves = [leaf for record in self.records for leaf in record.leaves]
        found = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
        gradients = iter([torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found)])
        return Adjoints(self, [[next(gradients) for _ in record.leaves] for record in self.records])


@dataclass(frozen=True)
class Adjoints:
    """The Jacobian J of one combination of outputs, (batch, parameter), as a matrix or as products with vectors.

    Attributes:
        linearisation: where it was taken.
        leaves: for each layer the derivatives with respect to its subnodes and, if trained, its affines.
    """

    linearisation: Linearisation
    leaves: list[list[Tensor]]

    def _columns(self) -> Iterator[tuple[Slot, "LayerRecord", Tensor]]:
        """Yields for every slot its layer's record and the leaf through which its numbers act."""
        vector = self.linearisation.vector
        for i, (record, leaves) in enumerate(zip(self.linearisation.records, self.leaves)):
            affines = iter(leaves[1:])
            for slot in vector.layer_slots(i):
                yield slot, record, leaves[0] if slot.kind in ("weight", "term") else next(affines)

    def jacobian(self) -> Float[Tensor, "batch parameter"]:
        """Returns J."""
        vector = self.linearisation.vector
        result = self.linearisation.output.new_empty(self.linearisation.output.shape[0], vector.size)
        for slot, record, leaf in self._columns():
            columns = result[:, slot.part]
            if slot.kind == "weight":
                record.write_weight_columns(columns, leaf, vector.pairs[slot.layer])
            else:
                columns.copy_(record.term_columns(leaf) if slot.kind == "term" else leaf)
        return result

    def push(self, v: Float[Tensor, " parameter"]) -> Float[Tensor, " batch"]:
        """Returns J v."""
        vector = self.linearisation.vector
        result = self.linearisation.output.new_zeros(self.linearisation.output.shape[0])
        for slot, record, leaf in self._columns():
            if slot.kind == "weight":
                change = record.flat_basis @ vector.scatter_edges(slot, v).flatten(1).T
                result += (leaf * change).sum(1)
            else:
                result += (record.term_columns(leaf) if slot.kind == "term" else leaf) @ v[slot.part]
        return result

    def pull(self, w: Float[Tensor, " batch"], power: int = 1) -> Float[Tensor, " parameter"]:
        """Returns J' w; with power 2 the sum over samples of w times the squared entries of J."""
        vector = self.linearisation.vector
        result = w.new_empty(vector.size)
        for slot, record, leaf in self._columns():
            if slot.kind == "weight":
                dense = (leaf**power * w[:, None]).T @ record.flat_basis**power
                result[slot.part] = vector.gather_edges(slot, dense).flatten()
            else:
                columns = record.term_columns(leaf) if slot.kind == "term" else leaf
                result[slot.part] = w @ columns**power
        return result


class LayerRecord:
    """One layer in a linearised evaluation: its values, and the leaves at which the backward pass stops.

    Args:
        layer: the layer.
        inputs: (batch, source) what it reads.
        basis: its basis there, where that is known already.
        centre: (term,) where b + a centre stands for b among the trained numbers; None for none.
    """

    def __init__(self, layer: KANLayer, inputs: Tensor, basis: Tensor | None, centre: Tensor | None = None) -> None:
        self.layer, self.inputs, self.centre = layer, inputs.detach(), centre
        n = inputs.shape[0]
        self.basis: Tensor | None = None
        self.live_basis: Tensor | None = None
        with torch.enable_grad():
            subnodes = inputs.new_zeros(n, layer.spec.n_subnodes)
            if layer.numeric is not None:
                # Kept with its graph too, for penalties that see a layer's activations.
                self.live_basis = basis = layer.numeric.features(inputs) if basis is None else basis
                self.basis = basis.detach()
                # A copy: the solver writes trial values into the weights while this graph is still in use.
                subnodes = basis.flatten(1) @ layer.numeric.masked_weight.detach().clone().flatten(1).T
            if layer.symbolic is not None:
                affine, shape = layer.symbolic.affine.detach().clone(), layer.symbolic.shape.detach().clone()
                values = layer.symbolic.apply_functions(layer.symbolic.arguments(inputs, affine), shape)
                subnodes = subnodes.index_add(1, layer.symbolic.target, values * affine[:, 2] + affine[:, 3])
            if not subnodes.requires_grad:
                subnodes.requires_grad_()
            self.leaves = [subnodes]
            affines = {name: getattr(layer, name).detach().clone() for name in AFFINES}
            if layer.spec.affine_trainable:
                # One copy a sample, so that the backward pass gives one derivative a sample.
                affines = {name: value.expand(n, -1).clone().requires_grad_() for name, value in affines.items()}
                self.leaves += affines.values()
            self.outputs = layer.nodes(subnodes, **affines)

    def write_weight_columns(self, columns: Tensor, adjoint: Tensor, pairs: Tensor | None) -> None:
        """Writes the columns of the weights of numeric edges."""
        assert self.basis is not None
        if pairs is None:
            n, n_source, n_feature = self.basis.shape
            view = columns.view(n, adjoint.shape[1], n_source, n_feature)
            torch.mul(adjoint[:, :, None, None], self.basis[:, None], out=view)
        else:
            target, source = pairs.T
            columns.copy_((adjoint[:, target, None] * self.basis[:, source]).flatten(1))

    def term_columns(self, adjoint: Tensor) -> Tensor:
        """Returns the columns of the free numbers of symbolic terms."""
        terms: Any = self.layer.symbolic
        return (adjoint[:, terms.target, None] * self._partials)[:, terms.free]

    @property
    def flat_basis(self) -> Float[Tensor, "batch weight"]:
        """The basis values of all sources, one row a sample."""
        assert self.basis is not None
        return self.basis.flatten(1)

    @property
    def term_values(self) -> Float[Tensor, "batch term"]:
        """The values of the functions of symbolic terms, without c and d."""
        return self._partials[..., 2]

    @cached_property
    def _partials(self) -> Float[Tensor, "batch term 5"]:
        # Derivatives of c f(a x + b; p) + d with respect to a, b, c, d, p.
        terms = self.layer.symbolic
        assert terms is not None
        affine, shape = terms.affine.detach(), terms.shape.detach()
        needs_shape = bool(terms.free[:, 4].any())
        with torch.enable_grad():
            u = terms.arguments(self.inputs, affine).requires_grad_()
            shapes = shape.expand_as(u).clone().requires_grad_(needs_shape)
            values = terms.apply_functions(u, shapes)
            wanted = [u, shapes] if needs_shape else [u]
            found: tuple[Tensor | None, ...] = (None,) * len(wanted)
            if values.requires_grad:
                found = torch.autograd.grad(values.sum(), wanted, allow_unused=True)
        slopes = [torch.zeros_like(u) if s is None else s for s in found]
        du, c, x = slopes[0], affine[:, 2], self.inputs[:, terms.source]
        x = x if self.centre is None else x - self.centre
        partials = [c * du * x, c * du, values.detach(), torch.ones_like(du)]
        partials.append(c * slopes[1] if needs_shape else torch.zeros_like(du))
        return torch.stack(partials, -1)
