"""Gives a layer other edges between the same nodes: the primitive under fixing, unfixing and removing edges."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from kan2.core.edges import BasisEdges, SymbolicEdges
from kan2.core.layer import KANLayer
from kan2.core.spec import LayerSpec, SymbolicTerm


@dataclass(frozen=True)
class TermNumbers:
    """A symbolic term together with its numbers: c f(a x + b; shape) + d, affine = (a, b, c, d)."""

    term: SymbolicTerm
    affine: tuple[float, float, float, float] = (1.0, 0.0, 1.0, 0.0)
    shape: float = 0.0


def terms_of(layer: KANLayer) -> list[TermNumbers]:
    """Returns the symbolic terms of a layer with their numbers."""
    if layer.symbolic is None:
        return []
    affine, shape = layer.symbolic.affine.detach().tolist(), layer.symbolic.shape.detach().tolist()
    return [TermNumbers(t, tuple(a), s) for t, a, s in zip(layer.spec.terms, affine, shape)]


def rewire(
    layer: KANLayer,
    numeric: Sequence[tuple[int, int]],
    terms: Sequence[TermNumbers],
) -> KANLayer:
    """Returns the layer with these edges; weights of numeric edges, grids, affines and what is frozen are kept.

    Args:
        layer: left as it is.
        numeric: the (target, source) pairs that get a numeric activation; a pair that had none starts at zero.
        terms: the symbolic terms with their numbers.
    """
    spec: LayerSpec = replace(layer.spec, numeric=tuple(numeric), terms=tuple(t.term for t in terms))
    new = KANLayer.from_spec(spec, layer.node_scale.detach())
    with torch.no_grad():
        for name in ("subnode_scale", "subnode_bias", "node_scale", "node_bias"):
            getattr(new, name).copy_(getattr(layer, name))
        if new.numeric is not None and layer.numeric is not None:
            new.numeric = BasisEdges(spec, copy.deepcopy(layer.numeric.basis))
            had = set(layer.spec.numeric_pairs)
            kept = [pair for pair in spec.numeric_pairs if pair in had]
            if kept:
                target, source = torch.tensor(kept, device=layer.node_scale.device).T
                new.numeric.weight[target, source] = layer.numeric.weight[target, source]
        if terms:
            new.symbolic = SymbolicEdges(spec.terms, layer.node_scale.detach())
            new.symbolic.affine.copy_(torch.tensor([t.affine for t in terms], dtype=torch.float64))
            new.symbolic.shape.copy_(torch.tensor([t.shape for t in terms], dtype=torch.float64))
    copy_flags(layer, new)
    return new


def copy_flags(old: KANLayer, new: KANLayer) -> None:
    """Gives the parameters of a layer the `requires_grad` of another layer's parameters of the same names."""
    flags = {name: parameter.requires_grad for name, parameter in old.named_parameters()}
    for name, parameter in new.named_parameters():
        parameter.requires_grad_(flags.get(name, parameter.requires_grad))
    new.train(old.training)
