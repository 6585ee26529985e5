"""The search for formulas: Pareto table, compositions, pruning by trying, starting again."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import sympy
import torch

import kan2
from kan2 import MultKAN, SymbolicFunction, functions, sample_function
from kan2._search import _other_kind
from kan2.discovery._compose import compose
from kan2.discovery.pareto import ParetoTable, complexity
from kan2.errors import DataError
from kan2.laws.front.noise import explains, looks_like_noise
from kan2.symbolic.formula import latex


@pytest.fixture(scope="module")
def noisy():
    data = sample_function("exp(-2*x) + 1", {"x": (0, 1)}, n=300, noise=0.02)
    model = MultKAN([1, 1], grid=5)
    model.fit(data)
    return model.auto_symbolic()


def test_the_table_recommends_the_formula(noisy):
    table = noisy.report.pareto
    assert table.recommended.formula == sympy.exp(-2 * sympy.Symbol("x")) + 1
    assert "->" in str(table)
    assert str(table) in str(noisy.report)


def test_nothing_beats_the_front(noisy):
    table = noisy.report.pareto
    for simple, accurate in pairwise(table.front):
        assert simple.complexity < accurate.complexity
        assert simple.rmse > accurate.rmse
    for row in table.rows:
        assert any(f.complexity <= row.complexity and f.rmse <= row.rmse for f in table.front)


def test_splines_have_no_formula_and_cost_their_coefficients():
    model = MultKAN([2, 1], grid=5)
    table = ParetoTable(100)
    row = table.add(model, 0.1)
    assert row is not None
    assert row.formula is None
    assert complexity(model) == 2 * model.layers[0].numeric.weight.shape[-1]
    assert table.add(model, float("nan")) is None
    assert table.add(model, float("inf")) is None


def test_compose_leaves_one_function():
    data = sample_function("sin(2*x)", {"x": (-1, 1)}, n=200)
    model = MultKAN([1, 1, 1], grid=10)
    model.fit(data, steps=20)
    new = compose(model, (0, 0, 0))
    assert new.spec.layers[0].terms[0].function == "x"
    torch.testing.assert_close(new(data.X), model(data.X), atol=2e-3, rtol=0)


@pytest.mark.slow
def test_auto_prune_finds_the_smallest_network():
    data = sample_function("exp(sin(pi*x) + y**2)", {"x": (-1, 1), "y": (-1, 1)}, n=400)
    model = MultKAN([2, 3, 1], grid=5)
    model.fit(data, steps=30)
    before = copy.deepcopy(model.state_dict())
    assert model.auto_prune(floor=1e-3).width == [[2, 0], [1, 0], [1, 0]]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_discover_finds_a_product_and_says_what_it_tried():
    data = sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=300, noise=0.01)
    model = kan2.discover(data, [2, [1, 1], 1])
    x, y = sympy.symbols("x y")
    assert model.symbolic_formula() == x * y
    assert model.latex() == "x y"
    assert len(model.report.pareto) > 1


def test_the_other_kind_of_nodes_is_what_pruning_took_away():
    wide = [3, [2, 2], [1, 0], 1]
    assert _other_kind(MultKAN([3, [1, 0], [1, 0], 1]), wide, 3) == (
        [[3, 0], [0, 2], [1, 0], [1, 0]],
        [[], [3, 3], [], []],
    )
    assert _other_kind(MultKAN([3, [0, 1], [1, 0], 1]), wide, 3) == ([[3, 0], [2, 0], [1, 0], [1, 0]], [[], [], [], []])
    assert _other_kind(MultKAN([3, [1, 1], [1, 0], 1]), wide, 3) is None
    assert _other_kind(MultKAN([3, 1, 1]), [3, 5, 1], 2) is None
    assert _other_kind(MultKAN([3, 1]), [3, [1, 1], 1], 2) is None


@pytest.mark.slow
def test_discover_tries_products_where_a_sum_of_logarithms_fits_but_has_no_name():
    data = sample_function("1/sqrt(1 - v**2/c**2)", {"v": (0.1, 0.9), "c": (1.0, 2.0)}, n=400, seed=5)
    model = kan2.discover(data, [2, [1, 1], 1], seed=5)
    assert model.is_formula
    torch.testing.assert_close(model(data.X), data.y, rtol=1e-12, atol=0.0)


def test_smooth_errors_are_not_noise():
    x = torch.rand(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.randn(400, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert looks_like_noise(x, noise)
    assert not looks_like_noise(x, torch.sin(9 * x[:, :1]))


def test_a_table_of_many_rows_needs_no_table_of_distances(generator):
    # All distances of these rows would take 80 GB.
    x = torch.rand(100_000, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(100_000, 1, generator=generator, dtype=torch.float64)
    assert looks_like_noise(x, noise)
    assert not looks_like_noise(x, noise + torch.sin(9 * x[:, :1]))


def test_rows_that_stand_twice_and_single_rows_have_neighbours():
    x = torch.tensor([[0.0], [0.0], [1.0], [1.0]], dtype=torch.float64).repeat(50, 1)
    same = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]], dtype=torch.float64).repeat(50, 1)
    assert not looks_like_noise(x, same)
    assert looks_like_noise(x[:1], same[:1])


def test_auto_symbolic_needs_targets():
    with pytest.raises(DataError):
        MultKAN([1, 1]).auto_symbolic()


def test_latex_uses_the_form_of_the_function():
    row = SymbolicFunction("bump", torch.exp, sympy.exp, 2, "shift", latex=r"\operatorname{{bump}}({})")
    functions.register(row, replace=True)
    model = MultKAN([1, 1], inputs=["t"]).fix_symbolic((0, 0, 0), "bump", affine=(2, 0, 1, 0))
    assert latex(model) == r"\operatorname{bump}(2 t)"


def test_frequencies_of_bessel_functions_are_found():
    data = sample_function(lambda x: functions.get("J0")(20 * x[:, 0]), {"x": (-1, 1)}, n=400)
    model = MultKAN([1, 1], grid=40)
    model.fit(data, grids=[40], steps=10)
    row = model.suggest_symbolic((0, 0, 0), library=["J0", "sin", "x"])[0]
    assert row.function == "J0"
    assert abs(row.affine[0]) == pytest.approx(20, rel=1e-3)


@pytest.mark.slow
def test_what_explains_no_more_than_the_mean_is_no_law():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 1))
    assert not kan2.discover((x, rng.standard_normal(60)), attempts=1).report.found
    assert kan2.discover((x, np.full(60, 3.0)), attempts=1).report.found  # nothing is left
    assert kan2.discover((x, 2 * x[:, 0] + 0.3 * rng.standard_normal(60)), attempts=1).report.found


def test_errors_as_large_as_the_targets_explain_nothing(generator):
    y = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    spread = y.std(0, correction=0)
    assert not explains(y - y.mean(0), spread, 0)
    assert not explains(0.99 * y, spread, 1)
    assert not explains(torch.stack([0.1 * y[:, 0], y[:, 1]], 1), spread, 1)
    assert explains(0.5 * y, spread, 3)
