"""Rows that theories are fitted to: what they determine, kinds of tables, problems of NIST, equations, refusals."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
import sympy
import torch
from scipy.optimize import curve_fit

import kanpiler
from kan2 import datasets
from kan2.core.data import Dataset
from kan2.errors import (
    DataError,
    DataWarning,
    Kan2Error,
    NumberError,
    OptionError,
    ShapeError,
    TrainingError,
    TrainingWarning,
)
from kan2.errors import UnknownNameError as NameRefused
from kanpiler import Parameter
from tests.theories import (
    DECAY,
    EXACT,
    LABEL,
    NOISE,
    PER,
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

# -- what data determine -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A*B*t", "A and B: only A*B is determined"),
        ("A*t/B", "A and B: only A/B is determined"),
        ("(A + B)*t", "A and B: only A + B is determined"),
        ("(A - B)*t", "A and B: only A - B is determined"),
        ("A*B^2*t", "A and B: only A*B**2 is determined"),
        ("exp(-A)*B*t", "A and B: only combinations of them are determined"),
    ],
)
def test_what_is_not_determined_is_told(text, told):
    net = fitted(f"{text} + c", {"A": 1, "B": 1.5, "c": 0}, {"t": T, "y": 3 * T + NOISE})
    assert net.parameters_table().splitlines()[4:] == [f"- {told}"]
    assert notes_of(net) == ["not determined", "not determined", ""]
    assert np.isnan(errors_of(net)[:2]).all()
    assert net.report.degrees_of_freedom == 58
    line = np.polyfit(T, 3 * T + NOISE, 1, cov=True)
    assert net.estimates()[2].value == pytest.approx(line[0][1], rel=1e-6)
    assert net.estimates()[2].error == pytest.approx(np.sqrt(line[1][1, 1]), rel=1e-5)


def test_no_more_is_told_than_is_so():
    # A*B alone is not determined either.
    net = fitted("A*B*C*t", {"A": 1, "B": 1.5, "C": 2}, {"t": T, "y": 3 * T + NOISE})
    assert notes_of(net) == ["not determined"] * 3
    (told,) = net.parameters_table().splitlines()[4:]
    assert told.startswith("- A, B and C: ")
    value, error = net.derived("A*B*C")
    assert value == pytest.approx((T @ (3 * T + NOISE)) / (T @ T), rel=1e-9)
    assert error == pytest.approx(net.report.noise[""] / np.sqrt(T @ T), rel=1e-6)


def test_a_parameter_of_no_influence_is_told():
    net = fitted("A*t + B*max(t - 5, 0)", ["A", "B"], {"t": T, "y": 3 * T + NOISE})
    assert notes_of(net) == ["", "not determined"]
    assert "B: no row depends on it" in net.parameters_table()


def test_what_is_not_determined_has_no_error_and_no_profile():
    net = fitted("A*t/B", {"A": 1, "B": 1.5}, {"t": T, "y": 3 * T + NOISE})
    value, error = net.derived("A/B")
    assert (value, error) == pytest.approx((T @ (3 * T + NOISE) / (T @ T), net.report.noise[""] / np.sqrt(T @ T)))
    assert math.isnan(net.derived("A")[1])
    assert math.isnan(net.derived("A*B")[1])
    with pytest.raises(OptionError, match="profile: expected a parameter that the data determine, got A"):
        net.profile("A")


# -- tables ------------------------------------------------------------------------------------------------------------


def test_tables_of_all_kinds_give_one_answer(tmp_path):
    path = tmp_path / "decay.csv"
    pd.DataFrame(TABLE).to_csv(path, index=False)
    X, y = torch.from_numpy(T)[:, None], torch.from_numpy(Y)[:, None]
    expected = values_of(fitted())
    for table in (pd.DataFrame(TABLE), path, str(path), (T, Y), (X, y), ({"t": T}, Y), Dataset(X, y, ("t",), ("y",))):
        assert values_of(fitted(table=table)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["t", "y", "s"])
def test_rows_in_which_a_number_is_missing_are_left_out(name):
    table = {key: np.r_[column[:5], np.nan if key == name else 1.0, column[5:]] for key, column in TABLE.items()}
    with pytest.warns(DataWarning, match="left out 1 of 61 rows"):
        net = fitted(table=table, errors="s")
    assert values_of(net) == pytest.approx(values_of(fitted(errors="s")), rel=1e-9)
    assert net.report.degrees_of_freedom == 58


@pytest.mark.parametrize("missing", [None, np.nan])
def test_rows_in_which_the_label_is_missing_are_left_out(missing):
    labels = np.r_[LABEL.astype(object), np.array([missing], dtype=object)]
    with pytest.warns(DataWarning, match="left out 1 of 61 rows"):
        net = fitted(parameters=PER, table={"t": np.r_[T, 1], "lab": labels, "y": np.r_[TWO, 9]})
    assert [one.level for one in net.estimates()] == ["a", "b", ""]


def test_few_rows():
    net = fitted(table={"t": T[::29][:3], "y": Y[::29][:3]})
    assert net.report.degrees_of_freedom == 1
    check_scipy(net, *curve_fit(decay, T[::29][:3], Y[::29][:3], [1, 1], **EXACT))
    # Two rows have two numbers and no noise.
    net = fitted(table={"t": T[:2], "y": Y[:2]})
    assert net(T[:2, None]).detach().numpy()[:, 0] == pytest.approx(Y[:2], rel=1e-9)
    assert net.report.degrees_of_freedom == 0
    assert np.isnan(errors_of(net)).all()
    assert len(net.parameters_table().splitlines()) == 3


@pytest.mark.parametrize(("text", "start"), [(DECAY, 300), ("A*exp(k*t)", 220)])
def test_an_answer_is_found_from_far_away(text, start):
    # Without a warning, too: exp(220 t) squared is more than a float holds.
    found = values_of(fitted(text, {"A": 1e-3, "k": start}))
    assert found * [1, 1 if text == DECAY else -1] == pytest.approx(values_of(fitted()), rel=1e-7)


def test_fits_that_do_not_converge_are_told():
    with pytest.warns(TrainingWarning, match="reached the number of steps"):
        assert fitted(steps=1).report.message == "reached the number of steps"
    with pytest.warns(TrainingWarning, match=r"explains .* of the variance.* frequency"):
        fitted("A*sin(w*t)", {"A": 1, "w": 200}, {"t": T, "y": np.sin(20 * T)})
    assert fitted(seconds=0.0).report.message == "out of time"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        *product(("Misra1a", "Hahn1", "Bennett5", "BoxBOD", "Nelson"), (0, 1)),
        pytest.param("MGH10", 0, marks=pytest.mark.slow),
    ],
)
def test_problems_of_nist(name, start):
    problem = datasets.nist(name)
    net = kanpiler.compile(problem.formula, problem.inputs, parameters=dict(problem.starts[start]))
    net.fit((problem.data.X, problem.data.y), target=problem.target)
    for one in net.estimates():
        assert one.value == pytest.approx(problem.certified[one.name], rel=1e-8)
        assert one.error == pytest.approx(problem.standard_errors[one.name], rel=1e-5)
    assert net.report.sum_of_squares == pytest.approx(problem.residual_sum_of_squares, rel=1e-8)
    assert net.report.noise[""] == pytest.approx(problem.residual_standard_deviation, rel=1e-8)


# -- equations ---------------------------------------------------------------------------------------------------------


def cubic(x, k):
    # The real root of y + k y^3 = x.
    x = np.asarray(x)
    return 2 / np.sqrt(3 * k) * np.sinh(np.arcsinh(x * 1.5 * np.sqrt(3 * k)) / 3)


def test_equations_are_solved_for_what_was_measured():
    x = np.linspace(-2, 2, 60)
    y = cubic(x, 0.5) + NOISE
    net = kanpiler.compile("y + k*y^3 = x", parameters=["k"])
    net.fit({"x": x, "y": y}, target="y")
    check_scipy(net, *curve_fit(cubic, x, y, [1], **EXACT))
    rest = cubic(x, net.values["k"]) - y
    new = np.array([-3.0, -0.1, 0.0, 1.7])
    assert net.solve({"x": new}) == pytest.approx(cubic(new, net.values["k"]), rel=1e-9, abs=1e-12)
    assert net.report.rmse == pytest.approx(np.sqrt(np.mean(rest**2)), rel=1e-8)
    net.fit({"x": x + NOISE, "y": cubic(x, 0.5)}, target="x")
    y = cubic(x, 0.5)
    new = np.array([-3.0, -0.1, 0.0, 1.7])
    assert net.solve({"y": new}) == pytest.approx(new + net.values["k"] * new**3, rel=1e-9)
    assert net.values["k"] == pytest.approx((y**3 @ (x + NOISE - y)) / (y**3 @ y**3), rel=1e-8)


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        (None, {}, DataError, "a table to fit the theory to, got none. Pass data"),
        ({"t": T}, {}, NameRefused, "unknown column 'y'. Known: t"),
        ({"time": T, "y": Y}, {}, NameRefused, "unknown column 't'. .*Known: time, y"),
        (TABLE, {"target": "z"}, NameRefused, "unknown column 'z'"),
        (TABLE, {"target": ["y", "s"]}, ShapeError, r"expected 1 targets \(y\), got y, s"),
        ({**TABLE, "A": T}, {}, DataError, "no columns, got A, which the table has too. Rename"),
        ({"t": T[:1], "y": Y[:1]}, {}, DataError, "as many measured numbers as free parameters, got 1 for 2. Fix some"),
        ({"t": T * np.nan, "y": Y}, {}, DataError, "rows of finite numbers, got none among 60"),
        ({"t": ["a"] * 60, "y": Y}, {}, NumberError, "expected numbers, got text in column 't'"),
        ({"t": T, "y": Y[:5]}, {}, (DataError, ShapeError), "y"),
        (np.c_[T, Y], {}, ShapeError, r"expected 1 columns \(t\), got shape \(60, 2\)"),
        ((T, np.c_[Y, Y]), {}, ShapeError, r"y with 1 columns \(y\), got \(60, 2\)"),
        (TABLE, {"errors": "q"}, NameRefused, "unknown column of errors 'q'"),
        (TABLE, {"errors": [0.1, 0.2]}, ShapeError, r"errors of shape \(60, 1\), got \(2,\)"),
        (TABLE, {"errors": -0.1}, DataError, "errors > 0, standard deviations, got -0.1"),
        (TABLE, {"noise": "both"}, OptionError, "noise='shared' or 'per set', got 'both'"),
        (TABLE, {"noise": "per set"}, OptionError, "data sets beside noise='per set', got none. Give a parameter per="),
        (TABLE, {"step": 3}, OptionError, "unknown option 'step'. Did you mean 'steps'"),
        (TABLE, {"steps": -1}, Kan2Error, "steps"),
        (TABLE, {"steps": "many"}, Kan2Error, "steps"),
        (TABLE, {"seconds": -1.0}, Kan2Error, "seconds"),
        ([{"t": T, "y": Y, "set": Y}] * 2, {}, DataError, "tables without a column 'set'"),
        ([{"t": T}, {"y": Y}], {}, DataError, "tables with columns in common, got none"),
    ],
)  # fmt: skip
def test_refusals(table, options, error, message, unchecked):
    net = kanpiler.compile(DECAY, parameters=["A", "k"])
    with pytest.raises(error, match=message) as refusal:
        net.fit(table, **options)
    assert isinstance(refusal.value, Kan2Error)
    assert net.values == {"A": 1, "k": 1}


def test_a_theory_that_is_not_finite_is_refused_and_left_alone():
    net = kanpiler.compile("A*log(k*t)", parameters=["A", "k"])
    net.fit({"t": T, "y": np.log(2 * T)})
    before, report = net.values, net.report
    with pytest.raises(TrainingError, match=r"finite on all rows at the start.* Move the starts of parameters"):
        net.fit({"t": -T, "y": Y})
    assert net.values == before
    assert net.report == report
    assert net.derived("k")[0] == pytest.approx(2)


@pytest.mark.parametrize("target", [None, "z", ["y"]])
def test_equations_are_solved_for_a_column(target):
    net = kanpiler.compile("y + k*y^3 = x", parameters=["k"])
    with pytest.raises(OptionError, match="target= as the column that the equation is solved for, one of x, y, got"):
        net.fit({"x": T, "y": Y}, target)


def test_a_column_of_labels_must_be_there():
    net = kanpiler.compile(DECAY, parameters=PER)
    with pytest.raises(NameRefused, match="fit: unknown column 'lab'"):
        net.fit(TABLE)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda net: net.derived("log(2)/q"), Kan2Error, "derived: .*'q'"),
        (lambda net: net.derived(sympy.Symbol("q")), NameRefused, "derived: unknown parameter 'q'. Known: A, k"),
        (lambda net: net.derived("A"), OptionError, "derived: expected parameters with one value, got A with 2, one"),
        (lambda net: net.profile("q"), NameRefused, "profile: unknown parameter 'q'"),
        (lambda net: net.profile("A"), OptionError, "a free parameter with one value, got A"),
        (lambda net: net.profile("k", level=1.0), OptionError, "a level between 0 and 1, got 1"),
        (lambda net: net.profile("k", levl=0.5), OptionError, "unknown option 'levl'"),
        (lambda net: net.solve({"t": [1.0]}), OptionError, "solve: expected an equation, .* got a formula"),
        (lambda net: net({"t": [1.0], "lab": ["c"]}), NameRefused, "unknown label of lab 'c'. Known: a, b"),
        (lambda net: net({"t": [1.0]}), NameRefused, "without 'lab'"),
        (lambda net: net.symbolic_formula(values=True), Kan2Error, "one value, got A, which has one for each data set"),
    ],
)
def test_refusals_after_a_fit(call, error, message):
    net = fitted(parameters=PER, table={"t": T, "lab": LABEL, "y": TWO})
    with pytest.raises(error, match=message) as refusal:
        call(net)
    assert isinstance(refusal.value, Kan2Error)


def test_a_fixed_parameter_has_no_profile():
    net = fitted(parameters={"A": Parameter(2.5, fixed=True), "k": 1})
    with pytest.raises(OptionError, match="a free parameter with one value, got A"):
        net.profile("A")


@pytest.mark.parametrize("verb", ["estimates", "correlations", "parameters_table"])
def test_without_a_fit_nothing_is_known(verb):
    net = kanpiler.compile(DECAY, parameters=["A", "k"])
    with pytest.raises(TrainingError, match=r"that was fitted, got one that was not\. Call fit"):
        getattr(net, verb)()
