"""What a network remembers of its last fit, and how it judges others by it."""

import copy

import pytest
import torch

from kan2 import MultKAN, sample_function
from kan2.core.data import Dataset
from kan2.errors import TrainingError
from kan2.training.objective import Objective, objective_of
from kan2.training.spread import rmse, spreads

X = torch.linspace(-1, 1, 80, dtype=torch.float64)[:, None]


def cubes(model):
    return model(X) - X**3


@pytest.mark.slow
def test_a_fit_is_remembered_and_copies_forget_it():
    model = MultKAN([2, 2, 1], grid=3)
    assert model.objective is None
    x = torch.cat([X, X.flip(0) ** 2], 1)
    weight = torch.linspace(1, 2, 80)
    model.fit((x, x[:, 0]), lamb=1e-3, sample_weight=weight, steps=3)
    assert (model.objective.loss, model.objective.penalty.lamb, model.objective.residual) == ("mse", 1e-3, None)
    torch.testing.assert_close(model.objective.sample_weight, weight.double())
    for edited in (model.prune(), model.refine(5), model.expand_width(1), model.remove_edge((0, 0, 0))):
        assert edited.objective is model.objective
    fixed = model.fix_symbolic((0, 0, 0), "x").unfix_symbolic((0, 0, 0))
    assert fixed.objective is model.objective
    assert copy.deepcopy(model).objective is None


def test_training_on_goes_on_with_the_loss_and_the_weights():
    loss = torch.nn.HuberLoss()
    model = MultKAN([1, 1], grid=3)
    model.fit((X, X**3), loss=loss, steps=2)
    assert model.fit(steps=2).rmse is None
    model.fit((X, X**2), steps=2)
    assert model.objective.loss is loss
    assert model.fit(loss="mse", steps=2).rmse is not None

    y = X.clone()
    y[:40] = 5
    weight = (torch.arange(80) >= 40).double()
    model = MultKAN([1, 1], grid=3)
    model.fit((X, y), sample_weight=weight, steps=20)
    assert model.fit(steps=20).rmse < 1e-6
    assert model.fit((X, y), steps=20).rmse > 1e-2
    assert model.objective.sample_weight is None


def test_a_residual_is_remembered_with_its_points():
    model = MultKAN([1, 1], grid=3)
    model.fit(residual=cubes, residual_weights=[2.0], steps=10)
    assert (model.objective.residual, model.objective.residual_weights) == (cubes, [2.0])
    torch.testing.assert_close(model.data.X, X)
    torch.testing.assert_close(model.data.y, model(X).detach())
    before = Objective(residual=cubes).mean(model, model.data)
    assert model.fit(grids=[8], steps=10).rmse ** 2 < before


@pytest.mark.parametrize(
    "loss",
    [
        torch.nn.HuberLoss(delta=0.1),
        torch.nn.L1Loss(),
        torch.nn.SmoothL1Loss(),
        lambda output, y: (output.exp() - y * output).mean(),
    ],
)
def test_values_of_samples_have_the_loss_as_their_mean(loss):
    model = MultKAN([1, 2], seed=1)
    data = Dataset(X, torch.cat([X.abs(), X**2], 1), ("x",))
    values = Objective(loss).values(model, data)
    assert values.shape == (80,)
    assert float(values.mean()) == pytest.approx(loss(model(X), data.y).item())


def test_a_loss_of_all_samples_at_once_is_refused():
    def spread_of_errors(output, y):
        return (output - y).square().mean().sqrt()

    with pytest.raises(TrainingError, match="mean over samples"):
        Objective(spread_of_errors).values(MultKAN([1, 1], seed=1), Dataset(X, X**2, ("x",)))


def test_cross_entropy_reads_class_numbers():
    data = Dataset(X, (X > 0).double(), ("x",))
    two = Objective("cross_entropy").values(MultKAN([1, 2]), data)
    expected = torch.nn.functional.cross_entropy(MultKAN([1, 2])(X), data.y[:, 0].long(), reduction="none")
    torch.testing.assert_close(two, expected.detach())


