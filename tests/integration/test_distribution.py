"""What the built distributions carry: the wheel three packages and nothing else, the sdist all that the tests need."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import kan2

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kan2", "kanpiler", "treeconv")

pytestmark = pytest.mark.slow

# Run far from the checkout, with the unpacked wheel before everything else.
USE = """
import sys
from pathlib import Path

import kan2, kanpiler, treeconv

home = Path(sys.argv[1])
for package in (kan2, kanpiler, treeconv):
    assert Path(package.__file__).parent.parent == home, package.__file__
    for name in dir(package):
        getattr(package, name)
network = kanpiler.compile("x*sin(y)")
assert type(network) is kan2.MultKAN
print(kan2.__version__, kanpiler.decompile(network))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """The sdist and the wheel, the wheel built from the sdist, as an index would do it."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    files = {path.name.removeprefix(f"kan2-{kan2.__version__}"): path for path in out.iterdir()}
    assert set(files) == {".tar.gz", "-py3-none-any.whl"}
    return {"sdist": files[".tar.gz"], "wheel": files["-py3-none-any.whl"]}


def carried(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in files}


def test_the_wheel_carries_three_typed_packages_whole(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == set().union(*(carried(ROOT / package) for package in PACKAGES))
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_the_wheel_works_away_from_the_checkout(built, tmp_path):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        wheel.extractall(tmp_path / "home")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "home")}
    command = [sys.executable, "-c", USE, str(tmp_path / "home")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [kan2.__version__, "x*sin(y)"]


def test_the_sdist_carries_what_the_tests_need(built):
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for folder in ("tests", "case_studies", "docs", *PACKAGES):
        assert carried(ROOT / folder) <= names
    assert {"pyproject.toml", "constraints.txt", "Makefile", "README.md", "LICENSE", ".ci/run"} <= names


def test_the_descriptions_are_accepted(built):
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.values())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
