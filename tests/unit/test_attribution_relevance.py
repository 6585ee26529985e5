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
    assert list(found.scores.values()) == sorted(found.scores.values(), reverse=True)
    assert str(found).count("irrelevant") == 3
    assert model.prune_irrelevant().spec.features == ("x1", "x3")


WEAK = "x0**2 + 0.3*x1 + 0.1*x2**3 + 0*x3"


@pytest.mark.parametrize(
    ("hidden", "lamb", "noise", "seed"),
    [
        pytest.param([5], 0.0, 0.0, 0, marks=pytest.mark.slow),
        pytest.param([5], 1e-2, 0.05, 1, marks=pytest.mark.slow),
        pytest.param([5], 1e-3, 0.0, 2, marks=pytest.mark.slow),
        ([], 0.0, 0.05, 3),
        ([], 1e-2, 0.0, 4),
    ],
)
def test_weak_inputs_are_told_from_irrelevant_ones(hidden, lamb, noise, seed):
    # A network that fits to rounding uses an irrelevant input too, and cancels it further on; one trained for
    # sparsity hardly uses a weak one.
    ranges = {f"x{i}": (-1, 1) for i in range(4)}
    data = sample_function(WEAK, ranges, n=500, noise=noise, seed=seed)
    model = MultKAN([4, *hidden, 1], seed=seed)
    model.fit(data, lamb=lamb, steps=20)
    assert set(model.relevance(seed=seed).relevant) == {"x0", "x1", "x2"}


def uniform(n, columns, seed=0):
    return torch.rand(n, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def test_relevance_does_not_depend_on_units():
    x = uniform(300, 3)
    y = x[:, 0] ** 2 + 0.3 * x[:, 1]
    model = MultKAN([3, 1])
    here = model.relevance((x, y))
    there = model.relevance((x * torch.tensor([1.0, 1e11, 1e-9]), 1e20 * y))
    assert set(here.relevant) == set(there.relevant) == {"x1", "x2"}
    assert there.scores == pytest.approx(here.scores, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_an_input_is_irrelevant_though_it_goes_along_with_a_relevant_one(noise):
    x = uniform(400, 3)
    x[:, 2] = 0.95 * x[:, 0] + 0.2 * x[:, 2]
    y = x[:, 0] ** 2 + 0.5 * x[:, 1]
    y = y + noise * y.std() * torch.randn(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert set(MultKAN([3, 1]).relevance((x, y)).relevant) == {"x1", "x2"}


def test_nothing_is_relevant_to_noise_but_columns_that_say_the_same_are():
    x = uniform(300, 3)
    noise = torch.randn(300, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert MultKAN([3, 1]).relevance((x, noise)).relevant == ()
    doubled = torch.cat([x[:, :2], 2 * x[:, :1]], 1)
    assert {"x2"} < set(MultKAN([3, 1]).relevance((doubled, x[:, 0] + x[:, 1])).relevant)


def test_samples_without_weight_do_not_make_noise():
    x = uniform(200, 2)
    weight = torch.ones(200, dtype=torch.float64)
    weight[::4] = 0
    y = torch.where(weight > 0, (2 * x[:, 0]).exp(), 1e3 * x[:, 1])
    model = MultKAN([2, 1])
    model.fit((x, y), sample_weight=weight, steps=20)
    assert model.relevance().relevant == ("x1",)


@pytest.mark.parametrize("options", [{"folds": 1}, {"folds": 200}, {"draws": 2}])
def test_relevance_needs_folds_and_draws(options):
    x = uniform(300, 2)
    with pytest.raises(DataError, match="folds and 3 draws"):
        MultKAN([2, 1]).relevance((x, x[:, 0]), **options)


@pytest.mark.slow
@pytest.mark.slow
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
