"""KANLayer as a torch module: shapes, types, fused and plain evaluation, torch.func, compile, autocast, bad input."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from reference.gradients import check_gradients
from reference.layer_reference import slow_forward
from strategies import random_network, samples
from torch import nn
from torch.func import functional_call, jacrev, stack_module_state, vmap

from kan2 import KANLayer, MultKAN, chunked
from kan2.core.edges._compiled import can_compile
from kan2.core.edges._fused import fused
from kan2.errors import ShapeError, SpecError, UnknownNameError
from kan2.training.penalties import edge_scales, feature_covariance

ROOT = Path(__file__).resolve().parents[2]


def make(n_in: int = 3, n_out: int = 2, **options) -> KANLayer:
    options.setdefault("generator", torch.Generator().manual_seed(0))
    return KANLayer(n_in, n_out, **options)


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-11) -> None:
    b = b.detach()
    torch.testing.assert_close(a.detach(), b, rtol=tolerance, atol=tolerance * max(1.0, float(b.abs().max())))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (2, 5), (2, 0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_leading_shape_and_type(shape, dtype):
    layer = make(arities=(2,)).to(dtype)
    y = layer(torch.zeros(*shape, 3, dtype=dtype))
    assert y.shape == (*shape, 3)
    assert y.dtype == dtype


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_slow_reference(seed):
    model = random_network(seed)
    x = samples(model)
    for layer, record in zip(model.layers, model.trace(x).layers, strict=True):
        close(layer(record.inputs), slow_forward(layer, record.inputs))
        subnodes = layer.edge_values(record.inputs).sum(-1)
        close(subnodes, record.subnodes)


@pytest.fixture(params=["loops", "passes"])
def fused_way(request, monkeypatch) -> str:
    """Each of the two ways of the fused step: compiled loops, which need numba, and passes of tensor operations."""
    if request.param == "loops":
        pytest.importorskip("numba")
    monkeypatch.setattr("kan2.core.edges._compiled.IS_AVAILABLE", request.param == "loops")
    monkeypatch.setattr("kan2.core.edges._fused.BLOCK", 64)  # so that small batches exercise several blocks
    return request.param


@pytest.mark.parametrize("base_fun", ["silu", "identity", "tanh", "zero"])
@pytest.mark.parametrize(("k", "grid", "batch"), [(1, 1, 5), (2, 4, 17), (3, 5, 1), (4, 7, 300), (5, 20, 64)])
def test_fused_equals_plain(base_fun, k, grid, batch, generator, fused_way):
    layer = make(4, 3, k=k, grid=grid, base_fun=base_fun, dtype=torch.float64)
    edges = layer.numeric
    x = (torch.rand(batch, 4, generator=generator, dtype=torch.float64) * 4 - 2).requires_grad_()
    seed = torch.randn(batch, 3, generator=generator, dtype=torch.float64)
    a, b = fused(x, edges.weight, edges.expansion), edges.expansion.sums(x, edges.weight)
    close(a, b)
    for mine, wanted in zip(*(torch.autograd.grad(y, (x, edges.weight), seed) for y in (a, b)), strict=True):
        close(mine, wanted)


@pytest.mark.parametrize("outside", ["tangent", "base"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_exponentials_of_many_inputs_are_those_of_few(outside, dtype, tolerance, generator, monkeypatch):
    pytest.importorskip("numba")
    layer = make(4, 3, dtype=dtype, outside=outside)
    layer.set_home_(torch.full((4,), -2.0), torch.full((4,), 3.0))
    x = (torch.rand(50, 4, generator=generator, dtype=dtype) * 4 - 2).requires_grad_()
    ways = []
    for few in (1, 10_000):
        monkeypatch.setattr("kan2.core.edges._compiled.FEW", few)
        y = layer(x)
        ways.append((y, *torch.autograd.grad(y.sum(), (x, layer.numeric.weight))))
    assert any(not torch.equal(a, b) for a, b in zip(*ways, strict=True))  # they are two ways
    for a, b in zip(*ways, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * float(b.detach().abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused_at_the_ends_of_the_grid_and_of_the_numbers(dtype, fused_way):
    layer = make(1, 1, dtype=dtype, grid=4)
    edges = layer.numeric
    x = torch.tensor([-1.0, 1.0, -0.5, 0.0, -1e30, 1e30, -1 - 1e-6, 1 - 1e-7], dtype=dtype)[:, None].requires_grad_()
    ways = fused(x, edges.weight, edges.expansion), edges.expansion.sums(x, edges.weight)
    torch.testing.assert_close(*ways, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(*(torch.autograd.grad(y.sum(), x)[0] for y in ways), rtol=1e-5, atol=1e-5)
    nan = torch.full((3, 1), float("nan"), dtype=dtype)
    assert fused(nan, edges.weight, edges.expansion).isnan().all()


@pytest.mark.parametrize("base_fun", ["silu", "zero"])
@pytest.mark.parametrize("k", [1, 3])
def test_derivatives_of_features_either_way(base_fun, k, generator, fused_way):
    edges = make(2, 1, k=k, base_fun=base_fun, dtype=torch.float64).numeric
    x = (torch.rand(9, 2, generator=generator, dtype=torch.float64) * 3 - 1.5).requires_grad_()
    for order in (1, 2, 3):
        found, wanted = edges.feature_derivatives(x, order), edges.features(x, order)
        close(found, wanted, 1e-9)
        weights = torch.rand(found.shape, generator=generator, dtype=torch.float64)
        if wanted.requires_grad:
            slopes = [torch.autograd.grad(way, x, weights, create_graph=True)[0] for way in (found, wanted)]
            close(*slopes, 1e-8)


def test_many_inputs_on_many_threads_take_the_passes(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr("kan2.core.edges._compiled.LARGEST", 10)
    few, many = torch.zeros(5, 2), torch.zeros(6, 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert (can_compile(few), can_compile(many)) == (True, False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert can_compile(many)


def test_gradients_of_gradients():
    layer = make(k=3, arities=(2,), dtype=torch.float64)
    x = torch.linspace(-1.3, 1.3, 12, dtype=torch.float64).view(4, 3).requires_grad_()
    check_gradients(layer, x)
    weight = layer.numeric.weight.detach().clone().requires_grad_()
    check_gradients(lambda w, x: functional_call(layer, {"numeric.weight": w}, (x,)), weight, x)


def test_torch_func_on_uniform_and_adaptive_grids(generator):
    model = MultKAN([2, [2, 1], 1], grid_eps=0.1, seed=0)
    x = torch.rand(40, 2, generator=generator, dtype=torch.float64) ** 2

    def hessians():
        return vmap(jacrev(jacrev(lambda p: model(p[None])[0, 0])))(x)

    close(hessians(), model.jet(x).hessian[:, 0])
    for layer, record in zip(model.layers, model.trace(x).layers, strict=True):
        layer.set_basis_(layer.spec.basis, record.inputs)
    assert not model.layers[0].numeric.basis.is_uniform
    close(hessians(), model.jet(x).hessian[:, 0])
    hessians()  # twice: nothing made inside a transformation may be kept


def test_ensembles_by_vmap(generator):
    layers = [make(generator=generator) for _ in range(4)]
    x = torch.randn(6, 3, generator=generator)
    parameters, buffers = stack_module_state(layers)
    y = vmap(lambda p, b: functional_call(layers[0], (p, b), (x,)))(parameters, buffers)
    for i, layer in enumerate(layers):
        close(y[i], layer(x), 1e-5)


COMPILE = """
import torch
from torch import nn
from kan2 import KANLayer

