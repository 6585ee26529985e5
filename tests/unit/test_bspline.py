"""B-splines: SciPy, partition of unity, continuation, refinement, derivatives, types, bad grids."""

import copy
import pickle

import numpy as np
import pytest
import torch
from reference.bspline_reference import basis_values
from reference.gradients import check_gradients

from kan2.core.bases import BSplineBasis, data_ranges, make_basis, sample_quantiles
from kan2.core.spec import BasisSpec
from kan2.errors import SpecError

UNIFORM = torch.stack([torch.linspace(a, b, 8, dtype=torch.float64) for a, b in ((-1, 1), (2, 5))])
ADAPTIVE = torch.tensor([[-1.0, -0.7, -0.1, 0.0, 0.05, 0.4, 0.9, 1.0], [2, 2.5, 2.6, 3, 3.2, 4, 4.9, 5]]).double()
GRIDS = pytest.mark.parametrize("grid", [UNIFORM, ADAPTIVE], ids=["uniform", "adaptive"])


def points(grid: torch.Tensor, n: int = 60, beyond: float = 0.0) -> torch.Tensor:
    t = torch.linspace(-beyond, 1 + beyond, n, dtype=grid.dtype)[:, None] + 1e-4
    return grid[:, 0] + (grid[:, -1] - grid[:, 0]) * t * (1 - 2e-4)


def test_the_two_grids_take_the_two_paths():
    assert BSplineBasis(UNIFORM).is_uniform
    assert not BSplineBasis(ADAPTIVE).is_uniform


@GRIDS
@pytest.mark.parametrize("k", range(6))
def test_equals_scipy_to_thirteen_digits(grid, k):
    basis, x = BSplineBasis(grid, k), points(grid)
    for source in range(2):
        for order in range(4):
            wanted = basis_values(grid[source].numpy(), k, x[:, source].numpy(), order)
            got = basis(x, order)[:, source].numpy()
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-13 * max(1.0, np.abs(wanted).max()))


@GRIDS
@pytest.mark.parametrize("k", range(1, 6))
def test_continues_along_tangents(grid, k):
    basis, x = BSplineBasis(grid, k), points(grid, beyond=2.0)
    for source in range(2):
        for order in range(3):
            wanted = basis_values(grid[source].numpy(), k, x[:, source].numpy(), order)
            got = basis(x, order)[:, source].numpy()
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12 * max(1.0, np.abs(wanted).max()))


@GRIDS
@pytest.mark.parametrize("k", range(6))
def test_sums_to_one_everywhere(grid, k):
    total = BSplineBasis(grid, k)(points(grid, beyond=3.0)).sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=2e-13)


@GRIDS
@pytest.mark.parametrize("k", [1, 3, 5])
def test_nested_refinement_is_exact(grid, k, generator):
    old = BSplineBasis(grid, k)
    new = old.refined(3 * old.n_intervals)
    coef = torch.randn(2, old.n_basis, generator=generator, dtype=torch.float64)
    x = points(grid, 200)
    before = torch.einsum("nsf,sf->ns", old(x), coef)
    after = torch.einsum("nsf,sf->ns", new(x), torch.einsum("sno,so->sn", old.transfer_to(new), coef))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-11)


@GRIDS
def test_gradients_of_gradients(grid):
    basis = BSplineBasis(grid, 4)
    x = points(grid, 5, beyond=0.3).requires_grad_()
    check_gradients(basis, x)
    for order in range(3):
        (slope,) = torch.autograd.grad(basis(x, order)[..., 3].sum(), x, create_graph=True)
        torch.testing.assert_close(slope, basis(x, order + 1)[..., 3], rtol=1e-10, atol=1e-10)


@GRIDS
def test_float32_is_float64_rounded(grid):
    x = points(grid, 40, beyond=0.5)
    exact, rounded = BSplineBasis(grid, 3)(x), BSplineBasis(grid, 3).float()(x.float())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=2e-5)


