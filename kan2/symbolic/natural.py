"""Least squares for the numbers of a symbolic network in natural coordinates, which know no unit of measure.

The numbers of a term c f(a x + b) + d are measured by what they do over the samples: x in deviations from its mean, in
units of its spread; f likewise; the sum at the subnode in units of its own spread. In these coordinates a and b of a
column such as 2000 to 2020 are hardly correlated, and neither powers of ten nor offsets cost digits. Steps and standard
errors are computed there, by orthogonal transformations of the Jacobian instead of its square, and then carried over to
the numbers themselves.

References: Marquardt (1963), doi:10.1137/0111030; Golub, Van Loan, Matrix Computations, 4th ed., section 5.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import functions
from kan2.core.linalg import lstsq
from kan2.core.network import Network
from kan2.interrupts import check_time
from kan2.symbolic.shifts import tied_shifts
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Evaluation, Problem

LETTERS = "abcdp"
N_ROWS = 4096  # samples that are enough for means and spreads
EPS = 2.0**-52
RANK = 1e-13  # singular values below this share of the largest are rounding
Place = tuple[int, int, str]
"""(layer, term, letter) of a free number."""


@dataclass(frozen=True)
class Coordinates:
    """Natural coordinates at one point: numbers = matrix @ coordinates.

    Attributes:
        places: of every free number of a term its position in the parameter vector.
        matrix: (parameter, coordinate).
        sizes: (parameter,) how large a change of each number alone is felt as one natural unit.
    """

    places: dict[Place, int]
    matrix: Float[Tensor, "parameter coordinate"]
    sizes: Float[Tensor, " parameter"]


def places(model: Network, vector: ParameterVector) -> dict[Place, int]:
    """Returns the position of every free number of a term in the parameter vector."""
    # Scales and biases of nodes lie in between.
    found: dict[Place, int] = {}
    for slot in vector.slots:
        symbolic = model.layers[slot.layer].symbolic
        if slot.kind == "term" and symbolic is not None:
            for i, (term, letter) in enumerate(symbolic.free.nonzero().tolist(), slot.start):
                found[slot.layer, term, LETTERS[letter]] = i
    return found


@torch.no_grad()
def coordinates(model: Network, vector: ParameterVector, features: Float[Tensor, "batch feature"]) -> Coordinates:
    """Returns the natural coordinates of a symbolic network at its present numbers.

    Args:
        model: all edges symbolic.
        vector: its free numbers.
        features: samples as the first layer reads them.
    """
    where = places(model, vector)
    matrix = torch.eye(vector.size, dtype=torch.float64)
    sizes = torch.ones(vector.size, dtype=torch.float64)
    nodes = features[:: max(1, len(features) // N_ROWS)].double()
    for index, layer in enumerate(model.layers):
        if layer.symbolic is not None:
            terms = layer.symbolic
            u = terms.arguments(nodes, terms.affine)
            f = terms.apply_functions(u, terms.shape)
            subnodes = layer.subnodes(nodes)
            x_mean, x_spread = _moments(nodes)
            _, u_spread = _moments(u)
            f_mean, f_spread = _moments(f)
            _, unit = _moments(subnodes)
            offset = {
                t.target: where[index, i, "d"] for i, t in enumerate(layer.spec.terms) if (index, i, "d") in where
            }
            for i, term in enumerate(layer.spec.terms):
                a, b, c, d = (where.get((index, i, letter)) for letter in "abcd")
                if a is not None:
                    sizes[a] = matrix[a, a] = 1 / x_spread[term.source]
                    if b is not None:
                        matrix[b, a] = -x_mean[term.source] / x_spread[term.source]
                    elif c is not None and functions.get(term.function).gauge == "shift":
                        # c stands for b: c exp(a x) is c' exp(a (x - mean)).
                        matrix[c, a] = -float(terms.affine[i, 2]) * x_mean[term.source] / x_spread[term.source]
                elif b is not None:
                    # Without a scale of its own, the argument is measured by its spread.
                    sizes[b] = matrix[b, b] = u_spread[i]
                if c is not None:
                    sizes[c] = matrix[c, c] = unit[term.target] / f_spread[i]
                    if (shared := offset.get(term.target)) is not None:
                        matrix[shared, c] = -matrix[c, c] * f_mean[i]
                if d is not None:
                    sizes[d] = matrix[d, d] = unit[term.target]
        nodes = layer(nodes)
    return Coordinates(where, matrix, sizes)


def _moments(table: Float[Tensor, "batch column"]) -> tuple[Float[Tensor, " column"], Float[Tensor, " column"]]:
    # Mean and spread; what does not vary is measured by its size. Scaled first, so that squares cannot overflow.
    size = table.abs().amax(0)
    size = torch.where((size > 0) & torch.isfinite(size), size, torch.ones_like(size))
    mean = (table / size).mean(0)
    spread = (table / size - mean).square().mean(0).sqrt()
    spread = torch.where(spread > 16 * EPS, spread, torch.ones_like(spread))
    return (mean * size).nan_to_num(0.0), (spread * size).nan_to_num(1.0)


@dataclass(frozen=True)
class _Triangle:
    """The linear problem |J delta + residual| after an orthogonal transformation, with columns of unit length.

    Attributes:
        matrix: (coordinate, coordinate).
        residual: (coordinate,).
        lengths: of the columns before.
    """

    matrix: Float[Tensor, "coordinate coordinate"]
    residual: Float[Tensor, " coordinate"]
    lengths: Float[Tensor, " coordinate"]

    @property
    def is_finite(self) -> bool:
        """Whether all slopes are finite; that of a square root is not where its argument is 0."""
        return bool(torch.isfinite(self.matrix).all() & torch.isfinite(self.residual).all())


def _triangle(problem: Problem, vector: ParameterVector, evaluation: Evaluation, natural: Coordinates) -> _Triangle:
    n = vector.size
    stack = torch.zeros(n + 1, n + 1, dtype=torch.float64)
    for block in _blocks(problem, vector, evaluation, natural):
        r = torch.linalg.qr(torch.cat([stack, block]), mode="r").R
        stack = r[: n + 1]
    matrix, residual = stack[:n, :n], stack[:n, n]
    lengths = matrix.norm(dim=0)
    lengths = torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    return _Triangle(matrix / lengths, residual, lengths)


def _blocks(
    problem: Problem, vector: ParameterVector, evaluation: Evaluation, natural: Coordinates
) -> Iterator[Float[Tensor, "row column"]]:
    for _, _, parts in problem.linearised(vector, evaluation):
        for adjoints, z in parts:
            yield torch.cat([adjoints.jacobian() @ natural.matrix, z[:, None]], 1)


def standard_errors(
    model: Network, vector: ParameterVector, problem: Problem, variance: float
) -> tuple[Coordinates, Float[Tensor, " parameter"]]:
    """Returns the natural coordinates and the standard errors of the free numbers; infinite where a slope is.

    Args:
        model: all edges symbolic, of type float64.
        vector: its free numbers.
        problem: the samples it was fitted to.
        variance: of one residual, divided by the number of residuals.
    """
    natural = coordinates(model, vector, problem.features)
    triangle = _triangle(problem, vector, problem.evaluate(vector), natural)
    if not triangle.is_finite:
        return natural, torch.full((vector.size,), float("inf"), dtype=torch.float64)
    _, s, vh = torch.linalg.svd(triangle.matrix)
    # A direction that the data do not determine gets a large error, not an infinite one.
    s = s.clamp_min(RANK * max(float(s.amax()), 1e-300))
    root = natural.matrix @ (vh.mT / s / triangle.lengths[:, None])
    for layer, term, factor, x0 in tied_shifts(model):
        # The shift x0 of c exp(a (x - x0)) is agreed upon, and its product with a moves along with a.
        a, c = (natural.places[layer, term, letter] for letter in "ac")
        root[c] += factor * x0 * root[a]
    return natural, variance**0.5 * root.norm(dim=1)


def minimise(model: Network, problem: Problem, steps: int) -> float:
    """Fits the free numbers of a symbolic network in place and returns the loss that is left.

    Args:
        model: all edges symbolic, of type float64.
        problem: the samples.
        steps: largest number of Levenberg-Marquardt steps, >= 0.

    Raises:
        OutOfTime: a time limit is over; the numbers are those of some step.
    """
    vector = ParameterVector(model)
    evaluation = problem.evaluate(vector)
    damping, idle = 1e-4, 0
    eye = torch.eye(vector.size, dtype=torch.float64)
    old, last = vector.read(), evaluation.loss
    for _ in range(steps if vector.size else 0):
        check_time()
        if evaluation.loss <= (4 * EPS) ** 2 * problem.scale:
            break
        natural = coordinates(model, vector, problem.features)
        triangle = _triangle(problem, vector, evaluation, natural)
        if not triangle.is_finite:
            # The last step led to the very end of a domain: what lies there has no errors, and cannot be judged.
            vector.write(old)
            return last
        old, last, trial = vector.read(), evaluation.loss, None
        right = -torch.cat([triangle.residual, torch.zeros_like(triangle.residual)])[:, None]
        while damping < 1e8:
            system = torch.cat([triangle.matrix, damping**0.5 * eye])
            step = natural.matrix @ (lstsq(system, right)[:, 0] / triangle.lengths)
            if not bool((step.abs() > EPS / 4 * old.abs()).any()):
                break
            vector.write(old + step)
            trial = problem.evaluate(vector)
            if trial.loss < evaluation.loss:
                break
            damping, trial = 8 * damping, None
        if trial is None:
            vector.write(old)
            break
        gain = (evaluation.loss - trial.loss) / evaluation.loss
        evaluation, damping = trial, max(damping / 8, 1e-14)
        idle = idle + 1 if gain < 1e-8 else 0
        if idle == 2:
            break
    return evaluation.loss
