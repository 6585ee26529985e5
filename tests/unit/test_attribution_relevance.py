"""Noise floor, interaction, hypotheses, sparse starts."""

import pytest
import torch

from kan2 import MultKAN, sample_function
from kan2.errors import DataError, EdgeError


def noisy(formula: str, n_inputs: int, n: int = 400):
    data = sample_function(formula, [(-1, 1)] * n_inputs, n=n, noise=0.1)
    model = MultKAN([n_inputs, 1], grid=3)
    model.fit(data, steps=15)
    return model, data


def test_irrelevant_inputs_are_called_irrelevant():
    model, _ = noisy("sin(3*x1) + x3**2 + 0*x5", 5)
    found = model.relevance()
    assert set(found.relevant) == {"x1", "x3"}
    assert found.floor >= max(found.shadows)
    assert str(found).count("irrelevant") == 3
    assert model.prune_irrelevant().spec.features == ("x1", "x3")


@pytest.mark.parametrize("hidden", [[], [2]])
def test_relevance_leaves_the_network_alone_and_repeats_itself(hidden):
    model = MultKAN([2, *hidden, 1], seed=0)
    model.fit(noisy("x1 + 0*x2", 2, n=200)[1], steps=10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert model.relevance(seed=3) == model.relevance(seed=3)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_relevance_and_hypotheses_need_targets():
    model = MultKAN([2, 1])
    with pytest.raises(DataError, match="relevance"):
        model.relevance()
    with pytest.raises(DataError, match="try_variables"):
        model.try_variables({"p": "x1*x2"})


def test_interaction_is_the_mixed_derivative():
    model = MultKAN([3, [1, 1], 1])
    for edge in list(model.spec.edges()):
        model = model.fix_symbolic(edge.index, "0", affine=(1, 0, 1, 0))
    for edge, function in (((0, 0, 2), "sin"), ((0, 1, 0), "x"), ((0, 2, 1), "x"), ((1, 0, 0), "x"), ((1, 0, 1), "x")):
        model = model.fix_symbolic(edge, function, affine=(1, 0, 1, 0))
    x = torch.rand(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    found = model.feature_interaction(x)
    y = torch.sin(x[:, 2]) + x[:, 0] * x[:, 1]
    expected = x[:, 0].std(correction=0) * x[:, 1].std(correction=0) / y.std(correction=0)
    torch.testing.assert_close(found[0, 1], expected)
    torch.testing.assert_close(found, found.T)
    assert float(found[0, 2]) == float(found[1, 2]) == 0


def test_a_variable_that_helps_is_told_from_one_that_does_not():
    model, _ = noisy("x1*x2 + x1", 2, n=300)
    helpful = model.try_variables({"p": "x1*x2"})
    assert helpful.prefers_larger
    assert helpful.p_value < 1e-6
    assert helpful.larger.spec.auxiliary == (("p", "x1*x2"),)
    model.fit(sample_function("x1**2 + x2", [(-1, 1)] * 2, n=300, noise=0.1), steps=15)
    useless = model.try_variables({"s": "x1 + x2"})
    assert not useless.prefers_larger
    assert "p-value" in str(useless)


def test_more_numbers_than_samples_are_refused():
    data = sample_function("x1", [(-1, 1)] * 2, n=20, noise=0.1)
    model = MultKAN([2, 1], grid=3)
    with pytest.raises(DataError, match="more samples"):
        model.try_variables({"a": "x1*x2", "b": "x1 - x2"}, data, steps=1)


@pytest.mark.parametrize("width", [[2, 5, 1], [7, [2, 1], 3, 2], [1, 1], [3, 8, 1]])
def test_a_sparse_start_joins_every_node(width):
    model = MultKAN(width).sparse()
    for layer in model.spec.layers:
        assert {t for t, _ in layer.active_pairs} == set(range(layer.n_subnodes))
        assert {s for _, s in layer.active_pairs} == set(range(layer.n_in))
        assert len(layer.active_pairs) <= layer.n_subnodes + layer.n_in
    assert model.sparse(100).spec.n_edges == model.spec.n_edges


@pytest.mark.parametrize("neighbours", [0, 1.5, "two"])
@pytest.mark.usefixtures("unchecked")
def test_a_sparse_start_needs_a_neighbour(neighbours):
    with pytest.raises(EdgeError, match="number of neighbours"):
        MultKAN([2, 1]).sparse(neighbours)
