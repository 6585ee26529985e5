"""One agreed form for the numbers of a symbolic network, so that data determine each of them.

A hidden node may be scaled and shifted freely if the functions that read it undo this; a factor of a product may be
scaled if another factor undoes it. `fix_gauge` removes this freedom without changing the function: the first term of a
hidden node gets c = 1 and no constant, constants and scales move on to the next layer, and at last to the output. The
numbers that are left are marked free, all others fixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from kan2 import functions
from kan2.core.layer import KANLayer
from kan2.core.network import AnyNetwork
from kan2.core.spec import SymbolicTerm
from kan2.edits.rewire import TermNumbers, rewire, terms_of
from kan2.errors import FormulaError
from kan2.symbolic.curves import canonical


@dataclass
class _Node:
    """A node of a layer while scales are moved: value = scale * (what its terms give) + bias."""

    scale: float = 1.0
    bias: float = 0.0


def fix_gauge(model: AnyNetwork) -> AnyNetwork:
    """Returns the same function with its numbers in the agreed form.

    Args:
        model: all its edges symbolic.

    Raises:
        FormulaError: some edges are still splines.
    """
    if not model.is_formula:
        raise FormulaError("fix_gauge: expected symbolic edges only, got splines. Run auto_symbolic() first.")
    layers: list[KANLayer] = []
    reads = [_Node() for _ in range(model.spec.layers[0].n_in)]
    for index, layer in enumerate(model.layers):
        is_last = index == len(model.layers) - 1
        terms, reads = _normalise(layer, reads, is_last)
        new = rewire(layer, [], terms)
        with torch.no_grad():
            for name in ("subnode", "node"):
                getattr(new, f"{name}_scale").fill_(1.0)
                getattr(new, f"{name}_bias").zero_()
            if is_last:
                new.node_bias.copy_(torch.tensor([node.bias for node in reads], dtype=torch.float64))
                new.node_scale.copy_(torch.tensor([node.scale for node in reads], dtype=torch.float64))
        layers.append(new)
    result = type(model).from_layers(model.spec, layers)
    return result.inherit_(model)


def _normalise(layer: KANLayer, reads: Sequence[_Node], is_last: bool) -> tuple[list[TermNumbers], list[_Node]]:
    spec = layer.spec
    by_target: dict[int, list[TermNumbers]] = {t: [] for t in range(spec.n_subnodes)}
    for item in terms_of(layer):
        node, (a, b, c, d) = reads[item.term.source], item.affine
        affine = canonical(item.term.function, (a * node.scale, a * node.bias + b, c, d), item.shape)
        by_target[item.term.target].append(replace(item, affine=affine))
    scale, bias = (getattr(layer, f"subnode_{part}").detach().tolist() for part in ("scale", "bias"))
    node_scale, node_bias = (getattr(layer, f"node_{part}").detach().tolist() for part in ("scale", "bias"))
    nodes, terms = [], []
    for i, group in enumerate(spec.groups):
        total = 1.0
        is_product = i >= spec.n_sum
        for position, target in enumerate(group):
            # The sum at this subnode is lead * (terms with first c = 1) + constant.
            items = [_rescale(t, scale[target]) for t in by_target[target]]
            constant = bias[target] + sum(t.affine[3] for t in items)
            items = [replace(t, affine=(*t.affine[:3], 0.0)) for t in items]
            # The strongest term leads; dividing by a weak one would blow up the others.
            items.sort(key=lambda t: -abs(t.affine[2]))
            lead = items[0].affine[2] if items and items[0].affine[2] else 1.0
            keeps_scale = is_last and (not is_product or position == 0)
            if not keeps_scale:
                items = [_rescale(t, 1 / lead) for t in items]
                constant /= lead
                total *= lead
            keeps_constant = is_product or is_last
            items = [_mark(t, k, keeps_scale, keeps_constant) for k, t in enumerate(items)]
            if keeps_constant:
                if items:
                    items[0] = replace(items[0], affine=(*items[0].affine[:3], constant))
                elif constant:
                    term = _constant_term(target)
                    items = [TermNumbers(term, (1.0, 0.0, 0.0, constant))]
                constant = 0.0
            terms += items
            if not is_product:
                nodes.append(_Node(total * node_scale[i], node_scale[i] * constant * total + node_bias[i]))
        if is_product:
            nodes.append(_Node(total * node_scale[i], node_bias[i]))
    if is_last:
        # Scales of output nodes go into their first factor, which kept its own.
        for i, node in enumerate(nodes):
            first = spec.groups[i][0]
            terms = [_rescale(t, node.scale) if t.term.target == first else t for t in terms]
            if i < spec.n_sum:
                terms = _add_constant(terms, first, node.bias)
                node.bias = 0.0
            node.scale = 1.0
    return terms, nodes


def _constant_term(target: int) -> SymbolicTerm:
    return SymbolicTerm(target, 0, "0", "d")


def _rescale(item: TermNumbers, factor: float) -> TermNumbers:
    a, b, c, d = item.affine
    return replace(item, affine=(a, b, c * factor, d * factor))


def _add_constant(terms: list[TermNumbers], target: int, constant: float) -> list[TermNumbers]:
    if not constant:
        return terms
    for i, item in enumerate(terms):
        if item.term.target == target:
            a, b, c, d = item.affine
            return [*terms[:i], replace(item, affine=(a, b, c, d + constant)), *terms[i + 1 :]]
    return [*terms, TermNumbers(_constant_term(target), (1.0, 0.0, 0.0, constant))]


def _mark(item: TermNumbers, position: int, keeps_scale: bool, keeps_constant: bool) -> TermNumbers:
    letters = set(functions.get(item.term.function).free)
    if position == 0 and not keeps_scale:
        letters.discard("c")
    if position > 0 or not keeps_constant:
        letters.discard("d")
    return replace(item, term=replace(item.term, free="".join(sorted(letters))))
