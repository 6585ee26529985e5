"""The verbs of a network, each a one-line delegation to the module that owns it.

`data`, wherever it appears, is a Dataset, a pair (X, y), a dict with train_input, or samples X alone; without it the
data of the last `fit` are taken. `fit` changes the network in place; every other verb that changes something returns a
new network and leaves this one as it was. Layers of nodes are counted from the inputs, which are layer 0; an edge is
(layer, target, source), where layer is the layer of its source.
"""

# pyright: reportGeneralTypeIssues=false
# The methods belong to MultKAN; the annotation of self says so, which a mixin is formally not allowed to.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from kan2.attribution import Attribution
    from kan2.edits.compare import Comparison
    from kan2.hypothesis import Verdict
    from kan2.network import MultKAN
    from kan2.relevance import Relevance
    from kan2.symbolify import Suggestions
    from kan2.training.history import History
    from kan2.types import EdgeIndex


class Verbs:
    """Methods of `MultKAN` that train, edit, read and show a network."""

    def fit(
        self: "MultKAN", data: Any = None, opt: str = "LM", steps: int | None = None, lamb: float = 0.0, **options: Any
    ) -> "History":
        """Trains the network in place, on the data of the last fit if none are given; see `kan2.training.fit.fit`."""
        from kan2.training.fit import fit

        if data is None and options.get("residual") is None:
            data = self.data
        return fit(self, data, opt, steps, lamb, **options)

    def attribute(
        self: "MultKAN", data: Any = None, *, outputs: str | int = "mean", shares: bool = False
    ) -> "Attribution":
        """Returns the attribution scores of edges, subnodes, nodes and inputs, see `kan2.attribution`."""
        from kan2.attribution import attribute

        return attribute(self, data, outputs=outputs, shares=shares)

    def feature_score(self: "MultKAN", data: Any = None) -> "Tensor":
        """Returns the attribution score of every feature that the first layer reads."""
        from kan2.attribution import feature_score

        return feature_score(self, data)

    def relevance(
        self: "MultKAN", data: Any = None, *, n_shadows: int | None = None, steps: int = 20, seed: int = 0
    ) -> "Relevance":
        """Returns the scores of the features with their noise floor, so that irrelevant ones are called so."""
        from kan2.relevance import relevance

        return relevance(self, data, n_shadows=n_shadows, steps=steps, seed=seed)

    def prune_irrelevant(self: "MultKAN", data: Any = None, **options: Any) -> "MultKAN":
        """Returns the network that reads only features that score above the noise floor."""
        from kan2.relevance import prune_irrelevant

        return prune_irrelevant(self, data, **options)

    def feature_interaction(self: "MultKAN", data: Any = None, output: int = 0) -> "Tensor":
        """Returns how strongly each pair of inputs acts together on an output."""
        from kan2.relevance import feature_interaction

        return feature_interaction(self, data, output)

    def try_variables(
        self: "MultKAN", definitions: Mapping[str, str], data: Any = None, *, steps: int = 40
    ) -> "Verdict":
        """Returns whether candidate auxiliary variables lower the error by more than chance would."""
        from kan2.hypothesis import try_variables

        return try_variables(self, definitions, data, steps=steps)

    def try_function(
        self: "MultKAN", edge: "EdgeIndex", function: str, data: Any = None, *, steps: int = 40
    ) -> "Verdict":
        """Returns whether a spline is better than a given function by more than chance would be."""
        from kan2.hypothesis import try_function

        return try_function(self, edge, function, data, steps=steps)

    def sparse(self: "MultKAN", neighbours: int = 1) -> "MultKAN":
        """Returns the network with only the edges between nearest nodes."""
        from kan2.edits.sparse import sparse

        return sparse(self, neighbours)

    def prune(
        self: "MultKAN",
        data: Any = None,
        node_th: float = 1e-2,
        edge_th: float = 3e-2,
        input_th: float | None = None,
    ) -> "MultKAN":
        """Returns the network without the nodes and edges whose scores are below the thresholds."""
        from kan2.edits.prune import prune

        return prune(self, data, node_th, edge_th, input_th)

    def prune_node(
        self: "MultKAN", data: Any = None, threshold: float = 1e-2, active: Sequence[Sequence[int]] | None = None
    ) -> "MultKAN":
        """Returns the network without hidden nodes of low score, or with only the active ones."""
        from kan2.edits.prune import prune_node

        return prune_node(self, data, threshold, active)

    def prune_edge(self: "MultKAN", data: Any = None, threshold: float = 3e-2) -> "MultKAN":
        """Returns the network without edges of low score."""
        from kan2.edits.prune import prune_edge

        return prune_edge(self, data, threshold)

    def prune_input(
        self: "MultKAN", data: Any = None, threshold: float = 1e-2, active: Sequence[int | str] | None = None
    ) -> "MultKAN":
        """Returns the network that no longer reads features of low score; it still takes all input columns."""
        from kan2.edits.prune import prune_input

        return prune_input(self, data, threshold, active)

    def compare(self: "MultKAN", other: "MultKAN", data: Any = None) -> "Comparison":
        """Returns how far another network's outputs are from this one's, and how much smaller it is."""
        from kan2.edits.compare import compare

        return compare(self, other, data)

    def simplify(self: "MultKAN") -> "MultKAN":
        """Returns the same function without dead ends, constant nodes and constant factors."""
        from kan2.edits.simplify import simplify

        return simplify(self)

    def refine(self: "MultKAN", grid: int, k: int | None = None) -> "MultKAN":
        """Returns the network on finer grids; exactly the same function where the new grid divides the old one."""
        from kan2.edits.refine import refine

        return refine(self, grid, k)

    def expand_width(
        self: "MultKAN",
        layer: int,
        n_nodes: int = 1,
        sum_bool: bool = True,
        mult_arity: int = 2,
        *,
        noise_scale: float = 0.5,
        seed: int = 0,
    ) -> "MultKAN":
        """Returns the same function with more nodes in a hidden layer, ready to be trained."""
        from kan2.edits.expand import expand_width

        return expand_width(self, layer, n_nodes, sum_bool, mult_arity, noise_scale=noise_scale, seed=seed)

    def expand_depth(self: "MultKAN", layer: int | None = None) -> "MultKAN":
        """Returns the same function with one more layer of nodes, by default after the last."""
        from kan2.edits.expand import expand_depth

        return expand_depth(self, layer)

    def perturb(
        self: "MultKAN",
        mag: float = 0.1,
        mode: Literal["non-intrusive", "minimal", "all"] = "non-intrusive",
        *,
        seed: int = 0,
    ) -> "MultKAN":
        """Returns the network with trainable splines added to its edges."""
        from kan2.edits.expand import perturb

        return perturb(self, mag, mode, seed=seed)

    def augment(self: "MultKAN", definitions: Mapping[str, str]) -> "MultKAN":
        """Returns the same function that also reads auxiliary variables, through edges that are zero so far."""
        from kan2.edits.inputs import augment

        return augment(self, definitions)

    def module(self: "MultKAN", start_layer: int, chain: str) -> "MultKAN":
        """Returns the network with a group of nodes cut off from the others, as in "[0,1]->[0]->[0]->[0]"."""
        from kan2.edits.modules import module

        return module(self, start_layer, chain)

    def remove_edge(self: "MultKAN", edge: "EdgeIndex", data: Any = None) -> "MultKAN":
        """Returns the network without one edge."""
        from kan2.edits.modules import remove_edge

        return remove_edge(self, edge, data)

    def remove_node(self: "MultKAN", layer: int, node: int, data: Any = None) -> "MultKAN":
        """Returns the network without one hidden node."""
        from kan2.edits.modules import remove_node

        return remove_node(self, layer, node, data)

    def swap(self: "MultKAN", layer: int, i: int, j: int) -> "MultKAN":
        """Returns the same function with two hidden nodes of a layer exchanged."""
        from kan2.edits.arrange import swap

        return swap(self, layer, i, j)

    def auto_swap(self: "MultKAN", data: Any = None) -> "MultKAN":
        """Returns the same function with hidden nodes arranged so that strong connections are short."""
        from kan2.edits.arrange import auto_swap

        return auto_swap(self, data)

    def auto_prune(self: "MultKAN", data: Any = None, *, max_growth: float = 1.5, **options: Any) -> "MultKAN":
        """Returns the smallest network found whose error stays within a factor of this one's."""
        from kan2.auto_prune import auto_prune

        return auto_prune(self, data, max_growth=max_growth, **options)

    def suggest_symbolic(
        self: "MultKAN",
        edge: "EdgeIndex",
        data: Any = None,
        *,
        library: Sequence[str] | None = None,
        weight_simple: float | None = None,
        top: int | None = None,
    ) -> "Suggestions":
        """Returns a table of functions that fit one edge, best first; the network is only read."""
        from kan2.symbolify import suggest_symbolic

        return suggest_symbolic(self, edge, data, library=library, weight_simple=weight_simple, top=top)

    def fix_symbolic(
        self: "MultKAN",
        edge: "EdgeIndex",
        function: str,
        data: Any = None,
        *,
        affine: Sequence[float] | None = None,
        shape: float | None = None,
        fit: bool = True,
    ) -> "MultKAN":
        """Returns the network with one edge set to a symbolic function."""
        from kan2.symbolify import fix_symbolic

        return fix_symbolic(self, edge, function, data, affine=affine, shape=shape, fit=fit)

    def unfix_symbolic(self: "MultKAN", edge: "EdgeIndex", data: Any = None) -> "MultKAN":
        """Returns the network with one symbolic edge made a spline again."""
        from kan2.symbolify import unfix_symbolic

        return unfix_symbolic(self, edge, data)

    def auto_symbolic(
        self: "MultKAN",
        data: Any = None,
        *,
        library: Sequence[str] | None = None,
        weight_simple: float | None = None,
        **options: Any,
    ) -> "MultKAN":
        """Returns the network with its splines replaced by functions; its `report` says what was chosen and why."""
        from kan2.auto_symbolic import auto_symbolic

        return auto_symbolic(self, data, library=library, weight_simple=weight_simple, **options)

    def snap_constants(self: "MultKAN", data: Any = None, **options: Any) -> "MultKAN":
        """Returns a symbolic network with its numbers made exact where the data allow; its `report` lists them."""
        from kan2.snap import snap_constants

        return snap_constants(self, data, **options)

    def symbolic_formula(
        self: "MultKAN", *, digits: int | None = None, simplify: bool = False, check: bool = True
    ) -> Any:
        """Returns the formula that equals the network: one SymPy expression, or a list for several outputs."""
        from kan2.formula import symbolic_formula

        return symbolic_formula(self, digits=digits, simplify=simplify, check=check)

    def latex(self: "MultKAN", *, digits: int | None = None, simplify: bool = False, check: bool = True) -> Any:
        """Returns the formula as LaTeX text: one string, or a list for several outputs."""
        from kan2.formula import latex

        return latex(self, digits=digits, simplify=simplify, check=check)

    def tree(self: "MultKAN", data: Any = None, **options: Any) -> Any:
        """Returns the tree that shows how the inputs combine, see `treeconv.convert`."""
        from kan2.structure import tree_of

        return tree_of(self, data, **options)

    def plot(
        self: "MultKAN",
        data: Any = None,
        *,
        beta: float = 3.0,
        in_vars: Sequence[str] | None = None,
        out_vars: Sequence[str] | None = None,
        title: str | None = None,
        scale: float = 1.0,
        ticks: bool = False,
    ) -> "Figure":
        """Returns the diagram of the network as a matplotlib Figure."""
        from kan2.plotting import plot

        return plot(self, data, beta=beta, in_vars=in_vars, out_vars=out_vars, title=title, scale=scale, ticks=ticks)

    def plot_edge(self: "MultKAN", edge: "EdgeIndex", data: Any = None) -> "Figure":
        """Returns a figure of one activation and its parts."""
        from kan2.plotting import plot_edge

        return plot_edge(self, edge, data)

    def plot_scores(self: "MultKAN", data: Any = None) -> "Figure":
        """Returns a bar chart of the scores of features and hidden nodes."""
        from kan2.plotting import plot_scores

        return plot_scores(self, data)

    def get_fun(self: "MultKAN", edge: "EdgeIndex", data: Any = None, n: int = 201) -> "tuple[np.ndarray, np.ndarray]":
        """Returns points (x, y) of one activation over the range of its source."""
        from kan2.plotting import get_fun

        return get_fun(self, edge, data, n)

    def get_range(self: "MultKAN", edge: "EdgeIndex", data: Any = None) -> tuple[float, float, float, float]:
        """Returns (x_min, x_max, y_min, y_max) of one activation."""
        from kan2.plotting import get_range

        return get_range(self, edge, data)

    def save(self: "MultKAN", path: str | Path) -> None:
        """Writes the network to one file, see `kan2.serialize.save`."""
        from kan2.serialize import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path, map_location: "torch.device | str | None" = None) -> "MultKAN":
        """Reads a network that `save` wrote."""
        from kan2.serialize import load

        return load(path, map_location)
