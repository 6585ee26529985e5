"""Features of numeric edges by compiled loops, where numba is installed (the extra `fast`).

For small batches the passes over all inputs in `_fused` take longer to start than to carry out. Here one
loop locates each input, evaluates its k + 1 B-splines and writes them into the feature matrix; another gathers the
gradient of that matrix. Nothing but the features is kept for the way back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kan2.core.bases.bspline import BSplineBasis
from kan2.core.edges.expansion import Expansion

IS_AVAILABLE = find_spec("numba") is not None
FEW = 2048  # inputs; below, a call of torch takes longer than all exponentials in the loop
_NONE = {torch.float32: np.empty((0, 0), np.float32), torch.float64: np.empty((0, 0), np.float64)}
LARGEST = 2**17  # inputs; the loops run on one thread, the passes of more inputs on all


def can_compile(x: Tensor) -> bool:
    """Says whether the compiled loops are there, and the faster way for these inputs."""
    return IS_AVAILABLE and x.is_cpu and (x.numel() <= LARGEST or torch.get_num_threads() == 1)


@dataclass(frozen=True)
class Loops:
    """The loops of some edges as functions of arrays alone, for those who have many calls to make.

    Attributes:
        write_features: (x, features) -> writes the features (batch, source * feature) of x (batch, source).
        gather_gradient: (x, gradient, result) -> writes the gradient of x for one of the features.
        write_intervals: (x, result) -> writes in which interval of its grid each entry of x lies.
    """

    write_features: Callable[[np.ndarray, np.ndarray], None]
    gather_gradient: Callable[[np.ndarray, np.ndarray, np.ndarray], None]
    write_intervals: Callable[[np.ndarray, np.ndarray], None]

    @classmethod
    def of(cls, expansion: Expansion) -> "Loops":
        """Returns the loops of edges with "silu" or no base function, as they are now."""
        from kan2.core.edges import _loops

        basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
        write, gather = _loops.loops(basis.k, basis.grid.dtype)
        numbers = _known_arrays(expansion)
        rest = basis.n_intervals, expansion.is_straight, int(expansion.has_base), expansion.base_fun == "silu"

        def write_features(x: np.ndarray, features: np.ndarray) -> None:
            write(x, *numbers, *rest, _given(F.silu, torch.from_numpy(x), expansion), features)

        def gather_gradient(x: np.ndarray, gradient: np.ndarray, result: np.ndarray) -> None:
            gather(x, *numbers, *rest, _given(torch.sigmoid, torch.from_numpy(x), expansion), gradient, result)

        def write_intervals(x: np.ndarray, result: np.ndarray) -> None:
            _loops.write_intervals(x, *numbers[:2], rest[0], result)

        return cls(write_features, gather_gradient, write_intervals)


def features(x: Float[Tensor, "batch source"], expansion: Expansion) -> Float[Tensor, "batch feature"]:
    """Evaluates the base function and the B-splines on uniform grids; x is contiguous."""
    from kan2.core.edges._loops import loops

    basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
    result = _empty_features(x, expansion)
    is_silu = expansion.base_fun == "silu"
    write_features, _ = loops(basis.k, x.dtype)
    write_features(*_numbers(x, expansion), is_silu, _given(F.silu, x, expansion), result.numpy())
    if expansion.has_base and not is_silu:
        result.view(*x.shape, -1)[..., 0] = expansion.base(x)
    return result


def _given(function: Callable[[Tensor], Tensor], x: Tensor, expansion: Expansion) -> np.ndarray:
    # What the loops need an exponential for. Of many inputs torch takes several at once, which the loops cannot.
    if expansion.base_fun != "silu" or x.numel() < FEW:
        return _NONE[x.dtype]
    return function(expansion.basis.coordinate()(x)).numpy()


def _numbers(x: Tensor, expansion: Expansion) -> tuple[Any, ...]:
    # What all loops begin with.
    basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
    return x.numpy(), *_known_arrays(expansion), basis.n_intervals, expansion.is_straight, int(expansion.has_base)


def _known_arrays(expansion: Expansion) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    basis = expansion.basis
    return basis.remember(("loops", expansion.base_fun), partial(_arrays, expansion), basis.grid, basis.home)


def _arrays(expansion: Expansion) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    # Origin and scale of the grids; centre and factor of the base function and, for either end of the grid, the end
    # with value and slope there; whether the coordinate of the base function is x itself.
    basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
    (low, scale), at = basis.origin_and_scale(), basis.coordinate()
    rows = [at.centre, at.factor]
    for end, slope in zip((at.low, at.high), expansion.slopes_at_ends() if expansion.has_base else (low, low)):
        rows += [end, expansion.base(end[None])[0] if expansion.has_base else low, slope]
    return low.numpy(), scale.numpy(), torch.stack(rows).numpy(), at.is_plain


def _empty_features(x: Tensor, expansion: Expansion) -> Tensor:
    # By NumPy: torch asks for aligned memory, whose gaps the C library does not fill again (glibc before 2.38). So a
    # million rows, 8192 at a time, took 2.5 GiB; they take 0.9.
    shape = x.shape[0], x.shape[1] * (expansion.has_base + expansion.basis.n_basis)
    return torch.from_numpy(np.empty(shape, x.numpy().dtype))


def input_gradient(
    gradient: Float[Tensor, "batch feature"], x: Float[Tensor, "batch source"], expansion: Expansion
) -> Float[Tensor, "batch source"]:
    """Returns the gradient of x for the gradient of its features."""
    from kan2.core.edges._loops import loops

    try:
        numbers = gradient.numpy()
    except RuntimeError:  # many gradients at once, as by `torch.autograd.grad(is_grads_batched=True)`, are no array
        return (gradient.view(*x.shape, -1) * expansion.features(x, 1)).sum(-1)
    basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
    result = torch.empty_like(x)
    is_silu = expansion.base_fun == "silu"
    _, gather_gradient = loops(basis.k, x.dtype)
    gather_gradient(*_numbers(x, expansion), is_silu, _given(torch.sigmoid, x, expansion), numbers, result.numpy())
    if expansion.has_base and not is_silu:
        result.addcmul_(gradient.view(*x.shape, -1)[..., 0], expansion.base(x, 1))
    return result


class Derivatives(torch.autograd.Function):
    """(x, expansion, order) -> derivatives of the features (batch, source, feature), order >= 1; x is contiguous."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "batch source"], expansion: Expansion, order: int) -> Tensor:
        from kan2.core.edges._loops import derivative_loop

        basis: BSplineBasis = expansion.basis  # type: ignore[assignment]
        ctx.save_for_backward(x)
        ctx.expansion, ctx.order = expansion, order
        result = _empty_features(x, expansion)
        is_silu = expansion.base_fun == "silu" and order <= 2
        derivative_loop(basis.k, x.dtype, order)(*_numbers(x, expansion), is_silu, result.numpy())
        result = result.view(*x.shape, -1)
        if expansion.has_base and not is_silu:
            result[..., 0] = expansion.base(x, order)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "batch source feature"]) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return (gradient * Derivatives.apply(x, ctx.expansion, ctx.order + 1)).sum(-1), None, None


derivatives: Callable[..., Tensor] = Derivatives.apply
