"""`fit` on bad input: what it refuses, and that the network stays intact."""

import warnings

import numpy as np
import pytest
import torch

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
from kan2.errors import DataError, GridWarning, SerializationError, ShapeError, TrainingError, UnknownNameError
from kan2.training import fit
from tests.training import HELLO, fitted, same, state, value

BAD = [
    ({"opt": "sgd"}, UnknownNameError, "LM, LBFGS, Adam"),
    ({"loss": "hinge"}, UnknownNameError, "cross_entropy"),
    ({"sample_weight": [1.0]}, ShapeError, "300 non-negative"),
    ({"sample_weight": [0.0] * 300}, ShapeError, "300 that are all zero"),
    ({"sample_weight": [-2.0] + [1.0] * 299}, ShapeError, "1 that are negative or not finite, the first -2"),
    ({"steps": -1}, TrainingError, "steps"),
    ({"validation": 1.0}, DataError, "validation"),
    ({"residual": lambda m: m(HELLO.X)}, TrainingError, "residual alone"),
    ({"grids": []}, TrainingError, r"grids as whole numbers >= 1, such as \[5, 10\], got \[\]"),
    ({"grids": [5, 0]}, TrainingError, "grids as whole numbers"),
    ({"grids": [2.5]}, TrainingError, "grids as whole numbers"),
    ({"checkpoint_every": 0}, TrainingError, "checkpoint_every as a whole number >= 1, got 0"),
    ({"restarts": 0}, TrainingError, "restarts"),
    ({"patience": 0}, TrainingError, "patience"),
    ({"lamb": -1e-3}, TrainingError, "lamb as a finite number >= 0, got -0.001"),
    ({"smoothing": float("nan")}, TrainingError, "smoothing as a finite number"),
    ({"roughness": -1.0}, TrainingError, "roughness as a finite number"),
    ({"lamb_entropy": "2"}, TrainingError, "lamb_entropy as a finite number >= 0, got '2'"),
    ({"opt": "Adam", "batch": 0}, TrainingError, "batch"),
    ({"loss": lambda o, y: (o - y).square()}, ShapeError, "one number"),
    ({"loss": lambda o, y: (o - y).square().mean() * float("nan")}, TrainingError, "finite loss"),
]

NAN_ROW = torch.cat([HELLO.X[:-1], torch.tensor([[float("nan"), 0.0]])])


@pytest.mark.parametrize(("options", "error", "text"), BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_options_are_refused_and_the_network_is_intact(options, error, text):  # B16
    model = MultKAN([2, 1, 1])
    before, spec = state(model), model.spec
    with pytest.raises(error, match=text):
        fit(model, HELLO, **options)
    assert same(before, state(model))
    assert model.spec is spec


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


@pytest.mark.parametrize(
    "option",
    [{"lr": 1.0}, {"smoothing": 0.1}, {"sample_weight": torch.ones(3)}, {"lamb_smooth": 0.1}, {"opt": "Adam"},
     {"loss": "cross_entropy"}, {"resume": True}, {"restarts": 2}, {"validation": 0.2}],
    ids=lambda option: next(iter(option)),
)  # fmt: skip
def test_options_that_a_residual_has_no_use_for_are_named(option):
    with pytest.raises(TrainingError, match=f"got {next(iter(option))} beside it"):
        MultKAN([2, 1]).fit(residual=lambda f: f(HELLO.X), **option)


@pytest.mark.parametrize("call", [lambda m, d: fit(m, d, steps=1), lambda m, d: m.fit(d, steps=1, restarts=2)])
def test_a_warning_points_at_the_line_of_the_caller(call):
    data = HELLO.X[:4], HELLO.y[:4]
    with pytest.warns(GridWarning) as caught:
        call(MultKAN([2, 1], grid=20), data)
    assert {warning.filename for warning in caught} == {__file__}


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


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.pt").write_text("no")
    with pytest.raises(SerializationError, match="checkpoint"):
        fitted(checkpoint=tmp_path / "x.pt", resume=True)


@pytest.mark.parametrize("y", [[0.0, 3.0], [0.5, 1.0], [-1.0, 0.0]])
def test_labels_that_are_no_classes_are_refused(y):
    with pytest.raises(DataError, match="class numbers"):
        fit(MultKAN([2, 2]), (HELLO.X[:2], y), loss="cross_entropy")


def test_a_learning_rate_that_blows_up_is_rolled_back():
    model, history = fitted(opt="Adam", steps=30, lr=1e200)
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert "not finite" in history.message


def test_bad_residuals_are_refused_and_the_network_is_intact():
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    model = MultKAN([1, 1])
    before = state(model)
    for residual, error, text in (
        (lambda net: net(x) * float("nan"), TrainingError, "nan or infinity in 20 of 20"),
        (lambda net: x, TrainingError, "evaluate the model"),
        (lambda net: [net(x), 3.0], ShapeError, "tensor"),
        (lambda net: None, ShapeError, "got NoneType. Return what must vanish"),
        (lambda net: 0.0, ShapeError, "got float"),
    ):
        with pytest.raises(error, match=text):
            fit(model, residual=residual)
    with pytest.raises(ShapeError, match="weights of"):
        fit(model, residual=lambda net: net(x), residual_weights={"other": 1.0})
    assert same(before, state(model))


class _Samples(torch.utils.data.Dataset):
    """Eight samples, each what a function makes of its number."""

    def __init__(self, sample):
        self.sample = sample

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.sample(i)


@pytest.mark.parametrize(
    ("sample", "got"),
    [
        (lambda i: {"x": torch.ones(2), "y": torch.ones(1)}, "a batch of type dict"),
        (lambda i: "a", "a batch of 2 members|a batch with a str in it"),
        (lambda i: ("a", "b"), "a batch with a tuple in it"),
        (lambda i: torch.ones(2), "batches of X alone"),
        (lambda i: (torch.ones(2),), "a batch of 1 members"),
        (lambda i: (torch.ones(2), torch.ones(1), torch.ones(1)), "a batch of 3 members"),
        (lambda i: (torch.ones(2 + i // 2), torch.ones(1)), r"batches of other columns than the first, \(2, 3\) .*"),
    ],
    ids=["dict", "text", "texts", "X", "one", "three", "columns"],
)
def test_batches_that_are_no_pairs_are_refused(sample, got):
    # Two samples a batch: a tensor of two rows must not come apart into X and y.
    loader = torch.utils.data.DataLoader(_Samples(sample), batch_size=2)
    model = MultKAN([2, 1])
    before = state(model)
    with pytest.raises(DataError, match=rf"fit: expected a DataLoader of batches \(X, y\), .* got ({got})"):
        model.fit(loader, steps=1)
    assert same(before, state(model))


def test_loaders_without_samples_or_rows_are_refused():
    for loader, got in (
        (torch.utils.data.DataLoader([], batch_size=2), "none"),
        (torch.utils.data.DataLoader(_Samples(lambda i: (torch.ones(2), torch.tensor(1.0))), batch_size=None),
         r"a batch of shapes \(2,\) and \(\)"),
        (torch.utils.data.DataLoader([(torch.ones(3, 2), torch.ones(2, 1))], batch_size=None),
         r"a batch of shapes \(3, 2\) and \(2, 1\)"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=f"got {got}. Make one of TensorDataset"):
            MultKAN([2, 1]).fit(loader, steps=1)
