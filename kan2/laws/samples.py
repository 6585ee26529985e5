"""A table as the front of laws sees it: numbers, weights, and rows kept aside.

What is left of a target is measured by the mean of squares, or by another loss, of differences in a *unit*: one for all
rows, or, where standard errors are known, these. A target that has one sign and spans decades is known to a share of
its value: there the difference is that of logarithms. Relative errors would not do: with them 0 is a good value for
every row, and the best constant lies at the smallest ones. What is measured is asinh(y/s), which is log(2 y/s) from a
few s on, and goes through 0 where a logarithm has no value: formulas of another sign than the target are far off, but
not infinitely so. The *small size* s is half of the size that a twentieth of the rows are below, so that a few tiny
values decide nothing. The *error* of a formula is the square root of the mean over the same of the best constant: the
root mean square in spreads of the target.

With 30 rows or more, a share of them is kept aside, and numbers are fitted to the rest for judging, to all rows for
use. With fewer, every row is left out in turn: what a formula with k numbers misses row i by without having seen it is
the residual over 1 - h_i, with the leverage h_i of a row in the linearised fit.

References: Allen, The relationship between variable selection and data augmentation, Technometrics 16 (1974); Tofallis,
A better measure of relative prediction accuracy for model selection and model estimation, J. Oper. Res. Soc. 66 (2015);
Burbidge, Magee, Robb, Alternative transformations to handle extreme values of the dependent variable, J. Am. Stat.
Assoc. 83 (1988).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import log, sqrt
from typing import Any, ClassVar

import numpy as np
import sympy
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from kan2.core.data import Dataset
from kan2.expressions.symbols import symbol
from kan2.laws.front.noise import EXACT, FOREST_ROWS, is_law
from kan2.units.dimensions import Dimensions

SHARE, MOST_ASIDE = 0.2, 100  # of the rows that are kept aside: a hundred judge a formula, the others find it
FEW = 30  # rows below which each is left out in turn
LEFT = 15  # rows that are not kept aside, at least
DECADES = 2.0  # that the middle 90 % of a target span, from which on logarithms are measured
LOWEST = 0.05  # share of the rows that are below the lowest sizes
OF_LOWEST = 0.5  # of these, the small size
FARTHEST = 600.0  # value of asinh beyond which nothing is told from infinity
NEARLY = 1e-6  # small sizes within which a chord is a tangent
ROUNDS = 30  # of reweighting
SETTLED = 1e-9
OUTLYING = 6.0  # median sizes beyond which an error is that of an outlier: four standard deviations


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of a table with one target.

    Attributes:
        X: (row, column) finite numbers.
        y: (row,) the target.
        symbols: of the columns.
        weight: (row,) > 0, of mean 1.
        unit: (row,) what differences are measured in, > 0; without effect where logarithms are measured.
        kept: (row,) which rows are kept aside; none where every row is left out in turn.
        loss: another one than squares, see `kan2.training.losses`; None for squares.
        accuracy: error, as a share of the size of the target, that counts as none.
        small: the small size, see the module, where logarithms are measured, else 0.
        dimensions: of columns and target, where they are known.
    """

    X: Float[ndarray, "row column"]
    y: Float[ndarray, "row"]
    symbols: tuple[sympy.Symbol, ...]
    weight: Float[ndarray, "row"]
    unit: Float[ndarray, "row"]
    kept: Bool[ndarray, "row"]
    loss: Any = None
    accuracy: float = 0.0
    small: float = 0.0
    dimensions: Dimensions | None = None
    OF_ROWS: ClassVar[tuple[str, ...]] = ("X", "y", "weight", "unit", "kept")

    def __len__(self) -> int:
        return len(self.y)

    @property
    def leaves_one_out(self) -> bool:
        """Whether there are no rows kept aside."""
        return not self.kept.any()

    def part(self, rows: Bool[ndarray, "row"]) -> "Samples":
        """Returns some of the rows, none kept aside, measured as all are."""
        values = {name: getattr(self, name)[rows] for name in self.OF_ROWS}
        values["kept"] = np.zeros_like(values["kept"])
        part = replace(self, **values)
        part.__dict__["spread"] = self.spread
        return part

    @cached_property
    def rest(self) -> "Samples":
        """The rows that are not kept aside."""
        return self if self.leaves_one_out else self.part(~self.kept)

    @cached_property
    def aside(self) -> "Samples":
        """The rows that are kept aside; all of them where there are none."""
        return self if self.leaves_one_out else self.part(self.kept)

    @property
    def is_linear(self) -> bool:
        """Whether differences themselves are measured, by squares, so that sums of terms are solved at once."""
        return self.loss is None and not self.small

    def measured(self, values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns values as they are measured: differences of these are in units."""
        return np.arcsinh(values / self.small) if self.small else values / self.unit

    def off(self, values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns how far values of a formula are from the target, in units."""
        return self.measured(values) - self.measured(self.y) if self.small else (values - self.y) / self.unit

    def moved(self, off: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns the values that are so far from the target, in units."""
        if self.small:
            return self.small * np.sinh(np.clip(self.measured(self.y) + off, -FARTHEST, FARTHEST))
        return self.y + self.unit * off

    def slopes(self, values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns by how many units what is measured grows with the value."""
        return 1 / np.hypot(values, self.small) if self.small else 1 / self.unit

    def weights(self, values: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns weights of squared differences with the slope of the loss at these values of a formula."""
        if self.is_linear:
            return self.weight / self.unit**2
        off = values - self.y
        if self.small:
            is_far = np.abs(off) > NEARLY * self.small
            chord = self.off(values) / np.where(is_far, off, 1.0)
            return self.weight * self.slopes(values) * np.where(is_far, chord, self.slopes(self.y))
        least = 1e-6 * (float(np.median(np.abs(off))) or 1.0)
        off = np.where(np.abs(off) < least, least, off)
        output = torch.from_numpy(self.y + off)[:, None].requires_grad_()
        total = self.loss.values(output, torch.from_numpy(self.y)[:, None]).mean() * len(self)
        (slope,) = torch.autograd.grad(total, output)
        return self.weight * np.abs(slope[:, 0].numpy()) / (2 * np.abs(off))

    def linearised(self, values: Float[ndarray, "row"]) -> tuple[Float[ndarray, "row"], Float[ndarray, "row"]]:
        """Returns residuals at these values, and their slopes by the values, whose squares are what the rows tell."""
        if self.loss is None:
            root = np.sqrt(self.weight)
            return root * self.off(values), root * self.slopes(values)
        root = np.sqrt(self.weights(values))
        return root * (values - self.y), root

    def left_out(self, values: Float[ndarray, "row"], leverage: Float[ndarray, "row"]) -> Float[ndarray, "row"]:
        """Returns what a linearised fit with these values gives for every row, had that row been left out."""
        return self.moved(self.off(values) / (1 - leverage))

    def size(self, values: Float[ndarray, "row"]) -> float:
        """Returns the loss of the values of a formula; infinite where one is not finite."""
        if not np.isfinite(values).all():
            return np.inf
        if self.loss is None:
            with np.errstate(all="ignore"):
                found = float(np.mean(self.weight * self.off(values) ** 2))
            return found if np.isfinite(found) else np.inf
        # Losses are means of all rows: weights go in by repeating none, so a weighted loss is that of squares below.
        off = values - self.y
        if (self.weight != 1).any():
            return float(np.mean(self.weights(values) * off**2))
        both = torch.from_numpy(np.array(values))[:, None], torch.from_numpy(self.y)[:, None]
        with torch.no_grad():
            return float(self.loss.values(*both).mean())

    def error_cut(self, values: Float[ndarray, "row"]) -> float:
        """Returns the error of the values of a formula, where outliers that a loss is there for count as far errors do.

        Their loss is many times that of the other rows: all formulas would be as near as the constant.
        """
        if self.loss is None or not np.isfinite(values).all():
            return self.error(values)
        # A loss may be a mean without a value of its rows: its slopes tell them.
        of_rows = self.weights(values) * (values - self.y) ** 2
        return sqrt(float(np.mean(np.minimum(of_rows, OUTLYING**2 * float(np.median(of_rows)))))) / self.spread

    @cached_property
    def constant(self) -> float:
        """The constant with the lowest loss."""
        if self.small:
            return self.small * float(np.sinh(np.average(self.measured(self.y), weights=self.weight)))
        if self.loss is None:
            return float(np.average(self.y, weights=self.weight / self.unit**2))
        found = float(np.median(self.y))
        for _ in range(ROUNDS):
            before, found = found, float(np.average(self.y, weights=self.weights(np.full(len(self), found))))
            if abs(found - before) <= SETTLED * abs(found):
                break
        return found

    @cached_property
    def spread(self) -> float:
        """What the best constant leaves, the unit of errors; the size of a constant target."""
        found = self.size(np.full(len(self), self.constant))
        size = self.size(np.zeros(len(self)))
        return sqrt(found) if found > 1e-24 * size else sqrt(size) or 1.0

    def error(self, values: Float[ndarray, "row"]) -> float:
        """Returns the error of the values of a formula at all these rows, in spreads."""
        return sqrt(max(0.0, self.size(values))) / self.spread

    @cached_property
    def floor(self) -> float:
        """The error that counts as none, in spreads."""
        # A share of the target is as large a difference of logarithms.
        share = 1.0 if self.small else sqrt(self.size(np.zeros(len(self))))
        return max(EXACT, self.accuracy * share / self.spread)

    def unexplained(self, error: float) -> float:
        """Returns the length in nats of what a formula with this error leaves of all rows, up to a constant."""
        return len(self) * log(max(error, self.floor, 1e-300))

    def price(self, expression: sympy.Expr) -> float:
        """Returns the length in nats that a formula has beside that of its symbols and numbers."""
        return 0.0 if self.dimensions is None else self.dimensions.price(expression)

    def is_law(self, values: Float[ndarray, "row"], n_numbers: int) -> bool:
        """Tells whether nothing but rounding or noise is left of these values of a formula.

        Args:
            values: at all rows.
            n_numbers: of the formula that were fitted.
        """
        # In the unit that differences are measured in. A loss of its own is there for outliers, which are cut to size.
        error, spread = self.off(values), self.spread
        if self.loss is not None:
            error, spread = _cut(error), float(np.sqrt(np.mean(_cut(self.y - self.constant) ** 2)))
        x, left = (torch.from_numpy(np.array(values)) for values in (self.X, error[:, None]))
        if not is_law(x, left, torch.tensor([spread], dtype=left.dtype), n_numbers):
            return False
        is_exact = float(np.sqrt(np.mean(error**2))) <= EXACT * spread
        # Of few rows in several columns, which lie far apart, any errors look like noise.
        return is_exact or x.shape[1] == 1 or len(x) >= FOREST_ROWS


def _cut(values: ndarray) -> ndarray:
    most = OUTLYING * float(np.median(np.abs(values)))
    return np.clip(values, -most, most)


def samples_of(
    X: Float[ndarray, "row column"],
    y: Float[ndarray, "row"],
    symbols: tuple[sympy.Symbol, ...],
    *,
    keep: float | str | None = None,
    seed: int = 0,
    weight: Float[ndarray, "row"] | None = None,
    deviations: Float[ndarray, "row"] | None = None,
    loss: Any = None,
    accuracy: float = 0.0,
    dimensions: Dimensions | None = None,
) -> Samples:
    """Returns a table with rows kept aside.

    Args:
        keep: share, or number, of the rows that are kept aside; 0 leaves out every row in turn, as fewer than 30 rows
            do; "end" for the usual share from the last rows, see `kan2.discover`.
        seed: which rows.
        weight: (row,) >= 0; rows of weight 0 are left out.
        deviations: (row,) standard errors of the target.
        loss: see `kan2.training.losses`; None for squares.
        accuracy: as a share of the target.
        dimensions: of columns and target.
    """
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, float)
    used = weight > 0
    X, y, weight = np.ascontiguousarray(X[used], float), np.ascontiguousarray(y[used], float), weight[used]
    n, kept = len(y), np.zeros(len(y), bool)
    share = min(SHARE, MOST_ASIDE / max(n, 1)) if keep is None or isinstance(keep, str) else keep
    aside = min(round(share * n) if isinstance(share, float) else share, n - LEFT)
    if n >= FEW and aside > 0:
        # In the order of time, rows next to each other are alike: aside among others they would tell nothing new.
        order = np.arange(n)[::-1] if keep == "end" else np.random.default_rng(seed).permutation(n)
        kept[order[:aside]] = True
    unit = np.ones(n) if deviations is None else np.asarray(deviations, float)[used]
    small = _small(y) if deviations is None and loss is None else 0.0
    return Samples(X, y, symbols, weight / weight.mean(), unit, kept, loss, accuracy, small, dimensions)


def _small(y: ndarray) -> float:
    if not ((y > 0).all() or (y < 0).all()):
        return 0.0
    low, high = np.quantile(np.abs(y), [LOWEST, 1 - LOWEST])
    return OF_LOWEST * float(low) if np.log10(high / low) >= DECADES else 0.0


def of_columns(samples: Samples, data: Dataset, used: Bool[ndarray, "row"]) -> Samples:
    """Returns samples in the columns that the data came with, without auxiliary variables and dimensions.

    Args:
        samples: of rows of the data.
        data: the table.
        used: which rows of it.
    """
    X = np.ascontiguousarray(data.X.detach().double().cpu().numpy()[used])
    return replace(samples, X=X, symbols=tuple(symbol(name) for name in data.inputs), dimensions=None)
