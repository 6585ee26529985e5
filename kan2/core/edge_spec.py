"""What an edge may carry, described without numbers: a symbolic term, or a numeric activation in a basis.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 2.
"""

from dataclasses import dataclass
from typing import Any, Self

from kan2 import functions
from kan2.errors import SpecError, named_options
from kan2.options import is_number, is_whole, text, whole


class Shared:
    """What never changes: copies of a network share it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@named_options
@dataclass(frozen=True)
class SymbolicTerm(Shared):
    """One symbolic function on an edge: c f(a x + b) + d.

    Attributes:
        target: subnode of the layer that receives the value.
        source: node of the layer that is read.
        function: a name in `kan2.functions`.
        free: which of the numbers a, b, c, d and p (shape) training may change.
    """

    target: int
    source: int
    function: str
    free: str = "abcdp"

    def __post_init__(self) -> None:
        functions.get(self.function)
        for name in ("target", "source"):
            object.__setattr__(self, name, whole("SymbolicTerm", name, getattr(self, name), 0, error=SpecError))
        if not isinstance(self.free, str) or not set(self.free) <= set("abcdp"):
            raise SpecError(f"SymbolicTerm: expected free to hold letters of 'abcdp', got {self.free!r}.")


@named_options
@dataclass(frozen=True)
class BasisSpec(Shared):
    """The numeric activations of a layer: w_b b(x) + sum_i c_i B_i(x).

    Attributes:
        kind: name of the basis, see `kan2.core.bases`.
        grid: number of intervals G between the first and the last grid point, >= 1.
        k: polynomial order of the spline, 0 to 5; 3 is cubic.
        base_fun: the fixed function b: "silu", "identity", "tanh" or "zero".
        grid_eps: 1 for uniform grids, 0 for grids at sample quantiles, between for a mixture.
        margin: how far a grid that follows data reaches beyond them, as a share of their range.
        outside: what b does outside the grid: "tangent" continues it along the tangent at the nearest end, as the
            splines are; "base" leaves it as it is.
    """

    kind: str = "bspline"
    grid: int = 5
    k: int = 3
    base_fun: str = "silu"
    grid_eps: float = 1.0
    margin: float = 0.05
    outside: str = "tangent"

    def __post_init__(self) -> None:
        for name in ("kind", "base_fun"):
            # Which there are is known where they are evaluated.
            text("BasisSpec", name, getattr(self, name), error=SpecError)
        for name, low, high in (("grid", 1, 100_000), ("k", 0, 5)):
            value = getattr(self, name)
            if not is_whole(value, low, high):
                raise SpecError(f"BasisSpec: expected an integer {name} between {low} and {high}, got {value!r}.")
            object.__setattr__(self, name, int(value))
        if not is_number(self.grid_eps) or not 0 <= self.grid_eps <= 1:
            raise SpecError(f"BasisSpec: expected 0 <= grid_eps <= 1, got {self.grid_eps!r}.")
        if not is_number(self.margin) or not 0 <= self.margin < 10:
            raise SpecError(f"BasisSpec: expected 0 <= margin < 10, got {self.margin!r}.")
        if not isinstance(self.outside, str) or self.outside not in ("tangent", "base"):
            raise SpecError(f"BasisSpec: expected outside to be 'tangent' or 'base', got {self.outside!r}.")
