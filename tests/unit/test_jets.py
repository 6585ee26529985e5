"""Jets: third derivatives of simple formulas, training on derivatives, function rows, refusals."""

import pytest
import torch

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, functions
from kan2.core.jets import directional, jet, laplacian
from kan2.errors import ShapeError, SpecError
from kan2.functions.derivatives import CLOSED, derivatives


def formula_net() -> MultKAN:
    """Returns sin(x) * y^3."""
    first = LayerSpec(2, 0, (2,), numeric=(), terms=(SymbolicTerm(0, 0, "sin"), SymbolicTerm(1, 1, "x^3")))
    return MultKAN.from_spec(NetworkSpec((first,)))


def test_derivatives_of_a_formula(generator):
    x = torch.rand(20, 2, generator=generator, dtype=torch.float64)
    u, v = x.T
    found = jet(formula_net(), x, order=3)
    for got, wanted in (
        (found.value[:, 0], u.sin() * v**3),
        (found.gradient[:, 0, 1], 3 * u.sin() * v**2),
        (found.hessian[:, 0, 0, 1], 3 * u.cos() * v**2),
        (found.third[:, 0, 0, 0, 0], -u.cos() * v**3),
        (found.third[:, 0, 1, 0, 0], -3 * u.sin() * v**2),
        (found.third[:, 0, 0, 1, 1], 6 * u.cos() * v),
        (found.third[:, 0, 1, 1, 1], 6 * u.sin()),
        (laplacian(formula_net(), x)[:, 0], -u.sin() * v**3 + 6 * u.sin() * v),
    ):
        torch.testing.assert_close(got.detach(), wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("order", range(4))
def test_orders_that_were_not_asked_for_are_none(order):
    found = jet(MultKAN([2, 1]), torch.zeros(3, 2), order)
    parts = (found.value, found.gradient, found.hessian, found.third)
    assert [p is not None for p in parts] == [r <= order for r in range(4)]


def test_auxiliary_variables_are_differentiated_through(generator):
    model = MultKAN([2, 2, 1], inputs=["v", "c"], seed=1).augment({"beta": "v/c"})
    x = torch.rand(6, 2, generator=generator, dtype=torch.float64) + 1.0
    for order in (1, 2):
        found, step = jet(model, x, order), 1e-5
        for i in range(2):
            e = torch.zeros(2, dtype=torch.float64)
            e[i] = step
            if order == 1:
                got, wanted = found.gradient[..., i], (model(x + e) - model(x - e)) / (2 * step)
            else:
                upper, lower = (jet(model, x + s * e, 1).gradient for s in (1, -1))
                got, wanted = found.hessian[..., i], (upper - lower) / (2 * step)
            torch.testing.assert_close(got.detach(), wanted.detach(), rtol=1e-6, atol=1e-7)
    full = jet(model, x, 3)
    direction = torch.tensor([0.3, -0.7], dtype=torch.float64)
    along = directional(model, x, direction, 3)
    wanted = torch.einsum("boijk,i,j,k->bo", full.third, *[direction] * 3)
    torch.testing.assert_close(along.third[..., 0, 0, 0], wanted)
    torch.testing.assert_close(laplacian(model, x), full.hessian.diagonal(dim1=-2, dim2=-1).sum(-1))


def test_a_laplacian_trains_parameters(generator):
    model = MultKAN([2, 3, 1], seed=0)
    x = torch.rand(30, 2, generator=generator, dtype=torch.float64) * 2 - 1

    def residual() -> torch.Tensor:
        return ((model.laplacian(x) - 1.0) ** 2).mean()

    parameters = [p for p in model.parameters() if p.requires_grad]
    before = residual()
    slopes = torch.autograd.grad(before, parameters)
    with torch.no_grad():
        p, slope, step = parameters[0], slopes[0], 1e-6
        p[0, 0, 3] += step
        shifted = residual()
        p[0, 0, 3] -= step
        torch.testing.assert_close((shifted - before) / step, slope[0, 0, 3], rtol=1e-4, atol=1e-6)
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        residual().backward()
        optimiser.step()
    assert float(residual().detach()) < 0.1 * float(before.detach())


@pytest.mark.parametrize("name", functions.BUILT_IN)
def test_rows_differentiate_like_autograd(name, generator):
    row = functions.get(name)
    low, high = max(row.domain[0], -1.5), min(row.domain[1], 1.5)
    if low >= high:
        low, high = row.domain[0] + 0.1, row.domain[0] + 2.0
    u = torch.rand(12, generator=generator, dtype=torch.float64) * (high - low) * 0.9 + low + 0.05 * (high - low)
    u = u.requires_grad_()
    shape = torch.full_like(u, row.shape or 0.0).detach()
    found = derivatives(row, u, shape, 3)
    assert len(found) == 4
    value = row(u, shape)
    for order in range(4):
        torch.testing.assert_close(found[order].detach(), value.detach(), rtol=1e-9, atol=1e-9)
        if not value.requires_grad:
            assert all(float(d.detach().abs().max()) == 0 for d in found[order + 1 :])
            break
        (value,) = torch.autograd.grad(value.sum(), u, create_graph=True, materialize_grads=True)


def test_a_row_that_replaced_a_closed_one_is_differentiated_itself():
    mine = functions.SymbolicFunction("sin", lambda u: u**2, lambda u: u**2, 2)
    u = torch.tensor([3.0])
    assert "sin" in CLOSED
    assert derivatives(mine, u, u, 1)[1].item() == 6.0


def test_refusals():
    model = MultKAN([2, 1])
    with pytest.raises(SpecError, match="order of 0, 1, 2 or 3"):
        jet(model, torch.zeros(3, 2), 4)
    with pytest.raises(ShapeError, match="expected a table"):
        jet(model, torch.zeros(2))
    with pytest.raises(ShapeError, match="direction of shape"):
        directional(model, torch.zeros(3, 2), [1.0, 0.0, 0.0])
