"""Fits of theories beside SciPy: values, standard errors, profiles, units, bounds, priors, data sets."""

import math

import numpy as np
import pandas as pd
import pytest
import sympy
from scipy.optimize import brentq, curve_fit, least_squares
from scipy.stats import chi2, f

import kanpiler
from kan2 import datasets
from kan2.errors import UnknownNameError as NameRefused
from kanpiler import Parameter
from tests.theories import (
    DECAY,
    EXACT,
    LABEL,
    NOISE,
    PER,
    SPREAD,
    TABLE,
    TWO,
    T,
    Y,
    check_scipy,
    decay,
    errors_of,
    fitted,
    notes_of,
    values_of,
)

# -- values and standard errors ----------------------------------------------------------------------------------------


def test_values_errors_and_correlations_are_those_of_curve_fit():
    check_scipy(fitted(), *curve_fit(decay, T, Y, [1, 1], **EXACT))


def test_the_report_counts_rows_and_numbers():
    net = fitted()
    rest = net(TABLE).detach().numpy()[:, 0] - Y
    assert net.report.rmse == pytest.approx(np.sqrt(np.mean(rest**2)), rel=1e-9)
    assert net.report.sum_of_squares == pytest.approx(rest @ rest, rel=1e-9)
    assert net.report.degrees_of_freedom == 58
    assert net.report.noise == {"": pytest.approx(np.sqrt(rest @ rest / 58), rel=1e-9)}
    assert net.report.message == "converged"
    assert net.report.rows == 60
    assert net.report.r2 == pytest.approx(1 - rest @ rest / (60 * np.var(Y)), rel=1e-9)


@pytest.mark.parametrize("errors", ["s", SPREAD, SPREAD[:, None], 0.03])
def test_errors_of_the_data_are_taken_as_they_are(errors):
    net = fitted(errors=errors)
    sigma = SPREAD if not isinstance(errors, float) else np.full(60, errors)
    found, covariance = curve_fit(decay, T, Y, [1, 1], sigma=sigma, absolute_sigma=True, **EXACT)
    check_scipy(net, found, covariance)
    rest = (decay(T, *found) - Y) / sigma
    assert net.report.sum_of_squares == pytest.approx(rest @ rest, rel=1e-6)


def test_a_letter_is_one_number_wherever_it_stands():
    text = "A*exp(-k*t)*cos(sqrt(w^2 - k^2)*t) + k*A"

    def model(t, A, k, w):
        return A * np.exp(-k * t) * np.cos(np.sqrt(w**2 - k**2) * t) + k * A

    start = {"A": 1.5, "k": 0.4, "w": 2.5}
    y = model(T, 2, 0.3, 3) + NOISE
    found, covariance = curve_fit(model, T, y, list(start.values()), **EXACT)
    assert found == pytest.approx([2, 0.3, 3], rel=0.05)
    check_scipy(fitted(text, start, {"t": T, "y": y}), found, covariance)


def test_several_outputs_share_parameters():
    grown = 2.5 * (1 - np.exp(-0.7 * T)) + NOISE[::-1]
    table = {"t": T, "u": Y, "v": grown, "s": SPREAD}
    net = kanpiler.compile({"u": DECAY, "v": "A*(1 - exp(-k*t))"}, parameters=["A", "k"])

    def model(t, A, k):
        return np.r_[decay(T, A, k), A * (1 - np.exp(-k * T))]

    both = np.r_[T, T]
    net.fit(table)
    check_scipy(net, *curve_fit(model, both, np.r_[Y, grown], [1, 1], **EXACT))
    assert net.report.degrees_of_freedom == 118
    sigma = np.r_[SPREAD, np.full(60, 0.1)]
    net.fit(table, errors=np.c_[SPREAD, np.full(60, 0.1)])
    check_scipy(net, *curve_fit(model, both, np.r_[Y, grown], [1, 1], sigma=sigma, absolute_sigma=True, **EXACT))
    net.fit({"t": T, "p": grown, "q": Y, "s": SPREAD}, target=["q", "p"], errors=["s", "s"])
    sigma = np.r_[SPREAD, SPREAD]
    check_scipy(net, *curve_fit(model, both, np.r_[Y, grown], [1, 1], sigma=sigma, absolute_sigma=True, **EXACT))


