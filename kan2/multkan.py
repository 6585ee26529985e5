"""`MultKAN`: the network as users meet it, with its constructor and its verbs.

A verb is a function of a room below, taken as a method: `model.prune(data)` is `kan2.edits.prune.prune(model, data)`,
and its signature and documentation are written there. `data`, wherever it appears, is a Dataset, a pair (X, y), a dict
with train_input, or samples X alone; without it the data of the last `fit` are taken. `fit` changes the network in
place; every other verb that changes something returns a new network and leaves this one as it was. Layers of nodes are
counted from the inputs, which are layer 0; an edge is (layer, target, source), where layer is the layer of its source.

Reference: Liu et al., KAN (arXiv 2404.19756); KAN 2.0 (arXiv 2408.10205).
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from kan2 import options
from kan2.core.network import Network
from kan2.core.spec import BasisSpec, NetworkSpec
from kan2.errors import SpecError, named_options

if TYPE_CHECKING:
    from kan2 import plotting, serialize, structure
    from kan2.analysis.attribution import attribute, feature_score
    from kan2.analysis.compare import compare
    from kan2.discovery.hypothesis import try_function, try_variables
    from kan2.discovery.prune import auto_prune
    from kan2.discovery.relevance import feature_interaction, prune_irrelevant, relevance
    from kan2.discovery.symbolify import auto_symbolic
    from kan2.edits.arrange import auto_swap, swap
    from kan2.edits.expand import expand_depth, expand_width, perturb
    from kan2.edits.inputs import augment
    from kan2.edits.modules import module, remove_edge, remove_node
    from kan2.edits.prune import prune, prune_edge, prune_input, prune_node
    from kan2.edits.refine import refine
    from kan2.edits.simplify import simplify
    from kan2.edits.sparse import sparse
    from kan2.symbolic.fix import fix_symbolic, unfix_symbolic
    from kan2.symbolic.formula import latex, symbolic_formula
    from kan2.symbolic.snap import snap_constants
    from kan2.symbolic.suggest import suggest_symbolic
    from kan2.training.fit import fit

# What type checkers read in the class below, for the interpreter: a test holds the two together. A room is imported
# when one of its verbs is asked for first; all of them at once take half a second, most of it SymPy and networkx.
_VERBS = {
    "fit": "kan2.training.fit:fit",
    "attribute": "kan2.analysis.attribution:attribute",
    "feature_score": "kan2.analysis.attribution:feature_score",
    "relevance": "kan2.discovery.relevance:relevance",
    "feature_interaction": "kan2.discovery.relevance:feature_interaction",
    "compare": "kan2.analysis.compare:compare",
    "tree": "kan2.structure:tree_of",
    "prune": "kan2.edits.prune:prune",
    "prune_node": "kan2.edits.prune:prune_node",
    "prune_edge": "kan2.edits.prune:prune_edge",
    "prune_input": "kan2.edits.prune:prune_input",
    "prune_irrelevant": "kan2.discovery.relevance:prune_irrelevant",
    "auto_prune": "kan2.discovery.prune:auto_prune",
    "simplify": "kan2.edits.simplify:simplify",
    "sparse": "kan2.edits.sparse:sparse",
    "refine": "kan2.edits.refine:refine",
    "expand_width": "kan2.edits.expand:expand_width",
    "expand_depth": "kan2.edits.expand:expand_depth",
    "perturb": "kan2.edits.expand:perturb",
    "augment": "kan2.edits.inputs:augment",
    "module": "kan2.edits.modules:module",
    "remove_edge": "kan2.edits.modules:remove_edge",
    "remove_node": "kan2.edits.modules:remove_node",
    "swap": "kan2.edits.arrange:swap",
    "auto_swap": "kan2.edits.arrange:auto_swap",
    "suggest_symbolic": "kan2.symbolic.suggest:suggest_symbolic",
    "fix_symbolic": "kan2.symbolic.fix:fix_symbolic",
    "unfix_symbolic": "kan2.symbolic.fix:unfix_symbolic",
    "auto_symbolic": "kan2.discovery.symbolify:auto_symbolic",
    "snap_constants": "kan2.symbolic.snap:snap_constants",
    "try_variables": "kan2.discovery.hypothesis:try_variables",
    "try_function": "kan2.discovery.hypothesis:try_function",
    "symbolic_formula": "kan2.symbolic.formula:symbolic_formula",
    "latex": "kan2.symbolic.formula:latex",
    "plot": "kan2.plotting:plot",
    "plot_edge": "kan2.plotting:plot_edge",
    "plot_scores": "kan2.plotting:plot_scores",
    "get_fun": "kan2.plotting:get_fun",
    "get_range": "kan2.plotting:get_range",
    "save": "kan2.serialize:save",
    "load": "kan2.serialize:load",
    "from_tree": "kan2.structure:from_tree",
    "_tree_of_data": "kan2.structure:tree",
}
_OF_THE_CLASS = ("load", "from_tree", "_tree_of_data")


class _Verb:
    """Stands in the class for a verb until somebody asks for it, and then puts the function in its place."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        home, _, function = _VERBS[self.name].partition(":")
        verb = getattr(import_module(home), function)
        verb = classmethod(verb) if self.name in _OF_THE_CLASS else verb
        if vars(MultKAN).get(self.name) is self:  # and not what somebody has put there meanwhile
            setattr(MultKAN, self.name, verb)
        return verb.__get__(instance, owner)


