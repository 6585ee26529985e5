"""A formula is held against the network that it was read from, where the network is used.

Both are evaluated in float64. Where they differ by more than rounding explains, the formula is evaluated with 60
digits: if that does not help, it is another function, which is an error; if it does, the same formula, written down as
the network computes it, takes its place.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import sympy
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from kan2 import functions
from kan2.core.network import Network
from kan2.errors import FormulaError
from kan2.expressions.reference_values import precise_values, reference_values

N_POINTS = 64
N_PRECISE = 16  # points at which 60 digits are computed
DIGITS = 60
SHARE = 0.02  # share of the points that may differ, beside poles, where rounding is amplified
ROUNDING = 16  # how many times the network's own rounding error a formula may have
N_MOVES = 3  # how often that error is measured
BOXES = ((-1.0, 1.0), (0.1, 0.9), (0.3, 3.0), (-5.0, 5.0), (1.0, 30.0))

Verdict = Literal["equal", "unstable", "different"]
Formulas = Sequence[sympy.Expr]


def verified(model: Network, formulas: Formulas, as_computed: Callable[[], Formulas]) -> Formulas:
    """Returns the formulas if they equal the network, or else the same as the network computes them.

    Args:
        model: all edges symbolic.
        formulas: one an output.
        as_computed: returns the formulas in the order of the network's own operations.

    Raises:
        FormulaError: a formula is another function than the network.
    """
    comparison = _Comparison(model)
    verdict = comparison.verdict(formulas)
    if verdict == "equal":
        return formulas
    rewritten = as_computed()
    if comparison.verdict(rewritten) != "different":
        return rewritten
    if verdict == "different":
        raise FormulaError(comparison.message)
    return formulas


class _Comparison:
    """What a network gives at points where it is used.

    Attributes:
        message: where the formula differed last, for an error.
    """

    def __init__(self, model: Network) -> None:
        self.inputs, self.message = model.spec.inputs, ""
        self.sets: list[tuple[NDArray, NDArray, NDArray, float]] = []
        # The numbers of the network are what the formula shows, whatever their type.
        network = copy.deepcopy(model).cpu().double()
        moved = [_moved(network, seed) for seed in range(N_MOVES)]
        for x, tolerance in _points(model):
            with torch.no_grad(), np.errstate(all="ignore"):
                forward = network(x).numpy()
                rounding = ROUNDING * np.max([np.abs(other(x).numpy() - forward) for other in moved], axis=0)
            self.sets.append((x.numpy(), forward, np.where(np.isfinite(rounding), rounding, 0.0), tolerance))

    def verdict(self, formulas: Formulas) -> Verdict:
        """Says whether the formulas are the network, lose digits, or are something else."""
        found: Verdict = "equal"
        for x, forward, rounding, tolerance in self.sets:
            for i, formula in enumerate(formulas):
                expected = forward[:, i]
                usable = np.isfinite(expected)
                if not usable.any():
                    continue
                value = reference_values([formula], self.inputs, x)[:, 0]
                limit = tolerance * np.maximum(np.abs(expected), np.median(np.abs(expected[usable]))) + rounding[:, i]
                wrong = usable & ~(np.abs(value - expected) <= limit)
                if wrong.sum() <= SHARE * usable.sum():
                    continue
                rows = np.flatnonzero(wrong)
                rows = rows[:: max(1, len(rows) // N_PRECISE)]
                precise = precise_values([formula], self.inputs, x[rows], DIGITS)[:, 0]
                # Where the formula is not defined, there is nothing to compare.
                different = np.abs(precise - expected[rows]) > limit[rows]
                if different.any():
                    row = int(different.argmax())
                    self.message = (
                        f"symbolic_formula: expected the formula to equal the network, got {precise[row]:.17g} instead "
                        f"of {expected[rows[row]]:.17g} at {dict(zip(self.inputs, x[rows[row]].tolist()))}. Call it "
                        "with simplify=False; where a function of your own is in the network, see that its torch and "
                        "sympy forms are the same function."
                    )
                    return "different"
                if np.isfinite(precise).any():
                    found = "unstable"
        return found


def _moved(model: Network, seed: int) -> Network:
    # The network with its numbers moved in their last digits, which shows what rounding does.
    moved, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in moved.named_parameters():
            if name.endswith("shape"):
                continue  # next to an order that is an integer, functions may be other ones
            step = torch.randint(0, 2, parameter.shape, generator=generator).to(parameter) * 2 - 1
            parameter.mul_(1 + 2.0**-51 * step)
    return moved


def _points(model: Network) -> list[tuple[Float[Tensor, "point input"], float]]:
    # Points and how well formulas must agree there, relative to the outputs.
    if model.data is not None:
        x = model.data.X.detach().cpu().double()
        rows = torch.linspace(0, len(x) - 1, min(len(x), N_POINTS)).round().long()
        return [(x[rows], 1e-9)]
    # The inputs' ranges are unknown: where the functions that read them bend, and several boxes.
    generator = torch.Generator().manual_seed(0)
    shape = N_POINTS, len(model.spec.inputs)
    parts = [torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(len(BOXES) + 1)]
    sets = [low + (high - low) * part for (low, high), part in zip(BOXES, parts)]
    natural = _where_functions_bend(model, parts[-1])
    return [(x, 1e-6) for x in ([] if natural is None else [natural]) + sets]


def _where_functions_bend(model: Network, part: Float[Tensor, "point input"]) -> Float[Tensor, "point input"] | None:
    layer, spec = model.layers[0], model.spec
    if spec.features != spec.inputs or layer.symbolic is None:
        return None
    windows: list[list[tuple[float, float]]] = [[] for _ in spec.inputs]
    for term, (a, b, _, _) in zip(layer.spec.terms, layer.symbolic.affine.detach().cpu().double().tolist()):
        low, high = functions.get(term.function).domain
        if a:
            windows[term.source].append(((max(low, -3.0) - b) / a, (min(high, 3.0) - b) / a))
    x = part.clone()
    for i, found in enumerate(windows):
        for j, (first, last) in enumerate(found):
            x[j :: len(found), i] = first + (last - first) * part[j :: len(found), i]
    return x if bool(torch.isfinite(x).all()) else None
