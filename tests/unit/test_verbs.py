"""The verbs of a network are the functions of the rooms below, and the package loads its names when they are used."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import kan2
from kan2 import MultKAN
from kan2.core.network import Network

PUBLIC = {name for name in vars(MultKAN) if not name.startswith("_")} - {"training"}
# What pykan users type, and what the pages of this project promise.
PROMISED = """
fit prune prune_node prune_edge prune_input refine attribute feature_score plot suggest_symbolic fix_symbolic
unfix_symbolic auto_symbolic symbolic_formula expand_width expand_depth perturb module swap auto_swap tree get_fun
get_range remove_edge remove_node save load compare simplify augment latex relevance prune_irrelevant
feature_interaction try_variables try_function sparse auto_prune snap_constants plot_edge plot_scores from_tree
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", PROMISED.split())
def test_a_verb_is_a_documented_function_of_a_lower_room(name):
    verb = inspect.unwrap(getattr(MultKAN, name))
    function = getattr(verb, "__func__", verb)
    assert function.__module__ != "kan2.multkan"
    assert function.__doc__.splitlines()[0].endswith(".")
    assert "Args:" in function.__doc__ or len(inspect.signature(function).parameters) <= 3


def test_the_network_below_has_no_verbs():
    assert not set(PROMISED.split()) & set(dir(Network))


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("torch", "sympy", "matplotlib", "sklearn", "graphviz", "pygraphviz", "treeconv", "kanpiler", "networkx")
    assert run(f"import sys, kan2; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_dir_shows_public_names_and_all_of_them_exist():
    assert "MultKAN" in dir(kan2)
    assert "TYPE_CHECKING" not in dir(kan2)
    assert all(not name.startswith("_") and getattr(kan2, name) is not None for name in dir(kan2))


@pytest.mark.slow
def test_a_star_brings_the_public_names():
    assert run("from kan2 import *; print(MultKAN.__name__, errors.Kan2Error.__name__)") == "MultKAN Kan2Error"


@pytest.mark.parametrize(("name", "has"), [("jets", "directional"), ("bases", "KINDS"), ("special", "smooth")])
def test_names_of_earlier_pages_work_and_say_what_to_write(name, has):
    with pytest.warns(DeprecationWarning, match=f"kan2.{name}: goes in 0.2. Use kan2"):
        assert hasattr(getattr(kan2, name), has)


def test_type_checkers_and_the_interpreter_are_told_the_same_names():
    tree = ast.parse(Path(kan2.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == set(dir(kan2))


def test_a_name_that_does_not_exist_says_where_to_look():
    with pytest.raises(AttributeError, match=r"'discoverr'.*dir\(kan2\)"):
        _ = kan2.discoverr


@pytest.mark.slow
def test_the_function_is_found_after_its_module_was_imported():
    assert run("import kan2._discover, kan2.functions, kan2; print(callable(kan2.discover), kan2.fit.__name__)") == (
        "True fit"
    )


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert kan2.__version__ == version("kan2")


def test_verbs_chain():
    model = MultKAN([2, [2, 1], 1], inputs=["a", "b"])
    new = model.expand_width(1).refine(10).perturb().expand_depth(1).simplify()
    assert type(new) is MultKAN
    assert new.spec.inputs == ("a", "b")
    assert model.width == [[2, 0], [2, 1], [1, 0]]
