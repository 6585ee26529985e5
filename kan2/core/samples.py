"""Data made with formulas: a function sampled on a box, auxiliary variables beside the inputs.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy
import torch
from torch import Tensor

from kan2 import options
from kan2.core.data import Columns, DataLike, Dataset, as_dataset
from kan2.core.spec import default_names
from kan2.core.tensors import to_tensor
from kan2.errors import DataError, ShapeError, named_options
from kan2.expressions.evaluate import evaluate
from kan2.expressions.parse import parse_expression


@named_options
def augment(
    data: DataLike,
    definitions: Mapping[str, str],
    names: Sequence[str] | None = None,
    target: Columns | None = None,
) -> Dataset:
    """Injects auxiliary variables into data.

    A network trained on the result remembers the definitions: it accepts the original columns, and its formula is in
    the original variables.

    Args:
        data: a Dataset, (X, y), a dict with train_input; with `target` also a frame or the path of a table.
        definitions: for each new variable its formula in the inputs and in variables defined before it.
        names: names of the inputs, where the data carry none; of a table the columns to take.
        target: name of the column of targets in a table as a whole, or several.

    Raises:
        DataError: a name is taken already, or a feature is not finite on some sample.
        ExpressionError: a definition cannot be read, or uses an undeclared variable.

    Example:
        >>> data = augment(([[3.0, 4.0]], [5.0]), {"r2": "a**2 + b**2"}, names=["a", "b"])
        >>> data.features.tolist()
        [[3.0, 4.0, 25.0]]
    """
    definitions = options.definitions("augment", definitions)
    names = None if names is None else options.names("augment", "names", names)
    result = as_dataset(data, names, target)
    for name, text in definitions.items():
        if name in result.feature_names:
            raise DataError(f"augment: expected a new name, got {name!r}, which the data have. Choose another name.")
        parse_expression(text, names=result.feature_names)
        result = replace(result, auxiliary=(*result.auxiliary, (name, text)))
    finite = torch.isfinite(result.features).all(0)
    if not bool(finite.all()):
        bad = [name for name, ok in zip(result.feature_names, finite.tolist()) if not ok]
        rows = int((~torch.isfinite(result.features)).any(1).sum())
        raise DataError(
            f"augment: expected finite features, got nan or infinity in {', '.join(bad)} on {rows} of {len(result)} "
            "samples. Restrict the data to where the definition holds, or change the definition."
        )
    return result


@named_options
def sample_function(
    f: Callable[[Tensor], Tensor] | str | sympy.Expr,
    ranges: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]],
    n: int = 1000,
    *,
    n_test: int = 1000,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Samples a function uniformly on a box.

    Args:
        f: a callable from (batch, input) to (batch,) or (batch, output), or a formula. A callable gets a table with a
            sample in each row: `x[:, 0]` is the first column, `x[0]` the first sample.
        ranges: (low, high) of each input, by name or in order.
        n: number of training samples, >= 1.
        n_test: number of test samples, noiseless.
        noise: standard deviation of Gaussian noise on the training targets, as a share of their own.
        seed: seed of the generator used.

    Raises:
        DataError: ranges are no pairs low < high; values are not finite, or no numbers.
        ShapeError: the callable does not return a value a sample.

    Example:
        >>> data = sample_function("x*sin(y)", {"x": (-1, 1), "y": (0, 3)}, n=10)
        >>> data.X.shape, data.inputs
        (torch.Size([10, 2]), ('x', 'y'))
    """
    where = "sample_function"
    n, n_test = options.size(where, "n", n), options.size(where, "n_test", n_test, 0)
    noise, seed = options.number(where, "noise", noise, 0), options.seed(where, seed)
    has_names = isinstance(ranges, Mapping)
    if not isinstance(ranges, Mapping):
        ranges = options.listed(where, "ranges", ranges, "pairs (low, high)", "[(-1, 1)]", in_order=True)
        ranges = dict(zip(default_names("x", len(ranges)), ranges))
    if not ranges:
        raise DataError("sample_function: expected a range for each input, got none. Pass {'x': (-1, 1)}.")
    inputs = options.names(where, "ranges", list(ranges))
    ranges = {name: options.interval(where, f"the range of {name}", ends) for name, ends in ranges.items()}
    if not callable(f):
        if not isinstance(f, str | sympy.Expr):
            raise DataError(f"sample_function: expected a function, a formula or a SymPy expression, got {f!r}.")
        expression = parse_expression(f, names=inputs) if isinstance(f, str) else f
        f = _as_callable(expression, inputs)
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.tensor(list(ranges.values()), dtype=torch.float64).T
    x = low + (high - low) * torch.rand(n + n_test, len(inputs), dtype=torch.float64, generator=generator)
    with torch.no_grad():
        y = _values(f, x)
    if not bool(torch.isfinite(y).all()):
        raise DataError(
            "sample_function: expected finite values on the whole box, got nan or infinity. Narrow the box."
        )
    if noise:
        scatter = torch.randn(n, y.shape[1], dtype=torch.float64, generator=generator)
        spread = y[:n].std(0) if n > 1 else 0.0
        y = torch.cat([y[:n] + noise * spread * scatter, y[n:]])
    tests = (x[n:], y[n:]) if n_test else (None, None)
    return Dataset(x[:n], y[:n], inputs, X_test=tests[0], y_test=tests[1], has_names=has_names)


def _values(f: Callable[[Tensor], Any], x: Tensor) -> Tensor:
    y = to_tensor(f(x), "sample_function").to(x)
    is_column = y.ndim in (1, 2) and len(y) == len(x)
    if is_column and len(x) == x.shape[1]:
        # As many samples as columns: a function of a single row would have the right length by chance.
        more = to_tensor(f(torch.cat([x, x])), "sample_function")
        is_column = more.ndim == y.ndim and len(more) == 2 * len(x)
    if not is_column:
        raise ShapeError(
            f"sample_function: expected a value for each of {len(x)} samples, shape ({len(x)},) or "
            f"({len(x)}, outputs), got shape {tuple(y.shape)}. The function gets all samples at once, one a row: write "
            "x[:, 0] for the first variable, not x[0]."
        )
    return y[:, None] if y.ndim == 1 else y


def _as_callable(expression: sympy.Expr, inputs: Sequence[str]) -> Callable[[Tensor], Tensor]:
    return lambda x: evaluate(expression, dict(zip(inputs, x.unbind(-1)))).expand(x.shape[0])
