"""Every case study runs in its quick size and meets its targets."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from case_studies import STUDIES
from case_studies.__main__ import main
from case_studies._base import CaseResult, Trial, row_of_trials
from case_studies._results import study_section

ROOT = Path(__file__).resolve().parents[2]
# Studies of five seconds and more; the others already run every part of a study.
SLOW = {
    "anderson",
    "classification",
    "compile_and_correct",
    "conserved_quantities",
    "constitutive_laws",
    "continual_learning",
    "feynman",
    "hidden_symmetry",
    "interpretability",
    "knots",
    "modular_structures",
    "pde",
    "quickstart",
    "special_functions",
    "toy_functions",
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in STUDIES])
def test_study_meets_its_targets(name, tmp_path, capsys):
    status = main([name, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert status == 0, printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["passed"]
    figures = list((tmp_path / "out").glob("*.svg"))
    assert figures
    assert all(f.with_suffix(".png").stat().st_size > 1000 for f in figures)


def test_list_and_unknown_names(capsys):
    assert main(["list"]) == 0
    assert "quickstart" in capsys.readouterr().out
    assert main(["quickstrat"]) == 2
    assert "Did you mean 'quickstart'" in capsys.readouterr().err


@pytest.mark.slow
def test_all_runs_every_study_and_writes_the_page(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "out" / "broken").mkdir(parents=True)
    (tmp_path / "out" / "broken" / "report.json").write_text("from an earlier run")
    monkeypatch.setattr("case_studies.__main__.STUDIES", {"hidden_symmetry": "", "broken": ""})
    page = tmp_path / "results.md"
    options = ["--jobs", "2", "--seeds", "1", "--out", str(tmp_path / "out"), "--results", str(page)]
    assert main(["all", *options]) == 2
    assert "## Case study: hidden_symmetry" in page.read_text()
    assert "unknown study 'broken'" in capfd.readouterr().err


def test_a_seed_that_failed_altogether_counts_as_the_worst(tmp_path):
    trials = [Trial("nothing", float("inf"), False, 1.0), Trial("x", 0.1, True, 1.0), Trial("x", 0.2, True, 1.0)]
    CaseResult("one", [row_of_trials("task", trials, "rmse", "<= 1")]).write(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert "| inf (rmse) | 2.0e-01 | 2 of 3 |" in study_section(report, full=False)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_a_script(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "case_studies" / f"{name}.py"), run_name="__main__")
    assert "--out" in capsys.readouterr().out


@pytest.mark.slow
def test_a_script_runs_from_another_directory(tmp_path):
    result = subprocess.run(
        [sys.executable, str(ROOT / "case_studies" / "quickstart.py"), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert "--out" in result.stdout
