"""The families: what people fit to one column, in physics, chemistry, biology and engineering.

Those that the relations of `kan2.laws.algebra` find to rounding are here too, for noisy tables.

References: NIST Handbook of Mathematical Functions (https://dlmf.nist.gov); Ratkowsky, Handbook of nonlinear
regression models (1990); Seber, Wild, Nonlinear regression (1989).
"""

from typing import Any

import numpy as np
import sympy
from numpy import ndarray

from kan2.laws.families.family import Family, Range

FEW, USUAL, MANY = 16, 30, 60  # values of a shape number in a grid
POWERS = np.r_[np.linspace(-6, -0.25, 12), np.linspace(0.2, 3, 15), np.linspace(3.5, 13, 20)]
EXPONENTS = np.geomspace(0.25, 5, USUAL)
MOST_PERIODS = 320  # of an oscillation over the width
PERIODS_A_ROW = 0.5  # more cannot be told from fewer
STEPS_A_PERIOD = 6.0  # of the frequency: at the next one the phase is off by less than a third of a turn


def _line(x: Any) -> tuple[Any, ...]:
    return sympy.Integer(1), x


def frequencies(range_: Range) -> ndarray:
    """Returns angular frequencies: from a slow bend to as many periods as the rows can show.

    Rows at even distances repeat what they say from half their number of periods on; others go on.
    """
    gaps = np.diff(range_.x)
    is_even = np.ptp(gaps) <= 1e-3 * gaps.max()
    most = PERIODS_A_ROW * (len(gaps) if is_even else 4 * len(gaps))
    n = int(STEPS_A_PERIOD * min(most, MOST_PERIODS))
    return 2 * np.pi * np.r_[0.03, 0.06, 0.1, np.arange(1, n) / STEPS_A_PERIOD] / range_.width


def _outside(range_: Range) -> ndarray:
    # Poles, starts and origins that no row reaches.
    beyond = np.geomspace(0.01, 10, FEW) * range_.width
    return np.r_[-range_.low + beyond, -range_.high - beyond]


def _origins(range_: Range) -> ndarray:
    found = -range_.low + np.geomspace(1e-3, 10, USUAL) * range_.width
    return np.r_[found, 0.0] if range_.is_positive else found


def _scales(range_: Range) -> ndarray:
    return np.geomspace(max(range_.low / 3, 0.01 * range_.high), 5 * range_.high, USUAL)


def _corners(range_: Range) -> ndarray:
    # Zero is the place most corners have.
    inside = range_.inside(MANY)[1:-1]
    return np.r_[inside, 0.0] if range_.low < 0 < range_.high else inside


def _middles(range_: Range) -> ndarray:
    # Between neighbours one step is as good as another.
    different = np.unique(range_.x)
    middles = (different[1:] + different[:-1]) / 2
    return middles[np.unique(np.linspace(0, len(middles) - 1, 400).astype(int))]


