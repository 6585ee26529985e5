"""KANLayer inside what torch does with modules: compile, trace, autocast, autograd's ways, checkpoints, workers."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import kanpiler
from kan2 import KANLayer, MultKAN, chunked

ROOT = Path(__file__).resolve().parents[2]


def make(n_in: int = 3, n_out: int = 2, **options) -> KANLayer:
    return KANLayer(n_in, n_out, generator=torch.Generator().manual_seed(0), **options)


def gradients(module: nn.Module, x: torch.Tensor, run=None) -> list[torch.Tensor]:
    """Returns the gradients of a scalar of the outputs: of x, and of all parameters that learn."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    wanted = [x, *(p for p in module.parameters() if p.requires_grad)]
    return list(torch.autograd.grad((run or module)(x).float().square().sum(), wanted))


def close(found: list[torch.Tensor], wanted: list[torch.Tensor], tolerance: float = 1e-5) -> None:
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(b.detach().abs().max())))


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.randn(9, 3, generator=generator)


@pytest.fixture(params=[True, False], ids=["loops", "passes"])
def fused_way(request, monkeypatch) -> None:
    if request.param:
        pytest.importorskip("numba")
    monkeypatch.setattr("kan2.core.edges._compiled.IS_AVAILABLE", request.param)


def run_script(code: str, *arguments: str) -> str:
    """Runs a script in a fresh process, where the annotations of the packages are not checked."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout


COMPILE = """
import sys, torch
from torch import nn
from kan2 import KANLayer, MultKAN