def test_a_source_of_large_numbers_keeps_the_grid_of_its_neighbour():
    grid = torch.stack([ADAPTIVE[0], torch.linspace(1e9, 2e9, 8).double()]).float()
    assert not BSplineBasis(grid, 3).is_uniform


@GRIDS
def test_state_copy_pickle_select(grid):
    basis, x = BSplineBasis(grid, 3), points(grid)
    other = BSplineBasis(UNIFORM + 1, 3)
    other.load_state_dict(basis.state_dict())
    assert other.is_uniform == basis.is_uniform
    for twin in (other, copy.deepcopy(basis), pickle.loads(pickle.dumps(basis))):
        assert torch.equal(twin(x), basis(x))
    assert torch.equal(basis.select([1, 0, 1])(x[:, [1, 0, 1]]), basis(x)[:, [1, 0, 1]])


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("loads", [1, 2, 3])
def test_copies_taken_right_after_a_new_grid_was_loaded(twin, loads):
    basis = copy.deepcopy(BSplineBasis(UNIFORM, 3))
    basis.origin_and_scale()
    for shift in range(loads):
        basis.load_state_dict(BSplineBasis(2 * UNIFORM + shift, 3).state_dict())
    low, scale = twin(basis).origin_and_scale()
    torch.testing.assert_close(low, basis.grid[:, 0])
    torch.testing.assert_close(scale, 7 / (basis.grid[:, -1] - basis.grid[:, 0]))


def test_a_grid_without_versions_is_read_anew():
    with torch.inference_mode():
        basis = BSplineBasis(UNIFORM.clone(), 3)
        basis.origin_and_scale()
        basis.load_state_dict(BSplineBasis(2 * UNIFORM, 3).state_dict())
        torch.testing.assert_close(basis.origin_and_scale()[0], 2 * UNIFORM[:, 0])


@pytest.mark.parametrize(
    ("grid", "k"),
    [
        (torch.tensor([[0.0, 1.0, 1.0]]), 3),
        (torch.tensor([[0.0, float("nan"), 1.0]]), 3),
        (torch.tensor([[0.0, float("inf")]]), 3),
        (torch.tensor([[0.0]]), 3),
        (torch.tensor([0.0, 1.0]), 3),
        (torch.tensor([[0.0, 1.0]]), 6),
        (torch.tensor([[0.0, 1.0]]), -1),
        (torch.tensor([[0.0, 1.0]]), 2.0),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_grids_are_refused(grid, k):
    with pytest.raises(SpecError, match="BSplineBasis: expected"):
        BSplineBasis(grid, k)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 5.0, -3e6, 1e-12, 1e20])
def test_a_constant_column_gets_a_valid_range(value, dtype):
    x = torch.full((1, 1), value, dtype=dtype)
    low, high = data_ranges(x, 0.05, 200)
    basis = make_basis(BasisSpec(grid=200), low, high, sample_quantiles(x, 200))
    assert bool(torch.isfinite(basis(x)).all())
    assert float(low) < value < float(high)


def test_small_units_are_not_taken_for_constants():
    x = torch.tensor([[1e-30], [3e-30]], dtype=torch.float64)
    low, high = data_ranges(x, 0.0)
    torch.testing.assert_close(torch.stack([low[0], high[0]]), x[:, 0], rtol=1e-12, atol=0)


def test_quantile_grids_follow_the_samples(generator):
    x = torch.rand(2000, 1, generator=generator, dtype=torch.float64) ** 3
    low, high = data_ranges(x, 0.0)
    adaptive = make_basis(BasisSpec(grid=4, grid_eps=0.0), low, high, sample_quantiles(x, 4))
    assert abs(float(adaptive.grid[0, 2]) - 0.125) < 0.02
    repeated = torch.cat([torch.zeros(50, 1), torch.ones(50, 1)]).double()
    low, high = data_ranges(repeated, 0.0)
    basis = make_basis(BasisSpec(grid=10, grid_eps=0.0), low, high, sample_quantiles(repeated, 10))
    assert bool((basis.grid.diff() > 0).all())
