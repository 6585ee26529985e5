"""Errors and fits of a symbolic network know no unit of measure and no offset."""

from dataclasses import replace

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2 import LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm, uncertainties
from kan2.symbolic import natural
from kan2.symbolic.natural import minimise
from kan2.symbolic.snap import snap_constants
from kan2.training.problem import Problem


def one_term(function, affine, shape=0.0, free="abcdp"):
    spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, function, free),)),))
    return MultKAN.from_values(spec, [LayerValues(affine=[list(affine)], shape=[shape])])


def noisy(n=60, noise=0.01, seed=0):
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(n, 1, generator=generator, dtype=torch.float64)
    return t, noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(-30, 30), st.integers(-30, 30), st.sampled_from([0.0, 3.0, 1e3, 1e6]))
def test_errors_of_a_line_are_those_of_regression_in_any_unit(k_x, k_y, offset):
    t, scatter = noisy()
    x, y = (offset + t) * 10.0**k_x, (2 * t + 0.3 + scatter) * 10.0**k_y
    model = one_term("x", (1.0, 0.0, 10.0 ** (k_y - k_x), 0.0), free="cd")
    minimise(model, Problem(x, y), 60)
    found = {c.letter: c for c in uncertainties(model, (x, y))}
    with mpmath.workdps(80):
        u, v = ([mpmath.mpf(value) for value in column[:, 0].tolist()] for column in (x, y))
        n, mean_u, mean_v = len(u), mpmath.fsum(u) / len(u), mpmath.fsum(v) / len(v)
        square = mpmath.fsum((p - mean_u) ** 2 for p in u)
        slope = mpmath.fsum((p - mean_u) * (q - mean_v) for p, q in zip(u, v)) / square
        constant = mean_v - slope * mean_u
        variance = mpmath.fsum((q - slope * p - constant) ** 2 for p, q in zip(u, v)) / (n - 2)
        expected = {
            "c": (slope, mpmath.sqrt(variance / square)),
            "d": (constant, mpmath.sqrt(variance * (mpmath.mpf(1) / n + mean_u**2 / square))),
        }
    for letter, (value, error) in expected.items():
        assert found[letter].value == pytest.approx(float(value), abs=1e-3 * float(error))
        assert found[letter].error == pytest.approx(float(error), rel=1e-3)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(-30, 30), st.integers(-30, 30), st.sampled_from([0.0, 2000.0, 1e5]))
def test_a_fit_of_a_bend_is_the_same_in_any_unit(k_x, k_y, offset):
    t, scatter = noisy()
    s_x, s_y = 10.0**k_x, 10.0**k_y
    plain = one_term("tanh", (3.0, -1.4, 1.9, 0.1))
    y = torch.tanh(3.3 * t - 1.2) * 2 + scatter
    minimise(plain, Problem(t, y), 60)
    shifted = one_term("tanh", (3.0 / s_x, -1.4 - 3.0 * offset, 1.9 * s_y, 0.1 * s_y))
    minimise(shifted, Problem((t + offset) * s_x, y * s_y), 60)
    (a, b, c, d), (a2, b2, c2, d2) = (m.layers[0].symbolic.affine[0].tolist() for m in (plain, shifted))
    assert [a2 * s_x, b2 + a2 * s_x * offset, c2 / s_y, d2 / s_y] == pytest.approx([a, b, c, d], rel=1e-5)
    errors = [{c.letter: c.error for c in uncertainties(m, data)} for m, data in (
        (plain, (t, y)), (shifted, ((t + offset) * s_x, y * s_y)))]  # fmt: skip
    for letter, unit in zip("acd", (1 / s_x, s_y, s_y)):
        assert errors[1][letter] / unit == pytest.approx(errors[0][letter], rel=1e-4)


def test_numbers_without_influence_have_large_errors():
    t, scatter = noisy()
    model = one_term("tanh", (0.0, 0.2, 1.0, 0.0))
    assert max(c.error for c in uncertainties(model, (t, scatter))) > 1e6


def test_numbers_at_the_end_of_a_domain_have_infinite_errors():
    # The root is 0 at the first sample, where its slope is infinite.
    x = torch.linspace(0, 1, 30, dtype=torch.float64)[:, None]
    y = x.sqrt() + 0.1 + 0.01 * torch.sin(40 * x)
    model = one_term("sqrt", (1.0, 0.0, 1.0, 0.1), free="bcd")
    assert all(constant.error == float("inf") for constant in uncertainties(model, (x, y)))
    torch.testing.assert_close(snap_constants(model, (x, y))(x), model(x))


def test_a_step_to_where_slopes_are_infinite_is_taken_back(monkeypatch):
    triangle, losses = natural._triangle, []

    def infinite_at_second(problem, vector, evaluation, coordinates):
        losses.append(evaluation.loss)
        found = triangle(problem, vector, evaluation, coordinates)
        return found if len(losses) < 2 else replace(found, matrix=found.matrix / 0)

    monkeypatch.setattr(natural, "_triangle", infinite_at_second)
    t, scatter = noisy()
    model = one_term("tanh", (3.0, -1.4, 1.9, 0.1))
    before = model(t)
    assert minimise(model, Problem(t, torch.tanh(3.3 * t - 1.2) + scatter), 9) == losses[0] > losses[1]
    torch.testing.assert_close(model(t), before)
