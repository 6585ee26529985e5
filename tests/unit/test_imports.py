"""What a fresh interpreter imports: nothing heavy before it is needed, and every name as if it had been there."""

import ast
import gc
import subprocess
import sys
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import pytest
import sympy

import kan2
from kan2 import MultKAN, functions, multkan
from kan2.functions import special

HEAVY = ("sympy", "scipy.special", "networkx", "matplotlib", "sklearn", "pandas", "graphviz", "kanpiler")
# In turn, what a user does with a network; after each, what of HEAVY is there.
STEPS = (
    "import torch, kan2; model = kan2.MultKAN([2, 5, 1]); x = torch.rand(20, 2).double(); model(x)",
    "dir(model), dir(kan2), repr(model), kan2.functions.names()",
    "model.fit((x, x[:, :1]), steps=1)",
    "kan2.functions.get('J0')(x)",
    "kan2.functions.get('sin').symbol(2)",
    "model.tree",
)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_nothing_heavy_is_imported_before_it_is_needed():
    look = f"print('then', *(name for name in {HEAVY} if name in sys.modules))"
    loaded = run("import sys\n" + "\n".join(f"{step}; {look}" for step in STEPS)).splitlines()
    assert loaded[:3] == ["then", "then", "then"]
    assert loaded[3:] == ["then scipy.special", "then sympy scipy.special", "then sympy scipy.special networkx"]


def told(block: ast.If) -> dict[str, str]:
    """Returns name: value of what is assigned for type checkers, as written."""
    rows = (node for node in block.body if isinstance(node, ast.Assign))
    return {ast.unparse(row.targets[0]): ast.unparse(row.value) for row in rows}


def test_type_checkers_and_the_interpreter_are_told_the_same_verbs():
    tree = ast.parse(Path(multkan.__file__).read_text())
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    homes = {}
    for node in ast.walk(blocks[0]):
        if isinstance(node, ast.ImportFrom):
            join = "." if node.module == "kan2" else ":"
            homes |= {alias.name: f"{node.module}{join}{alias.name}" for alias in node.names}
    (verbs,) = (found for found in map(told, blocks) if "fit" in found)
    plain = {name: value.removeprefix("classmethod(").rstrip(")") for name, value in verbs.items()}
    assert {name for name in verbs if plain[name] != verbs[name]} == set(multkan._OF_THE_CLASS)
    room = {name: value.partition(".") for name, value in plain.items()}
    assert {n: f"{homes[first]}{':' * bool(dot)}{rest}" for n, (first, dot, rest) in room.items()} == multkan._VERBS


@pytest.mark.parametrize("name", multkan._VERBS)
def test_a_verb_is_the_function_of_its_room(name):
    home, _, function = multkan._VERBS[name].partition(":")
    verb = getattr(MultKAN, name)
    assert getattr(verb, "__func__", verb) is getattr(import_module(home), function)
    assert not isinstance(vars(MultKAN)[name], multkan._Verb)


@pytest.mark.slow
def test_verbs_that_are_not_loaded_can_be_inherited_replaced_and_handed_on():
    code = """
import pickle, types
from kan2 import MultKAN
class Mine(MultKAN):
    def perturb(self, *args):
        return super().perturb(*args)
assert type(vars(MultKAN)["perturb"]).__name__ == "_Verb"
assert type(Mine([1, 1]).perturb(0.1)) is Mine
assert "perturb" in vars(Mine) and "refine" not in vars(Mine)
assert isinstance(vars(MultKAN)["perturb"], types.FunctionType)
model = MultKAN([1, 1])
assert pickle.loads(pickle.dumps(model.refine)).__self__.spec == model.spec
MultKAN.prune = lambda self: "mine"
assert model.prune() == "mine"
assert Mine.load.__self__ is Mine
"""
    run(code)


def test_names_of_the_module_of_the_network():
    assert multkan.load == MultKAN.load
    assert multkan.from_tree == MultKAN.from_tree
    assert multkan.tree.__self__ is MultKAN
    with pytest.raises(AttributeError, match=r"kan2\.multkan.*'loadd'"):
        _ = multkan.loadd
    assert kan2.tree is kan2.tree


@pytest.mark.parametrize(("name", "expected"), [("sin", sympy.sin), ("gamma", sympy.gamma), ("sqrt", sympy.sqrt)])
def test_a_row_hands_out_the_function_of_sympy_itself(name, expected):
    row = functions.get(name)
    assert row.sympy is expected
    same = functions.SymbolicFunction(**{n: getattr(row, n) for n in row.__dataclass_fields__})
    assert same == row
    assert hash(same) == hash(row)
    assert functions.register(same) is same  # no other function of this name, so it need not be replaced
    functions.register(row)


def test_a_row_still_has_to_say_what_it_is_in_sympy():
    with pytest.raises(TypeError, match="sympy"):
        functions.SymbolicFunction("mine", abs, complexity=3)


def test_the_numbers_of_bernoulli():
    exact = [Fraction(int(b.p), int(b.q)) for b in (sympy.bernoulli(2 * i) for i in range(1, 11))]
    assert list(special._BERNOULLI) == [float(b) for b in exact]


@pytest.mark.parametrize("row", functions.BUILT_IN.values(), ids=lambda row: row.name)
def test_rows_of_the_package_are_what_registering_asks_for(row):
    if row.name not in ("0", "floor", "ceil"):
        functions.table._check_gradient(row)


def test_the_collector_is_paused_and_goes_on():
    compiling = pytest.importorskip("kan2.core.compiling")
    with compiling.collector_paused():
        assert not gc.isenabled()
        with compiling.collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
