"""The formula equals the forward pass, or there is a typed error."""

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings

from kan2 import LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm, functions, sample_function
from kan2.errors import FormulaError
from kan2.expressions.reference_values import reference_values
from kan2.symbolic.formula import round_floats
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
