"""Numbers become exact only where the data say so; the agreed form keeps the function."""

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2 import (
    LayerSpec,
    LayerValues,
    MultKAN,
    NetworkSpec,
    SymbolicTerm,
    functions,
    sample_function,
    uncertainties,
)
from kan2.errors import DataError, FormulaError
from kan2.symbolic.gauge import fix_gauge
from kan2.symbolic.snap import snap_constants
from tests.strategies import networks, samples


@pytest.mark.slow
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


def network(*layers):
    """Layers of (target, source, function, (a, b, c, d)), every target and source counted from 0."""
    specs, values, n_in = [], [], 1 + max(source for _, source, *_ in layers[0])
    for rows in layers:
        terms = tuple(SymbolicTerm(t, s, f) for t, s, f, _ in rows)
        specs.append(LayerSpec(n_in, 1 + max(t for t, *_ in rows), numeric=(), terms=terms))
        values.append(LayerValues(affine=[list(affine) for *_, affine in rows]))
        n_in = specs[-1].n_out
    return MultKAN.from_values(NetworkSpec(tuple(specs)), values)


def uniform(low, high, n=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(n, 1, generator=generator, dtype=torch.float64)


def scatter(n=400, seed=1):
    return torch.randn(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def forms(model):
    return sorted((c.layer, c.term, c.letter, c.form == 0) for c in model.report.constants if c.form is not None)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.integers(-30, 30), st.integers(-30, 30), st.sampled_from(["x^2", "sqrt", "log", "tanh", "x", "exp"]))
def test_the_same_numbers_are_snapped_in_every_unit(k_x, k_y, function):
    s_x, s_y = 10.0**k_x, 10.0**k_y
    a, b, c, d = {"x": (1, 0, 1.5, 0), "tanh": (1.5, -1, 3, 0.5), "exp": (-0.5, 0, 2, 0)}.get(
        function, (1, 0, 2.5, 0.2)
    )
    row = functions.get(function)
    x = uniform(0.5, 2.5)
    y = c * row(a * x + b) + d + 1e-4 * scatter()

    def snapped(s_x, s_y):
        start = (
            1.01 * a / s_x if "a" in row.free else 1.0,
            (1.001 * b if "a" in row.free else 0.003 * s_x),
            s_y * c,
            0.0,
        )
        if function in ("x^2", "sqrt"):
            start = (*start[:2], s_y * c / s_x ** {"x^2": 2, "sqrt": 0.5}[function], 0.0)
        if function == "x":
            start = 1.0, 0.0, s_y * c / s_x, 0.0
        return network([(0, 0, function, start)]).snap_constants((x * s_x, y * s_y))

    plain, scaled = snapped(1.0, 1.0), snapped(s_x, s_y)
    # A root of the unit, and its logarithm, are as simple as they happen to be.
    depends = {"log": "d", "sqrt": "cd"}.get(function, "")
    assert [f for f in forms(scaled) if f[2] not in depends] == [f for f in forms(plain) if f[2] not in depends]
    assert len(forms(plain)) >= 2
    torch.testing.assert_close(scaled(x * s_x) / s_y, plain(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("unit", "offset"), [(1.0, 0.0), (3e11, 1e5), (3e-19, 0.0)])
def test_a_constant_within_its_error_is_zero_in_any_unit(unit, offset):
    x = uniform(-1, 1)
    y = unit * x**2 + offset + 1e-4 * unit * scatter()
    law = network([(0, 0, "x^2", (1.0, 0.01, unit, 2e-5 * unit))]).snap_constants((x, y))
    zeros = {c.letter for c in law.report.constants if c.form == 0}
    assert zeros == {"b", "d"}


def test_numbers_in_small_units_are_not_all_simple():
    x = uniform(0, 1)
    law = network([(0, 0, "x", (1.0, 0.0, 1e-30, 0.0))]).snap_constants((x, 1e-30 * (0.4137 * x + 0.7713)))
    assert all(c.form is None for c in law.report.constants)


@pytest.mark.parametrize("function", ["x^2", "sqrt", "log"])
def test_a_shift_within_its_error_goes(function):
    x = uniform(0.2, 2.0)
    y = 2.0061 * functions.get(function)(x)
    y = y * (1 + 0.01 * scatter())
    law = network([(0, 0, function, (1.0, 0.004, 2.0, 0.0))]).snap_constants((x, y))
    assert ("b", 0) in {(c.letter, c.form) for c in law.report.constants}


def test_a_shift_outside_its_error_stays():
    x = uniform(0.2, 2.0)
    law = network([(0, 0, "sqrt", (1.0, 0.1, 2.0, 0.0))]).snap_constants(
        (x, 2 * torch.sqrt(x + 0.137) + 1e-3 * scatter())
    )
    assert law.symbolic_formula().atoms(sympy.Pow).pop().base != sympy.Symbol("x1")


@pytest.mark.parametrize("unit", [1.0, 1e-12, 1e20])
def test_squares_are_multiplied_out_where_that_is_simpler(unit):
    x = uniform(100.0, 400.0)
    y = 0.00265 * x**2 - x + 0.3 * scatter()
    start = [(0, 0, "x^2", (1.0, -188.8 * unit, 0.00265 / unit**2, -94.38))]
    law = network(start).snap_constants((x * unit, y))
    x1 = sympy.Symbol("x1")
    formula = sympy.Poly(law.symbolic_formula(), x1)
    assert float(formula.coeff_monomial(1)) == 0
    assert float(formula.coeff_monomial(x1)) * unit == pytest.approx(-1.0, rel=1e-12)
    assert float(formula.coeff_monomial(x1**2)) * unit**2 == pytest.approx(0.00265, rel=1e-3)


def test_squares_stay_where_the_constant_is_needed():
    x = uniform(-1.0, 3.0)
    law = network([(0, 0, "x^2", (1.0, 0.6, 2.0, 0.0))]).snap_constants(
        (x, 2 * (x + 0.5) ** 2 + 0.731 + 0.001 * scatter())
    )
    assert sympy.Symbol("x1") + sympy.Rational(1, 2) in {p.base for p in law.symbolic_formula().atoms(sympy.Pow)}


def test_a_term_that_noise_explains_is_dropped():
    x = uniform(-1.0, 1.0)
    start = [(0, 0, "sin", (2.0, 0.0, 1.0, 0.0)), (0, 0, "x^2", (1.0, 0.0, 1e-4, 0.0))]
    law = network(start).snap_constants((x, torch.sin(2 * x) + 0.01 * scatter()))
    assert law.symbolic_formula() == sympy.sin(2 * sympy.Symbol("x1"))


@pytest.mark.parametrize("offset", [0.0, 273.15, 5e7])
def test_kelvin_and_celsius_give_the_same_law(offset):
    x = uniform(0.0, 50.0)
    y = 1.5 * (x - 20) + 0.01 * scatter()
    law = network([(0, 0, "x", (1.0, 0.0, 1.4, 0.0))]).snap_constants((x + offset, y))
    found = {c.letter: c for c in law.report.constants}
    assert found["c"].form == sympy.Rational(3, 2)
    assert law(torch.tensor([[20.0 + offset]])).item() == pytest.approx(0, abs=0.003)
    assert found["d"].error < 0.0012


def test_a_large_offset_of_the_targets_hides_nothing():
    x = uniform(0.0, 1.0)
    law = network([(0, 0, "tanh", (2.0, -0.9, 3.0, 1e6))]).snap_constants((x, 3 * torch.tanh(2 * x - 1) + 1e6))
    assert law.symbolic_formula() == 3 * sympy.tanh(2 * sympy.Symbol("x1") - 1) + 10**6


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_give_no_nan(rows):
    x = torch.linspace(0, 1, rows, dtype=torch.float64)[:, None]
    law = network([(0, 0, "tanh", (2.0, 0.0, 3.0, 0.0))]).snap_constants((x, x + 0.1))
    assert not law.symbolic_formula().has(sympy.nan, sympy.zoo, sympy.oo)
    assert all(abs(c.error) >= 0 for c in uncertainties(law, (x, x + 0.1)))


@pytest.mark.parametrize("column", [0.0, 2.0, 1e-30])
def test_constant_columns_give_no_nan(column):
    x = torch.full((20, 1), column, dtype=torch.float64)
    law = network([(0, 0, "tanh", (2.0, 0.3, 3.0, 0.0))]).snap_constants((x, x + 0.1))
    assert not law.symbolic_formula().has(sympy.nan, sympy.zoo, sympy.oo)


def test_float32_networks_are_snapped_too():
    x = uniform(0.0, 1.0).float()
    law = network([(0, 0, "x", (1.0, 0.0, 1.4, 0.0))]).float().snap_constants((x, 1.5 * x + 0.25))
    assert law.symbolic_formula() == sympy.Rational(3, 2) * sympy.Symbol("x1") + sympy.Rational(1, 4)


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(st.integers(-30, 30), st.integers(-30, 30))
def test_numbers_of_hidden_layers_are_snapped_in_every_unit(k_x, k_y):
    s_x, s_y = 10.0**k_x, 10.0**k_y
    x, z = uniform(0.5, 2.0), uniform(-1, 1, seed=3)
    y = 3 * torch.exp(-((x + 0.5 * z) ** 2)) + 1e-5 * scatter()
    first = [(0, 0, "x", (1.0, 0.0, 1.01 / s_x, 0.0)), (0, 1, "x", (1.0, 0.0, 0.49, 0.0))]
    law = network(first, [(0, 0, "gaussian", (1.0, 0.001, 2.9 * s_y, 0.0))])
    law = law.snap_constants((torch.cat([x * s_x, z], 1), y * s_y))
    found = {(c.layer, c.letter): float(c.form) for c in law.report.constants if c.form is not None}
    assert found[1, "b"] == found[1, "d"] == 0
    assert found[1, "c"] / s_y == pytest.approx(3, rel=1e-12)
    x1, x2 = sympy.symbols("x1 x2")
    exponent = sympy.log(law.symbolic_formula().atoms(sympy.exp).pop()).expand(force=True)
    ratio = float(exponent.coeff(x1, 1).coeff(x2, 1) / exponent.coeff(x1, 2))
    assert ratio / s_x == pytest.approx(1.0, rel=1e-9)


def test_a_dropped_term_leaves_the_report():
    x = uniform(-1.0, 1.0)
    start = [(0, 0, "sin", (2.0, 0.0, 1.0, 0.0)), (0, 0, "x^2", (1.0, 0.0, 1e-4, 0.0))]
    law = network(start).snap_constants((x, torch.sin(2 * x) + 0.01 * scatter()))
    assert [c.value for c in law.report.constants if c.function == "x^2" and c.letter != "c"] == []
