"""The lower bounds of the dependencies: written once, in pyproject.toml, and below what the tests run with."""

import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


def test_the_constraints_are_within_the_bounds():
    lines = chain(PROJECT["dependencies"], *EXTRAS.values())
    bounded = [r for r in map(Requirement, lines) if r.name in PINS]
    assert {r.name for r in bounded} >= {Requirement(line).name for line in PROJECT["dependencies"]}
    assert [r for r in bounded if not r.specifier.contains(PINS[r.name])] == []


def test_the_lowest_versions_are_read_from_the_project():
    command = [sys.executable, str(ROOT / ".ci" / "lowest.py"), "test"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pins = dict(line.split("==") for line in done.stdout.splitlines())
    assert pins.pop("torch") == PINS["torch"]
    wanted = [*PROJECT["dependencies"], *EXTRAS["fast"], *EXTRAS["units"], *EXTRAS["test"]]
    assert set(pins) == {Requirement(line).name for line in wanted} - {"torch", "kan2"}
    assert f"numpy>={pins['numpy']}" in PROJECT["dependencies"]
