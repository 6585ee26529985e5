"""What `fit` minimises: losses, weights, penalties, residuals."""

import pytest
import torch

from kan2 import MultKAN, sample_function
from kan2.errors import TrainingError
from kan2.training import fit
from kan2.training._scaling import measured
from kan2.training.losses import CallableLoss
from kan2.training.parameters import ParameterVector
from kan2.training.problem import Problem
from tests.training import HELLO, XY, value


def test_cross_entropy_separates_classes_and_reports_itself():  # B18
    y = (HELLO.X.square().sum(1) < 0.5).long()
    model = MultKAN([2, 2], grid=3)
    history = fit(model, (HELLO.X, y), loss="cross_entropy", steps=15)
    assert history.rmse is None
    expected = torch.nn.functional.cross_entropy(model(HELLO.X), y)
    assert history.loss == pytest.approx(float(expected.detach()), rel=1e-6)
    assert float((value(model, HELLO.X).argmax(1) == y).double().mean()) > 0.98


def test_one_logit_separates_two_classes():
    y = (HELLO.X.sum(1) > 0.1).double()
    model = MultKAN([2, 1], grid=3)
    fit(model, (HELLO.X, y), loss=torch.nn.BCEWithLogitsLoss(), steps=15)
    assert float(((value(model, HELLO.X)[:, 0] > 0) == (y > 0)).double().mean()) > 0.99


def test_several_labels_of_one_sample_are_told_independently():
    y = torch.stack([HELLO.X[:, 0] > 0, HELLO.X[:, 1] > 0.1, HELLO.X[:, 0] > -9], 1).double()
    model = MultKAN([2, 3], grid=3)
    fit(model, (HELLO.X, y), loss=torch.nn.BCEWithLogitsLoss(), steps=15)
    assert float(((value(model, HELLO.X) > 0) == (y > 0)).double().mean()) > 0.99


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (torch.nn.CrossEntropyLoss(label_smoothing=0.1), {}),
        (torch.nn.CrossEntropyLoss(weight=torch.ones(2)), {}),
        (torch.nn.L1Loss(), {"sample_weight": torch.ones(300)}),
        (torch.nn.MSELoss(reduction="sum"), {"sample_weight": torch.ones(300)}),
    ],
)
def test_options_that_would_be_lost_are_refused(loss, options):
    with pytest.raises(TrainingError, match="fit: expected"):
        fit(MultKAN([2, 2]), (HELLO.X, torch.zeros(300)), loss=loss, **options)


def test_a_robust_loss_resists_outliers():
    x = torch.linspace(-1, 1, 200, dtype=torch.float64)[:, None]
    y = torch.sin(3 * x[:, 0])
    spoiled = y.clone()
    spoiled[::20] += 5
    plain, robust = MultKAN([1, 1], grid=5), MultKAN([1, 1], grid=5)
    fit(plain, (x, spoiled), steps=30)
    fit(robust, (x, spoiled), steps=60, loss=torch.nn.HuberLoss(delta=0.02))
    errors = [float((value(model, x)[:, 0] - y).detach().square().mean().sqrt()) for model in (plain, robust)]
    assert errors[1] < 0.1 * errors[0]


def test_sample_weights_count():
    x = HELLO.X
    y = torch.where(x[:, 0] > 0, 1.0, 0.0)
    weight = torch.where(x[:, 0] > 0, 1.0, 0.0)
    model = MultKAN([2, 1], grid=3)
    fit(model, (x, y), sample_weight=weight, steps=20)
    assert float((value(model, x)[weight > 0, 0] - 1).abs().max()) < 1e-6


def test_zero_weights_equal_leaving_out():
    weight = torch.ones(300, dtype=torch.float64)
    weight[200:] = 0
    a, b = MultKAN([2, 1], grid=3), MultKAN([2, 1], grid=3)
    fit(a, (HELLO.X, HELLO.y), sample_weight=weight, update_grid=False, steps=20)
    fit(b, (HELLO.X[:200], HELLO.y[:200]), update_grid=False, steps=20)
    torch.testing.assert_close(a(HELLO.X[:200]), b(HELLO.X[:200]), rtol=1e-6, atol=1e-6)


def test_several_outputs():
    data = sample_function(lambda x: torch.stack([x[:, 0] * x[:, 1], torch.sin(x[:, 0])], 1), [(-1, 1)] * 2, n=300)
    assert fit(MultKAN([2, 4, 2], grid=5), data, steps=60).rmse < 1e-3


def test_a_penalty_makes_networks_sparse():
    data = sample_function("sin(pi*x)", XY, n=300)
    model = MultKAN([2, 1], grid=5)
    fit(model, data, lamb=1e-3)
    from kan2.training.penalties import edge_scales, feature_covariance

    edges = model.layers[0].numeric
    scales = edge_scales(edges, feature_covariance(edges.features(data.X)))[0].detach()
    assert float(scales[0]) > 0.5
    assert float(scales[1]) < 1e-3


