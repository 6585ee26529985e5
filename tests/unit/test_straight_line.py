"""Trained straight-line programs: values and gradients are those of the layers, in every way torch asks for them."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.gradients import check_gradients
from strategies import networks
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import kanpiler
from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, functions
from kan2.core import straight_line
from kan2.core.unrolled.program import AFFINES, unrolled

FORMULA = "x*sin(2*y)/z + exp(-x^2)*sqrt(z) - 3*y^2/(x + z)"


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    """Has small batches go the way of large ones."""
    monkeypatch.setattr(straight_line, "FEW_ROWS", 0)


@pytest.fixture(params=["arrays", "tensors"])
def kind(request, monkeypatch):
    """What columns are: NumPy arrays, or tensors as where torch has several threads."""
    if request.param == "tensors":
        monkeypatch.setattr(straight_line, "PARALLEL", 0)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    return request.param


def by_layers(net, x):
    nodes = net.features(x)
    for layer in net.layers:
        nodes = layer(nodes)
    return nodes


def inputs(n, rows=6, seed=0, dtype=torch.float64):
    return (torch.rand(rows, n, generator=torch.Generator().manual_seed(seed), dtype=dtype) + 0.5).requires_grad_()


def moved(net, seed=0):
    """Changes all numbers a little, so that none is 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 + 0.1 * torch.rand(p.shape, generator=generator, dtype=p.dtype))
    return net


def is_unrolled(y) -> bool:
    return "Unrolled" in type(y.grad_fn).__name__ or "Unrolled" in str(y.grad_fn.next_functions)


def values_and_gradients(evaluate, net, x):
    y = evaluate(x)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    wanted = [x, *(p for p in net.parameters() if p.requires_grad)]
    found = torch.autograd.grad((y * weights).sum(), wanted, allow_unused=True)
    return [y, *(torch.zeros_like(p) if g is None else g for p, g in zip(wanted, found))]


def assert_same(net, x, rtol=1e-11, atol=1e-11):
    if not by_layers(net, x).requires_grad:
        torch.testing.assert_close(net(x), by_layers(net, x), rtol=rtol, atol=atol, equal_nan=True)
        return
    mine = values_and_gradients(net, net, x)
    for a, b in zip(mine, values_and_gradients(lambda x: by_layers(net, x), net, x), strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol, equal_nan=True)


@settings(max_examples=25)
@given(
    net=networks(edges=("symbolic", "none")),
    is_frozen=st.booleans(),
    affines=st.integers(0, 15),
    seed=st.integers(0, 99),
)
def test_equals_the_layers(net, is_frozen, affines, seed):
    net.requires_grad_(not is_frozen)
    for layer in net.layers:
        for bit, name in enumerate(AFFINES):
            getattr(layer, name).requires_grad_(bool(affines >> bit & 1))
    assert_same(net, inputs(len(net.spec.inputs), seed=seed), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "source", [FORMULA, "x*y", "x + y/x", "x^2.5*y^(-1.5)", "x", ["x y", "x - 2y", "y"], "1/(x*y)^3"]
)
@pytest.mark.parametrize("change", [lambda net: net, moved])
def test_formulas(source, change, kind):
    net = change(kanpiler.compile(source))
    x = inputs(len(net.spec.inputs))
    assert is_unrolled(net(x))
    assert_same(net, x, rtol=1e-12, atol=1e-12)


def one_edge(name, free="abcdp", wide=1):
    terms = tuple(SymbolicTerm(0, i, name, free=free) for i in range(wide))
    return MultKAN.from_spec(NetworkSpec((LayerSpec(wide, 1, numeric=(), terms=terms),)))


@pytest.mark.parametrize("name", functions.BUILT_IN)
def test_every_function_of_the_table(name, kind):
    row = functions.get(name)
    low, high = row.domain
    net, middle = one_edge(name, free="abcd"), functions.inner_point(row)
    x = torch.tensor([[middle], [middle + min(0.1, (high - middle) / 2)]], dtype=torch.float64, requires_grad=True)
    assert_same(net, x)
    if math.isfinite(low):
        outside = torch.tensor([[low - 0.5]], dtype=torch.float64, requires_grad=True)
        torch.testing.assert_close(net(outside), by_layers(net, outside), equal_nan=True)


@pytest.mark.parametrize("name", ["x^2", "1/x", "sqrt", "exp", "log", "sin", "abs", "tanh", "power", "sign", "0"])
@pytest.mark.parametrize("at", [0.0, -2.0, 1e30, float("inf"), float("nan")])
def test_special_arguments_have_the_values_of_the_layers(name, at, kind):
    net, x = one_edge(name), torch.full((2, 1), at, dtype=torch.float64)
    with torch.no_grad():  # by which the power of an infinity is not one of the layers, but right
        wanted = by_layers(net, x)
        torch.testing.assert_close(net(x), wanted, equal_nan=True)
    torch.testing.assert_close(net(x), wanted, equal_nan=True)


