"""Functions of one column with shape numbers: each family is found again in its own values, and under noise."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import kan2
from kan2.laws.column import Column
from kan2.laws.dependence import depends
from kan2.laws.families.catalogue import CATALOGUE
from kan2.laws.families.family import Family, Range
from kan2.laws.families.fit import fits
from kan2.laws.families.search import best_curves, law_of_a_family
from kan2.laws.front.polish import values

T = sympy.Symbol("t")
SIGNED, POSITIVE = np.linspace(-3, 3, 160), np.linspace(0.05, 6, 160)
LAWS = {
    "Abs(t)**3": SIGNED,
    "2*Abs(t - 7/10) + 1": SIGNED,
    "sign(t)*Abs(t)**(1/3)": SIGNED,
    "sign(t - 1/2)*Abs(t - 1/2)**2.4 + 1": SIGNED,
    "Max(t - 1/2, 0)": SIGNED,
    "3*Heaviside(t - 3/10) - 1": SIGNED,
    "2*floor(t) + 1": SIGNED,
    "erf(6*t/5)": SIGNED,
    "4*exp(-5*t/2) + 3*exp(-t/2)": POSITIVE,
    "4*exp(-5*t/2) + 3*exp(-t/2) + 6/5": POSITIVE,
    "4*exp(-2*t/5) - 4*exp(-19*t/10)": POSITIVE,
    "2*exp(-2*t/5)*cos(7*t + 3/10)": POSITIVE,
    "3*sin(63*t + 2/5)/2 + 1/5": POSITIVE,
    "sin(3*t) + cos(73*t/10)/2": POSITIVE,
    "t**3/(exp(13*t/10) - 1)": POSITIVE,
    "2*t**0.7*exp(-0.3*t**1.7)": POSITIVE,
    "exp(-0.7*t**0.6)": POSITIVE,
    "8*exp(-3*exp(-4*t/5))": POSITIVE,
    "-t*log(t) - (7 - t)*log(7 - t)": POSITIVE,
    "4/t**12 - 4/t**6": POSITIVE + 1,
    "t**2.3/(t**2.3 + 3)": POSITIVE,
    "coth(t) - 1/t": POSITIVE,
}


def made(text: str, t: np.ndarray) -> np.ndarray:
    return values(sympy.sympify(text, {"t": T}), (T,), t[:, None])


@pytest.mark.parametrize(("text", "t"), LAWS.items())
def test_a_law_is_found_to_rounding(text: str, t: np.ndarray):
    y = made(text, t)
    found = law_of_a_family(Column(t, T), y)
    assert found is not None
    assert values(found.expression, (T,), t[:, None]) == pytest.approx(y, rel=1e-8, abs=1e-9 * np.abs(y).max())
    between = (t[1:] + t[:-1]) / 2 + 1e-4
    if "Heaviside" not in text:
        assert values(found.expression, (T,), between[:, None]) == pytest.approx(
            made(text, between), rel=1e-6, abs=1e-8
        )


@pytest.mark.parametrize("unit", [1e-30, 1e-3, 1e9])
@pytest.mark.parametrize("text", ["2*exp(-2*t/5)*cos(7*t + 3/10)", "t**2.3/(t**2.3 + 3)", "Abs(t - 2)**1.5"])
def test_the_unit_does_not_matter(text: str, unit: float):
    y = made(text, POSITIVE)
    found = law_of_a_family(Column(POSITIVE * unit, T), y)
    assert found is not None
    assert values(found.expression, (T,), POSITIVE[:, None] * unit) == pytest.approx(y, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "t", "family"),
    [
        ("Abs(t)**3", SIGNED, "a power of a magnitude"),
        ("4*exp(-5*t/2) + 3*exp(-t/2)", POSITIVE, "exponential"),
        ("2*exp(-2*t/5)*cos(7*t + 3/10)", POSITIVE, "a damped oscillation"),
        ("3*sin(63*t + 2/5)/2 + 1/5", POSITIVE, "an oscillation"),
        ("12/(1 + exp(-2*t + 5))", POSITIVE, "a logistic curve"),
        ("3*Heaviside(t - 3/10) - 1", SIGNED, "a step"),
        ("2*floor(t) + 1", SIGNED, "stairs"),
    ],
)
def test_a_law_is_found_under_noise(text: str, t: np.ndarray, family: str):
    y = made(text, t)
    noisy = y + 0.03 * y.std() * np.random.default_rng(1).standard_normal(len(y))
    best = best_curves(t, noisy, np.ones(len(y)))[0]
    assert family in best.family.name
    assert np.sqrt(np.mean((best.at(t) - y) ** 2)) < 0.015 * y.std()


@given(st.floats(0.3, 1.5), st.floats(2, 20), st.floats(-2, 2), st.floats(-5, 5))
@settings(max_examples=15, deadline=None)
def test_any_damped_oscillation_is_found(rate: float, frequency: float, phase: float, level: float):
    t = np.sort(np.random.default_rng(0).uniform(0, 4, 120))
    y = np.exp(-rate * t) * np.cos(frequency * t + phase) + level
    (family,) = (one for one in CATALOGUE if one.name == "a damped oscillation")
    first = next(fits(family, t, y, np.ones(len(t))))
    assert first.share < 1e-6


@pytest.mark.parametrize("family", CATALOGUE, ids=lambda family: family.name)
def test_an_expression_is_what_was_fitted(family: Family):
    t = np.linspace(0.1, 2, 50)
    y = 1 + t + np.sin(3 * t) / 3
    for curve in fits(family, t, y, np.ones(50)):
        expression = curve.of(T)
        scale = np.abs(curve.at(t)).max()
        if not curve.cancels(t):
            assert values(expression, (T,), t[:, None]) == pytest.approx(curve.at(t), rel=1e-6, abs=1e-6 * scale)


def test_noise_belongs_to_no_family():
    y = np.random.default_rng(0).standard_normal(60)
    assert law_of_a_family(Column(np.linspace(0, 1, 60), T), y) is None


def test_more_numbers_than_rows_are_no_law():
    assert law_of_a_family(Column(np.array([1.0, 2, 3, 5, 8]), T), np.array([1.0, -2, 4, 0, 1])) is None


def test_a_range_knows_its_places():
    range_ = Range(np.array([-1.0, 0, 3]))
    assert (range_.low, range_.high, range_.width, range_.is_positive) == (-1, 3, 4, False)
    assert range_.inside(3).tolist() == [-1, 1, 3]


def test_many_waves_are_no_noise():
    t = np.linspace(0.05, 6, 150)
    noise = np.random.default_rng(0).standard_normal(150)
    assert depends(t[:, None], np.sin(63 * t) + noise)
    assert not depends(t[:, None], noise)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "t"), LAWS.items())
def test_discover_finds_it(text: str, t: np.ndarray):
    y = made(text, t)
    law = kan2.discover({"t": t, "y": y}, target="y", networks=False)
    assert law.found
    assert law.predict({"t": t})[:, 0] == pytest.approx(y, rel=1e-8, abs=1e-9 * np.abs(y).max())


def test_what_is_infinite_everywhere_has_no_values():
    assert np.isnan(values(T + sympy.zoo, (T,), POSITIVE[:, None])).all()
    assert np.isnan(values(sympy.oo * T, (T,), POSITIVE[:, None])).all()
