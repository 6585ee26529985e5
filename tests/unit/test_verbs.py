"""The verbs of a network are those of the modules: same arguments, same defaults; documented; loaded when called."""

import importlib
import inspect
import subprocess
import sys

import pytest

from kan2 import MultKAN
from kan2.verbs import Verbs

HOMES = {
    "fit": "training.fit", "attribute": "attribution", "feature_score": "attribution", "prune": "edits.prune",
    "prune_node": "edits.prune", "prune_edge": "edits.prune", "prune_input": "edits.prune", "compare": "edits.compare",
    "simplify": "edits.simplify", "refine": "edits.refine", "expand_width": "edits.expand",
    "expand_depth": "edits.expand", "perturb": "edits.expand", "augment": "edits.inputs", "module": "edits.modules",
    "remove_edge": "edits.modules", "remove_node": "edits.modules", "swap": "edits.arrange",
    "auto_swap": "edits.arrange", "plot": "plotting", "plot_edge": "plotting", "plot_scores": "plotting",
    "get_fun": "plotting", "get_range": "plotting", "save": "serialize", "load": "serialize",
    "suggest_symbolic": "symbolify", "fix_symbolic": "symbolify", "unfix_symbolic": "symbolify",
    "auto_symbolic": "auto_symbolic", "auto_prune": "auto_prune", "symbolic_formula": "formula",
    "latex": "formula", "relevance": "relevance", "prune_irrelevant": "relevance", "feature_interaction": "relevance",
    "try_variables": "hypothesis", "try_function": "hypothesis", "sparse": "edits.sparse",
}  # fmt: skip


@pytest.mark.parametrize("name", HOMES)
def test_a_verb_has_the_arguments_of_its_function(name):
    function = getattr(importlib.import_module(f"kan2.{HOMES[name]}"), name)
    mine = {k: p.default for k, p in inspect.signature(getattr(Verbs, name)).parameters.items()}
    theirs = {k: p.default for k, p in inspect.signature(function).parameters.items()}
    mine.pop("self", None)
    theirs.pop("model", None) or theirs.pop("first", None)
    theirs = {"other" if k == "second" else k: v for k, v in theirs.items()}
    if mine.pop("options", None):
        assert list(theirs.items())[: len(mine)] == list(mine.items())
    else:
        assert mine == theirs


def test_every_verb_says_in_one_sentence_what_it_does():
    verbs = [f for name, f in inspect.getmembers(Verbs) if not name.startswith("_")]
    assert len(verbs) >= 28
    for verb in verbs:
        assert verb.__doc__.endswith("."), verb
        assert "\n" not in verb.__doc__, verb


def test_importing_the_package_imports_no_plotting_and_no_estimators():
    code = "import sys, kan2; print([m for m in ('matplotlib', 'sklearn', 'graphviz', 'treeconv') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_verbs_chain():
    model = MultKAN([2, [2, 1], 1], inputs=["a", "b"])
    new = model.expand_width(1).refine(10).perturb().expand_depth(1).simplify()
    assert new.spec.inputs == ("a", "b")
    assert model.width == [[2, 0], [2, 1], [1, 0]]
