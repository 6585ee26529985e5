"""`KANFormulaRegressor`: the front of `discover` in pipelines, with names, weights, any of its rows, typed refusals."""

import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from kan2.errors import DataError, Kan2Error, OptionError, ShapeError, TrainingError, UnknownNameError
from kan2.estimators import KANFormulaRegressor
from kan2.expressions.symbols import symbol

rng = np.random.default_rng(0)
FRAME = pd.DataFrame(rng.uniform(1, 2, (60, 2)), columns=["mass [kg]", "speed"])
ENERGY = pd.Series(FRAME["mass [kg]"] * FRAME["speed"] ** 2 / 2, name="energy")
QUICK: dict[str, Any] = {"work": 0.2}


@pytest.fixture(scope="module")
def fitted() -> KANFormulaRegressor:
    return KANFormulaRegressor(**QUICK).fit(FRAME, ENERGY)


def test_the_law_is_found_in_the_names_of_the_columns(fitted):
    assert fitted.formula_ == symbol("mass [kg]") * symbol("speed") ** 2 / 2
    assert fitted.discovery_.found
    assert fitted.discovery_.outputs == ("energy",)
    assert fitted.score(FRAME, ENERGY) == pytest.approx(1, abs=1e-15)
    assert list(fitted.feature_names_in_) == ["mass [kg]", "speed"]
    assert fitted.predict(FRAME[["speed", "mass [kg]"]]) == pytest.approx(ENERGY.to_numpy())


def test_every_row_of_the_front_predicts(fitted):
    table = fitted.equations_
    assert list(table.columns) == ["complexity", "error", "description_length", "formula", "picked"]
    assert table.picked.sum() == 1
    assert len(table) == len(fitted.discovery_.front) > 2
    for i, formula in enumerate(table.formula):
        assert fitted.sympy(i) == formula
        function = sympy.lambdify([symbol(name) for name in FRAME], formula)
        wanted = np.broadcast_to(function(*FRAME.to_numpy().T), 60)
        assert fitted.predict(FRAME, i) == pytest.approx(wanted)
        assert fitted.latex(i, digits=None) == sympy.latex(formula)
    picked = int(np.flatnonzero(table.picked)[0])
    assert (fitted.predict(FRAME, picked) == fitted.predict(FRAME)).all()
    assert (fitted.predict(FRAME, -1) == fitted.predict(FRAME, len(table) - 1)).all()
    with pytest.raises(DataError, match="number of a row of the front"):
        fitted.predict(FRAME, len(table))


def test_without_pandas_the_front_is_returned(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert fitted.equations_ is fitted.discovery_.front


def test_clones_and_pickles(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    assert again.formula_ == fitted.formula_
    assert (again.predict(FRAME) == fitted.predict(FRAME)).all()
    fresh: Any = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    assert not hasattr(fresh, "formula_")
    with pytest.raises(NotFittedError):
        fresh.predict(FRAME)


@pytest.mark.slow
def test_pipelines_and_searches():
    pipeline = make_pipeline(FunctionTransformer(np.exp), KANFormulaRegressor(**QUICK))
    search = GridSearchCV(pipeline, {"kanformularegressor__keep": [0.0, 0.3]}, cv=2)
    search.fit(np.log(FRAME.to_numpy()), ENERGY)
    assert float(search.score(np.log(FRAME.to_numpy()), ENERGY)) > 1 - 1e-9  # pyright: ignore[reportArgumentType]
    assert cross_val_score(KANFormulaRegressor(**QUICK), FRAME, ENERGY, cv=3).min() > 1 - 1e-9


def test_a_table_as_a_whole(tmp_path):
    path = tmp_path / "energies.csv"
    FRAME.assign(energy=ENERGY).to_csv(path, index=False)
    found = KANFormulaRegressor(**QUICK).fit(path, target="energy")
    assert str(found.formula_) == "mass*speed**2/2"  # a unit in the header is no part of the name
    assert found.predict(path) == pytest.approx(ENERGY.to_numpy())


def test_weights_count_samples():
    noisy = ENERGY.to_numpy() + 0.1 * np.random.default_rng(1).standard_normal(60)
    counts = np.random.default_rng(2).integers(0, 3, 60)
    weighted = KANFormulaRegressor(work=0).fit(FRAME, noisy, counts)
    repeated = KANFormulaRegressor(work=0).fit(FRAME.iloc[np.repeat(np.arange(60), counts)], np.repeat(noisy, counts))
    assert str(weighted.discovery_) == str(repeated.discovery_)
    bad = noisy + np.where(np.arange(60) < 20, 1e3, 0)
    without = KANFormulaRegressor(work=0).fit(FRAME, bad, np.where(np.arange(60) < 20, 0, 1))
    assert str(without.discovery_) == str(KANFormulaRegressor(work=0).fit(FRAME[20:], noisy[20:]).discovery_)


def test_settings_reach_the_search():
    y = 3 * FRAME["speed"] / (0.7 + FRAME["speed"]) + 0.01 * np.random.default_rng(1).standard_normal(60)
    y[::15] += 5
    loss = torch.nn.HuberLoss(delta=0.03)
    found = KANFormulaRegressor(work=0, guesses="a*speed/(b + speed)", loss=loss, library=["x"]).fit(FRAME, y)
    row = next(row for row in found.discovery_.front if "guess" in row.evidence[0])
    assert float(row.formula.subs(symbol("speed"), 1.5)) == pytest.approx(4.5 / 2.2, rel=0.02)
    assert not any(formula.has(sympy.exp, sympy.log, sympy.sin) for formula in found.equations_.formula)
    late = KANFormulaRegressor(seconds=0).fit(FRAME, ENERGY)
    assert late.discovery_.report.out_of_time
    same = [KANFormulaRegressor(work=0, random_state=np.random.RandomState(3)).fit(FRAME, y) for _ in range(2)]
    assert str(same[0].discovery_) == str(same[1].discovery_)


@pytest.mark.slow
def test_networks_are_trained_where_they_are_asked_for():
    y = np.sin(9 * FRAME["speed"]) * FRAME["mass [kg]"] + 0.1 * np.random.default_rng(1).standard_normal(60)
    networks = [
        KANFormulaRegressor(work=0, attempts=1, networks=networks, seconds=2).fit(FRAME, y).discovery_.network
        for networks in (False, True)
    ]
    assert networks[0] is None
    assert networks[1] is not None


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"work": -1}, TrainingError),
        ({"keep": 2.0}, TrainingError),
        ({"networks": "no"}, TrainingError),
        ({"seconds": -1}, TrainingError),
        ({"n_jobs": 0}, TrainingError),
        ({"library": ["sni"]}, UnknownNameError),
        ({"random_state": "x"}, Kan2Error),
    ],
)
def test_settings_are_refused_when_they_are_used(settings, kind, unchecked):
    regressor = KANFormulaRegressor(**settings)
    with pytest.raises(kind, match=next(iter(settings)) if "library" not in settings else "sin"):
        regressor.fit(FRAME, ENERGY)


def test_unknown_settings_and_several_targets_are_refused():
    with pytest.raises(OptionError, match="seconds"):
        KANFormulaRegressor(secnds=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ShapeError, match="MultiOutputRegressor"):
        KANFormulaRegressor().fit(FRAME, FRAME)
