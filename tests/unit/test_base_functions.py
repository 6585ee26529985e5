"""The base function of numeric edges: its coordinate, what it does outside the grid, and that all kernels agree."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.base_reference import slow_base, slow_features
from reference.gradients import check_gradients
from torch.func import functional_call, grad, vmap

from kan2 import BasisSpec, KANLayer, MultKAN
from kan2.core.bases import KINDS, make_basis
from kan2.core.edges import _fused
from kan2.core.edges._fused import fused
from kan2.errors import SpecError
from kanpiler.approximate import _block_layer

BASES = ["silu", "identity", "tanh", "zero"]
OUTSIDE = ["tangent", "base"]
RANGES = [(-1.0, 1.0), (2.0, 5.0), (-1e6, 3e6)]


def make(outside: str = "tangent", home: tuple[float, float] = (-1.0, 1.0), n_in: int = 3, **options) -> KANLayer:
    options.setdefault("dtype", torch.float64)
    layer = KANLayer(n_in, 2, outside=outside, generator=torch.Generator().manual_seed(0), **options)
    low, high = (torch.full((n_in,), end, dtype=torch.float64) for end in home)
    layer.set_home_(low, high)
    return layer


def points(layer: KANLayer, n: int = 23, beyond: float = 0.4) -> torch.Tensor:
    """Points inside and outside of the grids, none at an end."""
    t = torch.linspace(-beyond, 1 + beyond, n, dtype=torch.float64)[:, None] + 1e-3
    grid = layer.numeric.basis.grid.double()
    return grid[:, 0] + (grid[:, -1] - grid[:, 0]) * t


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-11) -> None:
    b = b.detach()
    torch.testing.assert_close(a.detach(), b, rtol=tolerance, atol=tolerance * max(1.0, float(b.abs().max())))


@pytest.fixture(params=["loops", "passes"])
def fused_way(request, monkeypatch) -> str:
    if request.param == "loops":
        pytest.importorskip("numba")
    monkeypatch.setattr("kan2.core.edges._compiled.IS_AVAILABLE", request.param == "loops")
    monkeypatch.setattr(_fused, "BLOCK", 64)
    return request.param


@settings(max_examples=25)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    base_fun=st.sampled_from(BASES),
    outside=st.sampled_from(OUTSIDE),
    k=st.integers(1, 4),
    home=st.sampled_from([(-1.0, 1.0), (0.5, 3.0), (-7.0, -2.0)]),
    low=st.floats(-3, 3),
    width=st.floats(0.1, 4),
)
def test_values_and_derivatives_equal_the_slow_reference(kind, base_fun, outside, k, home, low, width):
    layer = make(outside, home, basis=kind, base_fun=base_fun, k=k, grid=4, grid_range=(low, low + width))
    edges, x = layer.numeric, points(layer)
    for order in range(4):
        wanted = slow_features(edges, x, order)
        close(edges.features(x, order), wanted)
        if order:
            close(edges.feature_derivatives(x, order), wanted)
            close(edges.edge_derivatives(x, order)[-1], torch.einsum("nsf,tsf->nts", wanted, edges.weight))
    close(layer(x), torch.einsum("nsf,tsf->nt", slow_features(edges, x), edges.weight))


@pytest.mark.parametrize("home", [(-1.0, 1.0), (0.5, 3.0)])
@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("base_fun", BASES)
def test_all_kernels_are_equal(base_fun, outside, home, generator, fused_way):
    layer = make(outside, home, base_fun=base_fun, grid_range=(-0.5, 2.0))
    edges, x = layer.numeric, points(layer).requires_grad_()
    seed = torch.randn(len(x), 2, generator=generator, dtype=torch.float64)
    ways = fused(x, edges.weight, edges.expansion), edges.expansion.sums(x, edges.weight)
    close(*ways)
    for mine, wanted in zip(*(torch.autograd.grad(y, (x, edges.weight), seed) for y in ways), strict=True):
        close(mine, wanted)
    for order in (1, 2, 3):
        found, wanted = edges.feature_derivatives(x, order), edges.features(x, order)
        close(found, wanted)
        if wanted.requires_grad:
            close(*(torch.autograd.grad(way.square().sum(), x)[0] for way in (found, wanted)))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("outside", OUTSIDE)
def test_torch_func_and_jets_are_equal(outside, kind):
    layer = make(outside, (0.5, 3.0), basis=kind, grid_range=(-0.5, 2.0))
    x = points(layer)
    close(vmap(lambda row: layer(row))(x), layer(x))
    slopes = vmap(grad(lambda row: layer(row).sum()))(x)
    close(slopes, layer.edge_derivatives(x, 1)[0].sum(1))
    bends = vmap(grad(lambda row: grad(lambda r: layer(r).sum())(row).sum()))(x)
    close(bends, layer.edge_derivatives(x, 2)[1].sum(1), 1e-9)
    model = MultKAN([3, 2], basis=kind, outside=outside, grid_range=(-0.5, 2.0))
    model.layers[0].load_state_dict(layer.state_dict())
    jet = model.jet(x, order=2)
    close(jet.gradient.sum(1), slopes)
    close(jet.hessian.diagonal(dim1=-2, dim2=-1).sum(1), bends, 1e-9)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("base_fun", ["silu", "tanh"])
def test_value_and_slope_are_continuous_at_the_ends(base_fun, kind):
    edges = make("tangent", (0.5, 3.0), base_fun=base_fun, basis=kind, grid_range=(-0.5, 2.0)).numeric
    for end in (edges.basis.grid[:, 0], edges.basis.grid[:, -1]):
        sides = [end[None] * (1 - 1e-9), end[None] * (1 + 1e-9)]
        for order in (0, 1):
            a, b = (edges.expansion.base(side, order) for side in sides)
            torch.testing.assert_close(a, b, rtol=0, atol=1e-8)
        assert bool((edges.expansion.base(end[None], 2) != 0).all()), "the ends belong to the grid"
    far = torch.tensor([[-50.0], [-49.0], [-48.0]], dtype=torch.float64).expand(3, 3)
    assert not edges.expansion.base(far, 2).any()
    assert not edges.expansion.base(far, 3).any()
    assert edges.expansion.base(far, 1).unique(dim=0).shape[0] == 1


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("base_fun", ["identity", "tanh"])
def test_gradients_inside_and_outside(base_fun, outside, kind):
    layer = make(outside, (0.5, 3.0), base_fun=base_fun, basis=kind, grid_range=(-0.5, 2.0))
    x = points(layer, 7).requires_grad_()
    weight = layer.numeric.weight.detach().clone().requires_grad_()
    check_gradients(lambda w, x: functional_call(layer, {"numeric.weight": w}, (x,)), weight, x)


@pytest.mark.parametrize("way", ["sums", "forward"])
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("base_fun", ["silu", "tanh"])
@given(k=st.integers(-60, 60), low=st.floats(-2, 2), width=st.floats(0.5, 3), outside=st.sampled_from(OUTSIDE))
def test_powers_of_two_leave_the_bits(base_fun, kind, way, k, low, width, outside):
    factor = 2.0**k
    small = make(outside, (low - 0.1, low + width), base_fun=base_fun, basis=kind, grid_range=(low, low + width))
    large = make(
        outside,
        ((low - 0.1) * factor, (low + width) * factor),
        base_fun=base_fun,
        basis=kind,
        grid_range=(low * factor, (low + width) * factor),
    )
    x = points(small)
    assert torch.equal(large.numeric.basis.grid, small.numeric.basis.grid * factor)
    values = [
        layer(at) if way == "forward" else layer.numeric.expansion.sums(at, layer.numeric.weight)
        for layer, at in ((small, x), (large, x * factor))
    ]
    assert torch.equal(*values)


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_default_home_changes_no_bit(dtype, outside, fused_way):
    layer = make(outside, dtype=dtype)
    x = points(layer, beyond=-0.01 if outside == "tangent" else 0.4).to(dtype).requires_grad_()
    with torch.no_grad():
        layer.numeric.weight[..., 1:] = 0
    base = torch.nn.functional.silu(x)
    close(layer.numeric.features(x)[..., 0], base, 0.0)
    wanted = (base.double() @ layer.numeric.weight[..., 0].double().T).to(dtype)
    close(layer(x), wanted, 1e-15 if dtype == torch.float64 else 1e-6)


def test_what_inference_mode_left_behind_can_be_trained_on():
    layer = make("tangent", (0.5, 3.0), basis="chebyshev")
    with torch.inference_mode():
        layer(points(layer))
    x = points(layer).requires_grad_()
    layer(x).sum().backward()
    assert bool(torch.isfinite(x.grad).all())


def test_far_units_and_offsets_are_seen_in_the_coordinate():
    near, far = (
        make("tangent", (0.0, 1.0), grid_range=(0.0, 1.0)),
        make("tangent", (1e11, 3e11), grid_range=(1e11, 3e11)),
    )
    t = torch.linspace(-0.5, 1.5, 21, dtype=torch.float64)[:, None].expand(21, 3)
    close(far(1e11 + 2e11 * t), near(t), 1e-11)


def test_a_home_is_set_and_kept(generator):
    layer = make(grid=4)
    weight = layer.numeric.weight.detach().clone()
    low, high = torch.tensor([0.0, 1.0, -5.0]).double(), torch.tensor([1.0, 4.0, 5.0]).double()
    layer.set_home_(low, high)
    assert torch.equal(layer.numeric.weight, weight)
    home = torch.stack([low, high], 1)
    x = torch.rand(40, 3, generator=generator, dtype=torch.float64) * 4
    basis = layer.numeric.basis
    assert torch.equal(basis.refined(8).home, home)
    assert torch.equal(basis.on_grid(2 * basis.grid).home, home)
    assert torch.equal(basis.select([2, 0, 2]).home, home[[2, 0, 2]])
    assert torch.equal(copy.deepcopy(layer).numeric.basis.home, home)
    assert torch.equal(copy.deepcopy(layer).float().numeric.basis.home, home.float())
    assert torch.equal(layer.state_dict()["numeric.basis.home"], home)
    for spec in (BasisSpec(grid=8), BasisSpec("chebyshev", grid=9), BasisSpec("chebyshev", grid=4)):
        layer.set_basis_(spec, x)
        assert torch.equal(layer.numeric.basis.home, home)
        layer.set_basis_(spec)
        assert torch.equal(layer.numeric.basis.home, home)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("low", "high"),
    [
        ([0.0, 0.0, 0.0], [1.0, 0.0, 1.0]),
        ([0.0, 0.0, 0.0], [1.0, float("nan"), 1.0]),
        ([0.0, -float("inf"), 0.0], [1.0, 1.0, 1.0]),
        ([-1.5e308, 0.0, 0.0], [1.5e308, 1.0, 1.0]),
        ([0.0, 0.0], [1.0, 1.0]),
    ],
)
def test_bad_homes_are_refused(low, high):
    layer = make()
    with pytest.raises(SpecError, match="home: expected"):
        layer.set_home_(torch.tensor(low).double(), torch.tensor(high).double())
    assert layer.numeric.basis.home.tolist() == [[-1.0, 1.0]] * 3
    with pytest.raises(SpecError, match="home: expected"):
        make_basis(BasisSpec(), torch.zeros(2), torch.ones(2), home=torch.tensor([[0.0, 1.0]]))


def test_an_unknown_continuation_is_refused():
    with pytest.raises(SpecError, match="outside"):
        BasisSpec(outside="constant")


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("kind", ["bspline", "chebyshev"])
def test_moving_a_grid_keeps_the_functions(kind, outside, generator):
    layer = make(outside, (0.5, 1.5), basis=kind, grid=20, grid_range=(0.0, 1.0), noise_scale=0.0)
    x = torch.rand(200, 3, generator=generator, dtype=torch.float64) * 2 - 0.5
    before, weight = layer(x), layer.numeric.weight[..., 0].detach().clone()
    layer.set_basis_(layer.spec.basis, x)
    assert torch.equal(layer.numeric.weight[..., 0], weight)
    close(layer(x), before, 2e-3 if outside == "tangent" else 1e-12)


def test_changing_the_base_function_keeps_the_functions(generator):
    layer = make(grid=20)
    x = torch.rand(200, 3, generator=generator, dtype=torch.float64) * 2 - 1
    before = layer(x)
    for base_fun in ("tanh", "zero", "silu"):
        layer.set_basis_(BasisSpec(grid=20, base_fun=base_fun))
        assert layer.numeric.base_fun == base_fun
        close(layer(x), before, 1e-3)


def test_blocks_side_by_side_keep_their_homes():
    blocks = [make("base", home, grid_range=(0.0, 2.0)) for home in ((0.5, 3.0), (-7.0, -2.0))]
    with torch.no_grad():
        joined = _block_layer(1, blocks, torch.empty(0, dtype=torch.float64), "")
    x = torch.cat([torch.zeros(23, 1, dtype=torch.float64), *map(points, blocks)], 1)
    assert joined.spec.basis == blocks[0].spec.basis
    close(joined(x)[:, 1:], torch.cat([blocks[0](x[:, 1:4]), blocks[1](x[:, 4:])], 1))


def test_slow_base_is_the_tangent():
    layer = make("tangent", grid_range=(1.0, 2.0))
    x = torch.tensor([[0.0, 1.5, 3.0]], dtype=torch.float64)
    value = torch.nn.functional.silu(torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64))
    assert float(slow_base(layer.numeric, x)[0, 1]) == pytest.approx(float(value[1]))
    s = torch.sigmoid(torch.tensor([1.0, 2.0], dtype=torch.float64))
    slope = s * (1 + torch.tensor([1.0, 2.0]) * (1 - s))
    close(slow_base(layer.numeric, x)[0, [0, 2]], value[[0, 2]] + slope * torch.tensor([-1.0, 1.0]))


def test_a_network_takes_what_it_does_outside():
    assert MultKAN([1, 1]).spec.layers[0].basis.outside == "tangent"
    assert MultKAN([1, 1], outside="base").spec.layers[0].basis.outside == "base"
