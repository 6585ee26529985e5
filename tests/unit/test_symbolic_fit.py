"""Functions are found in curves whatever the units, and given in one agreed form."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2 import functions
from kan2.functions import DEFAULT_LIBRARY
from kan2.symbolic.curves import canonical, fit_curves, grid_points

CURVES = {
    "sin": (lambda x: torch.sin(math.pi * x + 0.3), -1.0, 1.0),
    "exp": (lambda x: torch.exp(-2 * x), -1.0, 2.0),
    "atan": (lambda x: torch.atan(3 * x), -1.0, 1.0),
    "log": (lambda x: torch.log(x), 0.01, 1.0),
    "gaussian": (lambda x: torch.exp(-((x - 0.3) ** 2) * 5), -1.0, 1.0),
    "tanh": (lambda x: torch.tanh(5 * x - 3), -1.0, 1.0),
    "cosh": (lambda x: torch.cosh(x), -1.0, 1.0),
    "1/x": (lambda x: 1 / (x + 0.2), 0.0, 3.0),
    "x^2": (lambda x: (x / 1000 - 0.3) ** 2, 100.0, 1000.0),
    "power": (lambda x: x**1.37, 0.3, 40.0),
}


def fit_one(f, low, high, library=DEFAULT_LIBRARY):
    x = (high + low) / 2 + (high - low) / 2 * grid_points()
    ends = (torch.tensor([end], dtype=torch.float64) for end in (low, high))
    return {fit.function: fit for fit in fit_curves(f(x)[None], *ends, library)[0]}


@pytest.mark.parametrize("name", CURVES)
def test_the_function_behind_a_curve_fits_to_rounding(name):
    f, low, high = CURVES[name]
    assert 1 - fit_one(f, low, high)[name].r2 < 1e-12


@pytest.mark.parametrize("frequency", [0.05, 0.3, 3.0, 11.0, 15.0, 25.0, 100.0, 300.0])
def test_frequencies_from_slow_to_fast(frequency):
    fit = fit_one(lambda x: torch.sin(frequency * x + 0.3), -1.0, 1.0, ["sin"])["sin"]
    assert 1 - fit.r2 < 1e-6


@settings(max_examples=15, deadline=None)
@given(st.integers(-30, 30), st.integers(-30, 30), st.sampled_from([0.0, -3.0, 200.0, 1e6]))
def test_units_and_offsets_do_not_matter(k_x, k_y, shift):
    scale_x, scale_y = 10.0**k_x, 10.0**k_y

    def curve(x):
        return scale_y * (torch.tanh(3 * (x / scale_x - shift)) + 0.5)

    ends = (shift - 1) * scale_x, (shift + 1) * scale_x
    fit = fit_one(curve, *ends, ["tanh", "x", "sin"])["tanh"]
    assert 1 - fit.r2 < 1e-9
    a, b, c, d = canonical("tanh", fit.affine)
    x = torch.linspace(*ends, 50, dtype=torch.float64)
    found = c * torch.tanh(a * x + b) + d
    torch.testing.assert_close(found / scale_y, curve(x) / scale_y, rtol=1e-6, atol=1e-6)
    assert [a * scale_x, b + a * scale_x * shift, c / scale_y, d / scale_y] == pytest.approx([3, 0, 1, 0.5], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["J0", "gamma", "airyai", "elliptic_k", "erf", "zeta", "besselj", "fresnels"])
def test_special_functions_are_found_in_the_whole_library(name):
    row = functions.get(name)
    low, high = {"elliptic_k": (-1.0, 0.95), "gamma": (0.3, 4.0), "zeta": (1.3, 4.0), "fresnels": (0.1, 4.0)}.get(
        name, (0.1, 12.0)
    )
    fits = fit_one(lambda x: 3 * row(x) - 1, low, high, [n for n in functions.names() if n != "0"])
    assert 1 - fits[name].r2 < 1e-11
    simpler = [f.function for f in fits.values() if f.complexity < row.complexity and 1 - f.r2 < 1e-10]
    assert not simpler or name == "besselj"  # J0 is simpler


def test_a_replaced_function_is_searched_anew():
    def sample(power):
        return functions.SymbolicFunction("mine", lambda u: u**power, lambda u: u**power, 3)

    functions.register(sample(3), replace=True)
    assert 1 - fit_one(lambda x: x**3, -1.0, 1.0, ["mine"])["mine"].r2 < 1e-12
    functions.register(sample(7), replace=True)
    assert 1 - fit_one(lambda x: x**7, -1.0, 1.0, ["mine"])["mine"].r2 < 1e-12


def test_constant_curves_are_constants():
    fit = fit_one(lambda x: 0 * x + 3.5, -1.0, 1.0, ["x", "sin"])["x"]
    assert fit.affine == (0.0, 0.0, 0.0, 3.5)


@given(
    st.sampled_from([n for n in functions.names() if functions.get(n).shape is None and n != "0"]),
    *[st.floats(-3, 3).filter(lambda v: abs(v) > 0.1)] * 4,
)
def test_the_agreed_form_is_the_same_function(name, a, b, c, d):
    row = functions.get(name)
    a2, b2, c2, d2 = canonical(name, (a, b, c, d))
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    before, after = c * row(a * x + b) + d, c2 * row(a2 * x + b2) + d2
    ok = torch.isfinite(before) & torch.isfinite(after) & (before.abs() < 1e6)
    torch.testing.assert_close(after[ok], before[ok], rtol=1e-6, atol=1e-6)
