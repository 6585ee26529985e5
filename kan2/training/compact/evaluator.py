"""The objective of small networks of splines in flat arrays, by loops that numba compiles.

A step of a small network has little to compute: as tensor operations it takes longer to start than to carry out. Here
the numbers are one array of which the layers' weights are views, features and their derivatives come from the compiled
loops, and the rest is a few products of matrices. The results are those of `Problem` to rounding.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapter 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kan2.core.edges.numeric import Loops, loops_of
from kan2.training._natural_units import weight_sizes
from kan2.training.losses import SquaredError
from kan2.training.parameters import ParameterVector
from kan2.training.problem import MEASURED, Evaluation, Problem
from kan2.training.roughness import QuadraticTerm

LARGEST = 20_000_000  # features of a layer at all samples; up to three such arrays are held at once
SPARSE = 1 / 3
"""Share of the features of an edge that differ from zero below which these alone are multiplied. Measured with 1,000
samples and k = 3: [2, 5, 1] breaks even at 0.36 (10 intervals), [5, 10, 1] at 0.3, and wins four times at 0.11."""


def can_compact(problem: Problem, vector: ParameterVector) -> bool:
    """Says whether this way serves: splines alone, squares, no sparsity penalty, samples that fit into memory."""
    if not (
        type(problem) is Problem
        and isinstance(problem.loss, SquaredError)
        and not problem.penalty.lamb
        and len(vector.slots) == len(vector.layers)
        and all(slot.kind == "weight" for slot in vector.slots)
        and all(
            layer.symbolic is None and layer.numeric is not None and loops_of(layer.numeric.expansion) is not None
            for layer in vector.layers
        )
    ):
        return False
    return len(problem) * max(edges.weight[0].numel() for edges in _edges(vector)) <= LARGEST


def _edges(vector: ParameterVector) -> list[Any]:
    return [layer.numeric for layer in vector.layers]


def _is_sparse(vector: ParameterVector) -> bool:
    # The loops know one order.
    orders = {edges.basis.k for edges in _edges(vector)}
    return len(orders) == 1 and all(
        edges.has_base + edges.basis.k + 1 <= SPARSE * edges.weight.shape[2] for edges in _edges(vector)
    )


class Layer:
    """One layer in arrays: where its weights are, the loops of its edges and the affines of its nodes."""

    def __init__(self, vector: ParameterVector, i: int) -> None:
        layer: Any = vector.layers[i]
        self.place = vector.slots[i].part
        self.shape: tuple[int, int, int] = tuple(layer.numeric.weight.shape)
        pairs = vector.pairs[i]
        self.pairs = None if pairs is None else (pairs[:, 0].numpy(), pairs[:, 1].numpy())
        self.edges = tuple(index.numpy() for index in vector.edge_pairs(vector.slots[i]))
        self.lead = int(layer.numeric.has_base)
        loops = loops_of(layer.numeric.expansion)
        assert loops is not None
        self.loops: Loops = loops
        self.n_sum, self.arities = layer.spec.n_sum, layer.spec.arities
        self.starts = np.cumsum([self.n_sum, *self.arities])
        names = ("subnode_scale", "subnode_bias", "node_scale", "node_bias")
        affines = [getattr(layer, name).detach().numpy() for name in names]
        self.subnode_scale, self.subnode_bias, self.node_scale, self.node_bias = affines
        self.only_sums = vector.only_sums[i]

    def weight(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the weights (target, source * feature), as a view where every pair has an edge."""
        target, source, feature = self.shape
        own = numbers[self.place]
        if self.pairs is None:
            return own.reshape(target, source * feature)
        dense = np.zeros(self.shape)
        dense[self.pairs] = own.reshape(-1, feature)
        return dense.reshape(target, -1)

    def features(self, x: np.ndarray) -> np.ndarray:
        """Returns (sample, source * feature)."""
        result = np.empty((len(x), self.shape[1] * self.shape[2]))
        self.loops.write_features(x, result)
        return result

    def intervals(self, x: np.ndarray) -> np.ndarray:
        """Returns (sample, source), in which interval of its grid each entry lies."""
        result = np.empty(x.shape, np.int64)
        self.loops.write_intervals(x, result)
        return result

    def nodes(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the subnodes with their affine and the nodes."""
        if self.only_sums:
            return sums, sums
        values = sums * self.subnode_scale
        values += self.subnode_bias
        nodes = values
        if self.arities:
            products = [values[:, i:j].prod(1) for i, j in zip(self.starts, self.starts[1:])]
            nodes = np.column_stack([values[:, : self.n_sum], *products])
        nodes = nodes * self.node_scale
        nodes += self.node_bias
        return values, nodes

    def carry_back(self, values: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
        """Returns the derivatives with respect to the sums, from those with respect to the nodes."""
        if self.only_sums:
            return adjoint
        of_nodes = adjoint * self.node_scale
        if not self.arities:
            return of_nodes * self.subnode_scale
        result = np.empty_like(values)
        result[:, : self.n_sum] = of_nodes[:, : self.n_sum]
        for node, (i, j) in enumerate(zip(self.starts, self.starts[1:])):
            for factor in range(i, j):
                # Not by division, for factors may be zero.
                others = [other for other in range(i, j) if other != factor]
                result[:, factor] = of_nodes[:, self.n_sum + node] * values[:, others].prod(1)
        result *= self.subnode_scale
        return result

    def columns(self, leaf: np.ndarray, features: np.ndarray, out: np.ndarray) -> None:
        """Writes the columns of the Jacobian that belong to the weights."""
        n, (target, source, feature) = len(leaf), self.shape
        if self.pairs is None:
            np.multiply(leaf[:, :, None], features[:, None, :], out=out.reshape(n, target, source * feature))
        else:
            seen = features.reshape(n, source, feature)[:, self.pairs[1]]
            np.multiply(leaf[:, self.pairs[0], None], seen, out=out.reshape(n, -1, feature))


@dataclass(frozen=True)
class CompactEvaluation(Evaluation):
    """An evaluation with what its derivatives need.

    Attributes:
        layer_inputs: (sample, source) what each layer reads.
        features: (sample, source * feature) of each layer.
        sums: (sample, subnode) of each layer.
        values: the same with their affine.
        residual: (sample, output), whose sum of squares is the loss.
    """

    layer_inputs: Sequence[np.ndarray] = ()
    features: Sequence[np.ndarray] = ()
    sums: Sequence[np.ndarray] = ()
    values: Sequence[np.ndarray] = ()
    residual: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def inputs(self) -> Sequence[Tensor]:
        return [torch.from_numpy(x) for x in self.layer_inputs]


class Term:
    """A term of the roughness in arrays."""

    def __init__(self, term: QuadraticTerm) -> None:
        self.layer, self.place, self.weight = term.slot.layer, term.slot.part, term.weight.numpy()
        self.shared = term.matrix[0].numpy().T if len(term.matrix) == 1 else None
        self.matrix = term.matrix.numpy()
        self.origin = None if term.origin is None else term.origin.numpy()
        self.bend = term.bend

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Returns what is squared, (edge, row)."""
        own = numbers[self.place].reshape(len(self.weight), -1)
        own = own if self.origin is None else own - self.origin
        return own @ self.shared if self.shared is not None else (self.matrix @ own[..., None])[..., 0]

    def value(self, numbers: np.ndarray) -> float:
        """Returns the term."""
        rows = self.rows(numbers)
        rows *= rows
        return float(self.weight @ rows.sum(1))

    def rise(self, numbers: np.ndarray) -> np.ndarray:
        """Returns half the gradient."""
        rows = self.rows(numbers)
        rows *= self.weight[:, None]
        found = rows @ self.shared.T if self.shared is not None else (rows[:, None] @ self.matrix)[:, 0]
        return found.reshape(-1)


class CompactValues:
    """The values of the objective of one network on one problem, see `can_compact`.

    Args:
        problem: what is minimised.
        vector: the network.
    """

    def __init__(self, problem: Problem, vector: ParameterVector) -> None:
        self.problem, self.vector, self.x, self.y = problem, vector, problem.features.numpy(), problem.y.numpy()
        self.layers = [Layer(vector, i) for i in range(len(vector.layers))]
        self.read_terms()
        self.x = np.ascontiguousarray(self.x)
        self.first = self.layers[0].features(self.x)
        self.is_sparse, self.k = _is_sparse(vector), _edges(vector)[0].basis.k
        if self.is_sparse:
            self.where = self.layers[0].intervals(self.x)
            columns = [np.arange(x.place.start, x.place.stop, x.shape[2]) for x in self.layers]
            self.starts = np.concatenate(columns)
        share = problem.share_of(slice(None))
        root = share.sqrt().numpy()[:, None] if isinstance(share, Tensor) else np.full((len(self.y), 1), share**0.5)
        assert isinstance(problem.loss, SquaredError)
        units = problem.loss.units
        n_output = self.y.shape[1]
        self.scale = root / n_output**0.5 * (np.ones(n_output) if units is None else 1 / units.numpy())

    def put(self, numbers: np.ndarray) -> None:
        self.vector.write(torch.from_numpy(numbers))

    def read_terms(self) -> None:
        self.terms = [Term(term) for term in self.problem.roughness.terms(self.vector)]

    def measure(self, numbers: np.ndarray) -> None:
        """Weighs the roughness and measures the units of the numbers, as `Problem.restart` does."""
        problem, vector = self.problem, self.vector
        problem.roughness.measure([], [])
        self.terms = []
        found = self.evaluate(numbers)
        every = -(-len(self.y) // MEASURED)
        sizes, squares = [], []
        seen = [torch.from_numpy(f.reshape(len(f), *layer.shape[1:])) for f, layer in zip(found.features, self.layers)]
        for slot, sums, features in zip(vector.slots, found.sums, seen):
            sizes.append(weight_sizes(vector, slot, torch.from_numpy(sums[::every]), features[::every]))
        vector.sizes = torch.cat(sizes)
        if not problem.roughness.is_on:
            return
        outputs = [self.leaves(numbers, found, output) for output in range(found.residual.shape[1])]
        for leaves in zip(*outputs):
            squares.append(torch.from_numpy(sum(np.einsum("nt,nt->t", leaf, leaf) for leaf in leaves)))
        weights, support = [], []
        for slot, square, features in zip(vector.slots, squares, seen):
            target, source = vector.edge_pairs(slot)
            weights.append(square[target])
            support.append(features.abs().sum(0)[source])
        problem.roughness.measure(weights, support)
        self.read_terms()

    def evaluate(self, numbers: np.ndarray) -> CompactEvaluation:
        x, inputs, features, sums, values = self.x, [], [], [], []
        for i, layer in enumerate(self.layers):
            seen = layer.features(x) if i else self.first
            inputs.append(x)
            features.append(seen)
            sums.append(seen @ layer.weight(numbers).T)
            of_subnodes, x = layer.nodes(sums[-1])
            values.append(of_subnodes)
        residual = x - self.y
        residual *= self.scale
        squares = np.einsum("no,no->o", residual, residual)
        loss = float(squares.sum())
        rough = sum(term.value(numbers) for term in self.terms)
        squares = torch.from_numpy(squares * len(squares))
        return CompactEvaluation(loss + rough, loss, 0.0, None, None, squares, inputs, features, sums, values, residual)

    def leaves(self, numbers: np.ndarray, evaluation: CompactEvaluation, output: int) -> list[np.ndarray]:
        """Returns, for each layer, the derivatives of an output's residuals with respect to the sums of subnodes."""
        adjoint = np.zeros_like(evaluation.residual)
        adjoint[:, output] = self.scale[:, output]
        found = []
        for i in reversed(range(len(self.layers))):
            layer = self.layers[i]
            leaf = layer.carry_back(evaluation.values[i], adjoint)
            found.append(leaf)
            if i:
                x = evaluation.layer_inputs[i]
                adjoint = np.empty_like(x)
                layer.loops.gather_gradient(x, leaf @ layer.weight(numbers), adjoint)
        return found[::-1]
