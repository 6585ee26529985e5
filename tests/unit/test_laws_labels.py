"""Laws of two classes: known logits found again, honest refusals, labels of every kind, probabilities in order."""

import pickle
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import kan2
from kan2.errors import DataError
from kan2.laws.front.polish import Fit, Form
from kan2.laws.labels.law import LabelLaw
from kan2.laws.labels.reading import with_labels
from kan2.laws.labels.samples import LabelSamples, label_samples_of
from kan2.laws.labels.smooth import deviances, response, smooth_logit
from tests.labels import LINEAR, QUICK, columns, drawn, table

A, B, C = sympy.symbols("a b c")


@pytest.fixture(autouse=True)
def no_forests(monkeypatch):
    # Half of the time, and tested with laws of numbers.
    monkeypatch.setattr("kan2.laws.labels.samples.forest_explains", lambda x, left: False)


@pytest.fixture(scope="module")
def law() -> LabelLaw:
    return kan2.discover(LINEAR, target="seen", **QUICK)  # type: ignore[return-value]


LAWS = {
    "linear": (lambda a, b, c: 1.5 * b - 0.8 * c + 0.5, {B, C}),
    "logarithm": (lambda a, b, c: 3 * np.log(a) - 4 + b, {sympy.log(A), B}),
    "product": (lambda a, b, c: 1.7 * b * c - 0.4, {B * C}),
    "circle": (lambda a, b, c: 3 - 2 * (b**2 + c**2), {B**2, C**2}),
    "threshold": (lambda a, b, c: 4 * (a - 5), {A}),
    "wave": (lambda a, b, c: 3 * np.sin(2 * b), None),
}


@pytest.mark.parametrize("name", LAWS)
def test_logits_are_found_again_by_short_formulas(name):
    formula, terms = LAWS[name]
    data, logit = table(formula)
    found = kan2.discover(data, target="seen", **QUICK)
    assert found.found
    assert np.corrcoef(found.logit(data), logit)[0, 1] > 0.99
    if terms is not None:
        parts = sympy.Add.make_args(sympy.expand(found.formula))
        assert {part.as_coeff_Mul()[1] for part in parts if part.free_symbols} == terms


@pytest.mark.slow
def test_a_logit_of_a_ratio_is_found_by_the_search_under_noise():
    rng = np.random.default_rng(0)
    data: dict[str, Any] = {
        "a": rng.uniform(1, 10, 1000),
        "b": rng.uniform(-2, 2, 1000),
        "c": rng.uniform(0.5, 5, 1000),
    }
    data["seen"] = drawn(3 * data["a"] / data["c"] - 8)
    found = kan2.discover(data, target="seen")
    assert found.found
    assert {part.as_coeff_Mul()[1] for part in found.formula.args if part.free_symbols} == {A / C}


def test_numbers_lie_within_their_errors_of_the_true_ones(law):
    wanted = {B: 1.5, C: -0.8, sympy.Integer(1): 0.5}
    found = dict(zip(sorted(wanted.values()), law.uncertainties))
    assert len(law.uncertainties) == 3
    for value, number in found.items():
        assert abs(number.value - value) < 4 * number.error
        assert 0.05 < number.error < 0.3


def test_numbers_and_errors_are_those_of_a_logistic_regression():
    # By Newton's method from scratch.
    data, X = LINEAR, np.stack([LINEAR["b"], LINEAR["c"], np.ones(400)], 1)
    t, beta = data["seen"].astype(float), np.zeros(3)
    for _ in range(30):
        p = expit(X @ beta)
        information = (X.T * (p * (1 - p))) @ X
        beta = beta + np.linalg.solve(information, X.T @ (t - p))
    samples = label_samples_of(X[:, :2], t, (B, C))
    fit = Fit(Form.of(0.1 * B + 0.2 * C + 0.3), samples)
    assert fit.numbers == pytest.approx(beta, rel=0.01)
    assert fit.errors == pytest.approx(np.sqrt(np.diag(np.linalg.inv(information))), rel=0.05)


