"""Smoothing of small tables, and the terms that hold coefficients together."""

import numpy as np
import pytest
import torch

from kan2 import MultKAN
from kan2.training import _matrix_free, smoothing
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Problem
from kan2.training.roughness import Roughness
from kan2.training.smoothing import score

X = torch.linspace(-1, 1, 25, dtype=torch.float64)[:, None]
Y = X**2 + 0.1 * torch.randn(25, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def problem_of(model: MultKAN, x: torch.Tensor, y: torch.Tensor, strength: float) -> Problem:
    problem = Problem(x, y, roughness=Roughness(0.0, strength))
    problem.restart(ParameterVector(model))
    return problem


def test_the_term_is_the_mean_square_of_the_second_derivative():
    model = MultKAN([1, 1], grid=40, grid_range=(-1, 1), seed=3)
    problem = problem_of(model, X, Y, 1.0)
    # The output is the edge: its weight is 1, and the grid has length 2.
    fine = torch.linspace(-1, 1, 4002, dtype=torch.float64)[1:-1, None]
    bent = model.jet(fine, order=2).hessian.detach().flatten() * 2**2
    assert problem.roughness.value(ParameterVector(model)) == pytest.approx(float(bent.square().mean()), rel=1e-3)


@pytest.mark.parametrize("strength", [0.0, 1e-4, 1e-2, 1.0])
def test_freedom_is_the_trace_of_the_map_from_targets_to_outputs(strength):
    model = MultKAN([1, 1], grid=4)
    problem = problem_of(model, X, Y, strength)
    features = model.layers[0].numeric.features(X)[:, 0].detach()
    bend = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    for term in problem.roughness.terms(ParameterVector(model)):
        bend = bend + len(X) * strength * term.matrix[0].T @ term.matrix[0]
    hat = features @ torch.linalg.pinv(features.T @ features + bend, rtol=1e-13) @ features.T
    found = score(model, problem)
    assert found.freedom == pytest.approx(float(hat.trace()), abs=1e-4)
    loss, n, p = float((model(X) - Y).square().mean().detach()), len(X), found.freedom
    assert found.value == pytest.approx(loss * (n / (n - p)) ** 2 * (1 + p / n), rel=1e-6)


def test_strong_smoothing_leaves_a_straight_line():
    model = MultKAN([1, 1], grid=5)
    model.fit((X, Y), smoothing=1e4)
    line = np.polyval(np.polyfit(X[:, 0], Y[:, 0], 1), X[:, 0])
    np.testing.assert_allclose(model.predict(X)[:, 0], line, atol=1e-4)


def test_what_was_chosen_is_told_and_kept():
    model = MultKAN([1, 1], grid=10)
    history = model.fit((X, Y))
    assert history.smoothing > 0
    assert 2 < history.freedom < 8
    assert history.score < 1
    assert model.smoothing == history.smoothing
    assert "smoothing" in repr(history)
    assert MultKAN([1, 1], grid=10).fit((X, Y), smoothing=0.0).freedom is None


def test_networks_too_large_for_a_matrix_are_not_scored(monkeypatch):
    monkeypatch.setattr(_matrix_free, "LARGEST_DENSE", 10)
    monkeypatch.setattr(smoothing, "score", lambda *_: pytest.fail("scored"))
    assert MultKAN([1, 3, 1]).fit((X, Y), steps=3).freedom is None


def test_terms_follow_the_samples_when_the_grid_stays():
    model, x = MultKAN([1, 1], grid=30, grid_range=(-1, 1)), torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
    vector, problem = ParameterVector(model), Problem(x, x**2, roughness=1e-10)
    problem.restart(vector)
    (before,) = problem.roughness.terms(vector)
    problem = Problem(x / 2, x**2, roughness=problem.roughness)
    problem.restart(vector)
    (after,) = problem.roughness.terms(vector)
    (anew,) = _terms_of(model, Problem(x / 2, x**2, roughness=1e-10))
    assert before.matrix.shape != after.matrix.shape or not torch.equal(before.matrix, after.matrix)
    assert torch.equal(after.matrix, anew.matrix)


def _terms_of(model: MultKAN, problem: Problem) -> list:
    vector = ParameterVector(model)
    problem.restart(vector)
    return list(problem.roughness.terms(vector))


def test_later_lessons_leave_alone_what_they_do_not_touch():
    model = MultKAN([1, 1], grid=40, grid_range=(-1, 1), base_fun="zero")
    x = torch.linspace(-1, 1, 300, dtype=torch.float64)[:, None]
    left, right = x[x < -0.2][:, None], x[x > 0.2][:, None]
    model.fit((left, torch.sin(9 * left)), update_grid=False, smoothing=0.0)
    before = model.layers[0].numeric.weight.detach().clone()
    model.fit((right, torch.sin(9 * right)), update_grid=False)
    touched = model.layers[0].numeric.basis(right).abs().sum(0)[0] > 0
    after = model.layers[0].numeric.weight.detach()
    assert torch.equal(after[0, 0, ~touched], before[0, 0, ~touched])
    # What lies between the lessons, and was only continued, does not pull: (9 h)^4 / 384 is the error of the spline.
    assert float((model(right) - torch.sin(9 * right)).detach().abs().max()) < (9 * 0.05) ** 4 / 384


@pytest.mark.parametrize("base_fun", ["silu", "identity", "zero"])
@pytest.mark.parametrize("roughness", [None, 0.0])
def test_five_lessons_do_not_rewrite_each_other(base_fun, roughness):
    # The weight of a base function acts on the whole line, and a lesson that sees a part of it hardly determines it.
    model = MultKAN([1, 1], grid=50, grid_range=(-1, 1), base_fun=base_fun)
    x = torch.linspace(-1, 1, 500, dtype=torch.float64)[:, None]
    y = torch.exp(-(((x - torch.linspace(-0.8, 0.8, 5, dtype=torch.float64)) / 0.1) ** 2)).sum(1, keepdim=True)
    options = {} if roughness is None else {"roughness": roughness}
    for part in torch.arange(500).chunk(5):
        model.fit((x[part], y[part]), update_grid=False, **options)
    assert float((model(x) - y).detach().square().mean().sqrt()) < 0.01
