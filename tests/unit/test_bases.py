"""What every basis must do: one class of checks for all of them, base functions included."""

import pytest
import torch
from reference.gradients import check_gradients

from kan2.core.bases import BASE_FUNCTIONS, KINDS, make_basis
from kan2.core.layer import KANLayer
from kan2.core.spec import BasisSpec
from kan2.errors import SpecError, UnknownNameError


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
class TestConformance:
    """A new basis passes by being listed in KINDS."""

    def make(self, kind: str, k: int, grid: int = 6):
        low, high = torch.tensor([-1.0, 2.0]).double(), torch.tensor([1.5, 2.5]).double()
        return make_basis(BasisSpec(kind=kind, grid=grid, k=k), low, high)

    def points(self, basis, n: int = 40) -> torch.Tensor:
        t = torch.linspace(-0.3, 1.3, n).double()[:, None] + 1e-3
        return basis.grid[:, 0] + (basis.grid[:, -1] - basis.grid[:, 0]) * t

    def test_shapes_and_ranges(self, kind, k):
        basis = self.make(kind, k)
        assert basis(self.points(basis)).shape == (40, basis.n_source, basis.n_basis)
        assert basis.n_intervals == 6
        assert basis.grid.shape == (2, 7)

    def test_derivatives_are_the_slopes_of_lower_ones(self, kind, k):
        basis = self.make(kind, k)
        x = self.points(basis).requires_grad_()
        for order in range(4):
            for i in range(basis.n_basis):
                values = basis(x, order)[..., i]
                slope = torch.zeros_like(x)
                if values.requires_grad:
                    slope = torch.autograd.grad(values.sum(), x, allow_unused=True, materialize_grads=True)[0]
                wanted = basis(x, order + 1)[..., i].detach()
                torch.testing.assert_close(slope, wanted, rtol=1e-9, atol=1e-9 * float(wanted.abs().max() + 1))

    def test_functions_are_independent(self, kind, k):
        basis = self.make(kind, k)
        t = torch.linspace(0, 1, 200).double()[:, None]
        x = basis.grid[:, 0] + (basis.grid[:, -1] - basis.grid[:, 0]) * t
        assert all(torch.linalg.matrix_rank(m) == basis.n_basis for m in basis.collocation(x))

    def test_transfer_keeps_functions(self, kind, k, generator):
        old = self.make(kind, k)
        new = old.refined(18)
        t = torch.linspace(0, 1, 100).double()[:, None]
        x = old.grid[:, 0] + (old.grid[:, -1] - old.grid[:, 0]) * t
        coef = torch.randn(2, old.n_basis, generator=generator, dtype=torch.float64)
        before = torch.einsum("nsf,sf->ns", old(x), coef)
        after = torch.einsum("bsn,sno,so->bs", new(x), old.transfer_to(new), coef)
        tolerance = 0.1 if kind == "rbf" else 1e-9  # Gaussians of other widths only approximate each other.
        torch.testing.assert_close(after, before, rtol=0, atol=tolerance * float(before.abs().max()))

    def test_selecting_sources(self, kind, k):
        basis = self.make(kind, k)
        x = self.points(basis)
        torch.testing.assert_close(basis.select([1, 0, 1])(x[:, [1, 0, 1]]), basis(x)[:, [1, 0, 1]])

    def test_in_a_layer(self, kind, k, generator):
        layer = KANLayer(2, 3, basis=kind, k=k, generator=generator, dtype=torch.float64)
        x = torch.rand(7, 2, generator=generator, dtype=torch.float64).requires_grad_()
        check_gradients(layer, x, second=not (kind == "bspline" and k == 1))
        layer.set_basis_(BasisSpec(kind=kind, grid=12, k=k), x)
        assert bool(torch.isfinite(layer(x)).all())

    def test_not_a_number_stays_in_its_row(self, kind, k):
        basis = self.make(kind, k)
        values = basis(torch.tensor([[float("nan"), 2.0], [0.0, 2.2]]).double())
        assert bool(torch.isfinite(values[1]).all())
        assert bool(torch.isnan(values[0, 0]).any())


@pytest.mark.parametrize("name", [name for name, f in BASE_FUNCTIONS.items() if f is not None])
def test_derivatives_of_base_functions(name):
    base = BASE_FUNCTIONS[name]
    x = torch.linspace(-4, 4, 33).double().requires_grad_()
    for order in range(4):
        value = base(x, order)
        slope = torch.zeros_like(x)
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), x)
        torch.testing.assert_close(slope, base(x, order + 1).detach(), rtol=1e-11, atol=1e-13)


def test_unknown_basis_and_degenerate_range():
    end = torch.zeros(1)
    with pytest.raises(UnknownNameError, match="Did you mean 'bspline'"):
        make_basis(BasisSpec(kind="bsplines"), end, end + 1)
    with pytest.raises(SpecError, match="strictly increasing"):
        make_basis(BasisSpec(), end, end)


def test_a_layer_changes_its_basis(generator):
    layer = KANLayer(2, 3, grid=8, base_fun="zero", generator=generator, dtype=torch.float64)
    x = torch.rand(100, 2, generator=generator, dtype=torch.float64) * 2 - 1
    before = layer(x)
    layer.set_basis_(BasisSpec(kind="chebyshev", grid=60, base_fun="zero"))
    assert float((layer(x) - before).abs().max().detach()) < 1e-3
