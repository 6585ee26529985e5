"""Data in all their forms, auxiliary variables, and what is refused."""

from math import gamma

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

from kan2 import MultKAN, augment, sample_function
from kan2.core.data import as_dataset
from kan2.core.definitions import resolve_auxiliary
from kan2.errors import DataError, Kan2Error, ShapeError


def test_all_forms_give_the_same_dataset():
    x, y = np.arange(6.0).reshape(3, 2), np.array([0.0, 1.0, 2.0])
    frame = pd.DataFrame(x, columns=["a", "b"])
    forms = [
        (x, y),
        (x, y[:, None]),
        (torch.tensor(x), torch.tensor(y)),
        (x.tolist(), y.tolist()),
        (frame, pd.Series(y)),
    ]
    for form in [*forms, {"train_input": x, "train_label": y}]:
        data = as_dataset(form)
        assert torch.equal(data.X, torch.tensor(x))
        assert torch.equal(data.y, torch.tensor(y)[:, None])
    assert as_dataset((frame, y)).inputs == ("a", "b")
    assert as_dataset((x, y)).inputs == ("x1", "x2")


@pytest.mark.parametrize(("x", "y", "error", "message"), [
    (np.zeros((0, 2)), np.zeros(0), DataError, "at least one sample"),
    (np.zeros((3, 0)), np.zeros(3), DataError, "at least one sample"),
    (np.zeros(3), np.zeros(3), ShapeError, "reshape"),
    (np.zeros((3, 1)), np.zeros(4), ShapeError, "expected 3 targets"),
    (np.array([[1.0], [np.nan]]), np.zeros(2), DataError, "nan in row 1, column 0"),
    (np.array([[1.0], [2.0]]), np.array([0.0, np.inf]), DataError, "inf in row 1"),
    (np.array([["a"], ["b"]]), np.zeros(2), DataError, "expected numbers"),
])  # fmt: skip
def test_bad_data_are_refused_with_the_reason(x, y, error, message):
    with pytest.raises(error, match=message):
        as_dataset((x, y))
    with pytest.raises(error, match=message):
        MultKAN([1, 1]).fit((x, y))


@pytest.mark.parametrize("data", [None, 3, "text", ([1.0], [2.0], [3.0]), {"train_input": [[1.0]]}])
def test_other_objects_are_refused(data):
    with pytest.raises(DataError):
        as_dataset(data)


def test_augment_computes_and_remembers():
    data = augment(([[3.0, 4.0], [6.0, 8.0]], [5.0, 10.0]), {"s": "a**2 + b**2", "r": "sqrt(s)"}, names=["a", "b"])
    assert data.feature_names == ("a", "b", "s", "r")
    torch.testing.assert_close(data.features[:, 3], torch.tensor([5.0, 10.0], dtype=torch.float64))
    a, b = sympy.symbols("a b")
    assert resolve_auxiliary(data.inputs, data.auxiliary)["r"] == sympy.sqrt(a**2 + b**2)


@pytest.mark.parametrize(("definition", "message"), [
    ({"a": "b"}, "a new name"), ({"z": "a + q"}, "q"), ({"z": "log(-a)"}, "expected finite features"),
    ({"z": "__import__('os')"}, "import"), ({"z": "a +"}, "a +"),
])  # fmt: skip
def test_definitions_that_cannot_hold_are_refused(definition, message):
    with pytest.raises(Kan2Error, match=message):
        augment(([[3.0, 4.0]], [5.0]), definition, names=["a", "b"])


def test_a_network_trained_on_augmented_data_takes_the_original_columns():
    data = augment(sample_function("x1*x2 + 1", [(1, 2), (1, 2)], n=60), {"p": "x1*x2"})
    model = MultKAN([3, 1], grid=3)
    model.fit(data, steps=20)
    assert model.spec.inputs == ("x1", "x2")
    assert model(data.X).shape == (60, 1)
    with pytest.raises(ShapeError, match="expected 2 columns"):
        model(data.features)
    formula = model.fix_symbolic((0, 0, 2), "x")
    for source in (0, 1):
        formula = formula.remove_edge((0, 0, source))
    formula.fit(data, steps=20)
    assert formula.snap_constants().symbolic_formula() == sympy.Symbol("x1") * sympy.Symbol("x2") + 1


def test_sampling_is_seeded_and_checked():
    first = sample_function("x*sin(y)", {"x": (-1, 1), "y": (0, 3)}, n=10, seed=3)
    second = sample_function("x*sin(y)", {"x": (-1, 1), "y": (0, 3)}, n=10, seed=3)
    assert torch.equal(first.X, second.X)
    assert first.inputs == ("x", "y")
    assert first.X_test is not None
    with pytest.raises(DataError, match="Narrow the box"):
        sample_function("log(x)", {"x": (-1, 1)})
    with pytest.raises(DataError, match="n as a whole number >= 1"):
        sample_function("x", {"x": (-1, 1)}, n=0)


def test_gamma_has_its_sign():
    data = sample_function("gamma(x)", {"x": (-0.9, -0.1)}, n=5)
    expected = [gamma(float(x)) for x in data.X]
    assert data.y[:, 0].tolist() == pytest.approx(expected)
    assert max(expected) < 0


def test_targets_of_a_network_carry_no_graph():
    data = sample_function(MultKAN([2, 2, 1]), [(-1, 1)] * 2, n=20)
    assert not data.y.requires_grad


def test_noise_of_a_single_sample_is_none():
    assert sample_function("x", {"x": (0, 1)}, n=1, noise=0.1).y.isfinite().all()


def test_as_many_names_as_columns():
    with pytest.raises(ShapeError, match="2 names"):
        as_dataset(as_dataset(([[1.0, 2.0]], [0.0])), ["a"])
