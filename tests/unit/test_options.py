"""Values of options: every public function refuses what is of the wrong type or range, at once and by a typed error.

The walk takes each public signature, and each of its parameters that is annotated as a number, a flag, a text, a list
or a type, and hands in every value that the annotation does not allow. None may be accepted, none may end in an error
of somebody else, none may train first, and no network may be another one afterwards.
"""

import inspect
import re
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from math import inf, isfinite, nan
from numbers import Integral, Real
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch

import kan2
import kan2.datasets
import kan2.errors
import kan2.estimators
import kan2.functions
import kan2.plotting
import kan2.tables
import kanpiler
import treeconv
from kan2 import MultKAN, options
from kan2.errors import (
    DataError,
    EdgeError,
    Kan2Error,
    OptionError,
    ShapeError,
    SpecError,
    TrainingError,
    UnknownNameError,
)
from kan2.multkan import _VERBS
from tests.training import HELLO, same, state

pytestmark = pytest.mark.usefixtures("unchecked")

LONGEST = 0.5  # seconds of processor time

OBJECT = object()
CANDIDATES = (
    *("no such", "", b"x", "float64", 3, -1, 0, 2.5, -0.5, nan, inf, -inf, 1j, True, None, [], [1], [None], [OBJECT]),
    *({}, {"a": OBJECT}, {1: 2}, (1, 2, 3), OBJECT, int, torch.int64, print, np.array([[1.0]])),
)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


# What a word in an annotation allows.
ALLOWED: dict[str, Callable[[Any], bool]] = {
    "int": _is_whole,
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "None": lambda value: value is None,
    "Sequence": _is_list,
    "Iterable": _is_list,
    "tuple": _is_list,
    "list": _is_list,
    "Mapping": lambda value: isinstance(value, Mapping),
    "Callable": callable,
    "PathLike": lambda value: isinstance(value, Path),
    "Path": lambda value: isinstance(value, Path),
    "dtype": lambda value: value in (torch.float32, torch.float64),
    "device": lambda value: isinstance(value, torch.device),
    "Literal": lambda value: isinstance(value, str),
    "Input": lambda value: isinstance(value, str) or _is_whole(value),
    "Groups": _is_list,
}
# Texts that may be anything; the others are one of a few words.
FREE_TEXT = ("title", "where", "path", "text", "checkpoint", "latex", "reference", "inputs", "outputs")

