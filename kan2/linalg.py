"""Linear algebra that stays finite: rank-safe least squares and damped normal equations.

One policy for all devices. On the CPU, LAPACK's divide-and-conquer SVD driver `gelsd` is used because the default
driver `gelsy` returns wrong answers for rank-deficient matrices; CUDA offers only a full-rank driver, so there the
singular value decomposition is taken explicitly.

Reference: Golub, Van Loan, Matrix Computations, 4th ed., section 5.5.
"""

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
        >>> lstsq(torch.ones(3, 2), torch.full((3, 1), 4.0)).flatten().tolist()
        [2.0, 2.0]
    """
    if rcond is None:
        rcond = torch.finfo(a.dtype).eps * max(a.shape[-2:])
    if a.device.type == "cpu":
        return torch.linalg.lstsq(a, b, rcond=rcond, driver="gelsd").solution
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    inverse = torch.where(s > rcond * s[..., :1], 1 / s, torch.zeros_like(s))
    return vh.mT @ (inverse[..., None] * (u.mT @ b))


def solve_damped(
    gram: Float[Tensor, "n n"], rhs: Float[Tensor, " n"], damping: float, scale: Float[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Solves (gram + damping diag(scale)) x = rhs for a symmetric positive semi-definite gram.

    The matrix is scaled to unit diagonal first, so that columns of very different size do not lose digits. Where the
    Cholesky factorisation fails, the least-squares solution is returned.

    Args:
        gram: J'J, symmetric.
        rhs: -J'r.
        damping: Marquardt's parameter, >= 0.
        scale: Marquardt's scaling, > 0; usually the running maximum of the diagonal of gram.
    """
    diagonal = gram.diagonal() + damping * scale
    root = diagonal.clamp_min(torch.finfo(gram.dtype).tiny).rsqrt()
    scaled = gram * root[:, None] * root[None, :]
    scaled.diagonal().fill_(1.0)
    factor, info = torch.linalg.cholesky_ex(scaled)
    if int(info) == 0:
        return root * torch.cholesky_solve((root * rhs)[:, None], factor)[:, 0]
    return root * lstsq(scaled, (root * rhs)[:, None])[:, 0]
