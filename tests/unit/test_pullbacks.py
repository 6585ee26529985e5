"""Pullbacks are what torch finds by itself, for tensors and, where they are arithmetic, for NumPy arrays."""

import math

import pytest
import torch

from kan2 import functions
from kan2.functions.pullbacks import PULLBACKS, power_pullback, pullback

POINTS = torch.tensor([-2.5, -0.9, -0.3, 0.2, 0.7, 0.99, 1.5, 4.0], dtype=torch.float64)


def inside(row: functions.SymbolicFunction) -> torch.Tensor:
    low, high = row.domain
    return POINTS[(low < POINTS) & (high > POINTS)]


def by_torch(row, u, g, *shape):
    leaf = u.clone().requires_grad_()
    return torch.autograd.grad(row(leaf, *shape), leaf, g)[0]


@pytest.mark.parametrize("name", PULLBACKS)
def test_equals_what_torch_finds(name):
    row = functions.get(name)
    back, u = pullback(row), inside(row)
    g, y = torch.linspace(-1, 2, len(u), dtype=u.dtype), row(u)
    wanted = by_torch(row, u, g)
    nothing = torch.full_like(u, math.nan)
    found = back.through(g, u if "u" in back.needs else nothing, y if "y" in back.needs else nothing)
    torch.testing.assert_close(back.factor * found, wanted, rtol=1e-13, atol=1e-13)
    if back.is_arithmetic:
        array = back.through(g.numpy(), u.numpy(), y.numpy())
        torch.testing.assert_close(back.factor * torch.from_numpy(array), wanted, rtol=1e-13, atol=1e-13)
    if back.on_arrays is not None:
        torch.testing.assert_close(torch.from_numpy(back.on_arrays(u.numpy())), y, rtol=1e-15, atol=0.0)


@pytest.mark.parametrize("name", PULLBACKS)
def test_writes_into_nothing_that_it_is_given(name):
    row = functions.get(name)
    u = inside(row)
    given = torch.ones_like(u), u, row(u)
    before = [t.clone() for t in given]
    found = pullback(row).through(*given)
    assert all(torch.equal(a, b) for a, b in zip(before, given))
    assert found.data_ptr() not in [t.data_ptr() for t in given]


@pytest.mark.parametrize("exponent", [-2.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 40.0])
@pytest.mark.parametrize("arguments", [[0.5, 3.0], [0.0, 2.0], [1e-200, 1e200], [-2.0, 2.0], []])
def test_powers_are_exact_where_they_vanish_and_where_they_overflow(exponent, arguments):
    row, u = functions.get("power"), torch.tensor(arguments, dtype=torch.float64)
    shape, g = torch.tensor(exponent, dtype=torch.float64), torch.full_like(u, 2.0)
    found = exponent * power_pullback(g, u, u.pow(exponent), exponent)
    torch.testing.assert_close(found, by_torch(row, u, g, shape), rtol=1e-12, atol=0.0, equal_nan=True)


def test_a_function_of_the_user_has_none():
    original = functions.get("sin")
    mine = functions.SymbolicFunction("sin", lambda u: 2 * torch.sin(u), original.sympy, 2)
    assert pullback(original) is not None
    assert pullback(mine) is None
