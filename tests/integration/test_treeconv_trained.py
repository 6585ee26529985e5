"""Trees of trained models: networks and estimators with an error of their own."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.svm import SVR

import kan2
import treeconv
from treeconv import structure

PAIR = ("separable", frozenset({"x1", "x2"}))
FLAGSHIP = (
    "sum",
    frozenset({PAIR, ("product", frozenset({("separable", frozenset({"x3", "x4"})), "x5"}))}),
)


def flagship(x):
    return torch.sin(x[:, 0] * x[:, 1]) + torch.cos(x[:, 2] + x[:, 3]) * x[:, 4]


def rings(x):
    return torch.sin(x[:, 0] ** 2 + x[:, 1] ** 2) + x[:, 2] * x[:, 3]


def draw(n_samples, n, reach=1.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(n_samples, n, generator=generator, dtype=torch.float64) - 1) * reach


def train_mlp(x, y, width=40, steps=1000, activation=torch.nn.Tanh):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Linear(x.shape[1], width), activation(), torch.nn.Linear(width, width), activation()]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1)).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=steps, history_size=30, line_search_fn="strong_wolfe", tolerance_change=0
    )

    def loss():
        optimizer.zero_grad()
        value = (model(x)[:, 0] - y).square().mean()
        value.backward()
        return value

    optimizer.step(loss)
    return model


def rmse(model, law, n, reach=1.5):
    fresh = draw(1000, n, reach, seed=1)
    with torch.no_grad():
        return float((model(fresh).reshape(-1) - law(fresh)).square().mean().sqrt())


@pytest.fixture(scope="module")
def mlp():
    x = draw(1500, 5)
    return train_mlp(x, flagship(x)), x


@pytest.mark.slow
def test_an_mlp_shows_the_structure_of_its_data(mlp):
    model, x = mlp
    assert 1e-4 < rmse(model, flagship, 5) < 5e-2
    measured = treeconv.convert(model, x, y=flagship(x))
    assert structure(measured) == FLAGSHIP
    assert measured.graph["settings"]["error"] == "measured"
    given = treeconv.convert(model, x, error=rmse(model, flagship, 5))
    assert structure(given) == FLAGSHIP


def test_it_does_without_knowing_the_error(mlp):
    model, x = mlp
    tree = treeconv.convert(model, x)
    assert structure(tree) == FLAGSHIP
    assert tree.graph["settings"]["error"] == "unknown"


def test_the_order_of_the_columns_of_a_network_does_not_matter(mlp):
    model, x = mlp
    order = [4, 2, 0, 3, 1]
    back = np.argsort(order).tolist()
    names = [f"x{i + 1}" for i in order]
    assert structure(treeconv.convert(torch.nn.Sequential(Columns(back), model), x[:, order], names)) == FLAGSHIP


class Columns(torch.nn.Module):
    def __init__(self, order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x[:, self.order]


def test_a_coarse_network_on_few_samples_shows_it_too():  # T6
    x = draw(600, 4, reach=1.2)
    model = train_mlp(x, rings(x), width=12, steps=100)
    error = rmse(model, rings, 4, reach=1.2)
    assert 0.05 < error < 0.2
    expected = ("sum", frozenset({PAIR, ("product", frozenset({"x3", "x4"}))}))
    assert structure(treeconv.convert(model, x, error=error)) == expected


@pytest.mark.slow
def test_a_kan_shows_the_structure_of_its_data():
    x = draw(1500, 5)
    model = kan2.MultKAN([5, 8, 5, 1], grid=5, seed=0)
    model.fit((x, flagship(x)), steps=40)
    error = rmse(model, flagship, 5)
    assert error < 5e-2
    assert structure(treeconv.convert(model, x, error=error)) == FLAGSHIP


def test_single_tests_adapt_to_the_error(mlp):
    model, x = mlp
    y = flagship(x)
    names = list("abcde")
    assert treeconv.additive_separability(model, x, [["a", "b"], ["c", "d", "e"]], names, y=y)
    assert not treeconv.additive_separability(model, x, [["a"], ["b"]], names, y=y)
    assert not treeconv.additive_separability(model, x, [["a", "b"], ["c", "d", "e"]], names, error=0)
    assert treeconv.generalised_symmetry(model, x, ["c", "d"], names, y=y)
    assert not treeconv.generalised_symmetry(model, x, ["d", "e"], names, y=y)
    assert treeconv.symmetry_variable(model, x, "c + d", names, y=y)
    assert not treeconv.symmetry_variable(model, x, "c - d", names, y=y)


def test_noise_and_an_idle_input():
    x = draw(2000, 4)
    clean = x[:, 0] * x[:, 1] + torch.sin(x[:, 2])
    noise = torch.randn(len(x), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y = clean + 0.01 * clean.std() * noise
    model = train_mlp(x, y, width=16, steps=150)
    tree = treeconv.convert(model, x, y=y)
    assert structure(tree) == ("sum", frozenset({("product", frozenset({"x1", "x2"})), "x3"}))
    assert tree.graph["irrelevant"] == ("x4",)


def additive(x):
    return x[:, 0] + np.sin(2 * x[:, 1])


@pytest.fixture(scope="module")
def estimators():
    x = draw(1000, 3).numpy()
    models = SVR(C=10, epsilon=0.01), RandomForestRegressor(n_estimators=30, random_state=0)
    return [model.fit(x, additive(x)) for model in models]


def test_estimators_of_scikit_learn_are_converted(estimators):
    fresh = draw(500, 3, seed=5).numpy()
    for model in estimators:
        tree = treeconv.convert(model, fresh, y=additive(fresh), n_samples=200)
        assert structure(tree) == ("sum", frozenset({"x1", "x2"}))
        assert tree.graph["irrelevant"] == ("x3",)
