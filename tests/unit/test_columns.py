"""Unrolled networks give what the layers give, values and gradients, and never a number that is out of date."""

import copy
import dataclasses
import math

import pytest
import torch

import kanpiler
from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, functions
from kan2.core import straight_line
from kan2.core.unrolled.program import MAX_TERMS, unrolled

SOURCES = [
    "x",
    "3",
    "x*sin(y) + z^2.5 - 1",
    "besselj(1, x)*max(x, y)",
    ["x y", "x + 2y", "sin(x y)"],
    "1/(x*y)",
    "x/y^2",
]


def by_layers(net, x):
    nodes = net.features(x)
    for layer in net.layers:
        nodes = layer(nodes)
    return nodes


@pytest.mark.parametrize("source", [*SOURCES, "exp(-(x - y)^2)/z^2", "x/(y*z*z)", "2/x"])
def test_equals_the_layers(source, generator):
    net = kanpiler.compile(source, trainable=False)
    x = torch.rand(5, 4, len(net.spec.inputs), dtype=torch.float64, generator=generator) + 0.5
    assert unrolled(net.layers) is not None
    torch.testing.assert_close(net(x), by_layers(net, x), rtol=1e-13, atol=1e-13)
    if source != "3":
        leaf = x.clone().requires_grad_()
        expected = torch.autograd.grad(by_layers(net, leaf).sum(), leaf)[0]
        torch.testing.assert_close(torch.autograd.grad(net(leaf).sum(), leaf)[0], expected, rtol=1e-12, atol=1e-12)


def test_changed_numbers_are_seen():
    net = kanpiler.compile("2*x + 1", trainable=False)
    x = torch.ones(1, 1, dtype=torch.float64)
    assert net(x).item() == 3
    net.layers[0].symbolic.affine.data[0, 2] = 5.0
    assert net(x).item() == by_layers(net, x).item() == 6
    net.layers[0].node_bias = torch.nn.Parameter(torch.full((1,), 7.0, dtype=torch.float64), requires_grad=False)
    assert net(x).item() == by_layers(net, x).item() == 13


def test_what_is_not_unrolled():
    symbolic = kanpiler.compile("x*y")
    assert unrolled(symbolic.layers) is not None
    assert unrolled(MultKAN([2, 1]).layers) is None
    many = "*".join(f"sin({i}*x)" for i in range(1, MAX_TERMS + 2))
    assert unrolled(kanpiler.compile(many, verify=False).layers) is None
    assert unrolled(kanpiler.compile("x*y").to(torch.bfloat16).layers) is None
    assert unrolled(kanpiler.compile("x*y").to("meta").layers) is None


@pytest.mark.parametrize("kind", ["forward_pre", "forward", "full_backward_pre", "full_backward"])
@pytest.mark.parametrize("is_inside", [False, True])
def test_hooks_of_layers_and_of_terms_are_called(kind, is_inside, monkeypatch):
    monkeypatch.setattr(straight_line, "FEW_ROWS", 0)
    net, x, seen = kanpiler.compile("x*y"), torch.ones(1, 2, dtype=torch.float64, requires_grad=True), []
    assert net(x).item() == 1
    layer = net.layers[0]
    getattr(layer.symbolic if is_inside else layer, f"register_{kind}_hook")(lambda *_: seen.append(1))
    net(x).sum().backward()
    assert seen == [1]


def test_numbers_get_gradients():
    net = kanpiler.compile("2*x*y")
    net(torch.ones(3, 2, dtype=torch.float64)).sum().backward()
    assert net.layers[0].symbolic.affine.grad.abs().sum() > 0


def test_copies_do_not_share_the_program():
    net = kanpiler.compile("2*x", trainable=False)
    x = torch.ones(1, 1, dtype=torch.float64)
    net(x)
    other = copy.deepcopy(net)
    other.layers[0].symbolic.affine.data[0, 2] = 3.0
    assert (net(x).item(), other(x).item()) == (2, 3)


def test_type_of_the_network():
    net = kanpiler.compile("x/y + 1", trainable=False).float()
    assert net(torch.ones(2, 2)).dtype == torch.float32
    assert net(torch.ones(2, 2)).tolist() == [[2.0], [2.0]]


def frozen(formula):
    return kanpiler.compile(formula, trainable=False)


def test_another_layer_with_the_same_numbers_is_seen():
    net, x = frozen("sin(x)"), torch.tensor([[0.5]], dtype=torch.float64)
    net(x)
    net.layers[0] = frozen("cos(x)").layers[0]
    assert net(x).item() == pytest.approx(math.cos(0.5))


def test_another_function_of_the_same_name_is_seen():
    row = functions.register(functions.SymbolicFunction("twice", lambda u: 2 * u, lambda u: 2 * u, 3))
    layer = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "twice", free=""),))
    net, x = MultKAN.from_spec(NetworkSpec((layer,), ("x",))).requires_grad_(False), torch.ones(1, 1)
    assert net(x).item() == 2
    functions.register(dataclasses.replace(row, torch=lambda u: 3 * u), replace=True)
    assert net(x).item() == 3


def test_outputs_that_are_inputs_are_copies():
    x = torch.zeros(3, 1, dtype=torch.float64)
    y = frozen("x")(x)
    y += 1
    assert not x.any()


def test_one_scale_that_wants_a_gradient_gets_it():
    net = frozen("sin(x)")
    net.layers[0].node_bias.requires_grad_(True)
    net(torch.ones(2, 1)).sum().backward()
    assert net.layers[0].node_bias.grad.item() == 2


def test_parameters_in_another_order_are_told_apart():
    net, x = frozen("2*x + 1"), torch.ones(1, 1)
    layer = net.layers[0]
    for name in ("subnode_bias", "node_scale"):
        parameter = getattr(layer, name)
        delattr(layer, name)
        setattr(layer, name, parameter)
    layer.subnode_bias.data.fill_(5.0)
    assert net(x).item() == by_layers(net, x).item() != 3


def test_other_terms_in_a_layer_are_seen():
    net, x = frozen("sin(x)"), torch.tensor([[0.5]], dtype=torch.float64)
    net(x)
    net.layers[0].symbolic = frozen("cos(x)").layers[0].symbolic
    assert net(x).item() == pytest.approx(math.cos(0.5))