# By function and parameter, more values that are wrong though of the right type.
OUT_OF_RANGE: dict[str, dict[str, tuple[Any, ...]]] = {
    "MultKAN": {
        "width": ([2], [2, 0, 1], [2, -1], [2, [1, -1], 1], [[1, 1], 1], [2, 2.5, 1], [2, True, 1], "21", 3),
        "mult_arity": (1, 0, [[2]], [[], [1], []], [2], ["a"]),
        "grid": (0, -1, 10**9), "k": (-1, 6), "grid_range": ((1, 1), (1, 0), (0, inf), (0,), ("a", "b")),
        "grid_eps": (-0.1, 1.1), "noise_scale": (-1, -1e-9), "seed": (-1, 2**64), "inputs": ("ab", ["a", "a"], [1, 2]),
        "outputs": ("a", [1], ["a", "b"]), "device": ("cuda" if not torch.cuda.is_available() else "xpu", "nowhere"),
    },
    "MultKAN.fit": {
        "lamb": (-1,), "steps": (-1,), "seconds": (-1, "a"), "restarts": (0, -1), "n_jobs": (0,), "lr": (0.0, -1),
        "batch": (0,), "seed": (-1,), "grids": ([], [5, 0], 5, [2.5], ["5"]), "tolerance": (-1e-9,), "patience": (0,),
        "callbacks": (print, [3], 3), "checkpoint_every": (0,), "roughness": (-1,), "smoothing": (-1,),
        "lamb_l1": (-1,), "lamb_entropy": (-1,), "lamb_coef": (-1,), "lamb_smooth": (-1,),
        "loss": ("hinge", 3, [1], OBJECT),
        "sample_weight": ([1.0], [-1.0] * 300, [nan] * 300, "a", OBJECT, [0.0] * 300, [1j] * 300, 2.0),
        "validation": (0.0, 1.0, -0.2, nan, 1, 2, True, "a", OBJECT), "test": (3, "a", OBJECT),
    },
    "MultKAN.prune": {"node_th": (-1,), "edge_th": (-1,), "input_th": (-1,)},
    "MultKAN.prune_node": {"threshold": (-1,), "active": ([[0], [0]], [[9]], [["a"]], [[-1]], [0], "a")},
    "MultKAN.prune_edge": {"threshold": (-1,)},
    "MultKAN.prune_input": {"threshold": (-1,), "active": (["z"], [9], "xy", [-1], [True])},
    "MultKAN.auto_prune": {
        "max_growth": (0.5, -1), "floor": (-1,), "steps": (-1,), "sample_weight": ([1.0], "a", [nan] * 300),
    },
    "MultKAN.auto_symbolic": {
        "library": (["nope"], "sin", [], [3]), "weight_simple": (-1,), "max_growth": (0.5,), "tries": (0,),
        "steps": (-1,), "accuracy": (-1,), "sample_weight": ([1.0], "a", [nan] * 300),
    },
    "MultKAN.suggest_symbolic": {"library": (["nope"], "sin", []), "top": (0, -1), "weight_simple": (-1,)},
    "MultKAN.fix_symbolic": {"function": ("nope",), "affine": ([1, 2, 3], [1, 2, 3, "a"], [1, 2, 3, nan])},
    "MultKAN.refine": {"grid": (0, -1, 10**9), "k": (-1, 6)},
    "MultKAN.expand_width": {
        "layer": (0, 2, -1), "n_nodes": (0, -1), "mult_arity": (1, 0), "noise_scale": (-1,), "seed": (-1,),
    },
    "MultKAN.expand_depth": {"layer": (-1, 9)},
    "MultKAN.perturb": {"mag": (-1,), "seed": (-1,), "mode": ("some",)},
    "MultKAN.swap": {"layer": (0, 9), "i": (-1, 9), "j": (-1, 9)},
    "MultKAN.remove_node": {"layer": (0, 9), "node": (-1, 9)},
    "MultKAN.module": {"start_layer": (-1, 9), "chain": ("", "a->b", "[9]->[0]", 3)},
    "MultKAN.sparse": {"neighbours": (0, -1)},
    "MultKAN.augment": {"definitions": ("r", {"r": 3}, {3: "x"}, {"x": "x**2"}, {"r": "nope"})},
    "MultKAN.attribute": {"outputs": ("z", 5, -1)},
    "MultKAN.feature_interaction": {"output": (1, -1)},
    "MultKAN.relevance": {"folds": (1, 0, 10**6), "draws": (2,), "steps": (-1,), "seed": (-1,)},
    "MultKAN.snap_constants": {"accuracy": (-1,), "max_chance": (-0.1, 1.1), "sample_weight": ([1.0], "a")},
    "MultKAN.try_function": {"steps": (-1,), "function": ("nope",)},
    "MultKAN.try_variables": {"steps": (-1,), "definitions": ("r", {"r": 3}, {"r": "nope"})},
    "MultKAN.symbolic_formula": {"digits": (0, -1, 10**9)},
    "MultKAN.latex": {"digits": (0, -1, 10**9)},
    "MultKAN.plot": {"beta": (0, -1), "scale": (0, -1), "in_vars": (["a"], "ab", [1, 2]), "out_vars": (["a", "b"],)},
    "MultKAN.get_fun": {"n": (1, 0)},
    "MultKAN.compare": {"other": (3, "a", None, MultKAN)},
    "plotting.Film": {"every": (0, -1)},
    "plotting.Film.save": {"fps": (0, -1), "dpi": (0, -1)},
    "plotting.plot_history": {"history": (3, [], OBJECT)},
    "plotting.plot_pareto": {"table": (3, [], OBJECT)},
    "sample_function": {
        "n": (0, -1), "n_test": (-1,), "noise": (-1,), "seed": (-1,),
        "ranges": ({}, [], 3, "ab", [(1,)], [(0, nan)], [("a", 1)], {"x": (1, 0), "y": (0, 1)}),
    },
    "augment": {"definitions": ("r", {"r": 3}, {3: "x"}), "names": ("ab", [1, 2], ["a"])},
    "from_tree": {"hidden": (0, -1), "grid": (0,), "k": (6,), "separable": ("both",), "seed": (-1,)},
    "tree": {"seed": (-1,), "names": ("ab", [1, 2])},
    "chunked": {"rows": (0, -1)},
    "jet": {"order": (4, -1)},
    "directional": {"order": (4, -1), "v": ("a", OBJECT, [1.0])},
    "uncertainties": {"accuracy": (-1,), "sample_weight": ([1.0], "a")},
    "KANLayer": {
        "in_features": (0, -1), "out_features": (0, -1), "arities": ((0,), ("a",), 3), "grid": (0,), "k": (6,),
        "noise_scale": (-1,), "grid_range": ((1, 0),), "generator": (3, "a"),
    },
    "KANConv2d": {
        "in_channels": (0, -1, 3), "out_channels": (0, -1, 3), "kernel_size": (0, (1, 2, 3)), "stride": (0,),
        "dilation": (0,), "groups": (0, 3), "padding": (-1, "some"), "padding_mode": ("some",),
    },
    "BasisSpec": {"grid": (0,), "k": (6,), "grid_eps": (-1, 2), "margin": (-1, 10), "kind": (3,), "base_fun": (None,)},
    "LayerSpec": {"n_in": (0, -1), "n_sum": (-1,), "arities": ((0,), ("a",)), "numeric": ("some", ((0, 9),), (0,)),
                  "terms": ((3,),), "basis": (3, "bspline")},
    "NetworkSpec": {"layers": ((), (3,), 3), "inputs": ("ab", (1, 2)), "outputs": ((1,), "y"), "features": ((1, 2),),
                    "auxiliary": (3, ((1, 2),), ("ab",))},
    "SymbolicTerm": {"target": (-1,), "source": (-1,), "function": ("nope",), "free": ("z",)},
    "functions.SymbolicFunction": {
        "name": ("",), "complexity": (-1,), "gauge": ("some",), "domain": ((1, 0), (0,), ("a", "b"), (0, nan)),
    },
    "estimators.KANRegressor": {
        "hidden": (5, "5", [0], [-1], [2.5]), "grid": (0,), "k": (6,), "steps": (-1,), "lamb": (-1,), "restarts": (0,),
        "n_jobs": (0,), "random_state": (-1, "a", 2.5, OBJECT), "mult_arity": (1,), "opt": ("sgd",), "base_fun": ("x",),
    },
    "estimators.KANClassifier": {"label_smoothing": (-0.1, 1.1), "hidden": (5,)},
    "estimators.KANRegressor.formula": {"digits": (0, -1)},
    "estimators.KANClassifier.formula": {"digits": (0, -1)},
    "treeconv.convert": {
        "names": ([1, 2], "ab", ["a"], ["a", "a"]), "n_samples": (0, -1, 5), "error": (-1, nan, "a", OBJECT, [0, 0, 0]),
        "y": ("a", [1, 2], OBJECT, 3), "x": ("a", 3, OBJECT, [[1, 2]]), "f": (3,),
    },
    "treeconv.multiplicative_separability": {"groups": ([[0]], [[0], [0]], [[9], [0]], 3, "ab"), "bias": ("a",)},
    "treeconv.find_groups": {"kind": ("some",)},
    "treeconv.anatomy": {"threshold": (-0.1, 1.1), "names": ("ab", [1, 2], ["a"])},
    "treeconv.plot": {"ax": (3, "a", OBJECT)},
    "kanpiler.compile": {
        "domain": ({"x": (1, 0)}, {"x": (0, nan)}, {"x": 3}, {"x": "01"}, {"z": (0, 1)}, 3, {"x": (True, 2)}),
        "inputs": (3, [3], ["x"], "xy z"), "approximate": ("yes", 1), "grid": (0, 2.5), "edges": ("some",),
        "optimize": ("some", 3),
    },
    "kanpiler.explain": {"domain": ({"x": (1, 0)}, 3), "inputs": (3, [3], ["x"]), "optimize": ("some", 3)},
    "kanpiler.decompile": {"network": (3, "x", None)},
    "MultKAN.jet": {"order": (4, -1)},
    "MultKAN.reset_parameters": {"noise_scale": (-1,), "seed": (-1, 2**64)},
    "MultKAN.from_spec": {"spec": ("x", 3, None, OBJECT), "device": ("nowhere", "")},
    "MultKAN.from_values": {"spec": ("x", 3, None), "values": ("x", [3], [None], [], 3)},
    "MultKAN.from_layers": {"spec": ("x", 3, None), "layers": ("x", [3], [None], [], 3)},
    "MultKAN.load": {"map_location": ("nowhere", "")},
    "tables.read": {
        "columns": (["z"], [[]], {"a", "b"}), "names": ("ab", [1, 2], ["a"], {"c", "d"}), "delimiter": ("::", ""),
        "decimal": ("", ";"), "encoding": ("no such", ""), "max_bytes": (0, -1), "format": ("xls",),
    },
    "datasets.load": {"n": (0, -1, 11, 10**30), "n_test": (-1, 10**30), "seed": (-1,), "noise": (-1,)},
}  # fmt: skip

