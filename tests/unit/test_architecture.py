"""The house rules that a machine can check: who imports whom, no circles, how long files are, that libraries are quiet.

Every import counts: at the top of a file, inside a function, for type checkers alone, by `import_module`.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kan2", "kanpiler", "treeconv", "case_studies")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}

# The floors of kan2, the lowest first; a room may use the rooms before it. A room is a file or a folder of kan2.
FLOORS = [
    *(
        "errors",
        "options",
        "interrupts",
        "types",
        "html",
        "expressions",
        "functions",
        "tables",
        "units",
        "core",
        "serialize",
        "analysis",
        "training",
    ),
    *("edits", "symbolic", "structure", "discovery", "plotting", "export", "datasets", "report", "multkan"),
    *("laws", "_load", "_search", "_find", "_discover", "estimators", "studio", "cli", "compat", "__main__"),
]

# What of other packages a package may import.
MAY_IMPORT = {
    "kan2": {"treeconv": ("structure", "discovery", "plotting", "export", "report", "multkan", *FLOORS[-10:]),
             "kanpiler": FLOORS[-10:]},
    "kanpiler": {"kan2": ("errors", "interrupts", "types", "options", "tables", "units", "expressions", "functions",
                          "core", "symbolic", "training", "multkan")},
    "treeconv": {},
    "case_studies": {"kan2": None, "kanpiler": None, "treeconv": None},
}  # fmt: skip


def imports(name: str, path: Path) -> Iterator[tuple[str, int]]:
    """Yields (module of the project, line) for each import of a file."""
    here = name.split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = [*package[: len(package) - node.level + 1]] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            wanted = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            wanted = [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        else:
            continue
        for found in wanted:
            while found and found not in FILES:
                found = found.rpartition(".")[0]
            if found and found != name:
                yield found, node.lineno


ARROWS = {(name, other): line for name, path in FILES.items() for other, line in imports(name, path)}


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circles(graph: nx.DiGraph) -> list[list[str]]:
    return [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]


def told(group: list[str], arrows: dict[tuple[str, str], int]) -> str:
    lines = [f"{FILES[a].relative_to(ROOT)}:{line} -> {b}" for (a, b), line in arrows.items() if {a, b} <= set(group)]
    return "a circle of imports:\n" + "\n".join(lines)


def test_no_files_import_each_other_in_a_circle():
    found = circles(nx.DiGraph(list(ARROWS)))
    assert not found, told(found[0], ARROWS)


def test_no_rooms_import_each_other_in_a_circle():
    # What an __init__ imports is the table of contents of its room, not a use of another.
    arrows = {(a, b): line for (a, b), line in ARROWS.items() if FILES[a].name != "__init__.py" and room(a) != room(b)}
    found = circles(nx.DiGraph([(room(a), room(b)) for a, b in arrows]))
    inside = [m for m in FILES if found and room(m) in found[0]]
    assert not found, told(inside, arrows)


def test_a_circle_is_noticed_and_told():
    arrows = {("kan2.errors", "kan2.types"): 3, ("kan2.types", "kan2.errors"): 7}
    (group,) = circles(nx.DiGraph(list(arrows)))
    assert told(group, arrows) == (
        "a circle of imports:\nkan2/errors.py:3 -> kan2.types\nkan2/types.py:7 -> kan2.errors"
    )


def test_rooms_of_kan2_use_rooms_below_them_only():
    for (a, b), line in ARROWS.items():
        mine, other = a.split(".")[1:2], b.split(".")[1:2]
        if a.startswith("kan2.") and b.startswith("kan2") and mine != other:
            where = f"{FILES[a].relative_to(ROOT)}:{line}"
            assert other, f"{where} imports kan2 itself, whose names belong to users"
            assert mine[0] in FLOORS, f"{mine[0]} has no floor: add it to FLOORS"
            assert FLOORS.index(other[0]) < FLOORS.index(mine[0]), f"{where} imports {b}, which is above it"


def test_packages_import_only_what_they_may():
    for (a, b), line in ARROWS.items():
        mine, other = a.split("."), b.split(".")
        if mine[0] == other[0]:
            continue
        where = f"{FILES[a].relative_to(ROOT)}:{line} imports {b}"
        assert other[0] in MAY_IMPORT[mine[0]], where
        rooms = MAY_IMPORT[mine[0]][other[0]]
        if rooms is not None:
            assert (mine if mine[0] == "kan2" else other)[1:2] in [[r] for r in rooms], where


def test_private_modules_are_read_in_their_own_folder_only():
    for (a, b), line in ARROWS.items():
        folder, _, name = b.rpartition(".")
        if name.startswith("_") and "." in folder:
            assert a.startswith(folder), f"{FILES[a].relative_to(ROOT)}:{line} imports {b}"


def test_kan2_is_no_flat_pile():
    assert len(list((ROOT / "kan2").glob("*.py"))) <= 14


@pytest.mark.parametrize("first", ["kan2", "kanpiler", "treeconv"])
def test_each_package_can_be_imported_first(first):
    others = [name for name in ("kan2", "kanpiler", "treeconv") if name != first]
    code = f"import {first}, {', '.join(others)}; kan2.MultKAN; kanpiler.compile; treeconv.convert"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", FILES.values(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 400


def test_library_is_quiet_by_construction():
    for path in FILES.values():
        if path.relative_to(ROOT).parts[0] == "case_studies" or path.name == "__main__.py":
            continue
        calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        names = {ast.unparse(f) for f in calls}
        assert not names & {"print", "eval", "exec", "plt.show", "torch.manual_seed", "np.random.seed"}, path
