"""What `discover` returns: a law with names of any kind, delegation to its network, and options that all work."""

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

import kan2
from kan2 import MultKAN
from kan2.errors import (
    DataError,
    FormulaError,
    Kan2Error,
    OptionError,
    ShapeError,
    TrainingError,
    UnknownNameError,
)
from kan2.laws.discovery import Discovery

rng = np.random.default_rng(0)
A, B = rng.uniform(1, 2, (2, 60))
TABLE = pd.DataFrame({"a": A, "period [s]": B, "T": 3 * A * B**2})
NOISY = (np.c_[A, B], 3 * A / (0.7 + A) + 0.01 * rng.standard_normal(60))
SHORT = {"attempts": 1, "steps": 5, "seconds": 1.0}


@pytest.fixture(scope="module")
def law() -> Discovery:
    return kan2.discover(TABLE, target="T")


def test_it_prints_the_law_and_the_front(law):
    first, *rest = str(law).splitlines()
    assert first == "T = 3*`period [s]`**2*a"
    assert rest[-1].startswith("->")
    assert law.found
    assert law.front.pick.is_exact
    assert len(law.front) == len(rest) - 1
    assert "<table>" in law._repr_html_()
    frame = law.front.to_frame()
    assert frame.pick.sum() == 1
    assert list(frame.complexity) == sorted(frame.complexity)


def test_what_belongs_to_the_network_is_delegated(law):
    assert isinstance(law.model, MultKAN)
    assert law.spec.inputs == ("a", "period [s]")
    assert law.spec.outputs == ("T",)
    assert law.is_formula
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert float(law(x).detach()) == pytest.approx(12)
    assert isinstance(law.prune(), MultKAN)
    assert {"plot", "prune", "formula", "pick", "front"} <= set(dir(law))
    with pytest.raises(AttributeError, match="no_such_thing"):
        law.no_such_thing  # noqa: B018
    assert not hasattr(law, "_no_such_thing")
    assert law.tree.nodes[law.tree.graph["root"]]["kind"] == "product"


def test_the_network_of_a_law_is_saved(law, tmp_path):
    law.save(tmp_path / "law.kan")
    assert MultKAN.load(tmp_path / "law.kan").symbolic_formula() == law.formula


