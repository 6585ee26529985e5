"""Many rows without gradients: the same numbers some rows at a time, in memory that does not grow with the rows."""

import pytest
import torch
from torch import nn

import kanpiler
from kan2 import KANLayer, LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
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


def test_memory_is_flat_without_gradients():
    from benchmarks._timing import peak_mib

    model, x = MultKAN([8, 10, 1], seed=0), torch.zeros(200_000, 8, dtype=torch.float64)
    with torch.no_grad():
        model(x[:20_000])
        assert peak_mib(lambda: model(x)) < 40  # all rows at once: 770 bytes a row, 150 MiB