# By function and parameter, values that are right though an annotation alone would not say so.
RIGHT: dict[str, dict[str, tuple[Any, ...]]] = {
    # What there is is known where bases are evaluated.
    "BasisSpec": {"kind": ("no such", ""), "base_fun": ("no such", "")},
    "SymbolicTerm": {"free": ("",)},
    "functions.SymbolicFunction": {"name": ("no such",), "inverse": ("no such", "")},
    "tables.read": {"comment": ("no such", "")},
    # One input is as good as a list of one.
    "treeconv.generalised_symmetry": {"group": (-1, 0)},
    "treeconv.symmetry_variable": {"inputs": (-1, 0)},
}

# Public names that take no options of their own, or whose options others check.
NO_OPTIONS = {
    "kan2": {"SymbolicFunction", "Dataset", "Edge", "History", "Jet", "Kan2Error", "LayerValues", "discover", "load",
             "errors", "estimators", "functions", "plotting", "datasets", "tables", "fit", "MultKAN"},
    "verbs": {"from_tree", "_tree_of_data", "tree", "prune_irrelevant"},
    "functions": {"names", "revision", "DEFAULT_LIBRARY", "FREE", "BUILT_IN"},
    "treeconv": {"Anatomy", "Evidence", "Tree", "Diagram", "ExpressionError", "SampleError", "TreeError", "from_json",
                 "study", "tree", "subject", "TreeTypeError"},
    "kanpiler": {"report"},
}  # fmt: skip


@cache
def fitted() -> MultKAN:
    model = MultKAN([2, [2, 1], 1], grid=2, inputs=["x", "y"])
    model.fit(HELLO, steps=2)
    return model