def test_rows_left_out_are_nearly_what_a_fit_without_them_gives():
    data = columns(60)
    t = drawn(2 * data["b"]).astype(float)
    X = data["b"][:, None]
    fit = Fit(Form.of(0.5 * B + 0.1), label_samples_of(X, t, (B,)))
    for i in (0, 7, 20):
        others = np.arange(60) != i
        again = Fit(fit.form, label_samples_of(X[others], t[others], (B,)), fit.numbers)
        alone = fit.values(again.numbers)[i]
        assert fit.left_out[i] - alone == pytest.approx(0, abs=0.3 * abs(alone - fit.values(fit.numbers)[i]) + 0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(-30, 30))
def test_deviance_residuals_are_the_root_of_the_deviance_with_its_slope(seed, shift):
    rng = np.random.default_rng(seed)
    t = np.r_[0.0, 1.0, rng.integers(0, 2, 10)]
    samples = label_samples_of(rng.random((12, 1)), t, (A,))
    logit = rng.normal(size=12) + shift
    off, step = samples.off(logit), 1e-5
    assert (np.sign(off[np.abs(logit) < 2]) == np.where(t == 1, -1, 1)[np.abs(logit) < 2]).all()
    least = deviances(np.log(samples.shares / (1 - samples.shares)), samples.shares)
    assert off**2 == pytest.approx(deviances(logit, samples.shares) - least, abs=1e-6)
    slopes = (samples.off(logit + step) - samples.off(logit - step)) / (2 * step)
    assert samples.slopes(logit) == pytest.approx(slopes, rel=1e-3, abs=1e-5)


def test_the_working_response_is_a_step_of_newton():
    t, X = LINEAR["seen"].astype(float), np.stack([LINEAR["b"], np.ones(400)], 1)
    logit = X @ [1.0, 0.2]
    p = expit(logit)
    w = p * (1 - p)
    by_squares = np.linalg.lstsq(np.sqrt(w)[:, None] * X, np.sqrt(w) * response(logit, t), rcond=None)[0]
    by_newton = np.array([1.0, 0.2]) + np.linalg.solve((X.T * w) @ X, X.T @ (t - p))
    assert by_squares == pytest.approx(by_newton)


def test_a_smooth_logit_is_near_the_true_one_and_flat_in_noise():
    data, logit = table(lambda a, b, c: 2 - b**2 + c)
    X, ones = np.stack([data["a"], data["b"], data["c"]], 1), np.ones(800)
    found, _ = smooth_logit(X, data["seen"].astype(float), ones)
    assert np.corrcoef(found, logit)[0, 1] > 0.95
    flat, _ = smooth_logit(X, drawn(0 * logit).astype(float), ones)
    assert flat.std() < 0.3


@pytest.mark.parametrize("seed", range(5))
def test_no_law_is_found_in_noise(seed):
    data, _ = table(lambda a, b, c: 0 * a, 500, 10 * seed)
    found = kan2.discover(data, target="seen")
    assert not found.found
    assert found.headline.startswith("no law found; the best approximation is logit P(seen = True) ~ ")
    assert found.row.complexity == 1


def test_too_few_rows_of_a_class_have_no_law():
    data, _ = table(lambda a, b, c: 3 * b, 800)
    rare = np.flatnonzero(data["seen"])[:8]
    rows = np.r_[rare, np.flatnonzero(~data["seen"])]
    found = kan2.discover({name: values[rows] for name, values in data.items()}, target="seen")
    assert not found.found


def test_a_formula_that_lacks_a_term_is_no_law():
    data, _ = table(lambda a, b, c: 3 * b + 3 * np.sin(3 * c), 1000)
    X = np.stack([data["a"], data["b"], data["c"]], 1)
    samples = label_samples_of(X, data["seen"].astype(float), (A, B, C))
    assert not samples.is_law(2 * data["b"], 1)
    assert samples.is_law(3 * data["b"] + 3 * np.sin(3 * data["c"]), 3)


def test_probabilities_are_in_the_order_of_the_classes(law):
    p = law.predict_proba(LINEAR)
    assert p.shape == (400, 2)
    assert p.sum(1) == pytest.approx(np.ones(400))
    assert law.classes.tolist() == [False, True]
    assert p[:, 1] == pytest.approx(expit(law.logit(LINEAR)))
    assert (law.predict(LINEAR) == (p[:, 1] > 0.5)).all()
    # As often as they say.
    assert p[:, 1].mean() == pytest.approx(LINEAR["seen"].mean(), abs=0.01)
    assert (law.predict(LINEAR) == LINEAR["seen"]).mean() > 0.7


