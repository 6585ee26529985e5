"""Calls of all public functions that have options, with arguments with which each does its work."""

import inspect
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
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
from kan2 import MultKAN
from tests.training import HELLO


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


def both(x: Any) -> Any:
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
    return treeconv.convert(both, points())


class Fitted:
    """An estimator that is fitted with options, as scikit-learn wants them checked."""

    def __init__(self, kind: str) -> None:
        self.kind = getattr(kan2.estimators, kind)
        self.__signature__ = inspect.signature(self.kind)

    def __call__(self, **options: Any) -> Any:
        y = points().sum(1)
        return self.kind(**options).fit(points(), y > np.median(y) if "Classifier" in self.kind.__name__ else y)


@cache
def fitted_estimator(kind: str) -> Any:
    return Fitted(kind)(hidden=(), steps=1)


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
TREECONV = {"f": both, "x": None}


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
        "estimators.KANRegressor": (lambda: Fitted("KANRegressor"), {"hidden": (), "steps": 1}),
        "estimators.KANClassifier": (lambda: Fitted("KANClassifier"), {"hidden": (), "steps": 1}),
        "estimators.KANRegressor.formula": (lambda: fitted_estimator("KANRegressor").formula, {}),
        "estimators.KANClassifier.formula": (lambda: fitted_estimator("KANClassifier").formula, {}),
        "kanpiler.Parameter": (lambda: kanpiler.Parameter, {}),
        "kanpiler.Unknown": (lambda: kanpiler.Unknown, {}),
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
        "datasets.nist": (lambda: kan2.datasets.nist, {}),
        "datasets.nist_names": (lambda: kan2.datasets.nist_names, {}),
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


def prepared(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
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


def parameters_of(name: str) -> dict[str, inspect.Parameter]:
    function, _ = prepared(name)
    return {key: value for key, value in inspect.signature(function).parameters.items() if key != "model"}
