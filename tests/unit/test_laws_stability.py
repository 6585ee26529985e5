"""How often a formula is picked from half of the rows, and where a law extrapolates."""

import copy
import pickle

import numpy as np
import pytest
import torch

import kan2
from kan2.errors import DataError, ShapeError, UnknownNameError

RNG = np.random.default_rng(0)
X, Z = RNG.uniform(1, 3, (2, 200))
Y = X**2 / Z
ERRORS = RNG.standard_normal(200)
OPTIONS = {"target": "y", "networks": False}


@pytest.fixture(scope="module")
def law():
    return kan2.discover({"x": X, "z": Z, "y": Y + 0.03 * Y.std() * ERRORS}, **OPTIONS)


def test_a_law_is_picked_from_all_halves(law):
    shares = law.selection_frequency(20)
    assert shares.shape == (len(law.front),)
    assert shares.sum() == pytest.approx(1)
    assert shares[law.front.picked] == 1


def test_what_the_rows_do_not_tell_is_shared():
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 2, 40)
    law = kan2.discover({"x": x, "y": 1 + 0.08 * x + 0.03 * rng.standard_normal(40)}, **OPTIONS)
    shares = law.selection_frequency(30)
    assert shares.max() < 1
    assert shares.sum() == pytest.approx(1)


def test_the_seed_decides():
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 2, 40)
    law = kan2.discover({"x": x, "y": 1 + 0.08 * x + 0.03 * rng.standard_normal(40)}, **OPTIONS)
    assert np.array_equal(law.selection_frequency(10, seed=3), law.selection_frequency(10, seed=3))
    assert np.array_equal(law.selection_frequency(10), pickle.loads(pickle.dumps(law)).selection_frequency(10))
    assert np.array_equal(law.selection_frequency(10), copy.deepcopy(law).selection_frequency(10))


@pytest.mark.parametrize("options", [
    {"units": {"x": "m", "z": "s", "y": "m^2/s"}},
    {"units": {"x": "km", "z": "s", "y": "km^2/s"}},
    {"sample_weight": np.r_[np.zeros(20), np.ones(180)]},
    {"accuracy": np.full(200, 0.1)},
    {"keep": 0},
    {"loss": torch.nn.HuberLoss(delta=0.1)},
])  # fmt: skip
def test_it_measures_as_the_search_did(options):
    law = kan2.discover({"x": X, "z": Z, "y": Y + 0.03 * Y.std() * ERRORS}, **OPTIONS, **options)
    assert law.selection_frequency(5)[law.front.picked] == 1


def test_an_exact_law_is_picked_first():
    law = kan2.discover({"x": X, "z": Z, "y": Y}, **OPTIONS)
    assert law.front.pick.is_exact
    assert law.selection_frequency(5)[law.front.picked] == 1


def test_labels_and_several_targets():
    p = 1 / (1 + np.exp(8 - 4 * X))
    law = kan2.discover(
        {"x": X, "c": np.where(np.random.default_rng(1).uniform(size=200) < p, "yes", "no")}, target="c"
    )
    assert law.selection_frequency(5).sum() == pytest.approx(1)
    both = kan2.discover({"x": X, "z": Z, "u": X * Z, "v": X / Z}, target=["u", "v"], networks=False)
    with pytest.raises(DataError, match="one target, got 2"):
        both.selection_frequency()
    assert all(part.selection_frequency(3).sum() == pytest.approx(1) for part in both.laws)


@pytest.mark.parametrize("options", [{"resamples": 0}, {"resamples": True}, {"seed": -1}])
def test_bad_numbers_are_refused(law, options):
    with pytest.raises(DataError, match="as a whole number"):
        law.selection_frequency(**options)


def test_outside_of_the_ranges_it_extrapolates(law):
    inside = {"x": [X.min(), X.mean(), X.max()], "z": [Z.mean()] * 3}
    assert law.extrapolates(inside).tolist() == [False] * 3
    assert law.extrapolates([[X.mean(), Z.max() + 1e-9], [X.min() - 1, Z.mean()]]).tolist() == [True, True]
    assert law.extrapolates(np.ones((2, 3, 2)) * 2).shape == (2, 3)
    with pytest.raises(UnknownNameError):
        law.extrapolates({"x": [1.0]})
    with pytest.raises(ShapeError):
        law.extrapolates([[1.0, 2.0, 3.0]])