def test_what_is_printed_says_of_what_the_formula_is(law):
    assert law.headline.startswith("logit P(seen = True) = ")
    assert repr(law) == str(law)
    assert str(law).startswith(law.headline)
    assert any("labels are the likelier one" in sentence for sentence in law.evidence)
    assert law.pick(0).headline.startswith("no law found")
    assert isinstance(law.pick(0), LabelLaw)
    again = pickle.loads(pickle.dumps(law))
    assert again.formula == law.formula
    assert (again.predict(LINEAR) == law.predict(LINEAR)).all()


def test_the_network_of_a_law_gives_the_logit(law):
    X = torch.tensor(np.stack([LINEAR[name] for name in "abc"], 1))
    assert law(X)[:, 0].detach().numpy() == pytest.approx(law.logit(LINEAR))


def test_classes_that_a_line_separates_have_finite_numbers():
    data, _ = table(lambda a, b, c: 1e3 * (b + c - 0.3), 300)
    found = kan2.discover(data, target="seen", **QUICK)
    assert all(abs(number.value) < 200 for number in found.uncertainties)
    assert (found.predict(data) == data["seen"]).mean() > 0.98
    assert any("separates the classes" in sentence for sentence in found.evidence)
    ratio = found.formula.coeff(B) / found.formula.coeff(C)
    assert float(ratio) == pytest.approx(1, abs=0.1)


def test_guesses_are_fitted_to_the_labels():
    data, logit = table(lambda a, b, c: 6 * a / (2 + a) * np.tanh(b) - 1)
    found = kan2.discover(data, target="seen", guesses="p*a/(q + a)*tanh(b) - r", **QUICK)
    assert any("a guess" in sentence for sentence in found.evidence)
    assert np.corrcoef(found.logit(data), logit)[0, 1] > 0.99


@pytest.mark.slow
def test_the_same_seed_gives_the_same_law(law):
    assert kan2.discover(LINEAR, target="seen", **QUICK).formula == law.formula
    aside = kan2.discover(LINEAR, target="seen", keep=0.2, seed=3, **QUICK)
    assert np.corrcoef(aside.logit(LINEAR), law.logit(LINEAR))[0, 1] > 0.8  # it has fewer rows to go by


def test_weights_are_repetitions():
    data, _ = table(lambda a, b, c: 2 * b - 0.5, 300)
    weight, t = np.where(np.arange(300) % 2, 2.0, 1.0), data["seen"].astype(float)
    rows = np.repeat(np.arange(300), weight.astype(int))
    weighted = Fit(Form.of(0.5 * B + 0.1), label_samples_of(data["b"][:, None], t, (B,), weight=weight))
    repeated = Fit(Form.of(0.5 * B + 0.1), label_samples_of(data["b"][rows, None], t[rows], (B,)))
    assert weighted.numbers == pytest.approx(repeated.numbers, rel=5e-3)


def test_a_formula_without_a_value_tells_no_label():
    data, _ = table(lambda a, b, c: 3 * np.log(a) - 4)
    found = kan2.discover(data, target="seen", guesses="p*log(a) - q", **QUICK)
    found = next(one for one in map(found.pick, range(len(found.front))) if one.formula.has(sympy.log))
    new = {"a": [-1.0, 2.0], "b": [0.0, 0.0], "c": [0.0, 0.0]}
    assert np.isnan(found.predict_proba(new)[0]).all()
    with pytest.raises(DataError, match="got row 0 without one"):
        found.predict(new)


def test_numbers_that_are_no_labels_are_left_alone():
    assert with_labels({"x": [1.0, 2.0], "y": [0.0, 1.0]}, None, "y", False) is None
    assert with_labels(([[1.0], [2.0]], [0, 1]), None, None, False) is None


def test_parts_of_samples_keep_labels():
    samples = label_samples_of(np.arange(40.0)[:, None], np.arange(40.0) % 2, (A,), keep=10)
    rest, aside = samples.rest, samples.aside
    assert isinstance(rest, LabelSamples)
    assert isinstance(aside, LabelSamples)
    assert len(rest.labels) == 30
    assert len(aside.shares) == 10
    assert samples.constant == pytest.approx(0, abs=1e-12)
    assert samples.error(np.zeros(40)) == pytest.approx(1)
