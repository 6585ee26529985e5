"""States, copies, types and devices of KANLayer: what a state carries, what it refuses, layers without numbers."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from kan2 import KANConv2d, KANLayer, MultKAN
from kan2.core.bases import KINDS
from kan2.core.jets import jet, laplacian


def make(n_in: int = 3, n_out: int = 2, seed: int = 0, **options) -> KANLayer:
    return KANLayer(n_in, n_out, generator=torch.Generator().manual_seed(seed), **options)


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.randn(20, 3, generator=generator) ** 3


MOVES = {
    "placed": lambda layer, x: layer.place_(x),
    "adaptive": lambda layer, x: layer.set_basis_(replace(layer.spec.basis, grid_eps=0.1), x),
    "home": lambda layer, x: layer.set_home_(torch.zeros(3), torch.full((3,), 7.0)),
}


@pytest.mark.parametrize("move", sorted(MOVES))
@pytest.mark.parametrize("assign", [True, False])
@pytest.mark.parametrize("was_used", [True, False])
def test_a_state_carries_the_grid_wherever_it_was_moved(move, assign, was_used, x):
    layer, other = make(), make(seed=1)
    MOVES[move](layer, x)
    if was_used:  # what the other layer keeps of its old grid must be forgotten
        other(x).sum().backward()
    other.load_state_dict(layer.state_dict(), assign=assign)
    assert torch.equal(other(x), layer(x))
    back = make()
    MOVES["adaptive"](other, x)
    other.load_state_dict(back.state_dict())
    assert torch.equal(other(x), back(x))
    assert other.numeric.basis.is_uniform


def test_copies_of_moved_and_refined_layers(x):
    layer = make(arities=(2,))
    for change in (
        MOVES["adaptive"],
        MOVES["home"],
        lambda layer, x: layer.set_basis_(replace(layer.spec.basis, grid=12)),
    ):
        change(layer, x)
        for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert torch.equal(twin(x), layer(x))
            MOVES["placed"](twin, 5 * x)
            assert not torch.equal(twin(x), layer(x))


@pytest.mark.parametrize("move", [None, "adaptive"])
def test_a_state_on_another_number_of_intervals_is_refused_and_leaves_the_basis_whole(move, x):
    layer, fine = make(), make()
    fine.set_basis_(replace(fine.spec.basis, grid=10))
    if move:
        MOVES[move](fine, x)
    before = layer(x)
    with pytest.raises(RuntimeError, match=r"numeric\.basis\.grid: expected 5 intervals, got 10. Build .* grid=10, or"):
        layer.load_state_dict(fine.state_dict())
    assert torch.equal(layer(x), before)
    # The remedy that the message names.
    layer.set_basis_(replace(layer.spec.basis, grid=10))
    layer.load_state_dict(fine.state_dict())
    assert torch.equal(layer(x), fine(x))


def test_states_of_refined_networks(x):
    model, fine = MultKAN([3, [2, 1], 1], seed=0), MultKAN([3, [2, 1], 1], seed=1).refine(10)
    with pytest.raises(RuntimeError, match=r"layers\.1\.numeric\.basis\.grid: expected 5 intervals, got 10"):
        model.load_state_dict(fine.state_dict())
    model = model.refine(10)
    model.load_state_dict(fine.state_dict())
    assert torch.equal(model(x), fine(x))


@pytest.mark.parametrize("kind", ["bspline", "chebyshev"])
def test_states_of_other_orders_sources_and_bases_are_refused(kind):
    layer = make(basis=kind)
    for other in (make(basis=kind, k=2), make(4, 2, basis=kind), make(3, 3, basis=kind), make(basis="fourier")):
        with pytest.raises(RuntimeError, match="size mismatch"):
            layer.load_state_dict(other.state_dict())


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_short_type_does_not_cost_digits_of_the_splines(adaptive, x):
    layer = make()
    if adaptive:
        MOVES["adaptive"](layer, x)
    half = copy.deepcopy(layer).half()
    assert half(x.half()).dtype == torch.float16
    torch.testing.assert_close(half(x.half()).float(), layer(x), rtol=0.02, atol=0.02)
    loaded = make()
    loaded.load_state_dict(half.state_dict())
    basis = half.float().numeric.basis
    for found in (loaded.numeric.basis, basis):
        # Splines sum to one to the last digits, as they would not with tables rounded to float16.
        inside = x.clamp(basis.grid[:, 0], basis.grid[:, -1])
        torch.testing.assert_close(found(inside).sum(-1), torch.ones_like(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(loaded(x), half(x))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_layers_without_numbers_are_filled_by_a_state(kind, x):
    wanted = make(basis=kind, arities=(2,))
    with torch.device("meta"):
        empty = KANLayer(3, 2, basis=kind, arities=(2,))
    assert empty.numeric.weight.device.type == "meta"
    for filled, assign in ((empty, True), (KANLayer(3, 2, basis=kind, arities=(2,), device="meta"), False)):
        if not assign:
            filled = filled.to_empty(device="cpu")
        filled.load_state_dict(wanted.state_dict(), assign=assign)
        assert torch.equal(filled(x), wanted(x))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shapes_and_gradients_without_numbers(kind, adaptive, dtype, x):
    # The meta device goes through the code of accelerators: what moves numbers to the CPU fails here.
    layer = make(basis=kind, arities=(2,))
    if adaptive:
        MOVES["adaptive"](layer, x)
    layer = layer.to("meta", dtype)
    points = torch.zeros(4, 5, 3, dtype=dtype, device="meta", requires_grad=True)
    y = layer(points)
    assert (y.shape, y.dtype, y.device.type) == ((4, 5, 3), dtype, "meta")
    y.square().sum().backward()
    assert points.grad.shape == points.shape
    assert layer.numeric.weight.grad.shape == layer.numeric.weight.shape
    first = torch.autograd.grad(layer(points).square().sum(), points, create_graph=True)[0]
    assert torch.autograd.grad(first.square().sum(), points)[0].shape == points.shape


def test_networks_and_images_without_numbers():
    model = MultKAN([3, [2, 1], 1], seed=0).to("meta")
    points = torch.zeros(7, 3, dtype=torch.float64, device="meta")
    assert model(points).shape == (7, 1)
    assert jet(model, points).hessian.shape == (7, 1, 3, 3)
    assert laplacian(model, points).shape == (7, 1)
    assert KANConv2d(2, 4, 3, device="meta")(torch.zeros(1, 2, 8, 8, device="meta")).shape == (1, 4, 6, 6)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_default_device_is_not_asked_where_one_is_named(kind, x):
    def numbers() -> list[torch.Tensor]:
        layer = make(basis=kind, arities=(2,), device="cpu", dtype=torch.float64)
        found = [layer(x)]
        for change in (MOVES["adaptive"], lambda layer, _: layer.set_basis_(replace(layer.spec.basis, grid=8))):
            change(layer, x)
            found += [layer(x), *torch.autograd.grad(layer(x).sum(), layer.numeric.weight)]
        model = MultKAN([3, [2, 1], 1], seed=0, device="cpu")
        return [*found, layer.float()(x), model(x), model.jet(x.double(), 2).hessian, model.refine(10)(x)]

    wanted = numbers()
    with torch.device("meta"):  # stands for an accelerator: whatever is made there by mistake has no numbers
        found = numbers()
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_the_generator_may_be_of_another_device(monkeypatch):
    places = []
    draw = torch.randn

    def watched(*shape, **options):
        places.append(str(options["device"]))
        return draw(*shape, **{**options, "device": "cpu", "generator": None})

    class OnCuda(torch.Generator):
        device = torch.device("cuda")

    monkeypatch.setattr(torch, "randn", watched)
    with torch.random.fork_rng(devices=[]):
        KANLayer(3, 2, generator=OnCuda())
        KANLayer(3, 2)
    assert places == ["cuda", "cpu"]


def test_sequential_models_move_as_one(x):
    with torch.random.fork_rng(devices=[]):
        model = nn.Sequential(make(), nn.Linear(2, 4), make(4, 1))
    wanted = model(x)
    torch.testing.assert_close(copy.deepcopy(model).double()(x.double()).float(), wanted)
    torch.testing.assert_close(copy.deepcopy(model).bfloat16()(x.bfloat16()).float(), wanted, rtol=0.1, atol=0.1)
    assert model.to("cpu")(x).equal(wanted)
