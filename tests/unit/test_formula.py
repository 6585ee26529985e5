"""The formula equals the forward pass, or there is a typed error."""

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2 import Dataset, LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm, functions, sample_function
from kan2.discovery.symbolic_report import Choice, SymbolicReport
from kan2.errors import FormulaError
from kan2.expressions.reference_values import reference_values
from kan2.symbolic.formula import round_floats
from kan2.symbolic.gauge import fix_gauge
from tests.strategies import networks, samples


def evaluated(formula, model, x):
    symbols = [sympy.Symbol(name) for name in model.spec.inputs]
    formulas = formula if isinstance(formula, list) else [formula]
    columns = [np.broadcast_to(sympy.lambdify(symbols, f, ["scipy", "numpy"])(*x.numpy().T), len(x)) for f in formulas]
    return torch.tensor(np.stack(columns, 1).astype(float))


@settings(max_examples=20)
@given(networks(edges=("symbolic", "none"), max_layers=2))
def test_formula_equals_forward_for_any_symbolic_network(model):
    x = samples(model)
    with torch.no_grad():
        expected = model(x)
    torch.testing.assert_close(evaluated(model.symbolic_formula(), model, x), expected, rtol=1e-9, atol=1e-9)


def test_product_of_four_factors():
    terms = tuple(SymbolicTerm(t, s, "x") for t in range(5) for s in range(5))
    spec = NetworkSpec(
        (LayerSpec(5, 1, (4,), (), terms), LayerSpec(2, 1, (), (), (SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "x"))))
    )
    generator = torch.Generator().manual_seed(0)
    first = LayerValues(
        affine=torch.randn(25, 4, generator=generator), subnode_bias=torch.randn(5, generator=generator)
    )
    model = MultKAN.from_values(spec, [first, LayerValues(affine=torch.randn(2, 4, generator=generator))])
    x = samples(model)
    torch.testing.assert_close(evaluated(model.symbolic_formula(), model, x), model(x).detach(), rtol=1e-9, atol=1e-9)


def test_splines_are_named_not_dropped():
    model = MultKAN([2, 3, 1])
    with pytest.raises(FormulaError, match=r"9 edges are still splines: .*auto_symbolic"):
        model.symbolic_formula()
    half = MultKAN([2, 1]).fix_symbolic((0, 0, 0), "sin", fit=False)
    with pytest.raises(FormulaError, match=r"1 edges are still splines: \(0, 0, 1\)"):
        half.symbolic_formula()
    with pytest.raises(FormulaError, match=r"\(0, 0, 0\)"):
        half.unfix_symbolic((0, 0, 0)).symbolic_formula()


def test_removed_edges_and_nodes_leave_the_formula():
    model = MultKAN([2, 2, 1], grid=3)
    for edge in list(model.spec.edges()):
        model = model.fix_symbolic(edge.index, "x", fit=False)
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert model.symbolic_formula() == 2 * sympy.Symbol("x1") + 2 * sympy.Symbol("x2")
    smaller = model.remove_node(1, 0)
    assert smaller(x).item() == pytest.approx(3.0)
    assert smaller.symbolic_formula() == sympy.Symbol("x1") + sympy.Symbol("x2")
    fewer = smaller.remove_edge((0, 0, 0))
    assert fewer.symbolic_formula() == sympy.Symbol("x2")


def test_numbers_are_rounded_by_significant_digits():
    x = sympy.Symbol("x")
    assert str(round_floats(0.00123 * x + 1234.5678 * sympy.sin(x), 2)) == "0.0012*x + 1.2e+3*sin(x)"
    assert str(round_floats(sympy.exp(0.993277345753641 * x**2), 3)) == "exp(0.993*x**2)"


def test_float32_networks_print_a_formula_too():
    data = sample_function("2*x1", [(-1, 1)], n=30)
    model = MultKAN([1, 1], grid=2, dtype=torch.float32)
    model.fit(data, steps=10)
    formula = model.fix_symbolic((0, 0, 0), "x").symbolic_formula(digits=3)
    assert float(formula.subs("x1", 1)) == pytest.approx(2.0, rel=1e-2)


