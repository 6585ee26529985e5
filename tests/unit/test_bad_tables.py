"""Tables that training cannot do much with: words that help, or the best state and a reason; the caller's stay."""

import numpy as np
import pytest

from kan2 import MultKAN
from kan2.errors import DataError, FormulaError, TrainingError
from kan2.estimators import KANClassifier, KANRegressor
from kan2.training import smoothing

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
