"""Steps of small networks of splines: the damped equations in the form that costs least.

- Dense: J'J as a matrix. On fine grids only what differs from zero is multiplied.
- Of the samples: where there are far fewer samples than numbers, J (B + mu D)^-1 J', a matrix as large as the samples
  are many, with the blocks B of the roughness, one an edge.
- By products: where a matrix would be too large either way, conjugate gradients.

Reference: Golub, Van Loan, Matrix Computations, 4th ed., section 2.1.4, for the inverse of a sum.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from kan2.core.linalg import DampedSystem, conjugate_gradients, diagonal_blocks, factorise
from kan2.training._equations import LEAST_DAMPING, Equations, Solve
from kan2.training._matrix_free import LEAST_PROGRESS, STEPS, is_large
from kan2.training.compact.evaluator import CompactEvaluation, CompactValues, Layer
from kan2.training.problem import CHUNK_ENTRIES, Evaluation

WIDE, WIDEST = 300, 0.5
"""Numbers from which, and values of the table a number up to which, the form of the samples is taken. A step, one try
included, takes 8.5 ms instead of 20 on 200 samples of [20, 5, 1] (945 numbers), 18 instead of 530 of [20, 20, 1]."""
BENT = 4_000_000
"""Entries of the Jacobian up to which steps are bent. Where a step is dear, bent ones creep on for little: [100, 1, 1]
on 6,000 samples takes 99 of them to 4.0e-7, 31 straight ones to 4.5e-7."""
LEAST_WIDE = 1e-9
"""Least damping in the form of the samples, which divides by it; the steps converge by this factor still."""
RIDGE = 1e-13
"""What stands for no damping where the number of effective parameters is told."""


class CompactEvaluator(CompactValues):
    """The objective and its equations, see `Evaluator`."""

    def equations(self, numbers: np.ndarray, evaluation: Evaluation) -> Equations:
        assert isinstance(evaluation, CompactEvaluation)
        if self.is_wide:
            return SampleEquations(self, numbers, evaluation)
        is_dense = not is_large(self.vector) and (self.is_sparse or self.y.size * len(numbers) <= 4 * CHUNK_ENTRIES)
        return (DenseEquations if is_dense else ProductEquations)(self, numbers, evaluation)

    @property
    def is_wide(self) -> bool:
        """Whether there are far fewer values in the table than numbers of the network."""
        size = self.vector.size
        return size >= WIDE and self.y.size <= WIDEST * size and self.y.size * size <= 4 * CHUNK_ENTRIES

    def freedom(self, numbers: np.ndarray, evaluation: CompactEvaluation) -> float:
        """Returns the number of effective parameters, the trace of the map from targets to outputs, of a wide one."""
        return SampleEquations(self, numbers, evaluation).freedom()


class CompactEquations:
    """What all forms share."""

    least_damping = LEAST_DAMPING

    def __init__(self, values: CompactValues, numbers: np.ndarray, evaluation: CompactEvaluation) -> None:
        self.values, self.numbers, self.evaluation = values, numbers, evaluation
        n_output = evaluation.residual.shape[1]
        self.leaves = [values.leaves(numbers, evaluation, output) for output in range(n_output)]
        self.gradient = self.pull(evaluation.residual)
        for term in values.terms:
            self.gradient[term.place] += term.rise(numbers)

    def layers(self, leaves: list[np.ndarray]) -> Iterator[tuple[Layer, np.ndarray, np.ndarray]]:
        """Returns every layer with its leaves and its features."""
        return zip(self.values.layers, leaves, self.evaluation.features)

    def jacobian(self, leaves: list[np.ndarray]) -> np.ndarray:
        """Returns the rows of one output."""
        result = np.empty((len(self.evaluation.residual), len(self.numbers)))
        for layer, leaf, features in self.layers(leaves):
            layer.columns(leaf, features, result[:, layer.place])
        return result

    def push(self, delta: np.ndarray) -> np.ndarray:
        """Returns J delta, (sample, output)."""
        weights = [layer.weight(delta) for layer in self.values.layers]
        result = np.zeros_like(self.evaluation.residual)
        for output, leaves in enumerate(self.leaves):
            for leaf, seen, weight in zip(leaves, self.evaluation.features, weights):
                result[:, output] += np.einsum("nt,nt->n", leaf, seen @ weight.T)
        return result

    def pull(self, w: np.ndarray) -> np.ndarray:
        """Returns J' w for (sample, output) w."""
        result = np.zeros_like(self.numbers)
        for leaves, own in zip(self.leaves, w.T):
            for layer, leaf, seen in self.layers(leaves):
                found = (leaf * own[:, None]).T @ seen
                if layer.pairs is not None:
                    found = found.reshape(layer.shape)[layer.pairs]
                result[layer.place] += found.reshape(-1)
        return result

    def bends(self) -> list[np.ndarray]:
        """Returns for each layer the blocks (edge, feature, feature) that the roughness adds to J'J."""
        found = [np.zeros((len(layer.edges[0]), layer.shape[2], layer.shape[2])) for layer in self.values.layers]
        for term in self.values.terms:
            found[term.layer] += term.bend.numpy()
        return found

    def second(self, delta: np.ndarray, far: float) -> np.ndarray | None:
        if self.values.y.size * len(delta) > BENT:
            return None
        near = self.values.evaluate(self.numbers + far * delta).residual
        change = (near - self.evaluation.residual) / far
        change -= self.push(delta)
        change *= 2 / far
        return self.pull(change)