@pytest.mark.parametrize("name", functions.BUILT_IN)
def test_every_function_of_the_table_has_a_formula_that_is_checked(name):
    spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, name),)),))
    model = MultKAN.from_spec(spec)
    x = sympy.Symbol("x1")
    low, high = (max(functions.get(name).domain[0], 0.2), min(functions.get(name).domain[1], 1.4))
    points = torch.linspace(low, high, 12, dtype=torch.float64)[1:-1, None]
    values = reference_values([model.symbolic_formula()], ["x1"], points.numpy())
    assert name == "0" or model.symbolic_formula().has(x)
    torch.testing.assert_close(model(points).detach(), torch.as_tensor(values), rtol=1e-9, atol=1e-12)


def test_latex_refuses_splines_unchecked_too():
    with pytest.raises(FormulaError, match="still splines"):
        MultKAN([2, 1]).latex(check=False)


def one_term(function, affine, shape=0.0):
    spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, function),)),), ("x",))
    return MultKAN.from_values(spec, [LayerValues(affine=[list(affine)], shape=[shape])])


def arrhenius(scale, energy, low, high):
    """scale * exp(-energy / x) with all of it in the argument."""
    terms = [LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, f),)) for f in ("1/x", "exp")]
    affine = [1.0, 0.0, -energy, np.log(scale) + 3 * energy / low], [1.0, -3 * energy / low, 1.0, 0.0]
    model = MultKAN.from_values(NetworkSpec(tuple(terms), ("x",)), [LayerValues(affine=[list(a)]) for a in affine])
    x = torch.linspace(low, high, 50, dtype=torch.float64)[:, None]
    return model, x, scale * torch.exp(-energy / x)


@pytest.mark.parametrize(("scale", "energy"), [(4e10, 5773.4), (3.1e-20, 1e5), (2.5e30, 9e6), (1e250, 3e5)])
def test_exponentials_have_constants_that_floats_hold(scale, energy):
    model, x, y = arrhenius(scale, energy, 300.0, 400.0)
    for network in (model, fix_gauge(model)):
        network.data = Dataset(x, y, ("x",))
        formula = network.symbolic_formula()
        assert all(number == 0 or 1e-300 < abs(number) < 1e300 for number in formula.atoms(sympy.Float))
        with torch.no_grad():
            expected = network(x)
        if float(energy / 300) < 700:
            torch.testing.assert_close(evaluated(formula, network, x), y, rtol=1e-8, atol=0.0)
        torch.testing.assert_close(evaluated(formula, network, x), expected, rtol=1e-8, atol=0.0)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 2.0), st.floats(-5e3, 5e3), st.floats(-1.0, 1.0))