@cache
def formula() -> MultKAN:
    model = kanpiler.compile("2*x + sin(y)", inputs=["x", "y"])
    model.data = HELLO
    return model


def _sum(x: Any) -> Any:
    return x[:, 0] + x[:, 1]


@cache
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(1, 2, (60, 2))


@cache
def saved() -> str:
    path = Path(mkdtemp()) / "net.kan"
    fitted().save(path)
    return str(path)


@cache
def tree_of_sum() -> Any:
    return treeconv.convert(_sum, points())


class _Fitted:
    """An estimator that is fitted with options, as scikit-learn wants them checked."""

    def __init__(self, kind: str) -> None:
        self.kind = getattr(kan2.estimators, kind)
        self.__signature__ = inspect.signature(self.kind)

    def __call__(self, **options: Any) -> Any:
        y = points().sum(1)
        return self.kind(**options).fit(points(), y > np.median(y) if "Classifier" in self.kind.__name__ else y)


@cache
def fitted_estimator(kind: str) -> Any:
    return _Fitted(kind)(hidden=(), steps=1)


@cache
def film() -> Any:
    made = kan2.plotting.Film(HELLO)
    made.frames = [("a", fitted())]
    return made


EDGE = {"edge": (0, 0, 0)}
VERBS: dict[str, dict[str, Any]] = {
    "fit": {"data": HELLO, "steps": 1},
    "attribute": {}, "feature_score": {}, "relevance": {"steps": 1, "draws": 3, "folds": 2},
    "feature_interaction": {}, "compare": {"other": None},
    "prune": {}, "prune_node": {}, "prune_edge": {}, "prune_input": {}, "auto_prune": {"steps": 1},
    "simplify": {}, "sparse": {}, "refine": {"grid": 4}, "expand_width": {"layer": 1}, "expand_depth": {},
    "perturb": {},
    "augment": {"definitions": {"r": "x*y"}}, "module": {"start_layer": 0, "chain": "[0]->[0]"},
    "remove_edge": EDGE, "remove_node": {"layer": 1, "node": 0}, "swap": {"layer": 1, "i": 0, "j": 1}, "auto_swap": {},
    "suggest_symbolic": EDGE, "fix_symbolic": {**EDGE, "function": "sin"}, "unfix_symbolic": EDGE,
    "auto_symbolic": {"steps": 1}, "snap_constants": {}, "try_variables": {"definitions": {"r": "x*y"}, "steps": 1},
    "try_function": {**EDGE, "function": "sin", "steps": 1}, "symbolic_formula": {}, "latex": {}, "plot": {},
    "plot_edge": EDGE, "plot_scores": {}, "get_fun": EDGE, "get_range": EDGE,
}  # fmt: skip
SPEC = kan2.NetworkSpec((kan2.LayerSpec(2, 1),))
OF_FORMULAS = ("unfix_symbolic", "snap_constants", "symbolic_formula", "latex")
TREECONV = {"f": _sum, "x": None}


