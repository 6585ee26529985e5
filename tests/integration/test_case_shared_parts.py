"""What case studies share: perceptrons and how they are trained, how laws are judged, what the command line refuses."""

import json

import numpy as np
import pytest
import sympy
import torch
from scipy.optimize import least_squares
from torch import nn

import benchmarks.__main__
import kan2
import kanpiler
from case_studies.__main__ import main
from case_studies._base import CaseResult, Row, Stopwatch, run_as_script
from case_studies._judging import is_exact, law_trial, rmse, rmse_on_test
from case_studies._perceptrons import descend, levenberg_marquardt, perceptron
from case_studies._staircase import shape_of, staircase
from case_studies._terms import fit as fit_logistic


def test_a_perceptron_depends_on_its_seed_alone():
    one, same, other = (perceptron([2, 3, 1], nn.Tanh, seed) for seed in (0, 0, 1))
    assert [type(part) for part in one] == [nn.Linear, nn.Tanh, nn.Linear]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters()))
    assert not torch.equal(one[0].weight, other[0].weight)
    assert one[0].weight.dtype == torch.float64


def test_descending_a_parabola_ends_at_its_vertex():
    x = nn.Parameter(torch.tensor([3.0, -2.0], dtype=torch.float64))
    before = descend(torch.optim.SGD([x], lr=0.25), lambda: (x - 1).square().sum(), steps=1)
    assert float(before) == 13.0
    descend(torch.optim.SGD([x], lr=0.25), lambda: (x - 1).square().sum(), steps=60)
    torch.testing.assert_close(x.detach(), torch.ones(2, dtype=torch.float64))


def test_levenberg_marquardt_agrees_with_scipy():
    t = torch.linspace(0, 2, 40, dtype=torch.float64)
    y = 1.5 * torch.exp(-0.7 * t) + 0.01 * torch.cos(9 * t)

    def residual(v):
        return v[0] * torch.exp(v[1] * t) - y

    def jacobian(v):
        return torch.stack([torch.exp(v[1] * t), v[0] * t * torch.exp(v[1] * t)], 1)

    vector, damping = torch.tensor([1.0, 0.0], dtype=torch.float64), 1e-2
    for _ in range(20):
        vector, damping, moved = levenberg_marquardt(vector, residual, jacobian, damping)
    assert not moved  # nothing is lower than the minimum
    expected = least_squares(lambda v: residual(torch.as_tensor(v)).numpy(), [1.0, 0.0], xtol=1e-15, ftol=1e-15).x
    np.testing.assert_allclose(vector.numpy(), expected, rtol=1e-7)


def test_logistic_weights_make_the_gradient_vanish():
    rng = np.random.default_rng(0)
    design = rng.normal(size=(500, 3)) * [1, 10, 0.1]
    y = (design @ [1.0, -0.2, 5.0] + rng.logistic(size=500) > 0.3).astype(float)
    weights = fit_logistic(design, y)
    p = 1 / (1 + np.exp(-weights[0] - design @ weights[1:]))
    # Up to the ridge of 1e-4 on weights of columns of unit deviation.
    assert abs((y - p).sum()) < 1e-3
    assert np.abs((design / design.std(axis=0)).T @ (y - p)).max() < 1e-3


def test_laws_without_floats_are_exact_where_they_equal_the_truth():
    ranges = {"E": (0.5, 2.0), "y": (0.2, 1.0)}
    E, y = sympy.symbols("E y")
    assert is_exact(E * sympy.sin(y) ** 2, "E - E*cos(y)**2", ranges)
    assert not is_exact(E * sympy.sin(y), "E*y", ranges)
    assert not is_exact(1.0 * E * y, "E*y", ranges)