def test_growth_over_years_has_a_year_of_its_own(rate, year, log_c):
    model = one_term("exp", (rate, -rate * year, np.exp(log_c), 0.0))
    x = year + torch.linspace(-10, 10, 30, dtype=torch.float64)[:, None]
    model.data = Dataset(x, model(x).detach(), ("x",))
    for network in (model, fix_gauge(model)):
        network.data = model.data
        for formula in (network.symbolic_formula(), network.symbolic_formula(digits=17)):
            assert "+1" not in "".join(str(v)[-6:] for v in formula.atoms(sympy.Float))
            torch.testing.assert_close(evaluated(formula, network, x), model(x).detach(), rtol=1e-9, atol=0.0)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["x^2", "x^3", "x^5", "1/x", "1/x^3", "sqrt", "1/sqrt", "power", "log", "abs"]),
    st.integers(-30, 30),
    st.integers(-30, 30),
    st.sampled_from([0.0, 0.7]),
    st.sampled_from([-12.0, 1.37, 12.0]),
)
def test_powers_keep_their_value_in_every_unit(function, k_x, k_y, b, p):
    model = one_term(function, (10.0**-k_x, b, 2.5 * 10.0**k_y, 0.3 * 10.0**k_y), p if function == "power" else 0.0)
    x = (10.0**k_x * torch.linspace(0.5, 2, 30, dtype=torch.float64))[:, None]
    with torch.no_grad():
        expected = model(x)
        model.data = Dataset(x, expected, ("x",))
        normal = fix_gauge(model)
        torch.testing.assert_close(normal(x) / 10.0**k_y, expected / 10.0**k_y, rtol=1e-9, atol=1e-9)
    found = evaluated(normal.symbolic_formula(), normal, x)
    torch.testing.assert_close(found / 10.0**k_y, expected / 10.0**k_y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", ["cosh", "sinh", "tanh", "sigmoid", "erf", "gaussian"])
@pytest.mark.parametrize("shift", [-300.0, -30.0, 30.0, 300.0])
def test_large_arguments_have_formulas(function, shift):
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    row = functions.get(function)
    size = float(row(torch.tensor([shift], dtype=torch.float64))) or 1.0
    model = one_term(function, (2.0, shift, 1 / size, 0.0))
    model.data = Dataset(x, model(x).detach(), ("x",))
    torch.testing.assert_close(evaluated(model.symbolic_formula(), model, x), model(x).detach(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("shift", [1e3, 1e6, 1e9])
def test_cancellation_is_no_disagreement(shift):
    model = one_term("x^2", (1.0, shift, 1.7, -1.7 * shift**2))
    x = torch.linspace(0, 1, 40, dtype=torch.float64)[:, None]
    model.data = Dataset(x, model(x).detach(), ("x",))
    for simplify in (False, True):
        formula = model.symbolic_formula(simplify=simplify)
        truth = 1.7 * x * (x + 2 * shift)
        assert (evaluated(formula, model, x) - truth).abs().max() <= 64 * max(
            float((model(x).detach() - truth).abs().max()), 1e-15 * shift
        )


@settings(max_examples=10, deadline=None)
@given(st.integers(-30, 30), st.integers(-30, 30))
def test_a_wrong_formula_is_found_in_every_unit(k_x, k_y):
    wrong = functions.SymbolicFunction("wrong", torch.tanh, lambda u: sympy.tanh(u) * (1 + sympy.Rational(1, 10**5)), 3)
    functions.register(wrong, replace=True)
    model = one_term("wrong", (10.0**-k_x, 0.0, 10.0**k_y, 0.0))
    with pytest.raises(FormulaError, match="torch and sympy forms"):
        model.symbolic_formula()
    x = 10.0**k_x * torch.linspace(-1, 1, 30, dtype=torch.float64)[:, None]
    model.data = Dataset(x, model(x).detach(), ("x",))
    with pytest.raises(FormulaError, match="expected the formula to equal the network"):
        model.symbolic_formula()
    assert model.symbolic_formula(check=False).has(sympy.tanh)


def test_a_formula_is_compared_all_over_the_samples():
    def kinked(u):
        return torch.where(u > 5, u + 1, u)

    functions.register(functions.SymbolicFunction("kinked", kinked, lambda u: u, 3), replace=True)
    model = one_term("kinked", (1.0, 0.0, 1.0, 0.0))
    x = torch.linspace(0, 9, 300, dtype=torch.float64)[:, None]
    model.data = Dataset(x, model(x).detach(), ("x",))
    with pytest.raises(FormulaError, match="instead of"):
        model.symbolic_formula()


def test_edges_that_no_function_fits_are_named_with_what_helps():
    model = MultKAN([1, 1], grid=3)
    model.report = SymbolicReport(1.0, choices=[Choice((0, 0, 0), None, 1.0)])
    with pytest.raises(
        FormulaError, match=r"no function of the library fits: \(0, 0, 0\).*finer grid.*library=.*accuracy="
    ):
        model.symbolic_formula()
    with pytest.raises(FormulaError, match=r"suggest_symbolic\(\(0, 0, 0\)\)"):
        model.symbolic_formula()