class _Columns:
    """What differs from zero in the Jacobian of one output, see `take_columns`."""

    def __init__(self, equations: CompactEquations, leaves: list[np.ndarray]) -> None:
        from kan2.training.compact.loops import take_columns

        values = equations.values
        shape = len(values.starts), len(equations.evaluation.residual)
        self.entries, self.runs = np.empty((*shape, values.k + 2)), np.empty(shape, np.int64)
        at = 0
        for i, (layer, leaf, features) in enumerate(equations.layers(leaves)):
            first = layer.intervals(equations.evaluation.layer_inputs[i]) if i else values.where
            take_columns(leaf, features, first, *layer.edges, layer.lead, values.k, at, self.entries, self.runs)
            at += len(layer.edges[0])


class DenseEquations(CompactEquations):
    """J'J as a matrix."""

    def __init__(self, values: CompactValues, numbers: np.ndarray, evaluation: CompactEvaluation) -> None:
        super().__init__(values, numbers, evaluation)
        gram = self._sparse() if values.is_sparse else self._full()
        self.gram = torch.from_numpy(gram)
        for term in values.terms:
            diagonal_blocks(self.gram, term.place.start, term.bend.shape[:2]).add_(term.bend)
        self.diagonal = gram.diagonal()

    def _full(self) -> np.ndarray:
        gram = None
        for leaves in self.leaves:
            jacobian = self.jacobian(leaves)
            # NumPy sees that this is symmetric, and computes half of it.
            product = jacobian.T @ jacobian
            gram = product if gram is None else gram + product
        assert gram is not None, "no outputs"
        return gram

    def _sparse(self) -> np.ndarray:
        from kan2.training.compact.loops import complete, products_loop

        gram = np.zeros((len(self.numbers), len(self.numbers)))
        for leaves in self.leaves:
            columns = _Columns(self, leaves)
            products_loop(self.values.k)(columns.entries, columns.runs, self.values.starts, gram)
        complete(gram)
        return gram

    def scaled(self, scale: np.ndarray) -> Callable[[float], Solve | None]:
        return DampedSystem(self.gram, scale).solver


