"""Several targets, each searched by itself; guesses that lack something; rows in the order of time; bad input."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import sympy

import kan2
from kan2.errors import Kan2Error, TrainingError
from kan2.estimators import KANFormulaRegressor
from kan2.expressions.parse import parse_expression
from kan2.laws.corrections import exact_corrections, short_corrections
from kan2.laws.discovery import Discovery
from kan2.laws.front.front import row_of
from kan2.laws.samples import samples_of
from kan2.laws.search import same_random_state

rng = np.random.default_rng(0)
A, B = rng.uniform(1, 2, (2, 60))
TABLE = {"a": A, "b": B, "u": 2 * A * B, "v": A + B}
QUICK = {"networks": False, "work": 1.0}


@pytest.fixture(scope="module")
def law() -> Discovery:
    return kan2.discover(TABLE, target=["u", "v"], **QUICK)


def test_each_target_has_a_law(law):
    assert law.formula[0] == parse_expression("2*a*b")
    assert [one.outputs for one in law.laws] == [("u",), ("v",)]
    assert [one.found for one in law.laws] == [True, law.laws[1].found]
    assert law.found is all(one.found for one in law.laws)
    assert law.formula == [one.formula for one in law.laws]
    assert law.predict(TABLE).shape == (60, 2)
    assert law.predict(TABLE)[:, 0] == pytest.approx(TABLE["u"])
    assert any(sentence.startswith("u: ") for sentence in law.evidence)
    assert any(sentence.startswith("v: ") for sentence in law.evidence)


def test_the_joint_front_has_a_formula_for_each(law):
    for row, better in pairwise(law.front):
        assert len(row.formulas) == 2
        assert row.complexity < better.complexity
    assert law.front.pick.formulas == tuple(one.formula for one in law.laws)
    assert law.front[0].formulas == tuple(one.front[0].formula for one in law.laws)
    assert law.front[-1].formulas == tuple(one.front[-1].formula for one in law.laws)


def test_laws_of_several_targets_are_pickled(law):
    again = pickle.loads(pickle.dumps(law))
    assert again.formula == law.formula
    assert [one.formula for one in again.laws] == law.formula


def test_the_only_law_is_a_law_of_each(law):
    one = law.laws[0]
    assert one.laws == (one,)


@pytest.mark.slow
def test_processes_change_nothing(law):
    assert str(kan2.discover(TABLE, target=["u", "v"], n_jobs=2, **QUICK)) == str(law)


def test_progress_says_which_target():
    records = []
    kan2.discover({"a": A, "u": 2 * A, "v": A**2}, target=["u", "v"], progress=records.append, n_jobs=2, **QUICK)
    assert [name for name, after in pairwise(record.target for record in records) if name != after] == ["u"]


def test_an_interrupted_search_has_all_targets():
    found = kan2.discover(
        {"a": A, "b": B, "u": np.sin(9 * A * B) * A, "v": A},
        target=["u", "v"],
        callbacks=lambda record: record.message == "looking for an exact law",
    )
    assert found.report.interrupted
    assert len(found.formula) == 2


def test_no_time_is_enough_for_all_targets():
    found = kan2.discover({"a": A, "u": np.sin(9 * A), "v": A**2}, target=["u", "v"], seconds=0)
    assert found.report.out_of_time
    assert np.isfinite(found.predict({"a": A})).all()


# -- guesses ---------------------------------------------------------------------------------------------------------

L, THETA = rng.uniform(0.1, 2, (2, 300))
X = sympy.symbols("l theta")


def corrected(guess: str, y: np.ndarray):
    samples = samples_of(np.c_[L, THETA], y, X)
    return samples, list(short_corrections(parse_expression(guess), samples.rest))


def test_a_factor_is_found():
    y = 2 * np.pi * np.sqrt(L / 9.81) * (1 + THETA**2 / 16)
    samples, found = corrected("2*pi*sqrt(l/9.81)", y)
    found = [one for one in found if one.evidence[0].startswith("corrected by a factor: ")]
    rows = [row_of(one.expression, one.evidence, samples) for one in found]
    assert min(row.error for row in rows if row is not None) < 1e-9


def test_a_term_is_found():
    _, found = corrected("2*l", 2 * L + 3 * np.exp(-THETA))
    assert any(one.evidence[0].startswith("corrected by a term: an exponential") for one in found)


def test_an_exact_correction_is_found():
    y = L * 9 * (1 / np.sqrt(1 - THETA**2 / 9) - 1)
    samples = samples_of(np.c_[L, THETA], y, X)
    with same_random_state():
        found = next(exact_corrections(2.5 * X[0], samples.rest, seed=0, work=2.0))
    assert np.allclose(sympy.lambdify(X, found.expression)(L, THETA), y, rtol=1e-9)
    assert found.evidence[0] == "corrected by a factor, guess = l"


def test_a_guess_that_is_right_is_not_corrected():
    _, found = corrected("2*l", 2 * L)
    assert found == []


@pytest.mark.slow
def test_a_corrected_guess_is_the_law():
    y = 2 * np.pi * np.sqrt(L / 9.81) * (1 + THETA**2 / 16)
    y *= 1 + 1e-3 * np.random.default_rng(1).standard_normal(300)
    found = kan2.discover({"l": L, "theta": THETA, "T": y}, target="T", guesses=["2*pi*sqrt(l/g)"], **QUICK)
    # The search under noise may find it too, and write it shorter: sqrt(l)*(theta**2/8 + 2.006).
    assert found.found
    assert found.formula.subs({X[0]: 1, X[1]: 1}).evalf() == pytest.approx(2 * np.pi / 9.81**0.5 * (17 / 16), rel=1e-2)


# -- rows and bad input ----------------------------------------------------------------------------------------------


def test_the_last_rows_are_kept_aside():
    assert np.flatnonzero(samples_of(A[:, None], B, X[:1], keep="end").kept).tolist() == list(range(48, 60))
    drifting = np.where(np.arange(60) < 48, A, 3 * A)
    assert not kan2.discover((A[:, None], drifting), keep="end", **QUICK).found


@pytest.mark.parametrize("options", [{"keep": 60}, {"keep": "start"}, {"keep": 46}])
def test_so_many_rows_cannot_be_kept_aside(options):
    with pytest.raises(TrainingError, match="keep"):
        kan2.discover((A[:, None], B), **options)
    with pytest.raises(TrainingError, match="keep"):
        KANFormulaRegressor(**options).fit(A[:, None], B)


@pytest.mark.parametrize(
    ("X", "y", "part"),
    [
        (np.zeros((0, 2)), np.zeros(0), "at least one sample"),
        (np.zeros((60, 0)), A, "one column"),
        (np.r_[np.inf, A[1:]][:, None], B, "finite numbers, got inf"),
        (A[:, None], np.r_[np.nan, B[1:]], "finite numbers, got nan"),
    ],
)
def test_bad_tables_are_refused(X, y, part, unchecked):
    with pytest.raises(Kan2Error, match=part):
        kan2.discover((X, y))
    with pytest.raises(ValueError, match=r"sample|feature|NaN|infinity"):
        KANFormulaRegressor().fit(X, y)


def test_repeated_columns_are_one():
    found = kan2.discover((np.c_[A, A], A**2 + 2 * A), **QUICK)
    assert found.formula == parse_expression("x1**2 + 2*x1")


def test_the_regressor_takes_templates_and_constants():
    regressor = KANFormulaRegressor(templates="x1*f(x2)", constants={"g": 9.81}, work=1).fit(np.c_[A, B], 9.81 * A * B)
    assert str(regressor.formula_) == "g*x1*x2"
    assert regressor.predict([[1.0, 2.0]])[0] == pytest.approx(19.62)
