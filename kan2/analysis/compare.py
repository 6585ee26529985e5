"""How far an edit moved the function, and how much smaller the network became."""

from dataclasses import dataclass
from typing import Any

import torch

from kan2.core.data import Columns
from kan2.core.network import Network
from kan2.core.verbs import verb
from kan2.errors import ShapeError
from kan2.options import network


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same samples; prints as a short text.

    Attributes:
        moved: root mean square difference of their outputs.
        moved_max: largest difference.
        relative: `moved` in units of the standard deviation of the outputs of `model`.
        rmse: errors of both against the targets, (model, other); None without targets.
        edges: numbers of edges, (model, other).
        nodes: numbers of hidden nodes, (model, other).
        parameters: numbers of trainable parameters, (model, other).
    """

    moved: float
    moved_max: float
    relative: float
    rmse: tuple[float, float] | None
    edges: tuple[int, int]
    nodes: tuple[int, int]
    parameters: tuple[int, int]

    def __str__(self) -> str:
        counts = (("hidden nodes", self.nodes), ("edges", self.edges), ("parameters", self.parameters))
        lines = [", ".join(f"{what} {a} -> {b}" for what, (a, b) in counts)]
        lines.append(
            f"outputs moved by {self.moved:.3g} rms, {self.moved_max:.3g} at most, {self.relative:.2%} of spread"
        )
        if self.rmse is not None:
            lines.append(f"rmse {self.rmse[0]:.3g} -> {self.rmse[1]:.3g}")
        return "\n".join(lines)


@verb
@torch.no_grad()
def compare(model: Network, other: Network, data: Any = None, *, target: Columns | None = None) -> Comparison:
    """Compares a network with an edited one.

    Args:
        model: the network before an edit.
        other: the network after it; it must take the same columns and give as many outputs.
        data: samples, see `MultKAN.samples`; by default those of the last fit. Given samples without
            targets, the errors are left out.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        ShapeError: the networks differ in inputs or outputs, or the targets are not those of their outputs.

    Example:
        >>> from kan2 import MultKAN
        >>> model = MultKAN([2, 3, 1])
        >>> print(compare(model, model, torch.zeros(4, 2)))
        hidden nodes 3 -> 3, edges 9 -> 9, parameters 81 -> 81
        outputs moved by 0 rms, 0 at most, 0.00% of spread
    """
    for one in (model, other):
        network("compare", one)
    if model.spec.inputs != other.spec.inputs or len(model.spec.outputs) != len(other.spec.outputs):
        raise ShapeError(
            f"compare: expected networks of the same inputs and as many outputs, got {', '.join(model.spec.inputs)} -> "
            f"{len(model.spec.outputs)} and {', '.join(other.spec.inputs)} -> {len(other.spec.outputs)}."
        )
    samples = model.samples(data, "compare")
    if samples.y.shape[1] != len(model.spec.outputs):
        raise ShapeError(f"compare: expected targets of {len(model.spec.outputs)} outputs, got {samples.y.shape[1]}.")
    before, after = model(samples.X).double(), other(samples.X).to(model.like).double()
    moved = float((after - before).square().mean().sqrt())
    scatter = float((before - before.mean(0)).square().mean().sqrt())
    rmse = None
    if not torch.equal(samples.y.double(), before):
        errors = [float((outputs - samples.y).square().mean().sqrt()) for outputs in (before, after)]
        rmse = errors[0], errors[1]
    hidden = [sum(map(sum, model.width[1:-1])) for model in (model, other)]
    return Comparison(
        moved=moved,
        moved_max=float((after - before).abs().max()),
        relative=moved / scatter if scatter > 0 else (0.0 if moved == 0 else float("inf")),
        rmse=rmse,
        edges=(model.spec.n_edges, other.spec.n_edges),
        nodes=(hidden[0], hidden[1]),
        parameters=(model.n_parameters, other.n_parameters),
    )
