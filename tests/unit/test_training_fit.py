"""`fit`: what it reaches, what it leaves alone, what it refuses."""

import copy
import io
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, sample_function
from kan2.errors import DataError, GridWarning, SerializationError, ShapeError, TrainingError, UnknownNameError
from kan2.training import History, fit

XY = {"x": (-1, 1), "y": (-1, 1)}
HELLO = sample_function("exp(sin(pi*x) + y**2)", XY, n=300, n_test=200)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@torch.no_grad()
def rmse(model):
    return float((model(HELLO.X) - HELLO.y).square().mean().sqrt())


@torch.no_grad()
def value(model, x):
    return model(x)


def fitted(seed=0, **options):
    model = MultKAN([2, 1, 1], grid=4, seed=seed)
    return model, fit(model, HELLO, **{"steps": 15, **options})


def test_levenberg_marquardt_reaches_the_accuracy_of_the_grid():
    model, history = fitted(steps=60)
    assert history.rmse < 1e-2
    assert history.test_rmse < 2e-2
    assert history.rmse == pytest.approx(rmse(model))


def test_a_product_is_learned_to_rounding():
    data = sample_function("x*y", XY, n=200)
    model = MultKAN([2, [0, 1]], grid=3)
    assert fit(model, data).rmse < 1e-12


@pytest.mark.parametrize("opt", ["LBFGS", "Adam", "lbfgs", "adam"])
def test_first_order_optimisers_lower_the_loss(opt):
    _, history = fitted(opt=opt, steps=60, batch=100 if opt.lower() == "adam" else None, lr=lambda _: 0.1)
    assert history.rmse < 0.75 * history["rmse"][0]


def test_lbfgs_gets_past_the_first_step():
    model = MultKAN([2, 5, 1], grid=5, seed=0)
    assert fit(model, HELLO, opt="LBFGS", steps=40).rmse < 0.1


@pytest.mark.parametrize("steps", [0, 1, 20])
def test_training_on_never_costs_what_was_reached(steps):
    model, _ = fitted(grids=[5, 20], steps=40)
    part = HELLO.X[:, 0].abs() < 0.3
    X, y = HELLO.X[part], HELLO.y[part]

    def error():
        return float((value(model, X) - y).square().mean())

    before = error()
    fit(model, (X, y), steps=steps)
    assert error() <= before * 1.0001


def test_samples_beyond_the_grids_move_them_also_after_training():
    model, _ = fitted()
    wide = sample_function("exp(sin(pi*x) + y**2)", {"x": (-1.5, 1.5), "y": (-1, 1)}, n=300)
    fit(model, wide, steps=15)
    grid = model.layers[0].numeric.basis.grid[0]
    assert grid[0] <= wide.X[:, 0].min()
    assert grid[-1] >= wide.X[:, 0].max()


def test_training_works_where_gradients_are_switched_off():
    with torch.no_grad():
        model, _ = fitted()
    assert rmse(model) < 0.05


def test_a_staircase_of_grids_lowers_the_error_at_each():
    data = sample_function("exp(sin(pi*x) + y**2)", XY, n=1000)
    history = fit(MultKAN([2, 1, 1], grid=5), data, grids=[5, 10, 20, 50])
    ends = {row["grid"]: row["test_rmse"] for row in history.rows}
    assert ends[5] < 1e-2
    assert ends[10] < 1e-3
    assert ends[20] < 5e-5
    assert ends[50] < 2e-6


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
def test_the_same_seed_gives_the_same_bits(opt):
    options = {"opt": opt, "batch": 50 if opt == "Adam" else None, "restarts": 3 if opt == "LM" else 1}
    (a, first), (b, second) = fitted(**options), fitted(**options)
    assert same(state(a), state(b))
    assert first["loss"] == second["loss"]


def test_labels_of_shape_n_and_n_by_1_are_the_same():  # B17
    a, b = MultKAN([2, 1, 1]), MultKAN([2, 1, 1])
    fit(a, (HELLO.X, HELLO.y[:, 0]), steps=5)
    fit(b, (HELLO.X, HELLO.y), steps=5)
    assert same(state(a), state(b))


def test_lists_arrays_and_single_precision_are_accepted():  # B20b
    model = MultKAN([2, 1, 1], dtype=torch.float32)
    fit(model, (HELLO.X.numpy().astype(np.float32), HELLO.y[:, 0].tolist()), steps=10)
    assert model.like.dtype is torch.float32
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_parameters_stay_the_same_tensors_where_grids_do_not_grow():
    model = MultKAN([2, 1, 1], grid=4)
    before = list(model.parameters())
    fit(model, HELLO, steps=3)
    assert all(a is b for a, b in zip(before, model.parameters()))


