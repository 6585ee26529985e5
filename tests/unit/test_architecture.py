"""The house rules that a machine can check: who imports whom, how long files are, that libraries are quiet."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kan2", "kanpiler", "treeconv", "case_studies")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

MAY_IMPORT = {
    "kan2": set(),
    "kanpiler": {"kan2"},
    "treeconv": set(),
    "case_studies": {"kan2", "kanpiler", "treeconv"},
}

# Inside kan2 imports go downwards only: a module may import its own level and those before it.
LEVELS = [
    {"errors", "types", "linalg", "vocabulary", "expressions", "evaluate", "constants", "reference_values"},
    {"functions", "special", "derivatives"},
    {"tabulate"},
    {"spec", "bases", "data"},
    {"compiled_terms", "term_loops"},
    {"edges"},
    {"layers", "columns", "conv", "trace", "jets", "verbs"},
    {"network"},
    {"attribution", "penalties", "formula"},
    {"training", "edits", "symbolic_search", "symbolic_polish", "symbolic_fit", "serialize", "plotting", "structure"},
    {"symbolify", "snap", "auto_prune", "pareto", "compose", "reroute", "relevance", "hypothesis"},
    {"auto_symbolic"},
    {"discover", "estimators"},
]


def imports(path: Path, *, top_level_only: bool) -> set[str]:
    """Returns the dotted names that a file imports; imports for type checkers alone do not count."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_packages_import_only_what_they_may(path):
    package = path.relative_to(ROOT).parts[0]
    others = {name.split(".")[0] for name in imports(path, top_level_only=False)} & set(PACKAGES) - {package}
    allowed = set(MAY_IMPORT[package])
    # The verb `tree` of a network converts it, and says so by importing treeconv when it is called.
    if path.relative_to(ROOT) in (Path("kan2/verbs.py"), Path("kan2/structure.py")):
        allowed |= {"treeconv"}
    assert others <= allowed


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "kan2")], ids=lambda p: p.stem)
def test_kan2_imports_downwards(path):
    def level(module: str) -> int:
        return next((i for i, names in enumerate(LEVELS) if module in names), len(LEVELS))

    parts = path.relative_to(ROOT / "kan2").with_suffix("").parts
    if parts[0] == "__init__":
        return
    mine = level(parts[0])
    assert mine < len(LEVELS), f"{parts[0]} has no level: add it to LEVELS"
    for name in imports(path, top_level_only=True):
        if name.startswith("kan2.") and (other := name.split(".")[1]) != parts[0]:
            assert level(other) <= mine, f"{path.name} imports {other}, which is above it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 400


def test_library_is_quiet_by_construction():
    for path in FILES:
        if path.relative_to(ROOT).parts[0] == "case_studies" or path.name == "__main__.py":
            continue
        calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        names = {ast.unparse(f) for f in calls}
        assert not names & {"print", "eval", "exec", "plt.show", "torch.manual_seed", "np.random.seed"}, path
