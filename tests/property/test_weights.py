"""Samples count by their weights alone: weight two is the sample twice, weight zero is no sample, order is nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kan2 import MultKAN
from kan2.training.distinct import distinct

NETWORKS = {"sum": [2, 1], "deep": [2, 2, 1], "product": [2, [0, 1]]}


def outputs(width, x, y, weight=None, **options):
    model = MultKAN(width, grid=3, seed=1)
    model.fit((x, y), steps=4, sample_weight=weight, **options)
    return model


def table(seed, n, is_class=False):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    y = x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=n)
    return rng, x, (y > 0).astype(float) if is_class else y


@pytest.mark.parametrize("width", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@settings(max_examples=1, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.sampled_from([12, 60]))
def test_a_weight_is_a_number_of_samples(width, loss, seed, n):
    rng, x, y = table(seed, n, loss == "cross_entropy")
    counts = rng.integers(0, 4, n)
    counts[0] = 2
    weighted = outputs(width, x, y, counts, loss=loss)
    order = rng.permutation(counts.sum())
    repeated = outputs(width, x.repeat(counts, 0)[order], y.repeat(counts)[order], loss=loss)
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-7, atol=1e-9)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kan2.errors.TrainingWarning")  # four steps may be too few
@pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"restarts": 2}, marks=pytest.mark.slow), {"validation": 0.3}, {"opt": "Adam", "batch": 8}],
)
def test_samples_without_weight_are_not_there(options):
    rng, x, y = table(0, 80)
    weight = (rng.random(80) < 0.7).astype(float)
    wild = np.where(weight[:, None] > 0, x, 1e3 * x), np.where(weight > 0, y, 1e3)
    kept = weight > 0
    first, second = outputs([2, 2, 1], *wild, weight, **options), outputs([2, 2, 1], x[kept], y[kept], **options)
    np.testing.assert_allclose(first.predict(x), second.predict(x), rtol=1e-7)


def test_held_out_samples_count_by_their_weights():
    rng, x, y = table(3, 60)
    counts = rng.integers(1, 4, 60)
    weighted = MultKAN([2, 1]).fit((x, y), steps=3, sample_weight=counts, validation=0.3)
    repeated = MultKAN([2, 1]).fit((x.repeat(counts, 0), y.repeat(counts)), steps=3, validation=0.3)
    assert weighted["val_loss"] == pytest.approx(repeated["val_loss"], rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.tuples(*[st.sampled_from([-1.0, -0.0, 0.0, 2.0])] * 3), min_size=1, max_size=12))
def test_distinct_samples_are_those_of_a_dictionary(values):
    expected: dict[tuple, float] = {}
    for row in values:
        expected[row] = expected.get(row, 0.0) + 1.0  # minus zero has the hash of zero
    rows = torch.tensor(values, dtype=torch.float64)
    x, y, weight = distinct(rows[:, :2], rows[:, 2:])
    weight = torch.ones(len(x)) if weight is None else weight
    found = [(*a, *b, c) for a, b, c in zip(x.tolist(), y.tolist(), weight.tolist())]
    assert found == sorted((*row, count) for row, count in expected.items())
