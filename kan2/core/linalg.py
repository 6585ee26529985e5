"""Linear algebra that stays finite: rank-safe least squares and damped normal equations.

One policy for all devices. On the CPU, LAPACK's divide-and-conquer SVD driver `gelsd` is used because the default
driver `gelsy` returns wrong answers for rank-deficient matrices; CUDA offers only a full-rank driver, so there the
singular value decomposition is taken explicitly.

Reference: Golub, Van Loan, Matrix Computations, 4th ed., section 5.5.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def lstsq(
    a: Float[Tensor, "*stack rows cols"], b: Float[Tensor, "*stack rows rhs"], rcond: float | None = None
) -> Float[Tensor, "*stack cols rhs"]:
    """Solves min ||a x - b|| with the least norm, for any rank.

    Args:
        a: matrices, any rank, finite.
        b: right-hand sides.
        rcond: singular values below rcond * largest count as zero; by default eps * max(rows, cols).

    Example:
        >>> lstsq(torch.ones(3, 2), torch.full((3, 1), 4.0)).flatten().round(decimals=5).tolist()
        [2.0, 2.0]
    """
    if rcond is None:
        rcond = torch.finfo(a.dtype).eps * max(a.shape[-2:])
    if a.device.type == "cpu":
        return torch.linalg.lstsq(a, b, rcond=rcond, driver="gelsd").solution
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    inverse = torch.where(s > rcond * s[..., :1], 1 / s, torch.zeros_like(s))
    return vh.mT @ (inverse[..., None] * (u.mT @ b))


def gram_matrix(a: Float[Tensor, "rows n"]) -> Float[Tensor, "n n"]:
    """Returns a' a, exactly symmetric on the CPU, where one half of it is computed and the other copied.

    Example:
        >>> gram_matrix(torch.tensor([[1.0, 2.0], [0.0, 1.0]])).tolist()
        [[1.0, 2.0], [2.0, 5.0]]
    """
    if a.device.type != "cpu":
        return a.T @ a
    # NumPy calls the symmetric rank-k product of BLAS, half the work of a general one; torch has no door to it.
    rows = a.numpy()
    return torch.from_numpy(rows.T @ rows)


def diagonal_blocks(gram: Float[Tensor, "n n"], start: int, shape: Sequence[int]) -> Float[Tensor, "block width width"]:
    """Returns the square blocks of equal width along the diagonal of a matrix, which is contiguous, as a view.

    Args:
        gram: the matrix.
        start: row where the first block begins.
        shape: how many blocks there are, and how wide they are.

    Example:
        >>> diagonal_blocks(torch.arange(9.0).view(3, 3), 1, (2, 1)).flatten().tolist()
        [4.0, 8.0]
    """
    n, (count, width) = gram.shape[0], shape
    return gram.as_strided((count, width, width), (width * (n + 1), n, 1), gram.storage_offset() + start * (n + 1))


class DampedSystem:
    """gram + damping diag(scale) for a symmetric positive semi-definite gram, to be solved for several dampings.

    The matrix is divided by the scale first, so that columns of very different size do not lose digits. Vectors are
    NumPy arrays, for solvers whose own operations on small vectors should not cost more than the solution.

    Args:
        gram: J'J, symmetric.
        scale: (n,) Marquardt's scaling, > 0, on the CPU; usually the running maximum of the diagonal of gram.

    Example:
        >>> system = DampedSystem(torch.eye(2), np.ones(2, dtype=np.float32))
        >>> system.solver(1.0)(np.ones(2, dtype=np.float32)).round(5).tolist()
        [0.5, 0.5]
    """

    def __init__(self, gram: Float[Tensor, "n n"], scale: np.ndarray) -> None:
        self._root = 1 / np.sqrt(np.maximum(scale, np.finfo(scale.dtype).tiny))
        if gram.device.type == "cpu":
            self._scaled: Any = gram.numpy() * self._root[:, None]
            self._scaled *= self._root
        else:
            root = torch.from_numpy(self._root).to(gram)
            self._scaled = gram * root[:, None] * root

    def solver(self, damping: float) -> Callable[[np.ndarray], np.ndarray] | None:
        """Factorises the matrix.

        Args:
            damping: Marquardt's parameter, >= 0.

        Returns:
            the map from b to the solution x of (gram + damping diag(scale)) x = b; None where the matrix is not
            positive definite to working precision and needs more damping.
        """
        root = self._root
        if isinstance(self._scaled, Tensor):
            matrix = self._scaled.clone()
            matrix.diagonal().add_(damping)
            factor, info = torch.linalg.cholesky_ex(matrix)
            if int(info) or not bool(torch.isfinite(factor.diagonal().sum())):
                return None

            def solution_there(b: np.ndarray) -> np.ndarray:
                there = torch.from_numpy(root * b).to(factor)[:, None]
                return root * torch.cholesky_solve(there, factor)[:, 0].cpu().numpy()

            return solution_there
        matrix = self._scaled.copy()
        matrix.reshape(-1)[:: len(matrix) + 1] += damping
        solve = factorise(matrix)
        return None if solve is None else lambda b: root * solve(root * b)


def factorise(matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
    """Returns the map from b to the solution x of matrix x = b for a symmetric matrix, which is overwritten.

    Returns None where it is not positive definite to working precision.
    """
    potrf, potrs = _lapack(matrix.dtype)
    # Transposed, the matrix has the order of columns that LAPACK takes, and need not be copied.
    factor, info = potrf(matrix.T, lower=True, overwrite_a=True, clean=False)
    if info or not math.isfinite(factor.diagonal().sum()):
        return None
    return lambda b: potrs(factor, b, lower=True)[0]


@lru_cache(maxsize=4)
def _lapack(dtype: np.dtype) -> Any:
    # Cholesky's factorisation and the solution by it. Torch has them too, but each of its calls takes longer to start
    # than a small matrix takes. Training alone needs them, and they are slow to import.
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs(("potrf", "potrs"), dtype=dtype)


def conjugate_gradients(
    apply: Callable[[Any], Any], b: Any, preconditioner: Any, steps: int = 200, least_progress: float = 0.0
) -> Any:
    """Solves A x = b for a symmetric positive definite A that is known by its products with vectors.

    Args:
        apply: the map from v to A v.
        b: (n,) right-hand side, a tensor or an array.
        preconditioner: (n,) an approximate diagonal of A, > 0.
        steps: largest number of products; fewer where the residual falls below 1e-10 of b.
        least_progress: the iteration ends where x' A x / 2 - b' x falls by less than this share of itself a product,
            over the last ten or the last tenth of them.

    References:
        Hestenes, Stiefel (1952), doi:10.6028/jres.049.044; Martens (2010), section 4.4, for the last rule.

    Example:
        >>> conjugate_gradients(lambda v: 2 * v, torch.ones(2), torch.ones(2)).tolist()
        [0.5, 0.5]
    """
    x, r = b * 0.0, b
    z = r / preconditioner
    p, rz = z, float(r @ z)
    target = 1e-20 * rz
    trail: list[float] = []
    for step in range(steps):
        if rz <= target or rz == 0:
            break
        ap = apply(p)
        curvature = float(p @ ap)
        if not curvature > 0:
            break
        length = rz / curvature
        x, r = x + length * p, r - length * ap
        z = r / preconditioner
        rz, old = float(r @ z), rz
        p = z + (rz / old) * p
        if least_progress:
            trail.append(-0.5 * float(x @ (b + r)))
            window = max(10, step // 10)
            if step >= window and trail[-1 - window] - trail[-1] < window * least_progress * abs(trail[-1]):
                break
    return x
