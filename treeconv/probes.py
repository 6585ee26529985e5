"""Points at which a function shows its structure: samples with some of their inputs exchanged.

Whether inputs interact is asked by *swapping*: take a sample, replace some of its inputs by those of another sample,
and see how the answer changes. Four corners (neither, one, the other, both exchanged) reveal an interaction exactly,
at any distance, and amplify the error of a fitted model by no more than two, where second derivatives amplify it a
hundredfold.

A `View` is a function of fewer inputs: the model with all other inputs frozen at *contexts*, rows of the samples.
Several contexts are combined with the weights of their first principal component, so that what they say in common
adds up and the model's noise does not. Below a sum all contexts agree up to a constant, below a product up to a
factor, so the combination is the part itself; elsewhere it is a function of the part.

Reference: A. Saltelli et al., "Variance based sensitivity analysis of model output", Comput. Phys. Commun. 181 (2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from treeconv.derivatives import Array, Function, root_mean_square
from treeconv.errors import SampleError

Group = tuple[int, ...]
"""Positions of some inputs."""


TRIM = 0.05
"""Share of swapped samples at which a fitted model is not held to its word."""


@dataclass(frozen=True)
class View:
    """A function of some inputs: the model with the others frozen.

    Attributes:
        function: The model of all inputs.
        inputs: Columns that stay free, in order.
        contexts: Rows (contexts, n) that fix the others.
        weights: One weight a context; their absolute values sum to one.
        pivot: A frozen column by whose derivative the gradient is divided, for parts below a separable node, which
            the model shows through an unknown outer function; None where the model shows the part itself.
        steepness: With a pivot, the size of a model's gradient whose relative error is that of these ratios.
    """

    function: Function
    inputs: tuple[int, ...]
    contexts: Array
    weights: Array
    pivot: int | None = None
    steepness: float | None = None

    def _full(self, points: Array) -> Array:
        full = np.repeat(self.contexts[:, None], len(points), axis=1)
        full[:, :, list(self.inputs)] = points
        return full.reshape(-1, self.contexts.shape[1])

    def value(self, points: Array) -> Array:
        """Returns the values (batch,) at points (batch, free inputs)."""
        values = self.function.value(self._full(points)).reshape(len(self.contexts), -1)
        return self.weights @ values

    def gradient(self, points: Array) -> Array:
        """Returns the partial derivatives (batch, free inputs), up to one common factor when there is a pivot."""
        slopes = self.function.gradient(self._full(points)).reshape(len(self.contexts), len(points), -1)
        free = slopes[:, :, list(self.inputs)]
        if self.pivot is not None:
            with np.errstate(all="ignore"):
                free = free / slopes[:, :, [self.pivot]]
        return np.einsum("c,cbi->bi", self.weights, free)


def whole(function: Function, n_inputs: int, inputs: tuple[int, ...], x: Array) -> View:
    """Returns the view of a model whose inputs outside `inputs` do not matter."""
    return View(function, inputs, x[:1, :n_inputs], np.ones(1))


def freeze(
    function: Function, inputs: tuple[int, ...], x: Array, rng: np.random.Generator, pivots: tuple[int, ...] = ()
) -> View:
    """Freezes all inputs but some at contexts in which the free ones matter.

    Args:
        function: The model.
        inputs: Columns that stay free.
        x: Samples (batch, n), from which contexts and trial points are drawn.
        rng: Draws them.
        pivots: Columns of the sister groups below the nearest separable node, if the part is seen through one.

    Returns:
        The view; one context for an exact function or with a pivot, up to sixteen for a fitted one.
    """
    contexts = x[rng.permutation(len(x))[:16]]
    points = x[rng.permutation(len(x))[:100]][:, list(inputs)]
    view = View(function, inputs, contexts, np.ones(len(contexts)))
    if pivots:
        return _steady(view, points, pivots, x.std(axis=0))
    values = function.value(view._full(points)).reshape(len(contexts), -1)
    values = values[:, np.isfinite(values).all(axis=0)] if np.isfinite(values).all(axis=0).any() else values
    usable = np.isfinite(values).all(axis=1)
    contexts, values = contexts[usable], values[usable]
    if not len(contexts):
        return View(function, inputs, x[:1], np.ones(1))
    values = values - values.mean(axis=1, keepdims=True)
    if not function.learned:
        # one context says everything; that of upper-quartile spread is neither dull nor next to a pole
        chosen = int(np.argsort(values.std(axis=1))[(3 * len(values)) // 4])
        return View(function, inputs, contexts[[chosen]], np.ones(1))
    leading = np.linalg.svd(values, full_matrices=False)[0][:, 0]
    return View(function, inputs, contexts, leading / np.abs(leading).sum())


def _steady(view: View, points: Array, pivots: tuple[int, ...], scale: Array) -> View:
    """Picks the context and the pivot whose derivative stays farthest from zero, since it will divide."""
    slopes = view.function.gradient(view._full(points)).reshape(len(view.contexts), len(points), -1)
    size = np.abs(slopes[:, :, list(pivots)])
    size[~np.isfinite(size)] = 0.0
    median = np.median(size, axis=1)
    low = np.quantile(size, 0.02, axis=1)
    steadiness = np.divide(low, median, out=np.zeros_like(low), where=median > 0)
    context, place = np.unravel_index(int(np.argmax(steadiness)), steadiness.shape)
    pivot = pivots[place]
    # the errors of both derivatives go into a ratio, each relative to its own size
    inputs = list(view.inputs)
    above = root_mean_square(np.linalg.norm(slopes[context][:, inputs] * scale[inputs], axis=1))
    below = float(median[context, place] * scale[pivot])
    steepness = above * below / math.hypot(above, below) if above and below else None
    return View(view.function, view.inputs, view.contexts[[context]], np.ones(1), pivot, steepness)


class Probes:
    """Values and gradients of a view at samples and at their swaps, each computed once.

    Args:
        view: The function under study.
        x: Samples (batch, free inputs).
        partners: Samples of the same shape that lend their inputs.
    """

    def __init__(self, view: View, x: Array, partners: Array) -> None:
        self.view, self.x, self.partners = view, x, partners
        self.n_inputs = x.shape[1]
        spread = x.std(axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self._values: dict[frozenset[int], Array] = {}
        self._gradients: dict[frozenset[int], Array] = {}
        base = self.value()
        finite = np.isfinite(base)
        self.spread = float(base[finite].std()) if finite.any() else 0.0
        self.steepness = root_mean_square(np.linalg.norm(self.gradient(), axis=1))

    def score(self, residual: Array, sensitivity: Array, scale: float) -> tuple[float, float]:
        """Returns `equivalent_error`, for a fitted model without the worst samples, where it extrapolates."""
        return equivalent_error(residual, sensitivity, scale, TRIM if self.view.function.learned else 0.0)

    def points(self, swapped: frozenset[int]) -> Array:
        """Returns the samples with some inputs taken from their partners."""
        mixed = self.x.copy()
        columns = list(swapped)
        mixed[:, columns] = self.partners[:, columns]
        return mixed

    def value(self, *swapped: int) -> Array:
        """Returns the values (batch,) after a swap."""
        key = frozenset(swapped)
        if key not in self._values:
            self._values[key] = self.view.value(self.points(key))
        return self._values[key]

    def gradient(self, *swapped: int) -> Array:
        """Returns the gradient (batch, free inputs) after a swap, per standard deviation of each input."""
        key = frozenset(swapped)
        if key not in self._gradients:
            self._gradients[key] = self.view.gradient(self.points(key)) * self.scale
        return self._gradients[key]


def equivalent_error(residual: Array, sensitivity: Array, scale: float, trim: float = 0.0) -> tuple[float, float]:
    """Returns the relative error that explains a violation, and its standard error.

    Args:
        residual: What should vanish at each sample.
        sensitivity: How much the residual moves with the error of a single value, at each sample.
        scale: The size of a value.
        trim: Share of the samples, those of the largest violation, that is left out.

    Returns:
        Root mean square of residual / sensitivity over the scale, and the relative standard error of it.

    Raises:
        SampleError: If hardly any sample is finite.
    """
    finite = np.isfinite(residual) & np.isfinite(sensitivity)
    if finite.sum() < max(2, 0.05 * len(residual)):
        raise SampleError(
            f"convert: expected finite outputs, got {int(finite.sum())} of {len(residual)} after exchanging inputs "
            "between samples. Give samples that fill a box inside the domain of the function."
        )
    residual, sensitivity = residual[finite], sensitivity[finite]
    if scale <= 0:
        return 0.0, 0.0
    share = np.divide(residual, sensitivity, out=np.zeros_like(residual), where=sensitivity > 0)
    squares = np.sort((share / scale) ** 2)[: max(2, round((1 - trim) * len(share)))]
    mean = float(squares.mean())
    if mean == 0:
        return 0.0, 0.0
    return float(np.sqrt(mean)), float(squares.std() / mean / np.sqrt(len(squares)) / 2)
