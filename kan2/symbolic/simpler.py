"""Symbolic networks with one number fewer: a number made exact, a term dropped, a shifted square multiplied out."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kan2.core.network import AnyNetwork, Network
from kan2.core.spec import SymbolicTerm
from kan2.edits.rewire import TermNumbers, rewire, terms_of
from kan2.symbolic.gauge import fix_gauge

NAMED_POWERS = {
    **{1.0: "x", 2.0: "x^2", 3.0: "x^3", 4.0: "x^4", 5.0: "x^5", -1.0: "1/x", -2.0: "1/x^2", -3.0: "1/x^3"},
    **{0.5: "sqrt", -0.5: "1/sqrt"},
}


def with_number(model: AnyNetwork, layer: int, term: int, letter: str, value: float) -> AnyNetwork:
    """Returns the network with one of its free numbers fixed.

    A power whose exponent has a row of its own gets that row; a term whose c becomes 0 is dropped.

    Args:
        model: left as it is.
        layer: which layer.
        term: index of the term in the layer's spec.
        letter: a, b, c, d or p.
        value: what the number becomes.
    """
    terms = terms_of(model.layers[layer])
    item = terms[term]
    if letter == "c" and value == 0:
        return _with_terms(model, layer, _without(terms, term))
    free = "".join(other for other in item.term.free if other != letter)
    item = replace(item, term=replace(item.term, free=free))
    if letter == "p":
        item = replace(item, shape=value)
        if item.term.function == "power" and value in NAMED_POWERS:
            item = replace(item, term=replace(item.term, function=NAMED_POWERS[value]))
    else:
        affine = list(item.affine)
        affine["abcd".index(letter)] = value
        item = replace(item, affine=tuple(affine))
    terms[term] = item
    new = _with_terms(model, layer, terms)
    # A straight line determines less than the power did.
    return fix_gauge(new) if letter == "p" and item.term.function == "x" else new


def can_vanish(model: Network, layer: int, term: int) -> bool:
    """Returns whether a term can be dropped: its subnode keeps others, or is an output, which may be a constant."""
    spec = model.spec.layers[layer]
    chosen, others = spec.terms[term], [t for i, t in enumerate(spec.terms) if i != term and t.function != "0"]
    if any(t.target == chosen.target for t in others):
        return True
    # A hidden node that nothing reads any more would keep numbers that mean nothing.
    is_read = layer == 0 or any(t.source == chosen.source for t in others)
    return layer == len(model.layers) - 1 and chosen.target < spec.n_sum and chosen.function != "0" and is_read


def multiplied_out(model: AnyNetwork) -> Iterator[tuple[AnyNetwork, tuple[int, int]]]:
    """Yields networks in which shifted squares of one subnode are squares and straight lines.

    c (x + b)^2 + d becomes c x^2 + 2 b c x + (d + c b^2), as many numbers; where the constant is none after all, the
    new form has one fewer. Only subnodes whose constant is free come into question.

    Yields:
        the network, and (layer, term) of the term that holds the constant.
    """
    for index, layer in enumerate(model.layers):
        terms = terms_of(layer)
        for target in sorted({t.term.target for t in terms}):
            holders = [i for i, t in enumerate(terms) if t.term.target == target and "d" in t.term.free]
            squares = [i for i, t in enumerate(terms) if t.term.target == target and _is_shifted_square(t)]
            if not holders or not squares:
                continue
            for chosen in [[i] for i in squares] + ([squares] if len(squares) > 1 else []):
                new = _multiply_out(terms, chosen, holders[0])
                yield _with_terms(model, index, new), (index, holders[0])


def _is_shifted_square(item: TermNumbers) -> bool:
    return item.term.function == "x^2" and {"b", "c"} <= set(item.term.free) and item.affine[1] != 0


def _multiply_out(terms: Sequence[TermNumbers], chosen: Sequence[int], holder: int) -> list[TermNumbers]:
    new, constant = list(terms), 0.0
    for i in chosen:
        item = new[i]
        a, b, c, d = item.affine
        constant += c * b * b
        free = "".join(letter for letter in item.term.free if letter != "b")
        new[i] = replace(item, term=replace(item.term, free=free), affine=(a, 0.0, c, d))
        line = SymbolicTerm(item.term.target, item.term.source, "x", "c")
        new.append(TermNumbers(line, (1.0, 0.0, 2 * a * b * c, 0.0)))
    a, b, c, d = new[holder].affine
    new[holder] = replace(new[holder], affine=(a, b, c, d + constant))
    return new


def _without(terms: Sequence[TermNumbers], index: int) -> list[TermNumbers]:
    # The constant of a dropped term goes to a neighbour, or stands alone.
    dropped = terms[index]
    kept = [t for i, t in enumerate(terms) if i != index]
    heir = next((i for i, t in enumerate(kept) if t.term.target == dropped.term.target), None)
    if heir is None:
        free = "d" if "d" in dropped.term.free else ""
        term = SymbolicTerm(dropped.term.target, 0, "0", free)
        return [*kept, TermNumbers(term, (1.0, 0.0, 0.0, dropped.affine[3]))]
    a, b, c, d = kept[heir].affine
    free = kept[heir].term.free + ("d" if "d" in dropped.term.free and "d" not in kept[heir].term.free else "")
    kept[heir] = replace(kept[heir], term=replace(kept[heir].term, free=free), affine=(a, b, c, d + dropped.affine[3]))
    return kept


def _with_terms(model: AnyNetwork, index: int, terms: Sequence[TermNumbers]) -> AnyNetwork:
    layers = [rewire(layer, [], terms) if i == index else copy.deepcopy(layer) for i, layer in enumerate(model.layers)]
    new = type(model).from_layers(model.spec, layers)
    return new.inherit_(model)
