"""Formulas that an unknown function may have: families with numbers, fitted to its curve.

No family has a number too many: `log(u)` is c log(u) + d, since a factor inside is a constant outside. A family also
comes with fewer numbers, without its constant or with a factor of 1, where the theory around it takes these up.

Reference: Golub, Pereyra (1973), doi:10.1137/0710036, for linear numbers that are solved for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray

from kanpiler.theory.fitting.curves import Curve
from kanpiler.theory.fitting.solve import Inequalities, minimise

u = sympy.Symbol("u")
c, d, a, b, m, s, p = sympy.symbols("c d a b m s p")
POINTS = 200
MOST_STARTS = 60
STEPS = 60


@dataclass(frozen=True)
class Family:
    """A formula in u and numbers.

    Attributes:
        expression: of u.
        linear: numbers of which it is a linear function.
        inner: other numbers, with what they are measured in and where a search begins, in that unit.
    """

    expression: sympy.Expr
    linear: tuple[sympy.Symbol, ...]
    inner: tuple[tuple[sympy.Symbol, str, tuple[float, ...]], ...] = ()

    @property
    def numbers(self) -> tuple[sympy.Symbol, ...]:
        """All its numbers."""
        return (*self.linear, *(one for one, _, _ in self.inner))


_RATES = (0.1, 0.3, 1.0, 3.0, 10.0)
_BOTH = (*_RATES, *(-rate for rate in _RATES))
_PLACES = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
_WAVES = tuple(np.pi * np.array([0.5, 1, 1.5, 2, 3, 4, 6, 8, 12]))
_PHASES = (0.0, 1.0, 2.0)
_BEFORE = (0.01, 0.1, 0.3, 1.0, 3.0)
_WIDTHS = (0.1, 0.2, 0.4, 0.8)
_POWERS = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.5, 2.0, 3.0, 4.0)


def _polynomial(*powers: int) -> Family:
    names = sympy.symbols(f"c0:{len(powers)}")
    return Family(sum((name * u**k for name, k in zip(names, powers)), sympy.Integer(0)), tuple(names))  # type: ignore[arg-type]


FAMILIES: tuple[Family, ...] = (
    _polynomial(0), _polynomial(1), _polynomial(0, 1), _polynomial(2), _polynomial(3), _polynomial(1, 2),
    _polynomial(0, 2), _polynomial(0, 1, 2), _polynomial(1, 3), _polynomial(0, 1, 2, 3), _polynomial(0, 2, 4),
    _polynomial(0, 1, 2, 3, 4), _polynomial(-1), _polynomial(0, -1), _polynomial(-2), _polynomial(-1, 1),
    Family(c * u * sympy.Abs(u), (c,)), Family(c * u * sympy.Abs(u) + d * u, (c, d)),
    Family(c * sympy.sqrt(u) + d, (c, d)), Family(c * sympy.log(u) + d, (c, d)), Family(c * sympy.Abs(u) + d, (c, d)),
    Family(c * u * sympy.log(u), (c,)),
    Family(c * u**p, (c,), ((p, "1", _POWERS),)), Family(c * u**p + d, (c, d), ((p, "1", _POWERS),)),
    Family(c * sympy.sign(u) * sympy.Abs(u) ** p, (c,), ((p, "1", (0.5, 1.5, 2.0)),)),
    Family(c * sympy.exp(a * u), (c,), ((a, "1/range", _BOTH),)),
    Family(c * sympy.exp(a * u) + d, (c, d), ((a, "1/range", _BOTH),)),
    Family(c * sympy.exp(a / u), (c,), ((a, "range", _BOTH),)),
    Family(c * sympy.exp(a / u) + d, (c, d), ((a, "range", _BOTH),)),
    Family(c * sympy.exp(a * u) / u, (c,), ((a, "1/range", _BOTH),)),
    Family(c * sympy.exp(a / u) / u, (c,), ((a, "range", _BOTH),)),
    Family(c * u * sympy.exp(a * u), (c,), ((a, "1/range", _BOTH),)),
    Family(c * sympy.log(1 + u / b) + d, (c, d), ((b, "end", _BEFORE),)),
    Family(c * sympy.sqrt(u + b) + d, (c, d), ((b, "before", _BEFORE),)),
    Family(c * sympy.sin(a * u + b) + d, (c, d), ((a, "1/range", _WAVES), (b, "1", _PHASES))),
    Family(c * sympy.exp(-((u - m) ** 2) / (2 * s**2)) + d, (c, d), ((m, "place", _PLACES), (s, "range", _WIDTHS))),
    Family(c / (1 + (u - m) ** 2 / s**2) + d, (c, d), ((m, "place", _PLACES), (s, "range", _WIDTHS))),
    Family(c * sympy.tanh(a * (u - m)) + d, (c, d), ((a, "1/range", (1.0, 3.0, 10.0)), (m, "place", _PLACES))),
    Family(c * sympy.atan(a * (u - m)) + d, (c, d), ((a, "1/range", (1.0, 3.0, 10.0)), (m, "place", _PLACES))),
    Family(c / (1 + sympy.exp(-a * (u - m))), (c,), ((a, "1/range", (-10.0, -3.0, 3.0, 10.0)), (m, "place", _PLACES))),
    Family(c / (u + b) + d, (c, d), ((b, "before", _BEFORE),)), Family(c * u / (u + b), (c,), ((b, "end", _BEFORE),)),
    Family(c / (u + b) ** 2 + d, (c, d), ((b, "before", _BEFORE),)),
    Family(c / (1 + b * u**2) + d, (c, d), ((b, "1/range2", (0.1, 1.0, 10.0, 100.0)),)),
    Family(c * u**p / (b**p + u**p), (c,), ((b, "end", _BEFORE), (p, "1", (1.5, 2.0, 4.0)))),
    Family(c * sympy.sqrt(1 + b * u**2) + d, (c, d), ((b, "1/range2", (0.1, 1.0, 10.0)),)),
    Family(c / sympy.sqrt(1 + b * u**2), (c,), ((b, "1/range2", (-0.9, -0.5, 0.1, 1.0, 10.0)),)),
    Family(c * sympy.cosh(a * u) + d, (c, d), ((a, "1/range", (1.0, 3.0)),)),
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A formula for a function, near its curve.

    Attributes:
        expression: of `u` and numbers.
        numbers: the symbols of numbers.
        start: what they are for the curve.
        error: root mean square distance from the curve.
    """

    expression: sympy.Expr
    numbers: tuple[sympy.Symbol, ...]
    start: tuple[float, ...]
    error: float