def _calls() -> dict[str, tuple[Callable[[], Callable[..., Any]], dict[str, Any]]]:
    """By name: what gives the function, and arguments with which it does its work."""
    calls: dict[str, tuple[Callable[[], Callable[..., Any]], dict[str, Any]]] = {
        "Dataset.of": (lambda: kan2.Dataset.of, {"data": {"a": [1.0, 2.0], "b": [3.0, 4.0]}, "target": "b"}),
        "MultKAN": (lambda: MultKAN, {"width": [2, [1, 1], 1]}),
        "BasisSpec": (lambda: kan2.BasisSpec, {}),
        "LayerSpec": (lambda: kan2.LayerSpec, {"n_in": 1, "n_sum": 1}),
        "NetworkSpec": (lambda: kan2.NetworkSpec, {"layers": (kan2.LayerSpec(2, 1),)}),
        "SymbolicTerm": (lambda: kan2.SymbolicTerm, {"target": 0, "source": 0, "function": "sin"}),
        "KANLayer": (lambda: kan2.KANLayer, {"in_features": 2, "out_features": 1}),
        "KANConv2d": (lambda: kan2.KANConv2d, {"in_channels": 2, "out_channels": 2, "kernel_size": 2, "groups": 2}),
        "augment": (lambda: kan2.augment, {"data": HELLO, "definitions": {"r": "x*y"}}),
        "sample_function": (lambda: kan2.sample_function, {"f": "x*y", "ranges": {"x": (0, 1), "y": (0, 1)}, "n": 5}),
        "tree": (lambda: kan2.tree, {"data": HELLO}),
        "from_tree": (lambda: kan2.from_tree, {"tree": None}),
        "chunked": (lambda: kan2.chunked, {"module": torch.nn.Identity(), "x": torch.ones(3, 2)}),
        "jet": (lambda: kan2.jet, {"model": None, "x": torch.zeros(3, 2)}),
        "directional": (lambda: kan2.directional, {"model": None, "x": torch.zeros(3, 2), "v": [1.0, 0.0]}),
        "laplacian": (lambda: kan2.laplacian, {"model": None, "x": torch.zeros(3, 2)}),
        "uncertainties": (lambda: kan2.uncertainties, {"model": None}),
        "functions.get": (lambda: kan2.functions.get, {"name": "sin"}),
        "functions.inner_point": (lambda: kan2.functions.inner_point, {"function": kan2.functions.get("sin")}),
        "functions.register": (lambda: kan2.functions.register, {"function": kan2.functions.get("sin")}),
        "functions.smooth": (lambda: kan2.functions.smooth, {"value": np.sin, "derivative": torch.cos}),
        "plotting.Film": (lambda: kan2.plotting.Film, {"data": HELLO}),
        "plotting.Film.save": (lambda: film().save, {"path": "film.gif"}),
        "plotting.plot_history": (lambda: kan2.plotting.plot_history, {"history": kan2.History()}),
        "plotting.plot_pareto": (lambda: kan2.plotting.plot_pareto, {"table": None}),
        "estimators.KANRegressor": (lambda: _Fitted("KANRegressor"), {"hidden": (), "steps": 1}),
        "estimators.KANClassifier": (lambda: _Fitted("KANClassifier"), {"hidden": (), "steps": 1}),
        "estimators.KANRegressor.formula": (lambda: fitted_estimator("KANRegressor").formula, {}),
        "estimators.KANClassifier.formula": (lambda: fitted_estimator("KANClassifier").formula, {}),
        "kanpiler.compile": (lambda: kanpiler.compile, {"expr": "x*y", "inputs": ["x", "y"]}),
        "kanpiler.explain": (lambda: kanpiler.explain, {"expr": "x*y"}),
        "kanpiler.decompile": (lambda: kanpiler.decompile, {"network": None}),
    }
    calls |= {
        "MultKAN.jet": (lambda: fitted().jet, {"x": torch.zeros(3, 2)}),
        "MultKAN.laplacian": (lambda: fitted().laplacian, {"x": torch.zeros(3, 2)}),
        "MultKAN.reset_parameters": (lambda: fitted().reset_parameters, {}),
        "MultKAN.from_spec": (lambda: MultKAN.from_spec, {"spec": SPEC}),
        "MultKAN.from_values": (lambda: MultKAN.from_values, {"spec": SPEC, "values": [kan2.LayerValues()]}),
        "MultKAN.from_layers": (lambda: MultKAN.from_layers, {"spec": SPEC, "layers": [kan2.KANLayer(2, 1)]}),
        "MultKAN.load": (lambda: partial(MultKAN.load, path=saved()), {}),
        "MultKAN.save": (lambda: fitted().save, {}),
        "tables.read": (lambda: kan2.tables.read, {"source": b"a,b\n1,2\n3,4\n"}),
        "datasets.load": (lambda: kan2.datasets.load, {"name": "planets"}),
        "datasets.names": (lambda: kan2.datasets.names, {}),
        "datasets.describe": (lambda: kan2.datasets.describe, {}),
        "datasets.table": (lambda: kan2.datasets.table, {}),
    }
    row = {"name": "new", "torch": torch.sin, "sympy": lambda u: u, "complexity": 3}
    calls["functions.SymbolicFunction"] = (lambda: kan2.SymbolicFunction, row)
    for name, given in VERBS.items():
        model = formula if name in OF_FORMULAS else fitted
        calls[f"MultKAN.{name}"] = (lambda name=name, model=model: getattr(model(), name), given)
    tests = ("additive_separability", "multiplicative_separability", "generalised_separability")
    others = ("generalised_symmetry", "pair_symmetries", "symmetry_variable", "irrelevance", "find_groups")
    for name in ("convert", *tests, *others):
        given: dict[str, Any] = dict(TREECONV)
        if name.endswith("separability"):
            given["groups"] = [[0], [1]]
        given |= {"irrelevance": {"inputs": 0}, "generalised_symmetry": {"group": [0, 1]}, "pair_symmetries":
                  {"pair": [0, 1]}, "symmetry_variable": {"variable": "x1 + x2"}}.get(name, {})  # fmt: skip
        calls[f"treeconv.{name}"] = (lambda name=name: getattr(treeconv, name), given)
    calls["treeconv.anatomy"] = (lambda: treeconv.anatomy, {"model": None})
    for name in ("plot", "to_graphviz", "skeleton", "to_json", "structure"):
        calls[f"treeconv.{name}"] = (lambda name=name: getattr(treeconv, name), {"tree": None})
    calls["treeconv.compare"] = (lambda: treeconv.compare, {"first": None, "second": None})
    return calls


CALLS = _calls()


