"""NIST's problems of nonlinear regression: models, rows and certified values agree with each other."""

import json
import math
import pickle
import re
from importlib.resources import files

import numpy as np
import pytest
import sympy
import torch

from case_studies import nist_table
from kan2 import datasets
from kan2.errors import DataError, UnknownNameError
from kan2.expressions.evaluate import evaluate
from kan2.expressions.parse import parse_expression

NAMES = datasets.nist_names()
ROUNDED = 1e-9  # what eleven digits of parameters leave of a sum of squares


def model(problem: datasets.NistProblem, parameters: dict[str, float]) -> torch.Tensor:
    expression = parse_expression(problem.formula, names=(*problem.inputs, *parameters))
    columns = dict(zip(problem.inputs, problem.data.X.T))
    values = {name: torch.tensor(value, dtype=torch.float64) for name, value in parameters.items()}
    return evaluate(expression, columns | values)


def test_there_are_27_problems_and_54_starts():
    problems = [datasets.nist(name) for name in NAMES]
    assert len(set(NAMES)) == len(problems) == 27
    assert sum(len(problem.starts) for problem in problems) == 54
    levels = [problem.level for problem in problems]
    assert [levels.count(level) for level in ("lower", "average", "higher")] == [8, 11, 8]
    assert sum((datasets.nist_names(level) for level in ("lower", "average", "higher")), ()) == NAMES
    assert sum(len(problem.data) for problem in problems) == 2176
    assert [problem.name for problem in problems if len(problem.inputs) > 1] == ["Nelson"]