generator = torch.Generator().manual_seed(0)
layers = KANLayer(3, 2, generator=generator), nn.Linear(2, 4), KANLayer(4, 1, arities=(2,), generator=generator)
for model in (nn.Sequential(*layers), MultKAN([3, [2, 1], 1], seed=0, dtype=torch.float32)):
    compiled = torch.compile(model, backend=sys.argv[1], fullgraph=isinstance(model, nn.Sequential))
    parameters = [p for p in model.parameters() if p.requires_grad]
    x = torch.randn(9, 3, generator=generator).requires_grad_()
    found, wanted = compiled(x), model(x)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    ways = (torch.autograd.grad(y.square().sum(), [x, *parameters]) for y in (found, wanted))
    for a, b in zip(*ways, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
print("same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_modules_have_the_same_values_and_gradients(backend):
    assert run_script(COMPILE, backend) == "same\n"


@pytest.mark.slow
def test_export(x):
    layer = make(arities=(2,))
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.usefixtures("unchecked")
def test_traces_take_other_batches(x):
    for module in (make(arities=(2,)), MultKAN([3, [2, 1], 1], seed=0, dtype=torch.float32)):
        traced = torch.jit.trace(module, x)
        for other in (x, 3 * x[:4], x[:0]):
            torch.testing.assert_close(traced(other), module(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["sums", "products", "affines", "network"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_gives_its_type_and_nearly_the_same_numbers(kind, dtype, x):
    module: nn.Module = make(arities=(2,) if kind == "products" else ())
    if kind == "affines":
        for parameter in module.parameters():
            parameter.requires_grad_()
    if kind == "network":
        module = MultKAN([3, [2, 1], 1], seed=0, dtype=torch.float32)
    wanted, wanted_gradients = module(x), gradients(module, x)
    with torch.autocast("cpu", dtype=dtype):
        y, found = module(x), gradients(module, x)
        parts = chunked(module, x, rows=4)
    assert y.dtype == parts.dtype == dtype  # that of nn.Linear
    torch.testing.assert_close(parts, y)
    torch.testing.assert_close(y.float(), wanted, rtol=0.02, atol=0.02)
    assert all(g.dtype == torch.float32 for g in found)
    close(found, wanted_gradients, 0.05)


def test_the_way_back_inside_autocast(x):
    layer = make()
    y = layer(x.requires_grad_()).square().sum()
    wanted = gradients(layer, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(list(torch.autograd.grad(y, (x, layer.numeric.weight))), wanted)


def test_float64_stays_under_autocast(x):
    layer = make(dtype=torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x.double()), layer(x))
        assert layer(x).dtype == torch.float64


@pytest.mark.usefixtures("fused_way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layouts_of_rows_do_not_matter(dtype, generator):
    layer = make(dtype=dtype)
    table = torch.randn(40, 6, generator=generator, dtype=dtype).requires_grad_()
    layouts = {
        "transposed": lambda t: t[:12].reshape(3, 24).t(),
        "strided": lambda t: t[::3, ::2],
        "expanded": lambda t: t[:, :1].expand(40, 3),
        "negated": lambda t: torch.complex(t, t).conj().imag[:, 3:],
        "three axes": lambda t: t.view(4, 10, 6).transpose(0, 1)[..., 1::2],
        "one axis": lambda t: t[0, ::2],
        "one row": lambda t: t[:1, 3:],
        "no rows": lambda t: t[:0, 3:],
    }
    for name, view in layouts.items():
        x = view(table)
        y, wanted = layer(x), layer(view(table).resolve_neg().clone(memory_format=torch.contiguous_format))
        assert y.shape == (*x.shape[:-1], 2), name
        torch.testing.assert_close(y, wanted, msg=lambda text, name=name: f"{name}: {text}")
        # The gradient that comes back lies the other way round in memory.
        seed = torch.randn(*reversed(y.shape), generator=generator, dtype=dtype).permute(*reversed(range(y.ndim)))
        ways = ((y, seed), (wanted, seed.contiguous()))
        close(*(list(torch.autograd.grad(out, (table, layer.numeric.weight), s)) for out, s in ways))


@pytest.mark.usefixtures("fused_way")
def test_gradients_of_no_rows_are_zero():
    layer, x = make(arities=(2,)), torch.zeros(0, 3).requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 3)
    assert not layer.numeric.weight.grad.any()


@pytest.mark.usefixtures("fused_way")
def test_many_gradients_at_once(x):
    layer = make()
    x.requires_grad_()
    y, inputs = layer(x), (x, layer.numeric.weight)
    seeds = torch.eye(y.numel()).view(-1, *y.shape)
    found = torch.autograd.grad(y, inputs, seeds, is_grads_batched=True, retain_graph=True)
    one_by_one = [torch.autograd.grad(y, inputs, seed, retain_graph=True) for seed in seeds]
    close(list(found), [torch.stack(part) for part in zip(*one_by_one, strict=True)])
    whole = torch.autograd.functional.jacobian(layer, x, vectorize=True)
    close([whole], [torch.autograd.functional.jacobian(layer, x)])


@pytest.mark.usefixtures("fused_way")
def test_tangents_travel_forward(x):
    formula = kanpiler.compile("x*sin(y)")
    formula.layers.requires_grad_()
    for module, at in ((make(), x), (MultKAN([3, [2, 1], 1], seed=0), x.double()), (formula, x[:, :2].double())):
        tangent = torch.ones_like(at)
        with forward_ad.dual_level():
            found = forward_ad.unpack_dual(module(forward_ad.make_dual(at, tangent))).tangent
        wanted = torch.autograd.functional.jvp(module, at, tangent)[1]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_of_every_sample(x):
    layer = make()
    parameters = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(parameters, row):
        return functional_call(layer, parameters, (row,)).square().sum()

    found = vmap(grad(loss), (None, 0))(parameters, x)["numeric.weight"]
    wanted = [torch.autograd.grad(layer(row).square().sum(), layer.numeric.weight)[0] for row in x]
    close([found], [torch.stack(wanted)])


def test_frozen_layers_let_gradients_through(x):
    layer = make(arities=(2,))
    wanted = gradients(layer, x)[0]
    layer.requires_grad_(False)
    assert not layer(x).requires_grad
    close([gradients(layer, x)[0]], [wanted])


@pytest.mark.usefixtures("fused_way")
@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints_compute_the_same_again(use_reentrant, x):
    module = nn.Sequential(make(), make(2, 3, arities=(2,)))
    found = gradients(module, x)
    x.requires_grad_()
    module.zero_grad()
    checkpoint(module, x, use_reentrant=use_reentrant, preserve_rng_state=False).square().sum().backward()
    close([x.grad, *(p.grad for p in module.parameters() if p.requires_grad)], found)


def test_chunks_of_images_and_sequences(generator):
    layer, x = make(), torch.randn(11, 4, 3, generator=generator)
    close(
        [chunked(layer, x, rows=3), *gradients(layer, x, lambda x: chunked(layer, x, rows=3))],
        [layer(x), *gradients(layer, x)],
    )


class Double(nn.Module):
    """A parametrization that doubles a tensor."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * values


def test_parametrized_weights_and_affines(x):
    layer = make()
    wanted = layer(x)
    parametrize.register_parametrization(layer.numeric, "weight", Double())
    torch.testing.assert_close(layer(x), 2 * wanted)
    parametrize.register_parametrization(layer, "node_scale", Double())
    torch.testing.assert_close(layer(x), 4 * wanted)
    layer(x).sum().backward()
    assert layer.numeric.parametrizations.weight.original.grad.any()
    parametrize.remove_parametrizations(layer, "node_scale")
    parametrize.remove_parametrizations(layer.numeric, "weight")
    torch.testing.assert_close(layer(x), 4 * wanted)
    parametrizations.weight_norm(layer.numeric, "weight")
    torch.testing.assert_close(layer(x), 4 * wanted)


def test_groups_of_parameters_learn_at_their_own_rates(x):
    model = nn.Sequential(make(), nn.LayerNorm(2), make(2, 1, arities=(2,)))
    before = copy.deepcopy(model.state_dict())
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters(), "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW([*groups, {"params": model[1].parameters()}], lr=0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (model(x)[:, 0] - x[:, 0]).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    # Grids are data and affines that do not learn are constants; neither moves.
    assert changed == {"1.weight", "1.bias", "2.numeric.weight"}


class Through:
    """Stacks samples and passes them through a layer, as preprocessing in a worker does."""

    def __init__(self, layer: KANLayer) -> None:
        self.layer = layer.requires_grad_(False)

    def __call__(self, samples: list) -> torch.Tensor:
        return self.layer(torch.stack([sample for (sample,) in samples]))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_of_a_data_loader_evaluate_layers(generator):
    layer, x = make(), torch.randn(40, 3, generator=generator)
    wanted = layer(x).detach()  # before the workers start, so that they inherit what was kept
    loader = DataLoader(
        TensorDataset(x),
        8,
        num_workers=2,
        collate_fn=Through(layer),
        generator=generator,
        multiprocessing_context="fork",
    )
    torch.testing.assert_close(torch.cat(list(loader)), wanted)


DDP = """
import sys, torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from kan2 import KANLayer


def model():
    generator = torch.Generator().manual_seed(0)
    return nn.Sequential(KANLayer(3, 4, generator=generator), KANLayer(4, 1, arities=(2,), generator=generator))


def train(rank, place):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    alone, together = model(), DistributedDataParallel(model())
    ways = (alone, x), (together, x[rank::2])
    optimizers = [torch.optim.Adam(module.parameters(), lr=0.01) for module, _ in ways]
    for _ in range(3):
        for (module, rows), optimizer in zip(ways, optimizers):
            optimizer.zero_grad()
            module(rows).square().mean().backward()
        for a, b in zip(alone.parameters(), together.parameters(), strict=True):
            assert a.requires_grad == b.requires_grad == (a.grad is not None)
            if a.grad is not None:
                assert a.grad.any()
                torch.testing.assert_close(a.grad, b.grad)
        for optimizer in optimizers:
            optimizer.step()
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.start_processes(train, (sys.argv[1],), nprocs=2, start_method="fork")
    print("same")
"""


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tmp_path):
    assert run_script(DDP, str(tmp_path / "meeting")) == "same\n"
