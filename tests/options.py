"""Values that the annotation of an option does not allow, or its range."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite, nan
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kan2 import MultKAN

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
    "kanpiler.Parameter": dict.fromkeys(("per", "unit", "name", "of"), ("no such", "")),
    "kanpiler.Unknown": {"name": ("no such", "")},
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


def wrong_values(annotation: Any, parameter: str) -> list[Any]:
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
