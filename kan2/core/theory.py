"""A theory, described without its fitted numbers: formulas with named parameters and unknown functions.

In a network that was compiled from a theory a *parameter* is a feature that is the same on every row, or on every row
of a data set, and an *unknown function* is one spline, which all edges listed for it carry. `kanpiler` makes such
networks and fits them; here is what their specs hold.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from kan2.core.edge_spec import Shared
from kan2.core.strict_json import flag as json_flag
from kan2.core.strict_json import integer, list_of, nullable, number, one_of, record, string
from kan2.errors import SpecError, named_options
from kan2.options import flag, is_number, is_whole, listed, text, whole
from kan2.types import EdgeIndex

SHAPES = ("increasing", "decreasing", "monotone", "convex", "concave", "positive", "negative", "even", "odd")
"""What may be known of the shape of an unknown function."""

_CONTRADICTIONS = (
    *(("increasing", "decreasing"), ("convex", "concave"), ("positive", "negative"), ("even", "odd")),
    *(("increasing", "even"), ("decreasing", "even"), ("monotone", "even"), ("positive", "odd"), ("negative", "odd")),
)
"""What only constants, or only zero, would be."""
MOST_INTERVALS = 1000


@named_options
@dataclass(frozen=True)
class Parameter(Shared):
    """A number of a theory that has a name.

    Attributes:
        start: where a fit begins; after a fit, the value.
        low: the least value it may have; None for no bound.
        high: the largest value it may have; None for no bound.
        fixed: whether it stays what it is.
        prior: (mean, standard deviation) of what is known of it beside the data, or None.
        per: name of a column of labels; the parameter has a value of its own for each of them.
        unit: unit of measure, as text for pint.
        name: as it stands in the formula; may be left out where a mapping gives it.
        levels: the labels of `per` that were fitted.
        of: name of the unknown function in whose formula it stands, or "".
    """

    start: float = 1.0
    low: float | None = None
    high: float | None = None
    fixed: bool = False
    prior: tuple[float, float] | None = None
    per: str = ""
    unit: str = ""
    name: str = ""
    levels: tuple[str, ...] = ()
    of: str = ""

    def __post_init__(self) -> None:
        where = f"parameter {self.name}" if self.name else "Parameter"
        for kind in ("start", "low", "high"):
            value: Any = getattr(self, kind)
            if value is None and kind != "start":
                continue
            if value is None or not is_number(value) or not isfinite(value):
                remedy = "" if kind == "start" else " None is no bound."
                raise SpecError(f"{where}: expected {kind} as a finite number, got {value!r}.{remedy}")
            object.__setattr__(self, kind, float(value))
        for kind in ("per", "unit", "name", "of"):
            text(where, kind, getattr(self, kind), error=SpecError)
        flag(where, "fixed", self.fixed, error=SpecError)
        levels = listed(where, "levels", self.levels, "labels", "('a', 'b')", in_order=True, error=SpecError)
        if bad := [level for level in levels if not isinstance(level, str)]:
            raise SpecError(f"{where}: expected levels as texts, got {bad[0]!r} in it.")
        object.__setattr__(self, "levels", tuple(levels))
        low, high = self.bounds
        if not low < high:
            raise SpecError(f"{where}: expected low < high, got {low:g} and {high:g}. fixed=True holds a parameter.")
        if not low <= self.start <= high:
            raise SpecError(
                f"{where}: expected a start within the bounds {low:g} to {high:g}, got {self.start:g}. Move one of "
                "them."
            )
        if self.prior is not None:
            given = tuple(self.prior) if isinstance(self.prior, tuple | list) else ()
            if len(given) != 2 or not all(is_number(v) and isfinite(v) for v in given) or not given[1] > 0:
                raise SpecError(f"{where}: expected prior as (mean, deviation > 0), got {self.prior!r}.")
            object.__setattr__(self, "prior", (float(given[0]), float(given[1])))
            if self.fixed:
                raise SpecError(f"{where}: expected no prior beside fixed=True. Leave one of them out.")

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value, infinite where there is no bound."""
        low, high = self.low, self.high
        return -float("inf") if low is None else low, float("inf") if high is None else high


