"""Unrolled networks give what the network gives, values and gradients, and refuse what they cannot unroll."""

import pytest
import torch

import kanpiler
from kan2 import MultKAN


@pytest.mark.parametrize(
    "source",
    ["x", "3", "x*sin(y) + z^2.5 - 1", "besselj(1, x)*max(x, y)", ["x y", "x + 2y", "sin(x y)"], "exp(-(x - y)^2)/z^2"],
)
def test_program_equals_network(source, generator):
    net = kanpiler.compile(source)
    program = kanpiler.Program(net)
    x = torch.rand(5, 4, len(net.spec.inputs), dtype=torch.float64, generator=generator) + 0.5
    torch.testing.assert_close(program(x), net(x).detach(), rtol=1e-13, atol=1e-13)
    if source != "3":
        leaf = x.clone().requires_grad_()
        expected = torch.autograd.grad(net(leaf).sum(), leaf)[0]
        torch.testing.assert_close(torch.autograd.grad(program(leaf).sum(), leaf)[0], expected, rtol=1e-12, atol=1e-12)


def test_refusals():
    with pytest.raises(kanpiler.CompileError, match="symbolic edges"):
        kanpiler.Program(MultKAN([2, 1]))
    with pytest.raises(kanpiler.CompileError, match="expected 2 columns"):
        kanpiler.Program(kanpiler.compile("x*y"))(torch.zeros(3, 1))
