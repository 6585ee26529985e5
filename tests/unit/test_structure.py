"""From trees to networks and back; pruning by trial."""

import networkx as nx
import pytest
import torch

import treeconv
from kan2 import MultKAN, from_tree, sample_function, tree
from kan2.errors import DataError, SpecError


def tree_of(f, n, names):
    x = torch.rand(300, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    return treeconv.convert(f, x, names=names), x


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(("f", "n", "width"), [
    (lambda x: x[:, 0] * x[:, 1], 2, [[2, 0], [0, 1]]),
    (lambda x: x[:, 0] + torch.sin(x[:, 1]), 2, [[2, 0], [1, 0]]),
    (lambda x: torch.exp(x[:, 0] + x[:, 1] ** 2) + x[:, 2] * x[:, 3], 4, None),
    (lambda x: torch.sin(x[:, 0] * x[:, 1]) + torch.cos(x[:, 2] + x[:, 3]) * x[:, 4], 5, None),
])  # fmt: skip
def test_a_network_wired_like_the_tree_learns_the_function(f, n, width):
    found, x = tree_of(f, n, [f"v{i}" for i in range(n)])
    model = from_tree(found, grid=5)
    if width is not None:
        assert model.width == width
    history = model.fit((x, f(x)), steps=40, restarts=2)
    assert history.rmse < 2e-3 * float(f(x).std())


@pytest.mark.slow
@pytest.mark.parametrize(("f", "n"), [
    (lambda x: (3 + x[:, 0] * x[:, 1]) * (x[:, 2] - 4), 3),
    (lambda x: 7 + (3 + x[:, 0] * x[:, 1]) * (2 + x[:, 2] * x[:, 3]), 4),
    pytest.param(
        lambda x: 1 / (9 + (3 + x[:, 0] * x[:, 1]) * (x[:, 2] + 3) + x[:, 3]), 4, marks=pytest.mark.slow
    ),
])  # fmt: skip
def test_products_keep_their_bias_wherever_they_stand(f, n):
    found, x = tree_of(f, n, [f"v{i}" for i in range(n)])
    model = from_tree(found)
    history = model.fit((x, f(x)), steps=40, restarts=2)
    assert history.rmse < 1e-3 * float(f(x).std())
    # inner products are read as they are, up to scale and shift: no spline, but two free numbers
    assert any(term.function == "x" and term.free == "cd" for layer in model.spec.layers for term in layer.terms)


def test_irrelevant_inputs_are_columns_that_are_not_read():
    found, x = tree_of(lambda x: torch.sin(x[:, 0]) * x[:, 2], 3, ["a", "b", "c"])
    model = from_tree(found)
    assert model.spec.inputs == ("a", "b", "c")
    moved = x.clone()
    moved[:, 1] += 1
    assert torch.equal(model(x), model(moved))


def test_other_graphs_are_refused():
    with pytest.raises(SpecError, match=r"treeconv.convert"):
        from_tree(nx.DiGraph())


@pytest.mark.slow
def test_data_alone_give_a_tree():
    data = sample_function("a*b + sin(c)", {"a": (-1, 1), "b": (-1, 1), "c": (-1, 1)}, n=600)
    found = tree(data)
    assert treeconv.structure(found) == ("sum", frozenset({("product", frozenset({"a", "b"})), "c"}))
    assert isinstance(found.graph["model"], MultKAN)
    with pytest.raises(DataError, match="at least 20"):
        tree(torch.zeros(3, 1), torch.zeros(3))


def test_several_targets_give_several_trees():
    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.stack([x[:, 0] * x[:, 1], x[:, 0] + x[:, 1] ** 2], dim=1)
    trees = tree(x, y, names=["a", "b"])
    assert [t.nodes[0]["kind"] for t in trees] == ["product", "sum"]
    assert trees[0].graph["settings"]["error"] == "given"
    assert trees[0].graph["model"] is trees[1].graph["model"]
    assert treeconv.structure(treeconv.from_json(treeconv.to_json(trees[0]))) == treeconv.structure(trees[0])


@pytest.mark.slow
def test_test_samples_tell_the_error_of_a_network():
    data = sample_function("a*b", {"a": (-1, 1), "b": (-1, 1)}, n=200)
    model = MultKAN([2, 5, 1], grid=3, inputs=["a", "b"])
    model.fit(data, steps=10)
    assert model.tree().graph["settings"]["error"] == "given"
    assert model.tree(data.X).graph["settings"]["error"] == "unknown"


def test_pruning_by_trial_finds_the_two_edges_of_a_product():
    data = sample_function("x1*x2", [(-1, 1), (-1, 1)], n=300)
    model = MultKAN([2, [0, 1]], grid=3)
    model.fit(data)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    small = model.auto_prune()
    assert small.spec.n_edges == 2
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_separable_nodes_can_be_sums_or_products():
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    tree = treeconv.convert(lambda x: torch.exp(torch.sin(x[:, 0] / x[:, 1])), x)
    assert from_tree(tree).width == [[2, 0], [1, 0], [1, 0]]
    assert from_tree(tree, separable="product").width == [[2, 0], [0, 1], [1, 0]]
    with pytest.raises(SpecError, match="separable"):
        from_tree(tree, separable="quotient")
