"""The special functions against mpmath: values, first and second derivatives, tensors of any kind."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy
import torch

from kan2 import functions
from kan2.functions.interpolation import table
from kan2.functions.special import SPECIAL
from kan2.symbolic.polish import evaluate

u, v = sympy.symbols("u v")
STEPS = {"floor", "ceil", "heaviside"}
POINTS = {
    "asec": (1.2, 3.0), "acsc": (1.2, 3.0), "acoth": (1.2, 3.0), "asech": (0.1, 0.9), "zeta": (1.5, 4.0),
    "li": (1.5, 4.0), "elliptic_k": (-0.5, 0.9), "elliptic_e": (-0.5, 0.9), "legendre": (-0.8, 0.8),
    "LambertW": (-0.2, 3.0), "erfi": (-1.0, 1.0),
}  # fmt: skip
SHAPES = {
    "jn": (0.0, 2.0), "yn": (0.0, 1.0),
    "besselj": (0.0, 1.0, 2.5), "bessely": (0.0, 1.0), "besseli": (0.0, 2.0), "besselk": (0.0, 1.5),
    "polygamma": (0.0, 2.0), "lowergamma": (1.5, 2.0), "uppergamma": (0.0, 1.5), "expint": (1.0, 3.0),
    "legendre": (1.5, 4.0), "LambertW": (0.0,), "elliptic_f(z|m)": (0.5, -0.3), "elliptic_e(z|m)": (0.5,),
    "heaviside": (0.0, 0.5, 1.0),
}  # fmt: skip
CASES = [(name, shape) for name in SPECIAL for shape in SHAPES.get(name, (None,))]


def exact(name: str, shape: float | None, order: int, x: float) -> float:
    """The derivative of an order, by mpmath from the SymPy form of the row."""
    extra = {f"airy{k}prime": lambda t, k=k: getattr(mpmath, f"airy{k}")(t, derivative=1) for k in ("ai", "bi")}
    half = mpmath.mpf(1) / 2
    extra["jn"] = lambda n, t: mpmath.sqrt(mpmath.pi / 2 / t) * mpmath.besselj(n + half, t)
    extra["yn"] = lambda n, t: mpmath.sqrt(mpmath.pi / 2 / t) * mpmath.bessely(n + half, t)
    function = sympy.lambdify(u, functions.get(name).symbol(u, shape), [extra, "mpmath"])
    with mpmath.workdps(40):
        return float(mpmath.re(mpmath.diff(function, mpmath.mpf(x), order) if order else function(mpmath.mpf(x))))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_values_and_derivatives(name, shape):
    low, high = POINTS.get(name, (0.3, 2.7))
    x = torch.linspace(low, high, 7, dtype=torch.float64, requires_grad=True)
    row = functions.get(name)
    value = row(x, shape)
    orders = [value]
    if name not in STEPS:
        first = torch.autograd.grad(value.sum(), x, create_graph=True)[0]
        orders += [first, torch.autograd.grad(first.sum(), x)[0]]
    for order, found in enumerate(orders):
        expected = [exact(name, shape, order, point) for point in x.tolist()]
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=2e-11, atol=1e-11)


def test_elliptic_derivatives_at_zero():
    m = torch.tensor([0.0, 1e-9, 9e-4], dtype=torch.float64, requires_grad=True)
    for name, expected in (("elliptic_k", np.pi / 8), ("elliptic_e", -np.pi / 8)):
        found = torch.autograd.grad(functions.get(name)(m).sum(), m)[0]
        assert float(found[0]) == pytest.approx(expected, rel=1e-14)
        assert float(found[2]) == pytest.approx(exact(name, None, 1, 9e-4), rel=1e-13)


def test_sinc_is_smooth_at_zero():
    for name in ("sinc", "Si", "Shi"):
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        assert torch.isfinite(torch.autograd.grad(functions.get(name)(x).sum(), x)[0]).all()


def test_steps():
    x = torch.tensor([-1.0, 0.0, 2.0])
    assert functions.get("heaviside")(x, 1.0).tolist() == [0, 1, 1]
    assert functions.get("heaviside")(x, 0.0).tolist() == [0, 0, 1]
    assert functions.get("heaviside")(x).tolist() == [0, 0.5, 1]


def test_orders_may_differ_along_a_row(generator):
    x = torch.rand(5, 3, dtype=torch.float64, generator=generator)
    order = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    whole = functions.get("besselj")(x, order)
    for i in range(3):
        torch.testing.assert_close(whole[:, i], functions.get("besselj")(x[:, i], float(i)))


def test_dtype_is_kept_and_vmap_works(generator):
    row = functions.get("gamma")
    assert row(torch.ones(3)).dtype == torch.float32
    x = torch.rand(4, 2, dtype=torch.float64, generator=generator) + 1
    torch.testing.assert_close(torch.func.vmap(row)(x), row(x))
    gradient = torch.func.vmap(torch.func.grad(lambda t: row(t).sum()))(x)
    torch.testing.assert_close(gradient, row(x) * torch.digamma(x))


@pytest.mark.parametrize("name", [name for name in SPECIAL if functions.get(name).is_slow])
def test_tables_of_slow_functions(name):
    row = functions.get(name)
    low, high = POINTS.get(name, (0.01, 30.0))
    x = torch.linspace(low, high, 101, dtype=torch.float64)
    value, slope = table(row)(x)
    exact_value, exact_slope, _ = evaluate(replace(row, is_slow=False), x, torch.tensor(row.shape or 0.0))
    ok = exact_value.abs() < 1e6
    torch.testing.assert_close(value[ok], exact_value[ok], rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(slope[ok], exact_slope[ok], rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
def test_values_on_cuda():
    x = torch.rand(4, dtype=torch.float64, device="cuda", requires_grad=True) + 1
    value = functions.get("besselj")(x, 1.0)
    assert value.device == x.device
    torch.testing.assert_close(value.detach().cpu(), functions.get("besselj")(x.detach().cpu(), 1.0))
