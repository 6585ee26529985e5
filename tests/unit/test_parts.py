"""Many rows without gradients: the same numbers some rows at a time, in memory that does not grow with the rows."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

import kanpiler
from kan2 import KANConv2d, KANLayer, LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, chunked
from kan2.core import parts


@pytest.fixture
def seen(monkeypatch) -> list[int]:
    """The rows of every batch that reaches a layer's sums, with parts of 64 rows."""
    monkeypatch.setattr(parts, "CACHED", 1)
    monkeypatch.setattr(parts, "FEWEST", 64)
    rows: list[int] = []
    subnodes = KANLayer.subnodes

    def watched(self, x):
        rows.append(len(x))
        return subnodes(self, x)

    monkeypatch.setattr(KANLayer, "subnodes", watched)
    return rows


def table(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


def mixed() -> MultKAN:
    terms = (SymbolicTerm(0, 1, "sin"), SymbolicTerm(2, 0, "x^2"))
    spec = NetworkSpec((LayerSpec(3, 2, (2,), numeric=((0, 0), (3, 2)), terms=terms), LayerSpec(3, 1)))
    model = MultKAN.from_spec(spec)
    model.reset_parameters()
    return model


MODULES = {
    "network": lambda: MultKAN([3, [2, 1], 2], seed=0),
    "mixed": mixed,
    "formula": lambda: kanpiler.compile("x*sin(y) + z"),
    "layer": lambda: KANLayer(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    "Fourier": lambda: KANLayer(3, 2, basis="fourier", dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("shape", [(64,), (65,), (200,), (3, 50), (0,), (70, 0)])
def test_parts_give_what_all_rows_give(name, shape, seen, monkeypatch):
    model, x = MODULES[name](), table(*shape)
    with torch.no_grad():
        found = model(x)
        assert max(seen, default=0) <= 64
        assert model(x.transpose(0, -2)).shape[:-1] == x.transpose(0, -2).shape[:-1]
        monkeypatch.setattr(parts, "FEWEST", 10_000)
        torch.testing.assert_close(found, model(x), rtol=1e-14, atol=1e-14)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), found, rtol=1e-14, atol=1e-14)


def test_gradients_are_kept_where_they_are_wanted(seen):
    model, x = MODULES["network"](), table(200)
    wanted = model(x)
    assert wanted.requires_grad
    frozen = MODULES["network"]().requires_grad_(False)
    assert frozen(x.clone().requires_grad_()).requires_grad
    assert set(seen) == {200}
    torch.testing.assert_close(frozen(x), wanted.detach(), rtol=1e-14, atol=1e-14)
    assert min(seen) < 64


@torch.no_grad()
def test_hooks_see_all_rows(seen):
    model, rows = MODULES["network"](), []
    model.layers[0].register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    model(table(200))
    assert rows == [200]
    assert max(seen) <= 64  # a layer by itself still takes parts
    edges = nn.Sequential(KANLayer(3, 2, generator=torch.Generator().manual_seed(0)))
    edges[0].numeric.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    edges(table(200))
    assert rows == [200, 200]


@torch.no_grad()
def test_types_and_transformations(seen):
    model, x = MODULES["network"]().float(), table(200, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(x).dtype == torch.bfloat16
    assert max(seen) <= 64
    seen.clear()
    torch.testing.assert_close(torch.func.vmap(model)(x.view(2, 100, 3)), model(x).view(2, 100, 2))
    assert seen[0] == 100  # what maps rows sees them all
    assert model.to("meta")(x.to("meta")).shape == (200, 2)


@pytest.mark.slow
def test_memory_is_flat_without_gradients():
    from benchmarks._timing import peak_mib

    model, x = MultKAN([8, 10, 1], seed=0), torch.zeros(200_000, 8, dtype=torch.float64)
    with torch.no_grad():
        model(x[:20_000])
        assert peak_mib(lambda: model(x)) < 40  # all rows at once: 770 bytes a row, 150 MiB


def gradients(y: torch.Tensor, module: nn.Module, x: torch.Tensor, create_graph: bool = False) -> list[torch.Tensor]:
    """Returns the gradients of x and the parameters, as far as they learn; zeros for those that have no part in y."""
    wanted = [t for t in (x, *module.parameters()) if t.requires_grad]
    return list(torch.autograd.grad(y.square().sum(), wanted, create_graph=create_graph, materialize_grads=True))


def close(found, wanted, tolerance: float = 1e-12) -> None:
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(b.detach().abs().max())))


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("needs", ["all", "parameters", "inputs"])
def test_chunks_give_all_gradients_and_their_gradients(name, needs):
    model, x = MODULES[name](), table(50).requires_grad_(needs != "parameters")
    if name == "formula":
        model.layers.requires_grad_()
    if needs == "inputs":
        model.requires_grad_(False)
    ways = [gradients(y, model, x, create_graph=True) for y in (chunked(model, x, rows=7), model(x))]
    close(*ways)
    close(*(gradients(sum(g.square().sum() for g in way), model, x) for way in ways), 1e-10)


def test_chunks_of_a_module_whose_parameters_are_replaced():
    model, x = MODULES["network"](), table(50)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    values = {name: (2 * model.get_parameter(name)).detach().requires_grad_() for name in names}

    def run(rows: int) -> tuple[torch.Tensor, ...]:
        module = nn.Module()
        module.add_module("model", model)
        module.forward = lambda x: chunked(model, x, rows=rows)
        y = functional_call(module, {f"model.{name}": value for name, value in values.items()}, (x,))
        return torch.autograd.grad(y.square().sum(), list(values.values()))

    close(run(7), run(50))


def test_chunks_under_autocast_are_cast_again_on_the_way_back():
    model, x = MODULES["network"]().float(), table(50, dtype=torch.float32).requires_grad_()
    types = []
    model.layers[0].register_forward_hook(lambda module, inputs, output: types.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = chunked(model, x, rows=20)
    found = gradients(y.float(), model, x)
    assert types == [torch.bfloat16] * 6
    types.clear()
    y = chunked(model, x, rows=20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = gradients(y, model, x)
    assert types == [torch.float32] * 6
    close(found, wanted, 0.05)


def test_chunks_of_images_and_of_parameters_without_a_part():
    conv = KANConv2d(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    conv.register_parameter("idle", nn.Parameter(torch.zeros(3)))
    x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    close(*(gradients(y, conv, x) for y in (chunked(conv, x, rows=2), conv(x))))
    chunked(conv, x, rows=2).sum().backward()
    assert conv.idle.grad is None


def test_many_gradients_of_chunks_at_once():
    model, x = MODULES["layer"](), table(10).requires_grad_()
    ways = [
        torch.autograd.functional.jacobian(f, x, vectorize=True) for f in (lambda x: chunked(model, x, rows=4), model)
    ]
    close([ways[0]], [ways[1]])


@pytest.mark.slow
def test_memory_of_chunks_is_flat():
    from benchmarks._timing import peak_mib

    model, peaks = MultKAN([8, 10, 1], seed=0), []
    for n in (50_000, 500_000):
        x, seed = torch.zeros(n, 8, dtype=torch.float64), torch.ones(n, 1, dtype=torch.float64)
        chunked(model, x[:20_000], rows=4096).backward(seed[:20_000])
        # The least of three: what else the process does in the meantime only adds to it.
        found = [peak_mib(lambda x=x, seed=seed: chunked(model, x, rows=4096).backward(seed)) for _ in range(3)]
        peaks.append(min(found) - n * 8 / 2**20)
    # One checkpoint a chunk left 35 to 80 bytes a row behind, 15 to 34 MiB.
    assert peaks[1] < peaks[0] + 10
