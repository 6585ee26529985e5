"""What users pass, checked and prepared in one place."""

import inspect

import numpy as np
import pandas
import pytest
import torch

import treeconv
from treeconv.study import Study
from treeconv.subject import Subject

X = np.random.default_rng(0).uniform(-1, 1, (50, 2))


def product(x):
    return x[:, 0] * x[:, 1]


def pair(x):
    return torch.stack([x[:, 0] + x[:, 1], x[:, 0] * x[:, 1]], dim=1)


def test_everything_is_prepared_once():
    subject = Subject.of(pair, pandas.DataFrame(X, columns=["a", "b"]), y=torch.zeros(50, 2), error=[0, 0.1])
    assert subject.names == ("a", "b")
    assert subject.x.dtype == np.float64
    assert len(subject.functions) == 2
    assert subject.targets is not None
    assert subject.targets.shape == (50, 2)
    assert subject.errors == (0.0, 0.1)
    assert Subject.of(pair, X, error=[None, 0.1]).errors == (None, 0.1)


@pytest.mark.parametrize("error", [0.1, np.float32(0.1), np.array(0.1), torch.tensor(0.1), [0.1], np.array([0.1])])
def test_one_error_may_come_in_any_form(error):
    assert Subject.of(product, X, error=error).errors == (pytest.approx(0.1),)


def test_one_error_serves_all_outputs():
    assert Subject.of(pair, X, error=0.5).errors == (0.5, 0.5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"x": [["a", "b"]] * 20}, "expected numbers as the samples x"),
        ({"x": X[:9]}, r"batch >= 10"),
        ({"x": X, "y": ["a"] * 50}, "expected numbers as the targets y"),
        ({"x": X, "y": 1.0}, r"shape \(50, 1\), got \(\)"),
        ({"x": X, "error": "small"}, "expected numbers as the error"),
        ({"x": X, "error": [-1.0]}, r"expected a finite error >= 0, got -1\.0\. Give"),
        ({"x": X, "names": [1, 2]}, "expected 2 different names"),
    ],
)
def test_what_does_not_fit_is_refused(options, match):
    with pytest.raises(treeconv.SampleError, match=match) as caught:
        treeconv.convert(product, **options)
    assert isinstance(caught.value, treeconv.TreeError)
    assert str(caught.value).startswith("convert: ")
    assert str(caught.value).endswith(".")


def test_a_function_that_fails_on_arrays_is_told_apart():
    def f(x):
        raise ValueError("no")

    with pytest.raises(treeconv.SampleError, match="got ValueError when called: no"):
        treeconv.convert(f, X)


def test_the_records_are_frozen():
    subject = Subject.of(product, X)
    for record in (subject, Study.of(subject)):
        with pytest.raises(AttributeError, match="cannot assign"):
            record.x = X


def test_a_study_reads_its_own_output():
    study = Study.of(Subject.of(pair, X), output=1)
    x = study.x[:5]
    assert study.function.value(x) * study.unit == pytest.approx(x[:, 0] * x[:, 1])


QUESTIONS = [
    "irrelevance",
    "additive_separability",
    "multiplicative_separability",
    "generalised_separability",
    "find_groups",
    "generalised_symmetry",
    "symmetry_variable",
    "pair_symmetries",
]


@pytest.mark.parametrize("name", ["convert", *QUESTIONS])
def test_every_question_takes_the_same_five_arguments(name):
    parameters = inspect.signature(getattr(treeconv, name)).parameters
    assert list(parameters)[:2] == ["f", "x"]
    assert {"names", "y", "error"} <= set(parameters)
