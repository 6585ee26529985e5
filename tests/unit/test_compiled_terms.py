"""Compiled loops for symbolic terms: the same values and gradients as the plain evaluation, and nothing else."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.gradients import check_gradients

from kan2 import functions
from kan2.core.edges import SymbolicEdges
from kan2.core.edges._compiled_terms import NAMES, can_loop
from kan2.core.spec import SymbolicTerm

pytest.importorskip("numba")
N_IN, N_OUT = 3, 2


def edges_of(names, free="abcd", dtype=torch.float64, seed=0) -> SymbolicEdges:
    terms = tuple(SymbolicTerm(i % N_OUT, i % N_IN, name, free=free) for i, name in enumerate(names))
    edges = SymbolicEdges(terms, torch.zeros(0, dtype=dtype))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        edges.affine.copy_(torch.rand(edges.affine.shape, generator=generator) + 0.1)
    return edges


def inputs(batch=7, dtype=torch.float64, seed=1) -> torch.Tensor:
    # Positive, so that roots and logarithms are real.
    return torch.rand(batch, N_IN, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def serves(edges, x) -> bool:
    return can_loop(edges.terms, edges.affine, x)


def values_and_gradients(sums, x, edges) -> list[torch.Tensor]:
    weights = torch.arange(1.0, sums.numel() + 1, dtype=sums.dtype).view(sums.shape)
    return [sums, *torch.autograd.grad(sums, (x, edges.affine), weights)]


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=9),
    free=st.sampled_from(["abcd", "cd", "a", ""]),
    batch=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_the_loops_equal_the_plain_evaluation(names, free, batch, seed):
    edges, x = edges_of(names, free, seed=seed), inputs(batch, seed=seed)
    assert serves(edges, x)
    a = values_and_gradients(edges(x, N_OUT), x, edges)
    if any(term in functions.get(name).free for name in names for term in free):
        b = values_and_gradients(edges.terms.sums(x, edges.affine, edges.shape, N_OUT), x, edges)
    else:
        b = [edges.terms.sums(x, edges.affine, edges.shape, N_OUT), a[1], torch.zeros_like(edges.affine)]
    for mine, wanted in zip(a, b, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [0.0, -2.0, 1e30, float("inf"), float("nan")])
def test_special_arguments_are_treated_as_torch_does(name, at):
    edges = edges_of([name])
    with torch.no_grad():
        edges.affine.copy_(torch.tensor([[1.0, 0.0, 1.0, 0.0]]))
    x = torch.full((1, N_IN), at, dtype=torch.float64)
    torch.testing.assert_close(edges(x, N_OUT), edges.terms.sums(x, edges.affine, edges.shape, N_OUT), equal_nan=True)


def test_gradients_of_gradients():
    edges = edges_of(["sin", "exp", "x^3", "tanh", "gaussian"])
    check_gradients(lambda x: edges(x, N_OUT), inputs(4))


def test_float32_stays_float32():
    edges, x = edges_of(["sin", "1/x", "sqrt"], dtype=torch.float32), inputs(dtype=torch.float32)
    sums = edges(x, N_OUT)
    assert sums.dtype == torch.float32
    torch.testing.assert_close(sums, edges.terms.sums(x, edges.affine, edges.shape, N_OUT))


def test_what_the_loops_do_not_know_goes_the_plain_way():
    x = inputs()
    assert not serves(edges_of(["sin", "power"]), x)
    assert not serves(edges_of(["sin"]), x.float())
    assert not serves(edges_of(["sin"]), x[:0])
    assert not serves(edges_of(["sin"]), inputs(10**6))


def test_a_function_that_a_user_replaced_is_the_users():
    edges, x, original = edges_of(["sin"]), inputs(), functions.get("sin")
    before = copy.deepcopy(edges)(x, N_OUT)
    functions.register(replace(original, torch=lambda u: 2 * torch.sin(u)), replace=True)
    try:
        assert not torch.allclose(edges(x, N_OUT), before)
    finally:
        functions.register(original, replace=True)
    assert torch.equal(edges(x, N_OUT), before)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_terms_come_through_a_device_without_values(device):
    edges, x = edges_of(["sin", "exp"]), inputs()
    expected = edges(x, N_OUT)
    copy_of = SymbolicEdges(edges._spec, torch.zeros(0, dtype=torch.float64, device=device)).to_empty(device="cpu")
    copy_of.load_state_dict(edges.state_dict())
    assert torch.equal(copy_of(x, N_OUT), expected)
    copy_of.to("meta")
    assert copy_of.terms.order.device.type == "meta"


def test_terms_of_a_replica_are_where_its_numbers_are():
    edges = edges_of(["sin"])
    replica = edges._replicate_for_data_parallel()
    replica.affine = edges.affine.to("meta")
    assert replica.terms.source.device.type == "meta"
    assert edges.terms.source.device.type == "cpu"
