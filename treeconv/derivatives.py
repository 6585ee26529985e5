"""Values and gradients of any callable, in NumPy.

Everything treeconv asks of a model is its value and its first derivatives at given points. This file turns the many
things people have into one `Function`: a network with a `jet` method (exact), a torch module or function (autograd),
a SymPy expression (differentiated symbolically), an estimator with `predict` or a NumPy function (both by central
differences).

Words: a function is *learned* when it came out of a fit (a torch module with parameters, an object with `predict`) and
therefore carries an error of its own; otherwise, as when a network says that it `is_formula`, it is *exact* up to
rounding. The step of the differences is chosen by letting several steps compete: the one whose derivative agrees best
with that of twice the step wins, and the disagreement that is left is the measured error of the gradient.

Reference: J. J. Moré, S. M. Wild, "Estimating derivatives of noisy simulations", ACM TOMS 38 (2012).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray

from treeconv.errors import ExpressionError, SampleError, TreeError, TreeTypeError
from treeconv.symbols import quoted

Array = NDArray[np.float64]

STEPS = (1e-3, 1e-2, 1e-1, 3e-1)
"""Candidate steps of the central differences, in standard deviations of each input."""

_CHUNK = 1 << 17
_HUGE = 1e50  # its sixth power still fits into float64


@dataclass(frozen=True)
class Function:
    """A scalar function of samples with its gradient, both NumPy in and NumPy out.

    Attributes:
        value: Maps samples (batch, n) to values (batch,).
        gradient: Maps samples (batch, n) to partial derivatives (batch, n).
        learned: Whether the function came out of a fit.
        epsilon: Relative rounding error of one value.
        gradient_error: Measured relative error of the gradient; zero when it is exact.
        settings: How values and derivatives are obtained, for the record.
    """

    value: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    learned: bool
    epsilon: float
    gradient_error: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    def scaled(self, unit: float) -> Function:
        """Returns the function divided by a unit, with NaN for values that no longer have a sensible size."""

        def sized(numbers: Array) -> Array:
            with np.errstate(all="ignore"):
                numbers = numbers / unit
                return np.where(np.abs(numbers) < _HUGE, numbers, np.nan)

        return replace(self, value=lambda x: sized(self.value(x)), gradient=lambda x: sized(self.gradient(x)))


def as_functions(f: Any, x: Array, names: Sequence[str] | None = None) -> list[Function]:
    """Wraps a model as one `Function` an output.

    Args:
        f: A torch module or function, a network with `jet`, a SymPy expression, an estimator with `predict`, or a
            NumPy function; it maps (batch, n) to (batch,) or (batch, outputs).
        x: Samples (batch, n) that show the scale of each input.
        names: Input names, needed for SymPy expressions only.

    Returns:
        The functions, one an output column.

    Raises:
        TreeTypeError: If `f` is nothing that can be called.
        SampleError: If `f` cannot be called with samples, or its answer does not have one row a sample.
        ExpressionError: If a SymPy expression has other symbols than the names.

    Example:
        >>> square = as_functions(lambda x: (x**2).sum(1), np.eye(2))[0]
        >>> square.gradient(np.array([[3.0, 4.0]])).tolist()
        [[6.0, 8.0]]
    """
    if isinstance(f, sp.Expr):
        return [_symbolic(f, names or [])]
    if isinstance(f, Function):
        return [f]
    if hasattr(f, "predict") and not isinstance(f, torch.nn.Module | type):
        return _differences(_numpy_call(_predictor(f)), x, learned=True)
    if not callable(f) or isinstance(f, type):
        raise TreeTypeError(
            f"convert: expected a callable, a model with predict, or a SymPy expression, got {_describe(f)}. "
            "Pass a function that maps samples (batch, n) to outputs (batch,)."
        )
    if _differentiable(f, x):
        return _torch(f, x)
    call = _numpy_call(f)
    try:
        call(x[:2])
    except TreeError:
        raise
    except Exception as error:  # what a function makes of samples it was not written for is anything
        raise SampleError(
            f"convert: expected a function of samples of shape (batch, {x.shape[1]}), got {type(error).__name__} when "
            f"called: {error}. Let it take one array and compute all rows at once."
        ) from error
    return _differences(call, x, learned=False)


def _describe(f: Any) -> str:
    return f"the class {f.__name__}" if isinstance(f, type) else type(f).__name__


def _predictor(model: Any) -> Callable[[Array], Any]:
    """The predictions of an estimator, which was perhaps fitted on a data frame and wants to see one again."""
    columns = getattr(model, "feature_names_in_", None)
    if columns is None:
        return model.predict
    import pandas

    return lambda points: model.predict(pandas.DataFrame(points, columns=columns))


@contextlib.contextmanager
def _inference(f: Any) -> Iterator[None]:
    """Switches a module to evaluation (dropout off, batch statistics frozen) and back again afterwards."""
    training = [m for m in f.modules() if m.training] if isinstance(f, torch.nn.Module) else []
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _like(f: Any) -> tuple[torch.dtype, torch.device, bool]:
    """The number type and device a callable wants, and whether it was fitted."""
    weights = [p for p in f.parameters() if p.is_floating_point()] if isinstance(f, torch.nn.Module) else []
    if weights:
        return weights[0].dtype, weights[0].device, not getattr(f, "is_formula", False)
    return torch.float64, torch.device("cpu"), False


def _differentiable(f: Any, x: Array) -> bool:
    """Whether `f` takes a tensor and answers with one that autograd can follow."""
    if isinstance(f, torch.nn.Module) or hasattr(f, "jet"):
        return True
    probe = torch.tensor(x[:2], dtype=torch.float64, requires_grad=True)
    try:
        answer = f(probe)
    except Exception:  # a NumPy function may refuse a tensor in any way it likes
        return False
    return isinstance(answer, torch.Tensor) and answer.requires_grad


def _columns(answer: Any, n_samples: int) -> Any:
    """Gives an answer the shape (batch, outputs)."""
    if answer.ndim == 1:
        answer = answer[:, None]
    if answer.ndim != 2 or answer.shape[0] != n_samples:
        raise SampleError(
            f"convert: expected outputs of shape ({n_samples},) or ({n_samples}, outputs), got {tuple(answer.shape)}. "
            "Let the function return one row a sample."
        )
    return answer


def _torch(f: Any, x: Array) -> list[Function]:
    dtype, device, learned = _like(f)

    def tensor(points: Array) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(points), dtype=dtype, device=device)

    def evaluate(points: Array, output: int) -> Array:
        with _inference(f), torch.no_grad():
            parts = [_columns(f(part), len(part))[:, output] for part in tensor(points).split(_CHUNK)]
        return torch.cat(parts).double().cpu().numpy()

    def differentiate(points: Array, output: int) -> Array:
        parts = []
        with _inference(f), torch.enable_grad():
            for part in tensor(points).split(_CHUNK):
                if hasattr(f, "jet"):
                    parts.append(f.jet(part, order=1).gradient[:, output].detach())
                    continue
                part = part.clone().requires_grad_(True)
                total = _columns(f(part), len(part))[:, output].sum()
                slope = torch.autograd.grad(total, part, allow_unused=True)[0] if total.requires_grad else None
                parts.append(torch.zeros_like(part) if slope is None else slope)
        return torch.cat(parts).double().cpu().numpy()

    with _inference(f), torch.no_grad():
        n_outputs = _columns(f(tensor(x[:2])), len(x[:2])).shape[1]
    how = "jet" if hasattr(f, "jet") else "autograd"
    return [
        Function(
            value=lambda points, k=k: evaluate(points, k),
            gradient=lambda points, k=k: differentiate(points, k),
            learned=learned,
            epsilon=torch.finfo(dtype).eps,
            settings={"derivatives": how},
        )
        for k in range(n_outputs)
    ]


def _symbolic(expression: sp.Expr, names: Sequence[str]) -> Function:
    symbols: Any = expression.free_symbols
    by_name = {s.name: s for s in symbols}
    if unknown := sorted(set(by_name) - set(names)):
        known, others = ", ".join(map(quoted, names)), ", ".join(map(quoted, unknown))
        raise ExpressionError(
            f"convert: expected an expression in {known}, got also {others}. Give names= one name a column."
        )
    # Of a symbol that may be complex, SymPy has no derivative of |x| that could be evaluated.
    arguments = [sp.Symbol(name, real=True) for name in names]
    real: Any = expression.xreplace({by_name[s.name]: s for s in arguments if s.name in by_name})
    slopes = [sp.diff(real, s) for s in arguments]
    compiled = sp.lambdify(arguments, [real, *slopes], modules=["scipy", "numpy"], cse=True)

    def evaluate(points: Array) -> Array:
        with np.errstate(all="ignore"):
            answers = compiled(*points.T)
        return np.stack([np.broadcast_to(np.asarray(a, dtype=float), len(points)) for a in answers], axis=1)

    return Function(
        value=lambda points: evaluate(points)[:, 0],
        gradient=lambda points: evaluate(points)[:, 1:],
        learned=False,
        epsilon=np.finfo(float).eps,
        settings={"derivatives": "symbolic"},
    )


def _numpy_call(f: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """Calls a NumPy function, silencing the warnings of points outside its domain, which become NaN and are dropped."""

    def call(points: Array) -> Array:
        with np.errstate(all="ignore"):
            answer = f(points)
        if isinstance(answer, torch.Tensor):
            answer = answer.detach().cpu().numpy()
        return _columns(np.asarray(answer, dtype=float), len(points))

    return call


def _differences(call: Callable[[Array], Array], x: Array, learned: bool) -> list[Function]:
    scale = x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    def slope(points: Array, output: int, step: float) -> Array:
        """The five-point formula: its error falls with the fourth power of the step."""
        columns = []
        for i in range(points.shape[1]):
            moved = np.repeat(points[None], 4, axis=0)
            h = step * scale[i]
            moved[:, :, i] += h * np.array([1.0, -1.0, 2.0, -2.0])[:, None]
            up, down, up2, down2 = call(moved.reshape(-1, points.shape[1]))[:, output].reshape(4, -1)
            columns.append((8 * (up - down) - (up2 - down2)) / (12 * h))
        return np.stack(columns, axis=1)

    def calibrated(output: int) -> Function:
        probe = x[:200]
        trials = [slope(probe, output, h) * scale for h in STEPS]
        doubled = [slope(probe, output, 2 * h) * scale for h in STEPS]
        errors = [_relative(a - b, b) for a, b in zip(trials, doubled)]
        best = int(np.argmin(errors))
        size = root_mean_square(doubled[best])

        def trusted(points: Array) -> Array:
            """The slope, NaN at points next to a pole or a kink, where two steps disagree."""
            here, check = (slope(points, output, h) * scale for h in (STEPS[best], 2 * STEPS[best]))
            return np.where(np.abs(here - check) <= 100 * errors[best] * size, here, np.nan) / scale

        return Function(
            value=lambda points: call(points)[:, output],
            gradient=(lambda points: slope(points, output, STEPS[best])) if learned or not size else trusted,
            learned=learned,
            epsilon=np.finfo(float).eps,
            gradient_error=errors[best],
            settings={"derivatives": "differences", "step": STEPS[best]},
        )

    return [calibrated(k) for k in range(call(x[:2]).shape[1])]


def root_mean_square(values: Array) -> float:
    """Returns the root mean square of the finite values; 0 when there are none."""
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def _relative(difference: Array, reference: Array) -> float:
    """Root mean square of a difference over that of its reference; infinite where the reference vanishes."""
    size = root_mean_square(reference)
    return root_mean_square(difference) / size if size > 0 else np.inf
