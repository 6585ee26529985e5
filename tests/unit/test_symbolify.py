"""Suggesting, fixing and unfixing functions; whole networks become their formulas."""

import copy

import pytest
import sympy
import torch

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicFunction, SymbolicTerm, functions, sample_function
from kan2.errors import DataError, EdgeError, UnknownNameError
from kan2.symbolic.curves import canonical


def trained(formula, ranges, width, **options):
    data = sample_function(formula, ranges, n=400)
    model = MultKAN(width, grid=options.pop("grid", 10))
    model.fit(data, **options)
    return model


def test_suggestions_only_read():
    model = trained("sin(3*x1)", [(-1, 1)], [1, 1], steps=30)
    before = copy.deepcopy(model.state_dict())
    table = model.suggest_symbolic((0, 0, 0), top=5)
    assert table[0].function == "sin"
    assert len(table) == 5
    assert "sin" in str(table)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    fixed = model.fix_symbolic((0, 0, 0), "sin")
    assert fixed.suggest_symbolic((0, 0, 0))[0].function == "sin"
    assert fixed.spec.layers[0].terms[0].function == "sin"


@pytest.mark.parametrize("edge", [(0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 5), 3])
@pytest.mark.usefixtures("unchecked")
def test_edges_that_do_not_exist_are_refused(edge):
    model = MultKAN([1, 1])
    for verb in (model.suggest_symbolic, model.unfix_symbolic, lambda e: model.fix_symbolic(e, "sin")):
        with pytest.raises(EdgeError):
            verb(edge)


def test_a_pykan_style_call_fails_loudly():
    with pytest.raises((EdgeError, UnknownNameError, TypeError)):
        MultKAN([2, 2, 1]).fix_symbolic(0, 1, 1, "sin")


def test_unknown_functions_are_refused_with_a_hint():
    with pytest.raises(UnknownNameError, match="Did you mean"):
        MultKAN([1, 1]).fix_symbolic((0, 0, 0), "sine")
    with pytest.raises(UnknownNameError):
        MultKAN([1, 1]).auto_symbolic(([[0.0], [1.0]], [0.0, 1.0]), library=["sine"])


def test_fix_before_any_training_uses_the_grid():
    model = MultKAN([1, 1]).fix_symbolic((0, 0, 0), "sin")
    assert model.spec.layers[0].terms[0].function == "sin"


def test_unfix_follows_a_function_where_it_is_defined():
    layer = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sqrt"),))
    x = torch.linspace(-0.02, 4, 200, dtype=torch.float64)[:, None]
    spline = MultKAN.from_spec(NetworkSpec((layer,), ("x",))).unfix_symbolic((0, 0, 0), x)
    found, expected = spline(x[20:]).detach(), x[20:].sqrt()
    assert float((found - expected).abs().max()) < 0.1
    with pytest.raises(EdgeError, match="finite"):
        MultKAN.from_spec(NetworkSpec((layer,), ("x",))).unfix_symbolic((0, 0, 0), -1 - x.abs())


def test_unfix_follows_the_function():
    model = MultKAN([2, 1], grid=20).fix_symbolic((0, 0, 1), "sin", affine=(3, 0, 1, 0))
    x = torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.8 - 0.9
    spline = model.unfix_symbolic((0, 0, 1))
    torch.testing.assert_close(spline(x), model(x), atol=1e-4, rtol=0)
    with pytest.raises(EdgeError, match="expected a symbolic edge"):
        spline.unfix_symbolic((0, 0, 1))


def test_users_functions_take_part():
    row = SymbolicFunction(
        "sinc2", lambda u: torch.sinc(u) ** 2, lambda u: (sympy.sin(sympy.pi * u) / (sympy.pi * u)) ** 2, 3
    )
    functions.register(row, replace=True)
    model = trained("1 - x1**2", [(-1, 1)], [1, 1], steps=5).fix_symbolic((0, 0, 0), "sinc2", fit=False)
    x = torch.tensor([[0.3]], dtype=torch.float64)
    assert float(model.symbolic_formula().subs("x1", 0.3)) == pytest.approx(model(x).item())


