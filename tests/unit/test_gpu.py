"""The public API on a CUDA device: the same numbers as on the CPU, through the same code.

Run with `pytest -m gpu`; every test is skipped where there is no CUDA device.
"""

import copy
from dataclasses import replace

import pytest
import torch

from kan2 import KANConv2d, KANLayer, LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, chunked
from kan2.core.bases import KINDS
from kan2.core.jets import directional, jet, laplacian
from kan2.training.penalties import edge_scales, feature_covariance

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def pair(module: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Returns a module on the CPU and a copy of it on the GPU."""
    return module, copy.deepcopy(module).to("cuda")


def close(gpu: torch.Tensor, cpu: torch.Tensor, tolerance: float = 1e-9) -> None:
    assert gpu.device.type == "cuda"
    cpu = cpu.detach()
    scale = max(1.0, float(cpu.abs().max()))
    torch.testing.assert_close(gpu.detach().cpu(), cpu, rtol=tolerance, atol=tolerance * scale)


def points(n: int = 200, columns: int = 3, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, columns, generator=generator, dtype=dtype) * 2.6 - 1.3


def mixed_network() -> MultKAN:
    first = LayerSpec(
        *(3, 2, (2,)),
        numeric=((0, 0), (1, 1), (2, 2), (3, 0)),
        terms=(SymbolicTerm(0, 1, "sin"), SymbolicTerm(1, 2, "exp"), SymbolicTerm(3, 1, "x^2")),
    )
    model = MultKAN.from_spec(NetworkSpec((first, LayerSpec(3, 1))))
    generator = torch.Generator().manual_seed(1)
    for layer in model.layers:
        layer.reset_parameters(generator=generator)
    return model


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
def test_layers_and_their_gradients(kind, dtype, tolerance):
    cpu, gpu = pair(KANLayer(3, 4, basis=kind, arities=(2,), generator=torch.Generator().manual_seed(0), dtype=dtype))
    x = points(dtype=dtype).requires_grad_()
    y = x.detach().cuda().requires_grad_()
    a, b = cpu(x), gpu(y)
    close(b, a, tolerance)
    a.sum().backward()
    b.sum().backward()
    close(y.grad, x.grad, 20 * tolerance)
    close(gpu.numeric.weight.grad, cpu.numeric.weight.grad, 20 * tolerance)


def test_layers_made_on_the_device():
    layer = KANLayer(3, 2, device="cuda", generator=torch.Generator().manual_seed(0))
    same = KANLayer(3, 2, generator=torch.Generator().manual_seed(0))
    close(layer.numeric.weight, same.numeric.weight, 0.0)
    assert layer(points(dtype=torch.float32).cuda()).device.type == "cuda"


def test_adaptive_grids_and_refinement():
    layer = KANLayer(3, 2, grid=6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cpu, gpu = pair(layer)
    x = points() ** 3
    for basis in (replace(layer.spec.basis, grid_eps=0.2), replace(layer.spec.basis, grid=12)):
        cpu.set_basis_(basis, x if basis.grid == 6 else None)
        gpu.set_basis_(basis, x.cuda() if basis.grid == 6 else None)
        close(gpu(x.cuda()), cpu(x), 1e-6)


def test_convolution():
    cpu, gpu = pair(KANConv2d(2, 4, 3, padding=1, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    x = points(2 * 2 * 64, 1).view(2, 2, 8, 8)
    close(gpu(x.cuda()), cpu(x))


@pytest.mark.parametrize("make", [lambda: MultKAN([3, [4, 2], 1], seed=0), mixed_network], ids=["numeric", "mixed"])
def test_networks_traces_and_jets(make):
    cpu, gpu = pair(make())
    x = points(50)
    close(gpu(x), cpu(x))
    for a, b in zip(gpu.trace(x).layers, cpu.trace(x).layers, strict=True):
        close(a.edges(), b.edges())
    a, b = jet(gpu, x, 3), jet(cpu, x, 3)
    for part in ("value", "gradient", "hessian", "third"):
        close(getattr(a, part), getattr(b, part), 1e-8)
    close(laplacian(gpu, x), laplacian(cpu, x), 1e-8)
    v = [1.0, -0.5, 0.2]
    close(directional(gpu, x, v).hessian, directional(cpu, x, v).hessian, 1e-8)


def test_gradients_of_gradients():
    layer = KANLayer(2, 2, device="cuda", generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = points(6, 2).cuda().requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    with torch.random.fork_rng():
        assert torch.autograd.gradgradcheck(layer, (x,))


def test_autocast_chunks_and_statistics():
    layer = KANLayer(3, 2, device="cuda", generator=torch.Generator().manual_seed(0))
    x = points(dtype=torch.float32).cuda()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        y = layer(x)
    close(y.float(), layer(x).cpu(), 0.05)
    close(chunked(layer, x, rows=33), layer(x).cpu(), 1e-5)
    scales = edge_scales(layer.numeric, feature_covariance(layer.numeric.features(x)))
    close(scales, layer.edge_values(x).std(0, correction=0).cpu(), 1e-4)


def test_not_a_number_is_no_device_error():
    layer = KANLayer(3, 2, device="cuda", generator=torch.Generator().manual_seed(0))
    x = torch.zeros(4, 3, device="cuda")
    x[1, 1] = float("nan")
    x[2, 1] = 1e30
    y = layer(x)
    torch.cuda.synchronize()
    assert torch.isnan(y).any(1).tolist() == [False, True, False, False]


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
def test_fit(opt):
    model = MultKAN([2, 2, 1], grid=3, seed=0, device="cuda")
    x = points(300, 2).cuda()

    def loss() -> float:
        with torch.no_grad():
            return float(((model(x) - x[:, :1] * x[:, 1:]) ** 2).mean())

    before = loss()
    model.fit((x, x[:, 0] * x[:, 1]), opt=opt, steps=20)
    assert model.like.device.type == "cuda"
    assert loss() < before


def test_save_here_load_there(tmp_path):
    model = mixed_network().to("cuda")
    model.save(tmp_path / "net.safetensors")
    read = MultKAN.load(tmp_path / "net.safetensors")
    assert read.like.device.type == "cpu"
    close(model(points()), read(points()), 1e-12)


def test_edits_and_formulas():
    model = mixed_network().to("cuda")
    x = points(100)
    for other in (model.refine(10), model.expand_width(1, 1), model.expand_depth()):
        assert other.like.device.type == "cuda"
        assert other(x).shape == (100, 1)
    symbolic = MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),)),)))
    assert str(symbolic.to("cuda").symbolic_formula()) == "sin(x1)"