@named_options
@dataclass(frozen=True)
class Unknown(Shared):
    """A function of a theory of which at most the shape is known; it is fitted as a spline.

    Attributes:
        shape: words of `SHAPES`.
        zeros: points at which it is zero.
        period: its period, or None.
        low: the least value it may have, or None.
        high: the largest value it may have, or None.
        grid: number of intervals of the spline; None lets the fit choose.
        k: order of the spline, 1 to 5.
        name: as it stands in the formula; may be left out where a mapping gives it.
        n: number of its arguments.
        edges: the edges of the network that carry it.
    """

    shape: tuple[str, ...] = ()
    zeros: tuple[float, ...] = ()
    period: float | None = None
    low: float | None = None
    high: float | None = None
    grid: int | None = None
    k: int = 3
    name: str = ""
    n: int = 1
    edges: tuple[EdgeIndex, ...] = ()

    def __post_init__(self) -> None:
        where = f"unknown function {self.name}" if self.name else "Unknown"
        words = tuple(listed(where, "shape", self.shape, "words", "('increasing', 'convex')", error=SpecError))
        if bad := [word for word in words if word not in SHAPES]:
            raise SpecError(f"{where}: expected a shape of {', '.join(SHAPES)}, got {bad[0]!r}.")
        if pair := next((pair for pair in _CONTRADICTIONS if set(pair) <= set(words)), None):
            raise SpecError(f"{where}: expected {pair[0]} or {pair[1]}, got both. Leave one of them out.")
        object.__setattr__(self, "shape", words)
        zeros = listed(where, "zeros", self.zeros, "numbers", "(0,)", error=SpecError)
        if not all(is_number(v) and isfinite(v) for v in zeros):
            raise SpecError(f"{where}: expected zeros as finite numbers, got {self.zeros!r}.")
        object.__setattr__(self, "zeros", tuple(map(float, zeros)))
        for kind in ("period", "low", "high"):
            value = getattr(self, kind)
            if value is not None and (not is_number(value) or not isfinite(value)):
                raise SpecError(f"{where}: expected {kind} as a finite number or None, got {value!r}.")
        if self.period is not None and not self.period > 0:
            raise SpecError(f"{where}: expected a period > 0, got {self.period:g}.")
        if self.period is not None and {"increasing", "decreasing", "monotone", "convex", "concave"} & set(words):
            raise SpecError(f"{where}: expected no {words[0]} function with a period, which only constants are.")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise SpecError(f"{where}: expected low < high, got {self.low:g} and {self.high:g}.")
        if self.grid is not None and not is_whole(self.grid, 1, MOST_INTERVALS):
            raise SpecError(f"{where}: expected grid as a whole number from 1 to {MOST_INTERVALS}, got {self.grid!r}.")
        low, high = self.low, self.high
        has_zero = bool(self.zeros) or "odd" in words
        if has_zero and ((low is not None and low > 0) or (high is not None and high < 0)):
            raise SpecError(
                f"{where}: expected bounds around zero beside a zero, got {low} and {high}. Mend one of them."
            )
        for kind, value, high in (("k", self.k, 5), ("n", self.n, 1)):
            object.__setattr__(self, kind, whole(where, kind, value, 1, high, error=SpecError))
        text(where, "name", self.name, error=SpecError)
        edges = listed(where, "edges", self.edges, "edges", "((0, 0, 0),)", in_order=True, error=SpecError)
        for edge in edges:
            if not (isinstance(edge, tuple | list) and len(edge) == 3 and all(is_whole(i, 0) for i in edge)):
                raise SpecError(f"{where}: expected edges as triples (layer, target, source), got {edge!r} in it.")
        object.__setattr__(self, "edges", tuple(tuple(map(int, edge)) for edge in edges))


@named_options
@dataclass(frozen=True)
class TheorySpec(Shared):
    """Formulas with named parameters and unknown functions, and which edges of the network are which.

    Attributes:
        formulas: one text an output.
        columns: names of the columns that the formulas read.
        parameters: in the order of the features.
        functions: the unknown functions.
        implicit: whether the formulas are equations, left side minus right side, of the outputs and the columns.
    """

    formulas: tuple[str, ...]
    columns: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    functions: tuple[Unknown, ...] = ()
    implicit: bool = False

    def __post_init__(self) -> None:
        for name in ("formulas", "columns", "parameters", "functions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        names = [one.name for one in (*self.parameters, *self.functions)]
        if not all(names) or len(set(names)) != len(names):
            raise SpecError(f"TheorySpec: expected parameters and functions of different names, got {names}.")

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "TheorySpec":
        """Builds the theory that checked fields describe, see `theory_fields`."""
        parameters = tuple(Parameter(**one) for one in fields["parameters"])
        functions = tuple(Unknown(**one) for one in fields["functions"])
        return cls(**{**fields, "parameters": parameters, "functions": functions})


_number = nullable(number)
_parameter = record(
    {
        "start": number, "low": _number, "high": _number, "fixed": json_flag,
        "prior": nullable(list_of(number, length=2)), "per": string, "unit": string, "name": string,
        "levels": list_of(string), "of": string,
    }
)  # fmt: skip
_index = integer(0, 1_000_000)
_unknown = record(
    {
        "shape": list_of(one_of(*SHAPES)), "zeros": list_of(number), "period": _number, "low": _number,
        "high": _number, "grid": nullable(integer(1, MOST_INTERVALS)), "k": integer(1, 5), "name": string,
        "n": integer(1, 10), "edges": list_of(list_of(_index, length=3)),
    }
)  # fmt: skip
_theory = record(
    {
        "formulas": list_of(string), "columns": list_of(string), "parameters": list_of(_parameter),
        "functions": list_of(_unknown), "implicit": json_flag,
    }
)  # fmt: skip


def theory_fields(value: Any) -> dict[str, Any] | None:
    """Returns the checked fields of a theory, lists as tuples; None for none.

    Raises:
        JSONError: something is missing, unknown or of the wrong type.
    """
    return None if value is None else _theory(value)