def test_the_exponent_of_a_power_is_trained(kind):
    net, x = one_edge("power", wide=2), inputs(2)
    assert net.layers[0].symbolic.shape.requires_grad
    assert_same(net, x)
    check_gradients(lambda shape: torch.func.functional_call(net, {"layers.0.symbolic.shape": shape}, (x,)),
                    net.layers[0].symbolic.shape.detach().clone().requires_grad_())  # fmt: skip
    net.layers[0].symbolic.shape.grad = None
    net(torch.zeros(1, 2)).sum().backward()
    assert torch.isfinite(net.layers[0].symbolic.shape.grad).all()


def test_gradients_are_those_of_differences(kind):
    # All four numbers of these functions are free, as differences find.
    layers = (
        LayerSpec(2, 1, (2, 3), numeric=(), affine_trainable=True, terms=tuple(
            SymbolicTerm(i, i % 2, name) for i, name in enumerate(("sin", "tanh", "atan", "gaussian", "cos", "erf")))),
        LayerSpec(3, 0, (2,), numeric=(), terms=tuple(
            SymbolicTerm(i // 2, i % 3, name) for i, name in enumerate(("asinh", "sigmoid", "cosh", "sin")))),
    )  # fmt: skip
    net = moved(MultKAN.from_spec(NetworkSpec(layers)))
    parameters = [p for name, p in net.named_parameters() if p.requires_grad and not name.endswith("shape")]

    def evaluate(x, *_):
        return net(x)

    x = inputs(2, rows=2)
    assert len(parameters) == 6
    assert is_unrolled(net(x))
    # Gradients of gradients do not depend on what columns are.
    check_gradients(evaluate, x, *parameters, second=kind == "arrays")
    check_gradients(net.requires_grad_(False), x, second=kind == "arrays")


def test_derivatives_of_all_orders_meet_the_numbers():
    net, x = kanpiler.compile(FORMULA), inputs(3)

    def bent(evaluate):
        (slope,) = torch.autograd.grad(evaluate(x).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(slope.sin().sum(), x, create_graph=True)
        return torch.autograd.grad(second.square().sum(), net.layers[0].symbolic.affine)[0]

    torch.testing.assert_close(bent(net), bent(lambda x: by_layers(net, x)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("trainable", [True, False])
def test_many_gradients_at_once(trainable):
    net, x = kanpiler.compile(FORMULA, trainable=trainable), inputs(3)
    if not trainable:
        net.requires_grad_(False)
    y = net(x)
    rows = torch.eye(len(y), dtype=y.dtype)[:, :, None]
    (found,) = torch.autograd.grad(y, x, rows, is_grads_batched=True, retain_graph=True)
    for i, row in enumerate(rows):
        (wanted,) = torch.autograd.grad(y, x, row, retain_graph=True)
        torch.testing.assert_close(found[i], wanted, rtol=1e-12, atol=1e-12)


def test_torch_transforms():
    net, x = kanpiler.compile(FORMULA), inputs(3).detach()
    y, jacobian = net(x), torch.autograd.functional.jacobian(lambda x: net(x).sum(0), x)[0]
    torch.testing.assert_close(torch.func.vmap(net)(x), y)
    torch.testing.assert_close(torch.func.vmap(torch.func.jacrev(net))(x)[:, 0], jacobian)
    torch.testing.assert_close(torch.func.jvp(net, (x,), (torch.ones_like(x),))[1][:, 0], jacobian.sum(1))


@pytest.mark.parametrize("has_gradient", [False, True])
def test_forward_differentiation_of_a_frozen_formula(has_gradient):
    net, x = kanpiler.compile(FORMULA, trainable=False).requires_grad_(False), inputs(3)
    tangent = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
    (wanted,) = torch.autograd.grad(net(x).sum(), x)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(net(forward_ad.make_dual(x if has_gradient else x.detach(), tangent))).tangent
    torch.testing.assert_close(found[:, 0], (wanted * tangent).sum(1))


def test_tracing_sees_the_operations():
    net, x = kanpiler.compile("x*sin(y)", trainable=False).requires_grad_(False), inputs(2).detach()
    traced = torch.fx.experimental.proxy_tensor.make_fx(net)(x)
    torch.testing.assert_close(traced(x + 1), net(x + 1))


@pytest.mark.parametrize("rows", [(0,), (1,), (), (2, 3)])
def test_batches_of_every_shape(rows, kind):
    net = moved(kanpiler.compile(FORMULA))
    x = torch.ones(*rows, 3, dtype=torch.float64, requires_grad=True)
    assert_same(net, x)


def test_inputs_of_another_type_and_layout(kind):
    net = moved(kanpiler.compile(FORMULA))
    assert_same(net, inputs(3).detach().float().requires_grad_(), rtol=1e-6, atol=1e-6)
    assert_same(net, inputs(6, rows=3).detach().T.requires_grad_()[:, :3])
    assert_same(net.float(), inputs(3, dtype=torch.float32), rtol=1e-4, atol=1e-5)


def test_sums_over_the_batch_are_taken_in_float64(kind):
    net = kanpiler.compile("x").float()
    x = torch.full((2**20, 1), 0.1)
    torch.autograd.backward(net(x).sum())
    assert net.layers[0].symbolic.affine.grad[0, 2].item() == pytest.approx(2**20 * 0.1, rel=1e-7)


@pytest.mark.parametrize("trainable", [True, False])
def test_poles_have_the_sign_of_the_layers(trainable, kind):
    net = kanpiler.compile("1/sinh(x*y)", trainable=trainable)
    x = torch.tensor([[0.0, -1.0], [-1.0, 0.0]], dtype=torch.float64, requires_grad=trainable)
    assert net(x).tolist() == by_layers(net, x).tolist() == [[math.inf], [math.inf]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_units_do_not_matter(dtype, size, kind):
    terms = (SymbolicTerm(0, 0, "x"), SymbolicTerm(1, 1, "x"))
    layers = (LayerSpec(2, 2, numeric=(), terms=terms), LayerSpec(2, 0, (2,), numeric=(), terms=terms))
    net = MultKAN.from_spec(NetworkSpec(layers), dtype=dtype)
    with torch.no_grad():
        net.layers[0].symbolic.affine[:, 2] = 1 / size
        net.layers[1].symbolic.affine[0, 2] = size
        net.layers[1].node_scale.fill_(1 / size)
    x = (inputs(2, dtype=dtype) * size).detach().requires_grad_()
    assert_same(net, x, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=0.0)
    assert_same(net.requires_grad_(False), x, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=0.0)


def test_training_keeps_the_program_and_sees_the_numbers():
    net, x = kanpiler.compile(FORMULA), inputs(3)
    net(x)
    net(moved(net).prepare(x))
    before = unrolled(net.layers)
    for _ in range(3):
        assert_same(moved(net), x)
    after = unrolled(net.layers)
    assert after is not before
    assert after.tapes is before.tapes
    with torch.no_grad():
        net.layers[0].symbolic.affine[0, 2] = 1.0
        net.layers[0].symbolic.affine[0, 3] = 0.0
    assert_same(net, x)
    assert_same(moved(net), x)
    net.layers[0].symbolic.requires_grad_(False)
    assert_same(net, x)


def test_numbers_changed_between_forward_and_backward_are_refused():
    net, x = kanpiler.compile("2*x*y"), inputs(2)
    y = net(x)
    net.layers[0].symbolic.affine.data.add_(0.0)
    moved(net)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("source", ["exp(x)", "x/y", "x", "x + y", "sqrt(x*y)"])
def test_outputs_may_be_written_into(source, kind):
    net = kanpiler.compile(source)
    x = inputs(len(net.spec.inputs))
    (wanted,) = torch.autograd.grad(net(x).sum(), x)
    y = net(x)
    y += 1
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], wanted)


def test_gradients_can_be_asked_for_twice_and_through_checkpoints(kind):
    net, x = moved(kanpiler.compile(FORMULA)), inputs(3)
    y = net(x)
    first, second = (torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    (third,) = torch.autograd.grad(checkpoint(net, x, use_reentrant=False).sum(), x)
    assert torch.equal(first, third)


def test_a_function_of_a_user_may_give_back_what_it_was_given(kind):
    row = functions.SymbolicFunction("same", lambda u: u, lambda u: u, 3)
    functions.register(row, replace=True)
    layers = (
        LayerSpec(1, 1, (2,), numeric=(), terms=tuple(SymbolicTerm(i, 0, "x") for i in range(3))),
        LayerSpec(2, 2, numeric=(), terms=(SymbolicTerm(0, 1, "same"), SymbolicTerm(1, 1, "x"))),
        LayerSpec(2, 2, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(1, 1, "x"))),
    )
    net, x = MultKAN.from_spec(NetworkSpec(layers)), inputs(1)
    with torch.no_grad():
        net.layers[2].symbolic.affine[0, 2] = 2.0
        torch.testing.assert_close(net(x), by_layers(net, x))
    assert_same(net, x)


def test_a_replaced_function_is_the_users(kind):
    net, x, original = kanpiler.compile("sin(x)*y"), inputs(2), functions.get("sin")
    before = net(x)
    functions.register(dataclasses.replace(original, torch=lambda u: 2 * torch.sin(u)), replace=True)
    try:
        assert_same(net, x)
        torch.testing.assert_close(net(x), 2 * before)
    finally:
        functions.register(original, replace=True)
    torch.testing.assert_close(net(x), before)


def test_few_rows_of_what_the_loops_know_take_the_loops(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(straight_line, "FEW_ROWS", 10)
    net = kanpiler.compile("sin(x)*y")
    assert not is_unrolled(net(inputs(2, rows=9)))
    assert is_unrolled(net(inputs(2, rows=10)))
    assert is_unrolled(kanpiler.compile("erf(x)*y")(inputs(2, rows=9)))
    assert is_unrolled(kanpiler.compile("sin(x)*y", trainable=False).requires_grad_(False)(inputs(2, rows=9)))
