"""Networks of smaller types than float64: the history says what they return, and what does not fit is refused."""

import copy

import pytest
import torch

from kan2 import MultKAN
from kan2.errors import DataError, TrainingError
from tests.training import HELLO, same, state

X, Y = HELLO.X, torch.sin(3 * HELLO.X[:, :1]) + HELLO.X[:, 1:] ** 2
VARIANCE = float(Y.var(correction=0))
X_TEST, Y_TEST = -X, torch.sin(-3 * HELLO.X[:, :1]) + HELLO.X[:, 1:] ** 2


@torch.no_grad()
def returned(model, x, y):
    return float((model(x.to(model.like)).double() - y).square().mean().sqrt())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("opt", ["LM", "Adam"])
def test_the_history_ends_with_what_the_network_returns(dtype, opt):
    model = MultKAN([2, 5, 1], dtype=dtype)
    history = model.fit((X, Y), opt, steps=15, test=(X_TEST, Y_TEST))
    assert model.like.dtype == dtype
    assert history.rmse == pytest.approx(returned(model, X, Y), rel=1e-3)
    assert history.test_rmse == pytest.approx(returned(model, X_TEST, Y_TEST), rel=1e-3)
    assert history.loss == pytest.approx(history.rmse**2 / VARIANCE + history.rows[-1]["penalty"])


def test_the_loss_on_what_was_held_out_is_that_of_the_network():
    model = MultKAN([2, 5, 1], dtype=torch.bfloat16)
    history = model.fit((X, Y), steps=10, validation=(X_TEST, Y_TEST))
    assert history["val_loss"][-1] == pytest.approx(returned(model, X_TEST, Y_TEST) ** 2 / VARIANCE, rel=1e-3)


def test_a_residual_is_that_of_the_digits_that_are_kept():
    model = MultKAN([2, 5, 1], dtype=torch.float16)
    history = model.fit(residual=lambda net: net(X) - Y, steps=20)
    kept = copy.deepcopy(model).double()
    assert history.rmse == pytest.approx(returned(kept, X, Y), rel=1e-6)
    assert history.rmse > 1e-5


@pytest.mark.parametrize("scale", [1e6, 1e12])
def test_numbers_that_are_too_large_for_the_type_are_refused_and_the_network_is_intact(scale):
    model = MultKAN([2, 5, 1], dtype=torch.float16)
    before, spec = state(model), model.spec
    with pytest.raises(TrainingError, match=r"fit into float16, up to 6.55e.04, got"):
        model.fit((X, scale * Y), steps=10)
    assert same(before, state(model))
    assert model.spec is spec
    assert model.data is None


@pytest.mark.parametrize("scale", [1e39, 1e-50])
def test_data_that_the_type_cannot_hold_are_refused(scale):
    model = MultKAN([2, 1], grid=3, dtype=torch.float32)
    before = state(model)
    for data in ((X, scale * Y), (torch.cat([X[:, :1], scale * X[:, 1:]], 1), Y)):
        with pytest.raises((DataError, TrainingError), match=r"fit into float32, .* got"):
            model.fit(data, steps=1)
        assert same(before, state(model))
        assert model.data is None
        with pytest.raises(DataError, match=r"fit into float32, .* got values up to .* column"):
            model.compare(model, data)


def test_float64_is_left_alone():
    model, other = MultKAN([2, 2, 1]), MultKAN([2, 2, 1])
    history = model.fit((X, Y), steps=5)
    assert history.rmse == pytest.approx(returned(model, X, Y), rel=1e-9)
    assert other.fit((X, Y), steps=5)["rmse"] == history["rmse"]
