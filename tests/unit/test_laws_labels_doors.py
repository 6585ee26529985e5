"""Labels in tables of every kind, what is refused, the estimator, and the command line."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import kan2
from kan2.cli._app import app
from kan2.core.data import Dataset
from kan2.errors import DataError, NumberError, TrainingError
from kan2.estimators import KANFormulaClassifier
from kan2.expressions.symbols import symbol
from kan2.laws.labels.law import LabelLaw
from tests.labels import LINEAR, QUICK, WORDS


@pytest.fixture(autouse=True)
def no_forests(monkeypatch):
    # Half of the time, and tested with laws of numbers.
    monkeypatch.setattr("kan2.laws.labels.samples.forest_explains", lambda x, left: False)


@pytest.fixture(scope="module")
def law() -> LabelLaw:
    return kan2.discover(LINEAR, target="seen", **QUICK)  # type: ignore[return-value]


KINDS = {
    "words": WORDS,
    "list": WORDS.tolist(),
    "objects": WORDS.astype(object),
    "series": pd.Series(WORDS, name="seen"),
    "category": pd.Series(WORDS, name="seen", dtype="category"),
    "string": pd.Series(WORDS, name="seen", dtype="string"),
    "bytes": WORDS.astype("S"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_every_kind_are_labels(kind, law):
    inputs = {name: LINEAR[name] for name in "abc"}
    found = kan2.discover({**inputs, "seen": KINDS[kind]}, target="seen", **QUICK)
    assert found.classes.tolist() == ["no", "yes"]
    assert found.formula == law.formula
    assert set(found.predict(LINEAR)) == {"no", "yes"}
    assert found.headline.startswith("logit P(seen = yes) = ")


@pytest.mark.parametrize("frame", ["polars", "pyarrow", "pandas"])
def test_frames_have_labels(frame, law):
    data = {**{name: LINEAR[name] for name in "abc"}, "seen": WORDS}
    if frame == "pandas":
        given: Any = pd.DataFrame(data)
    elif frame == "pyarrow":
        given = pytest.importorskip("pyarrow").table(data)
    else:
        given = pytest.importorskip("polars").DataFrame(data)
    found = kan2.discover(given, target="seen", **QUICK)
    assert found.formula == law.formula
    assert (found.predict(given) == found.predict(LINEAR)).all()


@pytest.mark.slow
def test_pairs_and_files_have_labels(law, tmp_path):
    X = np.stack([LINEAR[name] for name in "abc"], 1)
    found = kan2.discover((X, LINEAR["seen"]), **QUICK)
    assert found.headline.startswith("logit P(y1 = True) = ")
    named = kan2.discover((X, pd.Series(WORDS, name="kind")), names=["a", "b", "c"], **QUICK)
    assert named.formula == law.formula
    assert named.outputs == ("kind",)
    frame = pd.DataFrame({**LINEAR, "seen": WORDS})
    frame.to_csv(tmp_path / "seen.csv", index=False)
    read = kan2.discover(tmp_path / "seen.csv", target="seen", **QUICK)
    assert read.formula == law.formula


@pytest.mark.slow
def test_numbers_are_labels_where_the_loss_is_one_of_labels(law):
    numbers = {**LINEAR, "seen": LINEAR["seen"].astype(float)}
    found = kan2.discover(numbers, target="seen", loss="cross_entropy", **QUICK)
    assert found.formula == law.formula
    assert found.classes.tolist() == [0, 1]
    plain = kan2.discover(numbers, target="seen", networks=False, **QUICK)
    assert not isinstance(plain, LabelLaw)
    data = Dataset.of(numbers, target="seen")
    assert kan2.discover(data, loss=torch.nn.BCEWithLogitsLoss(), **QUICK).formula == law.formula
    two = kan2.discover({**LINEAR, "seen": LINEAR["seen"] + 1.0}, target="seen", loss="cross_entropy", **QUICK)
    assert two.classes.tolist() == [1, 2]
    assert two.formula == law.formula


def test_names_with_spaces_are_columns_and_targets():
    data = {"leaf area": LINEAR["b"], "c": LINEAR["c"], "is there": WORDS}
    found = kan2.discover(data, target="is there", **QUICK)
    assert symbol("leaf area") in found.formula.free_symbols
    assert found.headline.startswith("logit P(`is there` = yes) = ")
    assert found.predict(pd.DataFrame(data)).shape == (400,)


def test_missing_labels_are_refused_with_their_row():
    words = WORDS.astype(object)
    words[5] = None
    with pytest.raises(DataError, match="a label in every row, got none in row 5 in 'seen'"):
        kan2.discover({**LINEAR, "seen": words}, target="seen")
    with pytest.raises(DataError, match="got none in row 5"):
        kan2.discover({**LINEAR, "seen": pd.Series(words).astype("category")}, target="seen")
    numbers = LINEAR["seen"].astype(float)
    numbers[3] = np.nan
    with pytest.raises(DataError, match="got none in row 3"):
        kan2.discover({**LINEAR, "seen": numbers}, target="seen", loss="cross_entropy")


def test_one_class_and_three_are_refused_with_what_to_do():
    with pytest.raises(DataError, match=r"two classes, got text with 1 in 'seen' .'no'.*Add rows of the other"):
        kan2.discover({**LINEAR, "seen": np.full(400, "no")}, target="seen")
    three = np.array(["low", "mid", "high"])[np.arange(400) % 3]
    with pytest.raises(DataError, match=r"got text with 3 in 'seen'.*each against the rest.*seen == 'high'"):
        kan2.discover({**LINEAR, "seen": three}, target="seen")
    weight = LINEAR["seen"].astype(float)
    with pytest.raises(TrainingError, match="rows of weight above 0 of two classes, got one class"):
        kan2.discover(LINEAR, target="seen", sample_weight=weight)
    with pytest.raises(DataError, match="labels of one kind, got int and str"):
        kan2.discover({**LINEAR, "seen": pd.Series([1, "yes"] * 200, dtype=object)}, target="seen")


def test_text_that_is_no_list_of_labels_is_refused_as_text():
    with pytest.raises(NumberError, match="text"):
        kan2.discover({**LINEAR, "seen": [f"site {i}" for i in range(400)]}, target="seen")


def test_several_targets_with_labels_are_refused():
    with pytest.raises(DataError, match="labels as the only target, got 2"):
        kan2.discover({**LINEAR, "too": WORDS}, target=["seen", "too"])


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"width": [3, 1]}, "no width"),
        ({"templates": "f(a)*b"}, "no templates"),
        ({"units": {"a": "m"}}, "no units"),
        ({"accuracy": 0.1}, "no accuracy"),
    ],
)
def test_options_of_numbers_are_refused(option, match):
    with pytest.raises(TrainingError, match=match):
        kan2.discover(LINEAR, target="seen", **option)


def test_a_loss_of_numbers_is_refused_beside_labels():
    with pytest.raises(TrainingError, match="cross_entropy"):
        kan2.discover(LINEAR, target="seen", loss=torch.nn.HuberLoss())


def classifier(**options: Any) -> KANFormulaClassifier:
    return KANFormulaClassifier(work=0, **options)


def test_an_estimator_has_the_formula_and_its_classes(law):
    frame = pd.DataFrame({name: LINEAR[name] for name in "abc"})
    fitted = classifier().fit(frame, pd.Series(WORDS, name="seen"))
    assert fitted.formula_ == law.formula
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert (fitted.predict(frame[["c", "b", "a"]]) == np.where(law.predict(LINEAR), "yes", "no")).all()
    assert fitted.predict_proba(frame) == pytest.approx(law.predict_proba(LINEAR))
    assert fitted.decision_function(frame) == pytest.approx(law.logit(LINEAR))
    assert fitted.equations_.picked.sum() == 1
    assert fitted.discovery_.headline.startswith("logit P(seen = yes)")
    assert set(fitted.predict(frame, index=0)) == {max(("no", "yes"), key=WORDS.tolist().count)}


def test_an_estimator_refuses_three_classes():
    with pytest.raises(ValueError, match=r"Only binary .*OneVsRestClassifier"):
        classifier().fit(np.zeros((6, 1)), [0, 1, 2] * 2)


# In a process of its own: the checks draw from NumPy's generator, and pass settings of types that tests refuse.
# Of weights only ratios matter, as everywhere in discover: twice as many rows tell more, twice the weights do not.
CHECKS = """
import warnings
from sklearn.utils.estimator_checks import check_estimator
from kan2.estimators import KANFormulaClassifier

