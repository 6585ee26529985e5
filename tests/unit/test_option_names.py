"""Options that do not exist are refused by name, at once, by whatever public function was called."""

import inspect
from types import ModuleType

import pytest

import kan2
import kanpiler
import treeconv
from kan2 import MultKAN, datasets, estimators, functions, plotting, tables
from kan2.errors import Kan2Error, OptionError, check_options, named_options
from kan2.multkan import _VERBS

# Records that the library hands out, and what takes the options of another function.
RECORDS = {"Edge", "History", "Jet", "LayerValues", "Table", "Description", "Explanation", "Report", "Anatomy",
           "Diagram", "Evidence", "Tree", "NistProblem"}  # fmt: skip
OPEN = {"KANConv2d", "discover", "tree", "report", "_tree_of_data", "prune_irrelevant"}


def public(module: ModuleType):
    names = getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]
    for value in (getattr(module, name) for name in names):
        is_ours = str(getattr(value, "__module__", "")).startswith(("kan2", "kanpiler", "treeconv"))
        if is_ours and callable(value) and not (isinstance(value, type) and issubclass(value, Exception)):
            yield value


FUNCTIONS = {
    f"{value.__module__}.{value.__name__}": value
    for module in (kan2, functions, plotting, tables, datasets, estimators, kanpiler, treeconv)
    for value in public(module)
    if inspect.isfunction(value) or isinstance(value, type)
    if value.__name__ not in RECORDS | OPEN
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_classes(name):
    with pytest.raises((OptionError, treeconv.OptionError), match="unknown option 'no_such_option'"):
        FUNCTIONS[name](no_such_option=1)


@pytest.mark.parametrize("name", sorted(set(_VERBS) - OPEN))
def test_verbs(name):
    with pytest.raises(OptionError, match="unknown option 'no_such_option'"):
        getattr(MultKAN([2, 1]), name)(no_such_option=1)


def test_the_closest_name_is_shown_and_that_of_the_network_is_not():
    with pytest.raises(OptionError, match=r"prune: unknown option 'edge_the'\. Did you mean 'edge_th'.*Known: data, "):
        MultKAN([2, 1]).prune(edge_the=1)
    assert issubclass(OptionError, TypeError)
    assert issubclass(OptionError, Kan2Error)
    assert issubclass(treeconv.OptionError, TypeError)
    assert issubclass(treeconv.OptionError, treeconv.TreeError)


def test_options_that_are_passed_on():
    with pytest.raises(OptionError, match="did_you: unknown option 'y'"):
        check_options("did_you", ["y"], lambda x: x)
    check_options("did_you", ["x"], lambda x: x)
    with pytest.raises(OptionError, match=r"KANConv2d: unknown option 'girds'\. Did you mean 'grid'"):
        kan2.KANConv2d(1, 1, 3, girds=3)
    with pytest.raises(OptionError, match=r"discover: unknown option 'atempts'\. Did you mean 'attempts'"):
        kan2.discover(([[0.0]], [0.0]), atempts=3)

    @named_options
    def opened(x=1, **others):
        return x, others

    assert opened(y=2) == (1, {"y": 2})