def candidates(curve: Curve, w: Float[ndarray, " number"]) -> list[Candidate]:
    """Returns every family fitted to a curve, the nearest first."""
    x = np.linspace(curve.low, curve.high, POINTS)
    # The hair around the arguments must not make zero negative.
    x = np.where(np.abs(x) < 1e-6 * (curve.high - curve.low), 0.0, x)
    y = curve.values(x) @ w
    found = [fitted for family in FAMILIES if (fitted := _fitted(family, x, y)) is not None]
    return sorted(found, key=lambda one: one.error)


def _fitted(family: Family, x: ndarray, y: ndarray) -> Candidate | None:
    function, slopes = _compiled(family)
    n_linear = len(family.linear)
    units = _units(x)
    best: tuple[float, ndarray] | None = None
    grids = [tuple(v * units[unit][0] + units[unit][1] for v in starts) for _, unit, starts in family.inner]
    with np.errstate(all="ignore"):
        for inner in list(product(*grids))[:MOST_STARTS]:
            numbers = np.r_[np.zeros(n_linear), inner]
            A = np.stack([np.broadcast_to(slope(x, *numbers), x.shape) for slope in slopes[:n_linear]], 1)
            if not np.isfinite(A).all():
                continue
            size = np.linalg.norm(A, axis=0)
            size = np.where(size > 0, size, 1.0)
            numbers[:n_linear] = np.linalg.lstsq(A / size, y, rcond=1e-12)[0] / size
            r = A @ numbers[:n_linear] - y
            if best is None or float(r @ r) < best[0]:
                best = float(r @ r), numbers
        if best is None:
            return None

        def residuals(z: ndarray, with_jacobian: bool) -> tuple[ndarray, Any]:
            r = np.broadcast_to(function(x, *z), x.shape) - y
            return r, np.stack([np.broadcast_to(slope(x, *z), x.shape) for slope in slopes], 1)

        numbers = best[1]
        if family.inner:
            none = Inequalities(np.zeros((0, len(numbers))), np.zeros(0))
            found = minimise(residuals, numbers, none, steps=STEPS)
            if np.isfinite(found.x).all() and found.cost <= best[0]:
                numbers = found.x
        r, _ = residuals(numbers, False)
    error = float(np.sqrt(np.mean(r**2)))
    if not np.isfinite(error):
        return None
    return Candidate(family.expression, family.numbers, tuple(float(v) for v in numbers), error)


def _units(x: ndarray) -> dict[str, tuple[float, float]]:
    low, high = float(x.min()), float(x.max())
    size = max(abs(low), abs(high)) or 1.0
    width = high - low
    return {
        "1": (1.0, 0.0), "range": (width, 0.0), "1/range": (1 / width, 0.0), "1/range2": (1 / size**2, 0.0),
        "place": (width, low), "end": (size, 0.0), "before": (width, -low),
    }  # fmt: skip


@lru_cache(maxsize=128)
def _compiled(family: Family) -> tuple[Any, tuple[Any, ...]]:
    arguments = (u, *family.numbers)
    slopes = tuple(sympy.lambdify(arguments, sympy.diff(family.expression, one), "numpy") for one in family.numbers)
    return sympy.lambdify(arguments, family.expression, "numpy"), slopes


def variants(candidate: Candidate, also: Sequence[str]) -> list[Candidate]:
    """Returns a candidate with fewer numbers, where a theory takes up a constant or a factor.

    Args:
        candidate: with all its numbers.
        also: "constant" and "scale", as far as the function has that freedom.
    """
    found = [candidate]
    for kind, number, value in (("constant", d, 0), ("constant", sympy.Symbol("c0"), 0), ("scale", c, 1)):
        if kind in also:
            for one in list(found):
                if number in one.numbers and (kind == "scale" or _is_constant(one.expression, number)):
                    i = one.numbers.index(number)
                    numbers, start = one.numbers[:i] + one.numbers[i + 1 :], one.start[:i] + one.start[i + 1 :]
                    found.append(Candidate(one.expression.subs(number, value), numbers, start, one.error))
    return [one for one in found if one.expression.has(u)]


def _is_constant(expression: sympy.Expr, number: sympy.Symbol) -> bool:
    return not sympy.diff(expression, number).has(u)