@pytest.mark.parametrize("expression", ["log(2)/k", sympy.log(2) / sympy.Symbol("k")])
def test_derived_numbers_have_errors_of_the_delta_method(expression):
    net = fitted()
    found, covariance = curve_fit(decay, T, Y, [1, 1], **EXACT)
    value, error = net.derived(expression)
    assert value == pytest.approx(np.log(2) / found[1], rel=1e-7)
    assert error == pytest.approx(np.log(2) / found[1] ** 2 * np.sqrt(covariance[1, 1]), rel=1e-4)


def test_derived_numbers_know_of_correlations_and_of_fixed_parameters():
    net = fitted()
    found, covariance = curve_fit(decay, T, Y, [1, 1], **EXACT)
    slope = np.array([1 / found[1], -found[0] / found[1] ** 2])
    assert net.derived("A/k") == pytest.approx((found[0] / found[1], np.sqrt(slope @ covariance @ slope)), rel=1e-4)
    assert net.derived("3") == (3, 0)
    net = fitted(parameters={"A": Parameter(2.5, fixed=True), "k": 1})
    assert net.derived("2*A") == (5, 0)
    assert net.derived("A*k")[1] == pytest.approx(2.5 * net.estimates()[1].error, rel=1e-9)


@pytest.mark.parametrize(("errors", "level"), [(None, 0.95), (0.05, 0.95), (None, 0.5)])
def test_a_profile_holds_one_number_and_fits_the_others(errors, level):
    t, y = np.array([0.0, 1, 2, 3, 4]), np.array([2.1, 0.9, 0.51, 0.14, 0.2])
    net = fitted(table={"t": t, "y": y}, errors=errors)
    found = net.profile("k", level=level)

    def least(k):
        e = np.exp(-k * t)
        rest = y - (y @ e) / (e @ e) * e
        return rest @ rest

    best = net.values["k"]
    variance = 0.05**2 if errors else least(best) / 3
    limit = chi2.ppf(level, 1) if errors else f.ppf(level, 1, 3)

    def rise(k):
        return (least(k) - least(best)) / variance

    assert found.sums == pytest.approx([rise(k) for k in found.values], rel=1e-6, abs=1e-9)
    (error,) = (one.error for one in net.estimates() if one.name == "k")
    low = brentq(lambda k: rise(k) - limit, best - 10 * error, best) if rise(0.01) > limit else -math.inf
    high = brentq(lambda k: rise(k) - limit, best, best + 40 * error)
    assert found.high == pytest.approx(high, abs=0.02 * error)
    assert found.low == pytest.approx(low, abs=0.02 * error)
    assert found.high - best != pytest.approx(best - found.low, rel=0.01)


def test_a_profile_may_never_rise():
    t, y = np.array([0.0, 1, 2, 3]), np.array([1.0, 0.03, -0.02, 0.02])
    # Any large k fits a decay that is over at the second row.
    assert fitted(table={"t": t, "y": y}, parameters={"A": 1, "k": 3}).profile("k", level=0.99).high == math.inf


# -- units -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e9, 1e-12, 1e30, 1e-30])
@pytest.mark.parametrize("errors", [None, "s"])
def test_the_answer_does_not_depend_on_units(size, errors):
    table = {"t": T * size, "y": Y * size, "s": SPREAD * size}
    one, other = fitted(errors=errors), fitted(parameters={"A": size, "k": 1 / size}, table=table, errors=errors)
    scale = np.array([size, 1 / size])
    assert values_of(other) / scale == pytest.approx(values_of(one), rel=1e-12)
    assert errors_of(other) / scale == pytest.approx(errors_of(one), rel=1e-9)
    assert other.correlations() == pytest.approx(one.correlations(), abs=1e-9)
    assert other.report.degrees_of_freedom == 58
    profiles = other.profile("k"), one.profile("k")
    assert profiles[0].high * size == pytest.approx(profiles[1].high, rel=1e-9)