CATALOGUE: tuple[Family, ...] = (
    Family("a power", lambda x, p: (x**p,), lambda r: (POWERS,), is_positive=True),
    Family("a power from another origin", lambda x, c, p: ((x + c) ** p,), lambda r: (_origins(r), POWERS)),
    Family("a sum of two powers", lambda x, p, q: (x**p, x**q), lambda r: (POWERS, POWERS), is_positive=True),
    Family("a logarithm", lambda x, c: (sympy.log(x + c),), lambda r: (_origins(r),), base=_line),
    Family("x log(x)", lambda x: (x * sympy.log(x),), lambda r: (), base=_line, is_positive=True),
    Family(
        "an entropy of mixing",
        lambda x, s: (x * sympy.log(x), (s - x) * sympy.log(s - x)),
        lambda r: (r.high + np.r_[1 - r.high if r.high < 1 else r.width, np.geomspace(0.001, 3, USUAL) * r.width],),
        base=lambda x: (x, sympy.Integer(1)),
        is_positive=True,
    ),
    Family("an exponential", lambda x, b: (sympy.exp(b * x),), lambda r: (r.rates(USUAL),), base=_line, most=3),
    Family(
        "a sum of two exponentials",
        lambda x, b, c: (sympy.exp(b * x), sympy.exp(c * x)),
        lambda r: (r.rates(USUAL), r.rates(USUAL)),
    ),
    Family(
        "an exponential times a line",
        lambda x, b: (sympy.exp(b * x), x * sympy.exp(b * x)),
        lambda r: (r.rates(USUAL),),
    ),
    Family(
        "a power times an exponential of a power",
        lambda x, q: (sympy.log(x), x**q),
        lambda r: (np.r_[-EXPONENTS, EXPONENTS],),
        is_positive=True,
        is_of_logarithm=True,
    ),
    Family(
        "an exponential of a power",
        lambda x, s, q: (sympy.exp(-((x / s) ** q)),),
        lambda r: (_scales(r), np.r_[-EXPONENTS, EXPONENTS]),
        is_positive=True,
    ),
    Family(
        "an exponential of a reciprocal",
        lambda x, c: (1 / (x + c),),
        lambda r: (np.r_[0.0, _outside(r)] if r.is_positive or r.high < 0 else _outside(r),),
        is_of_logarithm=True,
    ),
    Family(
        "a power over an exponential less 1",
        lambda x, b, p: (x**p / (sympy.exp(b * x) - 1),),
        lambda r: (np.geomspace(0.1, 60, MANY) / r.high, np.linspace(-2, 6, 17)),
        is_positive=True,
    ),
    Family(
        "an oscillation", lambda x, w: (sympy.cos(w * x), sympy.sin(w * x)), lambda r: (frequencies(r),), _line, most=3
    ),
    Family(
        "a damped oscillation",
        lambda x, b, w: (sympy.exp(b * x) * sympy.cos(w * x), sympy.exp(b * x) * sympy.sin(w * x)),
        lambda r: (r.rates(5, 0.3, 15), frequencies(r)),
        most=2,
    ),
    Family(
        "a bell curve",
        lambda x, c, s: (sympy.exp(-((x - c) ** 2) / (2 * s**2)),),
        lambda r: (r.inside(USUAL, 0.2), r.widths(FEW)),
        base=_line,
        most=3,
    ),
    Family(
        "a resonance",
        lambda x, c, s: (1 / (1 + ((x - c) / s) ** 2),),
        lambda r: (r.inside(USUAL, 0.2), r.widths(FEW)),
        base=_line,
        most=3,
    ),
    Family(
        "a logistic curve",
        lambda x, c, k: (1 / (1 + sympy.exp(-k * (x - c))),),
        lambda r: (r.inside(USUAL, 0.3), r.rates(FEW, 1, 100, False)),
    ),
    Family(
        "a Gompertz curve",
        lambda x, c, k: (sympy.exp(-sympy.exp(-k * (x - c))),),
        lambda r: (r.inside(USUAL, 0.3), r.rates(FEW, 1, 60)),
    ),
    Family(
        "an error function",
        lambda x, c, k: (sympy.erf(k * (x - c)),),
        lambda r: (r.inside(USUAL, 0.1), r.rates(FEW, 1, 60, False)),
    ),
    Family(
        "an arc tangent",
        lambda x, c, k: (sympy.atan(k * (x - c)),),
        lambda r: (r.inside(USUAL, 0.1), r.rates(FEW, 1, 200, False)),
    ),
    Family(
        "a soft corner",
        lambda x, c, k: (sympy.log(1 + sympy.exp(k * (x - c))),),
        lambda r: (r.inside(USUAL, 0.1), r.rates(FEW, 2, 100)),
    ),
    Family(
        "a hyperbola",
        lambda x, c, s: (sympy.sqrt((x - c) ** 2 + s**2),),
        lambda r: (r.inside(USUAL, 0.3), r.widths(FEW, 0.005, 1)),
    ),
    Family(
        "a Langevin function",
        lambda x, k: (sympy.coth(k * x) - 1 / (k * x),),
        lambda r: (r.rates(MANY, 0.3, 200, False),),
    ),
    Family(
        "a Hill curve",
        lambda x, s, n: (1 / (1 + (x / s) ** n),),
        lambda r: (_scales(r), np.r_[-EXPONENTS, EXPONENTS]),
        is_positive=True,
    ),
    Family(
        "a step", lambda x, c: (sympy.Heaviside(x - c),), lambda r: (_middles(r),), base=_line, most=3, is_rough=True
    ),
    Family("a magnitude", lambda x, c: (sympy.Abs(x - c),), lambda r: (_corners(r),)),
    Family("a part above a threshold", lambda x, c: (sympy.Max(x - c, 0),), lambda r: (_corners(r),), base=_line),
    Family("a power of a magnitude", lambda x, c, p: (sympy.Abs(x - c) ** p,), lambda r: (_corners(r), EXPONENTS)),
    Family(
        "a power of a magnitude with its sign",
        lambda x, c, p: (sympy.sign(x - c) * sympy.Abs(x - c) ** p,),
        lambda r: (_corners(r), EXPONENTS),
    ),
    Family(
        "a line broken by a jump",
        lambda x, c: (sympy.Heaviside(x - c), x * sympy.Heaviside(x - c)),
        lambda r: (_middles(r),),
        base=_line,
        is_rough=True,
    ),
    Family(
        "stairs",
        lambda x, s, c: (sympy.floor(x / s - c),),
        lambda r: (r.widths(MANY, 0.02, 0.6), np.linspace(0, 1, FEW, endpoint=False)),
        base=_line,
        is_rough=True,
    ),
)
