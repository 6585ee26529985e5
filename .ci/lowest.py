"""Prints, as exact pins for pip, the lowest versions that pyproject.toml allows, so that they are written only there.

torch is the exception: it is installed as constraints.txt pins it, since its lowest version is not at hand everywhere.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def requirements(project: dict, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """Yields what the project and the given extras need, an extra that names other extras of the project unfolded."""
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    for requirement in map(Requirement, wanted):
        if requirement.name == project["name"]:
            yield from requirements({**project, "dependencies": []}, tuple(sorted(requirement.extras)))
        else:
            yield requirement


def lowest(requirement: Requirement) -> str:
    """Returns the pin of the lowest version that a requirement allows."""
    bounds = [part.version for part in requirement.specifier if part.operator in (">=", "==")]
    if len(bounds) != 1:
        raise SystemExit(f"lowest: expected one lower bound, got {requirement}. Write it as name>=version.")
    return f"{requirement.name}=={bounds[0]}"


def main(extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {lowest(found) for found in requirements(project, extras) if found.name != "torch"}
    print("\n".join(sorted([*pins, *(line for line in constraints if line.startswith("torch=="))])))


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