@pytest.mark.parametrize("opt", ["LM", "LBFGS"])
def test_a_sample_of_weight_two_is_two_samples_to_the_penalty_too(opt):
    counts = 1 + torch.arange(len(HELLO.X)) % 3
    repeated = (HELLO.X.repeat_interleave(counts, 0), HELLO.y.repeat_interleave(counts, 0))
    weighted = (HELLO.X, HELLO.y)
    outputs = []
    for data, weight in ((repeated, None), (weighted, counts.double())):
        model = MultKAN([2, 2, 1], grid=4)
        fit(model, data, opt, steps=4, lamb=1e-2, sample_weight=weight)
        outputs.append(value(model, HELLO.X_test))
    torch.testing.assert_close(*outputs, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lamb_coef", "lamb_smooth"])
def test_coefficient_penalties_shrink_what_they_name(name):
    sizes = []
    for weight in (0.0, 1.0):
        model = MultKAN([2, 2, 1], grid=5)
        fit(model, HELLO, lamb=1e-2, lamb_l1=0.0, lamb_entropy=0.0, steps=30, **{name: weight})
        coefficients = torch.cat([layer.numeric.weight[..., 1:].flatten(0, 1) for layer in model.layers])
        values = coefficients if name == "lamb_coef" else coefficients.diff()
        sizes.append(values.abs().mean().item())
    assert sizes[1] < sizes[0]


def test_a_differential_equation():
    x = torch.linspace(0, 2, 60, dtype=torch.float64)[:, None]
    model = MultKAN([1, 1], grid=20, grid_range=(0, 2))

    def decay(net):
        jet = net.jet(x, 1)
        return {"equation": jet.gradient[:, 0, 0] + jet.value[:, 0], "start": net(x[:1]) - 1}

    history = fit(model, residual=decay)
    assert float((value(model, x)[:, 0] - torch.exp(-x[:, 0])).abs().max()) < 1e-6
    assert history.rmse < 1e-5


def test_weights_of_residuals_by_name_and_in_order():
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    for weights, expected in (({"a": 1e6}, 1.0), ([1.0, 1e6], 2.0)):
        model = MultKAN([1, 1], grid=3)
        fit(model, residual=lambda net: {"a": net(x) - 1, "b": net(x) - 2}, residual_weights=weights)
        assert float(value(model, x).mean()) == pytest.approx(expected, abs=1e-4)


def outputs(loss, unit=(1.0, 1.0)):
    y = torch.stack([torch.sin(2 * HELLO.X[:, 0]), HELLO.X[:, 1] ** 2], 1) * torch.tensor(unit, dtype=torch.float64)
    model = MultKAN([2, 2], grid=3)
    fit(model, (HELLO.X, y), loss=loss, steps=15)
    return value(model, HELLO.X) / torch.tensor(unit, dtype=torch.float64)


def test_outputs_in_different_units_are_trained_alike_by_an_absolute_error():
    found, expected = outputs(torch.nn.L1Loss(), (1e-9, 1e6)), outputs(torch.nn.L1Loss())
    assert float((expected - outputs("mse")).abs().mean()) < 1e-3
    # Each output has a part of the loss of its own, so that the small one still counts in its own curvature.
    assert float((found - expected).abs().mean()) < 1e-2


@pytest.mark.parametrize("outlier", [1e2, 1e6, 1e10])
@pytest.mark.parametrize("loss", [torch.nn.HuberLoss(delta=0.1), torch.nn.L1Loss()])
def test_an_outlier_does_not_end_a_fit(loss, outlier):
    x = torch.linspace(0, 4, 100, dtype=torch.float64)[:, None]
    y = x**2 + 0.05 * torch.randn(100, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y[5] = outlier
    model = MultKAN([1, 1])
    history = fit(model, (x, y), loss=loss)
    assert len(history) < 60
    assert float((value(model, x) - x**2).square().mean().sqrt()) < 0.04


def test_a_robust_loss_without_outliers_ends_by_its_own_share():
    model = MultKAN([2, 1], grid=3)
    loss = torch.nn.L1Loss()
    assert len(fit(model, (HELLO.X, HELLO.y), loss=loss)) < 40
    problem = Problem(model.features(HELLO.X), HELLO.y, loss=CallableLoss(loss, torch.ones(1, dtype=torch.float64)))
    assert problem.unreachable(model, problem.evaluate(ParameterVector(model))) == pytest.approx(0, abs=1e-15)


def test_the_parabola_of_an_absolute_error_touches_it():
    output, y = torch.tensor([[3.0], [-1.0], [0.5]]).double(), torch.zeros(3, 1).double()
    [(root, z)] = CallableLoss(torch.nn.L1Loss(), torch.ones(1).double()).pseudo_residuals(output, y)
    torch.testing.assert_close(2 * root[:, 0] * z, output[:, 0].sign())
    torch.testing.assert_close(2 * root[:, 0].square(), 1 / output[:, 0].abs())


def test_which_losses_measure_outputs_in_the_unit_of_targets():
    y = 1e6 + torch.randn(50, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    huber, poisson = torch.nn.HuberLoss(), torch.nn.PoissonNLLLoss()
    ratios = lambda output, y: (output / y - 1).abs().mean()  # noqa: E731
    for unit in (1e-25, 1.0, 1e25):
        for loss, is_measured in ((huber, True), (torch.nn.L1Loss(), True), (ratios, True), (poisson, False)):
            distance, units = measured(CallableLoss(loss), y * unit, 1)
            assert (units is not None) == is_measured
            assert (distance.units is not None) == is_measured