class MultKAN(Network):
    """A Kolmogorov-Arnold network with addition and multiplication nodes.

    Args:
        width: nodes of each layer, inputs first; an entry is a number of addition nodes, or [additions, products].
        mult_arity: number of factors of every product, or a list of arities for each layer of nodes.
        grid: number of grid intervals of the splines, >= 1.
        k: order of the splines, 0 to 5.
        base_fun: the fixed part of an activation: "silu", "identity", "tanh" or "zero".
        basis: what activations are sums of: "bspline", "chebyshev", "fourier" or "rbf".
        grid_range: where the first grids lie; `fit` moves them to the data.
        grid_eps: 1 for uniform grids, 0 for grids at sample quantiles.
        noise_scale: size of the random part of the initial splines.
        outside: what base functions do outside the grid: "tangent" continues them along the tangent at the nearest
            end, as the splines are; "base" leaves them as they are.
        affine_trainable: whether scales and biases of nodes are trained.
        inputs: names of the input columns; by default x1, x2, ...
        outputs: names of the output columns.
        seed: seed of the initial weights; the global random state is neither read nor moved.
        dtype: type of the parameters.
        device: where they live.

    Raises:
        SpecError: width, arities, grid or order contradict each other, or a value is of the wrong type or out of range.
        UnknownNameError: no such basis or base function.

    Example:
        >>> model = MultKAN(width=[2, [5, 2], 1], mult_arity=2, grid=5, k=3, seed=0)
        >>> model(torch.zeros(10, 2, dtype=torch.float64)).shape
        torch.Size([10, 1])
    """

    @named_options
    def __init__(
        self,
        width: Sequence[int | Sequence[int]],
        mult_arity: int | Sequence[Sequence[int]] = 2,
        grid: int = 5,
        k: int = 3,
        base_fun: str = "silu",
        basis: str = "bspline",
        grid_range: tuple[float, float] = (-1.0, 1.0),
        grid_eps: float = 1.0,
        noise_scale: float = 0.1,
        outside: str = "tangent",
        affine_trainable: bool = False,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        nn.Module.__init__(self)
        where = "MultKAN"
        seed = options.seed(where, seed, error=SpecError)
        noise_scale = options.number(where, "noise_scale", noise_scale, 0, error=SpecError)
        grid_range = options.interval(where, "grid_range", grid_range, error=SpecError)
        dtype, device = options.dtype(where, dtype, error=SpecError), options.device(where, device, error=SpecError)
        spec = NetworkSpec.from_width(
            width,
            mult_arity,
            BasisSpec(basis, grid, k, base_fun, grid_eps, outside=outside),
            affine_trainable=affine_trainable,
            inputs=inputs,
            outputs=outputs,
        )
        self._build(spec, torch.empty(0, dtype=dtype, device=device), grid_range)
        self.reset_parameters(noise_scale, seed)

    if TYPE_CHECKING:
        fit = fit

        attribute = attribute
        feature_score = feature_score
        relevance = relevance
        feature_interaction = feature_interaction
        compare = compare
        tree = structure.tree_of

        prune = prune
        prune_node = prune_node
        prune_edge = prune_edge
        prune_input = prune_input
        prune_irrelevant = prune_irrelevant
        auto_prune = auto_prune
        simplify = simplify
        sparse = sparse

        refine = refine
        expand_width = expand_width
        expand_depth = expand_depth
        perturb = perturb
        augment = augment
        module = module
        remove_edge = remove_edge
        remove_node = remove_node
        swap = swap
        auto_swap = auto_swap

        suggest_symbolic = suggest_symbolic
        fix_symbolic = fix_symbolic
        unfix_symbolic = unfix_symbolic
        auto_symbolic = auto_symbolic
        snap_constants = snap_constants
        try_variables = try_variables
        try_function = try_function
        symbolic_formula = symbolic_formula
        latex = latex

        plot = plotting.plot
        plot_edge = plotting.plot_edge
        plot_scores = plotting.plot_scores
        get_fun = plotting.get_fun
        get_range = plotting.get_range

        save = serialize.save
        load = classmethod(serialize.load)
        from_tree = classmethod(structure.from_tree)
        _tree_of_data = classmethod(structure.tree)


for _name in _VERBS:
    setattr(MultKAN, _name, _Verb(_name))

if TYPE_CHECKING:
    load = MultKAN.load
    from_tree = MultKAN.from_tree
    tree = MultKAN._tree_of_data


def __getattr__(name: str) -> Any:
    # What makes a network of a file or of data, with the class of users.
    if name not in ("load", "from_tree", "tree"):
        raise AttributeError(f"module 'kan2.multkan' has no attribute {name!r}.", name=name)
    return getattr(MultKAN, "_tree_of_data" if name == "tree" else name)
