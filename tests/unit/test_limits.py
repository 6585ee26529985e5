"""Limits of time and steps hold, and what goes wrong on the way leaves the best state and a reason."""

import math
import time
import warnings

import pytest
import torch

from kan2 import MultKAN, sample_function
from kan2.errors import TrainingError
from kan2.estimators import KANRegressor
from kan2.training._threads import few_threads
from kan2.training.compact.equations import CompactEvaluator
from kan2.training.loop import ALL_STEPS, OUT_OF_TIME
from tests.training import rmse_of

UNIT = {"x": (-1, 1), "y": (-1, 1)}


def data(n=300):
    return sample_function("exp(sin(pi*x) + y^2)", UNIT, n=n, n_test=0)


@pytest.mark.parametrize("n", [20, 100, 300])
@pytest.mark.parametrize("restarts", [1, 3])
def test_no_time_leaves_the_network_where_it_starts(n, restarts):
    model = MultKAN([2, 3, 1], seed=0)
    history = model.fit(data(n), seconds=0, restarts=restarts)
    assert history.message == OUT_OF_TIME
    assert len(history) <= 3
    assert [layer.spec.basis.grid for layer in model.layers] == [5, 5]
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, True])
def test_seconds_that_are_none(seconds):
    with pytest.raises(TrainingError, match="expected seconds as a finite number >= 0"):
        MultKAN([2, 1]).fit(data(), seconds=seconds)


@pytest.mark.parametrize("options", [{}, {"restarts": 8}, {"opt": "Adam", "steps": 100_000}])
def test_seconds_hold(options):
    MultKAN([2, 3, 1], seed=0).fit(data(), steps=1)  # what is compiled at first is no part of it
    model, start = MultKAN([2, 3, 1], seed=0), time.perf_counter()
    history = model.fit(data(), seconds=0.3, tolerance=0, **options)
    assert history.message == OUT_OF_TIME
    assert time.perf_counter() - start < 3.0
    assert rmse_of(model, data()) <= 1.001 * max(history["rmse"][0], history.rmse)


@pytest.mark.slow
@pytest.mark.parametrize("restarts", [1, 2, 8])
@pytest.mark.parametrize("limit", [{"steps": 5}, {"steps": 30}, {"seconds": 0}, {"seconds": 0.05}])
def test_the_network_keeps_its_own_grid(limit, restarts):
    model = MultKAN([2, 2, 1], grid=7, seed=0)
    model.fit(data(1000), restarts=restarts, **limit)
    assert [layer.spec.basis.grid for layer in model.layers] == [7, 7]


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, 150, 1000])
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_steps_are_all_steps(n, steps):
    history = MultKAN([2, 3, 1], seed=0).fit(data(n), steps=steps, tolerance=0)
    assert len(history) <= 1 + steps + 3  # the start, and states that a stage goes back to
    assert history.message == ALL_STEPS


def test_steps_of_each_grid_that_was_asked_for():
    history = MultKAN([2, 3, 1], seed=0).fit(data(1000), grids=[3, 5, 8], steps=6, tolerance=0)
    grids = history["grid"]
    assert [grids.count(grid) >= 6 for grid in (3, 5, 8)] == [True] * 3
    assert len(history) <= 1 + 3 * 8


@pytest.mark.parametrize("n_jobs", [0, True])
def test_processes_that_are_none(n_jobs):
    with pytest.raises(TrainingError, match="expected n_jobs as a number of processes"):
        MultKAN([2, 1]).fit(data(), restarts=2, n_jobs=n_jobs)


@pytest.mark.slow
def test_processes_change_nothing():
    found = [MultKAN([2, 2, 1], seed=0) for _ in range(2)]
    for model, n_jobs in zip(found, (None, 2)):
        model.fit(data(), restarts=4, steps=5, n_jobs=n_jobs)
    assert all(torch.equal(a, b) for a, b in zip(found[0].parameters(), found[1].parameters()))


@pytest.mark.slow
def test_processes_of_the_estimators():
    x, y = data().X.numpy(), data().y.numpy()[:, 0]
    found = [KANRegressor((2,), steps=5, restarts=3, n_jobs=n_jobs).fit(x, y).predict(x) for n_jobs in (None, 2)]
    assert (found[0] == found[1]).all()


@pytest.mark.slow
def test_more_starts_leave_a_poor_minimum():
    table = sample_function("sin(3*(x - y^2))", UNIT, n=1000, n_test=0)
    one, many = (MultKAN([2, 1, 1], seed=0).fit(table, restarts=n).rmse for n in (1, 4))
    assert many < 0.1 * one


class Failing:
    """A loss that is not a number from some call on."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self, output, y):
        self.left -= 1
        return ((output - y) ** 2).mean() if self.left > 0 else (output * math.nan).mean()


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
def test_a_loss_that_becomes_nan(opt):
    model, table = MultKAN([2, 2, 1], seed=0), data()
    before = rmse_of(model, table)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(table, opt=opt, steps=60, loss=Failing(100))
    assert len(caught) <= 1
    assert history.message
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert rmse_of(model, table) < before


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
def test_a_batch_of_one(opt):
    model = MultKAN([2, 2, 1], seed=0)
    model.fit(data(), opt=opt, steps=5, batch=None if opt == "LM" else 1)
    one = MultKAN([2, 2, 1], seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = one.fit((data().X[:1], data().y[:1]), opt=opt, steps=5)
    assert len(caught) <= 2
    assert history.message


def test_columns_that_cannot_be_told_apart():
    x = data().X[:, :1]
    table = torch.cat([x, x, torch.ones_like(x)], 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MultKAN([3, 2, 1], seed=0)
        history = model.fit((table, torch.sin(3 * x)), steps=40)
    assert len(caught) <= 1
    assert history.rmse < 1e-2
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.slow
def test_overflow_at_a_trial_point_is_no_storm_of_warnings(monkeypatch):
    evaluate = CompactEvaluator.evaluate
    found = []

    def at_far_points_too(self, numbers):
        found.append(evaluate(self, 1e200 * numbers).objective)
        return evaluate(self, numbers)

    monkeypatch.setattr(CompactEvaluator, "evaluate", at_far_points_too)
    MultKAN([2, [0, 2], 1], seed=0).fit(data(), steps=3)
    assert not all(map(math.isfinite, found))


def test_dead_edges():
    model = MultKAN([2, 2, 1], seed=0)
    with torch.no_grad():
        model.layers[1].numeric.weight.zero_()
    history = model.fit(data(), steps=60)
    assert history.rmse < 0.5 * history["rmse"][0]


def test_small_problems_run_on_one_thread():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with few_threads(1e6):
            assert torch.get_num_threads() == 1
        with few_threads(1e12):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
