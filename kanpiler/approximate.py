"""Parts without an exact network, trained: splines that follow a special function of several variables on the domain.

Each *part*, such as besselj(x, y), gets a small network of splines of its own, trained on samples. The rest of the
formula is compiled exactly and reads the parts as if they were inputs; in the result all stand in one network.

Reference: Liu et al., KAN (arXiv 2404.19756), section 3.2, for special functions as training targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
import torch

from kan2.core.layer import KANLayer
from kan2.core.spec import LayerSpec, NetworkSpec, SymbolicTerm
from kan2.errors import warn
from kan2.expressions.complex_parts import is_complex_part
from kan2.expressions.reference_values import reference_values
from kan2.interrupts import Interruptible
from kan2.multkan import MultKAN
from kan2.training.fit import fit
from kanpiler.domain import Domain, sample
from kanpiler.errors import ApproximationWarning, CompileError, UnsupportedExpression
from kanpiler.normalize import normalize

GRIDS = (4, 8, 16)
N_SAMPLES = 1500
# A start may end in a poor minimum: besselj(x, y) reached 4e-7 to 9e-5 of its deviation from four of them. Others are
# tried until one is as good as SMALL.
STARTS = 3
SMALL = 1e-5


@dataclass(frozen=True)
class Part:
    """A subexpression that is approximated, and the symbol that stands for it."""

    symbol: sympy.Symbol
    expression: sympy.Expr

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of its variables."""
        return tuple(sorted(symbol.name for symbol in self.expression.free_symbols))  # type: ignore[attr-defined]


def cut(expressions: Sequence[sympy.Expr]) -> tuple[tuple[sympy.Expr, ...], tuple[Part, ...]]:
    """Replaces every function that has no exact network by a symbol.

    Returns:
        The expressions with symbols in place of the parts, and the parts.

    Raises:
        UnsupportedExpression: a derivative, an integral or the like could not be carried out.
    """
    parts: dict[Any, Part] = {}

    def visit(node: Any) -> Any:
        if not node.args or node.is_number:
            return node
        if isinstance(node, sympy.Derivative | sympy.Integral | sympy.Sum | sympy.Product | sympy.Subs | sympy.Limit):
            raise UnsupportedExpression(f"compile: {node} has no closed form.")
        if isinstance(node, sympy.Function) and (is_complex_part(node) or not _has_network(node)):
            if node not in parts:
                parts[node] = Part(sympy.Symbol(f"part{len(parts) + 1}"), node)
            return parts[node].symbol
        args = [visit(argument) for argument in node.args]
        return node if args == list(node.args) else node.func(*args)

    replaced = tuple(visit(expression) for expression in expressions)
    return replaced, tuple(parts.values())


def _has_network(node: Any) -> bool:
    if isinstance(node, sympy.Piecewise):
        return True
    names = [f"u{i}" for i in range(len(node.args))]
    arguments = [a if a.is_number else sympy.Symbol(name) for a, name in zip(node.args, names)]
    try:
        normalize(node.func(*arguments), names, {})
    except UnsupportedExpression:
        return False
    return True


def train(part: Part, domain: Domain) -> MultKAN:
    """Trains a network of splines to follow a part on the domain, and warns of its error.

    Raises:
        CompileError: a variable has no interval, or the part is not finite on the domain.
    """
    if missing := [name for name in part.inputs if name not in domain]:
        raise CompileError(f"compile: approximate=True needs the domain of {', '.join(missing)} for {part.expression}.")
    x = sample(domain, part.inputs, N_SAMPLES)
    y = reference_values([part.expression], part.inputs, x)
    if not np.isfinite(y).all():
        raise CompileError(f"compile: {part.expression} is not finite and real on the whole domain. Narrow it.")
    n, held_out = len(part.inputs), N_SAMPLES // 3
    data = torch.as_tensor(x[held_out:]), torch.as_tensor(y[held_out:])
    best, error = None, np.inf
    with Interruptible():
        for seed in range(STARTS):
            network = MultKAN([n, 2 * n + 1, 1], grid=GRIDS[0], inputs=part.inputs, seed=seed)
            fit(network, data, grids=GRIDS, steps=80)
            left = network.predict(torch.as_tensor(x[:held_out])) - y[:held_out]
            reached = float(np.sqrt(np.mean(left**2)) / y.std())
            if best is None or reached < error:
                best, error = network, reached
            if error <= SMALL:
                break
    message = f"compile: {part.expression} is a trained spline network, right to {error:.1e} of its standard deviation."
    warn(message, ApproximationWarning)
    assert best is not None
    return best


@torch.no_grad()
def join(
    inputs: tuple[str, ...], parts: Sequence[Part], trained: Sequence[MultKAN], rest: MultKAN, trainable: bool = True
) -> MultKAN:
    """Puts the parts in front of the rest of the formula, in one network.

    Args:
        inputs: names of the inputs.
        parts: what the networks stand for.
        trained: one network of two layers for each part.
        rest: reads the inputs and then the parts.
        trainable: whether training may change the edges that carry inputs on.
    """
    free = "abcd" if trainable else ""
    m, like = len(inputs), rest.like.detach()
    # Every part has its own copies of its inputs, since the grid belongs to the source.
    sources = [inputs.index(name) for part in parts for name in part.inputs]
    terms = tuple(SymbolicTerm(i, s, "x", free) for i, s in enumerate([*range(m), *sources]))
    layers = [KANLayer.from_spec(LayerSpec(m, m + len(sources), numeric=(), terms=terms), like)]
    for depth in range(2):
        blocks = [network.layers[depth] for network in trained]
        layers.append(_block_layer(m, blocks, like, free))
    layers += list(rest.layers)
    return MultKAN.from_layers(NetworkSpec(tuple(layer.spec for layer in layers), inputs, rest.spec.outputs), layers)


def _block_layer(m: int, blocks: Sequence[Any], like: torch.Tensor, free: str) -> KANLayer:
    """Carries m inputs on and puts the blocks beside them."""
    basis = blocks[0].spec.basis
    pairs, target, source = [], m, m
    for block in blocks:
        pairs += [(target + t, source + s) for t in range(block.spec.n_subnodes) for s in range(block.spec.n_in)]
        target, source = target + block.spec.n_subnodes, source + block.spec.n_in
    terms = tuple(SymbolicTerm(i, i, "x", free) for i in range(m))
    layer = KANLayer.from_spec(LayerSpec(source, target, numeric=tuple(pairs), terms=terms, basis=basis), like)
    assert layer.numeric is not None
    grid, home, weight = layer.numeric.basis.grid.clone(), layer.numeric.basis.home.clone(), layer.numeric.weight
    target = source = m
    for block in blocks:
        rows, columns = slice(target, target + block.spec.n_subnodes), slice(source, source + block.spec.n_in)
        grid[columns], home[columns] = block.numeric.basis.grid, block.numeric.basis.home
        weight[rows, columns] = block.numeric.weight
        layer.node_bias[target : rows.stop] = block.node_bias
        target, source = rows.stop, columns.stop
    layer.numeric.basis = type(layer.numeric.basis)(grid, basis.k, home)
    return layer
