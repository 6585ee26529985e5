"""The network as a torch module: shapes, copies, derivatives, hygiene."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import kanpiler
from kan2 import LayerValues, MultKAN, NetworkSpec, sample_function
from kan2.errors import DataError, ShapeError, UnknownNameError
from tests.strategies import random_network, samples


@pytest.fixture(scope="module")
def model():
    return MultKAN([2, [3, 2], 1], mult_arity=[[], [2, 3], []], grid=4, seed=1)


def test_leading_axes_are_free(model):
    x = samples(model, 24).reshape(2, 3, 4, 2)
    assert model(x).shape == (2, 3, 4, 1)
    assert torch.equal(model(x).reshape(-1, 1), model(x.reshape(-1, 2)))


def test_arrays_lists_frames_and_float32_are_cast(model):
    x = samples(model, 5)
    expected = model(x)
    assert torch.equal(model(x.numpy()), expected)
    assert torch.equal(model(x.tolist()), expected)
    assert torch.equal(model(pd.DataFrame(x.numpy())), expected)
    assert model(x.float()).dtype == torch.float64
    assert isinstance(model.predict(x), np.ndarray)


@pytest.mark.parametrize("shape", [(5, 3), (5,), (), (5, 1)])
def test_a_wrong_number_of_columns_is_refused(model, shape):
    with pytest.raises(ShapeError, match="expected 2 columns"):
        model(torch.zeros(shape))


def test_no_column_is_dropped_silently():
    with pytest.raises(ShapeError, match="reshape"):
        MultKAN([1, 1])(torch.rand(5, 3, generator=torch.Generator()))


def test_copies_pickles_and_state_dicts_are_the_same_function(model):
    x = samples(model)
    model(x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(x), model(x))
        assert other.spec == model.spec
    other = MultKAN.from_spec(model.spec)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


def test_dtype_moves_with_to(model):
    single = copy.deepcopy(model).float()
    x = samples(model)
    assert single(x).dtype == torch.float32
    torch.testing.assert_close(single(x).double(), model(x), rtol=1e-3, atol=1e-4)


def test_torch_func_and_gradcheck(model):
    x = samples(model, 4) / 3
    hessian = torch.func.vmap(torch.func.hessian(lambda v: model(v)[0]))(x)
    assert hessian.shape == (4, 2, 2)
    torch.testing.assert_close(hessian, hessian.mT)
    assert torch.autograd.gradcheck(model, x.requires_grad_())


def test_seeds_give_the_same_bits_and_leave_the_global_state():
    state = torch.get_rng_state()
    first, second = MultKAN([2, 5, 1], grid=3, seed=0), MultKAN([2, 5, 1], grid=3, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    other = MultKAN([2, 5, 1], grid=3, seed=1)
    assert not torch.equal(first.layers[0].numeric.weight, other.layers[0].numeric.weight)
    same_shape = MultKAN([2, 2, 2], seed=0)
    assert not torch.equal(same_shape.layers[0].numeric.weight, same_shape.layers[1].numeric.weight)


def test_trace_repeats_the_forward_pass(model):
    x = samples(model)
    trace = model.trace(x)
    assert torch.equal(trace.output, model(x))
    for record in trace.layers:
        torch.testing.assert_close(record.edges().sum(-1), record.subnodes)


def test_products_multiply_their_subnodes():
    model = random_network(7)
    x = samples(model)
    for record in model.trace(x).layers:
        layer = record.layer
        values = record.subnodes * layer.subnode_scale + layer.subnode_bias
        expected = torch.stack([values[:, list(group)].prod(1) for group in layer.spec.groups], 1)
        torch.testing.assert_close(record.outputs, expected * layer.node_scale + layer.node_bias)


def test_values_must_match_the_spec(model):
    layer = model.spec.layers[0]
    spec = NetworkSpec((layer,))
    with pytest.raises(ShapeError, match="node_scale"):
        MultKAN.from_values(spec, [LayerValues(node_scale=[1.0])])
    with pytest.raises(ShapeError, match="1 layers"):
        MultKAN.from_values(spec, [])


def test_verbs_without_samples_use_the_last_fit_or_refuse():
    model = MultKAN([1, 1], grid=3)
    with pytest.raises(DataError, match="prune"):
        model.prune()
    data = sample_function("x1**2", [(-1, 1)], n=50)
    model.fit(data, steps=3)
    assert len(model.samples()) == 50
    assert copy.deepcopy(model).data is None
    assert len(model.samples(data.X[:7])) == 7


def test_summary_counts():
    text = MultKAN([2, [1, 1], 1], grid=3).summary()
    assert "8 edges" in text
    assert "x1, x2 -> y" in text


@pytest.mark.parametrize("basis", ["bspline", "chebyshev", "fourier", "rbf"])
def test_every_basis_serves_a_network_for_life(basis, tmp_path):
    data = sample_function("exp(sin(pi*x) + y**2)", {"x": (-1, 1), "y": (-1, 1)}, n=300)
    model = MultKAN([2, 3, 1], grid=6, basis=basis, seed=0)
    assert model.fit(data, steps=30).rmse < 0.02
    finer = model.refine(12)
    assert finer.spec.layers[0].basis.kind == basis
    assert finer.fit(data, steps=10).rmse < 0.02
    finer.save(tmp_path / "model.kan")
    again = MultKAN.load(tmp_path / "model.kan")
    assert torch.equal(again(data.X), finer(data.X))
    step = 1e-5 * torch.eye(2, dtype=torch.float64)
    slopes = (finer(data.X[:5, None] + step) - finer(data.X[:5, None] - step))[..., 0] / 2e-5
    torch.testing.assert_close(finer.jet(data.X[:5], order=1).gradient[:, 0], slopes, rtol=1e-5, atol=1e-6)


def test_an_unknown_basis_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'bspline'"):
        MultKAN([2, 1], basis="splines")


def test_forward_stores_nothing():
    for model in (kanpiler.compile("x*sin(y)", trainable=False), MultKAN([2, [2, 1], 1])):
        before = {name: id(value) for name, value in vars(model).items()}
        model(torch.zeros(3, 2, dtype=torch.float64))
        assert before == {name: id(value) for name, value in vars(model).items()}


def test_definitions_of_auxiliary_variables_are_read_once(monkeypatch):
    model = MultKAN([1, 1], inputs=["x"]).augment({"square_of_x": "x**2"})
    x = torch.ones(3, 1, dtype=torch.float64)
    model(x)
    monkeypatch.setattr("kan2.core.definitions.parse_expression", None)
    assert model(x).shape == (3, 1)