model, x = nn.Sequential(KANLayer(3, 2), nn.Linear(2, 4), KANLayer(4, 1)), torch.randn(9, 3)
model[0].set_home_(torch.zeros(3), torch.full((3,), 2.0))
compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
torch.testing.assert_close(compiled(x), model(x), rtol=1e-5, atol=1e-5)
"""


@pytest.mark.slow
def test_compile():
    # In a fresh process, where torch need not trace the checker of annotations.
    subprocess.run([sys.executable, "-c", COMPILE], check=True, cwd=ROOT)


def test_sequential_autocast(generator):
    with torch.random.fork_rng(devices=[]):
        model = nn.Sequential(make(), nn.Linear(2, 4), make(4, 1))
    x = torch.randn(9, 3, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.bfloat16
    close(y.float(), model(x), 0.05)
    y.float().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.requires_grad)


def test_copies_states_and_inference_mode(generator):
    layer, x = make(), torch.randn(5, 3, generator=generator)
    wanted = layer(x)
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    other = make(generator=generator)
    other.load_state_dict(layer.state_dict())
    twins = (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(buffer, weights_only=False), other)
    assert all(torch.equal(twin(x), wanted) for twin in twins)
    with torch.inference_mode():
        assert torch.equal(layer(x), wanted)
        make()(x)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None


def test_moved_grids_and_edited_affines_are_noticed(generator):
    layer, x = make(dtype=torch.float64), torch.randn(5, 3, generator=generator, dtype=torch.float64)
    layer(x)
    with torch.no_grad():
        layer.numeric.basis.grid.mul_(2.0)
        layer.node_scale.data.fill_(3.0)  # seen though `.data` hides it from torch's version counter
    close(layer(x), slow_forward(layer, x))
    layer.float().double()
    close(layer(x), slow_forward(layer, x))


def test_affines_learn_where_asked(generator):
    layer = make()
    layer.node_bias.requires_grad_()
    layer(torch.randn(5, 3, generator=generator)).sum().backward()
    torch.testing.assert_close(layer.node_bias.grad, torch.full((2,), 5.0))


def test_chunks_give_the_same_gradients(generator):
    model = MultKAN([3, [2, 1], 1], seed=0)
    x = torch.randn(100, 3, generator=generator, dtype=torch.float64).requires_grad_()
    whole, parts = (f.sum() for f in (model(x), chunked(model, x, rows=7)))
    wanted = torch.autograd.grad(whole, [x, *(p for p in model.parameters() if p.requires_grad)])
    got = torch.autograd.grad(parts, [x, *(p for p in model.parameters() if p.requires_grad)])
    for a, b in zip(got, wanted, strict=True):
        close(a, b)
    with torch.no_grad():
        close(chunked(model, x, rows=7), model(x))
    with pytest.raises(ShapeError, match="at least one row"):
        chunked(model, x, rows=0)


def test_edge_scales_are_standard_deviations(generator):
    layer = make(dtype=torch.float64)
    x = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    scales = edge_scales(layer.numeric, feature_covariance(layer.numeric.features(x)))
    close(scales, layer.edge_values(x).std(0, correction=0), 1e-10)


def test_not_a_number_stays_in_its_row():
    x = torch.zeros(3, 3)
    x[1, 2] = float("nan")
    y = make()(x)
    assert bool(torch.isfinite(y[[0, 2]]).all())
    assert bool(torch.isnan(y[1]).all())


def test_far_away_it_is_linear():
    layer = make(dtype=torch.float64, base_fun="identity")
    x = torch.tensor([[1e3], [2e3], [3e3]], dtype=torch.float64).expand(3, 3)
    y = layer(x)
    close(y[2] - y[1], y[1] - y[0])


def test_same_seed_same_layer():
    assert torch.equal(make().numeric.weight, make().numeric.weight)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"grid": 0}, SpecError),
        ({"grid": 2.5}, SpecError),
        ({"k": 6}, SpecError),
        ({"k": -1}, SpecError),
        ({"grid_range": (1.0, 1.0)}, SpecError),
        ({"grid_range": (0.0, float("nan"))}, SpecError),
        ({"base_fun": "relu6"}, UnknownNameError),
        ({"basis": "wavelet"}, UnknownNameError),
        ({"arities": (0,)}, SpecError),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused(options, error):
    with pytest.raises(error, match=r"expected|unknown"):
        make(**options)


def test_wrong_columns_are_refused():
    with pytest.raises(ShapeError, match="expected 3 columns"):
        make()(torch.zeros(5, 4))


@pytest.mark.slow
def test_a_million_rows_fit_in_two_gib():
    code = (
        "import torch\n"
        "from kan2 import MultKAN, chunked\n"
        "torch.set_num_threads(1)\n"
        "model = MultKAN([32, 64, 64, 1], seed=0, dtype=torch.float32)\n"
        "x = torch.zeros(1_000_000, 32)\n"
        "chunked(model, x, rows=8192).square().mean().backward()\n"
        # The peak of this process alone: that of getrusage begins with the parent's.
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(int(peak.split()[1]) / 2**20)\n"
    )
    peak = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert peak < 2.0