def _given(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function and its arguments, with what takes long to make put in."""
    function, given = CALLS[name][0](), dict(CALLS[name][1])
    for key, value in given.items():
        if value is not None:
            continue
        if key in ("tree", "first", "second"):
            given[key] = tree_of_sum()
        elif key == "x":
            given[key] = points()
        elif key == "table":
            table = kan2.plotting.charts.ParetoTable(10, 1e-12)
            table.add(formula(), 0.1)
            given[key] = table
        else:
            given[key] = formula() if name in ("uncertainties", "kanpiler.decompile") else fitted()
    return function, given


def _wrong(annotation: Any, parameter: str) -> list[Any]:
    """The candidates that an annotation does not allow; none where it allows anything."""
    text = (
        annotation
        if isinstance(annotation, str)
        else re.sub(r"[\w.]+\.(\w+)", r"\1", inspect.formatannotation(annotation))
    )
    outer = re.sub(r"\[[^][]*\]", "", re.sub(r"\[[^][]*\]", "", re.sub(r"\[[^][]*\]", "", text)))
    words = {word.strip() for word in re.split(r"[|]", outer)}
    if not words or not words <= ALLOWED.keys():
        return []
    wrong = [c for c in CANDIDATES if not any(ALLOWED[word](c) for word in words)]
    if "str" in words and "Sequence" not in words and parameter not in FREE_TEXT:
        wrong += ["no such", ""]
    return wrong


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    function, _ = _given(name)
    return {key: value for key, value in inspect.signature(function).parameters.items() if key != "model"}


def _is_typed(error: BaseException) -> bool:
    return isinstance(error, Kan2Error | treeconv.TreeError)


@pytest.mark.parametrize("name", list(CALLS))
def test_wrong_values_are_refused_at_once_by_a_typed_error(name):
    if "plot" in name:
        kan2.plotting.plot(formula())  # imports matplotlib
    function, given = _given(name)
    models = [fitted(), formula()]
    before = [state(model) for model in models]
    troubles = []
    for parameter, description in _parameters(name).items():
        wrong = [*_wrong(description.annotation, parameter), *OUT_OF_RANGE.get(name, {}).get(parameter, ())]
        right = RIGHT.get(name, {}).get(parameter, ())
        for value in wrong:
            if any(type(value) is type(r) and value == r for r in right):
                continue
            start, call = time.process_time(), f"{name}({parameter}={value!r})"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    function(**{**given, parameter: value})
            except Exception as error:
                if not _is_typed(error):
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    troubles.append(
                        f"{call}: raw {type(error).__name__}: {str(error)[:90]} [{where.filename}:{where.lineno}]"
                    )
                elif not re.search(r": (expected|unknown|undeclared|domain names|no such)", str(error)):
                    troubles.append(f"{call}: says {error}")
            else:
                troubles.append(f"{call}: accepted")
            if time.process_time() - start > LONGEST:
                troubles.append(f"{call}: took {time.process_time() - start:.1f} s")
    assert not troubles, "\n" + "\n".join(troubles)
    assert all(same(old, state(model)) for old, model in zip(before, models))


def test_every_public_function_is_walked():
    walked = set(CALLS)
    missing = [name for name in kan2.__all__ if name not in walked | NO_OPTIONS["kan2"]]
    missing += [verb for verb in _VERBS if f"MultKAN.{verb}" not in walked and verb not in NO_OPTIONS["verbs"]]
    for package, prefix in ((kan2.functions, "functions"), (kan2.plotting, "plotting"), (treeconv, "treeconv"),
                            (kanpiler, "kanpiler")):  # fmt: skip
        for name in dir(package):
            value = getattr(package, name)
            is_ours = getattr(value, "__module__", "").startswith(("kan2", "treeconv", "kanpiler"))
            is_known = f"{prefix}.{name}" in walked or f"MultKAN.{name}" in walked or name in walked
            records = (Exception, kanpiler.Report, kanpiler.Explanation)
            is_record = isinstance(value, type) and issubclass(value, records)
            is_known |= name in NO_OPTIONS.get(prefix, ()) or name.startswith("_") or is_record
            if is_ours and callable(value) and not is_known:
                missing.append(f"{prefix}.{name}")
    assert not missing


def test_numbers_of_numpy_are_numbers():
    two, five, small = np.int64(2), np.int32(5), np.float32(0.5)
    model = MultKAN(
        np.array([2, 2, 1]), grid=five, k=np.int8(3), noise_scale=small, seed=two, grid_range=np.array([0, 1])
    )
    history = model.fit(HELLO, steps=two, lamb=np.float64(1e-6), grids=np.array([3, 5]), seed=two, restarts=two)
    assert [row for row in history["grid"] if row == 5]
    assert model.refine(np.int64(10)).spec.layers[0].basis.grid == 10
    assert model.swap(np.int64(1), np.int64(0), np.int64(1)).width == model.width
    assert model.remove_edge((np.int64(0), np.int64(0), np.int64(1))).spec.n_edges == 5
    assert model.expand_width(np.int64(1), two, np.True_).width == [[2, 0], [4, 0], [1, 0]]
    assert model.prune(node_th=small, edge_th=np.float64(0)).width[0] == [2, 0]
    assert len(model.get_fun((0, 0, 0), n=five)[0]) == 5
    assert kan2.NetworkSpec.from_json(model.spec.to_json()) == model.spec
    assert len(kan2.sample_function("x", {"x": (np.int64(0), np.float32(1))}, n=five)) == 5


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: _Fitted("KANRegressor")(hidden=5), SpecError, r"Pass hidden=\(5,\)"),
        (lambda: MultKAN([2, 1], seed="a"), SpecError, "seed as a whole number from 0 to 2.63 - 1, got 'a'"),
        (lambda: MultKAN([2, 1], dtype=int), SpecError, "dtype as torch.float64 or torch.float32, got <class 'int'>"),
        (lambda: MultKAN([2, 1], inputs="xy"), SpecError, r"inputs as a list of names, got 'xy'. Pass inputs="),
        (lambda: MultKAN([2, 1], device="nowhere"), SpecError, "a device that torch can use here, got 'nowhere'"),
        (lambda: fitted().fit(callbacks=print), TrainingError, r"Pass callbacks=\[function\]"),
        (lambda: fitted().fit(seed="a"), TrainingError, "fit: expected seed as a whole number"),
        (lambda: fitted().fix_symbolic((0, 0), "sin"), EdgeError, r"an edge \(layer, target, source\) of three"),
        (lambda: fitted().remove_edge((0.0, 0, 0)), EdgeError, r"whole numbers, got \(0.0, 0, 0\)"),
        (lambda: fitted().auto_symbolic(library="sin"), DataError, "library as a list of names of functions, got"),
        (lambda: fitted().auto_symbolic(library=["sni"]), UnknownNameError, "unknown function 'sni'. Did you mean"),
        (lambda: fitted().plot(scale=-1), DataError, "plot: expected scale as a finite number > 0, got -1"),
        (lambda: fitted().plot(in_vars=["a"]), ShapeError, "plot: expected 2 in_vars, got 1: a"),
        (lambda: fitted().prune(node_th=nan), EdgeError, "node_th as a finite number >= 0, got nan"),
        (lambda: kan2.fit("model.pt", HELLO), TrainingError, "a network, such as a MultKAN, got 'model.pt'"),
        (lambda: treeconv.convert(_sum, points(), "ab"), treeconv.SampleError, "expected 2 different names, got 'ab'"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(SpecError, match="Pass device='cpu', or leave it out"):
        MultKAN([2, 1], device="cuda")


@pytest.mark.parametrize("weight", [[1.0] * 299, [-1.0] * 300, [nan] * 300, "a", [[1.0]] * 300])
def test_sample_weights_are_refused_before_a_step(weight):
    model = MultKAN([2, 1])
    with pytest.raises(
        (ShapeError, DataError), match=r"300 non-negative sample weights|sample_weight: expected numbers"
    ):
        model.fit(HELLO, sample_weight=weight, callbacks=[lambda *_: pytest.fail("trained")])


@pytest.mark.parametrize("verb", ["snap_constants", "auto_prune", "auto_symbolic", "relevance"])
def test_targets_of_another_number_of_outputs_are_refused(verb):
    model = kanpiler.compile(["x", "y**2"], inputs=["x", "y"])
    with pytest.raises(ShapeError, match=f"{verb}: expected targets with 2 columns, got 1"):
        getattr(model, verb)((HELLO.X, HELLO.y))


def test_an_empty_dict_is_no_data():
    with pytest.raises(DataError, match="dict"):
        fitted().auto_swap({})


@pytest.mark.parametrize("name", sorted(set(_VERBS) - {"load", "_tree_of_data", "from_tree"}))
@pytest.mark.parametrize("model", ["x", MultKAN, None], ids=["text", "class", "none"])
def test_what_is_no_network_is_refused_by_every_verb(name, model):
    module, _, place = _VERBS[name].partition(":")
    module, inner = (module, place) if place else module.rsplit(".", 1)
    function = getattr(import_module(module), inner)
    given = {key: value for key, value in VERBS.get(name, {}).items() if key != "data"}
    shown = {"save": {"path": "never.kan"}}.get(name, {})
    with pytest.raises(Kan2Error, match=r"\w: expected a (network|MultKAN)"):
        function(model, **{"data": HELLO} if "data" in inspect.signature(function).parameters else {}, **given, **shown)


@pytest.mark.parametrize("call", [kan2.jet, kan2.laplacian, kan2.uncertainties])
def test_functions_of_a_network_refuse_what_is_none(call):
    with pytest.raises(Kan2Error, match=f"{call.__name__}: expected a network, such as a MultKAN, got 'x'"):
        call("x", HELLO.X)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: kan2.chunked("x", HELLO.X), DataError, "chunked: expected a module, such as a MultKAN, got 'x'"),
        (lambda: kan2.chunked(fitted(), "x"), ShapeError, "chunked: expected x as a tensor of rows, got str"),
        (lambda: kan2.directional("x", HELLO.X, HELLO.X), SpecError, "directional: expected a network"),
        (lambda: kan2.directional(fitted(), HELLO.X, {"a": 1}), ShapeError, "got dict. Pass a list or an array"),
        (lambda: fitted().jet(HELLO.X, ordr=1), OptionError, "jet: unknown option 'ordr'. Did you mean 'order'"),
        (lambda: fitted().laplacian(HELLO.X, order=1), OptionError, "laplacian: unknown option 'order'. Known: x."),
        (lambda: fitted().reset_parameters(sed=1), OptionError, "Did you mean 'seed'"),
        (lambda: MultKAN.from_spec(SPEC, dtyp=1), OptionError, "from_spec: unknown option 'dtyp'"),
        (lambda: MultKAN.from_values(SPEC, [], dtyp=1), OptionError, "from_values: unknown option 'dtyp'"),
        (lambda: MultKAN.from_layers(SPEC, layer=1), OptionError, "from_layers: unknown option 'layer'. Did you mean"),
    ],
)
def test_what_else_is_no_network_or_option(call, error, text):
    with pytest.raises(error, match=text):
        call()


HUGE = 10**30


@pytest.mark.parametrize(
    "call",
    [
        *(lambda name=name: kan2.KANLayer(**{"in_features": 2, "out_features": 1, name: HUGE})
          for name in ("in_features", "out_features")),
        *(lambda name=name: kan2.KANConv2d(**{"in_channels": 2, "out_channels": 2, "kernel_size": 2, name: HUGE})
          for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")),
        lambda: kan2.KANLayer(2, 1, arities=(HUGE,)),
        lambda: kan2.LayerSpec(HUGE, 1),
        lambda: kan2.KANLayer(10**6, 10**6),
        lambda: kan2.sample_function("x", {"x": (0, 1)}, n=HUGE),
        lambda: kan2.sample_function("x", {"x": (0, 1)}, n_test=HUGE),
        lambda: kan2.discover(HELLO, mult_arity=HUGE),
        lambda: MultKAN([HUGE, 1]),
        lambda: MultKAN([2, HUGE, 1]),
        lambda: MultKAN([2, [1, HUGE], 1]),
        lambda: MultKAN([2, [1, 1], 1], mult_arity=HUGE),
        lambda: fitted().expand_width(1, n_nodes=HUGE),
        lambda: fitted().get_fun((0, 0, 0), n=HUGE),
        lambda: fitted().relevance(draws=HUGE),
    ],
)  # fmt: skip
def test_sizes_that_are_slips_are_refused_with_one_sentence(call):
    with pytest.raises(Kan2Error, match=r"expected .* as a whole number from \d to 1,000,000.*Larger ones are taken"):
        call()


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**5000], ids=["400", "minus", "5000"])
def test_numbers_beyond_every_float_are_refused_and_shown_short(value):
    for check in (options.number, options.whole, options.seed, options.size):
        name = () if check is options.seed else ("n",)
        if check is not options.whole or value < 0:
            with pytest.raises(DataError, match=r"got -?1e\+\d+\."):
                check("f", *name, value)
    assert options.whole("f", "n", 10**30) == 10**30  # steps may be as many as one likes


@pytest.mark.parametrize("strength", ["smoothing", "roughness", "lamb"])
def test_strengths_beyond_every_float_are_refused(strength):
    with pytest.raises(TrainingError, match=f"fit: expected {strength} as a finite number"):
        fitted().fit(HELLO, **{strength: 10**400})


def test_arities_may_be_a_tensor():
    generator = torch.Generator().manual_seed(0)
    assert kan2.KANLayer(2, 1, arities=torch.tensor([2, 3]), generator=generator).spec.arities == (2, 3)
    with pytest.raises(SpecError, match="arities as whole numbers"):
        kan2.KANLayer(2, 1, arities=torch.ones(2, 2))
    with pytest.raises(SpecError, match="arities as a list of numbers of factors, got 3"):
        kan2.KANLayer(2, 1, arities=torch.tensor(3))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b", "a"}, r"a set. Pass a list, such as names=\['a', 'b'\]"),
        (frozenset({"b", "a"}), r"a frozenset. Pass a list, such as names=\['a', 'b'\]"),
        ({"b": 1, "a": 2}.keys(), r"a dict_keys. Pass a list, such as names=\['b', 'a'\]"),
        ({1: "b", 2: "a"}.values(), r"got dict_values\(\['b', 'a'\]\). Pass names="),
        ({"b": 1, "a": 2}.items(), "a dict_items. Pass a list"),
        (set(), "a set. Pass a list"),
    ],
)
def test_names_have_an_order(value, text):
    with pytest.raises(DataError, match=f"f: expected names as a list of names.*{text}"):
        options.names("f", "names", value)


def test_what_has_an_order_is_no_set():
    with pytest.raises(SpecError, match="MultKAN: expected inputs as a list of names, whose order decides"):
        MultKAN([2, 1], inputs={"x", "y"})
    with pytest.raises(DataError, match="augment: expected names as a list of names, whose order decides"):
        kan2.augment(HELLO, {"r": "x*y"}, names={"x", "y"})
    with pytest.raises(DataError, match=r"ranges as a list of pairs .*, whose order decides"):
        kan2.sample_function(_sum, {(0, 1), (2, 3)})
    with pytest.raises(SpecError, match="arities as a list of numbers of factors, whose order decides"):
        kan2.KANLayer(2, 1, arities={2, 3})
