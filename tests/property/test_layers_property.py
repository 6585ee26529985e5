"""Whatever the samples, parameters stay finite: constant, repeated, tiny, huge, single, and far apart values."""

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kan2 import KANLayer
from kan2.core.bases import KINDS
from kan2.errors import SpecError

VALUES = st.one_of(
    st.floats(-2, 2),
    st.sampled_from([0.0, 1.0, 1e-300, -1e-30, 1e-9, 1.0 + 1e-15, 1e6, 1e6 + 1e-6, -1e20, 1e150]),
)


def batches() -> st.SearchStrategy:
    shape = st.tuples(st.integers(1, 12), st.just(2))
    return shape.flatmap(lambda s: arrays.arrays("float64", s, elements=VALUES))


@given(
    x=batches(), kind=st.sampled_from(sorted(KINDS)), grid=st.integers(1, 30), k=st.integers(0, 5), eps=st.floats(0, 1)
)
def test_no_grid_update_makes_parameters_not_finite(x, kind, grid, k, eps):
    layer = KANLayer(2, 3, basis=kind, k=k, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = replace(layer.spec.basis, grid=grid, grid_eps=eps)
    try:
        layer.set_basis_(basis, torch.from_numpy(x))
    except SpecError:
        assert layer.spec.basis.grid == 5, "a refusal leaves the layer as it was"
    assert all(bool(torch.isfinite(p).all()) for p in layer.state_dict().values())
    assert bool(torch.isfinite(layer(torch.from_numpy(x).clamp(-1e6, 1e6))).all())


@given(x=batches(), k=st.integers(1, 5), grid=st.integers(1, 30))
def test_gradients_are_finite_where_values_are(x, k, grid):
    layer = KANLayer(2, 3, k=k, grid=grid, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = torch.from_numpy(x).clamp(-1e100, 1e100).requires_grad_()
    y = layer(points)
    assert bool(torch.isfinite(y).all())
    y.sum().backward()
    assert bool(torch.isfinite(points.grad).all())
    assert bool(torch.isfinite(layer.numeric.weight.grad).all())
