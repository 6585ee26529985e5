"""How commands end: statuses, one line on stderr, nothing heavy imported before it is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kan2.cli import _errors, app
from kan2.errors import DataError, FormulaError, TrainingError, UnknownNameError

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
COMMANDS = ("discover", "fit", "predict", "formula", "tree", "plot", "compile", "explain", "info", "datasets")


def kan2(*words, **options):
    return CliRunner().invoke(app, list(words), **options)


def refused(result, status, *parts):
    """Asserts that a command ended with this status and one line that holds the parts."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("kan2: ")
    assert "Traceback" not in line
    for part in parts:
        assert part in line, line


def test_help_lists_every_command_and_the_statuses():
    text = kan2("--help").stdout
    assert all(f"\n  {name}" in text for name in COMMANDS)
    assert "3 no law" in " ".join(text.split())
    assert kan2().stdout == text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_says_its_statuses(command):
    result = kan2(command, "--help")
    assert result.exit_code == 0
    assert "Exit status: 0 done" in " ".join(result.stdout.split())


def test_version():
    import kan2 as package

    assert kan2("--version").stdout == f"kan2 {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("discver",), ("'discver'", "'discover'", "See kan2 --help.")),
        (("info",), ("kan2: info: missing argument", "See kan2 info --help.")),
        (("info", "a", "--jsn"), ("--jsn", "--json")),
        (("info", "a", "b"), ("unexpected extra argument",)),
        (("discover", "a.csv", "--seed", "x"), ("--seed", "whole number")),
        (("discover", "a.csv", "--attempts", "0"), ("--attempts", "1")),
        (("fit", "a.csv", "-t", "y"), ("missing option", "-o")),
    ],
)
def test_wrong_command_lines_are_refused_in_one_line(words, parts):
    refused(kan2(*words), 2, *parts)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (DataError("table: expected rows, got none.\nLook."), 1, "kan2: info: expected rows, got none. Look."),
        (UnknownNameError("functions: unknown x."), 2, "kan2: info: unknown x."),
        (_errors.Refusal("expected a, got b."), 2, "kan2: info: expected a, got b."),
        (FormulaError("no."), 1, "kan2: info: no."),
        (TrainingError("fit: no."), 1, "kan2: info: no."),
        (ZeroDivisionError("by zero"), 1, "kan2: info: ZeroDivisionError: by zero. Add --debug to see where."),
        (MemoryError(), 1, "kan2: info: MemoryError. Add --debug to see where."),
        (PermissionError(13, "Permission denied", "x.kan"), 1, "kan2: info: permission denied: 'x.kan'. Look"),
        (FileNotFoundError(2, "No such file", "x.kan"), 2, "kan2: info: no such file: 'x.kan'. Look at the path."),
        (KeyboardInterrupt(), 130, "kan2: info: interrupted before there was a result."),
    ],
)
def test_every_error_becomes_one_line(error, status, line, monkeypatch):
    def fail(_):
        raise error

    monkeypatch.setattr("kan2.cli._table.is_model", fail)
    result = kan2("info", "x")
    refused(result, status)
    assert result.stderr.startswith(line)


@pytest.mark.parametrize("words", [("--debug", "info", "x"), ("info", "x", "--debug")])
def test_debug_shows_where(words, monkeypatch):
    def fail(_):
        raise ZeroDivisionError

    monkeypatch.setattr("kan2.cli._table.is_model", fail)
    assert isinstance(kan2(*words).exception, ZeroDivisionError)


def test_after_two_dashes_debug_is_a_word():
    refused(kan2("info", "--", "--debug"), 2, "kan2: info: no such file: '--debug'")


def run_python(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, timeout=60, **options
    )


def test_nothing_heavy_is_imported_before_a_command_needs_it():
    code = """
import sys, typer
import kan2.cli
typer.main.get_command(kan2.cli.app)
heavy = {"torch", "sympy", "pyarrow", "numpy", "scipy", "matplotlib", "networkx", "sklearn", "rich.table", "pandas"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_python_dash_m():
    result = subprocess.run(
        [sys.executable, "-m", "kan2", "--version"], capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    assert result.returncode == 0
    assert result.stdout.startswith("kan2 ")
    assert result.stderr == ""


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(tmp_path):
    table = tmp_path / "long.csv"
    table.write_text("x,y\n" + "1,2\n" * 10000)
    code = (
        "import sys; from kan2.multkan import MultKAN; from kan2.cli import main\n"
        f"model = MultKAN([1, 1], inputs=['x'], outputs=['y']); model.save({str(tmp_path / 'm.kan')!r})\n"
        f"sys.argv = ['kan2', 'predict', {str(tmp_path / 'm.kan')!r}, {str(table)!r}]; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "x,y\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 0


def complete(line, **variables):
    words = line.split(" ")
    environment = {
        **ENVIRONMENT,
        "_KAN2_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        **variables,
    }
    code = "import sys; sys.argv = ['kan2']; from kan2.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert result.stderr == ""
    return result.stdout.split()


@pytest.mark.slow
def test_shells_complete_commands_options_files_and_columns(tmp_path):
    (tmp_path / "planets.csv").write_text("# a comment\nname,a,alpha,T\nEarth,1,2,1\n")
    (tmp_path / "law.kan").write_bytes(b"")
    (tmp_path / "letter.doc").write_bytes(b"")
    folder = str(tmp_path)
    assert complete("kan2 disc") == ["discover"]
    assert "--target" in complete("kan2 discover --ta")
    assert complete(f"kan2 discover {folder}/") == [f"{folder}/planets.csv"]
    assert complete(f"kan2 formula {folder}/l") == [f"{folder}/law.kan"]
    assert complete(f"kan2 discover {folder}/planets.csv --target a") == ["a", "alpha"]
    assert complete(f"kan2 discover {folder}/planets.csv --inputs a,al") == ["a,alpha"]
    assert complete("kan2 discover nosuch.csv --target a") == []