def test_a_law_is_judged_by_its_formula_and_its_error():
    data = kan2.sample_function("x*sin(y)", {"x": (-1, 1), "y": (-1, 1)}, n=10)
    x, y = sympy.symbols("x y")
    truth, network = x * sympy.sin(y), kanpiler.compile("x*sin(y)")
    trial = law_trial(network, data, lambda law: law == truth, Stopwatch())
    assert (trial.found, trial.met) == ("x*sin(y)", True)
    assert trial.error == rmse_on_test(network, data) < 1e-15
    assert not law_trial(network, data, lambda law: law == x, Stopwatch()).met
    splines = kan2.MultKAN([2, 1], seed=0)
    trial = law_trial(splines, data, lambda law: True, Stopwatch())
    assert "splines" in trial.found
    assert not trial.met


def test_errors_that_are_not_finite_are_infinite():
    assert rmse(np.array([[3.0], [4.0]]), np.array([0.0, 0.0])) == pytest.approx(12.5**0.5)
    assert rmse(np.array([np.nan]), np.array([0.0])) == float("inf")


def test_each_step_of_a_staircase_is_kept():
    data = kan2.sample_function("x**2", {"x": (-1, 1)}, n=50)
    model = kan2.MultKAN([1, [2, 1], 1], grid=2, seed=0)
    stages = staircase(model, data, [2, 4], steps=2)
    assert [stage.spec.layers[0].basis.grid for stage in stages] == [2, 4]
    assert shape_of(model) == [1, [2, 1], 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["quickstart", "--seeds", "0"], "--seeds: expected a whole number of at least 1, got '0'"),
        (["quickstart", "--seeds", "x"], "--seeds: expected a whole number of at least 1, got 'x'"),
        (["all", "--jobs", "0"], "--jobs: expected a whole number of at least 1, got '0'"),
        (["quickstart", "--out", "FILE"], "--out: expected a folder that can be made, got FILE (File exists)"),
        (["quickstart", "--out", "FILE/deeper"], "--out: expected a folder that can be made, got FILE/deeper (Not a"),
        (["all", "--out", "FILE"], "--out: expected a folder that can be made, got FILE (File exists)"),
        (["quickstart", "--out", "FOLDER", "--results", "FILE/page"], "--results: expected a folder that can be made"),
        (["quickstart", "--out", "FOLDER", "--results", "FOLDER"], "--results: expected a page, got the folder FOLDER"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_before_the_work(options, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    places = {"FILE": str(tmp_path / "file"), "FOLDER": str(tmp_path)}
    for name, place in places.items():
        options, message = [option.replace(name, place) for option in options], message.replace(name, place)
    with pytest.raises(SystemExit, match="2"):
        main(options)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_benchmarks_are_listed_with_what_they_measure(capsys):
    with pytest.raises(SystemExit, match="0"):
        benchmarks.__main__.main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in benchmarks.__main__.names())
    assert "staircase" in printed
    assert benchmarks.__main__.main(["staircas"]) == 2
    assert "Did you mean 'staircase'?" in capsys.readouterr().err


def test_a_benchmark_whose_rival_is_missing_says_what_to_install(capsys, monkeypatch):
    def fails(name):
        raise ModuleNotFoundError("No module named 'kan'", name="kan")

    monkeypatch.setattr(benchmarks.__main__, "import_module", fails)
    assert benchmarks.__main__.main(["hello"]) == 1
    assert "hello: expected the package 'kan', which is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("n_rows", [0, 1])
def test_an_interrupted_study_writes_the_lines_it_has(n_rows, tmp_path, capsys):
    def study(*, full, seeds):
        """Trains for ever."""
        result = CaseResult("endless")
        result.rows += [Row("task", "x", 0.0, "rmse", "0", True, 1.0)] * n_rows
        model = kan2.MultKAN([1, 1])

        def interrupt(network, history):
            raise KeyboardInterrupt

        data = kan2.sample_function("x", {"x": (-1, 1)}, n=50)
        model.fit(data, callbacks=[interrupt])
        raise AssertionError("the study went on")

    assert run_as_script(study, ["--out", str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err
    if n_rows:
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["interrupted"]
        assert not report["passed"]
        assert len(report["table"]) == 1
    else:
        assert not (tmp_path / "report.json").exists()