def test_test_data_are_optional():  # B15
    assert fit(MultKAN([2, 1, 1]), (HELLO.X, HELLO.y), steps=3).test_rmse is None


def test_a_batch_larger_than_the_data_is_all_of_them():  # B15b
    fitted(opt="Adam", steps=3, batch=10_000)


BAD = [
    ({"opt": "sgd"}, UnknownNameError, "LM, LBFGS, Adam"),
    ({"loss": "hinge"}, UnknownNameError, "cross_entropy"),
    ({"sample_weight": [1.0]}, ShapeError, "300 non-negative"),
    ({"steps": -1}, TrainingError, "steps"),
    ({"validation": 1.0}, DataError, "validation"),
    ({"residual": lambda m: m(HELLO.X)}, TrainingError, "residual alone"),
    ({"loss": lambda o, y: (o - y).square()}, ShapeError, "one number"),
    ({"loss": lambda o, y: (o - y).square().mean() * float("nan")}, TrainingError, "finite loss"),
]


@pytest.mark.parametrize(("options", "error", "text"), BAD)
def test_bad_options_are_refused_and_the_network_is_intact(options, error, text):  # B16
    model = MultKAN([2, 1, 1])
    before, spec = state(model), model.spec
    with pytest.raises(error, match=text):
        fit(model, HELLO, **options)
    assert same(before, state(model))
    assert model.spec is spec


NAN_ROW = torch.cat([HELLO.X[:-1], torch.tensor([[float("nan"), 0.0]])])


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        ((NAN_ROW, HELLO.y), DataError, "row 299"),  # B34
        ((HELLO.X, HELLO.y[:-1]), ShapeError, "300 targets"),
        ((HELLO.X[:, :1], HELLO.y), ShapeError, "2 columns"),  # B19
        ((HELLO.X, HELLO.y.expand(-1, 2)), ShapeError, "1 columns"),
        ({"train_input": HELLO.X}, DataError, "train_label"),
        ((HELLO.X[:0], HELLO.y[:0]), DataError, "at least one sample"),
    ],
)
def test_bad_data_are_refused_and_the_network_is_intact(data, error, text):
    model = MultKAN([2, 1, 1])
    before = state(model)
    with pytest.raises(error, match=text):
        fit(model, data)
    assert same(before, state(model))


def test_an_error_in_a_callback_leaves_the_network_intact():
    model = MultKAN([2, 1, 1])
    before = state(model)

    def fails(network, history):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fit(model, HELLO, callbacks=[fails])
    assert same(before, state(model))


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_samples_than_parameters_stay_finite(opt, n):
    model = MultKAN([2, 3, 1], grid=1, k=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        history = fit(model, (HELLO.X[:n], HELLO.y[:n]), opt=opt, steps=20)
    assert np.isfinite(history.rmse)
    assert bool(torch.isfinite(model(HELLO.X)).all())


def test_constant_targets_and_duplicate_rows():
    x = HELLO.X[:20].repeat(5, 1)
    model = MultKAN([2, 2, 1], grid=3)
    assert fit(model, (x, torch.full((100,), 3.0))).rmse < 1e-5


def test_constant_columns():
    x = torch.cat([HELLO.X[:, :1], torch.zeros(300, 1)], 1)
    history = fit(MultKAN([2, 2, 1], grid=3), (x, torch.sin(x[:, 0])), steps=30)
    assert history.rmse < 1e-3


def test_grids_that_the_data_cannot_support_are_capped_with_a_warning():  # B32, B33
    x = (HELLO.X[:, :1] > 0).double()
    model = MultKAN([1, 1], grid=10)
    with pytest.warns(GridWarning, match="the data have 2"):
        fit(model, (x, x[:, 0]))
    assert model.spec.layers[0].basis.grid == 1
    assert float((value(model, x)[:, 0] - x[:, 0]).detach().abs().max()) < 1e-6


def test_a_grid_that_shall_stay_is_not_capped():
    x = torch.linspace(-1, -0.6, 30, dtype=torch.float64)[:, None]
    model = MultKAN([1, 1], grid=60)
    model.fit((x, x**2), steps=3, update_grid=False, roughness=0.0)
    assert model.spec.layers[0].basis.grid == 60
    assert model.layers[0].numeric.basis.grid[0, [0, -1]].tolist() == [-1.0, 1.0]


def test_a_symbolic_edge_outside_its_domain_is_reported():  # B31
    model = MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "log"),)),)))
    with torch.no_grad():
        model.layers[0].symbolic.affine[:, 1] = -5.0
    before = state(model)
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    try:
        history = fit(model, (x, x), steps=10)
        assert np.isfinite(history.rmse)
    except TrainingError:
        assert same(before, state(model))


