"""Where an exponential begins: c exp(a (x - x0)) far from x = 0.

c exp(a x + b) has one number too many: x0 = -b/a may be any. Near 0 the agreed form is x0 = 0, see `curves.canonical`.
For a column of years, c would be what the law says about the year 0: 4e-43 in place of 7, with an error that says as
little. There x0 is the start of the samples, rounded to the leading digit of their range, such as 1990 for the years
1990.4 to 2023.9; it is agreed upon, not fitted, so c has an error of its own.
"""

import copy
from collections.abc import Iterator
from math import exp, floor, inf, log, log10

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import functions
from kan2.core.layer import KANLayer
from kan2.core.network import AnyNetwork, Network
from kan2.symbolic.curves import LARGEST_FACTOR

WIDTHS = 10.0  # ranges between 0 and the samples from which on c at 0 has 35 times the error it has among them
EXPONENT = 5.0  # |a x| of the samples from which on c at 0 is another number, by a factor of 150


@torch.no_grad()
def with_round_shifts(model: AnyNetwork, features: Float[Tensor, "batch feature"]) -> AnyNetwork:
    """Returns the same function with every exponential far from 0 beginning at a round number.

    Args:
        model: all edges symbolic; left as it is.
        features: samples as the first layer reads them.

    Example:
        >>> from kan2 import LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm
        >>> spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "exp", "ac"),)),), ("year",))
        >>> model = MultKAN.from_values(spec, [LayerValues(affine=[[0.05, -99.0, 4.0, 0.0]])])
        >>> years = torch.linspace(1990.4, 2023.9, 50, dtype=torch.float64)[:, None]
        >>> with_round_shifts(model, years).symbolic_formula(digits=4)
        6.595*exp((year - 1990)/20)
    """
    model, nodes = copy.deepcopy(model).inherit_(model), features.double()
    for index, layer in enumerate(model.layers):
        for i, a, b in _shifted(layer):
            assert layer.symbolic is not None
            c = float(layer.symbolic.affine[i, 2])
            low, high = (float(v) for v in nodes[:, layer.spec.terms[i].source].aminmax())
            x0 = _beginning(low, high)
            size = log(abs(c)) + b + a * x0
            if not (a and c) or abs(size) > log(LARGEST_FACTOR):
                continue
            is_far = index == 0 and min(abs(low), abs(high)) > WIDTHS * (high - low) and low * high > 0
            if (is_far and abs(a * x0) > EXPONENT) or abs(log(abs(c)) + b) > log(LARGEST_FACTOR):
                layer.symbolic.affine[i, 1] = -a * x0
                layer.symbolic.affine[i, 2] = c * exp(b + a * x0)
        nodes = layer(nodes)
    return model


def tied_shifts(model: Network) -> Iterator[tuple[int, int, float, float]]:
    """Yields (layer, term, c, x0) of exponentials c exp(a (x - x0)) with free a and c whose x0 is not 0."""
    for index, layer in enumerate(model.layers):
        for i, a, b in _shifted(layer):
            assert layer.symbolic is not None
            if a and b and "a" in layer.spec.terms[i].free:
                yield index, i, float(layer.symbolic.affine[i, 2].detach()), -b / a


def is_round_shift(a: float, b: float) -> bool:
    """Returns whether a x + b is written as a (x - x0), because x0 is a round number far from 0."""
    # Up to the rounding of a product and a quotient; by chance, one number in a thousand is.
    return abs(b) > EXPONENT and a != 0 and abs(float(f"{b / a:.12g}") - b / a) <= 2.0**-51 * abs(b / a)


def _shifted(layer: KANLayer) -> Iterator[tuple[int, float, float]]:
    # (term, a, b) of the exponentials whose c is free and stands for b.
    affine = [] if layer.symbolic is None else layer.symbolic.affine.detach().tolist()
    for i, (term, (a, b, _, _)) in enumerate(zip(layer.spec.terms, affine)):
        if functions.get(term.function).gauge == "shift" and "c" in term.free and "b" not in term.free:
            yield i, a, b


def _beginning(low: float, high: float) -> float:
    if not -inf < low < high < inf:
        return low
    power = floor(log10(high - low))
    return float(f"{round(low / 10.0**power)}e{power}")
