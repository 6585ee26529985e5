"""The derivative of a network's outputs with respect to its trainable numbers, exactly and in one backward pass.

Every number acts through one subnode: the row of the Jacobian for a sample is (derivative of the subnode with respect
to the number) x (derivative of the output with respect to the subnode). The first factor is a basis value, or a
closed form for symbolic terms; the second, the *adjoint* of the subnode, comes from a backward pass over nodes that is
written out here, without a graph, and never touches the parameters.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapter 3.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.edges.numeric import input_gradient, plain_features
from kan2.core.layer import AFFINES, KANLayer
from kan2.training.parameters import ParameterVector, Slot


class Linearisation:
    """A network evaluated at samples, ready to be differentiated.

    Args:
        vector: the network and the order of its numbers.
        features: samples, as the first layer reads them.
        first_basis: what the first layer's basis gives at these samples, where that is known already.

    Attributes:
        records: the values of each layer.
        output: (batch, output) values.
    """

    @torch.no_grad()
    def __init__(
        self,
        vector: ParameterVector,
        features: Float[Tensor, "batch feature"],
        first_basis: Float[Tensor, "batch feature basis"] | None = None,
    ) -> None:
        self.vector = vector
        self.records: list[LayerRecord] = []
        nodes = features.detach()
        for layer, centre, only_sums in zip(vector.layers, vector.centres, vector.only_sums):
            record = LayerRecord(layer, nodes, None if self.records else first_basis, centre, only_sums)
            self.records.append(record)
            nodes = record.outputs
        self.output = nodes

    @torch.no_grad()
    def adjoints(
        self, seed: Float[Tensor, "batch output"], of_features: Mapping[int, Float[Tensor, "batch source feature"]] = {}
    ) -> "Adjoints":
        """Returns the derivatives of a sum over samples with respect to what the numbers of every layer act through.

        Args:
            seed: the derivative of the sum with respect to the outputs.
            of_features: what it is, beside that, with respect to the features of numeric layers.
        """
        found: list[Leaves] = []
        adjoint = seed
        for i, record in reversed(list(enumerate(self.records))):
            found.append(record.carry_back(adjoint))
            if i:
                adjoint = record.input_adjoint(found[-1].subnodes, of_features.get(i))
        return Adjoints(self, found[::-1])


@dataclass(frozen=True)
class Leaves:
    """The derivatives with respect to what the numbers of one layer act through.

    Attributes:
        subnodes: of its subnodes.
        affines: (batch, number) of its trained affines, by name.
    """

    subnodes: Float[Tensor, "batch subnode"]
    affines: Mapping[str, Tensor]


@dataclass(frozen=True)
class Adjoints:
    """The Jacobian J of one combination of outputs, (batch, parameter), as a matrix or as products with vectors.

    Attributes:
        linearisation: where it was taken.
        leaves: for each layer the derivatives with respect to what its numbers act through.
    """

    linearisation: Linearisation
    leaves: list[Leaves]

    def _columns(self) -> Iterator[tuple[Slot, "LayerRecord", Tensor]]:
        """Yields for every slot its layer's record and the derivative with respect to what its numbers act through."""
        records = self.linearisation.records
        for slot in self.linearisation.vector.slots:
            leaves = self.leaves[slot.layer]
            is_affine = slot.kind in AFFINES
            yield slot, records[slot.layer], leaves.affines[slot.kind] if is_affine else leaves.subnodes

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
    """The values of one layer, which stay what they are when the solver writes trial values into the network.

    Args:
        layer: the layer.
        inputs: (batch, source) what it reads.
        basis: its basis there, where that is known already.
        centre: (term,) where b + a centre stands for b among the trained numbers; None for none.
        only_sums: whether the nodes are the subnodes as they are.

    Attributes:
        basis: (batch, source, feature) features of its numeric edges; None without any.
        subnodes: (batch, subnode) sums over incoming edges.
        outputs: (batch, node).
    """

    def __init__(
        self, layer: KANLayer, inputs: Tensor, basis: Tensor | None, centre: Tensor | None, only_sums: bool
    ) -> None:
        self.layer, self.inputs, self.centre, self.only_sums = layer, inputs, centre, only_sums
        self.basis: Tensor | None = None
        subnodes = None
        if layer.numeric is not None:
            self.basis = plain_features(layer.numeric.expansion, inputs) if basis is None else basis
            self.weight = layer.numeric.masked_weight.detach().flatten(1).clone()
            subnodes = self.flat_basis @ self.weight.T
        if layer.symbolic is not None:
            terms = layer.symbolic
            self.affine, self.shape = terms.affine.detach().clone(), terms.shape.detach().clone()
            values = self.term_values * self.affine[:, 2] + self.affine[:, 3]
            start = inputs.new_zeros(len(inputs), layer.spec.n_subnodes) if subnodes is None else subnodes
            subnodes = start.index_add_(1, terms.target, values)
        self.subnodes = inputs.new_zeros(len(inputs), layer.spec.n_subnodes) if subnodes is None else subnodes
        if only_sums:
            self.outputs = self.subnodes
        else:
            self.affines = {name: getattr(layer, name).detach().clone() for name in AFFINES}
            self.outputs = layer.nodes(self.subnodes, **self.affines)

    def carry_back(self, adjoint: Float[Tensor, "batch node"]) -> Leaves:
        """Returns the derivatives of a sum with respect to what the numbers act through, from that of its outputs."""
        if self.only_sums:
            return Leaves(adjoint, {})
        spec, scales = self.layer.spec, self.affines
        values = torch.addcmul(scales["subnode_bias"], self.subnodes, scales["subnode_scale"])
        of_nodes = adjoint * scales["node_scale"]
        parts, products = [of_nodes[:, : spec.n_sum]], []
        for node, factors in enumerate(values[:, spec.n_sum :].split(spec.arities, 1) if spec.arities else ()):
            columns = factors.unbind(1)
            of_product = of_nodes[:, spec.n_sum + node]
            # Not by division, for factors may be zero.
            rest = [prod((c for j, c in enumerate(columns) if j != i), start=of_product) for i in range(len(columns))]
            parts.append(torch.stack(rest, 1))
            products.append(prod(columns[1:], start=columns[0]))
        of_values = torch.cat(parts, 1)
        affines = {}
        if spec.affine_trainable:
            nodes = torch.cat([values[:, : spec.n_sum], *(p[:, None] for p in products)], 1)
            affines = {
                "subnode_scale": of_values * self.subnodes,
                "subnode_bias": of_values,
                "node_scale": adjoint * nodes,
                "node_bias": adjoint,
            }
        return Leaves(of_values * scales["subnode_scale"], affines)

    def input_adjoint(
        self, of_subnodes: Float[Tensor, "batch subnode"], of_features: Float[Tensor, "batch source feature"] | None
    ) -> Float[Tensor, "batch source"]:
        """Returns the derivatives of a sum with respect to what the layer reads."""
        result = None
        if self.layer.numeric is not None and self.basis is not None:
            total = (of_subnodes @ self.weight).view(self.basis.shape)
            total = total if of_features is None else total + of_features
            result = input_gradient(self.layer.numeric.expansion, self.inputs, total)
        if (terms := self.layer.symbolic) is not None:
            slopes = self._partials[..., 1] * self.affine[:, 0] * of_subnodes[:, terms.target]
            result = torch.zeros_like(self.inputs) if result is None else result
            result.index_add_(1, terms.source, slopes)
        return torch.zeros_like(self.inputs) if result is None else result

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
        terms = self.layer.symbolic
        assert terms is not None
        return (adjoint[:, terms.target, None] * self._partials)[:, terms.free]

    @property
    def flat_basis(self) -> Float[Tensor, "batch weight"]:
        """The basis values of all sources, one row a sample."""
        assert self.basis is not None
        return self.basis.flatten(1)

    @property
    def term_values(self) -> Float[Tensor, "batch term"]:
        """The values of the functions of symbolic terms, without c and d."""
        return self._functions[-1].detach()

    @cached_property
    def _functions(self) -> tuple[Tensor, Tensor | None, Tensor]:
        # Arguments, shapes one a sample if some is free, and the values of the functions, with their graph.
        terms = self.layer.symbolic
        assert terms is not None
        with torch.enable_grad():
            u = terms.arguments(self.inputs, self.affine).requires_grad_()
            if not bool(terms.free[:, 4].any()):
                return u, None, terms.apply_functions(u, self.shape)
            shapes = self.shape.expand_as(u).clone().requires_grad_()
            return u, shapes, terms.apply_functions(u, shapes)

    @cached_property
    def _partials(self) -> Float[Tensor, "batch term 5"]:
        # Derivatives of c f(a x + b; p) + d with respect to a, b, c, d, p.
        terms = self.layer.symbolic
        assert terms is not None
        u, shapes, values = self._functions
        wanted = [u] if shapes is None else [u, shapes]
        found: tuple[Tensor | None, ...] = (None,) * len(wanted)
        if values.requires_grad:
            with torch.enable_grad():
                found = torch.autograd.grad(values.sum(), wanted, allow_unused=True)
        values, c, x = values.detach(), self.affine[:, 2], self.inputs[:, terms.source]
        slopes = [torch.zeros_like(values) if s is None else s for s in found]
        du, x = slopes[0], x if self.centre is None else x - self.centre
        partials = [c * du * x, c * du, values, torch.ones_like(du)]
        partials.append(torch.zeros_like(du) if shapes is None else c * slopes[1])
        return torch.stack(partials, -1)