def test_symbolic_numbers_are_fitted_to_rounding():
    model = MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),)),)))
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    history = fit(model, (x, 2 * torch.sin(1.3 * x + 0.2) - 0.5))
    assert history.rmse < 1e-13
    assert len(history) < 30


def test_validation_restores_the_best_and_patience_stops():
    noisy = sample_function("sin(3*x)", {"x": (-1, 1)}, n=40, noise=0.5, seed=1)
    model = MultKAN([1, 3, 1], grid=8)
    history = fit(model, noisy, validation=0.4, patience=5, tolerance=0.0)
    assert "no lower validation loss in 5 steps" in history.message
    best = min(range(len(history)), key=lambda i: history["val_loss"][i])
    assert best == len(history) - 6
    held = copy.deepcopy(MultKAN([1, 3, 1], grid=8))
    fit(held, noisy, validation=0.4, steps=best, tolerance=0.0)
    torch.testing.assert_close(held(noisy.X), model(noisy.X))


def test_callbacks_see_each_step_and_can_stop():
    seen = []

    def watch(network, history):
        seen.append(history.rmse)
        return len(seen) == 4

    _, history = fitted(callbacks=[watch])
    assert len(seen) == 4
    assert history.message == "stopped by a callback"


def test_an_interrupt_keeps_what_was_reached():
    model = MultKAN([2, 1, 1], grid=4)

    def interrupt(network, history):
        if len(history) == 8:
            raise KeyboardInterrupt

    history = fit(model, HELLO, callbacks=[interrupt])
    assert history.message == "interrupted"
    assert history.rmse == pytest.approx(rmse(model))
    assert history.rmse < history["rmse"][0]


def test_an_interrupt_inside_a_step_leaves_no_trial_point(monkeypatch):
    from kan2.training.problem import Problem

    model, calls, evaluate = MultKAN([2, 1, 1], grid=4), [], Problem.evaluate

    def interrupting(self, vector):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return evaluate(self, vector)

    monkeypatch.setattr(Problem, "evaluate", interrupting)
    history = fit(model, HELLO)
    assert history.message == "interrupted"
    assert history.rmse == pytest.approx(rmse(model))


@pytest.mark.parametrize(("opt", "grids"), [("LM", [3, 6]), ("LBFGS", [3]), ("Adam", [3])])
def test_a_resumed_run_gives_the_same_bits(opt, grids, tmp_path):
    options = {"opt": opt, "grids": grids, "steps": 12, "tolerance": 0.0, "validation": 0.2}
    options |= {"batch": 64} if opt == "Adam" else {}
    whole = MultKAN([2, 2, 1], grid=3)
    expected = fit(whole, HELLO, **options)
    path, half = tmp_path / "run.pt", MultKAN([2, 2, 1], grid=3)

    def crash(network, history):
        if len(history) == (18 if opt == "LM" else 9):
            raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        fit(half, HELLO, **options, checkpoint=path, checkpoint_every=4, callbacks=[crash])
    again = MultKAN([2, 2, 1], grid=3)
    history = fit(again, HELLO, **options, checkpoint=path, checkpoint_every=4, resume=True)
    assert same(state(whole), state(again))
    assert history["loss"] == expected["loss"]


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.pt").write_text("no")
    with pytest.raises(SerializationError, match="checkpoint"):
        fitted(checkpoint=tmp_path / "x.pt", resume=True)


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


@pytest.mark.parametrize("y", [[0.0, 3.0], [0.5, 1.0], [-1.0, 0.0]])
def test_labels_that_are_no_classes_are_refused(y):
    with pytest.raises(DataError, match="class numbers"):
        fit(MultKAN([2, 2]), (HELLO.X[:2], y), loss="cross_entropy")


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