def test_columns_go_by_name(law):
    right = law.predict(TABLE)
    assert right.shape == (60, 1)
    assert (law.predict(TABLE[["T", "period [s]", "a"]]) == right).all()
    assert (law.predict(TABLE[["a", "period [s]"]].to_numpy()) == right).all()
    assert law.predict([1.0, 2.0]) == pytest.approx(12)
    with pytest.raises(UnknownNameError, match="period"):
        law.predict(TABLE[["a"]])
    with pytest.raises(ShapeError, match="2 columns"):
        law.predict([[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("index", [99, -99, 1.0, True, "x"])
def test_there_is_no_such_row(law, index, unchecked):
    with pytest.raises(DataError, match="pick: expected the number of a row"):
        law.pick(index)


def test_a_formula_without_a_network_is_told_where_the_network_is_asked_for(law):
    from dataclasses import replace

    row = replace(law.front[-1], formulas=(sympy.Function("unheard")(sympy.Symbol("a")),))
    odd = replace(law, front=type(law.front)((row,), 0))
    assert "unheard(a)" in str(odd)
    with pytest.raises(FormulaError, match="model: expected a formula that a network computes"):
        odd.model  # noqa: B018


def test_auxiliary_variables_are_resolved():
    data = kan2.augment((np.c_[A, B], A / B + 1), {"ratio": "x1/x2"})
    law = kan2.discover(data)
    assert law.formula == sympy.Symbol("x1") / sympy.Symbol("x2") + 1
    assert law.predict(np.c_[A, B])[:, 0] == pytest.approx(A / B + 1)


def test_a_network_of_a_width_explains_several_targets():
    table = {"a": A, "b": B, "p": 2 * A, "q": B + 1}
    law = kan2.discover(table, [2, 2], target=["p", "q"], attempts=1, steps=5)
    assert [str(formula) for formula in law.formula] == ["2*a", "b + 1"]
    assert law.predict({"a": [1.0], "b": [2.0]}) == pytest.approx(np.array([[2.0, 3.0]]))
    assert isinstance(law.network, MultKAN)


@pytest.mark.slow
def test_guesses_are_fitted():
    law = kan2.discover((NOISY[0][:, :1], NOISY[1]), guesses=["c*x1/(b + x1)"], networks=False)
    row = next(row for row in law.front if "a guess" in row.evidence[0])
    assert sorted(float(n.value) for n in row.numbers) == pytest.approx([0.7, 3.0], rel=0.1) or not row.numbers
    x = sympy.Symbol("x1")
    assert float(row.formula.subs(x, 1.5)) == pytest.approx(3 * 1.5 / 2.2, rel=0.02)
    assert all(number.error > 0 for number in row.numbers)


@pytest.mark.slow
def test_a_robust_loss_does_without_outliers():
    y = 2 * A + 0.01 * rng.standard_normal(60)
    y[::15] += 50
    plain, robust = (
        kan2.discover((A[:, None], y), loss=loss, **SHORT) for loss in (None, torch.nn.HuberLoss(delta=0.05))
    )
    off = [np.abs(law.predict(A[:, None])[:, 0] - 2 * A).max() for law in (plain, robust)]
    assert off[1] < 0.03 < off[0]
    assert (plain.found, robust.found) == (False, True)


def test_rows_of_no_weight_are_left_out():
    y = 2 * A
    y[:5] = 1e6
    law = kan2.discover((A[:, None], y), sample_weight=np.r_[np.zeros(5), np.ones(55)])
    assert str(law.formula) == "2*x1"
    assert law.found


@pytest.mark.slow
def test_standard_errors_may_be_a_column():
    errors = np.where(np.arange(60) < 30, 1e-3, 10.0)
    table = pd.DataFrame({"a": A, "dy": errors, "y": 2 * A + errors * rng.standard_normal(60)})
    for accuracy in ("dy", errors):
        data = table if isinstance(accuracy, str) else table[["a", "y"]]
        law = kan2.discover(data, target="y", accuracy=accuracy, **SHORT)
        assert law.data.inputs == ("a",)
        assert float(law.predict({"a": [1.0]})[0, 0]) == pytest.approx(2, abs=2e-3)


@pytest.mark.slow
def test_a_share_of_the_target_may_be_unknown():
    rounded = np.round(3 * A * B**2, 3)
    law = kan2.discover((np.c_[A, B], rounded), accuracy=1e-3, **SHORT)
    assert str(law.formula) == "3*x1*x2**2"


@pytest.mark.slow
def test_a_library_limits_what_a_law_may_have():
    data = (A[:, None], np.exp(A))
    assert kan2.discover(data).formula == sympy.exp(sympy.Symbol("x1"))
    law = kan2.discover(data, library=["sin", "x^2"], **SHORT)
    assert not any(row.formula.has(sympy.exp, sympy.log) for row in law.front)


def test_callbacks_end_the_search():
    records = []

    def stop(record):
        records.append(record)
        return record.message == "training"

    law = kan2.discover((A[:, None], np.sin(40 * A) * A), [1, 5, 1], attempts=3, callbacks=stop)
    assert [r.message for r in records] == ["training"]
    assert law.report.interrupted
    assert len(law.front)


def test_laws_are_told_as_they_are_found():
    records = []
    law = kan2.discover(TABLE, target="T", progress=records.append)
    best = [record for record in records if record.is_best]
    assert best[-1].formula == str(law.formula)
    assert best[-1].message == "found a law"
    assert {record.attempt for record in records} == {0}
    errors = [record.error for record in best]
    assert errors == sorted(errors, reverse=True)


def test_several_jobs_give_the_same_law(law):
    assert str(kan2.discover(TABLE, target="T", n_jobs=2)) == str(law)


@pytest.mark.parametrize("keep", [0, 0.0, 0.5, 20])
def test_any_share_of_the_rows_may_be_kept_aside(keep):
    assert str(kan2.discover(TABLE, target="T", keep=keep).formula) == "3*`period [s]`**2*a"


@pytest.mark.parametrize(
    ("options", "kind", "part"),
    [
        ({"keep": 1.5}, TrainingError, "keep"),
        ({"keep": -1}, TrainingError, "keep"),
        ({"keep": "all"}, TrainingError, "keep"),
        ({"n_jobs": 0}, TrainingError, "n_jobs"),
        ({"callbacks": 3}, TrainingError, "callbacks"),
        ({"guesses": 3}, OptionError, "guesses"),
        ({"guesses": ["a*("]}, Kan2Error, "expected"),
        ({"keep": 60}, TrainingError, "at most 45 of 60 rows"),
        ({"keep": 1000}, TrainingError, "keep"),
        ({"loss": "cross_entropy"}, TrainingError, "KANClassifier"),
        ({"loss": "hubber"}, UnknownNameError, "hubber"),
        ({"accuracy": "dT"}, UnknownNameError, "dT"),
        ({"accuracy": [0.1, 0.2]}, TrainingError, "accuracy"),
        ({"sample_weight": [1.0]}, TrainingError, "sample_weight"),
        ({"sample_weight": -np.ones(60)}, TrainingError, "sample_weight"),
        ({"loss": torch.nn.L1Loss(), "sample_weight": np.ones(60)}, TrainingError, "sample_weight"),
    ],
)
def test_wrong_values_are_refused(options, kind, part, unchecked):
    with pytest.raises(kind, match=part):
        kan2.discover(TABLE, target="T", **options)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_rows_have_something_to_return(n):
    law = kan2.discover((A[:n, None], A[:n] * 2.345), **SHORT)
    assert np.isfinite(law.predict([[1.5]])).all()
    assert not law.found or n > 2


def test_a_target_that_is_always_the_same():
    law = kan2.discover((np.c_[A, B], np.full(60, 3.0)))
    assert law.formula == 3
    assert law.found
    assert law.predict([[1.0, 2.0]]).tolist() == [[3.0]]


def test_noise_is_no_law():
    law = kan2.discover((np.c_[A, B], rng.standard_normal(60)), **SHORT)
    assert not law.found
    assert str(law).startswith("no law found; the best approximation is ")
