"""More freedom around what is there: wider, deeper, or with splines beside symbolic edges.

A compiled network holds what is known; expanding it leaves room for what is not. The function is the same afterwards,
except after `perturb` with the modes that say otherwise.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

import copy
from collections.abc import Sequence
from typing import Literal

import torch

from kan2 import options
from kan2.core.edges import BasisEdges
from kan2.core.layer import KANLayer
from kan2.core.network import AnyNetwork
from kan2.core.spec import LayerSpec, SymbolicTerm
from kan2.edits.choose import NodeChoice, assemble, check_hidden, choices, choose
from kan2.edits.rewire import rewire, terms_of
from kan2.errors import EdgeError, named_options

Pair = tuple[int, int]


@named_options
def expand_width(
    model: AnyNetwork,
    layer: int,
    n_nodes: int = 1,
    sum_bool: bool = True,
    mult_arity: int = 2,
    *,
    noise_scale: float = 0.5,
    seed: int = 0,
) -> AnyNetwork:
    """Returns the same function with more nodes in a hidden layer.

    The edges into a new node are random splines, those out of it are zero, so that training can use them at once. New
    addition nodes come after the old ones, new products after the old products.

    Args:
        model: left as it is.
        layer: hidden layer of nodes, counted from the inputs, which are layer 0.
        n_nodes: number of new nodes, >= 1.
        sum_bool: True for addition nodes, False for products.
        mult_arity: number of factors of each new product, >= 2.
        noise_scale: size of the random splines, see `add_splines`.
        seed: seed of the random splines.

    Raises:
        EdgeError: no such hidden layer, or a number is out of range.

    Example:
        >>> from kan2 import MultKAN
        >>> expand_width(MultKAN([2, [3, 1], 1]), 1, 2).width
        [[2, 0], [5, 1], [1, 0]]
    """
    where = "expand_width"
    layer = check_hidden(model, layer, where)
    n_nodes = options.size(where, "n_nodes", n_nodes, 1, options.LARGEST_LAYER, error=EdgeError)
    sum_bool = options.flag(where, "sum_bool", sum_bool, error=EdgeError)
    mult_arity = options.size(where, "mult_arity", mult_arity, 2, options.LARGEST_LAYER, error=EdgeError)
    noise_scale = options.number(where, "noise_scale", noise_scale, 0, error=EdgeError)
    seed = options.seed(where, seed, error=EdgeError)
    layers = [copy.deepcopy(old) for old in model.layers]
    below, above = layers[layer - 1], layers[layer]
    at = below.spec.n_sum if sum_bool else below.spec.n_out
    old = choices(below)
    new = [NodeChoice(None, (None,) * (1 if sum_bool else mult_arity), not sum_bool)] * n_nodes
    plan = [*old[:at], *new, *old[at:]]
    below = choose(below, plan)
    first = sum(len(node.subnodes) for node in plan[:at])
    fresh = range(first, first + sum(len(node.subnodes) for node in new))
    below = add_splines(below, [(t, s) for t in fresh for s in range(below.spec.n_in)], noise_scale, seed)
    above = choose(above, sources=[*range(at), *(None for _ in new), *range(at, len(old))])
    above = add_splines(above, [(t, at + i) for t in range(above.spec.n_subnodes) for i in range(n_nodes)])
    return assemble(model, [*layers[: layer - 1], below, above, *layers[layer + 1 :]])


@named_options
def expand_depth(model: AnyNetwork, layer: int | None = None) -> AnyNetwork:
    """Returns the same function with one more layer of nodes.

    The new layer has one addition node for each node of the layer before it, joined by symbolic edges f(x) = x;
    `perturb` puts splines beside them.

    Args:
        model: left as it is.
        layer: layer of nodes behind which the new one is put, 0 for the inputs; by default the last.

    Raises:
        EdgeError: no such layer of nodes.

    Example:
        >>> from kan2 import MultKAN
        >>> expand_depth(MultKAN([2, [3, 1], 1]), 1).width
        [[2, 0], [3, 1], [4, 0], [1, 0]]
    """
    options.network("expand_depth", model, error=EdgeError)
    n_layers = len(model.layers)
    at = n_layers if layer is None else layer
    if not options.is_whole(at, 0, n_layers):
        raise EdgeError(f"expand_depth: expected a layer of nodes between 0 and {n_layers}, got {layer!r}.")
    n = sum(model.width[at])
    neighbour = model.layers[min(at, n_layers - 1)]
    spec = LayerSpec(
        n,
        n,
        numeric=(),
        terms=tuple(SymbolicTerm(i, i, "x") for i in range(n)),
        basis=neighbour.spec.basis,
        affine_trainable=neighbour.spec.affine_trainable,
    )
    identity = KANLayer.from_spec(spec, model.like.detach())
    kept = [copy.deepcopy(old) for old in model.layers]
    return assemble(model, [*kept[:at], identity, *kept[at:]])


@named_options
def perturb(
    model: AnyNetwork,
    mag: float = 0.1,
    mode: Literal["non-intrusive", "minimal", "all"] = "non-intrusive",
    *,
    seed: int = 0,
) -> AnyNetwork:
    """Returns the network with trainable splines added to its edges, beside what they carry.

    Args:
        model: left as it is.
        mag: size of the random splines, see `add_splines`.
        mode: "non-intrusive" adds splines that are zero to every pair, which leaves the function as it is; "minimal"
            adds random splines to the edges that carry something; "all" adds random splines to every pair.
        seed: seed of the random splines.

    Raises:
        UnknownNameError: no such mode.
        EdgeError: mag or seed is out of range.

    Example:
        >>> from kan2 import MultKAN
        >>> model = MultKAN([2, 3, 1])
        >>> x = torch.ones(1, 2, dtype=torch.float64)
        >>> bool(perturb(model)(x) == model(x)), bool(perturb(model, mode="all")(x) == model(x))
        (True, False)
    """
    options.network("perturb", model, error=EdgeError)
    options.choice("perturb", "mode", mode, ["non-intrusive", "minimal", "all"])
    mag = options.number("perturb", "mag", mag, 0, error=EdgeError)
    seed = options.seed("perturb", seed, error=EdgeError)
    layers = []
    for i, layer in enumerate(model.layers):
        spec = layer.spec
        every = [(t, s) for t in range(spec.n_subnodes) for s in range(spec.n_in)]
        pairs = spec.active_pairs if mode == "minimal" else every
        layers.append(
            add_splines(
                layer,
                pairs,
                0.0 if mode == "non-intrusive" else mag,
                seed + i if seed + i <= options.LARGEST_SEED else i,
            )
        )
    return assemble(model, layers)


@torch.no_grad()
def add_splines(layer: KANLayer, pairs: Sequence[Pair], noise_scale: float = 0.0, seed: int = 0) -> KANLayer:
    """Returns a layer with numeric activations on these pairs, random splines added to them.

    Args:
        layer: left as it is.
        pairs: the (target, source) pairs; those that are numeric already keep what they have.
        noise_scale: standard deviation of the random weights, before division by the square root of the number of
            sources; 0 for no random splines.
        seed: seed of the random splines.
    """
    new = rewire(layer, [*layer.spec.numeric_pairs, *pairs], terms_of(layer))
    if noise_scale and pairs and new.numeric is not None:
        like = new.node_scale.detach()
        random = KANLayer.from_spec(new.spec, like)
        random.numeric = BasisEdges(new.spec, new.numeric.basis)
        random.reset_parameters(1.0, torch.Generator().manual_seed(seed))
        target, source = torch.tensor(pairs, device=like.device).T
        new.numeric.weight[target, source] += noise_scale * random.numeric.weight[target, source]
    return new
