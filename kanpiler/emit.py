"""From the schedule to the network: specs and numbers of the layers.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kan2.core.network import LayerValues
from kan2.core.spec import BasisSpec, LayerSpec, NetworkSpec, SymbolicTerm
from kan2.multkan import MultKAN
from kan2.types import EdgeIndex
from kanpiler.plan import UNKNOWN, PlanEdge, PlanFactor
from kanpiler.schedule import Schedule


@dataclass(frozen=True)
class Layers:
    """The layers of a schedule, described and with their numbers.

    Attributes:
        specs: one a layer.
        values: their numbers.
        unknown: the edges of each unknown function.
    """

    specs: tuple[LayerSpec, ...]
    values: tuple[LayerValues, ...]
    unknown: dict[str, list[EdgeIndex]]


def emit(schedule: Schedule, outputs: Sequence[str], trainable: bool = True, basis: BasisSpec | None = None) -> MultKAN:
    """Builds the network of a schedule.

    Args:
        schedule: the layers.
        outputs: names of the outputs.
        trainable: whether training may change the numbers of the symbolic edges.
        basis: of splines that are added later.

    Returns:
        A float64 network.
    """
    layers = emit_layers(schedule, trainable, basis)
    return MultKAN.from_values(NetworkSpec(layers.specs, schedule.plan.inputs, tuple(outputs)), layers.values)


def emit_layers(schedule: Schedule, trainable: bool, basis: BasisSpec | None = None) -> Layers:
    """Builds the layers of a schedule; unknown functions become numeric edges."""
    unknown: dict[str, list[EdgeIndex]] = {}
    # Exponents and orders stay fixed: moved off a whole number they would lose negative arguments.
    free = "abcd" if trainable else ""
    specs, values = [], []
    sources = schedule.alive(0)
    for level in range(1, schedule.depth + 1):
        targets = schedule.alive(level)
        is_last = level == schedule.depth
        nodes = [schedule.plan.nodes[i] for i in targets]
        factors = [
            node.factors if schedule.level[i] == level else (PlanFactor((PlanEdge(i),)),)
            for i, node in zip(targets, nodes)
        ]
        if not is_last:
            # Sums come before products; the last layer keeps the order of the outputs instead.
            order = sorted(range(len(targets)), key=lambda j: len(factors[j]) > 1)
            targets, factors = [targets[j] for j in order], [factors[j] for j in order]
        n_sum = next((j for j, parts in enumerate(factors) if len(parts) > 1), len(factors))
        position = {node: j for j, node in enumerate(sources)}
        terms, affine, shape, bias, numeric = [], [], [], [], []
        for subnode, factor in enumerate(part for parts in factors for part in parts):
            bias.append(factor.bias)
            for edge in factor.edges:
                if edge.function.startswith(UNKNOWN):
                    numeric.append((subnode, position[edge.source]))
                    unknown.setdefault(edge.function[1:], []).append((level - 1, *numeric[-1]))
                    continue
                terms.append(SymbolicTerm(subnode, position[edge.source], edge.function, free))
                affine.append((edge.a, edge.b, edge.c, 0.0))
                shape.append(edge.shape or 0.0)
        arities = tuple(len(parts) for parts in factors[n_sum:])
        spec = LayerSpec(len(sources), n_sum, arities, tuple(numeric), tuple(terms), basis or BasisSpec())
        specs.append(spec)
        final = schedule.plan.outputs if is_last else ()
        values.append(
            LayerValues(
                affine=affine or None,
                shape=shape or None,
                subnode_bias=bias,
                node_scale=[output.scale for output in final] or None,
                node_bias=[output.bias for output in final] or None,
            )
        )
        sources = targets
    return Layers(tuple(specs), tuple(values), unknown)
