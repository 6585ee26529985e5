"""Numbers become exact only where the data say so; the agreed form keeps the function."""

import pytest
import sympy
import torch
from hypothesis import given, settings

from kan2 import LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm, sample_function, uncertainties
from kan2.errors import DataError, FormulaError
from kan2.symbolic.gauge import fix_gauge
from kan2.symbolic.snap import snap_constants
from tests.strategies import networks, samples


@settings(max_examples=40)
@given(networks(edges=("symbolic", "none")))
def test_the_agreed_form_keeps_the_function(model):
    x = samples(model)
    with torch.no_grad():
        expected = model(x)
        torch.testing.assert_close(
            fix_gauge(model)(x), expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max() + 1)
        )


def test_splines_have_no_agreed_form():
    with pytest.raises(FormulaError, match="auto_symbolic"):
        fix_gauge(MultKAN([1, 1]))


@pytest.mark.parametrize("reader", [uncertainties, snap_constants])
def test_numbers_of_splines_are_not_read(reader):
    data = sample_function("x**2", {"x": (-1, 1)}, n=50)
    model = MultKAN([1, 1, 1]).fix_symbolic((0, 0, 0), "x^2", data)
    with pytest.raises(FormulaError, match=f"{reader.__name__}: .* got 1 splines. Run auto_symbolic"):
        reader(model, data)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("reader", [uncertainties, snap_constants])
def test_numbers_of_other_things_are_not_read(reader):
    with pytest.raises(FormulaError, match="expected a MultKAN, got str"):
        reader("model")


@pytest.mark.parametrize("reader", [uncertainties, snap_constants])
def test_a_formula_without_samples_names_its_caller(reader):
    with pytest.raises(DataError, match=f"{reader.__name__}: expected samples"):
        reader(line(1.0, 0.0))


def line(slope, offset):
    spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"),)),))
    return MultKAN.from_values(spec, [LayerValues(affine=[[1.0, 0.0, slope, offset]])])


@pytest.mark.parametrize(("slope", "offset", "noise", "expected"), [
    (1.5, 0.0, 0.0, "3*x1/2"), (3.14159265358979, 1.0, 0.0, "pi*x1 + 1"), (1.5, 0.0, 0.02, "3*x1/2"),
])  # fmt: skip
def test_true_simple_numbers_are_snapped(slope, offset, noise, expected):
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(400, 1, generator=generator, dtype=torch.float64)
    y = slope * x + offset + noise * torch.randn(400, 1, generator=generator, dtype=torch.float64)
    model = line(1.0, 0.5).snap_constants((x, y))
    assert model.symbolic_formula() == sympy.sympify(expected)  # a literal of this test
    report = model.report
    assert report.rmse_after <= report.rmse_before * 1.1 + 1e-12


def test_other_numbers_are_left_alone():
    x = torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
    model = line(1.0, 0.0).snap_constants((x, 0.4137 * x + 0.7713))
    assert all(c.form is None for c in model.report.constants)


def test_standard_errors_are_those_of_linear_regression():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(300, 1, generator=generator, dtype=torch.float64)
    y = 2 * x + 1 + 0.1 * torch.randn(300, 1, generator=generator, dtype=torch.float64)
    model = line(1.0, 0.0)
    model.fit((x, y))
    found = {c.letter: c for c in uncertainties(model)}
    design = torch.cat([x, torch.ones_like(x)], 1)
    solution = torch.linalg.lstsq(design, y).solution
    variance = ((y - design @ solution) ** 2).sum() / (300 - 2)
    errors = (variance * torch.linalg.inv(design.T @ design).diagonal()).sqrt()
    for letter, value, error in zip("cd", solution[:, 0].tolist(), errors.tolist()):
        assert found[letter].value == pytest.approx(value, rel=1e-6)
        assert found[letter].error == pytest.approx(error, rel=1e-4)


def test_constants_are_told_from_scales_of_nodes():
    layers = tuple(
        LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, f, free="a"),), affine_trainable=True)
        for f in ("sin", "exp")
    )
    model = MultKAN.from_spec(NetworkSpec(layers, ("x",)))
    with torch.no_grad():
        for layer, a in zip(model.layers, (1.25, 0.75)):
            layer.symbolic.affine[0, 0] = a
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    found = uncertainties(model, (x, model(x).detach() + 0.01 * torch.cos(40 * x)))
    assert [(c.layer, c.letter, c.value) for c in found] == [(0, "a", 1.25), (1, "a", 0.75)]