@pytest.mark.parametrize("name", NAMES)
def test_certified_values_belong_to_model_and_rows(name):
    problem = datasets.nist(name)
    n_rows, n_parameters = len(problem.data), len(problem.certified)
    residual = problem.data.y[:, 0] - model(problem, problem.certified)
    found = float(residual @ residual)
    if name == "Lanczos1":
        # Eleven digits of parameters leave more than the fourteen of the rows.
        assert abs(found - problem.residual_sum_of_squares) < 1e-20
    else:
        assert found == pytest.approx(problem.residual_sum_of_squares, rel=ROUNDED)
    assert problem.degrees_of_freedom == n_rows - n_parameters
    deviation = math.sqrt(problem.residual_sum_of_squares / problem.degrees_of_freedom)
    assert deviation == pytest.approx(problem.residual_standard_deviation, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_standard_errors_are_those_of_the_jacobian(name):
    problem = datasets.nist(name)
    assert all(error > 0 for error in problem.standard_errors.values())
    expression = parse_expression(problem.formula)
    symbols = [sympy.Symbol(key) for key in (*problem.inputs, *problem.certified)]
    slopes = sympy.lambdify(symbols, [expression.diff(key) for key in problem.certified], "numpy")
    given = (*problem.data.X.numpy().T, *problem.certified.values())
    jacobian = np.stack([np.broadcast_to(column, len(problem.data)) for column in slopes(*given)], 1)
    scale = np.linalg.norm(jacobian, axis=0)
    spread = np.linalg.norm(np.linalg.inv(np.linalg.qr(jacobian / scale, "r")), axis=1)
    expected = spread / scale * problem.residual_standard_deviation
    np.testing.assert_allclose(list(problem.standard_errors.values()), expected, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_starts_are_farther_up(name):
    problem = datasets.nist(name)
    assert problem.starts[0] != problem.starts[1]
    for start in problem.starts:
        assert list(start) == list(problem.certified) == list(problem.standard_errors)
        assert list(start) == [f"b{i + 1}" for i in range(len(start))]
        residual = problem.data.y[:, 0] - model(problem, start)
        assert not float(residual @ residual) <= problem.residual_sum_of_squares


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_are_a_data_set_like_the_others(name):
    problem, told = datasets.nist(name), datasets.describe(f"nist/{name}")
    data, table = datasets.load(f"nist/{name}"), datasets.table(f"nist/{name}")
    assert (data.inputs, data.outputs) == (problem.data.inputs, problem.data.outputs) == (told.inputs, told.outputs)
    assert data.X.dtype == data.y.dtype == torch.float64
    assert torch.equal(data.X, problem.data.X)
    assert torch.equal(data.y, problem.data.y)
    assert data.description == problem.data.description == str(told)
    assert (problem.inputs, (problem.target,)) == (told.inputs, told.outputs)
    assert table.columns == told.columns == ("y", *problem.inputs)
    y = np.log(table["y"]) if name == "Nelson" else table["y"]
    assert data.y[:, 0].tolist() == y.tolist()
    assert problem.title in told.title


def test_digits_are_those_of_nist():
    first = datasets.nist("Lanczos1")
    assert first.data.y[1, 0] == 2.044333373291
    assert first.residual_sum_of_squares == 1.4307867721e-25
    nelson = datasets.nist("Nelson")
    assert (nelson.target, nelson.formula) == ("log_y", "b1 - b2*x1*exp(-b3*x2)")
    assert nelson.certified["b2"] == 5.6177717026e-09
    assert nelson.data.y[0, 0] == math.log(15)


def test_what_is_changed_in_one_is_not_in_the_next():
    problem = datasets.nist("BoxBOD")
    problem.starts[0]["b1"] = problem.certified["b1"] = 7.0
    problem.data.X[0, 0] = 7.0
    again = datasets.nist("BoxBOD")
    assert (again.starts[0]["b1"], again.certified["b1"], float(again.data.X[0, 0])) == (1.0, 213.80940889, 1.0)
    assert pickle.loads(pickle.dumps(again)).certified == again.certified


def test_names_that_are_none():
    with pytest.raises(UnknownNameError, match=r"nist: unknown problem 'misra1A'\. Did you mean 'Misra1a'"):
        datasets.nist("misra1A")
    with pytest.raises(UnknownNameError, match=r"unknown level 'high'\. Did you mean 'higher'"):
        datasets.nist_names("high")
    with pytest.raises(UnknownNameError, match="Did you mean 'nist/Misra1a'"):
        datasets.load("misra1a")
    with pytest.raises(DataError, match="formulas alone"):
        datasets.load("nist/Misra1a", noise=0.1)


def test_the_package_carries_the_table():
    path = files("kan2.datasets") / "data" / "nist.json"
    text = path.read_text(encoding="ascii")
    assert len(text) < 60_000
    assert set(json.loads(text)) == set(NAMES)


def test_a_file_of_nist_is_read(tmp_path):
    problem = datasets.nist("Nelson")
    lines = [
        "Dataset Name:  Nelson            (Nelson.dat)", "Reference:     Nelson, W. (1981).", "               Book.",
        "", "Data:          1 Response   ( y = strength)", "               2 Predictors (x1 = time; x2 = temperature)",
        "               Average Level of Difficulty", "", "Model:         Exponential Class",
        "               3 Parameters (b1 to b3)", "", "               log[y] = b1 - b2*x1 * exp[-b3*x2]  +  e", "", "",
        "Residual Sum of Squares:        3.7976833176E+00", "Residual Standard Deviation:    1.7430280130E-01",
        "Degrees of Freedom:                               9", "Number of Observations:                       4",
    ]  # fmt: skip
    for key, value in problem.certified.items():
        first, second = (start[key] for start in problem.starts)
        lines.append(f"  {key} =  {first}  {second}  {value}  {problem.standard_errors[key]}")
    lines += [""] * (59 - len(lines)) + ["Data:   y              x1            x2"]
    path = tmp_path / "Nelson.dat"
    path.write_text("\n".join([*lines, *["      15.00E0         1E0         180E0"] * 4]))
    found = nist_table.read_problem(path)
    assert (found["target"], found["formula"], found["level"]) == ("log_y", problem.formula, "average")
    assert (found["starts"], found["certified"]) == (list(problem.starts), problem.certified)
    assert (found["source"], found["degrees_of_freedom"]) == ("Nelson, W. (1981). Book.", 1)
    assert found["columns"] == {"y": [15.0] * 4, "x1": [1.0] * 4, "x2": [180.0] * 4}
    nist_table.write({"Nelson": found}, tmp_path / "nist.json")
    assert json.loads((tmp_path / "nist.json").read_text()) == {"Nelson": found}
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=re.escape("expected 4 rows and 3 parameters in Nelson.dat, got 0 and 3")):
        nist_table.read_problem(path)
