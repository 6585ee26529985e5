"""The same network with splines on its edges, ready to be trained away from the formula.

Every symbolic edge is replaced by a spline that follows it over the values its source takes on the domain. The number
of grid intervals is doubled until the whole network follows the formula closely enough.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

from itertools import product

import numpy as np
import torch

from kan2.core.spec import BasisSpec
from kan2.multkan import MultKAN
from kanpiler.domain import Domain, sample
from kanpiler.emit import emit
from kanpiler.errors import CompileError
from kanpiler.schedule import Schedule

GRIDS = (5, 10, 20, 40, 80, 160, 320)
RELATIVE_RMSE = 1e-6


def emit_splines(schedule: Schedule, outputs: tuple[str, ...], domain: Domain, grid: int | None, k: int = 3) -> MultKAN:
    """Builds the network of a schedule with splines instead of symbolic edges.

    Args:
        schedule: the layers.
        outputs: names of the outputs.
        domain: intervals of all inputs that are used.
        grid: number of grid intervals; None takes the smallest of 5, 10, 20, ..., 320 with a relative RMSE below 1e-6,
            or 320.
        k: order of the splines.

    Raises:
        CompileError: an input has no interval, or the formula is not finite somewhere on the domain.
    """
    plan = schedule.plan
    used = {plan.inputs[edge.source] for node in plan.nodes for edge in node.edges if edge.source < len(plan.inputs)}
    if missing := sorted(used - set(domain)):
        raise CompileError(
            f"compile: edges='spline' needs the domain of every input, got none for {', '.join(missing)}. "
            f"Pass domain={{{missing[0]!r}: (low, high)}}."
        )
    box = {**dict.fromkeys(plan.inputs, (0.0, 1.0)), **domain}
    exact = emit(schedule, outputs)
    x = _with_extremes(exact, torch.as_tensor(_points(box, plan.inputs)), box)
    with torch.no_grad():
        expected = exact(x)
    if not torch.isfinite(expected).all():
        raise CompileError("compile: edges='spline' needs a finite formula, got infinite values. Narrow the domain.")
    scale = expected.std(0).clamp_min(expected.abs().mean(0) * 1e-12)
    for n in GRIDS if grid is None else (grid,):
        network = emit(schedule, outputs, basis=BasisSpec(grid=n, k=k))
        # The last layer first: every source still takes the values that it takes in the formula.
        for edge in reversed(list(network.spec.edges())):
            network = network.unfix_symbolic(edge.index, x)
        with torch.no_grad():
            error = ((network(x) - expected).square().mean(0).sqrt() / scale).max()
        if error <= RELATIVE_RMSE:
            break
    return network


def _points(box: Domain, inputs: tuple[str, ...]) -> np.ndarray:
    points = [sample(box, inputs, 2000)]
    if len(inputs) <= 10:
        points.append(np.array(list(product(*(box[name] for name in inputs)))))
    return np.concatenate(points)


@torch.no_grad()
def _with_extremes(network: MultKAN, x: torch.Tensor, box: Domain) -> torch.Tensor:
    """Adds points at which nodes come close to their extremes, so that no spline ends before its values do."""
    low, high = torch.tensor([box[name] for name in network.spec.inputs], dtype=x.dtype).T
    generator = torch.Generator().manual_seed(0)

    def nodes(points: torch.Tensor) -> torch.Tensor:
        values, columns = points, []
        for layer in list(network.layers)[:-1]:
            values = layer(values)
            columns += [values, -values]
        return torch.cat(columns, -1) if columns else points[..., :0]

    start = x[nodes(x).argmax(0)]
    for step in (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003):
        noise = torch.randn(64, *start.shape, generator=generator, dtype=x.dtype)
        trial = torch.minimum(torch.maximum(start + step * (high - low) * noise, low), high)
        trial = torch.cat([start[None], trial])
        best = nodes(trial).diagonal(dim1=1, dim2=2).argmax(0)
        start = trial[best, torch.arange(len(start))]
    return torch.cat([x, start])
