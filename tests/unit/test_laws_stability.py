"""How often a formula is picked from half of the rows, and where a law extrapolates."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import sympy
import torch

import kan2
from kan2.errors import DataError, ShapeError, UnknownNameError
from kan2.laws.front.front import row_of, settled
from kan2.laws.front.stability import selection_frequencies
from kan2.laws.samples import samples_of

RNG = np.random.default_rng(0)
X, Z = RNG.uniform(1, 3, (2, 200))
Y = X**2 / Z
ERRORS = RNG.standard_normal(200)
OPTIONS = {"target": "y", "networks": False, "work": 2}


@pytest.fixture(scope="module")
def law():
    return kan2.discover({"x": X, "z": Z, "y": Y + 0.03 * Y.std() * ERRORS}, **OPTIONS)


def test_a_law_is_picked_from_all_halves(law):
    shares = law.selection_frequency(20)
    assert shares.shape == (len(law.front),)
    assert shares.sum() == pytest.approx(1)
    assert shares[law.front.picked] == 1


def test_what_the_rows_do_not_tell_is_shared():
    rng, x = np.random.default_rng(1), sympy.Symbol("x")
    rows = rng.uniform(1, 2, 40)
    samples = samples_of(rows[:, None], 1 + 0.08 * rows + 0.03 * rng.standard_normal(40), (x,))
    front = [row_of(one, (), samples) for one in (sympy.Float(1.1), sympy.exp(sympy.Float(0.08) * x))]
    shares = selection_frequencies(front, samples, 30, 0)
    assert 0 < shares[0] < 1
    assert shares.sum() == pytest.approx(1)
    assert np.array_equal(shares, selection_frequencies(front, samples, 30, 0))


def test_what_is_exact_comes_first():
    x = sympy.Symbol("x")
    rows = np.linspace(1, 2, 40)
    samples = samples_of(rows[:, None], 3 * rows, (x,))
    short = row_of(3.1 * x + 0.2, (), samples)
    front = [replace(short, description_length=-np.inf), settled(row_of(3.0 * x, (), samples), samples)]
    assert selection_frequencies(front, samples, 5, 0).tolist() == [0, 1]


def test_copies_give_the_same(law):
    assert np.array_equal(law.selection_frequency(10), pickle.loads(pickle.dumps(law)).selection_frequency(10))
    assert np.array_equal(law.selection_frequency(10), copy.deepcopy(law).selection_frequency(10))


@pytest.mark.slow
@pytest.mark.parametrize("options", [
    {"units": {"x": "km", "z": "s", "y": "km^2/s"}},
    {"sample_weight": np.r_[np.zeros(20), np.ones(180)]},
    {"loss": torch.nn.HuberLoss(delta=0.1)},
])  # fmt: skip
def test_it_measures_as_the_search_did(options):
    law = kan2.discover({"x": X, "z": Z, "y": Y + 0.03 * Y.std() * ERRORS}, **OPTIONS, **options)
    assert law.selection_frequency(5)[law.front.picked] == 1


def test_labels_and_several_targets(law):
    p = 1 / (1 + np.exp(8 - 4 * X))
    labels = np.where(np.random.default_rng(1).uniform(size=200) < p, "yes", "no")
    found = kan2.discover({"x": X, "c": labels}, target="c", work=1)
    assert found.selection_frequency(5).sum() == pytest.approx(1)
    both = replace(
        law, samples=None, parts=(law, law), data=kan2.Dataset.of({"x": X, "u": X, "v": X}, target=["u", "v"])
    )
    with pytest.raises(DataError, match="one target, got 2"):
        both.selection_frequency()


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
