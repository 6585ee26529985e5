"""What a fresh interpreter imports: nothing heavy before it is needed, and every name as if it had been there."""

import inspect
import subprocess
import sys

import pytest

from kan2 import MultKAN, multkan

HEAVY = (
    "sympy",
    "scipy.special",
    "networkx",
    "matplotlib",
    "sklearn",
    "pandas",
    "treeconv",
    "kanpiler",
    "kan2.symbolic",
)
LOADED = f"print([name for name in {HEAVY} if name in sys.modules])"
FIRST = "import sys, torch, kan2; model = kan2.MultKAN([2, 5, 1]); model(torch.rand(10, 2).double());"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_network_and_its_first_forward_pass_import_nothing_heavy():
    assert run(FIRST + LOADED) == "[]"


def test_looking_at_a_network_imports_nothing_heavy():
    assert run(FIRST + "dir(model), dir(kan2), repr(model), hasattr(kan2, 'nothing');" + LOADED) == "[]"


@pytest.mark.parametrize("name", [name for names in multkan._VERBS.values() for name in names.split()])
def test_a_verb_that_is_loaded_later_is_the_function_of_its_room(name):
    home = next(home for home, names in multkan._VERBS.items() if name in names.split())
    function = getattr(sys.modules.get(home) or __import__(home, fromlist=[name]), name)
    verb = getattr(MultKAN, multkan._CALLED.get((home, name), name))
    assert inspect.unwrap(getattr(verb, "__func__", verb)) is inspect.unwrap(function)
