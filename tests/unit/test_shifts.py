"""Exponentials far from 0 begin at a round number, and their factor has an error of its own."""

import mpmath
import pytest
import sympy
import torch

from kan2 import LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm, uncertainties
from kan2.core.data import Dataset
from kan2.symbolic.shifts import with_round_shifts
from kan2.symbolic.snap import snap_constants

X = sympy.Symbol("x")


def exponential(rate, shift, factor, constant=0.0):
    spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "exp"),)),), ("x",))
    return MultKAN.from_values(spec, [LayerValues(affine=[[rate, shift, factor, constant]])])


def samples(low, high, n=80):
    return torch.linspace(low, high, n, dtype=torch.float64)[:, None]


def scatter(n=80):
    return torch.randn(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize(("low", "width", "rate", "beginning"), [
    (1990.4, 33.5, 0.05, 1990.0), (1.7e9 + 300.0, 3e5, -1.1574e-5, 1.7e9), (10000.02, 3.0, -1.3, 10000.0),
    (-2023.9, 33.5, 0.05, -2020.0), (1990.4e-12, 33.5e-12, 0.05e12, 1990e-12), (-0.2, 4.0, -1.3, 0.0),
    (2.5e-3, 1e-3, -11000.0, 0.0), (1990.4, 33.5, 1e-4, 0.0),
])  # fmt: skip
def test_what_lies_far_from_zero_begins_at_a_round_number(low, width, rate, beginning):
    model, x = exponential(rate, -rate * (low + 0.3 * width), 2.0), samples(low, low + width)
    new = snap_constants(model, (x, model(x).detach() + 1e-3 * scatter()))
    a, b, _, _ = new.layers[0].symbolic.affine[0].tolist()
    assert -b / a == pytest.approx(beginning, rel=1e-14)
    torch.testing.assert_close(with_round_shifts(model, x)(x), model(x), rtol=1e-9, atol=0.0)


def test_the_formula_shows_where_the_exponential_begins():
    x = samples(1990.4, 2023.9)
    new = snap_constants(exponential(0.0499, -99.3, 7.0, 12.0), (x, 12 + 7 * torch.exp(0.05 * (x - 1990))))
    assert str(new.symbolic_formula()) == "7*exp((x - 1990)/20) + 12"
    y = 6.9 * torch.exp(0.0493 * (x - 1990)) + 1e-3 * scatter()
    new = snap_constants(exponential(0.0493, -98.1, 6.8), (x, y))
    shown = new.symbolic_formula(digits=3)
    assert str(shown) == "69*exp(0.0493*(x - 1990))/10"
    assert float(shown.subs(X, 2000)) == pytest.approx(6.9 * 1.637, rel=0.01)


def test_all_digits_of_the_shift_are_shown():
    x = samples(2400057.3, 2400061.1)
    new = snap_constants(
        exponential(-0.7, 0.7 * 2400058, 3.1), (x, 3.1 * torch.exp(-0.71 * (x - 2400058)) + 1e-3 * scatter())
    )
    assert "(x - 2400057)" in str(new.symbolic_formula(digits=3))
    assert r"x - 2400057" in new.latex(digits=3)


@pytest.mark.parametrize("offset", [1e2, 1e5, 1e8])
def test_the_error_of_the_factor_is_that_at_the_shift(offset):
    t = samples(0.0, 3.0)
    y = 4.93 * torch.exp(-1.3 * t) + 0.01 * scatter()
    model = snap_constants(exponential(-1.3, 1.3 * offset, 5.0), (t + offset, y))
    found = {c.letter: c for c in uncertainties(model, (t + offset, y))}
    a, c = found["a"].value, found["c"].value
    with mpmath.workdps(40):
        rows = [(mpmath.exp(a * u), c * u * mpmath.exp(a * u)) for u in t[:, 0].tolist()]
        gram = mpmath.matrix(2, 2)
        for row in rows:
            for i in range(2):
                for j in range(2):
                    gram[i, j] += row[i] * row[j]
        residual = [mpmath.mpf(v) - c * row[0] for v, row in zip(y[:, 0].tolist(), rows)]
        variance = mpmath.fsum(r**2 for r in residual) / (len(rows) - 2) * gram**-1
        errors = [float(mpmath.sqrt(variance[i, i])) for i in range(2)]
    assert [found["c"].error, found["a"].error] == pytest.approx(errors, rel=1e-4)


def test_the_factor_becomes_exact_after_the_rate():
    x = samples(1990.4, 2023.9)
    y = 7 * torch.exp(0.05 * (x - 1990)) + 1e-6 * scatter()
    model = exponential(0.04999, -99.5, 7.0)
    model.data = Dataset(x, y, ("x",))
    new = snap_constants(model)
    assert uncertainties(new) == ()
    assert str(new.symbolic_formula()) == "7*exp((x - 1990)/20)"