@pytest.mark.parametrize("size", [1e15, 1e-15, 1e30, 1e-30])
@pytest.mark.parametrize("shift", [0.0, -1.0])
def test_bounds_do_not_depend_on_units(size, shift):
    # A shift of -1 has the least sum of squares at A = B = 0 with both bounds active.
    text, scale = "A*t + B*t^2", np.array([1, 1 / size])
    bounded = {"A": (1, 0, None), "B": (1, 0, None)}
    one = fitted(text, bounded, {"t": T, "y": Y + shift})
    bounded = {"A": (1, 0, None), "B": (1 / size, 0, None)}
    other = fitted(text, bounded, {"t": T * size, "y": (Y + shift) * size})
    assert values_of(other) / scale == pytest.approx(values_of(one), rel=1e-9, abs=1e-12)
    assert (values_of(other) >= 0).all()
    assert errors_of(other) / scale == pytest.approx(errors_of(one), rel=1e-9, nan_ok=True)
    assert notes_of(other) == notes_of(one)
    assert other.report.degrees_of_freedom == one.report.degrees_of_freedom


# -- bounds, fixed parameters, priors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("bounds", "held", "note"), [((1, 0, 2), 2, "upper"), ((4, 3, None), 3, "lower")])
def test_an_active_bound_is_like_a_fixed_parameter(bounds, held, note):
    bounded = fitted(parameters={"A": bounds, "k": 1})
    fixed = fitted(parameters={"A": Parameter(held, fixed=True), "k": 1})
    assert notes_of(bounded) == [f"at its {note} bound", ""]
    assert notes_of(fixed) == ["fixed", ""]
    assert values_of(bounded) == pytest.approx(values_of(fixed), rel=1e-9)
    assert errors_of(bounded) == pytest.approx(errors_of(fixed), rel=1e-9, nan_ok=True)
    assert math.isnan(errors_of(bounded)[0])
    assert bounded.report.degrees_of_freedom == fixed.report.degrees_of_freedom == 59
    found, covariance = curve_fit(lambda t, k: decay(t, held, k), T, Y, [1], **EXACT)
    assert fixed.values["k"] == pytest.approx(found[0], rel=1e-7)
    assert errors_of(fixed)[1] == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-4)


def test_a_bound_at_zero_is_noted():
    net = fitted("A*t + B*t^2", {"A": (1, 0, None), "B": (1, 0, None)}, {"t": T, "y": -1 - T})
    assert notes_of(net) == ["at its lower bound", "at its lower bound"]
    assert (values_of(net) >= 0).all()
    assert values_of(net) == pytest.approx([0, 0], abs=1e-9)


def test_bounds_that_do_not_matter_change_nothing():
    assert values_of(fitted(parameters={"A": (1, 0, 9), "k": (1, 0, None)})) == pytest.approx(values_of(fitted()))


def test_priors_weigh_as_further_measurements():
    given = {"A": Parameter(1, prior=(2.4, 0.01)), "k": 1}

    def is_posterior(net, sigma):
        def rest(p):
            return np.r_[(decay(T, *p) - Y) / sigma, (p[0] - 2.4) / 0.01]

        found = least_squares(rest, [1, 1], **EXACT)
        check_scipy(net, found.x, np.linalg.inv(found.jac.T @ found.jac))

    net = fitted(parameters=given, errors="s")
    is_posterior(net, SPREAD)
    assert net.report.degrees_of_freedom == 59
    # Without errors the noise is what the residuals show at the answer.
    net = fitted(parameters=given)
    is_posterior(net, net.report.noise[""])


# -- data sets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "a", "b"),
    [
        (LABEL, "a", "b"),
        (LABEL.astype(object), "a", "b"),
        (LABEL.tolist(), "a", "b"),
        (pd.Categorical(LABEL), "a", "b"),
        (np.where(LABEL == "a", 3.0, 10.0), "3", "10"),
        (np.where(LABEL == "a", 3, 10), "3", "10"),
        (np.where(LABEL == "a", 0.5, 10), "0.5", "10"),
        (LABEL == "a", "True", "False"),
    ],
)
def test_a_parameter_has_a_value_for_each_label(labels, a, b):
    net = fitted(parameters=PER, table={"t": T, "lab": labels, "y": TWO})
    is_a = LABEL == "a"
    found, covariance = curve_fit(lambda t, p, q, k: decay(t, np.where(is_a, p, q), k), T, TWO, [1, 1, 1], **EXACT)
    estimates = {one.label: one for one in net.estimates()}
    for name, value, variance in zip((f"A[{a}]", f"A[{b}]", "k"), found, np.diag(covariance)):
        assert estimates[name].value == pytest.approx(value, rel=1e-6)
        assert estimates[name].error == pytest.approx(np.sqrt(variance), rel=1e-4)
    rows = net({"t": T[:2], "lab": list(labels[:2])}).detach().numpy()[:, 0]
    assert rows == pytest.approx(decay(T[:2], found[[1, 0]], found[2]), rel=1e-6)