class SampleEquations(CompactEquations):
    """A matrix as large as the samples are many."""

    least_damping = LEAST_WIDE

    def __init__(self, values: CompactValues, numbers: np.ndarray, evaluation: CompactEvaluation) -> None:
        super().__init__(values, numbers, evaluation)
        self.rows = np.concatenate([self.jacobian(leaves) for leaves in self.leaves])
        self.held = self.bends()
        self.diagonal = np.einsum("np,np->p", self.rows, self.rows)
        for layer, held in zip(values.layers, self.held):
            self.diagonal[layer.place] += np.einsum("eff->ef", held).reshape(-1)

    def scaled(self, scale: np.ndarray) -> Callable[[float], Solve | None]:
        root = 1 / np.sqrt(np.maximum(scale, np.finfo(scale.dtype).tiny))

        def solver(damping: float) -> Solve | None:
            factors = self._factors(root, damping)
            if factors is None:
                return None
            rows = self._whitened(root, factors)
            small = rows @ rows.T
            small.reshape(-1)[:: len(small) + 1] += 1.0
            solve = factorise(small)
            if solve is None:
                return None

            def solution(b: np.ndarray) -> np.ndarray:
                y = self._by_blocks(factors, root * b)
                y -= rows.T @ solve(rows @ y)
                return root * self._by_blocks([f.swapaxes(1, 2) for f in factors], y)

            return solution

        return solver

    def freedom(self) -> float:
        """Returns the number of effective parameters."""
        root = 1 / np.sqrt(np.maximum(self.diagonal, np.finfo(self.diagonal.dtype).tiny))
        factors = self._factors(root, RIDGE)
        if factors is None:
            return float(len(self.rows))
        rows = self._whitened(root, factors)
        small = rows @ rows.T
        small.reshape(-1)[:: len(small) + 1] += 1.0
        return float(len(small) - np.linalg.inv(small).trace())

    def _factors(self, root: np.ndarray, damping: float) -> list[np.ndarray] | None:
        # For each layer the inverse of the lower Cholesky factor of every block of B + mu, in units of the scale.
        found = []
        for layer, held in zip(self.values.layers, self.held):
            own = root[layer.place].reshape(held.shape[:2])
            block = held * own[:, :, None] * own[:, None]
            block += damping * np.eye(held.shape[1])
            try:
                found.append(np.linalg.inv(np.linalg.cholesky(block)))
            except np.linalg.LinAlgError:
                return None
        return found

    def _whitened(self, root: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
        scaled = self.rows * root
        parts = []
        for layer, factor in zip(self.values.layers, factors):
            own = scaled[:, layer.place].reshape(len(scaled), *factor.shape[:2]).swapaxes(0, 1)
            parts.append((own @ factor.swapaxes(1, 2)).swapaxes(0, 1).reshape(len(scaled), -1))
        return np.concatenate(parts, 1)

    def _by_blocks(self, factors: list[np.ndarray], b: np.ndarray) -> np.ndarray:
        parts = []
        for layer, factor in zip(self.values.layers, factors):
            parts.append((factor @ b[layer.place].reshape(*factor.shape[:2], 1)).reshape(-1))
        return np.concatenate(parts)


class ProductEquations(CompactEquations):
    """No matrix at all: products and conjugate gradients."""

    def __init__(self, values: CompactValues, numbers: np.ndarray, evaluation: CompactEvaluation) -> None:
        super().__init__(values, numbers, evaluation)
        self.held = self.bends()
        self.columns = [_Columns(self, leaves) for leaves in self.leaves] if values.is_sparse else []
        self.diagonal = np.zeros_like(numbers)
        for leaves in self.leaves:
            for layer, leaf, seen in self.layers(leaves):
                found = (leaf * leaf).T @ (seen * seen)
                if layer.pairs is not None:
                    found = found.reshape(layer.shape)[layer.pairs]
                self.diagonal[layer.place] += found.reshape(-1)
        for layer, held in zip(values.layers, self.held):
            self.diagonal[layer.place] += np.einsum("eff->ef", held).reshape(-1)

    def _apply(self, v: np.ndarray) -> np.ndarray:
        if self.columns:
            from kan2.training.compact.loops import pull_columns, push_columns

            result = np.zeros_like(v)
            for columns in self.columns:
                along = np.zeros(columns.runs.shape[1])
                push_columns(columns.entries, columns.runs, self.values.starts, v, along)
                pull_columns(columns.entries, columns.runs, self.values.starts, along, result)
        else:
            result = self.pull(self.push(v))
        for layer, held in zip(self.values.layers, self.held):
            result[layer.place] += (held @ v[layer.place].reshape(*held.shape[:2], 1)).reshape(-1)
        return result

    def scaled(self, scale: np.ndarray) -> Callable[[float], Solve | None]:
        def solver(damping: float) -> Solve:
            shift = damping * scale
            preconditioner = np.maximum(self.diagonal + shift, 1e-300)
            return lambda b: conjugate_gradients(
                lambda v: self._apply(v) + shift * v, b, preconditioner, STEPS, LEAST_PROGRESS
            )

        return solver
