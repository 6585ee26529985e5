"""`fit`: what it reaches, what it reads, what it leaves alone."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, sample_function
from kan2.training import fit
from kan2.training import problem as problem_module
from kan2.training._matrix_free import MatrixFreeEquations
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Problem
from tests.training import HELLO, XY, fitted, rmse, same, state, value


def test_levenberg_marquardt_reaches_the_accuracy_of_the_grid():
    model, history = fitted(steps=60)
    assert history.rmse < 1e-2
    assert history.test_rmse < 2e-2
    assert history.rmse == pytest.approx(rmse(model))


def test_a_product_is_learned_to_rounding():
    data = sample_function("x*y", XY, n=200)
    model = MultKAN([2, [0, 1]], grid=3)
    assert fit(model, data).rmse < 1e-12


@pytest.mark.parametrize("opt", ["LBFGS", "Adam", "lbfgs", "adam"])
def test_first_order_optimisers_lower_the_loss(opt):
    _, history = fitted(opt=opt, steps=60, batch=100 if opt.lower() == "adam" else None, lr=lambda _: 0.1)
    assert history.rmse < 0.75 * history["rmse"][0]


def test_lbfgs_gets_past_the_first_step():
    model = MultKAN([2, 5, 1], grid=5, seed=0)
    assert fit(model, HELLO, opt="LBFGS", steps=40).rmse < 0.1


@pytest.mark.parametrize("steps", [0, 1, 20])
def test_training_on_never_costs_what_was_reached(steps):
    model, _ = fitted(grids=[5, 20], steps=40)
    part = HELLO.X[:, 0].abs() < 0.3
    X, y = HELLO.X[part], HELLO.y[part]

    def error():
        return float((value(model, X) - y).square().mean())

    before = error()
    fit(model, (X, y), steps=steps)
    assert error() <= before * 1.0001


def test_samples_beyond_the_grids_move_them_also_after_training():
    model, _ = fitted()
    wide = sample_function("exp(sin(pi*x) + y**2)", {"x": (-1.5, 1.5), "y": (-1, 1)}, n=300)
    fit(model, wide, steps=15)
    grid = model.layers[0].numeric.basis.grid[0]
    assert grid[0] <= wide.X[:, 0].min()
    assert grid[-1] >= wide.X[:, 0].max()


def test_training_works_where_gradients_are_switched_off():
    with torch.no_grad():
        model, _ = fitted()
    assert rmse(model) < 0.05


def test_a_staircase_of_grids_lowers_the_error_at_each():
    data = sample_function("exp(sin(pi*x) + y**2)", XY, n=1000)
    history = fit(MultKAN([2, 1, 1], grid=5), data, grids=[5, 10, 20, 50])
    ends = {row["grid"]: row["test_rmse"] for row in history.rows}
    assert ends[5] < 1e-2
    assert ends[10] < 1e-3
    assert ends[20] < 5e-5
    assert ends[50] < 2e-6


def test_labels_of_shape_n_and_n_by_1_are_the_same():  # B17
    a, b = MultKAN([2, 1, 1]), MultKAN([2, 1, 1])
    fit(a, (HELLO.X, HELLO.y[:, 0]), steps=5)
    fit(b, (HELLO.X, HELLO.y), steps=5)
    assert same(state(a), state(b))


def test_lists_arrays_and_single_precision_are_accepted():  # B20b
    model = MultKAN([2, 1, 1], dtype=torch.float32)
    fit(model, (HELLO.X.numpy().astype(np.float32), HELLO.y[:, 0].tolist()), steps=10)
    assert model.like.dtype is torch.float32
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_parameters_stay_the_same_tensors_where_grids_do_not_grow():
    model = MultKAN([2, 1, 1], grid=4)
    before = list(model.parameters())
    fit(model, HELLO, steps=3)
    assert all(a is b for a, b in zip(before, model.parameters()))


def test_a_copy_of_a_network_just_trained_predicts_the_same():
    data = sample_function("x*y", {"x": (1, 5), "y": (1, 5)}, n=100)
    model = copy.deepcopy(MultKAN([2, 2, 1], seed=0))
    model.predict(data.X)  # what a layer remembers of its first grid is not for copies that have another
    model.fit(data, grids=[5], steps=3)
    twins = (copy.deepcopy(model), pickle.loads(pickle.dumps(model)))
    expected = model.predict(data.X)
    for twin in twins:
        np.testing.assert_array_equal(twin.predict(data.X), expected)


def test_test_data_are_optional():  # B15
    assert fit(MultKAN([2, 1, 1]), (HELLO.X, HELLO.y), steps=3).test_rmse is None


def test_a_batch_larger_than_the_data_is_all_of_them():  # B15b
    fitted(opt="Adam", steps=3, batch=10_000)


def test_symbolic_numbers_are_fitted_to_rounding():
    model = MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),)),)))
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    history = fit(model, (x, 2 * torch.sin(1.3 * x + 0.2) - 0.5))
    assert history.rmse < 1e-13
    assert len(history) < 30


def test_grids_stop_moving_when_moves_no_longer_pay():
    data = sample_function("(x + y)/(1 + x*y)", {"x": (-0.9, 0.9), "y": (-0.9, 0.9)}, n=300)
    errors = fit(MultKAN([2, 1, 1], grid=3), data, steps=80)["rmse"]
    assert sum(after > 1.2 * before for before, after in pairwise(errors)) <= 6
    assert errors[-1] < 1e-2


@pytest.mark.slow
def test_restarts_find_what_one_start_misses():
    data = sample_function(
        "exp((sin(pi*(a**2 + b**2)) + sin(pi*(c**2 + d**2)))/2)", dict.fromkeys("abcd", (-1, 1)), n=500
    )
    history = fit(MultKAN([4, 2, 1, 1], grid=3), data, restarts=6, steps=40)
    assert history.rmse < 2e-2


def test_scaled_data_keep_their_units_in_the_network():
    data = sample_function("1e6*exp(t/300)", {"t": (1000, 1600)}, n=200)
    model = MultKAN([1, 1], grid=5)
    history = fit(model, data)
    assert model.spec.features == model.spec.inputs == ("t",)
    grid = model.layers[0].numeric.basis.grid
    assert float(grid.min()) > 900
    assert float(grid.max()) < 1700
    assert history.rmse / float(data.y.std()) < 1e-3


def test_a_data_loader_is_read():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(HELLO.X, HELLO.y), batch_size=64)
    model = MultKAN([2, 1, 1], grid=4)
    assert fit(model, loader, steps=15).rmse < 0.5


def test_learning_rates_may_follow_a_schedule():
    seen = []
    fitted(opt="Adam", steps=4, lr=lambda step: seen.append(step) or 1e-2)
    assert {0, 1, 2, 3} <= set(seen)


def test_frozen_parameters_stay():
    model = MultKAN([2, 1, 1], grid=4)
    model.layers[0].numeric.weight.requires_grad_(False)
    before = model.layers[0].numeric.weight.clone()
    fit(model, HELLO, steps=5, update_grid=False)
    assert torch.equal(model.layers[0].numeric.weight, before)


def test_a_network_without_free_numbers_is_left_as_it_is():
    spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin", free=""),)),))
    history = fit(MultKAN.from_spec(spec), (HELLO.X[:, :1], HELLO.y))
    assert history.message == "nothing to train"


def test_more_parameters_than_a_matrix_serves(monkeypatch):
    from kan2.training import _matrix_free

    dense = fitted(steps=6, lamb=1e-4)[1]
    monkeypatch.setattr(_matrix_free, "LARGEST_DENSE", 10)
    free = fitted(steps=6, lamb=1e-4)[1]
    assert free.loss < 2 * dense.loss + 0.05


def test_a_matrix_free_system_stays_where_it_was_made(monkeypatch):
    monkeypatch.setattr(problem_module, "CHUNK_ENTRIES", 1)
    model = MultKAN([2, 2, 1], seed=0)
    problem, vector = Problem(HELLO.X, HELLO.y), ParameterVector(model)
    evaluation = problem.restart(vector)
    assert evaluation.linearisation is None
    system, v = MatrixFreeEquations(problem, vector, evaluation), torch.ones(vector.size, dtype=torch.float64)
    here = system.apply(v)
    moved = vector.read() + 0.3
    vector.write(moved)
    torch.testing.assert_close(system.apply(v), here, rtol=0, atol=0)
    assert torch.equal(vector.read(), moved)


def test_frozen_scales_stay():
    model = MultKAN([2, 1, 1], grid=4, affine_trainable=True)
    model.layers[0].requires_grad_(False)
    before = state(model.layers[0])
    fit(model, HELLO, steps=3, update_grid=False)
    assert same(state(model.layers[0]), before)