@pytest.mark.parametrize(("formula", "ranges", "width", "options"), [
    ("x*y", {"x": (-1, 1), "y": (-1, 1)}, [2, [0, 1]], {"grid": 3}),
    ("exp(sin(pi*x) + y**2)", {"x": (-1, 1), "y": (-1, 1)}, [2, 1, 1], {"restarts": 4, "steps": 60}),
    ("x/y", {"x": (1, 2), "y": (1, 2)}, [2, 1, 1], {"restarts": 4, "steps": 60}),
    ("sin(4*x) + 3*x**2/10", {"x": (-1, 1)}, [1, 1], {}),
    ("atan(3*x)", {"x": (-1, 1)}, [1, 1], {}),
])  # fmt: skip
def test_formulas_are_found_exactly(formula, ranges, width, options):
    model = trained(formula, ranges, width, **options)
    before = copy.deepcopy(model.state_dict())
    symbolic = model.auto_symbolic()
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items()), "the source model was changed"
    if formula.startswith("sin(4*x) +"):
        # One edge that is a sum of two functions: no single row of the table is it, so it must stay a spline.
        assert [e.is_numeric for e in symbolic.spec.edges()] == [True]
        return
    truth = sympy.sympify(formula)  # a literal of this test
    assert sympy.simplify(symbolic.symbolic_formula() - truth) == 0
    assert symbolic.report.choices


def test_an_edge_that_no_function_fits_stays_a_spline():
    model = trained("sin(7*x) + x**3 + abs(x - 0.2)", {"x": (-1, 1)}, [1, 1])
    symbolic = model.auto_symbolic(library=["x", "x^2", "exp"])
    assert [e.is_numeric for e in symbolic.spec.edges()] == [True]
    assert symbolic.report.choices[-1].function is None


def test_a_node_that_nothing_reads_is_left_alone(monkeypatch):
    monkeypatch.setattr(
        "kan2.discovery.symbolify._Search.drop_idle_edges", lambda _: None
    )  # it rarely leaves such a node
    layers = LayerSpec(1, 2), LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"),))
    model = MultKAN.from_spec(NetworkSpec(layers))
    data = sample_function("sin(x)", {"x": (-2, 2)}, n=200)
    model.fit(data, steps=20)
    assert model.auto_symbolic().symbolic_formula() == sympy.sin(sympy.Symbol("x"))


def test_unfix_needs_no_data_and_reaches_as_far_as_data_do():
    x = torch.linspace(0, 10, 100, dtype=torch.float64)[:, None].repeat(1, 2)
    model = MultKAN([2, 1], grid=5).fix_symbolic((0, 0, 0), "x^2", affine=(1, 0, 1, 0))
    spline = model.unfix_symbolic((0, 0, 0), x)
    torch.testing.assert_close(spline(x), model(x), atol=1e-6, rtol=1e-3)
    sine = MultKAN([1, 1]).fix_symbolic((0, 0, 0), "sin", affine=(1, 0, 1, 0))
    inside = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    torch.testing.assert_close(sine.unfix_symbolic((0, 0, 0))(inside), sine(inside), atol=1e-3, rtol=0)


def test_fixing_an_edge_of_a_frozen_layer_leaves_it_frozen():
    model = MultKAN([2, 1])
    model.layers[0].numeric.weight.requires_grad_(False)
    fixed = model.fix_symbolic((0, 0, 0), "sin", affine=(1, 0, 1, 0))
    assert not fixed.layers[0].numeric.weight.requires_grad


def test_a_constant_edge_may_be_any_function():
    model = MultKAN([1, 1])
    with torch.no_grad():
        model.layers[0].numeric.weight.zero_()
    for name in ("log", "1/x", "acosh", "sqrt", "exp", "sin", "x^2", "x"):
        assert model.fix_symbolic((0, 0, 0), name)([[0.5]]).item() == 0


