"""The objective in flat arrays against the general one, for random networks of splines."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2 import LayerSpec, MultKAN, NetworkSpec
from kan2.core.spec import BasisSpec
from kan2.symbolic.fix import fix_symbolic
from kan2.training._equations import GeneralEvaluator, array
from kan2.training.compact import equations
from kan2.training.compact.equations import CompactEvaluator, DenseEquations, ProductEquations, SampleEquations
from kan2.training.compact.evaluator import can_compact
from kan2.training.losses import CrossEntropy, SquaredError
from kan2.training.parameters import ParameterVector
from kan2.training.penalties import Penalty
from kan2.training.problem import Problem
from kan2.training.roughness import Roughness
from kan2.training.smoothing import score

pytest.importorskip("numba")


@st.composite
def problems(draw):
    """A problem with its network: one to three layers, products, missing edges, scaled nodes, coarse and fine grids."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    grid, base = draw(st.sampled_from((1, 3, 5, 12, 30))), draw(st.sampled_from(("silu", "zero")))
    basis = BasisSpec(
        grid=grid, k=draw(st.integers(1, 4)), base_fun=base, outside=draw(st.sampled_from(("tangent", "base")))
    )
    layers, n_in = [], draw(st.integers(1, 3))
    for _ in range(draw(st.integers(1, 3))):
        n_sum = draw(st.integers(0, 2))
        arities = tuple(draw(st.lists(st.integers(2, 3), min_size=0 if n_sum else 1, max_size=2)))
        pairs = [(t, s) for t in range(n_sum + sum(arities)) for s in range(n_in)]
        kept = tuple(pair for pair in pairs if draw(st.integers(0, 3)))
        numeric = "all" if draw(st.booleans()) or not kept else kept
        layers.append(LayerSpec(n_in, n_sum, arities, numeric, basis=basis))
        n_in = n_sum + len(arities)
    model = MultKAN.from_spec(NetworkSpec(tuple(layers)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    x = 2.4 * torch.rand(40, layers[0].n_in, generator=generator, dtype=torch.float64) - 1.2
    y = torch.randn(40, n_in, generator=generator, dtype=torch.float64)
    weight = torch.rand(40, generator=generator, dtype=torch.float64) if draw(st.booleans()) else None
    units = torch.rand(n_in, generator=generator, dtype=torch.float64) + 0.5 if draw(st.booleans()) else None
    return model, Problem(x, y, weight, loss=SquaredError(units), roughness=draw(st.sampled_from((0.0, 1e-4))))


@pytest.mark.slow
@settings(max_examples=60)
@given(problems())
def test_flat_arrays_say_what_the_general_way_says(case):
    model, problem = case
    vector = ParameterVector(model)
    assert can_compact(problem, vector)
    numbers = array(vector.read())
    compact, general = CompactEvaluator(problem, vector), GeneralEvaluator(problem, vector)
    compact.measure(numbers)
    measured = [vector.sizes, *problem.roughness.weights, *problem.roughness.support]
    problem.restart(vector)
    again = [vector.sizes, *problem.roughness.weights, *problem.roughness.support]
    for mine, theirs in zip(measured, again, strict=True):
        torch.testing.assert_close(mine, theirs)
    compact.read_terms()
    mine, theirs = compact.evaluate(numbers), general.evaluate(numbers)
    for name in ("objective", "loss", "penalty"):
        assert getattr(mine, name) == pytest.approx(getattr(theirs, name), rel=1e-9)
    assert mine.squares is not None
    assert theirs.squares is not None
    torch.testing.assert_close(mine.squares, theirs.squares)
    for x, y in zip(mine.inputs, theirs.inputs or (), strict=True):
        torch.testing.assert_close(x, y)
    theirs = general.equations(numbers, theirs)
    size, steep = np.abs(theirs.diagonal).max() + 1e-300, np.abs(theirs.gradient).max()
    delta, scale = 0.01 * np.cos(np.arange(len(numbers))), np.maximum(theirs.diagonal, 1e-6 * size)
    second, solve = theirs.second(delta, 0.1), theirs.scaled(scale)(0.1)
    for form in (DenseEquations, SampleEquations, ProductEquations):
        own = form(compact, numbers, mine)
        np.testing.assert_allclose(own.gradient, theirs.gradient, rtol=1e-8, atol=1e-9 * steep)
        np.testing.assert_allclose(own.diagonal, theirs.diagonal, rtol=1e-8, atol=1e-10 * size)
        np.testing.assert_allclose(own.second(delta, 0.1), second, rtol=1e-6, atol=1e-7 * np.abs(second).max() + 1e-9)
        if form is DenseEquations:
            np.testing.assert_allclose(own.gram, theirs.system.gram, rtol=1e-8, atol=1e-10 * size)
        found, expected = own.scaled(scale)(0.1)(own.gradient), solve(theirs.gradient)
        # Conjugate gradients end where little is to be gained.
        close = 0.1 if form is ProductEquations else 1e-6
        assert np.linalg.norm(found - expected) <= close * np.linalg.norm(expected) + 1e-12


@pytest.mark.parametrize("smoothing", [1e-3, 1e-2, 1.0])
def test_effective_parameters_by_samples_are_those_of_the_matrix(smoothing, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(60, 4, generator=generator, dtype=torch.float64)
    model = MultKAN([4, 6, 1], grid=8)
    problem = Problem(x, x.prod(1, keepdim=True), roughness=Roughness(1e-10, smoothing))
    assert CompactEvaluator(problem, ParameterVector(model)).is_wide
    found = score(model, problem)
    monkeypatch.setattr(equations, "WIDE", 10**6)
    expected = score(model, problem)
    assert found.freedom == pytest.approx(expected.freedom, rel=2e-3)
    assert found.value == pytest.approx(expected.value, rel=1e-2)


@pytest.mark.parametrize("way", [{"penalty": Penalty(1e-3)}, {"loss": CrossEntropy()}])
def test_what_it_does_not_know_goes_the_general_way(way):
    model = MultKAN([2, 2, 1], grid=3)
    x = torch.linspace(0.1, 1, 60, dtype=torch.float64).view(30, 2)
    assert can_compact(Problem(x, x[:, :1]), ParameterVector(model))
    assert not can_compact(Problem(x, x[:, :1], **way), ParameterVector(model))
    mixed = fix_symbolic(model, (0, 0, 0), "sin")
    assert not can_compact(Problem(x, x[:, :1]), ParameterVector(mixed))