warnings.simplefilter("ignore")
expected = {"check_sample_weight_equivalence_on_dense_data": "only ratios of weights matter"}
results = check_estimator(KANFormulaClassifier(work=0), expected_failed_checks=expected)
assert sum(one["status"] == "passed" for one in results) > 40, results
"""


@pytest.mark.slow
def test_scikit_learn_agrees():
    subprocess.run([sys.executable, "-c", CHECKS], check=True)


@pytest.mark.slow
def test_the_command_line_finds_laws_of_labels(tmp_path):
    path = tmp_path / "seen.csv"
    pd.DataFrame({"b": LINEAR["b"], "c": LINEAR["c"], "seen": WORDS}).to_csv(path, index=False)
    shown = CliRunner().invoke(app, ["discover", str(path), "--target", "seen"])
    assert shown.exit_code == 0, shown.output
    assert "logit P(seen = yes) = " in shown.stdout
    assert "of the deviance that the base rate leaves is left" in shown.stdout
    frame = pd.DataFrame({"b": LINEAR["b"], "c": LINEAR["c"], "seen": LINEAR["seen"].astype(int)})
    frame.to_csv(path, index=False)
    told = ["discover", str(path), "--target", "seen", "--loss", "cross_entropy", "--json", "--quiet"]
    document = json.loads(CliRunner().invoke(app, told).stdout)
    assert document["classes"] == [0, 1]
    assert document["found"]
    assert document["formula"]
