"""How far an edit moved the function, and how much smaller the network became."""

from dataclasses import dataclass
from typing import Any

import torch

from kan2.errors import ShapeError
from kan2.network import MultKAN


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same samples; prints as a short text.

    Attributes:
        moved: root mean square difference of their outputs.
        moved_max: largest difference.
        relative: `moved` in units of the standard deviation of the first network's outputs.
        rmse: errors of both against the targets, (first, second); None without targets.
        edges: numbers of edges, (first, second).
        nodes: numbers of hidden nodes, (first, second).
        parameters: numbers of trainable parameters, (first, second).
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


@torch.no_grad()
def compare(first: MultKAN, second: MultKAN, data: Any = None) -> Comparison:
    """Compares a network with an edited one.

    Args:
        first: the network before an edit.
        second: the network after it; it must take the same columns and give as many outputs.
        data: samples, see `MultKAN.samples`; by default those of the first network's last fit. Given samples without
            targets, the errors are left out.

    Raises:
        ShapeError: the networks differ in inputs or outputs, or the targets are not those of their outputs.

    Example:
        >>> model = MultKAN([2, 3, 1])
        >>> print(compare(model, model, torch.zeros(4, 2)))
        hidden nodes 3 -> 3, edges 9 -> 9, parameters 81 -> 81
        outputs moved by 0 rms, 0 at most, 0.00% of spread
    """
    if first.spec.inputs != second.spec.inputs or len(first.spec.outputs) != len(second.spec.outputs):
        raise ShapeError(
            f"compare: expected networks of the same inputs and as many outputs, got {', '.join(first.spec.inputs)} -> "
            f"{len(first.spec.outputs)} and {', '.join(second.spec.inputs)} -> {len(second.spec.outputs)}."
        )
    samples = first.samples(data, "compare")
    if samples.y.shape[1] != len(first.spec.outputs):
        raise ShapeError(f"compare: expected targets of {len(first.spec.outputs)} outputs, got {samples.y.shape[1]}.")
    before, after = first(samples.X), second(samples.X).to(first.like)
    moved = float((after - before).square().mean().sqrt())
    scatter = float((before - before.mean(0)).square().mean().sqrt())
    rmse = None
    if not torch.equal(samples.y, before):
        errors = [float((outputs - samples.y).square().mean().sqrt()) for outputs in (before, after)]
        rmse = errors[0], errors[1]
    hidden = [sum(map(sum, model.width[1:-1])) for model in (first, second)]
    return Comparison(
        moved=moved,
        moved_max=float((after - before).abs().max()),
        relative=moved / scatter if scatter > 0 else (0.0 if moved == 0 else float("inf")),
        rmse=rmse,
        edges=(first.spec.n_edges, second.spec.n_edges),
        nodes=(hidden[0], hidden[1]),
        parameters=(first.n_parameters, second.n_parameters),
    )