def test_grids_stop_moving_when_moves_no_longer_pay():
    data = sample_function("(x + y)/(1 + x*y)", {"x": (-0.9, 0.9), "y": (-0.9, 0.9)}, n=300)
    errors = fit(MultKAN([2, 1, 1], grid=3), data, steps=80)["rmse"]
    assert sum(after > 1.2 * before for before, after in pairwise(errors)) <= 6
    assert errors[-1] < 1e-2


def test_a_penalty_makes_networks_sparse():
    data = sample_function("sin(pi*x)", XY, n=300)
    model = MultKAN([2, 1], grid=5)
    fit(model, data, lamb=1e-3)
    from kan2.penalties import edge_scales, feature_covariance

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


def test_restarts_find_what_one_start_misses():
    data = sample_function(
        "exp((sin(pi*(a**2 + b**2)) + sin(pi*(c**2 + d**2)))/2)", dict.fromkeys("abcd", (-1, 1)), n=500
    )
    history = fit(MultKAN([4, 2, 1, 1], grid=3), data, restarts=12, steps=40)
    assert history.rmse < 2e-2


def test_scaled_data_keep_their_units_in_the_network():
    data = sample_function("1e6*exp(t/300)", {"t": (1000, 1600)}, n=200)
    model = MultKAN([1, 1], grid=5)
    history = fit(model, data, scale_inputs=True, scale_outputs=True)
    assert model.spec.inputs == ("t",)
    assert model.spec.auxiliary[0][0] == "t_scaled"
    assert history.rmse / float(data.y.std()) < 1e-3


def test_a_data_loader_is_read():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(HELLO.X, HELLO.y), batch_size=64)
    model = MultKAN([2, 1, 1], grid=4)
    assert fit(model, loader, steps=15).rmse < 0.5


def test_learning_rates_may_follow_a_schedule():
    seen = []
    fitted(opt="Adam", steps=4, lr=lambda step: seen.append(step) or 1e-2)
    assert {0, 1, 2, 3} <= set(seen)


def test_a_learning_rate_that_blows_up_is_rolled_back():
    model, history = fitted(opt="Adam", steps=30, lr=1e200)
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert "not finite" in history.message


def test_frozen_parameters_stay():
    model = MultKAN([2, 1, 1], grid=4)
    model.layers[0].numeric.weight.requires_grad_(False)
    before = model.layers[0].numeric.weight.clone()
    fit(model, HELLO, steps=5, update_grid=False)
    assert torch.equal(model.layers[0].numeric.weight, before)


def test_a_network_without_free_numbers_is_left_as_it_is():
    spec = NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin", free=""),)),))
    history = fit(MultKAN.from_spec(spec), (HELLO.X[:, :1], HELLO.y))
    assert history.message == "nothing to train"


def test_progress_is_shown_only_on_demand(capsys):
    fitted()
    assert capsys.readouterr().out == ""
    fitted(progress=True)
    assert "fit" in capsys.readouterr().out


def test_history_is_a_table():
    _, history = fitted()
    frame = history.to_frame()
    assert list(frame["step"]) == list(range(len(history)))
    assert history["rmse"] == list(frame["rmse"])
    assert history.seconds > 0
    assert "rmse" in repr(history)
    assert repr(History()) == "History(empty)"


def test_more_parameters_than_a_matrix_serves(monkeypatch):
    from kan2.training import levenberg_marquardt

    dense = fitted(steps=6, lamb=1e-4)[1]
    monkeypatch.setattr(levenberg_marquardt, "LARGEST_DENSE", 10)
    free = fitted(steps=6, lamb=1e-4)[1]
    assert free.loss < 2 * dense.loss + 0.05


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


def test_bad_residuals_are_refused_and_the_network_is_intact():
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    model = MultKAN([1, 1])
    before = state(model)
    for residual, error, text in (
        (lambda net: net(x) * float("nan"), TrainingError, "nan or infinity in 20 of 20"),
        (lambda net: x, TrainingError, "evaluate the model"),
        (lambda net: [net(x), 3.0], ShapeError, "tensor"),
    ):
        with pytest.raises(error, match=text):
            fit(model, residual=residual)
    with pytest.raises(ShapeError, match="weights of"):
        fit(model, residual=lambda net: net(x), residual_weights={"other": 1.0})
    assert same(before, state(model))


def test_printing_a_progress_bar_to_a_given_console():
    from rich.console import Console

    from kan2.training.progress import ProgressBar

    stream = io.StringIO()
    with ProgressBar(10, Console(file=stream)):
        pass
    assert "0/10" in stream.getvalue()