def test_data_sets_that_share_nothing_are_fitted_alone():
    both = {name: Parameter(1, per="lab") for name in "Ak"}
    net = fitted(parameters=both, table={"t": T, "lab": LABEL, "y": TWO}, noise="per set")
    estimates = {one.label: one for one in net.estimates()}
    for label in "ab":
        rows = label == LABEL
        alone = fitted(table={"t": T[rows], "y": TWO[rows]})
        for one in alone.estimates():
            assert estimates[f"{one.name}[{label}]"].value == pytest.approx(one.value, rel=1e-7)
            assert estimates[f"{one.name}[{label}]"].error == pytest.approx(one.error, rel=1e-5)
        assert net.report.noise[label] == pytest.approx(alone.report.noise[""], rel=1e-6)


def tables():
    halves = [{"t": T[label == LABEL], "y": TWO[label == LABEL]} for label in "ab"]
    pairs = [(half["t"], half["y"]) for half in halves]
    return [(halves, "12"), (dict(zip("ab", halves)), "ab"), ([pd.DataFrame(half) for half in halves], "12"),
            ({"a": pairs[0], "b": halves[1]}, "ab"), (pairs, "12")]  # fmt: skip


@pytest.mark.parametrize(("several", "labels"), tables())
def test_several_tables_are_data_sets(several, labels):
    net = fitted(parameters={"A": Parameter(1, per="set"), "k": 1}, table=several)
    one = fitted(parameters=PER, table={"t": T, "lab": LABEL, "y": TWO})
    assert [e.level for e in net.estimates()] == [*labels, ""]
    assert values_of(net) == pytest.approx(values_of(one), rel=1e-9)


def test_several_tables_may_be_one_data_set():
    halves = [{"t": T[:20], "y": Y[:20]}, {"t": T[20:], "y": Y[20:]}]
    assert values_of(fitted(table=halves)) == pytest.approx(values_of(fitted()), rel=1e-9)


def test_each_data_set_may_have_its_noise():
    # Bates and Watts, table 2.3: 212.7 (6.9) and 0.0641 (0.0083) for the treated cells, fitted alone.
    per = {"V": Parameter(200, per="treated"), "K": Parameter(0.05, per="treated")}
    net = fitted("V*concentration/(K + concentration)", per, datasets.table("puromycin"), "rate", noise="per set")
    estimates = {one.label: one for one in net.estimates()}
    assert (estimates["V[1]"].value, estimates["V[1]"].error) == pytest.approx((212.7, 6.9), abs=0.06)
    assert estimates["K[1]"].value == pytest.approx(0.0641, abs=6e-5)
    assert estimates["K[1]"].error == pytest.approx(0.0083, abs=6e-5)
    assert net.report.noise == {"0": pytest.approx(9.773, abs=1e-3), "1": pytest.approx(10.934, abs=1e-3)}


def test_a_later_table_may_have_other_labels():
    net = fitted(parameters=PER, table={"t": T, "lab": LABEL, "y": TWO})
    net.fit({"t": T, "lab": np.array(list("pqr"))[np.arange(60) % 3], "y": Y})
    assert [one.level for one in net.estimates()] == ["p", "q", "r", ""]
    net.fit({"t": T, "lab": ["only"] * 60, "y": Y})
    assert net.values["A"] == pytest.approx(fitted().values["A"], rel=1e-7)
    with pytest.raises(NameRefused, match=r"label of lab 'p'\. Known: only"):
        net({"t": [1.0], "lab": ["p"]})