def test_parity_is_seen_beyond_one_pair_of_points():
    row = functions.register(SymbolicFunction("hinge", lambda u: torch.relu(u - 1), lambda u: sympy.Max(u - 1, 0), 3))
    assert canonical(row.name, (-1.0, 0.0, 1.0, 0.0)) == (-1.0, 0.0, 1.0, 0.0)
    assert [canonical(name, (-2.0, 0.0, 1.0, 0.0))[::2] for name in ("cos", "tanh", "exp")] == [
        (2.0, 1.0), (2.0, -1.0), (-2.0, 1.0)
    ]  # fmt: skip


def test_samples_without_targets_are_refused():
    model = trained("sin(3*x1)", [(-1, 1)], [1, 1], steps=5)
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    verbs = (model.auto_symbolic, model.relevance, lambda data: model.try_variables({"p": "x1**2"}, data))
    for verb in verbs:
        with pytest.raises(DataError, match="X alone"):
            verb(x)


def test_an_edge_that_carries_nothing_is_like_no_function():
    model = MultKAN([2, 1], grid=3).remove_edge((0, 0, 0))
    with pytest.raises(EdgeError, match="suggest_symbolic: expected an edge that carries something"):
        model.suggest_symbolic((0, 0, 0))
    assert model.fix_symbolic((0, 0, 0), "sin", fit=False).spec.n_edges == 2
    assert model.fix_symbolic((0, 0, 0), "sin").spec.n_edges == 2


@pytest.mark.parametrize("value", [0.0, 7.3, 1e-19, -1.234e25])
def test_targets_that_are_all_equal_are_the_constant(value, generator):
    x = torch.rand(60, 1, generator=generator, dtype=torch.float64)
    model = MultKAN([1, 2, 1])
    model.fit((x, torch.full((60,), value, dtype=torch.float64)), steps=5)
    found = model.auto_symbolic()
    assert found.symbolic_formula().is_number
    assert float(found.symbolic_formula()) == value
    assert len(found.report.pareto) == 1
    assert not found.report.pareto.recommended.model.layers[0].symbolic.free.any()


def test_samples_without_weight_do_not_keep_a_constant_from_being_found(generator):
    x = torch.rand(60, 1, generator=generator, dtype=torch.float64)
    y, weight = torch.full((60,), 0.1, dtype=torch.float64), torch.ones(60, dtype=torch.float64)
    y[7], weight[7] = 5.0, 0.0
    model = MultKAN([1, 1])
    model.fit((x, y), sample_weight=weight, steps=5)
    assert model.auto_symbolic().symbolic_formula() == sympy.Rational(1, 10)


def test_an_output_that_is_constant_beside_one_that_varies(generator):
    x = torch.rand(60, 1, generator=generator, dtype=torch.float64)
    model = MultKAN([1, 2])
    model.fit((x, torch.cat([x**2, torch.zeros_like(x)], 1)))
    assert model.auto_symbolic().symbolic_formula() == [sympy.Symbol("x1") ** 2, 0]


@pytest.mark.slow
@pytest.mark.parametrize("prunes", [False, True])
def test_of_two_equal_columns_one_is_enough(prunes):
    x = 4 * torch.rand(100, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = MultKAN([2, 1])
    model.fit((x.expand(-1, 2), x**2))
    model = model.auto_prune() if prunes else model
    assert model.spec.n_edges == (1 if prunes else 2)
    assert str(model.auto_symbolic().symbolic_formula()) in ("x1**2", "x2**2")


@pytest.mark.slow
def test_a_power_law_over_two_decades_is_found_without_a_hidden_layer():
    # Eight orbits in metres: between the samples the spline says little, and no search for a shift finds its way.
    orbit = torch.tensor([57.9, 108.2, 149.6, 227.9, 778.6, 1433.5, 2872.5, 4495.1], dtype=torch.float64) * 1e9
    model = MultKAN([1, 1])
    model.fit((orbit[:, None], 2 * torch.pi * (orbit**3 / 1.327e20).sqrt()))
    law = model.auto_symbolic().symbolic_formula()
    assert law.as_coeff_Mul()[1] == sympy.Symbol("x1") ** sympy.Rational(3, 2)
