"""Tables that training cannot do much with: words that help, or the best state and a reason; the caller's stay."""

import numpy as np
import pytest
import torch

from kan2 import MultKAN, discover
from kan2.errors import DataError, FormulaError, GridWarning, SpecError, TrainingError
from kan2.estimators import KANClassifier, KANRegressor
from kan2.training import smoothing, spread

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (40, 2))
Y = X[:, 0] ** 2 + X[:, 1]


def with_value(table, row, value):
    changed = table.copy()
    changed[row] = value
    return changed


TABLES = {
    "equal targets": (X, np.full(40, 7.0)),
    "all targets zero": (X, np.zeros(40)),
    "three rows": (np.array([[1.0, 2], [2, 3], [3, 6]]), np.array([1.0, 2, 3])),
    "one row repeated": (np.tile(X[:1], (20, 1)), np.tile(Y[:1], 20)),
    "constant column": (np.c_[np.full(40, 3.0), X[:, 0]], X[:, 0] ** 2),
}


@pytest.mark.filterwarnings("ignore::kan2.errors.GridWarning")
@pytest.mark.parametrize("name", TABLES)
def test_what_can_be_explained_is(name):
    x, y = TABLES[name]
    before = x.copy(), y.copy()
    regressor = KANRegressor().fit(x, y)
    np.testing.assert_allclose(regressor.predict(x), y, atol=1e-9)
    assert regressor.history_.message
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])


@pytest.mark.filterwarnings("ignore::kan2.errors.GridWarning", "ignore::kan2.errors.TrainingWarning")
@pytest.mark.parametrize("x", [X, with_value(X, (3, 0), 1e6)], ids=["plain", "outlier"])
@pytest.mark.parametrize("y", [Y, with_value(Y, 5, 1e6)], ids=["plain", "outlier"])
def test_outliers_leave_finite_outputs_and_a_reason(x, y):
    regressor = KANRegressor(hidden=()).fit(x, y)
    assert np.isfinite(regressor.predict(x)).all()
    assert regressor.history_.message


@pytest.mark.filterwarnings("ignore::kan2.errors.GridWarning")
def test_two_samples_that_count_make_a_line():
    weight = np.zeros(40)
    weight[:2] = 1
    regressor = KANRegressor().fit(X, Y, weight)
    np.testing.assert_allclose(regressor.predict(X[:2]), Y[:2], atol=1e-9)
    assert regressor.history_.smoothing > 0
    with pytest.raises(ValueError, match="non-negative"):
        KANRegressor().fit(X, Y, -weight)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kan2.errors.GridWarning")
def test_three_samples_tell_a_line_and_no_formula_of_more_numbers():
    assert str(KANRegressor().fit(*TABLES["three rows"]).formula()) == "x1"
    with pytest.raises(FormulaError, match="3 samples"):
        KANRegressor().fit(X[:3], np.array([1.0, -3.0, 2.0])).formula()


def test_targets_too_large_to_square_are_refused():
    model = MultKAN([2, 1], seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DataError, match="larger unit"):
        model.fit((X, 1e200 * Y))
    assert all(bool((value == before[name]).all()) for name, value in model.state_dict().items())


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
def test_a_function_outside_its_domain_is_refused(opt):
    model = MultKAN([1, 1, 1], seed=0).fix_symbolic((0, 0, 0), "log", affine=(-1.0, 0.0, 1.0, 0.0))
    x = np.linspace(0.1, 2, 50)[:, None]
    with pytest.raises(TrainingError, match="outside its domain"):
        model.fit((x, x[:, 0]), opt, steps=5)


@pytest.mark.parametrize("opt", ["LM", "LBFGS"])
def test_steps_that_leave_a_domain_are_not_taken(opt):
    x = np.linspace(0.1, 2, 50)[:, None]
    model = MultKAN([1, 1], seed=0).fix_symbolic((0, 0, 0), "sqrt", affine=(1.0, 0.0, 1.0, 0.0))
    history = model.fit((x, np.sqrt(np.maximum(x[:, 0] - 0.5, 0))), opt, steps=30)  # asks for b = -0.5
    assert np.isfinite(model.predict(x)).all()
    assert history.loss <= history["loss"][0]
    assert history.message


def test_ten_columns_of_forty_samples_get_no_wider_network():
    x = RNG.normal(size=(40, 10))
    assert len(KANRegressor().fit(x, x[:, 0] + RNG.normal(size=40)).model_.spec.layers) == 1


def test_classes_that_do_not_count_are_not_there():
    labels = np.repeat([0, 1, 2, 1], 10)
    classifier = KANClassifier(hidden=(), steps=5).fit(X, labels, (labels != 2).astype(float))
    assert classifier.classes_.tolist() == [0, 1]


def test_rungs_take_few_steps(monkeypatch):
    steps, step = [], smoothing.LevenbergMarquardt.step
    monkeypatch.setattr(smoothing.LevenbergMarquardt, "step", lambda self: steps.append(1) or step(self))
    KANRegressor(hidden=()).fit(X[:30], Y[:30] + 0.1 * RNG.normal(size=30))
    assert len(steps) < 80


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e155])
@pytest.mark.parametrize("column", ["a", "y"])
def test_columns_whose_squares_are_no_numbers_are_named(size, column):
    table = {"a": X[:, 0], "b": X[:, 1], "y": Y}
    table[column] = size * table[column]
    model = MultKAN([2, 1], seed=0)
    with pytest.raises(DataError, match=f"escale column {column}|larger unit"):
        model.fit(table, target="y", steps=2)
    with pytest.raises(DataError, match=f"escale column {column}|larger unit"):
        discover(table, [2, 1], target="y", steps=2, attempts=1)


def test_a_trained_network_names_them_too():
    model = MultKAN([2, 1], seed=0)
    model.fit((X, Y), steps=2)
    with pytest.raises(DataError, match="Rescale column x1: measure it in a larger unit"):
        model.fit((X * np.array([1e300, 1.0]), Y), steps=2)


@pytest.mark.filterwarnings("ignore::kan2.errors.GridWarning")
@pytest.mark.parametrize("unit", [2.0**-100, 2.0**100])
def test_thirty_decades_change_nothing(unit):
    losses = [MultKAN([2, 1], seed=0).fit((X * factor, Y / factor), steps=3).rmse * factor for factor in (1.0, unit)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_the_spread_of_small_numbers_is_no_magnitude():
    values = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    expected = spread.moments(values)[1]
    torch.testing.assert_close(spread.moments(1e-200 * values)[1], 1e-200 * expected, rtol=1e-12, atol=0.0)


def test_grids_beyond_any_memory_are_refused():
    model = MultKAN([1, 2, 1], grid=100_000, seed=0)
    before = model.layers[0].numeric.weight.clone()
    with pytest.raises(SpecError, match="coarser grid, got 100,000 intervals"), pytest.warns(GridWarning):
        model.fit((X[:, :1], Y), steps=1)
    assert torch.equal(model.layers[0].numeric.weight, before)
