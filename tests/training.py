"""Data and helpers that the tests of training share."""

import torch

from kan2 import MultKAN, sample_function
from kan2.training import fit

XY = {"x": (-1, 1), "y": (-1, 1)}

HELLO = sample_function("exp(sin(pi*x) + y**2)", XY, n=300, n_test=200)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@torch.no_grad()
def rmse(model):
    return float((model(HELLO.X) - HELLO.y).square().mean().sqrt())


@torch.no_grad()
def value(model, x):
    return model(x)


def fitted(seed=0, **options):
    model = MultKAN([2, 1, 1], grid=4, seed=seed)
    return model, fit(model, HELLO, **{"steps": 15, **options})


@torch.no_grad()
def rmse_of(model, data):
    return float((model(data.X) - data.y).square().mean().sqrt())