def test_terms_of_a_residual_weigh_as_in_training():
    def terms(model):
        return {"all": model(X) - X**3, "start": model(X[:1])}

    model = MultKAN([1, 1], seed=2)
    objective = Objective(residual=terms, residual_weights={"start": 3.0})
    expected = (model(X) - X**3).square().mean() + 3 * model(X[:1]).square().mean()
    assert objective.mean(model, Dataset(X, X, ("x",))) == pytest.approx(expected.item())


def test_the_surrogate_of_cross_entropy_is_its_second_order():
    model = MultKAN([1, 1], seed=3)
    data = Dataset(X, (X > 0).double(), ("x",))
    own, weight, trusted = Objective("cross_entropy").surrogate(model, data)
    p = model(X).detach().sigmoid()
    torch.testing.assert_close(own.y, model(X).detach())
    curvature = (p * (1 - p))[:, 0]
    torch.testing.assert_close(weight, curvature / curvature.mean())
    assert trusted > 0


def test_the_surrogate_of_a_robust_loss_leaves_outliers_out():
    y = X**2
    y[[5, 40]] = 100
    model = MultKAN([1, 1])
    model.fit((X, y), loss=torch.nn.HuberLoss(delta=0.1), steps=30)
    _, weight, trusted = model.objective.surrogate(model, model.data)
    assert float(weight[[5, 40]].max()) < 1e-2 * float(weight.median())
    assert trusted < 0.1


def test_a_worse_network_is_told_from_noise():
    data = sample_function("x", {"x": (-1, 1)}, n=300, noise=0.1)
    good, same, bad = (MultKAN([1, 1], grid=2) for _ in range(3))
    for model, target in ((good, "x"), (same, "1.001*x"), (bad, "x + 0.3*sin(3*x)")):
        model.fit(sample_function(target, {"x": (-1, 1)}, n=100))
    objective = Objective()
    assert not objective.compare(good, same, data).is_worse()
    assert objective.compare(good, bad, data).is_worse()
    assert not objective.compare(bad, good, data).is_worse()
    assert not objective.compare(good, bad, data).is_worse(tolerance=1.0)


def test_errors_of_outputs_count_in_their_own_spreads():
    y = torch.cat([1e4 * X, 1e-4 * X, torch.full_like(X, 7)], 1)
    data = Dataset(X, y, ("x",))
    wanted = [1e4 * float(X.std(correction=0)), 1e-4 * float(X.std(correction=0)), 7.0]
    torch.testing.assert_close(spreads(data), torch.tensor(wanted, dtype=torch.float64))
    zero = MultKAN([1, 3], noise_scale=0, base_fun="zero")
    assert rmse(zero, Dataset(X, y - y.mean(0), ("x",))) == pytest.approx((2 / 3) ** 0.5)


def test_weights_beside_a_loss_that_takes_none_are_refused():
    model = MultKAN([1, 1], grid=3)
    model.fit((X, X), loss=torch.nn.L1Loss(), steps=2)
    for verb in (model.auto_prune, model.auto_symbolic):
        with pytest.raises(TrainingError, match="no sample_weight beside a callable loss"):
            verb(sample_weight=torch.ones(80))


def test_targets_that_are_given_are_followed_after_a_residual():
    model = MultKAN([1, 1], grid=3)
    model.fit(residual=cubes, steps=3)
    assert objective_of(model, None, "here")[1].residual is cubes
    assert objective_of(model, (X, X), "here")[1].is_squares


def test_weights_of_classes_count_once_in_what_may_be_trusted():
    data = Dataset(X, (X > 0).double(), ("x",))
    model = MultKAN([1, 1], seed=3)
    plain = Objective("cross_entropy").surrogate(model, data)
    even = Objective("cross_entropy", torch.full((80,), 2.0)).surrogate(model, data)
    torch.testing.assert_close(even[1], 2 * plain[1])
    assert even[2] == pytest.approx(plain[2])
