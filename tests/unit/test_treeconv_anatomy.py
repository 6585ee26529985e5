"""Modules of the wiring of networks."""

import numpy as np
import pytest
import torch

import kan2
import treeconv

RNG_SEED = 1


def two_blocks(permutation, noise=0.05):
    """Two separate halves, 4 inputs, 10 and 8 neurons, the 10 in a given order."""
    rng = np.random.default_rng(RNG_SEED)
    first = np.kron(np.eye(2), np.ones((5, 2))) + noise * rng.random((10, 4))
    second = np.kron(np.eye(2), np.ones((4, 5))) + noise * rng.random((8, 10))
    return [first[permutation], second[:, permutation], np.ones((1, 8))]


def test_halves_are_found_in_any_order_of_the_neurons():
    permutation = np.random.default_rng(3).permutation(10)
    for order in (np.arange(10), permutation):
        found = treeconv.anatomy(two_blocks(order), names=["a", "b", "c", "d"])
        assert found.inputs == [["a", "b"], ["c", "d"]]
        assert found.evidence
        assert found.evidence.score < 0.01
    halves = [{i for i in range(10) if (permutation[i] < 5) == side} for side in (True, False)]
    assert set(found.order[1][:5]) in halves


def test_random_wiring_has_no_modules():
    rng = np.random.default_rng(RNG_SEED)
    found = treeconv.anatomy([rng.random((10, 4)), rng.random((8, 10)), rng.random((1, 8))])
    assert not found.evidence


def test_dead_neurons_do_not_count():
    strengths = two_blocks(np.arange(10))
    strengths[1][:, 4] = 0.0  # nothing reads this neuron
    found = treeconv.anatomy(strengths)
    assert not any((1, 4) in module for module in found.modules)


def test_a_sparse_mlp_shows_the_modules_of_its_task():
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.rand(500, 4, generator=generator, dtype=torch.float64) - 1.5
    y = torch.sin(x[:, 0] * x[:, 1]) + torch.cos(x[:, 2] + x[:, 3])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Linear(4, 20), torch.nn.Tanh(), torch.nn.Linear(20, 20), torch.nn.Tanh()]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(20, 1)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(1000):
        sparsity = sum(p.abs().sum() for p in model.parameters() if p.ndim == 2)
        loss = (model(x)[:, 0] - y).square().mean() + 1e-4 * sparsity
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = treeconv.anatomy(model)
    assert found.evidence
    assert [group for group in sorted(found.inputs) if group] == [["x1", "x2"], ["x3", "x4"]]


def test_a_kan_shows_the_modules_of_its_task():
    data = kan2.sample_function("a*b + (c + d)**2", dict.fromkeys("abcd", (-1.0, 1.0)), n=300)
    model = kan2.MultKAN([4, [1, 1], 1], grid=3)
    for edge in (
        (0, 0, 0),
        (0, 0, 1),
        (0, 1, 2),
        (0, 1, 3),
        (0, 2, 2),
        (0, 2, 3),
    ):  # the sum reads c, d; the product a, b
        model = model.remove_edge(edge)
    model.fit(data, steps=20)
    found = treeconv.anatomy(model)
    assert sorted(group for group in found.inputs if group) == [["a", "b"], ["c", "d"]]
    assert found.evidence
    assert treeconv.anatomy(model, list("pqrs"), x=data.X[:50]).inputs[0][0] in "pr"


def test_other_things_are_refused():
    with pytest.raises(TypeError, match="got int"):
        treeconv.anatomy(3)


@pytest.mark.parametrize(
    ("model", "names", "match"),
    [
        ([np.ones((3, 2)), np.ones((1, 4))], None, "that fit"),
        ([-np.ones((3, 2))], None, "non-negative"),
        ([np.ones((3, 2))], ["a"], "expected 2 names"),
        (torch.nn.Identity(), None, "linear layers"),
    ],
)
def test_wrong_strengths_are_refused(model, names, match):
    with pytest.raises(treeconv.TreeError, match=match):
        treeconv.anatomy(model, names)
